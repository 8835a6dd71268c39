"""State shapes: each state has a colour, an outline of its own, and a word beside it.

The outlines differ so that they work in grey and at 12 px; colour never speaks alone.
"""

from __future__ import annotations

import math
from enum import StrEnum

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.theme import Role, theme
from personadesk.ui.widgets.base import Painted

__all__ = ["SHAPE_ROLE", "SHAPE_SOFT", "Shape", "StateShape", "paint_shape"]


class Shape(StrEnum):
    """Outline of a state."""

    OK = "ok"
    BUSY = "busy"
    WARN = "warn"
    ERR = "err"
    ASLEEP = "asleep"
    STOPPED = "stopped"
    EMPTY = "empty"
    UNKNOWN = "unknown"
    PARTLY = "partly"
    LIVE = "live"
    RECORDING = "recording"


SHAPE_ROLE = {
    Shape.OK: Role.OK,
    Shape.BUSY: Role.ACCENT_TEXT,
    Shape.WARN: Role.WARN,
    Shape.ERR: Role.ERR,
    Shape.ASLEEP: Role.OFF,
    Shape.STOPPED: Role.OFF,
    Shape.EMPTY: Role.BORDER_STRONG,
    Shape.UNKNOWN: Role.OFF,
    Shape.PARTLY: Role.WARN,
    Shape.LIVE: Role.ACCENT_TEXT,
    Shape.RECORDING: Role.ERR,
}

SHAPE_SOFT = {
    Shape.OK: Role.OK_SOFT,
    Shape.BUSY: Role.ACCENT_SOFT,
    Shape.WARN: Role.WARN_SOFT,
    Shape.ERR: Role.ERR_SOFT,
    Shape.PARTLY: Role.WARN_SOFT,
    Shape.LIVE: Role.ACCENT_SOFT,
    Shape.RECORDING: Role.ERR_SOFT,
}
"""Ground of a pill with that state; what is not named gets ``OFF_SOFT``."""


def paint_shape(
    painter: QPainter, rect: QRectF, shape: Shape, *, turn: float = 0.0, ground: Role = Role.SURFACE
) -> None:
    """Paint a state's shape into a square.

    Args:
        painter: A running painter; its pen and brush are left as they were.
        rect: The square.
        shape: Which outline.
        turn: Degrees by which the busy ring is turned.
        ground: Colour in which marks are cut out.
    """
    colour = theme().colour(SHAPE_ROLE[shape])
    cut = theme().colour(ground)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(rect.topLeft())
    # All outlines are given on a square of 16.
    painter.scale(rect.width() / 16, rect.height() / 16)
    _PAINTERS[shape](painter, colour, cut, turn)
    painter.restore()


def _pen(colour: QColor, width: float) -> QPen:
    return QPen(
        colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
    )


def _ok(painter: QPainter, colour: QColor, cut: QColor, _turn: float) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(QRectF(0.5, 0.5, 15, 15))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(_pen(cut, 2.0))
    painter.drawPolyline(QPolygonF([QPointF(4.6, 8.3), QPointF(7.0, 10.7), QPointF(11.5, 5.6)]))


def _busy(painter: QPainter, colour: QColor, _cut: QColor, turn: float) -> None:
    faint = QColor(colour)
    faint.setAlphaF(0.22)
    ring = QRectF(1.6, 1.6, 12.8, 12.8)
    painter.setPen(_pen(faint, 2.0))
    painter.drawEllipse(ring)
    painter.setPen(_pen(colour, 2.0))
    painter.drawArc(ring, round((20 - turn) * 16), 270 * 16)


def _warn(painter: QPainter, colour: QColor, cut: QColor, _turn: float) -> None:
    painter.setPen(_pen(colour, 1.8))
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(8, 2.2), QPointF(14.6, 13.8), QPointF(1.4, 13.8)]))
    painter.setPen(_pen(cut, 1.7))
    painter.drawLine(QPointF(8, 6.4), QPointF(8, 9.2))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(cut)
    painter.drawEllipse(QPointF(8, 11.9), 1.05, 1.05)


