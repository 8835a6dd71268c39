"""The voice console, plain: whom you talk to, through what, the call with both voices rolling by, and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from personadesk.ui.announce import announce
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.sheet import Sheet
from personadesk.ui.shell.pages import Page, scrolled
from personadesk.ui.talk.audio_card import AudioCard
from personadesk.ui.talk.partner_card import PartnerCard
from personadesk.ui.talk.transcript import TranscriptRow, TranscriptView
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    ErrorPanel,
    FactList,
    FootBar,
    Kind,
    Note,
    Pill,
    RollingWaveform,
    Shape,
    Size,
    Track,
    clear_layout,
    hbox,
    label,
    vbox,
)
from personadesk.voice.talk_view import TalkSnapshot, TalkState

if TYPE_CHECKING:
    from personadesk.ui.talk.call import Call

__all__ = ["TalkPage"]

FRAME_MS = 50
"""The snapshot is read twenty times a second, and only while the page shows."""
WAVE_STEP = 0.04
WAVE_LATE = 5
"""Steps that the drawing stays behind the call: sound fills the newest ones only after their time."""
WAVE_SECONDS = 12
SPEAKING_DBFS = -45.0


class TalkPage(Page):
    """The page; it follows the call, which outlives it.

    Signals:
        lines_asked: There is no line to talk to; the user wants to make one.
    """

    lines_asked = Signal()

    def __init__(self, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._call = call
        self._pushed = 0
        self._panel_key: object = None
        px = theme().px
        outer = vbox(self)
        body = QWidget()
        columns = hbox(body, gap=14)
        columns.setContentsMargins(px(24), px(18), px(24), px(18))
        left = Sheet()
        left.setFixedWidth(px(320))
        side = vbox(left, gap=14)
        self.partner_card = PartnerCard(call)
        self.audio_card = AudioCard(call)
        self._facts_card = Card(tr("This call"), padding=18, gap=10)
        self._facts = FactList()
        self._facts_card.add(self._facts)
        for card in (self.partner_card, self.audio_card, self._facts_card):
            side.addWidget(card)
        side.addStretch(1)
        area = scrolled(left)
        area.setFixedWidth(px(320) + px(14))
        columns.addWidget(area)
        middle = vbox(gap=14)
        middle.addWidget(self._make_call_card(), 3)
        middle.addWidget(self._make_transcript_card(), 4)
        columns.addLayout(middle, 1)
        outer.addWidget(body, 1)
        outer.addWidget(self._make_foot())
        self._frame = QTimer(self)
        self._frame.setInterval(FRAME_MS)
        self._frame.timeout.connect(self._draw)
        for keys, deed in (("Ctrl+D", self._toggle_mute), ("Ctrl+E", self._call.hang_up)):
            QShortcut(QKeySequence(keys), self, activated=deed)  # type: ignore[call-overload] # Qt's stub lacks the keyword
        call.changed.connect(self._follow)
        self._follow()

    @property
    def title(self) -> str:
        return tr("Voice console")

    @property
    def subtitle(self) -> str:
        return tr("Talk to a voice, and see what comes back")

    def focus_first(self) -> None:
        wanted = self._hang_up if self._call.is_on else self.talk_button
        if wanted.isVisible():
            wanted.setFocus(Qt.FocusReason.OtherFocusReason)

    def entered(self) -> None:
        if self._call.devices is None:
            self._call.look_for_devices()
        self._frame.start()
        self._draw()

    def left(self) -> None:
        self._frame.stop()

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_call_card(self) -> QWidget:
        card = Card(padding=18, gap=10)
        head = hbox(gap=12)
        self.pill = Pill("", Shape.EMPTY)
        self._time = label("", Type.HEADING)
        self._time.setAccessibleName(tr("Length of the call"))
        head.addWidget(self.pill)
        head.addWidget(self._time)
        head.addStretch(1)
        self._last = label(tr("last 12 seconds"), Type.SMALL, Role.TEXT2)
        head.addWidget(self._last)
        card.add(head)
        self._panel_place = vbox()
        card.add(self._panel_place)
        self.waves = RollingWaveform(
            [Track(tr("You"), tr("silent"), 0), Track(tr("Voice"), tr("silent"), 1)],
            seconds=WAVE_SECONDS,
            step=WAVE_STEP,
        )
        self.waves.setMinimumHeight(theme().px(130))
        card.add(self.waves, 1)
        return card

    def _make_transcript_card(self) -> QWidget:
        card = Card(padding=18, gap=10)
        head = hbox(gap=10)
        head.addWidget(label(tr("Transcript"), Type.CARD_TITLE))
        head.addWidget(
            ElidedLabel(
                tr("The voice writes down its own words, not yours"), Type.SMALL, Role.TEXT2
            ),
            1,
        )
        copy = Button(kind=Kind.ICON, icon="copy", size=Size.SMALL, name=tr("Copy the transcript"))
        head.addWidget(copy)
        card.add(head)
        self.transcript = TranscriptView(tr("Transcript"))
        copy.clicked.connect(self.transcript.copy_all)
        card.add(self.transcript, 1)
        return card

    def _make_foot(self) -> QWidget:
        self._foot = FootBar()
        self.talk_button = Button(tr("Talk"), kind=Kind.PRIMARY, icon="voice", size=Size.LARGE)
        self.talk_button.clicked.connect(lambda: self._call.start())
        self._mute = Button(tr("Mute"), icon="mute", size=Size.LARGE)
        self._mute.setCheckable(True)
        self._mute.clicked.connect(self._toggle_mute)
        self._hang_up = Button(tr("Hang up"), kind=Kind.DANGER, icon="stop", size=Size.LARGE)
        self._hang_up.clicked.connect(self._call.hang_up)
        self._clip = Button(tr("Built-in clip"), icon="wave", size=Size.LARGE)
        self._clip.setToolTip(tr("Speaks the built-in question into the call"))
        self._clip.clicked.connect(self._call.say_clip)
        for button in (self._mute, self._hang_up, self._clip, self.talk_button):
            self._foot.add_right(button)
        return self._foot

    # -- showing ----------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        call = self._call
        on = call.is_on
        self.partner_card.follow()
        self.audio_card.follow()
        clip_only = not call.has_microphone and call.source in {None, "clip"}
        self.talk_button.setText(tr("Play the built-in clip") if clip_only else tr("Talk"))
        self.talk_button.set_icon("play" if clip_only else "voice")
        self.talk_button.setVisible(not on)
        self.talk_button.setEnabled(call.partner is not None)
        for button in (self._mute, self._hang_up, self._clip):
            button.setVisible(on)
        self._mute.setChecked(call.muted)
        self._mute.setText(tr("Unmute") if call.muted else tr("Mute"))
        self._foot.set_sentence(tr("Ctrl+D: mute · Ctrl+E: hang up") if on else "")
        if on and self._pushed == 0:
            self.waves.clear()
        if not on:
            self._pushed = 0
        self._draw()

    def _draw(self) -> None:
        snapshot = self._call.snapshot()
        shape, word = self._state(snapshot)
        if word != self.pill.word and self._call.snapshot() is not None:
            announce(word, urgent=shape is Shape.ERR)
        self.pill.set_state(word, shape)
        self._show_panel(snapshot)
        self._facts_card.setVisible(snapshot is not None and snapshot.frames > 0)
        if snapshot is None:
            self._time.setText("")
            self.transcript.show_rows(())
            self.audio_card.show_levels(None, None)
            return
        self._time.setText(_clock(snapshot.seconds) if snapshot.seconds else "")
        self.waves.setVisible(snapshot.state is not TalkState.FAILED)
        self._last.setVisible(snapshot.state is not TalkState.FAILED)
        on = self._call.is_on
        self.audio_card.show_levels(
            snapshot.mic_level_dbfs if on else None, snapshot.speaker_level_dbfs if on else None
        )
        if on:
            self._push_waves(snapshot)
        for index, level in ((0, snapshot.mic_level_dbfs), (1, snapshot.speaker_level_dbfs)):
            speaking = on and level > SPEAKING_DBFS
            self.waves.set_note(index, tr("speaking") if speaking else tr("silent"))
        self.transcript.show_rows([_row(line) for line in snapshot.transcript])
        self._show_facts(snapshot)

    def _push_waves(self, snapshot: TalkSnapshot) -> None:
        due = int(snapshot.seconds / WAVE_STEP) - WAVE_LATE
        you, voice = snapshot.you_wave[:-WAVE_LATE], snapshot.voice_wave[:-WAVE_LATE]
        fresh = min(due - self._pushed, len(you), len(voice))
        if fresh > 0:
            self._pushed = due
            self.waves.push(you[-fresh:], voice[-fresh:])

    def _state(self, snapshot: TalkSnapshot | None) -> tuple[Shape, str]:
        if snapshot is None:
            return Shape.EMPTY, tr("No call")
        if snapshot.state is TalkState.CONNECTING:
            return Shape.BUSY, tr("Calling")
        if snapshot.state is TalkState.PREPARING:
            return Shape.BUSY, tr("Getting ready")
        if snapshot.state is TalkState.IN_CALL:
            return Shape.OK, tr("In a call, muted") if snapshot.muted else tr("In a call")
        if snapshot.state is TalkState.FAILED:
            return Shape.ERR, tr("Call failed")
        return Shape.STOPPED, tr("Call ended")

    def _show_panel(self, snapshot: TalkSnapshot | None) -> None:
        failed = snapshot is not None and snapshot.state is TalkState.FAILED
        nobody = self._call.partner is None and not self._call.is_on
        key = (failed and snapshot and snapshot.reason, snapshot and snapshot.notice, nobody)
        if key == self._panel_key:
            return
        self._panel_key = key
        clear_layout(self._panel_place)
        if snapshot is not None and failed:
            panel = ErrorPanel(
                show(snapshot.reason),
                show(snapshot.next),
                details=snapshot.details,
                actions=[tr("Call again")],
            )
            panel.acted.connect(lambda _index: self._call.start())
            self._panel_place.addWidget(panel)
        elif snapshot is not None and snapshot.notice:
            self._panel_place.addWidget(Note(show(snapshot.notice)))
        elif nobody:
            self._panel_place.addWidget(
                Note(tr("There is no line to talk to yet. Make one on Home or under Deploy."))
            )

    def _show_facts(self, snapshot: TalkSnapshot) -> None:
        lag = tr("{ms} ms", ms=round(snapshot.lag_ms)) if snapshot.lag_ms is not None else ""
        facts = [(tr("Lag, mouth to ear"), lag or tr("not told by the server"))]
        facts.append((tr("Frames received"), f"{snapshot.frames}"))
        facts.append((tr("Loudspeaker ran dry"), trn("{n} time", "{n} times", snapshot.late)))
        facts.append((tr("Costs"), tr("Free")))
        self._facts.set_facts(facts)

    def _toggle_mute(self) -> None:
        if self._call.is_on:
            self._call.mute(not self._call.muted)


def _row(line: tuple[float, str, object]) -> TranscriptRow:
    at, who, text = line
    you = who == "you"
    from personadesk.domain.text import Text

    told = isinstance(text, Text)
    return TranscriptRow(
        time=_clock(at),
        who=tr("You") if you else tr("Voice"),
        text=show(text) if isinstance(text, Text) else str(text),
        series=0 if you else 1,
        faint=told,
    )


def _clock(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
