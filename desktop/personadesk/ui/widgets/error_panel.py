"""A failure, told for people: what happened, what to do, buttons, and the raw answer folded away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QWidget

from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets.buttons import Button, Kind, Size
from personadesk.ui.widgets.card import hbox, vbox
from personadesk.ui.widgets.fold import Fold
from personadesk.ui.widgets.state import Shape, StateShape
from personadesk.ui.widgets.text import label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.errors import PersonaDeskError

__all__ = ["ErrorPanel"]


class ErrorPanel(QFrame):
    """Shape, sentence, what to do, one or two buttons, and a *Details* fold.

    Signals:
        acted: A button was pressed (its index).
    """

    acted = Signal(int)

    def __init__(
        self,
        what: str,
        next_: str = "",
        *,
        money: str = "",
        details: str = "",
        actions: Sequence[str] = (),
        opened: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make the panel.

        Args:
            what: What happened, one sentence.
            next_: What to do now.
            money: What it means for the bill.
            details: The raw answer, secrets removed.
            actions: Texts of the buttons, the best first.
            opened: Whether the details start unfolded.
        """
        super().__init__(parent)
        self.setProperty("kind", "banner")
        self.setProperty("tone", Role.ERR.value)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(" ".join(part for part in (what, next_, money) if part))
        self._details = details
        self._what = what
        row = hbox(self, gap=12, margin=14)
        row.addWidget(
            StateShape(Shape.ERR, tr("Failed"), size=20), alignment=Qt.AlignmentFlag.AlignTop
        )
        column = vbox(gap=6)
        column.addWidget(label(what, Type.CARD_TITLE, weight=600, wrap=True, selectable=True))
        for more in (next_, money):
            if more:
                column.addWidget(label(more, Type.BODY, Role.TEXT2, wrap=True, selectable=True))
        if actions:
            buttons = hbox(gap=8)
            for index, text in enumerate(actions):
                button = Button(text, kind=Kind.PRIMARY if index == 0 else Kind.PLAIN)
                button.clicked.connect(lambda _checked=False, index=index: self.acted.emit(index))
                buttons.addWidget(button)
            buttons.addStretch(1)
            column.addSpacing(theme().px(4))
            column.addLayout(buttons)
        if details:
            column.addWidget(self._make_fold(opened=opened))
        row.addLayout(column, 1)

    @classmethod
    def of(
        cls, error: PersonaDeskError, actions: Sequence[str] = (), parent: QWidget | None = None
    ) -> ErrorPanel:
        """Make the panel of one of the ten errors."""
        return cls(
            show(error.what),
            show(error.next),
            money=show(error.money),
            details=error.details,
            actions=actions,
            parent=parent,
        )

    def copy_details(self) -> None:
        """Put the sentence and the raw answer on the clipboard."""
        QGuiApplication.clipboard().setText(f"{self._what}\n\n{self._details}")

    def _make_fold(self, *, opened: bool) -> Fold:
        fold = Fold(tr("Details"), opened=opened, small=True)
        copy = Button(
            tr("Copy"), kind=Kind.QUIET, icon="copy", size=Size.SMALL, name=tr("Copy the details")
        )
        copy.clicked.connect(self.copy_details)
        fold.add_to_head(copy)
        text = QPlainTextEdit(self._details)
        text.setReadOnly(True)
        text.setTabChangesFocus(True)
        text.setProperty("kind", "log")
        text.setProperty("mono", "true")
        text.setAccessibleName(tr("Details"))
        text.setFixedHeight(theme().px(120))
        fold.body.addWidget(text)
        return fold
