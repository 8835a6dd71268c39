"""A word on a rounded ground: a state with its shape, or a short fact such as a price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets.base import Painted
from personadesk.ui.widgets.state import SHAPE_ROLE, SHAPE_SOFT, Shape, paint_shape

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

__all__ = ["Pill"]

_WEIGHT = 600


class Pill(Painted):
    """A state or a fact in a word or two."""

    def __init__(
        self,
        word: str,
        shape: Shape | None = None,
        *,
        tone: Role = Role.OFF,
        ground: Role = Role.OFF_SOFT,
        parent: QWidget | None = None,
    ) -> None:
        """Make the pill.

        Args:
            word: What it says.
            shape: State shape before the word; it then decides the colours.
            tone: Colour of the word where there is no shape.
            ground: Colour behind it where there is no shape.
        """
        super().__init__(parent)
        self._plain = (tone, ground)
        self._shape: Shape | None = None
        self._word = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.set_state(word, shape)

    @property
    def word(self) -> str:
        """What it says."""
        return self._word

    @property
    def shape(self) -> Shape | None:
        """The shape before the word."""
        return self._shape

    def set_state(self, word: str, shape: Shape | None = None) -> None:
        """Say something else."""
        if (word, shape) == (self._word, self._shape):
            return
        self._word, self._shape = word, shape
        self.setAccessibleName(word)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        px = self.look.px
        width = self.metrics(Type.SMALL, _WEIGHT).horizontalAdvance(self._word) + 2 * px(9)
        if self._shape is not None:
            width += px(12) + px(5)
        return QSize(round(width) + 1, px(24))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        px = self.look.pxf
        tone, ground = self._plain
        if self._shape is not None:
            tone = SHAPE_ROLE[self._shape]
            ground = SHAPE_SOFT.get(self._shape, Role.OFF_SOFT)
        if tone is Role.BORDER_STRONG:  # Strong enough for an outline, not for a word.
            tone = Role.TEXT2
        painter = self.start_painting(self.look.font(Type.SMALL, _WEIGHT))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.look.colour(ground))
        box = QRectF(self.rect())
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        left = px(9)
        if self._shape is not None:
            size = px(12)
            paint_shape(painter, QRectF(left, (box.height() - size) / 2, size, size), self._shape)
            left += size + px(5)
        painter.setPen(self.look.colour(tone))
        painter.drawText(
            box.adjusted(left, 0, 0, 0),
            int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft),
            self._word,
        )
        painter.end()
