"""A graph of figures over time: fixed axes, gaps as gaps, one cursor over all graphs of a page.

It brings pyqtgraph, which takes a third of a second to load; import this module when a graph is wanted, not before.
The rules for speed (fixed axes, few points, no antialiasing, no automatic downsampling) were measured.
"""

from __future__ import annotations

import csv
import io
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import (
    QEvent,
    QObject,
    QPointF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QMouseEvent,
    QPainterPath,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QGraphicsPathItem, QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.card import Card, hbox
from personadesk.ui.widgets.chart_parts import (
    Curve,
    Hole,
    Legend,
    Mark,
    TimeAxis,
    curve_path,
    ground,
    level_lines,
    round_step,
    shaded,
    short,
    thin,
    thinned,
)
from personadesk.ui.widgets.picture import save_png, save_svg
from personadesk.ui.widgets.text import ElidedLabel, label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Curve", "Hole", "Mark", "TimeChart"]


SHADE_TOP = 1e6
"""Above every axis; what is over the edge is clipped."""


class TimeChart(Card):
    """A graph with its title, its newest figure and its legend.

    Signals:
        hovered: The pointer is over a moment (Unix time), or over none (None).
        zoomed: The user turned the wheel (factor of the shown span, Unix time that should stay).
        moved: The user dragged (seconds by which the shown span moves).
        live_asked: The user wants to see now again.
    """

    hovered = Signal(object)
    zoomed = Signal(float, float)
    moved = Signal(float)
    live_asked = Signal()

    def __init__(
        self,
        title: str,
        unit: str,
        curves: Sequence[Curve],
        *,
        high: float,
        write: Callable[[float], str],
        limit: float | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """Make an empty graph.

        Args:
            title: What it shows.
            unit: Unit of every value.
            curves: Its curves.
            high: Least value at the top of the axis; it grows when a value is higher.
            write: Writes a value without its unit.
            limit: A dashed line that should not be crossed; None for none.
        """
        super().__init__(padding=10, gap=1)
        if parent is not None:
            self.setParent(parent)
        self.title, self.unit = title, unit
        self._curves = tuple(curves)
        self._least, self._high = high, high
        self._limit = limit
        self._write = write
        self._base = 0.0
        self._cursor: float | None = None
        self._drag: QPointF | None = None
        self._marks: tuple[Mark, ...] = ()
        self._holes: tuple[Hole, ...] = ()
        self._lines: list[Any] = []
        self._span = (0.0, 1.0)
        self._live = False
        self._note = ""
        self._whole = ""
        empty = np.empty(0)
        self._data: list[tuple[Floats, Floats]] = [(empty, empty) for _ in curves]
        self._shaded = (empty, empty)
        self._shade_words: Callable[[float], str] = write
        self._build_head()
        self._build_plot()
        self.add(self._plot, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().theme_changed.connect(self._follow)
        self._follow()

    def minimumSizeHint(self) -> QSize:
        return QSize(theme().px(200), theme().px(138))

    # -- what it shows ----------------------------------------------------------------------------------------

    @property
    def span(self) -> tuple[float, float]:
        """Unix times of its left and right edge."""
        return self._span

    @property
    def high(self) -> float:
        """Value at the top of the axis."""
        return self._high

    @property
    def limit(self) -> float | None:
        """The line that should not be crossed."""
        return self._limit

    @property
    def holes(self) -> tuple[Hole, ...]:
        """Why values are missing, oldest first."""
        return self._holes

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What happened."""
        return self._marks

    def points(self, curve: int = 0) -> tuple[Floats, Floats]:
        """Return what is drawn of a curve: Unix times and values, NaN for gaps."""
        return self._data[curve]

    def set_points(self, curve: int, at: Floats, low: Floats, mean: Floats, high: Floats) -> None:
        """Show other values.

        Args:
            curve: Which curve.
            at: Unix times in seconds, in order, float64 [n].
            low: Lowest in each bucket, float64 [n]; NaN where nothing was measured.
            mean: The mean; the same as `low` where a bucket is one sample.
            high: Highest in each bucket.
        """
        x, y = thinned(at, low, mean, high)
        self._data[curve] = (x, y)
        if not self._base and len(x):
            self._base = self._axis.base = float(x[0])
        relative = x - self._base
        known = ~np.isnan(y)
        self._items[curve].setPath(curve_path(relative, y, known))
        self._fills[curve].setPath(
            ground(relative, y, known) if self._tinted(curve) else QPainterPath()
        )
        top = max(
            (float(v.max()) for _, each in self._data if len(v := each[~np.isnan(each)])),
            default=0.0,
        )
        wanted = max(self._least, top * 1.08, (self._limit or 0.0) * 1.05)
        # The axis grows at once, and shrinks only by much, so that it does not breathe.
        if wanted > self._high or wanted < 0.6 * self._high:
            self._scale(wanted)
        self._tell()

    def set_whole(self, whole: float | None) -> None:
        """Say what the figure is a part of; the axis then ends there."""
        text = "" if whole is None else tr("of {whole}", whole=self._write(whole))
        if text != self._whole:
            self._whole = text
            if whole:
                self._least = whole
                self._scale(max(whole, self._least))
            self._tell()

    def set_limit(self, limit: float | None) -> None:
        """Draw the line that should not be crossed elsewhere, or not at all."""
        if limit == self._limit:
            return
        self._limit = limit
        self._limit_line.setVisible(limit is not None)
        if limit is not None:
            self._limit_line.setPos(limit)
            if limit * 1.05 > self._high:
                self._scale(limit * 1.05)

    def set_shade(self, at: Floats, values: Floats, words: Callable[[float], str]) -> None:
        """Shade the ground where a figure is not 0.

        Args:
            at: Unix times in seconds, in order, float64 [n].
            values: What it is, NaN where nothing was measured.
            words: Says what a value that is not 0 means.
        """
        if len(at) and not self._base:
            self._base = self._axis.base = float(at[0])
        self._shaded, self._shade_words = (at, values), words
        self._shade.setPath(shaded(at - self._base, values, SHADE_TOP))

    def shade_words(self, at: float | None = None) -> str:
        """Return what the shade means at a Unix time, or where it was last; "" where there is none."""
        times, values = self._shaded
        places = np.flatnonzero(np.nan_to_num(values) >= 0.5)
        if at is not None and len(places):
            nearest = int(np.argmin(np.abs(times - at)))
            places = places[places == nearest]
        return self._shade_words(float(values[places[-1]])) if len(places) else ""

    def set_holes(self, holes: Sequence[Hole]) -> None:
        """Say why values are missing; the cursor tells it over a hole."""
        self._holes = tuple(holes)

    def set_note(self, note: str) -> None:
        """Say something beside the figure, for example why there is a gap."""
        if note != self._note:
            self._note = note
            self._aside.setText(note)

    def set_span(self, start: float, end: float, *, live: bool) -> None:
        """Show what lies between two Unix times.

        Args:
            start: Left edge.
            end: Right edge.
            live: Whether the right edge is now; the axis then says how long ago.
        """
        if not self._base:
            self._base = self._axis.base = start
        pixel = (end - start) / max(1.0, self._box.width())
        before = self._span
        same = live and self._live and abs((end - start) - (before[1] - before[0])) < 1e-6
        if same and 0 <= end - before[1] < 0.95 * pixel:
            return  # without smooth edges nobody would see it move
        self._live = live
        self._span = (start, end)
        self._axis.now = end - self._base if live else None
        self._box.setXRange(start - self._base, end - self._base, padding=0)

    def set_cursor(self, at: float | None) -> None:
        """Show the values at a Unix time, or the newest ones."""
        if at == self._cursor:
            return
        self._cursor = at
        self._cross.setVisible(at is not None)
        if at is not None:
            self._cross.setPos(at - self._base)
        self._tell()

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Show what happened."""
        marks = tuple(marks)
        if marks == self._marks:
            return
        self._marks = marks
        for line in self._lines:
            self._box.removeItem(line)
        self._lines = []
        for mark in marks:
            pen = thin(Role.ERR if mark.bad else Role.ACCENT_TEXT, Qt.PenStyle.DotLine)
            line = pg.InfiniteLine(mark.at - self._base, angle=90, movable=False, pen=pen)
            self._box.addItem(line, ignoreBounds=True)
            self._lines.append(line)
        self._tell()

    def value_at(self, at: float, curve: int = 0) -> float | None:
        """Return a curve's value at a Unix time; None in a gap and where nothing was measured."""
        x, y = self._data[curve]
        if not len(x):
            return None
        place = int(np.searchsorted(x, at))
        place = min(max(place, 0), len(x) - 1)
        if place and abs(x[place - 1] - at) <= abs(x[place] - at):
            place -= 1
        near = max(15.0, (self._span[1] - self._span[0]) / 100)
        value = float(y[place])
        return None if np.isnan(value) or abs(float(x[place]) - at) > near else value

    # -- taking it elsewhere ----------------------------------------------------------------------------------

    def table(self) -> list[tuple[str, ...]]:
        """Return what is drawn as rows of text, a title row first: time, then each curve."""
        rows = [
            (tr("Time"), *(f"{each.name or self.title} ({self.unit})" for each in self._curves))
        ]
        moments = np.unique(
            np.concatenate([x[(x >= self._span[0]) & (x <= self._span[1])] for x, _ in self._data])
        )
        for at in moments:
            cells = (self.value_at(float(at), number) for number in range(len(self._curves)))
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(at)))
            rows.append((stamp, *("" if cell is None else f"{cell:.6g}" for cell in cells)))
        return rows

    def csv(self) -> str:
        """Return what is drawn as comma separated values."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(self.table())
        return out.getvalue()

    def save_png(self, path: str) -> bool:
        """Write the picture as it is on the screen, twice as fine; returns whether that worked."""
        return save_png(self, path, ground=theme().colour(Role.SURFACE))

    def save_svg(self, path: str) -> bool:
        """Write the picture as SVG; returns whether that worked."""
        return save_svg(self, path, self.title, ground=theme().colour(Role.SURFACE))

    # -- parts ------------------------------------------------------------------------------------------------

    def _build_head(self) -> None:
        first = hbox(gap=8)
        first.addWidget(ElidedLabel(self.title, Type.SMALL, Role.TEXT2), 1)
        first.addWidget(Legend(self._curves))
        self.column.addLayout(first)
        second = hbox(gap=5)
        self._figure = label("–", Type.HEADING)
        self._after = label(self.unit, Type.SMALL, Role.TEXT2)
        self._aside = ElidedLabel("", Type.AXIS, Role.TEXT2)
        self._aside.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom)
        second.addWidget(self._figure)
        second.addWidget(self._after, 0, Qt.AlignmentFlag.AlignBottom)
        second.addWidget(self._aside, 1)
        self.column.addLayout(second)

    def _build_plot(self) -> None:
        # A view box and two axes, not a whole plot item: that makes a dozen menus that nobody would open.
        self._axis = TimeAxis()
        self._left = pg.AxisItem("left")
        self._left.enableAutoSIPrefix(False)
        self._box = pg.ViewBox(enableMouse=False, enableMenu=False, defaultPadding=0)
        self._box.disableAutoRange()
        self._plot = pg.GraphicsLayoutWidget()
        self._plot.setAntialiasing(False)
        self._plot.setFrameShape(self._plot.Shape.NoFrame)
        self._plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._frame = self._plot.ci
        self._frame.setSpacing(0)
        self._frame.addItem(self._left, 0, 0)
        self._frame.addItem(self._box, 0, 1)
        self._frame.addItem(self._axis, 1, 1)
        self._left.linkToView(self._box)
        self._axis.linkToView(self._box)
        # The ends of an axis are what people look for; pyqtgraph leaves them out where they stand over the edge.
        self._left.setStyle(tickLength=0, hideOverlappingLabels=False)
        self._axis.setStyle(tickLength=0, hideOverlappingLabels=theme().px(30), tickTextOffset=5)
        self._grid = QGraphicsPathItem()
        self._grid.setZValue(-10)
        self._box.addItem(self._grid, ignoreBounds=True)
        self._fills = [QGraphicsPathItem() for _ in self._curves]
        for fill in self._fills:
            fill.setPen(QPen(Qt.PenStyle.NoPen))
            self._box.addItem(fill, ignoreBounds=True)
        self._shade = QGraphicsPathItem()
        self._shade.setPen(QPen(Qt.PenStyle.NoPen))
        self._shade.setZValue(-5)
        self._box.addItem(self._shade, ignoreBounds=True)
        # Plain paths: the library's curve asks Python for its bounds several times a picture.
        self._items = [QGraphicsPathItem() for _ in self._curves]
        for each in self._items:
            self._box.addItem(each, ignoreBounds=True)
        self._limit_line = pg.InfiniteLine(self._limit or 0.0, angle=0, movable=False)
        self._limit_line.setVisible(self._limit is not None)
        self._cross = pg.InfiniteLine(0.0, angle=90, movable=False)
        self._cross.hide()
        self._box.addItem(self._limit_line, ignoreBounds=True)
        self._box.addItem(self._cross, ignoreBounds=True)
        view = self._plot.viewport()
        view.setMouseTracking(True)
        view.installEventFilter(self)
        self._scale(self._high)

    def _tinted(self, curve: int) -> bool:
        wanted = self._curves[curve]
        return theme().palette.graph_fills and wanted.filled and not wanted.dashed

    def _scale(self, high: float) -> None:
        self._high = high
        self._box.setYRange(0.0, high, padding=0)
        # The usual top, and a whole that the figure is a part of, are marked as they are.
        step = high / 2 if high == self._least else round_step(high / 2)
        marks = [step * n for n in range(int(high / step + 1e-6) + 1)]
        # pyqtgraph leaves out a mark that rounding puts a hair over the edge.
        inside = high * 1e-6
        texts = [(min(max(value, inside), high - inside), short(value)) for value in marks]
        self._left.setTicks([texts])
        # pyqtgraph's own grid takes the room of the labels at the ends.
        self._grid.setPath(level_lines(marks))

    def _follow(self) -> None:
        look = theme()
        axis = look.font(Type.AXIS)
        self._plot.setBackground(look.colour(Role.SURFACE))
        for each in (self._left, self._axis):
            each.setTickFont(axis)
            each.setPen(QPen(Qt.PenStyle.NoPen))
            each.setTextPen(QPen(look.colour(Role.TEXT2)))
        self._left.setWidth(look.px(30))
        self._axis.setHeight(look.px(22))
        self._grid.setPen(thin(Role.GRID))
        self._frame.setContentsMargins(0, look.px(7), look.px(14), 0)
        for curve, item, fill in zip(self._curves, self._items, self._fills, strict=True):
            colour = look.series(curve.series)
            pen = QPen(colour, max(1.0, look.pxf(1.3)) if look.is_high_contrast else 1.0)
            pen.setCosmetic(True)
            if curve.dashed:
                pen.setDashPattern([4, 3])
            item.setPen(pen)
            tint = QColor(colour)
            tint.setAlphaF(0.16)
            fill.setBrush(tint)
        held = QColor(look.colour(Role.WARN))
        held.setAlphaF(0.25)
        self._shade.setBrush(held)
        self._limit_line.setPen(thin(Role.ERR, Qt.PenStyle.DashLine))
        self._cross.setPen(thin(Role.TEXT2))
        for number, (x, y) in enumerate(self._data):
            path = (
                ground(x - self._base, y, ~np.isnan(y)) if self._tinted(number) else QPainterPath()
            )
            self._fills[number].setPath(path)

    def _tell(self) -> None:
        """Write the newest figures, or those under the cursor."""
        if self._cursor is None:
            newest = [
                float(y[-1]) if len(y) and not np.isnan(y[-1]) else None for _, y in self._data
            ]
        else:
            newest = [self.value_at(self._cursor, number) for number in range(len(self._curves))]
        text = " / ".join("–" if value is None else self._write(value) for value in newest)
        if text != self._figure.text():
            self._figure.setText(text)
        unit = " ".join(part for part in (self._whole, self.unit) if part)
        near = next((m for m in self._marks if self._cursor is not None and self._close(m)), None)
        if self._cursor is not None:
            stamp = time.strftime("%d-%m %H:%M:%S", time.localtime(self._cursor))
            said = near.text if near is not None else self._hole_text(newest)
            self._aside.setText(said or self.shade_words(self._cursor) or stamp)
        else:
            self._aside.setText(self._note)
        if unit != self._after.text():
            self._after.setText(unit)
        self.setAccessibleName(f"{self.title}: {text} {unit}")

    def _hole_text(self, values: Sequence[float | None]) -> str:
        """Say why there is nothing below the cursor; "" where there is something, or nobody told."""
        at = self._cursor
        if at is None or any(value is not None for value in values):
            return ""
        hole = next((each for each in self._holes if each.since <= at < each.until), None)
        if hole is None:
            return ""
        since = time.strftime("%H:%M", time.localtime(hole.since))
        return tr("none since {time}: {reason}", time=since, reason=hole.reason)

    def _close(self, mark: Mark) -> bool:
        width = self._span[1] - self._span[0]
        return self._cursor is not None and abs(mark.at - self._cursor) < width / 80

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Turn the pointer's ways over the plot into signals."""
        kind = event.type()
        if isinstance(event, QMouseEvent):
            self._mouse(event, kind)
            return True
        if isinstance(event, QWheelEvent):
            self.zoomed.emit(
                0.8 if event.angleDelta().y() > 0 else 1.25, self._time(event.position())
            )
            event.accept()
            return True
        if kind == QEvent.Type.Leave:
            self.hovered.emit(None)
        return super().eventFilter(watched, event)

    def _mouse(self, event: QMouseEvent, kind: QEvent.Type) -> None:
        if kind == QEvent.Type.MouseButtonDblClick:
            self.live_asked.emit()
        elif kind == QEvent.Type.MouseButtonPress:
            self._drag = event.position()
        elif kind == QEvent.Type.MouseButtonRelease:
            self._drag = None
        elif self._drag is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self.moved.emit(self._time(self._drag) - self._time(event.position()))
            self._drag = event.position()
        else:
            self.hovered.emit(self._time(event.position()))

    def _time(self, position: QPointF) -> float:
        """Return the Unix time below a place in the plot."""
        area = self._box.sceneBoundingRect()
        share = (position.x() - area.left()) / max(1.0, area.width())
        start, end = self._span
        return start + min(1.0, max(0.0, share)) * (end - start)
