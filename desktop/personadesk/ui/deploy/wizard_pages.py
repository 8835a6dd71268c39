"""The wizard's pages but for the one of machines. Each shows its part of the draft and tells what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QGridLayout, QWidget

from personadesk.domain.line import Line
from personadesk.domain.plan import ModelChoice, ModelKind
from personadesk.ui.deploy import flow, words
from personadesk.ui.deploy.form import FormField, OptionCard
from personadesk.ui.deploy.hub_token import TokenCard
from personadesk.ui.i18n import show, tr
from personadesk.ui.sheet import Sheet
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    FactList,
    IconLabel,
    Kind,
    Note,
    Shape,
    StateShape,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.text import Text
    from personadesk.hosts.local import Computer
    from personadesk.ui.deploy.hub_token import HubToken

__all__ = ["CheckPage", "LinePage", "ModelPage", "WherePage", "WizardPage"]

GIB = 1024**3
PERSONAPLEX_BYTES = 24 * GIB
"""What the released model needs on a GPU in bfloat16, with a call going on."""


class WizardPage(Sheet):
    """One page.

    Attributes:
        fields: What can be typed on it.

    Signals:
        edited: Fields of the draft with their new values (dict).
        field_left: A field was left (its name).
        go_on: Enter was pressed where that means Continue.
        page_wanted: Another page is to be opened (its name).
    """

    edited = Signal(object)  # a dict would become a map of Qt values, and enums plain strings
    field_left = Signal(object)
    go_on = Signal()
    page_wanted = Signal(object)

    def __init__(self, question: str, explanation: str) -> None:
        super().__init__()
        self.fields: dict[flow.Field, FormField] = {}
        self.column = vbox(self, gap=14)
        px = theme().px
        self.column.setContentsMargins(px(24), px(10), px(24), px(20))
        head = vbox(gap=4)
        head.addWidget(label(question, Type.PAGE, wrap=True))
        head.addWidget(label(explanation, Type.BODY, Role.TEXT2, wrap=True))
        self.column.addLayout(head)

    def show_draft(self, draft: flow.Draft) -> None:
        """Show what was chosen."""

    def show_computer(self, computer: Computer, free_bytes: int) -> None:
        """Show what this computer is."""

    def show_fault(self, field: flow.Field, what: Text | None) -> None:
        """Say what is wrong with a field, or that nothing is; harmless when it is on another page."""
        if field in self.fields:
            self.fields[field].set_fault(show(what) if what else "")

    def focus_field(self, field: flow.Field) -> None:
        """Put the keyboard into a field."""
        if field in self.fields:
            self.fields[field].edit.setFocus()
            self.fields[field].edit.selectAll()

    def focus_first(self) -> bool:
        """Put the keyboard on the first field; False when there is none."""
        return False


class WherePage(WizardPage):
    """Where the voice shall run: this computer, with its facts, or a machine of one's own."""

    def __init__(self, draft: flow.Draft) -> None:
        super().__init__(
            tr("Where shall the voice run?"),
            tr("Either way there is nothing to sign up for and nothing to rent."),
        )
        self._here = OptionCard(
            tr("This computer"), tr("The quickest way to try everything."), pill=tr("Free")
        )
        self._there = OptionCard(
            tr("My own GPU machine"),
            tr("A Linux machine that you reach by SSH, best with an NVIDIA card of 24 GB."),
            pill=tr("no rent"),
        )
        self._here.setChecked(draft.where is flow.Where.HERE)
        self._there.setChecked(draft.where is flow.Where.MACHINE)
        choices = hbox(gap=16)
        for card in (self._here, self._there):
            card.confirmed.connect(self.go_on)
            choices.addWidget(card, 1)
        self.column.addLayout(choices)
        self._local = self._make_local()
        self._remote = _remote_card()
        self.column.addWidget(self._local)
        self.column.addWidget(self._remote)
        self.column.addStretch(1)
        self._local.setVisible(draft.where is flow.Where.HERE)
        self._remote.setVisible(draft.where is flow.Where.MACHINE)
        self._there.toggled.connect(self._chosen)

    def focus_first(self) -> bool:
        chosen = self._there if self._there.isChecked() else self._here
        chosen.setFocus()
        return True

    def _chosen(self, there: bool) -> None:
        self._local.setVisible(not there)
        self._remote.setVisible(there)
        self.edited.emit({"where": flow.Where.MACHINE if there else flow.Where.HERE})

    def _make_local(self) -> QWidget:
        place = QWidget()
        row = hbox(place, gap=16)
        card = Card(padding=20, gap=12)
        head = hbox(gap=12)
        head.addWidget(IconLabel("computer", 30, Role.ACCENT_TEXT))
        names = vbox(gap=2)
        names.addWidget(label(tr("This computer"), Type.HEADING))
        self._system = ElidedLabel(tr("Looking at it…"), Type.SMALL, Role.TEXT2)
        names.addWidget(self._system)
        head.addLayout(names, 1)
        card.add(head)
        self._facts = FactList()
        card.add(self._facts)
        row.addWidget(card, 3)
        self._fit = Card(tr("What it can run"), padding=20, gap=12)
        self._rehearsal = _Finding(tr("Rehearsal model"), tr("Looking…"), Shape.UNKNOWN)
        self._whole = _Finding("PersonaPlex 7B", tr("Looking…"), Shape.UNKNOWN)
        self._fit.add(self._rehearsal)
        self._fit.add(self._whole)
        self._fit.column.addStretch(1)
        row.addWidget(self._fit, 2)
        return place

    def show_computer(self, computer: Computer, free_bytes: int) -> None:
        self._system.setText(f"{computer.system} · {computer.machine}")
        gpu = ", ".join(
            f"{gpu.name}, {round(gpu.memory_bytes / GIB)} GB" if gpu.memory_bytes else gpu.name
            for gpu in computer.gpus
        )
        self._facts.set_facts(
            [
                (tr("Processor cores"), str(computer.cores)),
                (tr("Memory"), tr("{size} GB", size=round(computer.memory_bytes / GIB))),
                (tr("Free disk"), tr("{size} GB", size=round(free_bytes / GIB))),
                (tr("NVIDIA GPU"), gpu or tr("none found")),
                ("Python", computer.python),
            ]
        )
        self._rehearsal.show_finding(Shape.OK, tr("Runs on the processor, in real time."))
        fits = any((gpu.memory_bytes or 0) >= 0.9 * PERSONAPLEX_BYTES for gpu in computer.gpus)
        if fits:
            self._whole.show_finding(Shape.OK, tr("Fits into the GPU’s memory."))
        else:
            self._whole.show_finding(
                Shape.STOPPED, tr("Needs an NVIDIA GPU with 24 GB; there is none here.")
            )


