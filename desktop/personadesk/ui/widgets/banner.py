"""One message across the page: what happened, what it means, what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets.buttons import Button, Kind
from personadesk.ui.widgets.card import hbox, vbox
from personadesk.ui.widgets.state import SHAPE_ROLE, Shape, StateShape
from personadesk.ui.widgets.text import label

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MessageBanner"]


class MessageBanner(QFrame):
    """A message with its shape, what can be done, and a way to put it away.

    Signals:
        acted: A button was pressed (its index).
        closed: The message was put away.
    """

    acted = Signal(int)
    closed = Signal()

    def __init__(
        self,
        title: str,
        text: str = "",
        *,
        shape: Shape = Shape.WARN,
        word: str = "",
        actions: Sequence[str] = (),
        closable: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        """Make the banner.

        Args:
            title: What happened.
            text: What it means.
            shape: State shape; it decides the colours.
            word: The state in a word, for assistive technology.
            actions: Texts of its buttons.
            closable: Whether it can be put away.
        """
        super().__init__(parent)
        self.setProperty("kind", "banner")
        self.setProperty("tone", SHAPE_ROLE[shape].value)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(". ".join(part.rstrip(".") for part in (title, text) if part))
        row = hbox(self, gap=12, margin=10)
        row.addSpacing(2)
        row.addWidget(StateShape(shape, word or title, size=18))
        column = vbox(gap=2)
        column.addWidget(label(title, weight=600, wrap=True))
        if text:
            column.addWidget(label(text, Type.BODY, Role.TEXT2, wrap=True))
        row.addLayout(column, 1)
        for index, action in enumerate(actions):
            button = Button(action)
            button.clicked.connect(lambda _checked=False, index=index: self.acted.emit(index))
            row.addWidget(button, alignment=Qt.AlignmentFlag.AlignVCenter)
        if closable:
            close = Button(kind=Kind.ICON, icon="close", name=tr("Put this message away"))
            close.clicked.connect(self.closed)
            close.clicked.connect(self.hide)
            row.addWidget(close, alignment=Qt.AlignmentFlag.AlignVCenter)
