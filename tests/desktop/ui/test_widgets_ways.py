"""What widgets do when they are used."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QAbstractItemModel, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QGuiApplication, QWheelEvent
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from personadesk.domain.errors import Unreachable
from personadesk.domain.text import T
from personadesk.ui.i18n import language
from personadesk.ui.theme import theme
from personadesk.ui.widgets import (
    AddressField,
    BusyRing,
    Button,
    ChoiceCard,
    ComboBox,
    DayStrip,
    ElidedLabel,
    ErrorPanel,
    FactList,
    FigureCard,
    Fold,
    Kind,
    LevelMeter,
    LogEntry,
    LogView,
    MessageBanner,
    Pill,
    ProgressBar,
    Quarter,
    RollingWaveform,
    Segments,
    Shape,
    Stage,
    StageBar,
    StepBar,
    StepList,
    StepRow,
    Track,
    Zone,
)
from personadesk.ui.widgets.step_list import StepModel

pytestmark = pytest.mark.usefixtures("qapp")


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def entries(count: int, warning_every: int = 0) -> list[LogEntry]:
    return [
        LogEntry("14:02:11", "install", f"line {i}", bool(warning_every) and i % warning_every == 0)
        for i in range(count)
    ]


def test_copy_puts_the_address_on_the_clipboard_and_says_so_for_two_seconds(qtbot) -> None:
    field = AddressField("ws://127.0.0.1:8998", "Front desk")
    qtbot.addWidget(field)
    field.show()
    button = field.findChild(QPushButton)
    width = button.width()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "ws://127.0.0.1:8998"
    assert button.text() == "Copied"
    assert button.width() == width
    qtbot.waitUntil(lambda: button.text() == "Copy", timeout=4000)


def test_the_address_can_be_selected_but_not_changed(qtbot) -> None:
    field = AddressField("ws://127.0.0.1:8998", "Front desk")
    qtbot.addWidget(field)
    edit = field.findChild(QLineEdit)
    qtbot.keyClicks(edit, "x")
    edit.selectAll()
    assert edit.selectedText() == "ws://127.0.0.1:8998"


def test_the_meter_rises_at_once_falls_slowly_and_holds_its_peak() -> None:
    clock = Clock()
    meter = LevelMeter("Microphone", clock=clock)
    meter.set_level(-10.0)
    assert (meter.level, meter.peak, meter.zone) == (-10.0, -10.0, Zone.LOUD)
    clock.now += 0.1
    meter.set_level(float("-inf"))
    assert -13.0 < meter.level < -12.0
    assert meter.peak == -10.0
    clock.now += 2.0
    meter.set_level(float("-inf"))
    assert meter.level == -60.0
    assert meter.peak < -20.0


def test_the_meter_says_its_zone_in_words() -> None:
    meter = LevelMeter("Microphone", clock=Clock())
    said: list[str] = []
    meter.zone_changed.connect(said.append)
    meter.set_level(-1.0)
    meter.set_level(-1.0)
    assert said == ["too loud"]
    assert meter.accessibleName() == "Microphone: too loud"
    meter.reset()
    assert meter.zone is Zone.QUIET


def test_a_long_log_keeps_its_last_lines_only() -> None:
    view = LogView("Log")
    view.add(entries(5200))
    assert view.blockCount() <= 5000
    assert len(view.entries) == 5000
    assert view.toPlainText().endswith("line 5199")


def test_the_log_follows_its_end_until_the_user_scrolls_up(qtbot, settle) -> None:
    view = LogView("Log")
    qtbot.addWidget(view)
    view.resize(400, 120)
    view.show()
    view.add(entries(100))
    settle()
    assert view.following
    view.verticalScrollBar().setValue(10)
    view.add(entries(50))
    assert view.verticalScrollBar().value() == 10
    assert not view.following
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    view.add(entries(50))
    assert view.following


def test_the_log_can_show_warnings_only_and_all_again() -> None:
    view = LogView("Log")
    view.add(entries(10, warning_every=5))
    view.show_warnings_only(True)
    assert view.toPlainText().count("\n") == 1
    assert "!install" in view.toPlainText()
    view.add(entries(1) + entries(1, warning_every=1))
    assert view.toPlainText().count("\n") == 2
    view.show_warnings_only(False)
    assert view.toPlainText().count("\n") == 11


def test_copying_the_log_takes_what_is_shown() -> None:
    view = LogView("Log")
    view.add(entries(3))
    view.copy_all()
    assert QGuiApplication.clipboard().text().endswith("line 2")


def test_the_step_model_is_sound_to_qt() -> None:
    model = StepModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    rows = [
        StepRow("Install", "", Shape.EMPTY, "to come"),
        StepRow("Start", "", Shape.EMPTY, "to come"),
    ]
    model.set_rows(rows)
    model.set_rows([StepRow("Install", "", Shape.BUSY, "running", current=True), rows[1]])
    model.set_rows([])
    assert isinstance(tester.model(), QAbstractItemModel)


def test_only_changed_steps_are_announced() -> None:
    model = StepModel()
    rows = [StepRow(name, "", Shape.EMPTY, "to come") for name in ("Install", "Start")]
    model.set_rows(rows)
    changed: list[int] = []
    model.dataChanged.connect(lambda first, _last: changed.append(first.row()))
    model.set_rows([rows[0], StepRow("Start", "", Shape.OK, "done")])
    assert changed == [1]


def test_a_step_is_read_whole() -> None:
    view = StepList("Steps")
    view.set_rows([StepRow("Install", "59 of 68", Shape.BUSY, "running", "1:52")])
    spoken = view.model().index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "Install, running, 59 of 68, 1:52"


def test_the_ring_turns_only_while_it_is_seen(qtbot) -> None:
    ring = BusyRing("Working")
    qtbot.addWidget(ring)
    assert not ring.turning
    ring.show()
    assert ring.turning is not theme().reduced_motion
    ring.hide()
    assert not ring.turning


def test_a_choice_card_is_taken_by_pointer_button_and_keys(qtbot) -> None:
    card = ChoiceCard(icon="computer", title="Here", text="t", promises=(), action="Try it here")
    qtbot.addWidget(card)
    taken: list[bool] = []
    card.clicked.connect(lambda: taken.append(True))
    card.show()
    qtbot.mouseClick(card, Qt.MouseButton.LeftButton, pos=QPoint(30, 30))
    qtbot.mouseClick(card.button, Qt.MouseButton.LeftButton)
    qtbot.keyClick(card, Qt.Key.Key_Return)
    qtbot.keyClick(card, Qt.Key.Key_Space)
    assert len(taken) == 4


def test_scrolling_over_a_choice_does_not_change_it(qtbot) -> None:
    box = ComboBox("Line")
    qtbot.addWidget(box)
    box.addItems(["a", "b"])
    box.show()
    wheel = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    box.wheelEvent(wheel)
    assert box.currentIndex() == 0
    assert not wheel.isAccepted()


def test_a_short_place_shows_the_beginning_and_tells_the_whole(qtbot) -> None:
    label = ElidedLabel("A long sentence that will not fit here")
    qtbot.addWidget(label)
    label.resize(80, 20)
    label.show()
    assert label.toolTip() == label.text()
    label.resize(600, 20)
    assert label.toolTip() == ""


@pytest.mark.parametrize("title", ["Details", "What is happening, line by line"])
@pytest.mark.parametrize("percent", [100, 125, 150, 175, 200])
def test_a_heading_that_has_room_is_whole(qtbot, settle, title: str, percent: int) -> None:
    theme().set_text_percent(percent)
    for small in (False, True):
        fold = Fold(title, small=small)
        qtbot.addWidget(fold)
        fold.resize(1200, 200)
        fold.show()
        settle()
        assert fold.findChild(QPushButton).text() == title
        fold.resize(190, 200)
        settle()
        assert fold.findChild(QPushButton).text().endswith("…") is (len(title) > 7)
        fold.resize(1200, 200)
        settle()
        assert fold.findChild(QPushButton).text() == title


def test_a_fold_opens_closes_and_says_so(qtbot) -> None:
    fold = Fold("Details")
    qtbot.addWidget(fold)
    inside = QPlainTextEdit()
    fold.body.addWidget(inside)
    fold.show()
    button = fold.findChild(QPushButton)
    assert not inside.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert inside.isVisible()
    assert button.accessibleName() == "Details, open"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not inside.isVisible()


def test_segments_tell_which_was_taken(qtbot) -> None:
    which = Segments(["All", "Warnings"], "Which lines")
    qtbot.addWidget(which)
    which.show()
    heard: list[int] = []
    which.chosen.connect(heard.append)
    qtbot.mouseClick(which.findChildren(QPushButton)[1], Qt.MouseButton.LeftButton)
    assert heard == [1]
    which.choose(0)
    assert (which.current, heard) == (0, [1])


def test_a_banner_reports_its_button_and_goes_when_put_away(qtbot) -> None:
    banner = MessageBanner("A line stopped.", actions=["See why", "Start it"])
    qtbot.addWidget(banner)
    banner.show()
    acted: list[int] = []
    closed: list[bool] = []
    banner.acted.connect(acted.append)
    banner.closed.connect(lambda: closed.append(True))
    see, start, close = banner.findChildren(QPushButton)
    assert see.text() == "See why"
    qtbot.mouseClick(start, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(close, Qt.MouseButton.LeftButton)
    assert (acted, closed) == ([1], [True])
    assert not banner.isVisible()


def test_an_error_is_told_in_the_users_language_with_its_details_folded(qtbot) -> None:
    language().choose("nl")
    error = Unreachable(T("Address of {owner}", owner="x"), T("Close"), details="raw words")
    panel = ErrorPanel.of(error, ["Again"])
    qtbot.addWidget(panel)
    panel.show()
    acted: list[int] = []
    panel.acted.connect(acted.append)
    again = next(b for b in panel.findChildren(QPushButton) if b.text() == "Again")
    qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
    assert acted == [0]
    assert panel.accessibleName() == "Adres van x Sluiten"
    assert not panel.findChild(QPlainTextEdit).isVisible()
    panel.copy_details()
    assert QGuiApplication.clipboard().text() == "Adres van x\n\nraw words"


def test_the_step_bar_lets_go_back_but_not_ahead(qtbot) -> None:
    bar = StepBar(["Where", "Line", "Start"])
    qtbot.addWidget(bar)
    bar.show()
    bar.set_current(1)
    chosen: list[int] = []
    bar.step_chosen.connect(chosen.append)
    first, here, ahead = bar.findChildren(QPushButton)
    for button in (ahead, here, first):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert chosen == [0]
    assert here.accessibleName() == "Page 2, Line: open"


def test_a_rolling_picture_needs_as_much_of_every_voice() -> None:
    wave = RollingWaveform([Track("You"), Track("Voice")])
    with pytest.raises(ValueError, match="same number"):
        wave.push([0.1], [0.1, 0.2])


def test_a_rolling_picture_keeps_a_strokes_height_while_it_rolls(qtbot) -> None:
    """Columns are cut at fixed moments: a peak is as high after each push until it leaves."""
    wave = RollingWaveform([Track("You")], seconds=4.0, step=0.04)
    qtbot.addWidget(wave)
    wave.resize(300, 120)
    wave.show()
    wave.push([0.0] * 5 + [1.0] + [0.0] * 5)

    def inked() -> int:
        image = wave.grab().toImage()
        left = int(wave._names_width())
        return max(
            sum(image.pixelColor(x, y).red() < 190 for y in range(image.height()))
            for x in range(left, image.width())
        )

    heights = set()
    for _ in range(6):
        wave.push([0.0])
        heights.add(inked())
    assert min(heights) > 40
    assert max(heights) - min(heights) <= 6
    wave.clear()
    assert inked() < 10


def test_stages_name_every_part_and_what_was_not_measured() -> None:
    bar = StageBar([Stage("Microphone", 14.2), Stage("Queue", None)])
    assert bar.accessibleName() == "Microphone: 14 ms, Queue: not measured"


def test_a_short_history_fills_the_day_from_its_end() -> None:
    strip = DayStrip([Quarter.UP], "up a quarter of an hour")
    assert strip._quarters[-1] is Quarter.UP
    assert strip._quarters[:-1] == (Quarter.NONE,) * 95


def test_a_figure_tells_value_limit_and_judgement() -> None:
    card = FigureCard("Jitter", "6 ms", "limit 40 ms", Shape.OK, "passed")
    card.set_figure("52 ms", "limit 40 ms", Shape.WARN, "at risk")
    assert card.accessibleName() == "Jitter: 52 ms, limit 40 ms, at risk"


def test_facts_are_changed_in_place() -> None:
    facts = FactList([("Price", "a"), ("Limit", "b")])
    first = facts._rows[0][1]
    facts.set_facts([("Price", "c")])
    assert facts._rows[0][1] is first
    assert first.text() == "c"
    assert len(facts._rows) == 1


@pytest.mark.parametrize(("fraction", "value"), [(None, 0), (-1.0, 0), (0.5, 500), (7.0, 1000)])
def test_progress_stays_within_its_bar(fraction: float | None, value: int) -> None:
    bar = ProgressBar("Progress")
    bar.set_fraction(fraction)
    assert bar.value() == value


def test_assistive_technology_hears_the_names() -> None:
    """Names set in code reach Qt's accessibility tree, also without a display."""
    card = ChoiceCard(
        icon="computer", title="Here", text="t", promises=(), action="Go", pill="Free"
    )
    meter = LevelMeter("Microphone", clock=Clock())
    for widget, name in ((card, "Here, Free"), (meter, "Microphone: quiet")):
        interface = QAccessible.queryAccessibleInterface(widget)
        assert interface.text(QAccessible.Text.Name) == name
    assert QAccessible.queryAccessibleInterface(card).role() == QAccessible.Role.PushButton


def test_a_button_without_text_must_have_a_name() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        Button(kind=Kind.ICON, icon="close")
    assert Button(kind=Kind.ICON, icon="close", name="Close").toolTip() == "Close"


def test_a_pill_grows_with_its_word() -> None:
    pill = Pill("Up", Shape.OK)
    narrow = pill.sizeHint().width()
    pill.set_state("Installing", Shape.BUSY)
    assert pill.sizeHint().width() > narrow
    assert pill.accessibleName() == "Installing"


def test_many_widgets_do_not_stay_alive_in_the_theme(qtbot) -> None:
    """The theme lives as long as the process; what follows it must not."""
    import gc
    import weakref

    holder = QWidget()
    qtbot.addWidget(holder)
    QVBoxLayout(holder)
    pill = Pill("Up", Shape.OK, parent=holder)
    gone = weakref.ref(pill)
    pill.deleteLater()
    del pill
    from PySide6.QtCore import QCoreApplication, QEvent

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    assert gone() is None
    theme().theme_changed.emit()