def _remote_card() -> Card:
    card = Card(tr("What is needed"), padding=20, gap=12)
    for title, sentence in (
        (tr("Its address and a login"), tr("A key, your SSH agent, or the password once.")),
        (tr("Linux, with Python 3.11 or newer"), tr("Nothing else has to be installed there.")),
        (
            tr("An NVIDIA GPU of 24 GB for the real voice"),
            tr("Without one the rehearsal model still runs, so you can try the whole way."),
        ),
    ):
        card.add(_Finding(title, sentence, Shape.OK))
    return card


class ModelPage(WizardPage):
    """Which model: the rehearsal one, or a folder."""

    def __init__(self, draft: flow.Draft) -> None:
        super().__init__(
            tr("Which model?"),
            tr(
                "The rehearsal model tries everything without a download. You can just press Continue."
            ),
        )
        self._rehearsal = OptionCard(tr("Rehearsal model"), "", pill=tr("untrained, it babbles"))
        self._whole = OptionCard(
            "PersonaPlex 7B",
            tr(
                "The real voice. It is fetched there from Hugging Face, about 16 GB, with the token that "
                "this computer has; its licence must be accepted once. It wants a GPU of 24 GB."
            ),
            pill=tr("the real voice"),
        )
        self._folder = OptionCard(tr("A model folder"), "", pill=tr("your own files"))
        self.field = FormField(
            tr("&Folder"),
            hint=tr("It holds config.json, model.safetensors, the codec and the tokenizer."),
            name=tr("Folder of the model"),
        )
        browse = Button(tr("Browse…"), name=tr("Browse for the folder of the model"))
        browse.clicked.connect(self._browse)
        self.field.add_beside(browse)
        self.fields[flow.Field.FOLDER] = self.field
        self._cards = {
            ModelKind.REHEARSAL: self._rehearsal,
            ModelKind.PERSONAPLEX_7B: self._whole,
            ModelKind.FOLDER: self._folder,
        }
        self._cards[draft.model].setChecked(True)
        self.field.edit.setText(draft.folder)
        for card in self._cards.values():
            self.column.addWidget(card)
        self._place = QWidget()
        inner = hbox(self._place)
        inner.setContentsMargins(theme().px(44), 0, 0, 0)
        inner.addWidget(self.field)
        self.column.addWidget(self._place)
        self.column.addStretch(1)
        self._place.setVisible(draft.model is ModelKind.FOLDER)
        for kind, card in self._cards.items():
            card.confirmed.connect(self.go_on)
            card.toggled.connect(lambda on, kind=kind: self._chosen(kind) if on else None)
        self.show_draft(draft)
        self.field.edit.textEdited.connect(self._typed)
        self.field.edit.returnPressed.connect(self.go_on)
        self.field.left.connect(lambda: self.field_left.emit(flow.Field.FOLDER))

    def show_draft(self, draft: flow.Draft) -> None:
        there = draft.where is flow.Where.MACHINE
        self._whole.setVisible(there)
        if not there and self._whole.isChecked():
            self._rehearsal.setChecked(True)
        if there:
            self._rehearsal.set_text(
                tr(
                    "Made on the machine in seconds. It has the real shape but was never trained: it "
                    "babbles. Talking to the line then uses the echo, so that you hear your own words."
                )
            )
            self._folder.set_text(
                tr(
                    "Weights on the machine, or on this computer and then copied there; laid out as in "
                    "PersonaPlex’s own repository."
                )
            )
            return
        self._rehearsal.set_text(
            tr(
                "Made on this computer in seconds. It has the real shape but was never trained: it "
                "babbles. Talking to the line then uses the echo, so that you hear your own words."
            )
        )
        self._folder.set_text(
            tr("Weights on this computer, laid out as in PersonaPlex’s own repository.")
        )

    def focus_first(self) -> bool:
        next(card for card in self._cards.values() if card.isChecked()).setFocus()
        return True

    def _chosen(self, kind: ModelKind) -> None:
        self._place.setVisible(kind is ModelKind.FOLDER)
        self.field.set_fault("")
        self.edited.emit({"model": kind})

    def _typed(self, text: str) -> None:
        if self.field.fault:
            self.field.set_fault("")
        self.edited.emit({"folder": text})

    def _browse(self) -> None:
        dialog = QFileDialog(self, tr("Folder of the model"), self.field.edit.text())
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._picked)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _picked(self, folder: str) -> None:
        self.field.edit.setText(folder)
        self.edited.emit({"folder": folder})
        self.field_left.emit(flow.Field.FOLDER)


