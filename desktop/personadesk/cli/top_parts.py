"""What `personadesk top` is drawn of: bars, graphs, colours by how near a figure is to its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table
from rich.text import Text as Styled

from personadesk.domain.sample import DASH, Absent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from personadesk.domain.sample import Value

    Limits = tuple[float, float]
    """From where on a figure is a warning, and trouble."""

EIGHTHS = " ▁▂▃▄▅▆▇█"
GONE = "·"
"""In a graph: nobody measured."""
HALF, FULL = 70.0, 95.0
PERCENT: tuple[float, float] = (HALF, FULL)
BUSY: tuple[float, float] = (HALF, 101.0)
"""A card that is fully used is what it was paid for."""


def number(value: Value | None) -> float | None:
    """Return a figure as a number, None when there is none."""
    return None if value is None or isinstance(value, Absent) else value


def share(used: Value | None, total: Value | None) -> float | None:
    """Return a part of a whole in percent."""
    part, whole = number(used), number(total)
    return None if part is None or not whole else 100 * part / whole


def style(value: float | None, limits: Limits | None) -> str:
    """Return the colour of a figure."""
    if value is None or limits is None:
        return ""
    return "red" if value >= limits[1] else "yellow" if value >= limits[0] else "green"


def text(value: Value | None, show: Callable[[float], str], limits: Limits | None = None) -> Styled:
    """Return a figure in words, a dash where there is none."""
    known = number(value)
    if known is None:
        return Styled(DASH, "dim")
    return Styled(show(known), style(known, limits))


def bar(percent: float | None, width: int, label: str = "", limits: Limits = PERCENT) -> Styled:
    """Return a bar with a label at its end, as `nvtop` and `htop` draw it."""
    inside = max(1, width - 2)
    label = label[:inside]
    filled = 0 if percent is None else round(min(100.0, max(0.0, percent)) / 100 * inside)
    room = inside - len(label)
    marks = ("|" * filled)[:room].ljust(room) + label
    drawn = Styled("[", "bold")
    drawn.append(marks[:filled], style(percent, limits))
    drawn.append(marks[filled:], "" if percent is not None else "dim")
    drawn.append("]", "bold")
    return drawn


def graph(
    values: NDArray[np.float64], width: int, height: int, limits: Limits = PERCENT
) -> list[Styled]:
    """Return the newest percents as lines of blocks, the newest at the right; a gap is a dot at the foot.

    Args:
        values: Percents, oldest first, NaN for gaps; one a column.
        width: Columns.
        height: Lines.
        limits: Where the colour changes.
    """
    picked = values[-width:]
    padded = np.concatenate((np.full(width - len(picked), np.nan), picked))
    level = np.clip(np.nan_to_num(padded) / 100, 0, 1) * height * 8
    lines = []
    for row in range(height - 1, -1, -1):
        parts = np.clip(level - row * 8, 0, 8).round().astype(int)
        line = "".join(EIGHTHS[part] for part in parts)
        if row == 0:
            line = "".join(
                GONE if np.isnan(value) else "▁" if mark == " " else mark
                for value, mark in zip(padded, line, strict=True)
            )
        lines.append(Styled(line, style(100 * row / height, limits)))
    return lines


def table(heads: Sequence[str], rows: Iterable[Sequence[Styled]], first: int) -> Table:
    """Return a table under a bar of heads; the first column takes what is left, at least so many columns."""
    made = Table(
        box=None, expand=True, pad_edge=False, padding=(0, 1), header_style="black on cyan"
    )
    for index, head in enumerate(heads):
        made.add_column(
            head,
            no_wrap=True,
            overflow="ellipsis",
            justify="left" if index == 0 else "right",
            min_width=first if index == 0 else None,
            ratio=1 if index == 0 else None,
        )
    for row in rows:
        made.add_row(*row)
    return made