def _err(painter: QPainter, colour: QColor, cut: QColor, _turn: float) -> None:
    corners = [
        QPointF(8 + 7.9 * math.cos(math.radians(a)), 8 + 7.9 * math.sin(math.radians(a)))
        for a in (22.5 + 45 * i for i in range(8))
    ]
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF(corners))
    painter.setPen(_pen(cut, 1.9))
    painter.drawLine(QPointF(5.5, 5.5), QPointF(10.5, 10.5))
    painter.drawLine(QPointF(10.5, 5.5), QPointF(5.5, 10.5))


def _asleep(painter: QPainter, colour: QColor, _cut: QColor, _turn: float) -> None:
    moon = QPainterPath(QPointF(13.9, 9.7))
    moon.cubicTo(10.2, 11.2, 5.0, 7.6, 6.3, 2.2)
    moon.cubicTo(-0.6, 5.0, 1.6, 14.4, 8.2, 14.2)
    moon.cubicTo(10.9, 14.1, 13.2, 12.3, 13.9, 9.7)
    painter.setPen(_pen(colour, 1.5))
    painter.drawPath(moon)


def _stopped(painter: QPainter, colour: QColor, _cut: QColor, _turn: float) -> None:
    painter.setPen(_pen(colour, 1.8))
    painter.drawRoundedRect(QRectF(2.4, 2.4, 11.2, 11.2), 1.6, 1.6)


def _empty(painter: QPainter, colour: QColor, _cut: QColor, _turn: float) -> None:
    painter.setPen(_pen(colour, 1.6))
    painter.drawEllipse(QRectF(1.3, 1.3, 13.4, 13.4))


def _unknown(painter: QPainter, colour: QColor, _cut: QColor, _turn: float) -> None:
    painter.setPen(_pen(colour, 1.8))
    ring = QRectF(1.6, 1.6, 12.8, 12.8)
    for index in range(8):
        painter.drawArc(ring, (index * 45 + 8) * 16, 22 * 16)


def _partly(painter: QPainter, colour: QColor, _cut: QColor, _turn: float) -> None:
    ring = QRectF(1.3, 1.3, 13.4, 13.4)
    painter.setPen(_pen(colour, 1.6))
    painter.drawEllipse(ring)
    painter.setBrush(colour)
    painter.drawChord(ring, 90 * 16, 180 * 16)


def _live(painter: QPainter, colour: QColor, _cut: QColor, _turn: float) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(QRectF(3.2, 3.2, 9.6, 9.6))


def _recording(painter: QPainter, colour: QColor, _cut: QColor, _turn: float) -> None:
    painter.setPen(_pen(colour, 1.8))
    painter.drawEllipse(QRectF(1.4, 1.4, 13.2, 13.2))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(QRectF(4.8, 4.8, 6.4, 6.4))


_PAINTERS = {
    Shape.OK: _ok,
    Shape.BUSY: _busy,
    Shape.WARN: _warn,
    Shape.ERR: _err,
    Shape.ASLEEP: _asleep,
    Shape.STOPPED: _stopped,
    Shape.EMPTY: _empty,
    Shape.UNKNOWN: _unknown,
    Shape.PARTLY: _partly,
    Shape.LIVE: _live,
    Shape.RECORDING: _recording,
}


class StateShape(Painted):
    """A state's shape on its own; the word stands beside it, or is its accessible name."""

    def __init__(
        self, shape: Shape, word: str, *, size: int = 16, parent: QWidget | None = None
    ) -> None:
        """Make the shape.

        Args:
            shape: Which outline.
            word: The state in a word, for assistive technology and as tooltip.
            size: Edge at 13 px text.
        """
        super().__init__(parent)
        self._shape = shape
        self._size = size
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.set_state(shape, word)

    @property
    def shape(self) -> Shape:
        """Which outline is shown."""
        return self._shape

    def set_state(self, shape: Shape, word: str) -> None:
        """Show another state."""
        self._shape = shape
        self.setAccessibleName(word)
        self.setToolTip(word)
        self.update()

    def sizeHint(self) -> QSize:
        edge = self.look.px(self._size)
        return QSize(edge, edge)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting()
        paint_shape(painter, QRectF(self.rect()), self._shape)
        painter.end()