class LinePage(WizardPage):
    """How the line is called and at which port it is reached."""

    def __init__(self, draft: flow.Draft) -> None:
        super().__init__(
            tr("Which line?"),
            tr("A line is a name with an address that never changes, whatever happens behind it."),
        )
        card = Card(padding=20, gap=16)
        self.name = FormField(
            tr("&Name"), hint=tr("How it is called on Home; up to 40 characters.")
        )
        self.name.edit.setMaxLength(80)
        self.port = FormField(
            tr("&Port"), hint=tr("Programs that exist for this kind of voice try 8998 first.")
        )
        self.port.edit.setMaxLength(5)
        self.port.edit.setInputMethodHints(Qt.InputMethodHint.ImhDigitsOnly)
        self.port.edit.setMaximumWidth(theme().px(200))
        card.add(self.name)
        card.add(self.port)
        card.setMaximumWidth(theme().px(620))
        self.column.addWidget(card)
        self._address = Note("", title=tr("Its address"))
        self._address.setMaximumWidth(theme().px(620))
        self.column.addWidget(self._address)
        self.column.addStretch(1)
        self.fields = {flow.Field.LINE: self.name, flow.Field.PORT: self.port}
        self.name.edit.setText(draft.line)
        self.port.edit.setText(draft.port)
        self._tell_address(draft.port)
        self.name.edit.textEdited.connect(self._named)
        self.port.edit.textEdited.connect(self._ported)
        for field, shown in ((flow.Field.LINE, self.name), (flow.Field.PORT, self.port)):
            shown.edit.returnPressed.connect(self.go_on)
            shown.left.connect(lambda field=field: self.field_left.emit(field))

    def focus_first(self) -> bool:
        self.focus_field(flow.Field.LINE)
        return True

    def _named(self, text: str) -> None:
        if self.name.fault:
            self.name.set_fault("")
        self.edited.emit({"line": text})

    def _ported(self, text: str) -> None:
        if self.port.fault:
            self.port.set_fault("")
        self._tell_address(text)
        self.edited.emit({"port": text})

    def _tell_address(self, port: str) -> None:
        typed = port.strip()
        shown = Line("", int(typed)).url if typed.isascii() and typed.isdigit() else "–"
        self._address.set_text(
            tr("{address} – only programs on this computer can reach it.", address=shown)
        )


