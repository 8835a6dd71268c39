"""A rehearsal cannot be taken for the real thing, and is one click away from the first start."""

from __future__ import annotations

import pytest

from personadesk.store.settings import Settings
from personadesk.ui.home import HomeModel, HomePage
from personadesk.ui.i18n import language
from personadesk.ui.preferences import Preferences
from personadesk.ui.shell import MainWindow, PageSpec
from personadesk.ui.widgets import MessageBanner

pytestmark = pytest.mark.usefixtures("qapp")
WORDS = "Rehearsal: nothing real happens, nothing costs money"


@pytest.fixture
def open_window(tmp_path, qtbot):
    def open_window(*, rehearsal: bool) -> MainWindow:
        model = HomeModel(rehearsal=rehearsal)
        specs = [PageSpec("home", "Home", "home", lambda: HomePage(model))]
        preferences = Preferences(Settings(tmp_path / "settings.toml"), tmp_path)
        window = MainWindow(specs, preferences, rehearsal=rehearsal)
        model.setParent(window)
        qtbot.addWidget(window)
        window.show()
        return window

    return open_window


def strips(window: MainWindow) -> list[str]:
    return [each.accessibleName() for each in window.findChildren(MessageBanner)]


def test_a_rehearsal_says_so_over_every_page_and_in_its_title_also_in_another_language(open_window):
    window = open_window(rehearsal=True)
    assert WORDS in strips(window)
    assert window.windowTitle().endswith("Rehearsal")
    language().choose("nl")
    try:
        (shown,) = [each for each in window.findChildren(MessageBanner) if each.isVisible()]
        assert shown.accessibleName() == "Oefening: er gebeurt niets echts, niets kost geld"
    finally:
        language().choose("en")


def test_the_real_thing_says_nothing_of_it_and_offers_one(open_window, qtbot):
    window = open_window(rehearsal=False)
    assert WORDS not in strips(window)
    assert "Rehearsal" not in window.windowTitle()
    first = window.current_page.first_start
    assert first.rehearse.isVisible()
    with qtbot.waitSignal(first.rehearse_asked, timeout=1000):
        first.rehearse.click()


def test_a_rehearsal_offers_no_rehearsal(open_window):
    assert not open_window(rehearsal=True).current_page.first_start.rehearse.isVisible()
