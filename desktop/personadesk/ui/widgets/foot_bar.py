"""The bar at the foot of a page: ways out at the left, what it costs, and the way on at the right."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.card import hbox
from personadesk.ui.widgets.text import ElidedLabel

__all__ = ["FootBar"]


class FootBar(QFrame):
    """Buttons and one sentence; the primary button is added last and stands at the far right."""

    def __init__(self, sentence: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "footbar")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        row = hbox(self)
        px = theme().px
        row.setContentsMargins(px(24), px(14), px(24), px(14))
        row.setSpacing(px(12))
        self._left = hbox(gap=10)
        self._middle = hbox(gap=12)
        self._right = hbox(gap=10)
        self._sentence = ElidedLabel(sentence, Type.SMALL, Role.TEXT2)
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row.addLayout(self._left)
        row.addWidget(self._sentence, 1)
        row.addLayout(self._middle)
        row.addLayout(self._right)

    def add_left(self, widget: QWidget) -> None:
        """Add a way out."""
        self._left.addWidget(widget)

    def add_middle(self, widget: QWidget) -> None:
        """Add what is used during the work, as in a call."""
        self._middle.addWidget(widget)

    def add_right(self, widget: QWidget) -> None:
        """Add a way on."""
        self._right.addWidget(widget)

    def set_sentence(self, sentence: str) -> None:
        """Say what goes on costs."""
        self._sentence.setText(sentence)
