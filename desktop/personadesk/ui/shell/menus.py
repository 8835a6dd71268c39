"""The menu bar. Every action of the shell is here too, with its keys, so that none needs a pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu

from personadesk.ui.i18n import LANGUAGES, language, mark, tr
from personadesk.ui.theme import TEXT_SIZES, Look, theme

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PySide6.QtWidgets import QMenuBar, QWidget

    from personadesk.ui.shell.pages import PageSpec

__all__ = [
    "LOOKS",
    "add_choice_menu",
    "fill_page_actions",
    "language_menu",
    "look_menu",
    "text_size_menu",
]

LOOKS = {
    Look.SYSTEM: mark("Same as system"),
    Look.LIGHT: mark("Light"),
    Look.DARK: mark("Dark"),
    Look.HIGH_CONTRAST: mark("High contrast"),
}


def add_choice_menu(
    menu: QMenu,
    title: str,
    choices: Sequence[tuple[str, str]],
    current: str,
    chosen: Callable[[str], None],
) -> QMenu:
    """Add a sub-menu in which exactly one entry is ticked.

    Args:
        menu: Where it goes.
        title: Its text.
        choices: Key and text of each entry.
        current: Key of the ticked one.
        chosen: Called with the key of the one that the user takes.
    """
    sub = QMenu(title, menu)
    group = QActionGroup(sub)
    for key, text in choices:
        action = QAction(text, sub)
        action.setCheckable(True)
        action.setChecked(key == current)
        action.triggered.connect(lambda _checked=False, key=key: chosen(key))
        group.addAction(action)
        sub.addAction(action)
    menu.addMenu(sub)
    return sub


def look_menu(menu: QMenu, chosen: Callable[[str], None]) -> QMenu:
    """Add the choice of colours."""
    choices = [(look.value, tr(text)) for look, text in LOOKS.items()]
    return add_choice_menu(menu, tr("Loo&k"), choices, theme().look.value, chosen)


def language_menu(menu: QMenu, chosen: Callable[[str], None]) -> QMenu:
    """Add the choice of language; each is called by its own name."""
    return add_choice_menu(menu, tr("Lan&guage"), list(LANGUAGES.items()), language().code, chosen)


def text_size_menu(menu: QMenu, chosen: Callable[[str], None]) -> QMenu:
    """Add the choice of text size."""
    choices = [(str(percent), f"{percent} %") for percent in TEXT_SIZES]
    return add_choice_menu(menu, tr("&Text size"), choices, str(theme().text_percent), chosen)


def fill_page_actions(
    menu: QMenu, specs: Sequence[PageSpec], owner: QWidget, chosen: Callable[[str], None]
) -> None:
    """Add one entry a page, with Ctrl and its number."""
    for number, spec in enumerate(specs, 1):
        action = QAction(tr(spec.title), menu)
        action.setShortcut(QKeySequence(f"Ctrl+{number}"))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.triggered.connect(lambda _checked=False, id_=spec.id: chosen(id_))
        menu.addAction(action)


def clear_menus(bar: QMenuBar) -> None:
    """Remove all menus, before they are built in another language."""
    for menu in bar.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly):
        menu.deleteLater()
    bar.clear()
