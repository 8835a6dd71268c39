"""What Home shows, as values: the page draws them and asks nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from personadesk.ui.widgets import Kind, Quarter, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Decided", "HomeModel", "HomeView", "LineAction", "LineVerb", "LineView"]


class LineVerb(StrEnum):
    """What can be asked of a line."""

    TALK = "talk"
    WATCH = "watch"
    START = "start"
    STOP = "stop"
    TEST = "test"
    RESULT = "result"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class LineAction:
    """One button of a line's card; those that do not fit go into its menu, last first.

    Attributes:
        verb: What is asked.
        text: In the user's language.
        icon: Name of its icon.
        kind: How it looks; the first is usually primary.
        menu_only: Never a button of its own.
    """

    verb: LineVerb
    text: str
    icon: str
    kind: Kind = Kind.PLAIN
    menu_only: bool = False


@dataclass(frozen=True, slots=True)
class LineView:
    """One line as its card shows it; all words in the user's language.

    Attributes:
        name: Name of the line.
        about: Where it runs and on what: "This computer · rehearsal model · since 14:02".
        shape: Its state's shape.
        word: Its state in a word.
        address: What programs use.
        now: Price an hour now.
        today: Spent today.
        fact_title: Name of the live fact that its state calls for; may be empty.
        fact: Its value, or a sentence when there is no title.
        fraction: Progress 0 to 1 in place of a curve, or None.
        trend: Last readings for a curve; none when empty.
        quarters: Last 24 hours, oldest first.
        day: The same in words.
        actions: Buttons, the most wanted first.
        needs_user: Whether it stands before the others.
    """

    name: str
    about: str
    shape: Shape
    word: str
    address: str
    now: str
    today: str
    fact_title: str = ""
    fact: str = ""
    fraction: float | None = None
    trend: tuple[float | None, ...] = ()
    quarters: tuple[Quarter, ...] = ()
    day: str = ""
    actions: tuple[LineAction, ...] = ()
    needs_user: bool = False


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision of the guardian; all words in the user's language.

    Attributes:
        shape: What became of it.
        what: When, for which line, what.
        why: Its cause.
    """

    shape: Shape
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class HomeView:
    """All that Home shows.

    Attributes:
        lines: The lines; none shows the first start.
        computer: A sentence about what this computer can do, for the first start; "" for the usual one.
        up: Figure "Lines up".
        up_note: Line below it.
        now: Figure "Costs now".
        now_note: Line below it.
        today: Figure "Today".
        today_note: Line below it.
        decided: The guardian's last decisions, newest first.
    """

    lines: tuple[LineView, ...] = ()
    computer: str = ""
    up: str = ""
    up_note: str = ""
    now: str = ""
    now_note: str = ""
    today: str = ""
    today_note: str = ""
    decided: tuple[Decided, ...] = ()


class HomeModel(QObject):
    """Holds what Home shows; the services' side sets it, the page follows.

    Signals:
        changed: ``view`` is another.
        asked: The user wants something of a line (its name, a ``LineVerb``).
        try_here_asked: The user pressed *Try it here*.
        use_machine_asked: The user pressed *Use my machine*.
        rent_asked: The user pressed *Rent a GPU*.
        rehearse_asked: The user wants a rehearsal.
        new_line_asked: The user pressed *New line*.
        money_asked: The user wants to know what costs money.
    """

    changed = Signal()
    asked = Signal(str, str)
    try_here_asked = Signal()
    use_machine_asked = Signal()
    rent_asked = Signal()
    rehearse_asked = Signal()
    new_line_asked = Signal()
    money_asked = Signal()

    def __init__(self, parent: QObject | None = None, *, rehearsal: bool = False) -> None:
        """Make an empty Home.

        Args:
            parent: What it belongs to.
            rehearsal: Whether all of it is a rehearsal.
        """
        super().__init__(parent)
        self.rehearsal = rehearsal
        self._view = HomeView()
        self._placed: list[str] = []

    @property
    def view(self) -> HomeView:
        """What is shown."""
        return self._view

    def show(self, view: HomeView) -> None:
        """Show something else."""
        if view != self._view:
            self._view = view
            self.changed.emit()

    def ordered(self) -> tuple[LineView, ...]:
        """Return the lines in the order of the page: what needs the user first, then by name.

        The order is stable: a line that was placed keeps its place, new ones come behind.
        """
        lines = {line.name: line for line in self._view.lines}
        names = [name for name in self._placed if name in lines]
        names += [line.name for line in _sorted(lines.values()) if line.name not in names]
        self._placed = names
        return tuple(lines[name] for name in names)

    def sort_again(self) -> None:
        """Forget the places; called when the page is opened."""
        self._placed = []


def _sorted(lines: Iterable[LineView]) -> list[LineView]:
    return sorted(lines, key=lambda line: (not line.needs_user, line.name.casefold()))
