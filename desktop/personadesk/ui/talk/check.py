"""Hear yourself before the call: some seconds are recorded, played back, and thrown away."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog

from personadesk.domain.errors import PersonaDeskError
from personadesk.ui.i18n import show, tr
from personadesk.ui.spawn import spawn
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Kind,
    LevelMeter,
    ProgressBar,
    hbox,
    label,
    set_tone,
    vbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QCloseEvent
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call
    from personadesk.voice.sound_check import SoundCheck

__all__ = ["CheckDialog", "open_check"]

FRAME_MS: Final = 50
SECONDS: Final = 10.0


class CheckDialog(QDialog):
    """Record, then play back; closing it stops whatever goes on."""

    def __init__(self, parent: QWidget, make: Callable[[], SoundCheck]) -> None:
        """Make the dialog; nothing is recorded before its button is pressed.

        Args:
            parent: Window that it belongs to.
            make: Gives the check of the devices chosen.
        """
        super().__init__(parent)
        self.setWindowTitle("PersonaDesk")
        self.setModal(True)
        self.setAccessibleName(tr("Test microphone and speaker"))
        self.setMinimumWidth(theme().px(420))
        self._make = make
        self._check: SoundCheck | None = None
        self._playing = False
        self._began = 0.0
        column = vbox(self, gap=14, margin=24)
        column.addWidget(label(tr("Do you hear yourself?"), Type.HEADING))
        self.words = label("", Type.BODY, Role.TEXT2, wrap=True)
        column.addWidget(self.words)
        self.meter = LevelMeter(tr("Microphone"))
        column.addWidget(self.meter)
        self.bar = ProgressBar(tr("Time"))
        column.addWidget(self.bar)
        row = hbox(gap=8)
        row.addStretch(1)
        self.close_button = Button(tr("Close"))
        self.close_button.clicked.connect(self.close)
        self.deed = Button("", kind=Kind.PRIMARY, icon="record")
        self.deed.clicked.connect(self._press)
        row.addWidget(self.close_button)
        row.addWidget(self.deed)
        column.addLayout(row)
        self._frame = QTimer(self)
        self._frame.setInterval(FRAME_MS)
        self._frame.timeout.connect(self._tick)
        self._rest(
            tr(
                "Press Record and say something, for up to 10 seconds. It is played back to you then, and "
                "not kept."
            )
        )
        self.deed.setFocus()

    @property
    def is_recording(self) -> bool:
        """Whether the microphone is open."""
        return self._check is not None and not self._playing

    def closeEvent(self, event: QCloseEvent) -> None:
        self._let_go()
        super().closeEvent(event)
        self.deleteLater()

    def reject(self) -> None:
        self.close()

    def _press(self) -> None:
        if self._check is None:
            self.deed.setEnabled(False)
            spawn(self._record(), "record a sound check", owner=self, failed=self._failed)
        elif not self._playing:
            self.deed.setEnabled(False)
            spawn(self._play(), "play a sound check", owner=self, failed=self._failed)
        else:
            self._over()

    async def _record(self) -> None:
        check = await asyncio.to_thread(self._make)
        await asyncio.to_thread(check.record)
        self._check, self._began = check, time.monotonic()
        self.words.setText(tr("Say something."))
        set_tone(self.words, Role.TEXT2)
        self._offer(tr("Play it back"), "play")
        self._frame.start()

    async def _play(self) -> None:
        check = self._check
        if check is None:
            return
        self._frame.stop()
        self.meter.reset()
        self._playing = True
        await asyncio.to_thread(check.play)
        self._began = time.monotonic()
        self.words.setText(tr("You hear yourself now."))
        self._offer(tr("Stop"), "stop")
        self._frame.start()

    def _tick(self) -> None:
        check = self._check
        if check is None:
            return
        gone = time.monotonic() - self._began
        if self._playing:
            self.bar.set_fraction(gone / max(0.1, check.seconds))
            if not check.is_playing:
                self._over()
            return
        self.meter.set_level(check.level_dbfs)
        self.bar.set_fraction(gone / SECONDS)
        if gone >= SECONDS:
            self._press()

    def _over(self) -> None:
        check = self._check
        silent = check is not None and check.silent
        self._let_go()
        self._rest(
            tr("Nothing was heard. Is the microphone muted, or another one chosen?")
            if silent
            else tr(
                "Did you hear yourself? If not, choose another speaker or turn it up. If you sounded dull or "
                "far away, choose another microphone."
            )
        )

    def _rest(self, words: str) -> None:
        self._playing = False
        self.bar.set_fraction(0.0)
        self.meter.reset()
        self.words.setText(words)
        set_tone(self.words, Role.TEXT2)
        self._offer(tr("Record"), "record")

    def _offer(self, verb: str, icon: str) -> None:
        self.deed.setText(verb)
        self.deed.set_icon(icon)
        self.deed.setEnabled(True)

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, PersonaDeskError):
            raise error
        self._let_go()
        self._rest(f"{show(error.what)} {show(error.next)}")
        set_tone(self.words, Role.ERR)

    def _let_go(self) -> None:
        self._frame.stop()
        check, self._check = self._check, None
        if check is not None:
            spawn(asyncio.to_thread(check.close), "close the sound check")


def open_check(parent: QWidget, call: Call) -> CheckDialog:
    """Open the dialog for the devices that the call would use."""

    def make() -> Any:
        from personadesk.voice.sound_check import SoundCheck

        return SoundCheck(call.source, call.sink, volume=call.volume)

    dialog = CheckDialog(parent, make)
    dialog.open()
    return dialog
