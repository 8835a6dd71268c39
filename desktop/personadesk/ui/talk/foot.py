"""The foot of the console: Talk before a call, and in one what is done during it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal

from personadesk.ui.i18n import tr
from personadesk.ui.widgets import Button, FootBar, Kind, Size, repolish
from personadesk.voice.talk_view import TalkState

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call
    from personadesk.voice.talk_view import TalkSnapshot

__all__ = ["CallFoot"]


class CallFoot(FootBar):
    """The bar.

    Signals:
        record_asked: Record, or no longer.
        report_asked: The call shall be written down as a report.
    """

    record_asked = Signal()
    report_asked = Signal()

    def __init__(self, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._call = call
        self.talk = Button(tr("Talk"), kind=Kind.PRIMARY, icon="voice", size=Size.LARGE)
        self.talk.clicked.connect(lambda: call.start())
        self.mute = Button(tr("Mute"), icon="mute", size=Size.LARGE)
        self.mute.setCheckable(True)
        self.mute.clicked.connect(lambda: call.mute(not call.muted))
        self.hang_up = Button(tr("Hang up"), kind=Kind.DANGER, icon="stop", size=Size.LARGE)
        self.hang_up.clicked.connect(call.hang_up)
        self.record = Button(tr("Record"), icon="record", size=Size.LARGE)
        self.record.clicked.connect(self.record_asked)
        self.clip = Button(tr("Built-in clip"), icon="wave", size=Size.LARGE)
        self.clip.setToolTip(tr("Speaks the built-in question into the call"))
        self.clip.clicked.connect(call.say_clip)
        self.report = Button(tr("Save report…"), icon="report", size=Size.LARGE)
        self.report.clicked.connect(self.report_asked)
        for button in (self.mute, self.hang_up, self.record):
            self.add_middle(button)
        for button in (self.clip, self.report, self.talk):
            self.add_right(button)
        self._narrow = False
        call.changed.connect(self.follow)
        self.follow()

    def set_narrow(self, narrow: bool) -> None:
        """Draw smaller buttons, where the large ones would not fit beside each other."""
        if narrow == self._narrow:
            return
        self._narrow = narrow
        for button in (self.mute, self.hang_up, self.record, self.clip, self.report):
            button.setProperty("large", "false" if narrow else "true")
            repolish(button)
        self.clip.set_icon(None if narrow else "wave")
        self.report.set_icon(None if narrow else "report")

    def follow(self) -> None:
        """Show the buttons that fit."""
        call, on = self._call, self._call.is_on
        clip_only = not call.has_microphone and call.source in {None, "clip"}
        self.talk.setText(tr("Play the built-in clip") if clip_only else tr("Talk"))
        self.talk.set_icon("play" if clip_only else "voice")
        self.talk.setVisible(not on)
        self.talk.setEnabled(call.partner is not None)
        for button in (self.mute, self.hang_up, self.record, self.clip):
            button.setVisible(on)
        self.mute.setChecked(call.muted)
        self.mute.setText(tr("Unmute") if call.muted else tr("Mute"))
        self.set_sentence(tr("Ctrl+D: mute · Ctrl+E: hang up · Ctrl+Shift+R: record") if on else "")

    def show_call(self, snapshot: TalkSnapshot | None) -> None:
        """Follow what changes by itself: the recording, the line's queue, whether there is something to save."""
        queued = snapshot is not None and snapshot.place is not None
        way_out = tr("Leave the queue") if queued else tr("Hang up")
        if way_out != self.hang_up.text():
            self.hang_up.setText(way_out)
        # What is done in a call waits until somebody answers.
        talking = snapshot is not None and snapshot.state is TalkState.IN_CALL
        for button in (self.record, self.clip):
            if talking != button.isEnabled():
                button.setEnabled(talking)
        keeping = snapshot is not None and snapshot.keeping.on
        word = tr("Stop recording") if keeping else tr("Record")
        if word != self.record.text():
            self.record.setText(word)
        saveable = snapshot is not None and snapshot.seconds > 0
        if saveable != self.report.isVisibleTo(self):
            self.report.setVisible(saveable)
