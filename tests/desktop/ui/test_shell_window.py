"""The window around the pages: places, titles, keys, languages, sizes, messages, and what it remembers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QCloseEvent
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QMenu, QPushButton, QVBoxLayout

from personadesk.domain.text import T
from personadesk.ui import messages
from personadesk.ui.actions import ACTIONS, ActionId
from personadesk.ui.i18n import PSEUDO, language, mark, tr
from personadesk.ui.messages import Action, Message, Severity, bus
from personadesk.ui.preferences import Preferences
from personadesk.ui.shell import MainWindow, NavigationBar, Page, PageSpec, StatusLine
from personadesk.ui.shell.about import AboutDialog
from personadesk.ui.shell.banner_area import BannerArea
from personadesk.ui.theme import Look, theme
from personadesk.ui.widgets import Button, FocusRing, Kind

pytestmark = pytest.mark.usefixtures("qapp")

Maker = Callable[..., MainWindow]


class Sheet(Page):
    """A page with a field and a primary action; counts its visits."""

    made: list[str] = []  # noqa: RUF012 - shared on purpose, emptied by the fixture

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        Sheet.made.append(name)
        self.visits: list[str] = []
        column = QVBoxLayout(self)
        self.field = QLineEdit()
        self.field.setAccessibleName("Field")
        column.addWidget(self.field)
        self.primary = Button("Go", kind=Kind.PRIMARY, parent=self)

    @property
    def title(self) -> str:
        return tr("Home") if self.name == "home" else self.name

    @property
    def subtitle(self) -> str:
        return tr("No lines yet")

    @property
    def primary_action(self) -> QPushButton | None:
        return self.primary if self.name == "home" else None

    def entered(self) -> None:
        self.visits.append("entered")

    def left(self) -> None:
        self.visits.append("left")


SPECS = [
    PageSpec("home", mark("Home"), "home", lambda: Sheet("home")),
    PageSpec("deploy", mark("Deploy"), "deploy", lambda: Sheet("deploy")),
    PageSpec("talk", mark("Voice console"), "voice", lambda: Sheet("talk")),
]


@pytest.fixture
def make_window(preferences: Preferences, settle) -> Maker:
    """Makes shown windows over the three pages."""
    Sheet.made.clear()

    def make(width: int = 1440, height: int = 900) -> MainWindow:
        window = MainWindow(SPECS, preferences)
        window.resize(width, height)
        window.show()
        window.activateWindow()
        settle()
        return window

    return make


def labels(window: MainWindow) -> list[str]:
    return [label.text() for label in window.findChildren(QLabel) if label.isVisible()]


def actions_of(window: MainWindow) -> dict[str, QAction]:
    found: dict[str, QAction] = {}

    def walk(menu: QMenu) -> None:
        for action in menu.actions():
            if action.menu() is not None:
                walk(action.menu())
            elif action.text():
                found[action.text().replace("&", "")] = action

    for menu in window.menuBar().findChildren(
        QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly
    ):
        walk(menu)
    return found


def test_a_page_is_made_on_its_first_visit_and_only_once(make_window: Maker) -> None:
    window = make_window()
    assert Sheet.made == ["home"]
    window.open_page("deploy")
    window.open_page("home")
    window.open_page("deploy")
    assert Sheet.made == ["home", "deploy"]


def test_pages_hear_when_they_are_entered_and_left(make_window: Maker) -> None:
    window = make_window()
    home = window.page("home")
    window.open_page("deploy")
    assert isinstance(home, Sheet)
    assert home.visits == ["entered", "left"]
    assert window.page("deploy").visits == ["entered"]  # type: ignore[attr-defined]


def test_the_side_bar_leads_to_the_places(make_window: Maker, qtbot) -> None:
    window = make_window()
    button = window._navigation.button("talk")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert window.current_id == "talk"
    assert button.isChecked()
    assert window.windowTitle() == "talk – PersonaDesk"


def test_an_unknown_place_changes_nothing(
    make_window: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    window = make_window()
    window.open_page("nowhere")
    assert window.current_id == "home"
    assert "nowhere" in caplog.text


def test_the_top_bar_shows_title_line_and_primary_action_of_the_page(make_window: Maker) -> None:
    window = make_window()
    home = window.page("home")
    assert isinstance(home, Sheet)
    assert home.primary.isVisible()
    assert {"Home", "No lines yet"} <= set(labels(window))
    window.open_page("deploy")
    assert not home.primary.isVisible()


@pytest.mark.parametrize(
    ("keys", "place"), [("Ctrl+1", "home"), ("Ctrl+2", "deploy"), ("Ctrl+3", "talk")]
)
def test_the_pages_have_numbers(make_window: Maker, keys: str, place: str) -> None:
    window = make_window()
    by_keys = {a.shortcut().toString(): a for a in actions_of(window).values()}
    by_keys[keys].trigger()
    assert window.current_id == place


def test_every_declared_action_is_in_the_menus(make_window: Maker) -> None:
    window = make_window()
    shown = {action.objectName() for action in actions_of(window).values()}
    assert {id_.value for id_ in ActionId} <= shown
    assert set(ACTIONS) == set(ActionId)


def test_no_two_actions_share_their_keys(make_window: Maker) -> None:
    window = make_window()
    keys = [k.toString() for a in actions_of(window).values() for k in a.shortcuts()]
    assert len(keys) == len(set(keys))


def test_f6_walks_through_the_areas_and_back(make_window: Maker) -> None:
    window = make_window()
    page = window.page("home")
    assert isinstance(page, Sheet)
    page.field.setFocus()
    window.focus_area(1)
    assert window._navigation.isAncestorOf(QApplication.focusWidget())
    window.focus_area(1)
    assert QApplication.focusWidget() is page.primary
    window.focus_area(1)
    assert QApplication.focusWidget() is page.field
    window.focus_area(-1)
    assert QApplication.focusWidget() is page.primary


def test_tab_goes_from_the_page_to_the_side_bar_and_round(make_window: Maker, qtbot) -> None:
    window = make_window()
    seen = []
    for _ in range(12):
        focused = QApplication.focusWidget()
        seen.append(focused)
        qtbot.keyClick(focused, Qt.Key.Key_Tab)
    assert window._navigation.button("home") in seen
    assert window.page("home").field in seen  # type: ignore[attr-defined]


def test_the_ring_is_around_what_has_the_keyboard(make_window: Maker, settle) -> None:
    window = make_window()
    ring = window.findChild(FocusRing)
    button = window._navigation.button("talk")
    button.setFocus(Qt.FocusReason.TabFocusReason)
    settle()
    assert ring is not None
    assert ring.target is button
    place = button.mapTo(window, QPoint(0, 0))
    assert ring.geometry().contains(place - QPoint(2, 2))
    button.clearFocus()
    settle()
    assert ring.target is None


def test_a_language_is_taken_at_run_time_and_remembered(
    make_window: Maker, preferences: Preferences
) -> None:
    window = make_window()
    window.open_page("deploy")
    actions_of(window)["Nederlands"].trigger()
    assert language().code == "nl"
    assert preferences.language == "nl"
    assert window.current_id == "deploy"
    assert "Nog geen lijnen" in labels(window)
    assert window._navigation.button("home").text() == "Start"
    assert "Afsluiten" in actions_of(window)


def test_a_look_is_taken_at_run_time_and_remembered(
    make_window: Maker, preferences: Preferences
) -> None:
    window = make_window()
    before = window.grab().toImage().pixelColor(700, 700)
    actions_of(window)["High contrast"].trigger()
    assert theme().look is Look.HIGH_CONTRAST
    assert preferences.look is Look.HIGH_CONTRAST
    assert window.grab().toImage().pixelColor(700, 700) != before
    assert actions_of(window)["High contrast"].isChecked()


def test_text_grows_at_run_time_and_is_remembered(
    make_window: Maker, preferences: Preferences
) -> None:
    window = make_window()
    actions_of(window)["150 %"].trigger()
    assert theme().text_percent == preferences.text_percent == 150
    assert actions_of(window)["150 %"].isChecked()


def test_a_narrow_window_shows_icons_with_tooltips(make_window: Maker, settle) -> None:
    window = make_window(960, 640)
    button = window._navigation.button("talk")
    assert window._navigation.is_narrow
    assert (button.text(), button.accessibleName()) == ("", "Voice console")
    assert "Voice console" in button.toolTip()
    window.resize(1440, 900)
    settle()
    assert not window._navigation.is_narrow
    assert button.text() == "Voice console"


def test_the_place_of_the_window_is_remembered(
    make_window: Maker, preferences: Preferences
) -> None:
    window = make_window(960, 700)
    window.close()
    assert not preferences.geometry.isEmpty()
    again = MainWindow(SPECS, preferences)
    assert (again.width(), again.height()) == (960, 700)


def test_a_spoilt_place_is_no_reason_to_fail(preferences: Preferences, tmp_path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "window.ini").write_text("geometry=nonsense\n\x00[", encoding="utf-8")
    assert MainWindow(SPECS, preferences).width() >= 960


def test_closing_can_be_held_up_by_who_must_ask_first(make_window: Maker) -> None:
    window = make_window()
    window.closing.connect(window.veto_close)
    event = QCloseEvent()
    window.closeEvent(event)
    assert not event.isAccepted()


def test_the_first_paint_is_announced_once(preferences: Preferences, settle) -> None:
    window = MainWindow(SPECS, preferences)
    painted: list[bool] = []
    window.first_painted.connect(lambda: painted.append(True))
    window.show()
    settle()
    window.repaint()
    settle()
    assert painted == [True]


@pytest.mark.parametrize("code", ["en", "nl", PSEUDO])
@pytest.mark.parametrize("size", [(960, 640), (1440, 900)])
def test_nothing_in_the_shell_is_clipped_or_nameless(
    make_window: Maker, eyes, code: str, size: tuple[int, int]
) -> None:
    language().choose(code)
    window = make_window(*size)
    window.set_status("$0.00 /h")
    assert not eyes.all_faults(window)


def test_the_shield_at_the_foot_warns_while_something_is_not_known(
    preferences: Preferences, settle, qtbot
) -> None:
    places = [PageSpec("accounts", mark("Accounts"), "home", lambda: Sheet("accounts"))]
    window = MainWindow(places, preferences)
    window.resize(1440, 700)
    window.show()
    line = window.findChild(StatusLine, "status-accounts")
    assert line is not None
    window.set_status("$0.75 /h", "Online · 1 account OK")
    settle()
    calm = line.grab().toImage()
    told = "RunPod does not answer since 14:05."
    window.set_status("$0.75 /h", "Not known since 14:05", told)
    assert line.accessibleName() == f"{told} (Accounts)"
    assert line.toolTip() == f"{told} (Accounts)"
    settle()
    assert line.grab().toImage() != calm
    window.set_status("$0.75 /h", "Online · 1 account OK")
    settle()
    assert line.grab().toImage() == calm, "the shield is back"


def test_the_foot_of_the_side_bar_opens_accounts_and_money(
    preferences: Preferences, settle, qtbot
) -> None:
    places = [
        PageSpec(id_, title, "home", lambda id_=id_: Sheet(id_))
        for id_, title in (
            ("home", mark("Home")), ("accounts", mark("Accounts")), ("money", mark("Money")),
        )
    ]  # fmt: skip
    window = MainWindow(places, preferences)
    window.set_status("$0.75 /h", "Online · 1 account OK")
    for width in (1440, 1000):
        window.resize(width, 700)
        window.show()
        settle()
        for page_id, told in (
            ("money", "$0.75 /h (Money)"), ("accounts", "Online · 1 account OK (Accounts)"),
        ):  # fmt: skip
            line = window.findChild(StatusLine, f"status-{page_id}")
            assert line is not None
            assert line.accessibleName() == told
            assert min(line.width(), line.height()) >= 24
            qtbot.mouseClick(line, Qt.MouseButton.LeftButton)
            assert window.current_id == page_id


def test_a_number_beside_a_place_shows_in_the_narrow_side_bar_too(
    make_window: Maker, settle, eyes
) -> None:
    window = make_window(1440)
    window.set_badge("deploy", 2, "2 machines without a line")
    button = window.findChild(NavigationBar).button("deploy")
    assert button.text() == "Deploy  · 2"
    window.resize(960, 640)
    settle()
    assert button.text() == "2"
    assert "2 machines without a line" in button.toolTip()
    assert not eyes.all_faults(window)


@pytest.mark.logs_warnings
def test_the_worst_message_stands_under_the_top_bar_and_the_rest_are_counted(
    make_window: Maker, qtbot, settle
) -> None:
    window = make_window()
    area = window.findChild(BannerArea)
    assert area is not None
    assert not area.isVisible()
    done: list[str] = []
    bus().post(Message(Severity.INFO, T("Home")))
    bus().post(
        Message(
            Severity.WARNING,
            T("Today"),
            T("Now"),
            actions=(Action(T("Close"), lambda: done.append("closed")),),
        )
    )
    settle()
    assert area.message is not None
    assert area.message.severity is Severity.WARNING
    assert "Now And 1 more message." in labels(window)
    button = next(b for b in area.findChildren(QPushButton) if b.text() == "Close")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    settle()
    assert done == ["closed"]
    assert area.message.severity is Severity.INFO


@pytest.mark.logs_warnings
def test_what_can_be_undone_stands_first_for_a_few_seconds_and_ctrl_z_does_it(
    make_window: Maker, qtbot, settle, monkeypatch
) -> None:
    window = make_window()
    area = window.findChild(BannerArea)
    undone: list[str] = []
    bus().post(Message(Severity.ERROR, T("Failed")))
    bus().post(Message(Severity.GOOD, T("Home"), undo=lambda: undone.append("first")))
    settle()
    assert area.message.what == T("Home")
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == ["first"]
    assert area.message.what == T("Failed")
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == ["first"]
    monkeypatch.setattr(messages, "UNDO_SECONDS", 0.05)
    bus().post(Message(Severity.GOOD, T("Talk"), undo=lambda: undone.append("second")))
    qtbot.waitUntil(lambda: area.message.what == T("Failed"), timeout=3000)
    assert undone == ["first"]


@pytest.mark.logs_warnings
def test_a_message_with_details_opens_them(make_window: Maker, qtbot, settle) -> None:
    window = make_window()
    area = window.findChild(BannerArea)
    bus().post(Message(Severity.ERROR, T("Failed"), details="raw words"))
    settle()
    details = next(b for b in area.findChildren(QPushButton) if b.text() == "Details")
    qtbot.mouseClick(details, Qt.MouseButton.LeftButton)
    settle()
    shown = [w for w in QApplication.topLevelWidgets() if w.windowTitle() == "Details"]
    assert len(shown) == 1


def test_about_tells_version_and_licences(make_window: Maker, eyes) -> None:
    dialog = AboutDialog(make_window())
    dialog.show()
    assert any("0.1.0" in label.text() for label in dialog.findChildren(QLabel))
    assert not eyes.all_faults(dialog)


def test_a_setting_that_cannot_be_saved_is_told_and_holds_all_the_same(
    make_window: Maker, preferences: Preferences, tmp_path, caplog: pytest.LogCaptureFixture, settle
) -> None:
    (tmp_path / "config").write_text("a file stands where the folder should be", encoding="utf-8")
    window = make_window()
    window.choose_look("dark")
    settle()
    assert theme().look is Look.DARK
    assert [m.severity for m in bus().messages] == [Severity.ERROR]
