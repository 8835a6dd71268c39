"""Renders the window's pages to pictures, in each look, language and size, to be looked at beside the design.

    python packaging/screenshots.py [--out FOLDER] [--only NAME]... [--all]

Without ``--all`` each scene is drawn once in light English and once in dark at 1440 x 900. Data in the pictures is
made up. It needs no display.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server"), str(ROOT / "packaging")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QSize, Qt, QTimer  # noqa: E402 - the platform is chosen above
from PySide6.QtWidgets import QApplication, QGridLayout, QLineEdit, QSlider, QWidget  # noqa: E402

import scenes  # noqa: E402
from personadesk.store.settings import Settings  # noqa: E402
from personadesk.ui.application import make_application  # noqa: E402
from personadesk.ui.i18n import language, mark  # noqa: E402
from personadesk.ui.preferences import Preferences  # noqa: E402
from personadesk.ui.shell import MainWindow, Page, PageSpec, scrolled  # noqa: E402
from personadesk.ui.theme import Look, Role, theme  # noqa: E402
from personadesk.ui.turns import Turns  # noqa: E402
from personadesk.ui.widgets import (  # noqa: E402
    AddressField,
    BusyRing,
    Button,
    Card,
    CheckBox,
    ComboBox,
    DayStrip,
    ErrorPanel,
    FactList,
    FigureCard,
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
    Size,
    Sparkline,
    Stage,
    StageBar,
    StateShape,
    StepBar,
    StepList,
    StepRow,
    Track,
    Waveform,
    hbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = (QSize(1440, 900), QSize(1024, 700), QSize(960, 640))
LOOKS = (Look.LIGHT, Look.DARK, Look.HIGH_CONTRAST)
LANGUAGES = ("en", "nl", "pseudo")


def speech(start: float, end: float, seconds: float = 10.0, step: float = 0.04) -> list[float]:
    """Return peaks that look like a spoken sentence."""
    dice = random.Random(7)  # noqa: S311 - a picture, not a secret
    return [
        abs(math.sin(i / 3.1)) * dice.uniform(0.35, 1.0) if start < i * step < end else 0.0
        for i in range(round(seconds / step))
    ]


class WidgetsPage(Page):
    """Every widget once; texts are sample texts and stay English."""

    def __init__(self) -> None:
        super().__init__()
        content = QWidget()
        outer = hbox(self)
        outer.addWidget(scrolled(content))
        grid = QGridLayout(content)
        px = theme().px
        grid.setSpacing(px(12))
        grid.setContentsMargins(px(24), px(18), px(24), px(18))
        grid.addWidget(self._marks(), 0, 0, 1, 2)
        grid.addWidget(self._fields(), 0, 2, 2, 1)
        grid.addWidget(self._sounds(), 1, 0, 1, 2)
        grid.addWidget(self._steps(), 2, 0)
        grid.addWidget(self._log(), 2, 1)
        grid.addWidget(self._lag(), 2, 2)
        figures = hbox(gap=12)
        for shape, word in ((Shape.OK, "passed"), (Shape.WARN, "at risk"), (Shape.ERR, "failed")):
            figures.addWidget(FigureCard("First sound after", "0.39 s", "limit 1.2 s", shape, word))
        grid.addLayout(figures, 3, 0)
        grid.addWidget(
            MessageBanner("A line stopped.", "It is being started again.", actions=["See why"]),
            3, 1, 1, 2,
        )  # fmt: skip
        grid.addWidget(
            ErrorPanel(
                "Port 8998 is taken by another program.",
                "Choose another port, or close that program.",
                details="OSError: [Errno 98]",
                actions=["Try this step again", "Choose another port"],
            ),
            4, 0, 1, 2,
        )  # fmt: skip
        facts = Card("Money", gap=8)
        facts.add(FactList([("Price", "$0.00 /h"), ("This deploy cost", "$0.00")]))
        facts.add(DayStrip([Quarter.UP] * 50 + [Quarter.FAILED, Quarter.MOVING] * 3, "a day"))
        facts.add(Sparkline("a curve", values=[math.sin(i / 5) for i in range(60)]))
        grid.addWidget(facts, 4, 2)

    @property
    def title(self) -> str:
        """Heading of the page."""
        return "Widgets"

    def _marks(self) -> Card:
        card = Card("Buttons and states", gap=8)
        row = hbox(gap=8)
        for kind in (Kind.PRIMARY, Kind.PLAIN, Kind.DANGER, Kind.DANGER_OUTLINE, Kind.QUIET):
            row.addWidget(Button(kind.value, kind=kind, icon="voice"))
        row.addWidget(Button("Talk now", kind=Kind.PRIMARY, icon="voice", size=Size.LARGE))
        row.addStretch(1)
        card.add(row)
        row = hbox(gap=8)
        for shape in Shape:
            row.addWidget(Pill(shape.value, shape))
        row.addStretch(1)
        card.add(row)
        row = hbox(gap=8)
        for shape in Shape:
            row.addWidget(StateShape(shape, shape.value, size=22))
        row.addWidget(BusyRing("busy", size=22))
        row.addWidget(Segments(["One host", "Compare two"], "How many"))
        bar = StepBar(["Where", "Voice and line", "Check and start"])
        bar.set_current(1)
        row.addWidget(bar)
        row.addStretch(1)
        card.add(row)
        return card

    def _fields(self) -> Card:
        card = Card("Fields", gap=8)
        box = ComboBox("Line", icon="lines")
        box.addItems(["Front desk · this computer"])
        card.add(box)
        edit = QLineEdit("My line")
        edit.setAccessibleName("Name")
        card.add(edit)
        for text, ticked in (("I wear headphones", True), ("Mute me while it speaks", False)):
            check = CheckBox(text)
            check.setChecked(ticked)
            card.add(check)
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setAccessibleName("Volume")
        slider.setValue(60)
        card.add(slider)
        for level in (-24.0, -1.0):
            meter = LevelMeter("Microphone")
            meter.set_level(level)
            card.add(meter)
        bar = ProgressBar("Progress")
        bar.set_fraction(0.46)
        card.add(bar)
        card.add(AddressField("ws://127.0.0.1:8998/api/chat", "Front desk"))
        card.add(Note("The network and the GPU are both fine."))
        row = hbox(gap=8)
        row.addWidget(Pill("Free", tone=Role.OK, ground=Role.OK_SOFT))
        row.addStretch(1)
        card.add(row)
        card.column.addStretch(1)
        return card

    def _sounds(self) -> Card:
        card = Card("What was said and heard")
        row = hbox(gap=20)
        whole = Waveform([Track("Test clip", "we sent", 0), Track("Answer", "we heard", 1)], 10)
        whole.set_sounds([speech(0.4, 3.5), speech(4.0, 9.5)], 0.04)
        row.addWidget(whole, 1)
        rolling = RollingWaveform([Track("You", "speaking", 0), Track("Voice", "listening", 1)])
        rolling.push(speech(1, 4, 12), speech(5, 9, 12))
        row.addWidget(rolling, 1)
        card.add(row, 1)
        return card

    def _steps(self) -> Card:
        card = Card("Steps", gap=6)
        steps = StepList("Steps")
        steps.set_rows(
            [
                StepRow(
                    "Check the computer", "Memory and disk are fine.", Shape.OK, "done", "0:01"
                ),
                StepRow("Install", "59 of 68 packages", Shape.BUSY, "running", "1:52", 0.85, True),
                StepRow("Start", "Load the model", Shape.EMPTY, "to come", "≈ 0:40"),
            ]
        )
        card.add(steps, 1)
        return card

    def _log(self) -> LogPanel:
        panel = LogPanel()
        panel.view.add(
            LogEntry("14:02:11", "install", "environment made", index % 4 == 0)
            for index in range(12)
        )
        return panel

    def _lag(self) -> Card:
        card = Card("Where the 155 ms lag comes from", gap=8)
        names = ("Microphone", "Uplink", "Queue", "GPU step", "Downlink", "Playback")
        values = (14, 19, 4, 37, 21, 60)
        card.add(StageBar([Stage(n, v) for n, v in zip(names, values, strict=True)]))
        card.column.addStretch(1)
        return card


SCENES: dict[str, Callable[[], Page]] = {**scenes.SCENES, "widgets": WidgetsPage}
"""Pages by name; to show another state of a page, add it to `scenes.py`."""

_PLACE = {"widgets": "home"}
_EMPTY: Callable[[], Page] = scenes.SCENES["home-first"]


def specs(scene: str) -> list[PageSpec]:
    """Return the side bar's places with the scene at its own."""
    make = SCENES[scene]
    place = _PLACE.get(scene, scene.split("-")[0])
    places = (
        ("home", mark("Home"), "home"),
        ("deploy", mark("Deploy"), "deploy"),
        ("instances", mark("Instances"), "instances"),
        ("monitor", mark("Monitor"), "monitor"),
        ("talk", mark("Voice console"), "voice"),
        ("lines", mark("Lines"), "lines"),
        ("accounts", mark("Accounts"), "accounts"),
        ("money", mark("Money"), "coin"),
    )
    return [
        PageSpec(id_, title, icon, make if id_ == place else _EMPTY) for id_, title, icon in places
    ]


