"""The wizard's pages but for the one of machines. Each shows its part of the draft and tells what was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from personadesk.domain.line import Line
from personadesk.domain.plan import ModelKind
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.form import Finding, FormField, OptionCard
from personadesk.ui.i18n import show, tr
from personadesk.ui.sheet import Sheet
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    FactList,
    IconLabel,
    Note,
    Shape,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from personadesk.domain.text import Text
    from personadesk.hosts.local import Computer

__all__ = ["LinePage", "ModelPage", "WherePage", "WizardPage"]

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

    def holds_back(self) -> bool:
        """Whether Continue has to wait for the page, which goes on by itself then."""
        return False


class WherePage(WizardPage):
    """Where the voice shall run: this computer with its facts, a rented GPU, or a machine of one's own."""

    def __init__(self, draft: flow.Draft) -> None:
        super().__init__(
            tr("Where shall the voice run?"),
            tr("You can change this later; the line keeps its address."),
        )
        self._cards = {
            flow.Where.HERE: OptionCard(
                tr("This computer"), tr("The quickest way to try everything."), pill=tr("Free")
            ),
            flow.Where.RENT: OptionCard(
                tr("A rented GPU"),
                tr(
                    "For the real voice without a card of your own; you pay its provider by the hour."
                ),
                pill=tr("by the hour"),
            ),
            flow.Where.MACHINE: OptionCard(
                tr("My own GPU machine"),
                tr("A Linux machine that you reach by SSH, best with an NVIDIA card of 24 GB."),
                pill=tr("no rent"),
            ),
        }
        self._about = {
            flow.Where.HERE: self._make_local(),
            flow.Where.RENT: _rent_card(),
            flow.Where.MACHINE: _remote_card(),
        }
        choices = hbox(gap=16)
        for where, card in self._cards.items():
            card.setChecked(draft.where is where)
            card.confirmed.connect(self.go_on)
            choices.addWidget(card, 1)
        self.column.addLayout(choices)
        for where, about in self._about.items():
            self.column.addWidget(about)
            about.setVisible(draft.where is where)
        self.column.addStretch(1)
        for where, card in self._cards.items():
            card.toggled.connect(lambda on, where=where: self._chosen(where) if on else None)

    def focus_first(self) -> bool:
        next(card for card in self._cards.values() if card.isChecked()).setFocus()
        return True

    def show_draft(self, draft: flow.Draft) -> None:
        self._cards[draft.where].setChecked(True)

    def _chosen(self, chosen: flow.Where) -> None:
        for where, about in self._about.items():
            about.setVisible(where is chosen)
        self.edited.emit({"where": chosen})

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
        self._rehearsal = Finding(tr("Rehearsal model"), tr("Looking…"), Shape.UNKNOWN)
        self._whole = Finding("PersonaPlex 7B", tr("Looking…"), Shape.UNKNOWN)
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


def _rent_card() -> Card:
    return _needs(
        tr("How it goes"),
        (
            tr("One key of one provider"),
            tr("It is tried at once, and kept in your system’s keyring."),
        ),
        (
            tr("The best offer is picked for you"),
            tr("By price, and by what can be counted on there; you can take another one."),
        ),
        (
            tr("Nothing costs money before the last button"),
            tr("It bears the price. Limits put the voice to sleep when nobody calls."),
        ),
    )


def _remote_card() -> Card:
    return _needs(
        tr("What is needed"),
        (tr("Its address and a login"), tr("A key, your SSH agent, or the password once.")),
        (tr("Linux, with Python 3.11 or newer"), tr("Nothing else has to be installed there.")),
        (
            tr("An NVIDIA GPU of 24 GB for the real voice"),
            tr("Without one the rehearsal model still runs, so you can try the whole way."),
        ),
    )


def _needs(title: str, *told: tuple[str, str]) -> Card:
    card = Card(title, padding=20, gap=12)
    for name, sentence in told:
        card.add(Finding(name, sentence, Shape.OK))
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
        there = draft.where is not flow.Where.HERE
        self._cards[draft.model].setChecked(True)
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
