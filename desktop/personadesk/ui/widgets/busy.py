"""A ring that turns while something is under way; it stands still where less motion is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, QTimer
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.widgets.base import Painted
from personadesk.ui.widgets.state import Shape, paint_shape

if TYPE_CHECKING:
    from PySide6.QtGui import QHideEvent, QPaintEvent, QShowEvent

__all__ = ["TURN_MS", "BusyRing", "Turner"]

TURN_MS = 50
DEGREES = 360 * TURN_MS / 1000
"""One turn a second."""


class Turner(QTimer):
    """Drives turning rings of one widget while it is visible.

    Attributes:
        angle: Degrees turned so far.
    """

    def __init__(self, owner: QWidget, *, still: bool) -> None:
        super().__init__(owner)
        self.angle = 0.0
        self._still = still
        self.setInterval(TURN_MS)
        self.timeout.connect(self._turn)

    def run(self, running: bool) -> None:
        """Turn or rest."""
        if running and not self._still:
            if not self.isActive():
                self.start()
        else:
            self.stop()

    def _turn(self) -> None:
        self.angle = (self.angle + DEGREES) % 360


class BusyRing(Painted):
    """A three-quarter ring, one turn a second."""

    def __init__(self, name: str, *, size: int = 16, parent: QWidget | None = None) -> None:
        """Make the ring.

        Args:
            name: What is under way, for assistive technology.
            size: Edge at 13 px text.
        """
        super().__init__(parent)
        self._size = size
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._turner = Turner(self, still=self.look.reduced_motion)
        self._turner.timeout.connect(self.update)

    @property
    def turning(self) -> bool:
        """Whether it moves at this moment."""
        return self._turner.isActive()

    def sizeHint(self) -> QSize:
        edge = self.look.px(self._size)
        return QSize(edge, edge)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._turner.run(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._turner.run(False)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting()
        paint_shape(painter, QRectF(self.rect()), Shape.BUSY, turn=self._turner.angle)
        painter.end()
