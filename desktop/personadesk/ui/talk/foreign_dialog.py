"""Asks for the voice server of somebody else: its address, a name, and the token that it wants.

The token is only ever in its field, masked, and goes from there to the keyring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QDialog, QLineEdit

from personadesk.ui.deploy.form import FormField
from personadesk.ui.dialogs import Choice, Question
from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, ErrorPanel, Kind, clear_layout, hbox, label, vbox

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.ui.talk.foreign import Foreign

__all__ = ["ForeignDialog", "ask_forget_server"]

LONGEST_NAME = 40
DO = "do"
OF_ADDRESS = {"address", "password", "url_taken"}
OF_NAME = {"name", "name_taken"}


class ForeignDialog(QDialog):
    """The dialog; it stays open until what was typed is kept."""

    def __init__(self, parent: QWidget, foreign: Foreign, name: str = "") -> None:
        """Make empty fields.

        Args:
            parent: Window that it belongs to.
            foreign: Keeps servers and tokens.
            name: The kept server that wants another token; "" for a server that is not kept yet.
        """
        super().__init__(parent)
        self._foreign, self._name = foreign, name
        self.setWindowTitle("PersonaDesk")
        self.setModal(True)
        self.setMinimumWidth(theme().px(480))
        title = tr("The token of “{name}”", name=name) if name else tr("Call another server")
        self.setAccessibleName(title)
        column = vbox(self, gap=14, margin=24)
        column.addWidget(label(title, Type.HEADING, wrap=True))
        self.address: FormField | None = None
        self.name: FormField | None = None
        if not name:
            column.addWidget(
                label(
                    tr("A voice server that PersonaDesk did not start: your own, one at work, or the line "
                       "of another computer."),
                    Type.BODY, Role.TEXT2, wrap=True,
                )
            )  # fmt: skip
            self.address = FormField(
                tr("&Address"), hint=tr("For example wss://voice.example.org/api/chat.")
            )
            self.name = FormField(
                tr("&Name"), hint=tr("What you call it; empty takes the address.")
            )
            self.name.edit.setMaxLength(LONGEST_NAME)
            column.addWidget(self.address)
            column.addWidget(self.name)
        self.token = FormField(
            tr("&Token"),
            hint=tr(
                "Only if it asks for one. It is kept in your system’s keyring and sent to this server alone; "
                "where the address begins with ws://, the network in between can read it."
            ),
        )
        self.token.edit.setEchoMode(QLineEdit.EchoMode.Password)
        column.addWidget(self.token)
        self._trouble = vbox()
        column.addLayout(self._trouble)
        row = hbox(gap=8)
        row.addStretch(1)
        self.cancel = Button(tr("Cancel"))
        self.cancel.clicked.connect(self.reject)
        self.keep = Button(tr("Keep"), kind=Kind.PRIMARY)
        self.keep.setDefault(True)
        self.keep.clicked.connect(self._keep)
        row.addWidget(self.cancel)
        row.addWidget(self.keep)
        column.addLayout(row)
        for field in self._fields():
            field.edit.textEdited.connect(lambda _text, field=field: field.set_fault(""))
        self.finished.connect(self.deleteLater)
        self._fields()[0].edit.setFocus()

    def _fields(self) -> list[FormField]:
        return [each for each in (self.address, self.name, self.token) if each is not None]

    def _keep(self) -> None:
        self.keep.setEnabled(False)
        clear_layout(self._trouble)
        token = self.token.edit.text()
        if self.address is None or self.name is None:
            self._foreign.give_token(self._name, token, self._told)
        else:
            self._foreign.add(self.address.edit.text(), self.name.edit.text(), token, self._told)

    def _told(self, error: PersonaDeskError | None) -> None:
        if error is None:
            self.token.edit.clear()
            self.accept()
            return
        self.keep.setEnabled(True)
        field = self._field_of(error.cause)
        if field is None:
            self._trouble.addWidget(
                ErrorPanel(show(error.what), show(error.next), details=error.details)
            )
            return
        field.set_fault(f"{show(error.what)} {show(error.next)}".strip())
        field.edit.setFocus()

    def _field_of(self, cause: str) -> FormField | None:
        if cause in OF_ADDRESS:
            return self.address
        if cause in OF_NAME:
            return self.name
        return self.token if cause == "token" else None


def ask_forget_server(parent: QWidget, foreign: Foreign, name: str) -> Question:
    """Ask before a server and its token are forgotten."""
    question = Question(
        parent,
        tr("Forget “{name}”?", name=name),
        tr("Its address and its token are forgotten on this computer; the server goes on."),
        [Choice(DO, tr("Forget"), Kind.DANGER)],
    )
    question.answered.connect(lambda key: foreign.forget(name) if key == DO else None)
    question.open()
    return question