def settle(milliseconds: int = 30) -> None:
    """Let layouts and paints happen."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def render(
    scene: str, look: Look, code: str, size: QSize, folder: Path, *, rehearsal: bool = False
) -> Path:
    """Draw one picture and return where it lies."""
    theme().set_look(look)
    language().choose(code)
    window = MainWindow(
        specs(scene),
        Preferences(Settings(folder / ".state" / "settings.toml"), folder / ".state"),
        rehearsal=rehearsal,
    )
    window.resize(size)
    place = _PLACE.get(scene, scene.split("-")[0])
    window.show()
    window.open_page(place)
    settle()
    focused: QWidget | None = QApplication.focusWidget()
    if focused is not None:
        focused.clearFocus()
    settle()
    for turns in window.findChildren(Turns):
        turns.finish()
    settle()
    target = folder / f"{scene}-{look.value}-{code}-{size.width()}.png"
    window.grab().save(str(target))
    window.hide()
    window.deleteLater()
    settle(1)
    return target


def main() -> int:
    """Draw what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "screenshots")
    parser.add_argument("--only", action="append", choices=sorted(SCENES))
    parser.add_argument("--all", action="store_true", help="every look, language and size")
    parser.add_argument("--look", action="append", choices=[look.value for look in LOOKS])
    parser.add_argument("--language", action="append", choices=LANGUAGES)
    parser.add_argument("--rehearsal", action="store_true", help="as the window is in a rehearsal")
    parser.add_argument("--width", action="append", type=int, choices=[s.width() for s in SIZES])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    make_application(sys.argv[:1], look=Look.LIGHT, base_pixels=13)
    everything = arguments.all
    looks = arguments.look or (LOOKS if everything else LOOKS[:2])
    languages = arguments.language or (LANGUAGES if everything else LANGUAGES[:1])
    widths = arguments.width or ([s.width() for s in SIZES] if everything else [SIZES[0].width()])
    for scene in arguments.only or SCENES:
        for look in looks:
            for code in languages:
                for size in (size for size in SIZES if size.width() in widths):
                    drawn = render(
                        scene, Look(look), code, size, arguments.out, rehearsal=arguments.rehearsal
                    )
                    print(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
