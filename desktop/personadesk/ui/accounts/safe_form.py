"""What is asked where a computer has no keyring: in memory only, in a file with a passphrase, or by variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLineEdit, QWidget

from personadesk.store.vault import LEAST_LENGTH
from personadesk.ui.deploy.form import FormField
from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Button, Kind, Shape, StateShape, hbox, label, vbox

if TYPE_CHECKING:
    from personadesk.ui.rented.model import Rented

__all__ = ["SafeForm"]


class SafeForm(QFrame):
    """Says that there is no safe place for keys, and makes one.

    Signals:
        chosen: Keys can be kept now.
        variables_chosen: The user wants to name environment variables instead.
    """

    chosen = Signal()
    variables_chosen = Signal()

    def __init__(self, rented: Rented, parent: QWidget | None = None) -> None:
        """Ask what shall be done, or for the passphrase where there is a file already.

        Args:
            rented: Keeps the keys.
        """
        super().__init__(parent)
        self._rented = rented
        self._locked = rented.locked
        self.setProperty("kind", "banner")
        self.setProperty("tone", Role.WARN.value)
        title = (
            tr("Your keys are in a file that a passphrase opens.")
            if self._locked
            else tr("This system has no safe place for keys.")
        )
        self.setAccessibleName(title)
        row = hbox(self, gap=12, margin=14)
        row.addWidget(
            StateShape(Shape.WARN, tr("Question"), size=20), alignment=Qt.AlignmentFlag.AlignTop
        )
        column = vbox(gap=10)
        column.addWidget(label(title, Type.CARD_TITLE, weight=600, wrap=True))
        self._told = label("", Type.BODY, Role.TEXT2, wrap=True)
        column.addWidget(self._told)
        self._ways = QWidget()
        ways = vbox(self._ways, gap=8)
        self.memory = Button(tr("Only until I quit"))
        self.memory.clicked.connect(self._take_memory)
        self.file = Button(tr("File with a passphrase"), kind=Kind.PRIMARY)
        self.file.clicked.connect(self._show_passphrase)
        self.variables = Button(tr("Use environment variables"))
        self.variables.clicked.connect(self._take_variables)
        for button in (self.file, self.memory, self.variables):
            ways.addWidget(button)
        column.addWidget(self._ways)
        column.addWidget(self._make_passphrase())
        row.addLayout(column, 1)
        if self._locked:
            self._show_passphrase()
        else:
            self._told.setText(
                tr("Choose where they are kept. They are never written where others can read them.")
            )
            self._passphrase.hide()
        rented.safe_changed.connect(self._follow)

    def focus_first(self) -> None:
        """Put the keyboard on the passphrase, or on the first way."""
        wanted: QWidget = self.passphrase.edit if not self._passphrase.isHidden() else self.file
        wanted.setFocus(Qt.FocusReason.OtherFocusReason)

    def submit(self) -> None:
        """Open the file, or say what is wrong."""
        typed = self.passphrase.edit.text()
        short = not self._locked and len(typed) < LEAST_LENGTH
        self.passphrase.set_fault(
            tr("Take {n} characters or more; some words in a row are good.", n=LEAST_LENGTH)
            if short
            else ""
        )
        differs = not self._locked and not short and self.again.edit.text() != typed
        self.again.set_fault(tr("The two are not the same.") if differs else "")
        if short or differs:
            (self.passphrase if short else self.again).edit.setFocus()
            return
        self.open.setEnabled(False)
        self._rented.unlock(typed)

    def _make_passphrase(self) -> QWidget:
        self._passphrase = QWidget()
        column = vbox(self._passphrase, gap=10)
        self.passphrase = FormField(tr("&Passphrase"))
        self.again = FormField(tr("The same &again"))
        for field in (self.passphrase, self.again):
            field.edit.setEchoMode(QLineEdit.EchoMode.Password)
            field.edit.returnPressed.connect(self.submit)
            column.addWidget(field)
        self.again.setVisible(not self._locked)
        self.open = Button(
            tr("Unlock") if self._locked else tr("Keep keys in this file"), kind=Kind.PRIMARY
        )
        self.open.clicked.connect(self.submit)
        buttons = hbox()
        buttons.addWidget(self.open)
        buttons.addStretch(1)
        column.addLayout(buttons)
        return self._passphrase

    def _show_passphrase(self) -> None:
        self._ways.hide()
        self._passphrase.show()
        self._told.setText(
            tr("It is asked once each time PersonaDesk starts.")
            if self._locked
            else tr(
                "PersonaDesk asks for it once each time it starts. Nobody can open the file without it, "
                "and nobody can find it again for you."
            )
        )
        self.passphrase.edit.setFocus()

    def _take_memory(self) -> None:
        self._rented.keep_in_memory()

    def _take_variables(self) -> None:
        self._ways.hide()
        self._told.setText(
            tr(
                "Set a variable before PersonaDesk starts, then type @ and its name as the key, for "
                "example @PROVIDER_API_KEY. Its content is never written."
            )
        )
        self.variables_chosen.emit()

    def _follow(self) -> None:
        self.open.setEnabled(True)
        error = self._rented.safe.error
        if error is not None:
            self.passphrase.set_fault(f"{show(error.what)} {show(error.next)}".rstrip())
            self.passphrase.edit.setFocus()
            self.passphrase.edit.selectAll()
            return
        for field in (self.passphrase, self.again):
            field.edit.clear()
        self.chosen.emit()
