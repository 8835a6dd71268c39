"""One GPU as a tile: its name and state, four curves with their figures, calls and price. Painted by itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QLinearGradient, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.domain.alarm import Severity
from personadesk.domain.sample import Metric
from personadesk.ui.i18n import mark, show, tr
from personadesk.ui.monitor.figures import FRAME_MS, scaled, written
from personadesk.ui.monitor.fleet import TICK, state_word
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import SHAPE_ROLE, Painted, Shape, paint_shape

if TYPE_CHECKING:
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QKeyEvent, QMouseEvent, QPaintEvent

    from personadesk.monitor.ranges import Range
    from personadesk.ui.monitor.fleet import Card

__all__ = ["DRAWN", "Drawn", "Tile", "state_of"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """How a figure is drawn in a tile.

    Attributes:
        title: English, marked.
        unit: Its unit.
        series: Which curve colour.
        high: Top of the axis in that unit.
        limit: From there on it is trouble; None for never.
    """

    title: str
    unit: str
    series: int
    high: float
    limit: float | None = None


DRAWN: dict[Metric, Drawn] = {
    TICK: Drawn(mark("Frame p99"), "ms", 3, 100.0, FRAME_MS),
    Metric.GPU_USE: Drawn(mark("GPU use"), "%", 0, 100.0),
    Metric.GPU_MEMORY_USED: Drawn(mark("Memory"), "GB", 2, 24.0),
    Metric.GPU_TEMPERATURE: Drawn(mark("Temperature"), "°C", 4, 100.0, 85.0),
    Metric.CPU_USE: Drawn(mark("Processor use"), "%", 0, 100.0),
    Metric.MEMORY_USED: Drawn(mark("Memory"), "GB", 2, 16.0),
}


def state_of(card: Card) -> tuple[Shape, str]:
    """Return a card's state: its shape and its word."""
    shape = Shape.UNKNOWN if card.why else Shape.OK
    if card.trouble is not None:
        shape = Shape.ERR if card.trouble.rule.severity is Severity.ERROR else Shape.WARN
    return shape, state_word(card)


