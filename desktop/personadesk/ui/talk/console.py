"""The console itself: whom you talk to and through what, the call with both voices and its words, where time goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QFileDialog, QWidget

from personadesk.ui.i18n import tr
from personadesk.ui.sheet import Sheet
from personadesk.ui.shell.pages import scrolled
from personadesk.ui.spawn import spawn
from personadesk.ui.talk import questions
from personadesk.ui.talk.audio_card import AudioCard
from personadesk.ui.talk.call_card import CallCard
from personadesk.ui.talk.check import open_check
from personadesk.ui.talk.compared_card import ComparedCard
from personadesk.ui.talk.figures_card import FiguresCard
from personadesk.ui.talk.foot import CallFoot
from personadesk.ui.talk.foreign_dialog import ForeignDialog, ask_forget_server
from personadesk.ui.talk.lag_card import LagCard
from personadesk.ui.talk.partner_card import PartnerCard
from personadesk.ui.talk.push import PushToTalk
from personadesk.ui.talk.saving import save_report
from personadesk.ui.talk.transcript_card import TranscriptCard
from personadesk.ui.theme import theme
from personadesk.ui.widgets import hbox, vbox

if TYPE_CHECKING:
    from personadesk.ui.talk.call import Call
    from personadesk.ui.talk.foreign import Foreign
    from personadesk.ui.talk.personas import Personas
    from personadesk.ui.voice_lab.lab import Lab
    from personadesk.voice.talk_view import TalkSnapshot

__all__ = ["Console"]

FRAME_MS: Final = 50
"""The snapshot is read twenty times a second, and only while the page shows."""
FIGURE_FRAMES: Final = 10
"""Figures change twice a second, so that they can be read."""
PLUG_MS: Final = 4000
"""How often is looked for what was plugged in, while nobody talks."""
LEFT, RIGHT = 312, 304
NARROW: Final = 1080
"""Below this the right column moves under the call."""


class Console(QWidget):
    """The view; it follows the call, which outlives it."""

    def __init__(
        self,
        call: Call,
        personas: Personas,
        foreign: Foreign,
        lab: Lab,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._call = call
        self._personas = personas
        self._foreign = foreign
        self._frames = 0
        self._narrow: bool | None = None
        outer = vbox(self)
        self.partner_card = PartnerCard(call, personas)
        self.audio_card = AudioCard(call)
        self.call_card = CallCard(call)
        self.transcript_card = TranscriptCard()
        self.lag_card = LagCard()
        self.figures_card = FiguresCard()
        self.compared_card = ComparedCard(lab, call, self)
        outer.addWidget(self._make_body(), 1)
        self.foot = CallFoot(call)
        outer.addWidget(self.foot)
        self._push = PushToTalk(call, self)
        self._connect()
        self._frame = QTimer(self)
        self._frame.setInterval(FRAME_MS)
        self._frame.timeout.connect(self._draw)
        self._plugged = QTimer(self)
        self._plugged.setInterval(PLUG_MS)
        self._plugged.timeout.connect(self._look_for_plugged)
        call.changed.connect(self._follow)
        foreign.changed.connect(self._opened_anew)
        self._arrange()
        self._follow()

    def focus_first(self) -> None:
        """Put the keyboard on what one wants next."""
        wanted = self.foot.hang_up if self._call.is_on else self.foot.talk
        if wanted.isVisible():
            wanted.setFocus(Qt.FocusReason.OtherFocusReason)

    def entered(self) -> None:
        """Begin what costs time only while it shows."""
        if self._call.devices is None:
            self._call.look_for_devices()
        self._personas.load()
        self._look_for_voices()
        self._frame.start()
        self._plugged.start()
        self._push.start()
        self._draw()

    def left(self) -> None:
        """End what `entered` began."""
        self._frame.stop()
        self._plugged.stop()
        self._push.stop()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_body(self) -> QWidget:
        px = theme().px
        body = QWidget()
        columns = hbox(body, gap=14)
        columns.setContentsMargins(px(24), px(18), px(24), px(18))
        left = Sheet()
        side = vbox(left, gap=14)
        side.addWidget(self.partner_card)
        side.addWidget(self.audio_card)
        side.addStretch(1)
        area = scrolled(left)
        area.setFixedWidth(px(LEFT) + px(14))
        columns.addWidget(area)
        middle = Sheet()
        self._middle = vbox(middle, gap=14)
        self._middle.addWidget(self.call_card, 3)
        self._below = hbox(gap=14)
        self._middle.addLayout(self._below)
        self.transcript_card.setMinimumHeight(px(180))
        self._middle.addWidget(self.transcript_card, 4)
        # Below what moves in a call: it needs no height that a transcript would have used.
        self._middle.addWidget(self.compared_card)
        columns.addWidget(scrolled(middle), 1)
        right = Sheet()
        self._right = vbox(right, gap=14)
        self._right.addStretch(1)
        self._right_area = scrolled(right)
        self._right_area.setFixedWidth(px(RIGHT))
        columns.addWidget(self._right_area)
        return body

    def _arrange(self) -> None:
        """Put lag and figures at the right, or under the call where the window is narrow."""
        narrow = self.width() < theme().px(NARROW)
        if narrow == self._narrow:
            return
        self._narrow = narrow
        self.foot.set_narrow(narrow)
        for index, card in enumerate((self.lag_card, self.figures_card)):
            if narrow:
                self._below.addWidget(card, 1)
            else:
                self._right.insertWidget(index, card)
        self.call_card.waves.setMinimumHeight(theme().px(100 if narrow else 130))
        self._right_area.setVisible(not narrow)
        self._show_figures(self._call.snapshot())

    def _connect(self) -> None:
        call, card = self._call, self.partner_card
        self.call_card.again_asked.connect(call.start)
        self.foot.record_asked.connect(self._record)
        self.foot.report_asked.connect(self._save_report)
        card.save_asked.connect(lambda: questions.ask_name(self, self._personas))
        card.remove_asked.connect(lambda: questions.ask_remove(self, self._personas))
        card.import_asked.connect(self._import)
        card.export_asked.connect(self._export)
        card.voice_file_asked.connect(self._bring_voice)
        card.server_asked.connect(lambda: ForeignDialog(self, self._foreign).open())
        card.token_asked.connect(self._ask_token)
        card.forget_asked.connect(self._ask_forget)
        self.call_card.token_asked.connect(self._ask_token)
        self.audio_card.check_asked.connect(lambda: open_check(self, call))
        for keys, deed in (
            ("Ctrl+D", self._toggle_mute), ("Ctrl+E", call.hang_up), ("Ctrl+Shift+R", self._record),
        ):  # fmt: skip
            QShortcut(QKeySequence(keys), self, activated=deed)  # type: ignore[call-overload] # Qt's stub lacks the keyword

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        self.partner_card.follow()
        self.audio_card.follow()
        self.call_card.follow()
        self._look_for_voices()
        self._frames = 0
        self._draw()

    def _draw(self) -> None:
        snapshot = self._call.snapshot()
        self.call_card.show_call(snapshot)
        self.audio_card.show_call(snapshot)
        self.transcript_card.show_call(snapshot)
        self.foot.show_call(snapshot)
        if self._frames % FIGURE_FRAMES == 0:
            self._show_figures(snapshot)
        self._frames += 1

    def _show_figures(self, snapshot: TalkSnapshot | None) -> None:
        known = snapshot is not None and snapshot.seconds > 0
        # Where they would push the transcript out of sight they wait until there is something to tell.
        for card in (self.lag_card, self.figures_card):
            card.setVisible(known or not self._narrow)
        if snapshot is not None:
            self.lag_card.show_lag(snapshot.lag, on=self._call.is_on)
        self.figures_card.show_call(snapshot, self._call.partner)

    def _look_for_voices(self) -> None:
        partner = self._call.partner
        if partner is not None and self.isVisible() and not self._call.uses_echo:
            self._personas.look_for_voices(partner.server or partner.url)

    def _opened_anew(self, name: str) -> None:
        """Take a server that was kept a moment ago, and ask it for its voices with the token that it has now."""
        if not name or self._call.is_on:
            return
        self._call.choose(name)
        partner = self._call.partner
        if partner is not None and partner.name == name and self.isVisible():
            self._personas.look_for_voices(partner.url, again=True)

    def _look_for_plugged(self) -> None:
        if not self._call.is_on:
            self._call.look_for_devices(again=True)

    # -- deeds ------------------------------------------------------------------------------------------------

    def _toggle_mute(self) -> None:
        if self._call.is_on:
            self._call.mute(not self._call.muted)

    def _record(self) -> None:
        snapshot = self._call.snapshot()
        if snapshot is None or not self._call.is_on or not self.foot.record.isEnabled():
            return
        if snapshot.keeping.on:
            self._call.keep(False)
        elif self._call.agreed_to_record:
            self._call.keep(True)
        else:
            questions.ask_record(self, self._call)

    def _save_report(self) -> None:
        snapshot, partner = self._call.snapshot(), self._call.partner
        if snapshot is None or partner is None:
            return
        name, _kind = QFileDialog.getSaveFileName(
            self, tr("Save the report"), f"{partner.name}.html", tr("Web pages (*.html)")
        )
        if name:
            work = save_report(Path(name), snapshot, partner, self._personas.draft)
            spawn(work, "save a call's report", owner=self)

    def _ask_token(self) -> None:
        partner = self._call.partner
        if partner is not None and partner.foreign:
            ForeignDialog(self, self._foreign, partner.name).open()

    def _ask_forget(self) -> None:
        partner = self._call.partner
        if partner is not None and partner.foreign:
            ask_forget_server(self, self._foreign, partner.name)

    def _import(self) -> None:
        name, _kind = QFileDialog.getOpenFileName(
            self, tr("Import a persona"), "", tr("Personas (*.json)")
        )
        if name:
            self._personas.bring(Path(name))

    def _export(self) -> None:
        plain = self._personas.draft.name or tr("Persona")
        name, _kind = QFileDialog.getSaveFileName(
            self, tr("Export the persona"), f"{plain}.json", tr("Personas (*.json)")
        )
        if name:
            self._personas.share(Path(name))

    def _bring_voice(self) -> None:
        name, _kind = QFileDialog.getOpenFileName(
            self, tr("Bring a voice of your own"), "", tr("Sound (*.wav)")
        )
        if name:
            questions.ask_voice_name(self, self._personas, Path(name))
