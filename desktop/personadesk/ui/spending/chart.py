"""What each day cost, as bars; a day with an estimate is hatched, so that it is not told by colour alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.moments import day
from personadesk.ui.money import dollars
from personadesk.ui.spending import words
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from personadesk.domain.money import Amount

__all__ = ["DayBars"]

_HEIGHT, _MOST_HEIGHT = 150, 260


class DayBars(Painted):
    """A bar a day, today the last."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._days: list[tuple[date, Amount]] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMaximumHeight(self.look.px(_MOST_HEIGHT))
        self.show_days({})

    def show_days(self, days: Mapping[date, Amount]) -> None:
        """Show other days."""
        self._days = list(days.items())
        self.setAccessibleName(self._spoken())
        self.update()

    def _spoken(self) -> str:
        if not self._days:
            return tr("Cost per day: nothing yet")
        most = max(self._days, key=lambda pair: pair[1].dollars)
        return tr(
            "Cost per day: today {today}, at most {most} on {day}",
            today=words.amount(self._days[-1][1]),
            most=words.amount(most[1]),
            day=day(most[0]),
        )

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(320), self.look.px(_HEIGHT))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(160), self.look.px(_HEIGHT))

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and self._days:
            number = int(
                (event.pos().x() - self._field().left()) / self._field().width() * len(self._days)
            )
            if 0 <= number < len(self._days):
                each, spent = self._days[number]
                QToolTip.showText(event.globalPos(), f"{day(each)}: {words.amount(spent)}", self)
            return True
        return super().event(event)

    def _field(self) -> QRectF:
        line = self.metrics(Type.SMALL).height()
        return QRectF(0, line + 4, self.width(), max(1.0, self.height() - 2 * line - 10))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting(self.look.font(Type.SMALL))
        field = self._field()
        top = max((spent.dollars for _, spent in self._days), default=0.0)
        painter.setPen(self.look.colour(Role.GRID))
        painter.drawLine(field.topLeft(), field.topRight())
        painter.drawLine(field.bottomLeft(), field.bottomRight())
        painter.setPen(self.look.colour(Role.TEXT3))
        painter.drawText(
            QRectF(0, 0, field.width(), field.top()), Qt.AlignmentFlag.AlignLeft, dollars(top)
        )
        if self._days:
            self._paint_days(painter, field, top)
        painter.end()

    def _paint_days(self, painter: QPainter, field: QRectF, top: float) -> None:
        below = QRectF(0, field.bottom() + 4, field.width(), self.height() - field.bottom() - 4)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, day(self._days[0][0]))
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, tr("Today"))
        colour = self.look.series(0)
        step = field.width() / len(self._days)
        gap = min(4.0, step / 4)
        painter.setPen(Qt.PenStyle.NoPen)
        for number, (_, spent) in enumerate(self._days):
            if not spent.dollars or not top:
                continue
            height = max(2.0, field.height() * spent.dollars / top)
            bar = QRectF(
                field.left() + number * step + gap / 2, field.bottom() - height, step - gap, height
            )
            painter.setBrush(colour)
            painter.drawRect(bar)
            if spent.guessed:
                painter.setBrush(QBrush(self.look.colour(Role.SURFACE), Qt.BrushStyle.BDiagPattern))
                painter.drawRect(bar)
