"""Through what you talk: microphone or clip, loudspeaker or none, each with its level; and when you are heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSlider, QWidget

from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import (
    Button,
    Card,
    CheckBox,
    ComboBox,
    IconLabel,
    Kind,
    LevelMeter,
    Shape,
    Size,
    StateShape,
    hbox,
    label,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.ui.talk.call import Call
    from personadesk.voice.devices import Device
    from personadesk.voice.talk_view import TalkSnapshot

__all__ = ["AudioCard"]

CLIP, NO_SPEAKER = "clip", "none"


class AudioCard(Card):
    """The card; all of it can be changed during a call.

    Signals:
        check_asked: The user wants to hear himself before the call.
    """

    check_asked = Signal()

    def __init__(self, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(tr("Microphone and speaker"), padding=16, gap=6, parent=parent)
        self._call = call
        self._shown: object = None
        self._again = Button(
            tr("Look again"), kind=Kind.LINK, size=Size.SMALL,
            name=tr("Look again for sound devices"),
        )  # fmt: skip
        self._again.clicked.connect(lambda: call.look_for_devices(again=True))
        self.check = Button(
            tr("Test"), kind=Kind.LINK, size=Size.SMALL,
            name=tr("Record a few seconds and hear yourself"),
        )  # fmt: skip
        self.check.clicked.connect(self.check_asked)
        self.add_to_head(self.check)
        self.source = self._make_combo(tr("Microphone"), "voice")
        self.source.activated.connect(lambda i: call.choose_source(self.source.itemData(i)))
        self.microphone = LevelMeter(tr("Microphone"))
        self.add(self.microphone)
        self.sink = self._make_combo(tr("Speaker"), "headphones")
        self.sink.activated.connect(lambda i: call.choose_sink(self.sink.itemData(i)))
        self.speaker = LevelMeter(tr("Speaker"))
        self.add(self.speaker)
        self._make_volume()
        self._make_ways()
        self._reason = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self.add(self._reason)
        self.column.addWidget(self._again, alignment=Qt.AlignmentFlag.AlignLeft)
        self.follow()

    def follow(self) -> None:
        """Show the devices and choices there are now."""
        call = self._call
        devices = call.devices
        if devices != self._shown or self.source.count() == 0:
            self._shown = devices
            inputs = devices.inputs if devices is not None else ()
            outputs = devices.outputs if devices is not None else ()
            _fill(self.source, inputs, (tr("Built-in clip"), CLIP))
            _fill(self.sink, outputs, (tr("No sound, only pictures"), NO_SPEAKER))
        _choose(self.source, call.source)
        _choose(self.sink, call.sink)
        free = not call.is_on
        self.check.setEnabled(free and call.has_microphone and call.source != CLIP)
        for box, ticked in (
            (self.headphones, call.headphones), (self.half_duplex, call.half_duplex),
            (self.push, call.push_to_talk),
        ):  # fmt: skip
            box.blockSignals(True)
            box.setChecked(ticked)
            box.blockSignals(False)
        self.volume.setValue(round(100 * call.volume))
        self.half_duplex.setEnabled(not call.push_to_talk)
        self._reason.setText(self._sentence())
        self._reason.setVisible(bool(self._reason.text()))

    def show_call(self, snapshot: TalkSnapshot | None) -> None:
        """Show how loud both are, and whether the voice comes back through the microphone."""
        on = self._call.is_on and snapshot is not None
        if not on or snapshot is None:
            self.microphone.reset()
            self.speaker.reset()
            self._echo_row.setVisible(False)
            return
        self.microphone.set_level(snapshot.mic_level_dbfs)
        self.speaker.set_level(snapshot.speaker_level_dbfs)
        sound = snapshot.sound
        heard = snapshot.speaker and snapshot.source != CLIP
        words = show(sound.advice)
        if not words:
            words = tr("No echo of the speaker in the microphone")
        self._echo_row.setVisible(heard)
        if self._echo.text() != words:
            self._echo.setText(words)
            self._echo_shape.set_state(
                Shape.WARN if sound.advice else Shape.OK,
                tr("Echo") if sound.echo else tr("No echo"),
            )

    # -- parts ------------------------------------------------------------------------------------------------

    def _make_volume(self) -> None:
        row = hbox(gap=8)
        row.addWidget(IconLabel("speaker", 16))
        self.volume = QSlider(Qt.Orientation.Horizontal)
        self.volume.setRange(0, 100)
        self.volume.setPageStep(10)
        self.volume.setValue(round(100 * self._call.volume))
        self.volume.setAccessibleName(tr("Volume"))
        self.volume.valueChanged.connect(self._turned)
        self._turned(self.volume.value())
        row.addWidget(self.volume, 1)
        self.add(row)

    def _turned(self, value: int) -> None:
        self.volume.setToolTip(tr("Volume: {percent} %", percent=value))
        self._call.set_volume(value / 100)

    def _make_ways(self) -> None:
        call = self._call
        self.headphones = CheckBox(tr("I wear headphones"))
        self.headphones.toggled.connect(call.wear_headphones)
        self.half_duplex = CheckBox(tr("Mute me while it speaks"))
        self.half_duplex.toggled.connect(call.set_half_duplex)
        self.push = CheckBox(tr("Push to talk: hold Space"))
        self.push.toggled.connect(call.set_push_to_talk)
        for box in (self.headphones, self.half_duplex, self.push):
            self.add(box)
        self._echo_row = QWidget()
        row = hbox(self._echo_row, gap=8)
        self._echo_shape = StateShape(Shape.OK, tr("No echo"), size=14)
        self._echo = label("", Type.SMALL, Role.TEXT2, wrap=True)
        row.addWidget(self._echo_shape)
        row.addWidget(self._echo, 1)
        self.add(self._echo_row)

    def _sentence(self) -> str:
        call, devices = self._call, self._call.devices
        if devices is None:
            return tr("Looking for microphones and speakers…")
        if devices.reason:
            return show(devices.reason)
        if call.lost_source:
            return tr("“{name}” is gone; the usual microphone is taken.", name=call.lost_source)
        if call.lost_sink:
            return tr("“{name}” is gone; the usual speaker is taken.", name=call.lost_sink)
        if (
            call.source != CLIP
            and call.sink != NO_SPEAKER
            and not (call.headphones or call.half_duplex or call.push_to_talk)
        ):
            return tr("Without headphones the voice hears itself: mute yourself while it speaks.")
        return ""

    def _make_combo(self, title: str, icon: str) -> ComboBox:
        box = ComboBox(title, icon=icon)
        box.setToolTip(title)
        box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(8)
        box.setSizePolicy(box.sizePolicy().Policy.Expanding, box.sizePolicy().Policy.Fixed)
        self.add(box)
        return box


def _fill(box: ComboBox, devices: Sequence[Device], last: tuple[str, str]) -> None:
    box.clear()
    for device in devices:
        box.addItem(device.name, device.name)
    box.addItem(*last)


def _choose(box: ComboBox, wanted: str | None) -> None:
    index = box.findData(wanted) if wanted is not None else 0
    box.setCurrentIndex(max(0, index))
