"""Hear yourself before the call: some seconds are recorded, played back, judged and thrown away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QDialog

from personadesk.ui.announce import announce
from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type, theme
from personadesk.ui.widgets import (
    Button,
    Kind,
    LevelMeter,
    ProgressBar,
    Shape,
    StateShape,
    hbox,
    label,
    vbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QCloseEvent
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call
    from personadesk.voice.sound_check import CheckView, SoundCheck

__all__ = ["CheckDialog", "open_check"]

FRAME_MS: Final = 50
SHORT_SECONDS, LONG_SECONDS = 3.0, 10.0


class CheckDialog(QDialog):
    """Record, play back, judge; closing it stops whatever goes on."""

    def __init__(self, parent: QWidget, make: Callable[[float], SoundCheck]) -> None:
        """Make the dialog; nothing is recorded before a button is pressed.

        Args:
            parent: Window that it belongs to.
            make: Gives a check of so many seconds with the devices chosen.
        """
        super().__init__(parent)
        self.setWindowTitle("PersonaDesk")
        self.setModal(True)
        self.setAccessibleName(tr("Test microphone and speaker"))
        self.setMinimumWidth(theme().px(460))
        self._make = make
        self._check: SoundCheck | None = None
        self._seconds = SHORT_SECONDS
        column = vbox(self, gap=14, margin=24)
        column.addWidget(label(tr("Do you hear yourself?"), Type.HEADING))
        row = hbox(gap=10)
        self.shape = StateShape(Shape.EMPTY, tr("Not tested yet"), size=18)
        self.words = label("", Type.BODY, Role.TEXT2, wrap=True)
        row.addWidget(self.shape, alignment=Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.words, 1)
        column.addLayout(row)
        self.meter = LevelMeter(tr("Level"))
        column.addWidget(self.meter)
        self.bar = ProgressBar(tr("Time"))
        column.addWidget(self.bar)
        buttons = hbox(gap=8)
        buttons.addStretch(1)
        self.close_button = Button(tr("Close"))
        self.close_button.clicked.connect(self.close)
        self.long = Button(tr("Record 10 seconds"))
        self.long.clicked.connect(lambda: self._start(LONG_SECONDS))
        self.short = Button(tr("Record 3 seconds"), kind=Kind.PRIMARY, icon="record")
        self.short.clicked.connect(lambda: self._start(SHORT_SECONDS))
        for button in (self.close_button, self.long, self.short):
            buttons.addWidget(button)
        column.addLayout(buttons)
        self._frame = QTimer(self)
        self._frame.setInterval(FRAME_MS)
        self._frame.timeout.connect(self._tick)
        self._say(
            Shape.EMPTY,
            tr("Not tested yet"),
            tr("Say something; it is played back to you, and not kept."),
        )
        self.short.setFocus()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._frame.stop()
        if self._check is not None:
            self._check.stop()
        super().closeEvent(event)
        self.deleteLater()

    def reject(self) -> None:
        self.close()

    def _start(self, seconds: float) -> None:
        self._seconds = seconds
        self._check = self._make(seconds)
        self._check.start()
        for button in (self.short, self.long):
            button.setEnabled(False)
        self.close_button.setFocus()
        self._frame.start()

    def _tick(self) -> None:
        from personadesk.voice.sound_check import Phase

        if self._check is None:
            return
        view = self._check.view()
        self.meter.set_level(view.level_dbfs)
        gone = 1.0 - view.left / self._seconds
        self.bar.set_fraction(gone if view.phase in {Phase.RECORDING, Phase.PLAYING} else 0.0)
        match view.phase:
            case Phase.OPENING:
                self._say(Shape.BUSY, tr("Opening"), tr("The microphone is being opened…"))
            case Phase.RECORDING:
                self._say(Shape.RECORDING, tr("Recording"), tr("Say something now."))
            case Phase.PLAYING:
                self._say(Shape.LIVE, tr("Playing"), tr("You hear yourself now."))
            case _:
                self._over(view)

    def _over(self, view: CheckView) -> None:
        self._frame.stop()
        self._check = None
        self.meter.reset()
        for button in (self.short, self.long):
            button.setEnabled(True)
        words = " ".join(show(part) for part in (view.verdict, view.advice) if part)
        if view.good:
            words += " " + tr(
                "Did you hear yourself? If not, choose another speaker or turn it up."
            )
        shape = Shape.OK if view.good else Shape.WARN
        self._say(shape, tr("Fine") if view.good else tr("Not fine"), words)
        announce(words)

    def _say(self, shape: Shape, word: str, words: str) -> None:
        if words != self.words.text() or shape is not self.shape.shape:
            self.shape.set_state(shape, word)
            self.words.setText(words)


def open_check(parent: QWidget, call: Call) -> CheckDialog:
    """Open the dialog for the devices that the call would use."""

    def make(seconds: float) -> Any:
        from personadesk.voice.devices import PortAudio
        from personadesk.voice.sound_check import SoundCheck

        return SoundCheck(PortAudio(), call.source, call.sink, seconds)

    dialog = CheckDialog(parent, make)
    dialog.open()
    return dialog
