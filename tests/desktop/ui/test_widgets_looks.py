"""Every widget paints in every look, has a name, and grows with the text."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from personadesk.ui.i18n import PSEUDO, language
from personadesk.ui.theme import Look, theme
from personadesk.ui.widgets import (
    AddressField,
    BusyRing,
    Button,
    CheckBox,
    ChoiceCard,
    ComboBox,
    DayStrip,
    ErrorPanel,
    FactList,
    Figure,
    FigureCard,
    Fold,
    FootBar,
    Kind,
    LevelMeter,
    LogEntry,
    LogPanel,
    MessageBanner,
    Note,
    Pill,
    ProgressBar,
    Quarter,
    RollingWaveform,
    Segments,
    Shape,
    Sparkline,
    Stage,
    StageBar,
    StateShape,
    StepBar,
    StepList,
    StepRow,
    Track,
    Waveform,
)

WAVE = [abs(math.sin(i / 3)) for i in range(200)]


def combo() -> ComboBox:
    box = ComboBox("Line", icon="lines")
    box.addItems(["Front desk", "Practice"])
    return box


def ticked() -> CheckBox:
    box = CheckBox("I wear headphones")
    box.setChecked(True)
    return box


def half_done() -> ProgressBar:
    bar = ProgressBar("Progress")
    bar.set_fraction(0.5)
    return bar


def loud() -> LevelMeter:
    meter = LevelMeter("Microphone")
    meter.set_level(-1.0)
    return meter


def whole_wave() -> Waveform:
    wave = Waveform([Track("Test clip", "we sent", 0), Track("Answer", "we heard", 1)], 10)
    wave.set_sounds([WAVE, WAVE], 0.05)
    return wave


def rolling_wave() -> RollingWaveform:
    wave = RollingWaveform([Track("You", "speaking", 0), Track("Voice", "listening", 1)])
    wave.push(WAVE, WAVE)
    return wave


def steps() -> StepList:
    view = StepList("Steps")
    view.set_rows(
        [
            StepRow("Check", "fine", Shape.OK, "done", "0:01"),
            StepRow("Install", "59 of 68", Shape.BUSY, "running", "1:52", 0.8, True),
            StepRow("Start", "", Shape.ERR, "failed", "≈ 0:40"),
        ]
    )
    return view


def log() -> LogPanel:
    panel = LogPanel()
    panel.view.add([LogEntry("14:02:11", "install", "made", warning=i == 1) for i in range(4)])
    return panel


def step_bar() -> StepBar:
    bar = StepBar(["Where", "Line", "Check and start"])
    bar.set_current(1)
    return bar


def foot() -> FootBar:
    bar = FootBar("It costs nothing.")
    bar.add_left(Button("Cancel", kind=Kind.QUIET))
    bar.add_right(Button("Continue", kind=Kind.PRIMARY))
    return bar


def choice() -> ChoiceCard:
    return ChoiceCard(
        icon="computer", title="On this computer", text="A sentence.", promises=("One", "Two"),
        action="Try it here", pill="Free", free=True, recommended=True,
    )  # fmt: skip


def error() -> ErrorPanel:
    return ErrorPanel("It failed.", "Try again.", details="raw", actions=["Again"], opened=True)


MAKERS: dict[str, Callable[[], QWidget]] = {
    "address": lambda: AddressField("ws://127.0.0.1:8998", "Front desk"),
    "busy": lambda: BusyRing("Working", size=24),
    **{f"button-{k.value}": lambda k=k: Button("Talk", kind=k, icon="voice") for k in Kind},  # type: ignore[misc]
    "check": ticked,
    "choice": choice,
    "combo": combo,
    "day": lambda: DayStrip([Quarter.UP, Quarter.FAILED, Quarter.MOVING, Quarter.ASLEEP] * 20, "Last 24 hours"),
    "error": error,
    "facts": lambda: FactList([("Price", "$0.00 /h")]),
    "figure": lambda: Figure("Now", "$0.00"),
    "figure-card": lambda: FigureCard("Jitter", "6 ms", "limit 40 ms", Shape.OK, "passed"),
    "fold": lambda: Fold("Details", opened=True),
    "foot": foot,
    "log": log,
    "banner": lambda: MessageBanner("A line stopped.", "It starts again.", actions=["See why"]),
    "meter": loud,
    "note": lambda: Note("Good to know."),
    **{f"pill-{s.value}": lambda s=s: Pill("Word", s) for s in Shape},  # type: ignore[misc]
    "progress": half_done,
    "rolling": rolling_wave,
    "segments": lambda: Segments(["All", "Warnings"], "Which"),
    **{f"shape-{s.value}": lambda s=s: StateShape(s, "Word", size=24) for s in Shape},  # type: ignore[misc]
    "sparkline": lambda: Sparkline("Reply time", values=[1.0, 3.0, None, 2.0, 4.0]),
    "stages": lambda: StageBar([Stage("Microphone", 14), Stage("Queue", None)]),
    "step-bar": step_bar,
    "steps": steps,
    "wave": whole_wave,
}  # fmt: skip

NAMED_BY_PARTS = {"address", "facts", "fold", "foot", "log", "note", "step-bar"}
"""Holders whose parts have the names."""


def shown(maker: Callable[[], QWidget]) -> tuple[QWidget, QWidget]:
    page = QWidget()
    page.setProperty("kind", "page")
    column = QVBoxLayout(page)
    widget = maker()
    column.addWidget(widget)
    column.addStretch(1)
    page.resize(640, 360)
    page.show()
    return page, widget


def colours(widget: QWidget) -> set[int]:
    image = widget.grab().toImage()
    return {
        image.pixel(x, y) for x in range(0, image.width(), 1) for y in range(0, image.height(), 2)
    }


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("name", MAKERS)
def test_widget_paints_in_this_look(name: str, look: Look) -> None:
    page, widget = shown(MAKERS[name])
    seen = colours(widget)
    assert len(seen) > 1
    if look is Look.HIGH_CONTRAST:
        assert QColor("#F6F7F9").rgb() not in seen
    page.close()


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("name", MAKERS)
def test_widget_follows_a_change_of_look_without_being_made_anew(name: str) -> None:
    page, widget = shown(MAKERS[name])
    light = widget.grab().toImage()
    theme().set_look(Look.HIGH_CONTRAST)
    assert widget.grab().toImage() != light
    page.close()


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("name", [name for name in MAKERS if name not in NAMED_BY_PARTS])
def test_widget_has_a_name_for_assistive_technology(name: str) -> None:
    widget = MAKERS[name]()
    text = widget.text() if isinstance(widget, (Button, CheckBox)) else ""
    assert widget.accessibleName() or text
    widget.deleteLater()


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("percent", [100, 200])
def test_nothing_is_clipped_in_the_longest_language(name: str, percent: int, eyes) -> None:
    language().choose(PSEUDO)
    theme().set_text_percent(percent)
    page, _widget = shown(MAKERS[name])
    page.resize(640 * percent // 100, 420 * percent // 100)
    page.layout().activate()
    assert not eyes.all_faults(page)
    page.close()


@pytest.mark.usefixtures("qapp")
def test_shapes_differ_in_outline_not_only_in_colour() -> None:
    def outline(shape: Shape) -> bytes:
        image = StateShape(shape, "x", size=24).grab().toImage()
        ground = image.pixel(0, 0)
        return bytes(
            image.pixel(x, y) != ground for x in range(image.width()) for y in range(image.height())
        )

    outlines = {outline(shape) for shape in Shape}
    assert len(outlines) == len(Shape)
