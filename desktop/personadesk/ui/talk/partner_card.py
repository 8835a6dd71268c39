"""Whom to talk to: the line, and on a rehearsal line whether the echo or the model itself answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.ui.i18n import tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Card, CheckBox, ComboBox, label

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call

__all__ = ["PartnerCard"]


class PartnerCard(Card):
    """The card; locked during a call."""

    def __init__(self, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(tr("Who do you talk to?"), padding=18, gap=10, parent=parent)
        self._call = call
        title = label(tr("Line"), Type.SMALL, Role.TEXT2)
        self.lines = ComboBox(tr("Line"), icon="lines")
        self.lines.setSizePolicy(
            self.lines.sizePolicy().Policy.Expanding, self.lines.sizePolicy().Policy.Fixed
        )
        title.setBuddy(self.lines)
        self.add(title)
        self.add(self.lines)
        self.to_model = CheckBox(tr("Talk to the model itself"))
        self.add(self.to_model)
        self._about = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self.add(self._about)
        self.lines.activated.connect(lambda _index: self._call.choose(self.lines.currentText()))
        self.to_model.toggled.connect(self._choose_model)
        self.follow()

    def follow(self) -> None:
        """Show the lines and choices there are now."""
        call = self._call
        names = [partner.name for partner in call.partners]
        shown = [self.lines.itemText(i) for i in range(self.lines.count())]
        if names != shown:
            self.lines.clear()
            self.lines.addItems(names)
        partner = call.partner
        if partner is not None:
            self.lines.setCurrentText(partner.name)
        free = not call.is_on
        self.lines.setEnabled(free and bool(names))
        rehearsal = partner is not None and partner.rehearsal
        self.to_model.setVisible(rehearsal)
        self.to_model.setEnabled(free)
        self.to_model.blockSignals(True)
        self.to_model.setChecked(rehearsal and not call.uses_echo)
        self.to_model.blockSignals(False)
        self._about.setText(self._sentence())
        self._about.setVisible(bool(self._about.text()))

    def _sentence(self) -> str:
        call = self._call
        if call.is_on:
            return tr("Hang up to change.")
        if call.partner is None:
            return ""
        if not call.partner.rehearsal:
            return tr("The model of this line answers.")
        if call.uses_echo:
            return tr(
                "Echo answers: it returns your own words, to check microphone, speaker and network. The "
                "rehearsal model was never trained."
            )
        return tr("The rehearsal model answers. It was never trained, so it babbles.")

    def _choose_model(self, to_model: bool) -> None:
        self._call.choose_model(to_model)
