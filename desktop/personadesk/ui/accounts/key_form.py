"""The fields of an account at one provider: pasted keys are tried shortly after, and what is wrong is told by name.

Secrets are only ever in the fields; from there they go to the keyring. `@NAME` refers to an environment variable.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QLineEdit, QWidget

from personadesk.domain.account import ENVIRONMENT
from personadesk.domain.errors import AuthFailed, OutOfFunds
from personadesk.providers.accounts import Given
from personadesk.ui.accounts.safe_form import SafeForm
from personadesk.ui.announce import announce
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
LARGEST_FILE = 100_000
"""No file with a key is larger, in bytes."""


class KeyForm(QWidget):
    """Asks for what an account needs, tries it, and says what came of it.

    Signals:
        connected: An account works, or works again with another key (its name).
    """

    connected = Signal(str)

    def __init__(
        self,
        facts: ProviderFacts,
        rented: Rented,
        *,
        replacing: str = "",
        another: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """Make empty fields.

        Args:
            facts: The provider.
            rented: Adds the account.
            replacing: The account that gets another key; "" for the first one at this provider, or a new one where
                there is none.
            another: Whether a new account is made although there is one; its name is then asked for.
        """
        super().__init__(parent)
        self._facts = facts
        self._rented = rented
        self._replacing, self._another = replacing, another
        self._asks = another or bool(replacing)
        self._tried: dict[str, str] = {}
        self._trying = ""
        self._lengths: dict[str, int] = {}
        self._panel_key: PersonaDeskError | None = None
        self.fields: dict[str, FormField] = {}
        column = vbox(self, gap=14)
        self._inputs = QWidget()
        inner = vbox(self._inputs, gap=14)
        self.name: FormField | None = None
        if another:
            self.name = FormField(
                tr("&Name of the account"),
                hint=tr("What you call it, for example “Studio”; 40 characters at most."),
            )
            self.name.edit.setMaxLength(LONGEST_NAME)
            self.name.edit.setText(self._free_name())
            inner.addWidget(self.name)
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
                "Keys are kept in your system’s keyring, or where you choose when it has none. You can "
                "also type @ and the name of an environment variable that has the key."
            ),
            Type.SMALL, Role.TEXT3, wrap=True,
        )  # fmt: skip
        column.addWidget(self._hint)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(TRY_MS)
        self._timer.timeout.connect(self._try_if_whole)
        rented.attempt_changed.connect(self._follow)
        rented.accounts_changed.connect(self._follow)
        self._follow()

    @property
    def state(self) -> AccountState | None:
        """The account that the form is about, None before there is one."""
        if self._another:
            return None
        if self._replacing:
            return self._rented.account(self._replacing)
        there = self._rented.of_provider(self._facts.id)
        return there[0] if there else None

    @property
    def is_busy(self) -> bool:
        """Whether what was typed is being tried."""
        attempt = self._rented.attempt
        return bool(self._trying) and attempt.busy and attempt.name == self._trying

    @property
    def is_touched(self) -> bool:
        """Whether a secret was typed."""
        secrets = (self.fields[field.name] for field in self._facts.fields if field.secret)
        return any(field.edit.text().strip() for field in secrets)

    def submit(self) -> bool:
        """Try what is in the fields; returns False when something is missing, and says what."""
        for field in self._facts.fields:
            self.fields[field.name].set_fault(self._fault(field))
        faulty = [field for field in self.fields.values() if field.fault]
        if self.name is not None:
            self.name.set_fault(self._name_fault())
            faulty = [self.name, *faulty] if self.name.fault else faulty
        if faulty:
            faulty[0].edit.setFocus()
            return False
        self._try(again=True)
        return True

    def focus_first(self) -> None:
        """Put the keyboard on the first field that waits for something."""
        wanted = next((f for f in self.fields.values() if not f.edit.text()), None)
        (wanted or next(iter(self.fields.values()))).edit.setFocus()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_field(self, field: Field) -> QVBoxLayout:
        column = vbox(gap=2)
        what = show(field.title)
        made = FormField(
            tr("{title} (may stay empty)", title=what) if field.optional else what,
            hint=show(field.rights),
            name=f"{self._facts.title}: {what}",
        )
        if field.secret:
            self._make_secret(field, made, what)
        elif field.default:
            made.edit.setText(field.default)
        kept = self.state.account.settings if self._replacing and self.state is not None else {}
        if field.name in kept:
            made.edit.setText(kept[field.name])
        made.edit.textEdited.connect(lambda text: self._typed(field, text))
        made.edit.returnPressed.connect(self.submit)
        made.left.connect(lambda: self._left(field))
        self.fields[field.name] = made
        column.addWidget(made)
        if field.where:
            link = Button(
                tr("Where do I find this?"), kind=Kind.LINK, icon="external",
                name=tr("Where do I find this: {what}", what=what),
            )  # fmt: skip
            link.setToolTip(field.where)
            link.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(field.where)))
            row = hbox()
            row.addWidget(link)
            row.addStretch(1)
            column.addLayout(row)
        return column

    def _make_secret(self, field: Field, made: FormField, what: str) -> None:
        made.edit.setEchoMode(QLineEdit.EchoMode.Password)
        eye = Button(kind=Kind.ICON, icon="eye", name=tr("Show {what}", what=what))
        eye.setCheckable(True)
        eye.toggled.connect(lambda on: self._show_secret(made, eye, on))
        made.add_beside(eye)
        paste = Button(tr("Paste"), name=tr("Paste {what}", what=what))
        paste.clicked.connect(lambda: self._take(field, QGuiApplication.clipboard().text()))
        made.add_beside(paste)
        if field.multiline:
            choose = Button(tr("Choose file…"), name=tr("Choose the file with {what}", what=what))
            choose.clicked.connect(lambda: self._choose_file(field))
            made.add_beside(choose)

    @staticmethod
    def _show_secret(made: FormField, eye: Button, on: bool) -> None:
        mode = QLineEdit.EchoMode.Normal if on else QLineEdit.EchoMode.Password
        made.edit.setEchoMode(mode)
        eye.set_icon("eye-off" if on else "eye")

    def _choose_file(self, field: Field) -> None:
        dialog = QFileDialog(self, show(field.title), str(Path.home()))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda file: self.read_file(field.name, Path(file)))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def read_file(self, name: str, file: Path) -> None:
        """Take what a file holds into a field, or say beside the field why not."""
        field = next(each for each in self._facts.fields if each.name == name)
        try:
            text = _read(file)
        except (OSError, ValueError):
            self.fields[name].set_fault(tr("{file} cannot be read as a key.", file=file.name))
            return
        self._take(field, text)

    # -- trying -----------------------------------------------------------------------------------------------

    def _take(self, field: Field, text: str) -> None:
        """Put a pasted text into its field; its lines are joined, as a line has room for one only."""
        made = self.fields[field.name]
        made.edit.setText(" ".join(text.split("\n")).strip())
        made.set_fault(self._fault(field) if text.strip() else "")
        self._lengths[field.name] = len(made.edit.text())
        self._timer.start()

    def _typed(self, field: Field, text: str) -> None:
        self.fields[field.name].set_fault("")
        grown = len(text) - self._lengths.get(field.name, 0)
        self._lengths[field.name] = len(text)
        if grown >= PASTED:
            self._timer.start()
        else:
            self._timer.stop()

    def _left(self, field: Field) -> None:
        made = self.fields[field.name]
        if made.edit.text().strip():
            made.set_fault(self._fault(field))
        if self.is_touched:
            self._try_if_whole()

    def _try_if_whole(self) -> None:
        name = self._name_fault() if self.name is not None else ""
        if not name and not any(self._fault(field) for field in self._facts.fields):
            self._try()

    def _values(self) -> dict[str, str]:
        typed = {name: field.edit.text().strip() for name, field in self.fields.items()}
        return {name: value for name, value in typed.items() if value}

    def _try(self, *, again: bool = False) -> None:
        values = self._values()
        if self._rented.attempt.busy or (values == self._tried and not again):
            return
        self._tried = values
        there = self.state
        if there is not None:
            self._trying = there.account.name
            self._rented.replace(self._trying, values)
            return
        self._trying = self.name.edit.text().strip() if self.name is not None else self._free_name()
        self._rented.add(Given(self._trying, self._facts.id, values))

    def _taken(self) -> set[str]:
        return {state.account.name.casefold() for state in self._rented.accounts}

    def _free_name(self) -> str:
        title = self._facts.title[: LONGEST_NAME - 3]
        taken = self._taken()
        name, number = title, 1
        while name.casefold() in taken:
            number += 1
            name = f"{title} {number}"
        return name

    def _name_fault(self) -> str:
        name = self.name.edit.text().strip() if self.name is not None else ""
        if not name:
            return tr("This is needed.")
        if name.casefold() in self._taken():
            return tr("There is an account called “{name}” already.", name=name)
        return ""

    def _fault(self, field: Field) -> str:
        typed = self.fields[field.name].edit.text().strip()
        if not typed:
            stays = field.optional or field.default or self._keeps(field)
            return "" if stays else tr("This is needed.")
        if field.secret and typed.startswith(ENVIRONMENT):
            return ""
        if not field.pattern or re.fullmatch(field.pattern, typed, re.DOTALL):
            return ""
        return tr(
            "This does not look like one of {provider}. Was all of it copied?",
            provider=self._facts.title,
        )

    def _keeps(self, field: Field) -> bool:
        """Whether a field of several may stay empty: the account keeps what it has, as long as one changes."""
        state = self.state
        if not self._replacing or state is None or field.name not in state.account.credentials:
            return False
        return len(state.account.credentials) > 1 and self.is_touched

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        self._see_outcome()
        state = self.state
        attempt = self._rented.attempt
        mine = bool(self._trying) and attempt.name == self._trying
        info = state.info if state is not None and not self._asks else None
        good = info is not None and not info.missing
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
        elif state is not None and not self._asks:
            self._say(Shape.BUSY, tr("Being checked…"))
        else:
            self._answer.setVisible(False)
        self._show_trouble(attempt.error if mine else None)

    def _see_outcome(self) -> None:
        """Notice that what was tried works: the secrets leave the fields, and it is told."""
        attempt = self._rented.attempt
        if not self._trying or attempt.name != self._trying or attempt.busy:
            return
        if attempt.error is not None:
            if self._values() != self._tried:
                # Something was pasted while the provider was asked.
                self._timer.start()
            return
        announce(tr("Connected"))
        name, self._trying = self._trying, ""
        for field in self._facts.fields:
            if field.secret:
                self.fields[field.name].edit.clear()
                self._lengths[field.name] = 0
        self._tried = {}
        self.connected.emit(name)

    def _say(self, shape: Shape, told: str) -> None:
        words = {Shape.OK: tr("Good"), Shape.BUSY: tr("Busy")}
        self._shape.set_state(shape, words.get(shape, tr("Not right yet")))
        self._told.setText(told)

    def _show_trouble(self, error: PersonaDeskError | None) -> None:
        if error is self._panel_key:
            return
        self._panel_key = error
        clear_layout(self._trouble)
        if error is not None:
            announce(show(error.what), urgent=True)
            self._trouble.addWidget(self._make_panel(error))

    def _make_panel(self, error: PersonaDeskError) -> QWidget:
        if error.cause in {"no_keyring", "vault_locked"}:
            safe = SafeForm(self._rented)
            safe.chosen.connect(self.submit)
            safe.variables_chosen.connect(self._want_variable)
            return safe
        texts = [tr("Try again")]
        page = self._page_for(error)
        if page:
            texts.append(tr("Open {provider}", provider=self._facts.title))
        panel = ErrorPanel.of(error, texts)
        panel.acted.connect(
            lambda index: self.submit() if index == 0 else QDesktopServices.openUrl(QUrl(page))
        )
        return panel

    def _page_for(self, error: PersonaDeskError) -> str:
        """Return where what went wrong is mended; "" where no page helps."""
        if isinstance(error, OutOfFunds):
            return self._facts.billing
        if isinstance(error, AuthFailed):
            pages = (field.where for field in self._facts.fields if field.where)
            return next(pages, self._facts.site)
        return self._facts.status

    def _want_variable(self) -> None:
        first = next((field for field in self._facts.fields if field.secret), None)
        if first is not None:
            self.fields[first.name].edit.clear()
            self.fields[first.name].edit.setFocus()


def _read(file: Path) -> str:
    with file.open("rb") as opened:
        held = opened.read(LARGEST_FILE + 1)
    if len(held) > LARGEST_FILE:
        raise ValueError("no key is as large as that")
    return held.decode()
