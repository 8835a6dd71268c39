"""Through what you talk: microphone or the built-in clip, loudspeaker or none, each with its level."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt

from personadesk.ui.i18n import show, tr
from personadesk.ui.theme import Role, Type
from personadesk.ui.widgets import Button, Card, ComboBox, Kind, LevelMeter, Size, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call
    from personadesk.voice.devices import Device

__all__ = ["AudioCard"]

CLIP, NO_SPEAKER = "clip", "none"


class AudioCard(Card):
    """The card; devices are locked during a call."""

    def __init__(self, call: Call, parent: QWidget | None = None) -> None:
        super().__init__(tr("Microphone and speaker"), padding=18, gap=10, parent=parent)
        self._call = call
        self._shown: object = None
        again = Button(
            tr("Look again"),
            kind=Kind.LINK,
            size=Size.SMALL,
            name=tr("Look again for sound devices"),
        )
        again.clicked.connect(lambda: call.look_for_devices(again=True))
        self._again = again
        self.source = self._make_combo(tr("Microphone"), "voice")
        self.source.activated.connect(lambda i: call.choose_source(self.source.itemData(i)))
        self.microphone = LevelMeter(tr("Microphone"))
        self.add(self.microphone)
        self.sink = self._make_combo(tr("Speaker"), "speaker")
        self.sink.activated.connect(lambda i: call.choose_sink(self.sink.itemData(i)))
        self.speaker = LevelMeter(tr("Speaker"))
        self.add(self.speaker)
        self._reason = label("", Type.SMALL, Role.TEXT2, wrap=True)
        self.add(self._reason)
        self.column.addWidget(again, alignment=Qt.AlignmentFlag.AlignLeft)
        self.follow()

    def follow(self) -> None:
        """Show the devices and choices there are now."""
        call = self._call
        devices = call.devices
        if devices is not self._shown or self.source.count() == 0:
            self._shown = devices
            inputs = devices.inputs if devices is not None else ()
            outputs = devices.outputs if devices is not None else ()
            _fill(self.source, inputs, (tr("Built-in clip"), CLIP))
            _fill(self.sink, outputs, (tr("No sound, only pictures"), NO_SPEAKER))
        _choose(self.source, call.source)
        _choose(self.sink, call.sink)
        free = not call.is_on
        for part in (self.source, self.sink, self._again):
            part.setEnabled(free)
        self._reason.setText(self._sentence())
        self._reason.setVisible(bool(self._reason.text()))

    def show_levels(self, microphone: float | None, speaker: float | None) -> None:
        """Show how loud both are, dBFS; None while there is no call."""
        for meter, level in ((self.microphone, microphone), (self.speaker, speaker)):
            if level is None:
                meter.reset()
            else:
                meter.set_level(level)

    def _sentence(self) -> str:
        devices = self._call.devices
        if devices is None:
            return tr("Looking for microphones and speakers…")
        if devices.reason:
            return show(devices.reason)
        if self._call.source != CLIP and self._call.sink != NO_SPEAKER:
            return tr("Wear headphones, or the voice hears itself.")
        return ""

    def _make_combo(self, title: str, icon: str) -> ComboBox:
        words = label(title, Type.SMALL, Role.TEXT2)
        box = ComboBox(title, icon=icon)
        box.setSizeAdjustPolicy(box.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(10)
        box.setSizePolicy(box.sizePolicy().Policy.Expanding, box.sizePolicy().Policy.Fixed)
        words.setBuddy(box)
        self.add(words)
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
