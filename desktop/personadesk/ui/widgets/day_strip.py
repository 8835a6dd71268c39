"""The last 24 hours of a line in 96 bars of a quarter of an hour; height says what colour says."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.theme import Role
from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtGui import QPaintEvent

__all__ = ["QUARTERS", "DayStrip", "Quarter"]

QUARTERS = 96


class Quarter(StrEnum):
    """What a line did in a quarter of an hour."""

    UP = "up"
    MOVING = "moving"
    ASLEEP = "asleep"
    FAILED = "failed"
    NONE = "none"


_LOOK = {
    Quarter.UP: (1.0, Role.OK),
    Quarter.MOVING: (0.5, Role.ACCENT),
    Quarter.ASLEEP: (0.28, Role.OFF),
    Quarter.FAILED: (1.0, Role.ERR),
}


class DayStrip(Painted):
    """96 bars, oldest first."""

    def __init__(
        self, quarters: Sequence[Quarter], name: str, parent: QWidget | None = None
    ) -> None:
        """Make the strip.

        Args:
            quarters: Oldest first; where there are fewer than 96, nothing is known of the time before.
            name: The sum in words, for assistive technology.
        """
        super().__init__(parent)
        self._quarters: tuple[Quarter, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_quarters(quarters, name)

    def set_quarters(self, quarters: Sequence[Quarter], name: str) -> None:
        """Show another day."""
        recent = tuple(quarters)[-QUARTERS:]
        self._quarters = (Quarter.NONE,) * (QUARTERS - len(recent)) + recent
        self.setAccessibleName(name)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(300), self.look.px(22))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(192), self.look.px(22))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting()
        painter.setPen(Qt.PenStyle.NoPen)
        width, height = float(self.width()), float(self.height())
        pitch = width / QUARTERS
        bar = max(1.0, pitch * 0.6)
        for index, quarter in enumerate(self._quarters):
            left = index * pitch
            if quarter is Quarter.NONE:
                painter.setBrush(self.look.colour(Role.BORDER_STRONG))
                painter.drawRect(QRectF(left, height - 1.6, min(bar, 1.8), 1.6))
                continue
            share, role = _LOOK[quarter]
            painter.setBrush(self.look.colour(role))
            top = height * (1 - share)
            if quarter is Quarter.FAILED:
                painter.drawRect(QRectF(left, 0, bar, height * 0.22))
                top = height * 0.40
            painter.drawRect(QRectF(left, top, bar, height - top))
        painter.end()
