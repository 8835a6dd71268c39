"""The dialogs of the Lines page: a new line, a move, an address for other computers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QWidget

from personadesk.domain.access import Access, Tls, checked
from personadesk.domain.errors import BadRequest
from personadesk.domain.line import FIRST_PORT, LAST_PORT
from personadesk.domain.plan import ModelChoice, ModelKind
from personadesk.domain.wish import Rest, Wish
from personadesk.ui.deploy import words as deploy_words
from personadesk.ui.deploy.form import FormField
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.lines.words import place_name
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import Button, ComboBox, Kind, hbox, label, vbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.line import Line
    from personadesk.domain.wish import Place

__all__ = ["MoveDialog", "NewLineDialog", "OutsideDialog", "PortDialog"]

LONGEST_NAME = 40


class _Dialog(QDialog):
    """A form with its verb and Cancel."""

    def __init__(self, parent: QWidget, title: str, text: str, verb: str) -> None:
        super().__init__(parent)
        self.setModal(True)
        self.setWindowTitle("PersonaDesk")
        self.setAccessibleName(title)
        self.setMinimumWidth(theme().px(480))
        outer = vbox(self, gap=16, margin=24)
        outer.addWidget(label(title, Type.HEADING, wrap=True))
        if text:
            outer.addWidget(label(text, Type.BODY, Role.TEXT2, wrap=True))
        self.form = vbox(gap=12)
        outer.addLayout(self.form)
        self.fault = label("", Type.SMALL, Role.ERR, wrap=True)
        self.fault.hide()
        outer.addWidget(self.fault)
        self.foot = hbox(gap=8)
        self.foot.addStretch(1)
        self.cancel = Button(tr("Cancel"))
        self.cancel.clicked.connect(self.reject)
        self.go = Button(verb, kind=Kind.PRIMARY)
        self.go.clicked.connect(self.submit)
        self.foot.addWidget(self.cancel)
        self.foot.addWidget(self.go)
        outer.addLayout(self.foot)
        self.finished.connect(self.deleteLater)

    def submit(self) -> None:
        """Take what was chosen, or say what is wrong with it."""
        raise NotImplementedError

    def complain(self, sentence: str) -> None:
        """Say what is wrong."""
        self.fault.setText(sentence)
        self.fault.setVisible(bool(sentence))

    def add_choice(self, title: str, choice: ComboBox) -> None:
        """Put a choice with its label below the others."""
        column = vbox(gap=6)
        column.addWidget(label(title, Type.BODY, weight=500))
        column.addWidget(choice)
        self.form.addLayout(column)


class NewLineDialog(_Dialog):
    """A line that sleeps until somebody calls.

    Signals:
        wanted: Make it (a ``Wish``, its port or None).
        deploy_asked: The user would rather have a voice at once.
    """

    wanted = Signal(object, object)
    deploy_asked = Signal()

    def __init__(self, parent: QWidget, names: Sequence[str], places: Sequence[Place]) -> None:
        super().__init__(
            parent, tr("New line"),
            tr("It gets its address at once and sleeps, which costs nothing. The first caller brings its voice up."),
            tr("Create line"),
        )  # fmt: skip
        self._names, self._places = set(names), tuple(places)
        self.name = FormField(tr("&Name"))
        self.name.edit.setMaxLength(LONGEST_NAME)
        self.form.addWidget(self.name)
        self.model = ComboBox(tr("Model"))
        for kind in (ModelKind.PERSONAPLEX_7B, ModelKind.REHEARSAL):
            self.model.addItem(deploy_words.model_name(ModelChoice(kind)), kind)
        self.add_choice(tr("Model"), self.model)
        self.place = ComboBox(tr("Place"))
        for place in places:
            self.place.addItem(place_name(place), place.key)
        self.add_choice(tr("Place"), self.place)
        self.price = FormField(
            tr("&Most dollars an hour"), hint=tr("Empty: nothing is rented without asking.")
        )
        self.form.addWidget(self.price)
        self.place.currentIndexChanged.connect(self._follow)
        self.port = FormField(tr("&Port"), hint=tr("Empty: the next free one."))
        self.form.addWidget(self.port)
        self.deploy = Button(tr("Deploy a voice now…"), kind=Kind.QUIET)
        self.deploy.clicked.connect(self._deploy)
        self.foot.insertWidget(0, self.deploy)
        self._follow()

    def submit(self) -> None:
        from personadesk.ui.i18n import language

        name, port, price = (x.edit.text().strip() for x in (self.name, self.port, self.price))
        self.name.set_fault(
            tr("Give it a name.") if not name
            else tr("There is a line of that name already.") if name in self._names else ""
        )  # fmt: skip
        amount, readable = language().locale.toDouble(price) if price else (0.0, True)
        bad_price = bool(price) and (not readable or amount <= 0)
        self.price.set_fault(tr("A limit is a number of dollars above 0.") if bad_price else "")
        bad_port = bool(port) and not _is_port(port)
        self.port.set_fault(tr("A port is a number from 1024 to 65535.") if bad_port else "")
        if self.name.fault or bad_price or bad_port:
            return
        place = next(each for each in self._places if each.key == self.place.currentData())
        wish = Wish(
            name, ModelChoice(ModelKind(self.model.currentData())), (place,), rest=Rest.ASLEEP,
            max_price=amount if price and place.rent is not None else None,
        )  # fmt: skip
        self.wanted.emit(wish, int(port) if port else None)
        self.accept()

    def _follow(self) -> None:
        self.price.setVisible(str(self.place.currentData()).startswith("account:"))

    def _deploy(self) -> None:
        self.deploy_asked.emit()
        self.reject()


class MoveDialog(_Dialog):
    """Where a line goes.

    Signals:
        wanted: Move it there (a ``Place``).
    """

    wanted = Signal(object)

    def __init__(self, parent: QWidget, name: str, here: str, places: Sequence[Place]) -> None:
        super().__init__(
            parent, tr("Move “{line}”?", line=name),
            tr("1. A new voice comes up there and passes its voice test. 2. The line is switched to it; its "
               "address stays. 3. The old voice and its machine are ended. If the new one fails, the old one stays."),
            tr("Move here"),
        )  # fmt: skip
        self._places = tuple(places)
        self.place = ComboBox(tr("Move to"))
        for place in places:
            text = place_name(place)
            if place.key == here:
                text = tr("{place} (it is here now; a new one beside it)", place=text)
            self.place.addItem(text, place.key)
        other = next((i for i, place in enumerate(places) if place.key != here), 0)
        self.place.setCurrentIndex(other)
        self.add_choice(tr("Move to"), self.place)
        self.price = label(
            tr("While both run, both are billed; what may be rented is held to the line's price limit."),
            Type.SMALL, Role.TEXT3, wrap=True,
        )  # fmt: skip
        self.form.addWidget(self.price)
        self.place.currentIndexChanged.connect(self._follow)
        self._follow()

    def submit(self) -> None:
        self.wanted.emit(next(x for x in self._places if x.key == self.place.currentData()))
        self.accept()

    def _follow(self) -> None:
        self.price.setVisible(str(self.place.currentData()).startswith("account:"))


class PortDialog(_Dialog):
    """Another port for a line.

    Signals:
        wanted: This one.
    """

    wanted = Signal(int)

    def __init__(self, parent: QWidget, line: Line, calls: int) -> None:
        """Ask.

        Args:
            parent: The window.
            line: The line as it is.
            calls: Calls that go on, which a change ends.
        """
        text = tr(
            "Its address has the port in it: programs that call {url} must follow.", url=line.url
        )
        if calls:
            text += " " + trn("{n} call is cut off.", "{n} calls are cut off.", calls)
        super().__init__(
            parent, tr("Change the port of “{line}”", line=line.name), text, tr("Change port")
        )
        self._line = line
        self.port = FormField(tr("&Port"))
        self.port.edit.setText(str(line.port))
        self.port.edit.selectAll()
        self.port.edit.textChanged.connect(self._follow)
        self.form.addWidget(self.port)
        self.address = label("", Type.BODY, mono=True, selectable=True)
        self.form.addWidget(self.address)
        self._follow()

    def submit(self) -> None:
        port = self.port.edit.text().strip()
        self.port.set_fault("" if _is_port(port) else tr("A port is a number from 1024 to 65535."))
        if self.port.fault:
            return
        if int(port) != self._line.port:
            self.wanted.emit(int(port))
        self.accept()

    def _follow(self) -> None:
        port = self.port.edit.text().strip()
        self.address.setText(replace(self._line, port=int(port)).url if _is_port(port) else "–")


class OutsideDialog(_Dialog):
    """How other computers reach a line.

    Signals:
        wanted: So (an ``Access``).
    """

    wanted = Signal(object)

    def __init__(self, parent: QWidget, line: Line, known: Access | None) -> None:
        super().__init__(
            parent, tr("Let other computers reach “{line}”", line=line.name),
            tr("It gets a second address on your network. Who calls there must bring a token, kept in the keyring."),
            tr("Open"),
        )  # fmt: skip
        self._line = line
        access = known or Access("0.0.0.0", min(line.port + 1000, 65535))  # noqa: S104 - with a token
        self.bind = FormField(
            tr("&Listen on"), hint=tr("0.0.0.0 is all networks of this computer.")
        )
        self.bind.edit.setText(access.bind)
        self.port = FormField(tr("&Port"))
        self.port.edit.setText(str(access.port))
        self.form.addWidget(self.bind)
        self.form.addWidget(self.port)
        self.tls = ComboBox(tr("Certificate"))
        for tls, text in (
            (Tls.OWN, tr("One that this computer makes")),
            (Tls.GIVEN, tr("One of mine")),
            (Tls.OFF, tr("None: token and voices can be read on the way")),
        ):
            self.tls.addItem(text, tls)
        self.tls.setCurrentIndex(max(0, self.tls.findData(access.tls)))
        self.add_choice(tr("Certificate"), self.tls)
        self.certificate = FormField(tr("&Certificate file"))
        self.key = FormField(tr("&Key file"))
        for field, text in ((self.certificate, access.certificate), (self.key, access.key)):
            field.edit.setText(text)
            browse = Button(tr("Choose…"), name=tr("Choose a file"))
            browse.clicked.connect(lambda _=False, into=field: self._browse(into))
            field.add_beside(browse)
            self.form.addWidget(field)
        self.origins = FormField(
            tr("&Web sites that may call"),
            hint=tr("Such as https://example.org; several with spaces."),
        )
        self.origins.edit.setText(" ".join(access.origins))
        self.form.addWidget(self.origins)
        self.tls.currentIndexChanged.connect(self._follow)
        self._follow()

    def submit(self) -> None:
        port = self.port.edit.text().strip()
        access = Access(
            self.bind.edit.text().strip(), int(port) if port.isdecimal() else 0,
            Tls(self.tls.currentData()), self.certificate.edit.text().strip(),
            self.key.edit.text().strip(), tuple(self.origins.edit.text().split()),
        )  # fmt: skip
        try:
            checked(access, self._line.port)
        except BadRequest as error:
            self.complain(f"{show(error.what)} {show(error.next)}")
            return
        self.wanted.emit(access)
        self.accept()

    def _follow(self) -> None:
        given = self.tls.currentData() == Tls.GIVEN
        self.certificate.setVisible(given)
        self.key.setVisible(given)

    def _browse(self, into: FormField) -> None:
        file, _ = QFileDialog.getOpenFileName(self, tr("Choose a file"))
        if file:
            into.edit.setText(file)


def _is_port(text: str) -> bool:
    return text.isdecimal() and FIRST_PORT <= int(text) <= LAST_PORT
