"""The fields of an account at one provider: pasted keys are tried shortly after, and what is wrong is told by name.

Secrets are only ever in the fields; from there they go to the keyring. `@NAME` refers to an environment variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QLineEdit, QWidget

from personadesk.domain.account import ENVIRONMENT
from personadesk.providers.accounts import Given
from personadesk.ui.deploy.form import FormField
from personadesk.ui.i18n import show, tr
from personadesk.ui.rented import offer_words
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import (
    Button,
    ErrorPanel,
    Kind,
    Shape,
    StateShape,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from PySide6.QtWidgets import QVBoxLayout

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.provider import Field, ProviderFacts
    from personadesk.ui.rented.model import AccountState, Rented

__all__ = ["KeyForm"]

TRY_MS = 300
"""So soon after a paste a key is tried."""
PASTED = 8
"""So many characters at once are pasted, not typed."""
LONGEST_NAME = 40


class KeyForm(QWidget):
    """Asks for what an account needs, tries it, and says what came of it.

    Signals:
        connected: An account works (its name).
    """

    connected = Signal(str)

    def __init__(self, facts: ProviderFacts, rented: Rented, parent: QWidget | None = None) -> None:
        """Make empty fields.

        Args:
            facts: The provider.
            rented: Adds the account.
        """
        super().__init__(parent)
        self._facts = facts
        self._rented = rented
        self._tried: dict[str, str] = {}
        self._adding = ""
        self._lengths: dict[str, int] = {}
        self._panel_key: object = None
        self.fields: dict[str, FormField] = {}
        column = vbox(self, gap=14)
        self._inputs = QWidget()
        inner = vbox(self._inputs, gap=14)
        for field in facts.fields:
            inner.addLayout(self._make_field(field))
        column.addWidget(self._inputs)
        told = hbox(gap=10)
        self._shape = StateShape(Shape.UNKNOWN, "", size=16)
        self._told = label("", Type.BODY, wrap=True)
        told.addWidget(self._shape)
        told.addWidget(self._told, 1)
        self._answer = QWidget()
        self._answer.setLayout(told)
        column.addWidget(self._answer)
        self._trouble = vbox()
        column.addLayout(self._trouble)
        self._hint = label(
            tr(
                "Keys are kept in your system’s keyring. To keep one elsewhere, type @ and the name of "
                "an environment variable that has it."
            ),
            Type.SMALL,
            Role.TEXT3,
            wrap=True,
        )
        column.addWidget(self._hint)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TRY_MS)
        self._timer.timeout.connect(self._try_if_whole)
        rented.attempt_changed.connect(self._follow)
        rented.accounts_changed.connect(self._follow)
        rented.added.connect(self._added)
        self._follow()

    @property
    def state(self) -> AccountState | None:
        """The account at this provider, None before there is one."""
        there = self._rented.of_provider(self._facts.id)
        return there[0] if there else None

    def submit(self) -> bool:
        """Try what is in the fields; returns False when something is missing, and says what."""
        missing = [field for field in self._facts.fields if self._fault(field)]
        for field in self._facts.fields:
            self.fields[field.name].set_fault(self._fault(field))
        if missing:
            self.fields[missing[0].name].edit.setFocus()
            return False
        self._try()
        return True

    @property
    def is_busy(self) -> bool:
        """Whether what was typed is being tried."""
        return bool(self._adding) and self._rented.attempt.busy

    @property
    def is_touched(self) -> bool:
        """Whether a secret was typed."""
        return any(
            self.fields[field.name].edit.text().strip()
            for field in self._facts.fields
            if field.secret
        )

    def take_attempt(self, name: str) -> None:
        """Show how the adding of an account goes that was begun before the form was made."""
        self._adding = name
        self._follow()

    def focus_first(self) -> None:
        """Put the keyboard on the first field."""
        next(iter(self.fields.values())).edit.setFocus()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_field(self, field: Field) -> QVBoxLayout:
        column = vbox(gap=2)
        made = FormField(
            show(field.title)
            if not field.optional
            else tr("{title} (may stay empty)", title=show(field.title)),
            hint=show(field.rights),
            name=f"{self._facts.title}: {show(field.title)}",
        )
        if field.secret:
            made.edit.setEchoMode(QLineEdit.EchoMode.Password)
            eye = Button(kind=Kind.ICON, icon="eye", name=tr("Show {what}", what=show(field.title)))
            eye.setCheckable(True)
            eye.toggled.connect(lambda on: self._show_secret(made, eye, on))
            made.add_beside(eye)
            paste = Button(tr("Paste"), name=tr("Paste {what}", what=show(field.title)))
            paste.clicked.connect(lambda: self._paste(field))
            made.add_beside(paste)
        elif field.default:
            made.edit.setText(field.default)
        made.edit.textEdited.connect(lambda text: self._typed(field, text))
        made.edit.returnPressed.connect(self.submit)
        made.left.connect(self._left)
        self.fields[field.name] = made
        column.addWidget(made)
        if field.where:
            link = Button(
                tr("Where do I find this?"), kind=Kind.LINK,
                name=tr("Where do I find this: {what}", what=show(field.title)),
            )  # fmt: skip
            link.setToolTip(field.where)
            link.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(field.where)))
            row = hbox()
            row.addWidget(link)
            row.addStretch(1)
            column.addLayout(row)
        return column

    @staticmethod
    def _show_secret(made: FormField, eye: Button, on: bool) -> None:
        mode = QLineEdit.EchoMode.Normal if on else QLineEdit.EchoMode.Password
        made.edit.setEchoMode(mode)
        eye.set_icon("eye-off" if on else "eye")

    # -- trying -----------------------------------------------------------------------------------------------

    def _paste(self, field: Field) -> None:
        self.fields[field.name].edit.setText(QGuiApplication.clipboard().text().strip())
        self.fields[field.name].set_fault("")
        self._timer.start()

    def _typed(self, field: Field, text: str) -> None:
        self.fields[field.name].set_fault("")
        grown = len(text) - self._lengths.get(field.name, 0)
        self._lengths[field.name] = len(text)
        if grown >= PASTED:
            self._timer.start()
        else:
            self._timer.stop()

    def _left(self) -> None:
        if self.is_touched:
            self._try_if_whole()

    def _try_if_whole(self) -> None:
        if not any(self._fault(field) for field in self._facts.fields):
            self._try()

    def _values(self) -> dict[str, str]:
        typed = {name: field.edit.text().strip() for name, field in self.fields.items()}
        return {name: value for name, value in typed.items() if value}

    def _try(self) -> None:
        values = self._values()
        if self._rented.attempt.busy or values == self._tried:
            return
        self._tried = values
        there = self.state
        if there is not None:
            self._adding = there.account.name
            self._rented.replace(self._adding, values)
            return
        self._adding = self._free_name()
        self._rented.add(Given(self._adding, self._facts.id, values))

    def _free_name(self) -> str:
        taken = {state.account.name.casefold() for state in self._rented.accounts}
        title = self._facts.title[: LONGEST_NAME - 3]
        name, number = title, 1
        while name.casefold() in taken:
            number += 1
            name = f"{title} {number}"
        return name

    def _fault(self, field: Field) -> str:
        typed = self.fields[field.name].edit.text().strip()
        if not typed:
            return "" if field.optional else tr("This is needed.")
        if (
            typed.startswith(ENVIRONMENT)
            or not field.pattern
            or re.fullmatch(field.pattern, typed, re.DOTALL)
        ):
            return ""
        return tr(
            "This does not look like one of {provider}. Was all of it copied?",
            provider=self._facts.title,
        )

    # -- showing ----------------------------------------------------------------------------------------------

    def _added(self, name: str) -> None:
        if name == self._adding:
            for field in self._facts.fields:
                if field.secret:
                    self.fields[field.name].edit.clear()
            self._tried = {}
            self.connected.emit(name)

    def _follow(self) -> None:
        state = self.state
        mine = bool(self._adding)
        attempt = self._rented.attempt
        error = attempt.error if mine else None
        info = state.info if state is not None else None
        good = state is not None and info is not None and not info.missing
        self._inputs.setVisible(not good)
        self._hint.setVisible(not good)
        self._answer.setVisible(True)
        if self.is_busy:
            self._say(Shape.BUSY, tr("Trying it…"))
        elif info is not None:
            lacking = offer_words.missing(info)
            who = tr("As {who}.", who=info.who) if info.who else ""
            told = " ".join(part for part in (offer_words.rights(info), lacking, who) if part)
            self._say(Shape.WARN if lacking else Shape.OK, told)
        elif state is not None:
            self._say(Shape.BUSY, tr("Being checked…"))
        else:
            self._answer.setVisible(False)
        self._show_trouble(error)

    def _say(self, shape: Shape, told: str) -> None:
        self._shape.set_state(
            shape, {Shape.OK: tr("Good"), Shape.BUSY: tr("Busy")}.get(shape, tr("Not right yet"))
        )
        self._told.setText(told)

    def _show_trouble(self, error: PersonaDeskError | None) -> None:
        if error is self._panel_key:
            return
        self._panel_key = error
        clear_layout(self._trouble)
        if error is not None:
            panel = ErrorPanel.of(
                error, [tr("Try again"), tr("Open {provider}", provider=self._facts.title)]
            )
            panel.acted.connect(self._acted)
            self._trouble.addWidget(panel)

    def _acted(self, index: int) -> None:
        if index == 0:
            self._tried = {}
            self.submit()
        else:
            where = next(
                (field.where for field in self._facts.fields if field.where), self._facts.site
            )
            QDesktopServices.openUrl(QUrl(where))
