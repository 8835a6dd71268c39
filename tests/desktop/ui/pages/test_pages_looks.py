"""Every page in each of its states, in each language and size: nothing clipped, covered, nameless or out of reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QObject, QSize
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QWidget

import scenes as all_scenes
from personadesk.store.settings import Settings
from personadesk.ui.i18n import PSEUDO, language
from personadesk.ui.preferences import Preferences
from personadesk.ui.shell import MainWindow, PageSpec
from personadesk.ui.theme import Look, Role, theme
from personadesk.ui.turns import Turns

pytestmark = pytest.mark.long

LARGE, SMALL = QSize(1440, 900), QSize(960, 640)
SIZES = {"en": (LARGE, SMALL), "nl": (LARGE, SMALL), PSEUDO: (SMALL,)}
NAMES = sorted(all_scenes.SCENES)


def shown(name: str, size: QSize, folder: Path, settle: Callable[..., None]) -> MainWindow:
    window = MainWindow(
        [PageSpec(name.split("-")[0], "Page", "home", all_scenes.SCENES[name])],
        Preferences(Settings(folder / "settings.toml"), folder),
    )
    window.resize(size)
    window.show()
    settle()
    # Parts that are made in turns, and what the last one changed in the layout: a busy machine is not there yet.
    for turns in window.findChildren(Turns):
        turns.finish()
    QApplication.sendPostedEvents()
    settle()
    return window


def faults(window: MainWindow, eyes: Any) -> list[str]:
    """As the eyes see them; of a group of options Tab reaches the chosen one, arrows the others."""
    return [f for f in eyes.all_faults(window) if not f.startswith(("OptionCard", "MachineRow"))]


@pytest.mark.parametrize("code", list(SIZES))
@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_room_for_its_words_in_each_language_and_size(
    name: str, code: str, tmp_path: Path, settle: Callable[..., None], eyes: Any
) -> None:
    language().choose(code)
    for size in SIZES[code]:
        window = shown(name, size, tmp_path, settle)
        assert faults(window, eyes) == [], f"{name} {code} {size.width()}"
        window.hide()
        window.deleteLater()


class Opened(QObject):
    """Sees windows that show: a part that shows before it has a parent is a window for a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            event.type() is QEvent.Type.Show
            and isinstance(watched, QWidget)
            and watched.isWindow()
            and not isinstance(watched, MainWindow)
        ):
            self.told.append(f"{type(watched).__name__} {watched.accessibleName()}")
        return False


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_room_for_large_text_and_opens_no_window_of_its_own(
    name: str, qapp: QApplication, tmp_path: Path, settle: Callable[..., None], eyes: Any
) -> None:
    theme().set_text_percent(150)
    opened = Opened()
    qapp.installEventFilter(opened)
    try:
        window = shown(name, LARGE, tmp_path, settle)
    finally:
        qapp.removeEventFilter(opened)
    assert faults(window, eyes) == []
    assert opened.told == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_paints_on_its_own_ground(
    name: str, look: Look, tmp_path: Path, settle: Callable[..., None]
) -> None:
    window = shown(name, LARGE, tmp_path, settle)
    picture = window.grab().toImage()
    beside_the_cards = picture.pixelColor(theme().px(208) + 8, 300)
    assert beside_the_cards == theme().colour(Role.WINDOW)
    colours = {
        QColor(picture.pixelColor(x, y)).name()
        for x in range(0, picture.width(), 7)
        for y in range(0, picture.height(), 7)
    }
    assert len(colours) > 8


def test_each_page_names_itself_and_its_place(scenes: ModuleType) -> None:
    for name, make in scenes.SCENES.items():
        page = make()
        assert page.title, name
        assert page.subtitle, name
        page.deleteLater()
