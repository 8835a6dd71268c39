"""The lab's pictures: distributions of two voices, and how late frames came with each caller more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.domain.load import LINE_MS
from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.load import LoadStep

__all__ = ["CurvePlot", "LoadGraph"]

_STROKES: Final = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine)
_STEPS: Final = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class CurvePlot(Painted):
    """How many frames stayed below which time, a curve a voice; steeper and further left is better."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """Make an empty plot.

        Args:
            name: What it shows, for assistive technology.
        """
        super().__init__(parent)
        self._name = name
        self.curves: tuple[tuple[str, Sequence[tuple[float, float]]], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(name)

    def show_curves(self, curves: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> None:
        """Show other curves: a name, and (milliseconds, share 0..1) rising."""
        self.curves = tuple(curves)
        middles = [
            tr("{name}: half within {ms} ms", name=name, ms=round(points[len(points) // 2][0]))
            for name, points in self.curves
            if points
        ]
        self.setAccessibleName(". ".join([self._name, *middles]))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(320), self.look.px(170))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(200), self.look.px(120))

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self.curves:
            return
        look, px = self.look, self.look.pxf
        painter = self.start_painting(look.font(Type.SMALL))
        metrics = self.metrics(Type.SMALL)
        legend = metrics.height() + px(8)
        box = QRectF(self.rect()).adjusted(
            px(40), legend, -metrics.horizontalAdvance("500 ms") / 2, -metrics.height() - px(10)
        )
        widest = max((points[-2][0] for _, points in self.curves if points), default=0.0)
        top = float(next((step for step in _STEPS if step >= widest), _STEPS[-1]))
        for number in range(6):
            x = box.left() + box.width() * number / 5
            painter.setPen(QPen(look.colour(Role.GRID), look.border))
            painter.drawLine(QPointF(x, box.top()), QPointF(x, box.bottom()))
            painter.setPen(look.colour(Role.TEXT3))
            where = QRectF(x - px(40), box.bottom() + px(7), px(80), metrics.height())
            painter.drawText(where, Qt.AlignmentFlag.AlignCenter, f"{top * number / 5:g} ms")
        for share in (0.0, 0.5, 1.0):
            y = box.bottom() - box.height() * share
            painter.setPen(QPen(look.colour(Role.GRID), look.border))
            painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
            painter.setPen(look.colour(Role.TEXT3))
            where = QRectF(0, y - metrics.height() / 2, box.left() - px(6), metrics.height())
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(where, right, f"{share:.0%}")
        left = box.left()
        for index, (name, points) in enumerate(self.curves):
            stroke = QPen(look.series(index), px(2), _STROKES[index % len(_STROKES)])
            painter.setPen(stroke)
            painter.drawLine(QPointF(left, legend / 2), QPointF(left + px(26), legend / 2))
            painter.drawPolyline(
                QPolygonF(
                    [
                        QPointF(
                            box.left() + box.width() * min(value, top) / top,
                            box.bottom() - box.height() * share,
                        )
                        for value, share in points
                    ]
                )
            )
            painter.setPen(look.colour(Role.TEXT2))
            room = (box.right() - box.left()) / max(1, len(self.curves)) - px(40)
            told = metrics.elidedText(name, Qt.TextElideMode.ElideRight, room)
            painter.drawText(
                QPointF(left + px(32), legend / 2 + metrics.ascent() / 2 - px(1)), told
            )
            left += px(32) + metrics.horizontalAdvance(told) + px(18)
        painter.end()


class LoadGraph(Painted):
    """By how much one frame in twenty came late, a bar for each number of callers, with the line of 80 ms."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        """Make an empty graph.

        Args:
            name: What it shows, for assistive technology.
        """
        super().__init__(parent)
        self._name = name
        self.steps: tuple[LoadStep, ...] = ()
        self._most = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(name)

    def show_steps(self, steps: Sequence[LoadStep], most: int) -> None:
        """Show other steps, on an axis up to `most` callers."""
        self.steps, self._most = tuple(steps), max(1, most)
        told = [
            tr("{n}: {ms} ms", n=step.callers, ms=round(step.p95_ms))
            + (f", {tr('late')}" if step.late else "")
            for step in self.steps
        ]
        self.setAccessibleName(". ".join([self._name, *told]))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(480), self.look.px(260))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(260), self.look.px(140))

    def paintEvent(self, _event: QPaintEvent) -> None:
        look, px = self.look, self.look.pxf
        painter = self.start_painting(look.font(Type.SMALL))
        metrics = self.metrics(Type.SMALL)
        box = QRectF(self.rect()).adjusted(
            px(56), metrics.height() + px(4), -px(8), -metrics.height() - px(8)
        )
        top = max(1.5 * LINE_MS, *(1.1 * step.p95_ms for step in self.steps), 0.0)
        painter.setPen(QPen(look.colour(Role.BORDER_STRONG), look.border))
        painter.drawLine(box.bottomLeft(), box.bottomRight())
        room = box.width() / self._most
        wide = min(px(64), 0.62 * room)
        each = max(1, round(metrics.horizontalAdvance("00") * 1.6 / room + 0.5))
        for number in range(1, self._most + 1):
            if number == 1 or number % each == 0:
                painter.setPen(look.colour(Role.TEXT3))
                where = QRectF(
                    box.left() + room * (number - 0.5) - px(30), box.bottom() + px(4),
                    px(60), metrics.height(),
                )  # fmt: skip
                painter.drawText(where, Qt.AlignmentFlag.AlignCenter, str(number))
        for step in self.steps:
            middle = box.left() + room * (step.callers - 0.5)
            height = max(px(2), box.height() * min(step.p95_ms, top) / top)
            tone = Role.ERR if step.late else Role.WARN if step.own_fault else Role.ACCENT
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour(tone))
            bar = QRectF(middle - wide / 2, box.bottom() - height, wide, height)
            painter.drawRoundedRect(bar, px(2), px(2))
            if step.late:
                painter.setPen(look.colour(Role.ERR))
                where = QRectF(
                    middle - px(40), bar.top() - metrics.height(), px(80), metrics.height()
                )
                painter.drawText(where, Qt.AlignmentFlag.AlignCenter, tr("late"))
        y = box.bottom() - box.height() * LINE_MS / top
        painter.setPen(QPen(look.colour(Role.ERR), px(1.4), Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(box.left(), y), QPointF(box.right(), y))
        painter.setPen(look.colour(Role.TEXT2))
        where = QRectF(0, y - metrics.height() / 2, box.left() - px(6), metrics.height())
        painter.drawText(
            where, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{LINE_MS:.0f} ms"
        )
        painter.end()
