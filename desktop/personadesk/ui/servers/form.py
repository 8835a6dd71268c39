"""The form that adds a machine. It shows the draft and the attempt that `Machines` holds; secrets stay in its fields.

An address is asked when its field is left. A machine that was never met shows its fingerprint once for consent.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QLineEdit, QScrollArea, QWidget

from personadesk.ui.deploy.form import FormField
from personadesk.ui.i18n import show, tr
from personadesk.ui.servers.draft import Login, MachineDraft, Spot, faults, tidied
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    BusyRing,
    Button,
    ComboBox,
    ErrorPanel,
    Kind,
    Segments,
    Shape,
    StateShape,
    clear_layout,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

    from personadesk.domain.host import SshAddress
    from personadesk.ui.servers.draft import Fault
    from personadesk.ui.servers.model import Machines

__all__ = ["MachineForm"]

_LOGINS = (Login.FILE, Login.AGENT, Login.PASSWORD)
LAID_OUT_MS = 60
"""Until then the layouts from the part up to the scrolled sheet have passed on its height, on an idle computer."""
LAID_OUT_LOOKS = 4
"""A busy one is late with some of the layouts, so it is looked again."""
_PASSPHRASE_CAUSES = {"passphrase_needed", "wrong_passphrase"}


class MachineForm(QWidget):
    """Address, name, login; then one button.

    Signals:
        cancelled: The user does not want to add one.
    """

    cancelled = Signal()

    def __init__(
        self,
        machines: Machines,
        *,
        primary: bool = True,
        can_cancel: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        """Make the form over the draft as it was left.

        Args:
            machines: Holds the draft and adds the machine.
            primary: Whether its button is the page's filled one.
            can_cancel: Whether there is a button to leave.
        """
        super().__init__(parent)
        self._machines = machines
        self._panel_key: object = None
        self._consent: _Consent | None = None
        column = vbox(self, gap=14)
        self.address = FormField(
            tr("&Address"), hint=tr("A name or an address, or a name from your SSH settings.")
        )
        self._aliases = ComboBox(tr("Choose from your SSH settings"))
        self._aliases.activated.connect(self._take_alias)
        self.address.add_beside(self._aliases)
        self.port = FormField(tr("&Port"), name=tr("Port of the SSH server"))
        self.port.edit.setMaxLength(5)
        self.port.edit.setInputMethodHints(Qt.InputMethodHint.ImhDigitsOnly)
        self.port.setMaximumWidth(theme().px(130))
        first = hbox(gap=14)
        first.addWidget(self.address, 1, Qt.AlignmentFlag.AlignTop)
        first.addWidget(self.port, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(first)
        self._answer = QWidget()
        told = hbox(self._answer, gap=8)
        self._answer_shape = StateShape(Shape.UNKNOWN, "", size=16)
        self._answer_text = label("", Type.SMALL, Role.TEXT2, wrap=True)
        told.addWidget(self._answer_shape, alignment=Qt.AlignmentFlag.AlignTop)
        told.addWidget(self._answer_text, 1)
        column.addWidget(self._answer)
        self.name = FormField(tr("&Name"), hint=tr("How it is called here."))
        self.user = FormField(tr("&User"), hint=tr("Empty: the same as on this computer."))
        second = hbox(gap=14)
        second.addWidget(self.name, 1, Qt.AlignmentFlag.AlignTop)
        second.addWidget(self.user, 1, Qt.AlignmentFlag.AlignTop)
        column.addLayout(second)
        column.addLayout(self._make_login())
        self._place = vbox()
        column.addLayout(self._place)
        column.addLayout(self._make_buttons(primary=primary, can_cancel=can_cancel))
        self._fields = {
            Spot.ADDRESS: self.address,
            Spot.PORT: self.port,
            Spot.NAME: self.name,
            Spot.USER: self.user,
            Spot.KEY: self.key,
            Spot.PASSWORD: self.password,
        }
        for spot, field in self._fields.items():
            field.edit.textEdited.connect(lambda _text, spot=spot: self._typed(spot))
            field.edit.returnPressed.connect(self.submit)
            field.left.connect(lambda spot=spot: self._left(spot))
        self.passphrase.edit.returnPressed.connect(self.submit)
        machines.attempt_changed.connect(self._follow)
        machines.aliases_changed.connect(self._show_aliases)
        self._show_aliases()
        self._show_draft()
        self._follow()

    def focus_first(self) -> None:
        """Put the keyboard on the address, or on the question that waits."""
        if self._consent is not None:
            self._consent.focus_first()
            self._bring_into_view(self._consent)
            return
        self.address.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def submit(self) -> None:
        """Add the machine, or put the keyboard on the first fault."""
        if self._machines.attempt.busy:
            return
        self._tidy()
        found = {fault.spot: fault.what for fault in self._faults()}
        for spot, field in self._fields.items():
            field.set_fault(show(found[spot]) if spot in found else "")
        if found:
            edit = self._fields[next(iter(found))].edit
            edit.setFocus()
            edit.selectAll()
            return
        login = self._machines.draft.login
        self._machines.add(
            passphrase=(self.passphrase.edit.text() or None) if login is Login.FILE else None,
            password=(self.password.edit.text() or None) if login is Login.PASSWORD else None,
        )

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_login(self) -> QVBoxLayout:
        column = vbox(gap=8)
        title = label(tr("How do you get in?"), Type.BODY, weight=500)
        column.addWidget(title)
        self._login = Segments(
            [tr("Key file"), tr("SSH agent"), tr("Password, once")], tr("How do you get in?")
        )
        self._login.chosen.connect(self._choose_login)
        row = hbox()
        row.addWidget(self._login)
        row.addStretch(1)
        column.addLayout(row)
        self.key = FormField(
            tr("&Key file"), hint=tr("Empty: the keys in ~/.ssh, or what your SSH settings name.")
        )
        browse = Button(tr("Browse…"), name=tr("Browse for the key file"))
        browse.clicked.connect(self._browse)
        self.key.add_beside(browse)
        self.passphrase = FormField(
            tr("Pa&ssphrase of the key"), hint=tr("It is kept in your system’s keyring.")
        )
        self.passphrase.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self._agent = label(
            tr("The keys that your SSH agent holds are tried; nothing is kept here."),
            Type.SMALL, Role.TEXT3, wrap=True,
        )  # fmt: skip
        self.password = FormField(
            tr("Pass&word"),
            hint=tr("Used once, to install a key that PersonaDesk makes; it is not kept."),
        )
        self.password.edit.setEchoMode(QLineEdit.EchoMode.Password)
        for part in (self.key, self.passphrase, self._agent, self.password):
            column.addWidget(part)
        return column

    def _make_buttons(self, *, primary: bool, can_cancel: bool) -> QHBoxLayout:
        row = hbox(gap=8)
        self._add = Button(
            tr("Add and check"), kind=Kind.PRIMARY if primary else Kind.PLAIN, icon="plus"
        )
        self._add.clicked.connect(self.submit)
        self._ring = BusyRing(tr("Connecting"))
        self._doing = label("", Type.SMALL, Role.TEXT2)
        row.addWidget(self._add)
        row.addWidget(self._ring)
        row.addWidget(self._doing)
        row.addStretch(1)
        self._cancel = Button(
            tr("Cancel"), kind=Kind.QUIET, name=tr("Cancel adding a machine"), parent=self
        )
        self._cancel.setVisible(can_cancel)
        self._cancel.clicked.connect(self._leave)
        if can_cancel:
            row.addWidget(self._cancel)
        return row

    # -- showing ----------------------------------------------------------------------------------------------

    def _show_draft(self) -> None:
        draft = self._machines.draft
        for field, text in (
            (self.address, draft.address),
            (self.port, draft.port),
            (self.name, draft.name),
            (self.user, draft.user),
            (self.key, draft.key_file),
        ):
            if field.edit.text() != text:
                field.edit.setText(text)
        self._login.choose(_LOGINS.index(draft.login))
        self._show_login()

    def _show_login(self) -> None:
        login = self._machines.draft.login
        error = self._machines.attempt.error
        locked = error is not None and error.cause in _PASSPHRASE_CAUSES
        self.key.setVisible(login is Login.FILE)
        self.passphrase.setVisible(
            login is Login.FILE and (locked or bool(self.passphrase.edit.text()))
        )
        self._agent.setVisible(login is Login.AGENT)
        self.password.setVisible(login is Login.PASSWORD)

    def _show_aliases(self) -> None:
        self._aliases.clear()
        self._aliases.addItem(tr("From ~/.ssh/config"))
        self._aliases.addItems(list(self._machines.aliases))
        self._aliases.setVisible(bool(self._machines.aliases))

    def _follow(self) -> None:
        attempt = self._machines.attempt
        if self._machines.draft == MachineDraft() and self.address.edit.text():
            self._show_draft()
            self.passphrase.edit.clear()
            self.password.edit.clear()
        self._show_answer()
        self._ring.setVisible(attempt.busy)
        self._doing.setText(tr("Connecting…") if attempt.busy else "")
        self._add.setEnabled(not attempt.busy and not attempt.unknown_key)
        self._show_login()
        key = (attempt.error, attempt.busy)
        if key == self._panel_key:
            return
        self._panel_key = key
        clear_layout(self._place)
        self._consent = None
        error = attempt.error
        if error is None:
            return
        if attempt.unknown_key:
            consent = _Consent(str(error.what.values.get("place", "")), attempt.unknown_key)
            consent.agreed.connect(self._agree)
            consent.refused.connect(self._machines.give_up)
            self._place.addWidget(consent)
            self._consent = consent
            self.focus_first()
        elif error.cause in _PASSPHRASE_CAUSES:
            self.passphrase.set_fault(show(error.what))
            self.passphrase.edit.setFocus()
            self.passphrase.edit.selectAll()
        else:
            panel = ErrorPanel.of(error)
            self._place.addWidget(panel)
            self._bring_into_view(panel)

    def _bring_into_view(self, part: QWidget) -> None:
        area: QWidget | None = self
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is not None:
            _show_in(area, part)

    def _show_answer(self) -> None:
        answer = self._machines.answer
        self._answer.setVisible(answer is not None)
        if answer is None:
            return
        host = answer.address.host
        if answer.asking:
            self._say(Shape.BUSY, tr("Asking"), tr("{host} is being asked…", host=host))
        elif answer.error is not None:
            sentence = " ".join(
                part for part in (show(answer.error.what), show(answer.error.next)) if part
            )
            self._say(Shape.WARN, tr("No answer"), sentence)
        else:
            self._say(Shape.OK, tr("Answers"), tr("{place} answers.", place=_place(answer.address)))

    def _say(self, shape: Shape, word: str, sentence: str) -> None:
        self._answer_shape.set_state(shape, word)
        self._answer_text.setText(sentence)

    # -- deeds ------------------------------------------------------------------------------------------------

    def _typed(self, spot: Spot) -> None:
        self._fields[spot].set_fault("")
        self._machines.edit(self._read())

    def _left(self, spot: Spot) -> None:
        if spot is Spot.ADDRESS and self.address.edit.text().strip():
            self._tidy()
        found = {fault.spot: fault.what for fault in self._faults()}
        empty = not self._fields[spot].edit.text().strip()
        # What is still empty is not judged before the button is pressed.
        shown = spot in found and not empty
        self._fields[spot].set_fault(show(found[spot]) if shown else "")
        if spot in {Spot.ADDRESS, Spot.PORT}:
            self._machines.ask()

    def _tidy(self) -> None:
        self._machines.edit(tidied(self._read()))
        self._show_draft()

    def _read(self) -> MachineDraft:
        return MachineDraft(
            self.name.edit.text(),
            self.address.edit.text(),
            self.port.edit.text(),
            self.user.edit.text(),
            _LOGINS[self._login.current],
            self.key.edit.text(),
        )

    def _faults(self) -> tuple[Fault, ...]:
        return faults(
            self._machines.draft,
            [machine.name for machine in self._machines.all],
            has_password=bool(self.password.edit.text()),
        )

    def _choose_login(self, index: int) -> None:
        self._machines.edit(replace(self._machines.draft, login=_LOGINS[index]))
        for field in (self.key, self.password):
            field.set_fault("")
        if not self._machines.attempt.busy:
            self._machines.give_up()

    def _take_alias(self, index: int) -> None:
        if index > 0:
            alias = self._aliases.itemText(index)
            fresh = MachineDraft(name=alias, address=alias, login=self._machines.draft.login)
            self._machines.edit(fresh)
            self._show_draft()
            self._machines.ask()
        self._aliases.setCurrentIndex(0)

    def _agree(self) -> None:
        self._machines.confirm()
        self.submit()

    def _leave(self) -> None:
        self._machines.give_up()
        self.cancelled.emit()

    def _browse(self) -> None:
        dialog = QFileDialog(self, tr("The private key"), str(Path.home() / ".ssh"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._picked)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _picked(self, file: str) -> None:
        self.key.edit.setText(file)
        self._machines.edit(self._read())
        self._left(Spot.KEY)


class _Consent(QFrame):
    """A key that was never met, to be compared and agreed to once.

    Signals:
        agreed: It is the right machine.
        refused: It is not, or nobody knows.
    """

    agreed = Signal()
    refused = Signal()

    def __init__(self, place: str, fingerprint: str) -> None:
        super().__init__()
        self.setProperty("kind", "banner")
        self.setProperty("tone", Role.WARN.value)
        title = tr("Is this the right machine?")
        row = hbox(self, gap=12, margin=14)
        row.addWidget(
            StateShape(Shape.WARN, tr("Question"), size=20), alignment=Qt.AlignmentFlag.AlignTop
        )
        column = vbox(gap=8)
        column.addWidget(label(title, Type.CARD_TITLE, weight=600, wrap=True))
        column.addWidget(
            label(
                tr("{place} was never met before. It shows this fingerprint:", place=place),
                Type.BODY, Role.TEXT2, wrap=True,
            )
        )  # fmt: skip
        shown = label(fingerprint, Type.BODY, wrap=True, mono=True, selectable=True)
        shown.setAccessibleName(tr("Fingerprint {fingerprint}", fingerprint=fingerprint))
        column.addWidget(shown)
        column.addWidget(
            label(
                tr(
                    "Compare it with what the machine or its provider shows. It is asked once; "
                    "another key later is refused."
                ),
                Type.SMALL, Role.TEXT2, wrap=True,
            )
        )  # fmt: skip
        buttons = hbox(gap=8)
        self._yes = Button(tr("Yes, it is mine"), kind=Kind.PRIMARY, icon="check")
        self._yes.clicked.connect(self.agreed)
        no = Button(tr("No, stop"))
        no.clicked.connect(self.refused)
        buttons.addWidget(self._yes)
        buttons.addWidget(no)
        buttons.addStretch(1)
        column.addLayout(buttons)
        row.addLayout(column, 1)
        self._no = no
        self.setAccessibleName(f"{title} {place} {fingerprint}")

    def focus_first(self) -> None:
        """Put the keyboard on the safe answer."""
        self._no.setFocus(Qt.FocusReason.OtherFocusReason)


def _place(address: SshAddress) -> str:
    return address.host if address.port == 22 else address.place


def _show_in(area: QScrollArea, part: QWidget, looks: int = LAID_OUT_LOOKS) -> None:
    def look() -> None:
        area.ensureWidgetVisible(part)
        if looks > 1:
            _show_in(area, part, looks - 1)

    QTimer.singleShot(LAID_OUT_MS, part, look)
