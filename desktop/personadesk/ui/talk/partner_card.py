"""Whom to talk to: the line, the persona with its text, the voice, and how freely it chooses. Locked during a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QPlainTextEdit, QWidget

from personadesk.domain.persona import LONGEST_TEXT
from personadesk.ui.i18n import show, tr
from personadesk.ui.talk.sampling import SamplingFold
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    CheckBox,
    ComboBox,
    Kind,
    Size,
    hbox,
    label,
    set_tone,
)

if TYPE_CHECKING:
    from personadesk.ui.talk.call import Call
    from personadesk.ui.talk.personas import Personas

__all__ = ["PartnerCard"]

TEXT_HEIGHT = 104


class PartnerCard(Card):
    """The card.

    Signals:
        save_asked: The persona shall be saved under a name.
        import_asked: A shared persona shall be read from a file.
        export_asked: The persona shall be written as a file.
        remove_asked: The saved persona shall be forgotten.
        voice_file_asked: An own voice shall be brought to the server.
        server_asked: A server of somebody else shall be called.
        token_asked: The chosen server shall get another token.
        forget_asked: The chosen server shall be forgotten.
    """

    save_asked = Signal()
    import_asked = Signal()
    export_asked = Signal()
    remove_asked = Signal()
    voice_file_asked = Signal()
    server_asked = Signal()
    token_asked = Signal()
    forget_asked = Signal()

    def __init__(self, call: Call, personas: Personas, parent: QWidget | None = None) -> None:
        super().__init__(tr("Who do you talk to?"), padding=16, gap=6, parent=parent)
        self._call = call
        self._personas = personas
        self._locked = label(tr("Hang up to change."), Type.SMALL, Role.TEXT2)
        self.add_to_head(self._locked)
        self.lines = self._combo(tr("&Line"), "lines")
        self.more_lines = Button(
            kind=Kind.ICON, icon="more", size=Size.SMALL, name=tr("More about servers")
        )
        self.line_menu = QMenu(self)
        self.line_menu.addAction(tr("Call another server…"), self.server_asked.emit)
        self.give_token = self.line_menu.addAction(tr("Give its token…"), self.token_asked.emit)
        self.forget = self.line_menu.addAction(tr("Forget this server…"), self.forget_asked.emit)
        self.more_lines.clicked.connect(lambda: _drop(self.line_menu, self.more_lines))
        self.add(self._titled(tr("&Line"), self.lines, self.more_lines))
        self.add(self.lines)
        self.lines.activated.connect(lambda _index: call.choose(self.lines.currentText()))
        self.to_model = CheckBox(tr("Talk to the model itself"))
        self.to_model.toggled.connect(call.choose_model)
        self.add(self.to_model)
        self._about = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self.add(self._about)
        self._make_persona()
        self._make_voice()
        self.sampling = SamplingFold(personas)
        self.add(self.sampling)
        personas.changed.connect(self.follow)
        self.follow()

    def follow(self) -> None:
        """Show the lines, personas and voices there are now."""
        call = self._call
        _refill(self.lines, [(partner.name, partner.name) for partner in call.partners])
        partner = call.partner
        if partner is not None:
            self.lines.setCurrentText(partner.name)
        free = not call.is_on
        self.lines.setEnabled(free and self.lines.count() > 0)
        foreign = partner is not None and partner.foreign
        self.give_token.setEnabled(foreign)
        self.forget.setEnabled(foreign)
        rehearsal = partner is not None and partner.rehearsal
        self.to_model.setVisible(rehearsal)
        self.to_model.blockSignals(True)
        self.to_model.setChecked(rehearsal and not call.uses_echo)
        self.to_model.blockSignals(False)
        self._locked.setVisible(not free)
        self._about.setText(self._sentence())
        self._about.setVisible(bool(self._about.text()))
        self._follow_persona()
        self._follow_voices()
        self.sampling.follow()
        for part in (
            self.more_lines, self.to_model, self.personas, self.save, self.more, self.text, self.voices,
            self.hear, self.own_voice, self.sampling,
        ):  # fmt: skip
            part.setEnabled(free)
        self.hear.setEnabled(free and partner is not None and not call.uses_echo)

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_persona(self) -> None:
        self.personas = self._combo(tr("&Persona"), "user")
        self.save = Button(
            tr("Save as…"), kind=Kind.LINK, size=Size.SMALL, name=tr("Save the persona as…")
        )
        self.save.clicked.connect(self.save_asked)
        self.more = Button(
            kind=Kind.ICON, icon="more", size=Size.SMALL, name=tr("More about personas")
        )
        self.menu = QMenu(self)
        self.menu.addAction(tr("Import from a file…"), self.import_asked.emit)
        self.menu.addAction(tr("Export to a file…"), self.export_asked.emit)
        self.remove = self.menu.addAction(tr("Forget this persona…"), self.remove_asked.emit)
        self.more.clicked.connect(lambda: _drop(self.menu, self.more))
        self.add(self._titled(tr("&Persona"), self.personas, self.save, self.more))
        self.add(self.personas)
        self.personas.activated.connect(
            lambda index: self._personas.choose(self.personas.itemData(index))
        )
        self.text = QPlainTextEdit()
        self.text.setAccessibleName(tr("Text of the persona"))
        self.text.setPlaceholderText(tr("Who it is, what it knows, how it speaks. In English."))
        self.text.setTabChangesFocus(True)
        self.text.setFixedHeight(theme().px(TEXT_HEIGHT))
        self.text.textChanged.connect(lambda: self._personas.edit(text=self.text.toPlainText()))
        self.add(self.text)
        self._count = label("", Type.SMALL, Role.TEXT3, wrap=True)
        self.add(self._count)

    def _make_voice(self) -> None:
        self.voices = self._combo(tr("&Voice"), "speaker")
        self.hear = Button(kind=Kind.ICON, icon="play", name=tr("Hear this voice"))
        self.hear.setToolTip(
            tr("Calls with this voice, speaks the built-in question, and hangs up after the answer")
        )
        self.hear.clicked.connect(self._call.hear_voice)
        self.own_voice = Button(
            tr("Own voice…"), kind=Kind.LINK, size=Size.SMALL,
            name=tr("Bring a voice of your own as a wav file"),
        )  # fmt: skip
        self.own_voice.clicked.connect(self.voice_file_asked)
        self.add(self._titled(tr("&Voice"), self.voices, self.own_voice))
        row = hbox(gap=6)
        row.addWidget(self.voices, 1)
        row.addWidget(self.hear)
        self.add(row)
        self._voices_word = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self.add(self._voices_word)
        self.voices.activated.connect(
            lambda index: self._personas.edit(voice=self.voices.itemData(index))
        )

    def _combo(self, name: str, icon: str) -> ComboBox:
        box = ComboBox(name.replace("&", ""), icon=icon)
        box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(8)
        box.setSizePolicy(box.sizePolicy().Policy.Expanding, box.sizePolicy().Policy.Fixed)
        return box

    def _titled(self, title: str, buddy: QWidget, *beside: QWidget) -> QWidget:
        holder = QWidget()
        row = hbox(holder, gap=4)
        words = label(title, Type.SMALL, Role.TEXT2)
        words.setBuddy(buddy)
        row.addWidget(words, 1)
        for part in beside:
            row.addWidget(part)
        return holder

    # -- following --------------------------------------------------------------------------------------------

    def _follow_persona(self) -> None:
        model, draft = self._personas, self._personas.draft
        names = [(each.name, each.name) for each in model.all]
        if model.origin is None:
            names.insert(0, (draft.name or tr("Not saved"), draft.name))
        elif model.edited:
            names = [
                (tr("{name}, changed", name=shown) if key == draft.name else shown, key)
                for shown, key in names
            ]
        _refill(self.personas, names)
        self.personas.setCurrentIndex(self.personas.findData(draft.name))
        if self.text.toPlainText() != draft.text:
            self.text.blockSignals(True)
            self.text.setPlainText(draft.text)
            self.text.blockSignals(False)
        self.remove.setEnabled(model.removable)
        over = len(draft.text) - LONGEST_TEXT
        if over > 0:
            self._count.setText(tr("{count} characters too many.", count=over))
        set_tone(self._count, Role.ERR)
        self._count.setVisible(over > 0)

    def _follow_voices(self) -> None:
        model, chosen = self._personas, self._personas.draft.voice
        found = model.voices.voices if model.voices is not None else ()
        rows = [(tr("The server's usual voice"), "")]
        rows += [(_voice_title(each.name, each.label), each.name) for each in found]
        if chosen and all(each.name != chosen for each in found):
            unknown = model.voices is None or not found
            rows.append(
                (chosen if unknown else tr("{voice}, not on this server", voice=chosen), chosen)
            )
        _refill(self.voices, rows)
        self.voices.setCurrentIndex(max(0, self.voices.findData(chosen)))
        self._voices_word.setText(self._voices_sentence())
        self._voices_word.setVisible(bool(self._voices_word.text()))

    def _voices_sentence(self) -> str:
        model = self._personas
        if self._call.uses_echo or self._call.partner is None:
            return ""
        if model.fault is not None:
            return show(model.fault.what)
        if model.asking and model.voices is None:
            return tr("Asking the server for its voices…")
        if model.voices is not None and not model.voices.voices:
            return tr("The server tells no voices.")
        return ""

    def _sentence(self) -> str:
        call = self._call
        if call.partner is None or not call.partner.rehearsal:
            return ""
        if call.uses_echo:
            return tr(
                "Echo answers: it returns your own words, to check microphone, speaker and network. The "
                "rehearsal model was never trained."
            )
        return tr("The rehearsal model answers. It was never trained, so it babbles.")


def _drop(menu: QMenu, button: Button) -> None:
    menu.popup(button.mapToGlobal(button.rect().bottomLeft()))


def _voice_title(name: str, words: str) -> str:
    plain = name.removesuffix(".pt").removesuffix(".wav")
    return plain if words in {name, plain} else f"{plain} · {words}"


def _refill(box: ComboBox, rows: list[tuple[str, str]]) -> None:
    """Show these choices; an unchanged list is left alone, so that an open drop-down stays."""
    if rows == [(box.itemText(i), box.itemData(i)) for i in range(box.count())]:
        return
    box.clear()
    for text, data in rows:
        box.addItem(text, data)
