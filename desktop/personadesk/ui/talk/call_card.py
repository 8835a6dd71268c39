"""The call as it goes: its state and time, both voices rolling by, and what stands in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal

from personadesk.ui.announce import announce
from personadesk.ui.i18n import show, tr, trn
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Card,
    ErrorPanel,
    Note,
    Pill,
    RollingWaveform,
    Shape,
    Track,
    clear_layout,
    hbox,
    label,
    vbox,
)
from personadesk.voice.talk_view import TalkSnapshot, TalkState

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call
    from personadesk.voice.figures import Place

__all__ = ["CallCard", "clock"]

WAVE_STEP: Final = 0.04
WAVE_LATE: Final = 5
"""Steps that the drawing stays behind the call: sound fills the newest ones only after their time."""
WAVE_SECONDS: Final = 12
SPEAKING_DBFS: Final = -45.0


class CallCard(Card):
    """The card.

    Signals:
        again_asked: Call once more.
        token_asked: The server shall get another token.
    """

    again_asked = Signal()
    token_asked = Signal()

    def __init__(self, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(padding=16, gap=8, parent=parent)
        self._call = call
        self._pushed = 0
        self._panel_key: object = None
        head = hbox(gap=12)
        self.pill = Pill("", Shape.EMPTY)
        self.time = label("", Type.HEADING)
        self.time.setAccessibleName(tr("Length of the call"))
        self.recording = Pill(tr("Recording"), Shape.RECORDING)
        head.addWidget(self.pill)
        head.addWidget(self.time)
        head.addWidget(self.recording)
        head.addStretch(1)
        self._last = label(tr("last 12 seconds"), Type.SMALL, Role.TEXT2)
        head.addWidget(self._last)
        self.add(head)
        self._panel_place = vbox()
        self.add(self._panel_place)
        self.waves = RollingWaveform(
            [Track(tr("You"), tr("silent"), 0), Track(tr("Voice"), tr("silent"), 1)],
            seconds=WAVE_SECONDS,
            step=WAVE_STEP,
        )
        self.waves.setMinimumHeight(theme().px(130))
        self.add(self.waves, 1)

    def follow(self) -> None:
        """Notice that a call began or ended."""
        on = self._call.is_on
        if on and self._pushed == 0:
            self.waves.clear()
        if not on:
            self._pushed = 0

    def show_call(self, snapshot: TalkSnapshot | None) -> None:
        """Show one moment."""
        shape, word = _state(snapshot)
        if word != self.pill.word and snapshot is not None:
            announce(word, urgent=shape is Shape.ERR)
        self.pill.set_state(word, shape)
        self._show_panel(snapshot)
        keeping = snapshot is not None and snapshot.keeping.on
        if keeping != self.recording.isVisibleTo(self):
            self.recording.setVisible(keeping)
        if snapshot is None:
            self.time.setText("")
            return
        self.time.setText(clock(snapshot.seconds) if snapshot.seconds else "")
        failed = snapshot.state is TalkState.FAILED and not snapshot.seconds
        self.waves.setVisible(not failed)
        self._last.setVisible(not failed)
        on = self._call.is_on
        if on:
            self._push_waves(snapshot)
        for index, level in ((0, snapshot.mic_level_dbfs), (1, snapshot.speaker_level_dbfs)):
            speaking = on and level > SPEAKING_DBFS
            self.waves.set_note(index, tr("speaking") if speaking else tr("silent"))

    def _push_waves(self, snapshot: TalkSnapshot) -> None:
        due = int(snapshot.seconds / WAVE_STEP) - WAVE_LATE
        you, voice = snapshot.you_wave[:-WAVE_LATE], snapshot.voice_wave[:-WAVE_LATE]
        fresh = min(due - self._pushed, len(you), len(voice))
        if fresh > 0:
            self._pushed = due
            self.waves.push(you[-fresh:], voice[-fresh:])

    def _show_panel(self, snapshot: TalkSnapshot | None) -> None:
        failed = snapshot is not None and snapshot.state is TalkState.FAILED
        nobody = self._call.partner is None and not self._call.is_on
        sentence = "" if failed else _sentence(snapshot)
        key = (failed and snapshot and snapshot.reason, sentence, nobody)
        if key == self._panel_key:
            return
        self._panel_key = key
        clear_layout(self._panel_place)
        if snapshot is not None and failed:
            deeds = [(tr("Call again"), self.again_asked)]
            partner = self._call.partner
            if snapshot.cause == "token" and partner is not None and partner.foreign:
                deeds.insert(0, (tr("Give its token…"), self.token_asked))
            panel = ErrorPanel(
                show(snapshot.reason),
                show(snapshot.next),
                details=snapshot.details,
                actions=[title for title, _deed in deeds],
            )
            panel.acted.connect(lambda index: deeds[index][1].emit())
            self._panel_place.addWidget(panel)
        elif sentence:
            self._panel_place.addWidget(Note(sentence))
        elif nobody:
            self._panel_place.addWidget(
                Note(tr("There is no line to talk to yet. Make one on Home or under Deploy."))
            )


def clock(at: float) -> str:
    """Return seconds as people read the length of a call: `2:03`, above an hour `1:02:03`."""
    minutes, seconds = divmod(int(at), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _sentence(snapshot: TalkSnapshot | None) -> str:
    """Return what is not as it should be though the call goes on."""
    if snapshot is None:
        return ""
    if snapshot.link.reconnecting:
        if snapshot.link.gives_up_in is None:
            return tr("The connection broke. It is being taken up again.")
        return tr(
            "The connection broke. It is being taken up again, for another {seconds} s.",
            seconds=max(0, round(snapshot.link.gives_up_in)),
        )
    if snapshot.place is not None:
        return _waiting(snapshot.place)
    return show(snapshot.keeping.fault) or show(snapshot.notice)


def _waiting(place: Place) -> str:
    if place.position <= 1:
        words = tr("Somebody else is talking to this line. You are next.")
    else:
        words = tr("Others are talking to this line. You are number {n} in line.", n=place.position)
    if place.left_s is None or place.left_s <= 0:
        return words
    minutes = max(1, round(place.left_s / 60))
    return f"{words} " + trn(
        "The server lets you wait for another minute.",
        "The server lets you wait for another {n} minutes.",
        minutes,
    )


def _state(snapshot: TalkSnapshot | None) -> tuple[Shape, str]:
    if snapshot is None:
        return Shape.EMPTY, tr("No call")
    if snapshot.link.reconnecting:
        return Shape.WARN, tr("Reconnecting")
    if snapshot.state is TalkState.CONNECTING:
        return Shape.BUSY, tr("Calling")
    if snapshot.place is not None:
        return Shape.BUSY, tr("In line")
    if snapshot.state is TalkState.PREPARING:
        return Shape.BUSY, tr("Getting ready")
    if snapshot.state is TalkState.IN_CALL:
        return Shape.OK, tr("In a call, muted") if snapshot.muted else tr("In a call")
    if snapshot.state is TalkState.FAILED:
        return Shape.ERR, tr("Call failed")
    return Shape.STOPPED, tr("Call ended")