class CheckPage(WizardPage):
    """All that was chosen, each with a way back, and what was checked."""

    def __init__(self, token: HubToken | None = None) -> None:
        """Make the page.

        Args:
            token: Tells whether there is a Hugging Face token; None where no model can want one.
        """
        super().__init__(
            tr("Check and start"), tr("This is what will be done. Nothing was changed so far.")
        )
        row = hbox(gap=16)
        summary = Card(tr("What you chose"), padding=20, gap=12)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme().px(16))
        self._grid.setVerticalSpacing(theme().px(8))
        self._grid.setColumnStretch(1, 1)
        self._place = self._add_row(0, tr("Where"), flow.Page.WHERE)
        self._model = self._add_row(1, tr("Model"), flow.Page.MODEL)
        self._line = self._add_row(2, tr("Line"), flow.Page.LINE)
        self._address = self._add_row(3, tr("Address"), flow.Page.LINE)
        self._price = self._add_row(4, tr("Price"), None)
        summary.add(self._grid)
        summary.column.addStretch(1)
        row.addWidget(summary, 3)
        self._checks = Card(tr("Checked"), padding=20, gap=12)
        self._findings = vbox(gap=12)
        self._checks.add(self._findings)
        self._checks.column.addStretch(1)
        self._machine_check = _Finding(tr("My machine"), "", Shape.UNKNOWN)
        self._model_check = _Finding(tr("Model"), "", Shape.UNKNOWN)
        self._name_check = _Finding(tr("Name of the line"), "", Shape.UNKNOWN)
        self._port_check = _Finding(tr("Port"), "", Shape.UNKNOWN)
        for finding in (
            self._machine_check,
            self._model_check,
            self._name_check,
            self._port_check,
        ):
            self._findings.addWidget(finding)
        row.addWidget(self._checks, 2)
        self.column.addLayout(row)
        self._token = token
        self.token_card = None if token is None else TokenCard(token)
        if self.token_card is not None:
            self.column.addWidget(self.token_card)
        self._next = Note("")
        self.column.addWidget(self._next)
        self.column.addStretch(1)

    def needs_token(self, draft: flow.Draft) -> bool:
        """Whether the model of a draft is given only to those who have a token."""
        return self._token is not None and draft.model is ModelKind.PERSONAPLEX_7B

    def show_draft(self, draft: flow.Draft) -> None:
        if self._token is not None and self.token_card is not None:
            self.token_card.setVisible(self.needs_token(draft))
            if self.needs_token(draft):
                self._token.look()
        choice = ModelChoice(
            draft.model, draft.folder.strip() if draft.model is ModelKind.FOLDER else None
        )
        self._place.setText(draft.host or tr("This computer"))
        self._machine_check.setVisible(bool(draft.host))
        self._next.set_text(
            tr(
                "Next: check the machine again, copy the voice server there and install it, get the "
                "model, start it, wait until it is ready, speak a question to it through an SSH tunnel, "
                "and put it behind the line."
            )
            if draft.host
            else tr(
                "Next: look at this computer, make room, install the voice server, get the model, "
                "start it, wait until it is ready, speak a question to it, and put it behind the line."
            )
        )
        model = words.model_name(choice)
        if draft.model is ModelKind.REHEARSAL:
            model = tr("{model} (untrained, it babbles)", model=model)
        self._model.setText(model)
        self._line.setText(draft.line.strip() or "–")
        port = draft.port.strip()
        self._address.setText(Line("", int(port)).url if port.isascii() and port.isdigit() else "–")
        self._price.setText(tr("no rent") if draft.host else tr("Free"))

    def show_checks(self, found: tuple[flow.Fault, ...]) -> None:
        """Show what is wrong, and that the rest is not."""
        by_field = {fault.field: fault.what for fault in found}
        for field, shown, good in (
            (flow.Field.MACHINE, self._machine_check, tr("Can run it.")),
            (flow.Field.FOLDER, self._model_check, tr("Can be used.")),
            (flow.Field.LINE, self._name_check, tr("Is free.")),
            (flow.Field.PORT, self._port_check, tr("Is free.")),
        ):
            what = by_field.get(field)
            if what is None:
                shown.show_finding(Shape.OK, good)
            else:
                shown.show_finding(Shape.ERR, show(what))

    def _add_row(self, index: int, title: str, page: flow.Page | None) -> ElidedLabel:
        self._grid.addWidget(label(title, Type.BODY, Role.TEXT3), index, 0)
        value = ElidedLabel("", Type.BODY, weight=500)
        self._grid.addWidget(value, index, 1)
        if page is not None:
            change = Button(tr("Change"), kind=Kind.LINK, name=tr("Change: {what}", what=title))
            change.clicked.connect(lambda _checked=False, page=page: self.page_wanted.emit(page))
            self._grid.addWidget(change, index, 2)
        self._grid.setRowMinimumHeight(index, theme().px(30))
        return value


class _Finding(QWidget):
    """A checked thing: shape, name, and a sentence."""

    def __init__(self, title: str, sentence: str, shape: Shape) -> None:
        super().__init__()
        row = hbox(self, gap=10)
        self._shape = StateShape(shape, "", size=16)
        row.addWidget(self._shape, alignment=Qt.AlignmentFlag.AlignTop)
        column = vbox(gap=1)
        column.addWidget(label(title, Type.BODY, weight=600, wrap=True))
        self._sentence = label(sentence, Type.SMALL, Role.TEXT2, wrap=True)
        column.addWidget(self._sentence)
        row.addLayout(column, 1)
        self._title = title
        self.show_finding(shape, sentence)

    def show_finding(self, shape: Shape, sentence: str) -> None:
        """Show how it is."""
        self._sentence.setText(sentence)
        word = {Shape.OK: tr("Good"), Shape.ERR: tr("Not right yet")}.get(shape, tr("Unknown"))
        if shape is Shape.STOPPED:
            word = tr("Not here")
        self._shape.set_state(shape, word)
        self.setAccessibleName(f"{self._title}: {word}. {sentence}")