class Tile(Painted):
    """The tile.

    Signals:
        chosen: The user wants to see more of it (the machine).
        hovered: The pointer is over a moment of its curves (Unix time), or over none (None).
    """

    chosen = Signal(str)
    hovered = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._card: Card | None = None
        self._ranges: tuple[Range, ...] = ()
        self._foot = ("", "")
        self._edges = (0.0, 1.0)
        self._wholes: dict[Metric, float] = {}
        self._marks: tuple[tuple[float, str, bool], ...] = ()
        self._cursor: float | None = None
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def card(self) -> Card | None:
        """What it shows."""
        return self._card

    def show_card(
        self,
        card: Card,
        ranges: tuple[Range, ...],
        edges: tuple[float, float],
        foot: tuple[str, str],
        wholes: dict[Metric, float],
        marks: tuple[tuple[float, str, bool], ...] = (),
    ) -> None:
        """Show a GPU as it is now.

        Args:
            card: The GPU.
            ranges: A curve for each of its metrics, in the metric's unit.
            edges: Unix times of the left and right edge.
            foot: What stands at its foot, left and right.
            wholes: Tops of the axes, in the metric's unit, where they are known.
            marks: What happened: Unix time, one sentence, whether it is trouble.
        """
        self._marks = marks
        self._card, self._ranges, self._edges, self._foot = card, ranges, edges, foot
        self._wholes = wholes
        _, word = state_of(card)
        said = [f"{tr(DRAWN[m].title)} {self._write(m)}" for m in card.metrics if m in card.values]
        self.setAccessibleName(
            ", ".join([card.title, card.below, word, card.why or ", ".join(said)])
        )
        happened = [text for _, text, _ in marks]
        told = show(card.trouble.text) if card.trouble is not None else card.why
        self.setToolTip("\n".join(part for part in (told, *happened) if part))
        self.update()

    def set_cursor(self, at: float | None) -> None:
        """Show the values at a Unix time, or the newest ones."""
        if at != self._cursor:
            self._cursor = at
            self.update()

    @property
    def cursor_at(self) -> float | None:
        """The moment whose values are shown, None for now."""
        return self._cursor

    def value_of(self, metric: Metric) -> float | None:
        """Return the value that is shown: the newest, or the one below the cursor; None in a gap."""
        card = self._card
        if card is None or metric not in card.metrics:
            return None
        number = card.metrics.index(metric)
        if self._cursor is None or number >= len(self._ranges):
            return card.values.get(metric)
        curve = self._ranges[number]
        if not len(curve):
            return None
        place = int(np.argmin(np.abs(curve.at - self._cursor)))
        near = max(15.0, (self._edges[1] - self._edges[0]) / 60)
        value = float(curve.high[place])
        return None if np.isnan(value) or abs(curve.at[place] - self._cursor) > near else value

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(320), self.look.px(350))

    def minimumSizeHint(self) -> QSize:
        count = len(self._card.metrics) if self._card is not None else 4
        return QSize(self.look.px(210), self.look.px(100 + 44 * min(count, 4)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if (
            event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space}
            and self._card is not None
        ):
            self.chosen.emit(self._card.host)
            return
        super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._card is not None and self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self._card.host)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        box = self.graph_rect(0)
        x = event.position().x()
        inside = box.left() <= x <= box.right() and event.position().y() >= box.top()
        start, end = self._edges
        self.hovered.emit(
            start + (x - box.left()) / box.width() * (end - start) if inside else None
        )

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.hovered.emit(None)

    # -- painting ---------------------------------------------------------------------------------------------

    def graph_rect(self, number: int) -> QRectF:
        """Return where the curve of a metric is drawn, in the widget's pixels."""
        px = self.look.pxf
        count = max(1, len(self._card.metrics) if self._card is not None else 1)
        top, bottom = px(56), self.height() - px(42)
        height = (bottom - top) / count
        left = px(14) + min(px(98), self.width() * 0.33)
        return QRectF(
            left, top + number * height + px(8), self.width() - left - px(14), height - px(14)
        )

    def paintEvent(self, _event: QPaintEvent) -> None:
        card = self._card
        if card is None:
            return
        painter = self.start_painting()
        self._paint_frame(painter)
        self._paint_head(painter, card)
        if card.why:
            self._paint_why(painter, card.why)
        else:
            for number, metric in enumerate(card.metrics):
                self._paint_figure(painter, number, metric)
            self._paint_times(painter)
        self._paint_foot(painter)
        painter.end()

    def _paint_frame(self, painter: QPainter) -> None:
        edge = self.look.border
        box = QRectF(self.rect()).adjusted(edge / 2, edge / 2, -edge / 2, -edge / 2)
        role = Role.FOCUS if self.hasFocus() else Role.BORDER
        painter.setPen(QPen(self.look.colour(role), edge))
        painter.setBrush(self.look.colour(Role.SURFACE))
        painter.drawRoundedRect(box, self.look.pxf(10), self.look.pxf(10))

    def _paint_head(self, painter: QPainter, card: Card) -> None:
        px = self.look.pxf
        shape, word = state_of(card)
        size = px(16)
        paint_shape(painter, QRectF(px(14), px(15), size, size), shape)
        bold, small = self.look.font(Type.BODY, 600), self.look.font(Type.SMALL)
        width = self.width() - px(28)
        word_width = QFontMetricsF(self.look.font(Type.SMALL, 600)).horizontalAdvance(word) + px(4)
        left = px(14) + size + px(8)
        name = QRectF(left, px(10), width - size - px(16) - word_width, px(18))
        painter.setFont(bold)
        painter.setPen(self.look.colour(Role.TEXT))
        self._text(painter, name, card.title)
        painter.setFont(small)
        painter.setPen(self.look.colour(Role.TEXT2))
        where_text = ", ".join(part for part in (card.provider, card.below) if part)
        where_width = (
            min(QFontMetricsF(small).horizontalAdvance(where_text) + px(4), width * 0.6)
            if card.line
            else 0.0
        )
        second = QRectF(left, px(28), width - size - px(16) - where_width, px(17))
        self._text(painter, second, card.line or where_text)
        if card.line:
            right = QRectF(self.width() - px(14) - where_width, px(28), where_width, px(17))
            self._text(painter, right, where_text, Qt.AlignmentFlag.AlignRight)
        painter.setFont(self.look.font(Type.SMALL, 600))
        role = SHAPE_ROLE[shape]
        painter.setPen(
            self.look.colour(Role.TEXT2 if role in {Role.OFF, Role.BORDER_STRONG} else role)
        )
        where = QRectF(self.width() - px(14) - word_width, px(10), word_width, px(18))
        self._text(painter, where, word, Qt.AlignmentFlag.AlignRight)

    def _paint_why(self, painter: QPainter, why: str) -> None:
        px = self.look.pxf
        box = QRectF(px(14), px(56), self.width() - px(28), self.height() - px(98))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.look.colour(Role.INSET))
        painter.drawRoundedRect(box, px(6), px(6))
        painter.setFont(self.look.font(Type.BODY))
        painter.setPen(self.look.colour(Role.TEXT2))
        flags = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
        painter.drawText(box.adjusted(px(14), px(8), -px(14), -px(8)), flags, why)

    def _paint_times(self, painter: QPainter) -> None:
        """Draw what happened, and the cursor, over all curves."""
        box = self.graph_rect(0)
        bottom = self.graph_rect(max(0, len(self._ranges) - 1)).bottom()
        start, end = self._edges

        def line(at: float, pen: QPen) -> None:
            if start <= at <= end:
                x = box.left() + (at - start) / max(1e-9, end - start) * box.width()
                painter.setPen(pen)
                painter.drawLine(QLineF(x, box.top(), x, bottom))

        for at, _text, bad in self._marks:
            role = Role.ERR if bad else Role.ACCENT_TEXT
            line(at, QPen(self.look.colour(role), 1, Qt.PenStyle.DotLine))
        if self._cursor is not None:
            line(self._cursor, QPen(self.look.colour(Role.TEXT2), 1))

    def _paint_figure(self, painter: QPainter, number: int, metric: Metric) -> None:
        px = self.look.pxf
        drawn = DRAWN[metric]
        graph = self.graph_rect(number)
        value = self.value_of(metric)
        over = value is not None and drawn.limit is not None and value > drawn.limit
        left = QRectF(px(14), graph.top() - px(2), graph.left() - px(20), px(16))
        painter.setFont(self.look.font(Type.AXIS))
        painter.setPen(self.look.colour(Role.TEXT2))
        self._text(painter, left, tr(drawn.title))
        painter.setFont(self.look.font(Type.BODY, 600))
        painter.setPen(self.look.colour(Role.WARN if over else Role.TEXT))
        self._text(
            painter, left.translated(0, px(17)).adjusted(0, 0, 0, px(2)), self._write(metric)
        )
        by = scaled(metric)
        high = self._wholes.get(metric, drawn.high * by) / by
        if number < len(self._ranges):
            high = self._paint_curve(painter, graph, self._ranges[number], drawn, by, high)
        if drawn.limit is not None and drawn.limit <= high and metric is TICK:
            y = graph.bottom() - drawn.limit / high * graph.height()
            painter.setPen(QPen(self.look.colour(Role.ERR), 1, Qt.PenStyle.DashLine))
            painter.drawLine(QLineF(graph.left(), y, graph.right(), y))

    def _paint_curve(
        self, painter: QPainter, box: QRectF, given: Range, drawn: Drawn, by: float, high: float
    ) -> float:
        """Draw a curve; returns the top of its axis."""
        values = given.high / by
        known = ~np.isnan(values)
        if not known.any():
            return high
        high = max(high, float(values[known].max()) * 1.05)
        start, end = self._edges
        xs = box.left() + (given.at - start) / max(1e-9, end - start) * box.width()
        ys = box.bottom() - np.clip(values / high, 0.0, 1.0) * box.height()
        points = [QPointF(x, y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]
        colour = self.look.series(drawn.series)
        edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
        for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            run = points[first:last]
            if len(run) < 2:
                continue
            if self.look.palette.graph_fills:
                self._paint_ground(painter, run, box, colour)
            # Segments, not a polyline: a wide smooth polyline costs Qt over a second at 600 points.
            smooth = len(points) < box.width() / 2
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=smooth)
            painter.setPen(QPen(colour, 1.5 if smooth else 1))
            painter.drawLines([QLineF(a, b) for a, b in itertools.pairwise(run)])
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        return high

    @staticmethod
    def _paint_ground(painter: QPainter, run: list[QPointF], box: QRectF, colour: QColor) -> None:
        fade = QLinearGradient(box.topLeft(), box.bottomLeft())
        top, bottom = QColor(colour), QColor(colour)
        top.setAlphaF(0.25)
        bottom.setAlphaF(0.02)
        fade.setColorAt(0, top)
        fade.setColorAt(1, bottom)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fade)
        floor = [QPointF(run[-1].x(), box.bottom()), QPointF(run[0].x(), box.bottom())]
        painter.drawPolygon(QPolygonF([*run, *floor]))

    def _paint_foot(self, painter: QPainter) -> None:
        px = self.look.pxf
        line = self.height() - px(38)
        painter.setPen(QPen(self.look.colour(Role.BORDER), self.look.border))
        painter.drawLine(QLineF(px(14), line, self.width() - px(14), line))
        box = QRectF(px(14), line + px(6), self.width() - px(28), px(22))
        painter.setFont(self.look.font(Type.SMALL))
        painter.setPen(self.look.colour(Role.TEXT2))
        self._text(painter, box, self._foot[0])
        painter.setFont(self.look.font(Type.SMALL, 600))
        painter.setPen(self.look.colour(Role.TEXT))
        self._text(painter, box, self._foot[1], Qt.AlignmentFlag.AlignRight)

    def _write(self, metric: Metric) -> str:
        value = self.value_of(metric)
        drawn = DRAWN[metric]
        return (
            "–" if value is None else f"{written(value / scaled(metric), drawn.unit)} {drawn.unit}"
        )

    @staticmethod
    def _text(
        painter: QPainter,
        box: QRectF,
        text: str,
        side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
    ) -> None:
        shown = QFontMetricsF(painter.font()).elidedText(
            text, Qt.TextElideMode.ElideRight, box.width()
        )
        painter.drawText(box, int(side | Qt.AlignmentFlag.AlignVCenter), shown)
