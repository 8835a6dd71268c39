"""What a graph over time is made of: its time axis, its legend, its curves and marks, and how points are thinned.

Not for use alone: `time_chart` puts them together. It brings pyqtgraph.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import (
    QLineF,
    QPointF,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import (
    QPainterPath,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Curve",
    "Hole",
    "Legend",
    "Mark",
    "TimeAxis",
    "ago",
    "curve_path",
    "ground",
    "level_lines",
    "round_step",
    "shaded",
    "short",
    "thin",
    "thinned",
]

HOUR, DAY = 3600.0, 86400.0
FAR = 1e8
"""Seconds to either side, three years: lines across reach over every edge."""
STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
    DAY, 2 * DAY, 5 * DAY, 10 * DAY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve.

    Attributes:
        name: What the legend calls it; "" where it stands alone.
        series: Which curve colour (0 to 5).
        dashed: Whether it is drawn dashed.
        filled: Whether the ground below it is tinted, where the theme does that at all.
    """

    name: str
    series: int
    dashed: bool = False
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened.

    Attributes:
        at: Unix time in seconds.
        text: One sentence.
        bad: Whether it is trouble.
    """

    at: float
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Hole:
    """Why there are no values for a while.

    Attributes:
        since: Unix time in seconds.
        until: The same, infinite while it lasts.
        reason: One sentence.
    """

    since: float
    until: float
    reason: str


class TimeAxis(pg.AxisItem):
    """Says how long ago while it is live, and the clock's time while the user looks at the past."""

    def __init__(self) -> None:
        self.base = 0.0
        self.now: float | None = None
        self._shown: tuple[float, float] | None = None
        super().__init__("bottom")
        self.enableAutoSIPrefix(False)

    def setRange(self, mn: float, mx: float) -> None:  # noqa: N802 - pyqtgraph's
        """Take another stretch. While it is live and as long as before, every text stays where it is."""
        shown = None if self.now is None else (round(mx - mn, 3), round(self.now - mn, 3))
        if shown is None or shown != self._shown or self.picture is None:
            self._shown = shown
            super().setRange(mn, mx)

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[Any]:  # noqa: N802, N803 - pyqtgraph's
        span = maxVal - minVal
        most = max(2, int(size / theme().pxf(70)))
        step = next((each for each in STEPS if span / each <= most), STEPS[-1])
        if self.now is None:
            # Local midnight, so that hours stand at hours.
            shift = self.base + time.localtime(self.base + minVal).tm_gmtoff
            first = np.ceil((minVal + shift) / step) * step - shift
            return [(step, list(np.arange(first, maxVal + 1e-6, step)))]
        ticks = [self.now - step * n for n in range(int(span / step + 1e-6), -1, -1)]
        return [(step, [max(each, minVal + span * 1e-6) for each in ticks])]

    def tickStrings(self, values: Sequence[float], _scale: float, spacing: float) -> list[str]:  # noqa: N802
        if self.now is None:
            shape = "%H:%M:%S" if spacing < 60 else "%H:%M" if spacing < DAY else "%d-%m"
            return [time.strftime(shape, time.localtime(self.base + value)) for value in values]
        return [ago(self.now - value, spacing) for value in values]


class Legend(Painted):
    """A stroke as each curve is drawn, and its name."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        super().__init__()
        self._curves = [each for each in curves if each.name]
        if not self._curves:
            self.hide()
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        metrics = self.metrics(Type.AXIS)
        words = sum(metrics.horizontalAdvance(each.name) for each in self._curves)
        return QSize(round(words) + self.look.px(34) * len(self._curves), round(metrics.height()))

    def paintEvent(self, _event: QPaintEvent) -> None:
        px = self.look.pxf
        metrics = self.metrics(Type.AXIS)
        painter = self.start_painting(self.look.font(Type.AXIS))
        left, middle = 0.0, self.height() / 2
        for curve in self._curves:
            pen = QPen(self.look.series(curve.series), 2)
            if curve.dashed:
                pen.setDashPattern([2, 1.5])
            painter.setPen(pen)
            painter.drawLine(QLineF(left + px(8), middle, left + px(26), middle))
            painter.setPen(self.look.colour(Role.TEXT2))
            width = metrics.horizontalAdvance(curve.name)
            box = QRectF(left + px(31), 0, width + 2, self.height())
            painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter), curve.name)
            left += px(34) + width
        painter.end()


def thin(role: Role, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    """Return a pen of one pixel, whatever the axes' scales are."""
    pen = QPen(theme().colour(role), 1, style)
    pen.setCosmetic(True)
    return pen


def thinned(at: Floats, low: Floats, mean: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the points to draw: samples as they are; buckets as lowest and highest, so that no peak is lost."""
    with np.errstate(invalid="ignore"):
        if not len(at) or not bool((high > low).any()):
            return at, mean
    x = np.repeat(at, 2)
    y = np.empty(2 * len(at))
    y[0::2], y[1::2] = low, high
    return x, y


def ground(x: Floats, y: Floats, known: NDArray[np.bool_]) -> QPainterPath:
    """Return the ground below a curve, one piece between gaps."""
    path = QPainterPath()
    if not known.any():
        return path
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if last - first < 2:
            continue
        xs = np.concatenate((x[first:last], [x[last - 1], x[first]]))
        ys = np.concatenate((y[first:last], [0.0, 0.0]))
        path.addPolygon(
            QPolygonF([QPointF(a, b) for a, b in zip(xs.tolist(), ys.tolist(), strict=True)])
        )
    return path


def curve_path(x: Floats, y: Floats, known: NDArray[np.bool_]) -> QPainterPath:
    """Return a curve, broken where a value is not known."""
    if not known.any():
        return QPainterPath()
    whole = bool(known.all())
    path: QPainterPath = pg.arrayToQPath(
        x, y, connect="all" if whole else "finite", finiteCheck=not whole
    )
    return path


def level_lines(values: Sequence[float]) -> QPainterPath:
    """Return lines across at some values."""
    path = QPainterPath()
    for value in values:
        path.moveTo(-FAR, value)
        path.lineTo(FAR, value)
    return path


def shaded(x: Floats, y: Floats, top: float) -> QPainterPath:
    """Return the ground where a figure that is 0 or 1 is 1, from the axis to `top`."""
    path = QPainterPath()
    if not len(x):
        return path
    on = np.concatenate(([False], np.nan_to_num(y) >= 0.5, [False])).astype(np.int8)
    edges = np.flatnonzero(np.diff(on))
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        right = x[min(last, len(x) - 1)]
        path.addRect(QRectF(x[first], 0.0, max(1.0, right - x[first]), top))
    return path


def round_step(wanted: float) -> float:
    """Return a step of 1, 2, 2.5 or 5 times a power of ten that is at most `wanted`."""
    power = 10.0 ** np.floor(np.log10(max(wanted, 1e-9)))
    return float(
        max(each for each in (1.0, 2.0, 2.5, 5.0) if each * power <= wanted * (1 + 1e-9)) * power
    )


def short(value: float) -> str:
    """Return a value of an axis in few digits."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def ago(seconds: float, spacing: float) -> str:
    """Return how long ago a moment was, in the unit that the axis' spacing asks for."""
    if seconds < 0.5:
        return tr("now")
    if spacing >= DAY:
        return tr("−{n} d", n=round(seconds / DAY))
    if spacing >= HOUR:
        return tr("−{n} h", n=round(seconds / HOUR))
    if spacing >= 60:
        return tr("−{n} min", n=round(seconds / 60))
    return tr("−{n} s", n=round(seconds))
