"""Home: the first start, the cards of lines, and what the model is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton

from personadesk.ui.home import (
    HomeModel,
    HomePage,
    HomeView,
    LineAction,
    LineVerb,
    LineView,
)
from personadesk.ui.home.line_card import LineCard
from personadesk.ui.i18n import PSEUDO, language, mark
from personadesk.ui.preferences import Preferences
from personadesk.ui.shell import MainWindow, PageSpec
from personadesk.ui.theme import theme
from personadesk.ui.widgets import ComboBox, DayStrip, Kind, ProgressBar, Quarter, Shape, Sparkline

pytestmark = pytest.mark.usefixtures("qapp")

TALK = LineAction(LineVerb.TALK, "Talk", "voice", Kind.PRIMARY)
STOP = LineAction(LineVerb.STOP, "Stop…", "stop")
TEST = LineAction(LineVerb.TEST, "Test again", "refresh")
REMOVE = LineAction(LineVerb.REMOVE, "Remove line…", "trash", menu_only=True)
LINE = LineView(
    name="Front desk",
    about="This computer · rehearsal model",
    shape=Shape.OK,
    word="Up",
    address="ws://127.0.0.1:8998/api/chat",
    now="$0.00 /h",
    today="$0.00",
    fact_title="First sound after",
    fact="0.41 s",
    trend=(0.4, 0.5, 0.3),
    quarters=(Quarter.UP,) * 96,
    day="up 24 h",
    actions=(TALK, STOP, TEST, REMOVE),
)


@pytest.fixture
def model() -> HomeModel:
    return HomeModel()


def texts(widget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]


def visible_buttons(widget) -> list[str]:
    return [b.text() for b in widget.findChildren(QPushButton) if b.isVisible() and b.text()]


def test_without_a_line_home_is_the_first_start(model: HomeModel, qtbot) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.resize(1200, 800)
    page.show()
    assert "Welcome to PersonaDesk" in texts(page)
    assert page.primary_action is None
    assert page.subtitle == "No lines yet"
    assert "Try it here" in visible_buttons(page)


def test_one_click_asks_to_try_it_here(model: HomeModel, qtbot) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.show()
    with qtbot.waitSignal(model.try_here_asked):
        qtbot.mouseClick(page.first_start.card.button, Qt.MouseButton.LeftButton)


def test_the_first_start_says_what_this_computer_can_do_once_it_is_known(
    model: HomeModel, qtbot
) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.show()
    model.show(HomeView(computer="RTX 4070, 12 GB: too small for PersonaPlex."))
    assert "RTX 4070, 12 GB: too small for PersonaPlex." in texts(page)


def test_language_and_look_are_chosen_at_the_foot_of_the_first_start(
    model: HomeModel, qtbot
) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.show()
    asked: list[str] = []
    page.language_asked.connect(asked.append)
    page.look_asked.connect(asked.append)
    boxes = {box.accessibleName(): box for box in page.findChildren(ComboBox)}
    for name, text in (("Language", "Nederlands"), ("Look", "Dark")):
        box = boxes[name]
        index = box.findText(text)
        box.setCurrentIndex(index)
        box.activated.emit(index)
    assert asked == ["nl", "dark"]


def test_a_line_takes_the_place_of_the_first_start(model: HomeModel, qtbot) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.resize(1200, 800)
    page.show()
    told: list[bool] = []
    page.title_changed.connect(lambda: told.append(True))
    model.show(HomeView(lines=(LINE,), up="1 / 1", now="$0.00 /h", today="$0.00"))
    assert told
    assert {"Front desk", "Lines up", "1 / 1"} <= set(texts(page))
    assert page.primary_action is not None
    model.show(HomeView())
    assert "Welcome to PersonaDesk" in texts(page)


def test_a_card_says_everything_to_assistive_technology(qtbot) -> None:
    card = LineCard(LINE)
    qtbot.addWidget(card)
    assert card.accessibleName() == (
        "Front desk, Up, This computer · rehearsal model, costs $0.00 /h"
    )
    strip = card.findChild(DayStrip)
    assert strip is not None
    assert strip.accessibleName() == "Last 24 hours: up 24 h"


def test_the_live_fact_is_the_one_the_state_calls_for(qtbot) -> None:
    card = LineCard(LINE)
    qtbot.addWidget(card)
    card.resize(560, 320)
    card.show()
    curve, bar = card.findChild(Sparkline), card.findChild(ProgressBar)
    assert curve is not None
    assert bar is not None
    assert (curve.isVisible(), bar.isVisible()) == (True, False)
    card.show_line(replace(LINE, trend=(), fraction=0.4, fact_title="Install", fact="4 min"))
    assert (curve.isVisible(), bar.isVisible()) == (False, True)
    card.show_line(replace(LINE, trend=(), fact_title="", fact="It gives back what it hears."))
    assert "It gives back what it hears." in texts(card)
    assert not bar.isVisible()


def test_a_change_touches_the_card_in_place(model: HomeModel, qtbot) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.show()
    model.show(HomeView(lines=(LINE,)))
    card = page.card("Front desk")
    button = card._buttons[0][0]
    model.show(HomeView(lines=(replace(LINE, word="Stopped", shape=Shape.STOPPED, now="$1"),)))
    assert page.card("Front desk") is card
    assert card._buttons[0][0] is button
    assert "Stopped" in card.accessibleName()


def test_buttons_that_do_not_fit_go_into_the_menu_last_first(qtbot, settle) -> None:
    card = LineCard(LINE)
    qtbot.addWidget(card)
    card.resize(600, 320)
    card.show()
    settle()
    assert visible_buttons(card)[-3:] == ["Talk", "Stop…", "Test again"]
    assert [a.text() for a in card._menu.actions()] == ["Remove line…"]
    card.resize(300, 320)
    settle()
    assert "Test again" not in visible_buttons(card)
    assert [a.text() for a in card._menu.actions()][:1] == ["Test again"]


def test_every_button_and_menu_entry_asks_for_its_own(qtbot, settle) -> None:
    card = LineCard(LINE)
    qtbot.addWidget(card)
    card.resize(600, 320)
    card.show()
    settle()
    asked: list[tuple[str, str]] = []
    card.asked.connect(lambda name, verb: asked.append((name, verb)))
    for button, _ in card._buttons:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    card._menu.actions()[0].trigger()
    assert asked == [("Front desk", verb) for verb in ("talk", "stop", "test", "remove")]


def test_what_needs_the_user_stands_first_and_places_stay(model: HomeModel) -> None:
    lines = (
        replace(LINE, name="b"),
        replace(LINE, name="a"),
        replace(LINE, name="c", needs_user=True),
    )
    model.show(HomeView(lines=lines))
    assert [line.name for line in model.ordered()] == ["c", "a", "b"]
    model.show(HomeView(lines=(*lines[:2], replace(LINE, name="c"), replace(LINE, name="aa"))))
    assert [line.name for line in model.ordered()] == ["c", "a", "b", "aa"]
    model.sort_again()
    assert [line.name for line in model.ordered()] == ["a", "aa", "b", "c"]


def test_cards_stand_in_two_columns_where_there_is_room(model: HomeModel, qtbot, settle) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.resize(1200, 800)
    page.show()
    model.show(HomeView(lines=(LINE, replace(LINE, name="Practice"))))
    settle()
    assert page.card("Front desk").y() == page.card("Practice").y()
    page.resize(700, 800)
    settle()
    assert page.card("Front desk").x() == page.card("Practice").x()


def test_the_first_useful_thing_has_the_keyboard(model: HomeModel, qtbot, settle) -> None:
    page = HomePage(model)
    qtbot.addWidget(page)
    page.show()
    page.activateWindow()
    page.focus_first()
    settle()
    assert page.first_start.card.hasFocus()
    model.show(HomeView(lines=(LINE,)))
    page.focus_first()
    assert page.card("Front desk")._buttons[0][0].hasFocus()


@pytest.mark.parametrize("percent", [100, 200])
@pytest.mark.parametrize("code", ["en", "nl", PSEUDO])
@pytest.mark.parametrize("size", [(960, 640), (1440, 900)])
@pytest.mark.parametrize("lines", [0, 3])
def test_nothing_is_clipped_overlapping_or_nameless(
    preferences: Preferences,
    eyes,
    settle,
    percent: int,
    code: str,
    size: tuple[int, int],
    lines: int,
) -> None:
    language().choose(code)
    theme().set_text_percent(percent)
    model = HomeModel()
    model.show(HomeView(lines=tuple(replace(LINE, name=f"Line {i}") for i in range(lines))))
    spec = PageSpec("home", mark("Home"), "home", lambda: HomePage(model))
    window = MainWindow([spec], preferences)
    window.resize(*size)
    window.show()
    settle()
    assert not eyes.all_faults(window)
