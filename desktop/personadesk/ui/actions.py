"""Every action of the window, declared once: what it is called, its icon, its keys.

Menus, buttons and later the command box show these; what an action does is connected by its owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QKeySequence

from personadesk.ui.i18n import mark, tr
from personadesk.ui.icons import icon
from personadesk.ui.theme import Role, theme

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

__all__ = ["ACTIONS", "ActionId", "ActionSpec", "make_action"]


class ActionId(StrEnum):
    """Name of an action in code, logs and tests."""

    QUIT = "quit"
    FULL_SCREEN = "full-screen"
    NEXT_AREA = "next-area"
    PREVIOUS_AREA = "previous-area"
    ABOUT = "about"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action.

    Attributes:
        id: Its name.
        text: English, marked; translated when the action is made. ``&`` before its mnemonic.
        icon: Name of its icon, or None.
        keys: Shortcuts in Qt's portable form, the shown one first.
    """

    id: ActionId
    text: str
    icon: str | None = None
    keys: tuple[str, ...] = ()


ACTIONS = {
    spec.id: spec
    for spec in (
        ActionSpec(ActionId.QUIT, mark("&Quit"), None, ("Ctrl+Q",)),
        ActionSpec(ActionId.FULL_SCREEN, mark("&Full screen"), "fullscreen", ("F11",)),
        ActionSpec(ActionId.NEXT_AREA, mark("&Next area"), None, ("F6",)),
        ActionSpec(ActionId.PREVIOUS_AREA, mark("&Previous area"), None, ("Shift+F6",)),
        ActionSpec(ActionId.ABOUT, mark("&About PersonaDesk"), "info"),
    )
}


def make_action(id_: ActionId, owner: QWidget, triggered: Callable[[], None]) -> QAction:
    """Return an action that is bound to its keys in ``owner``'s window.

    Args:
        id_: Which action.
        owner: Widget that it belongs to and dies with.
        triggered: What it does.
    """
    spec = ACTIONS[id_]
    action = QAction(tr(spec.text), owner)
    action.setObjectName(spec.id.value)
    action.setShortcuts([QKeySequence(keys) for keys in spec.keys])
    if spec.icon is not None:
        action.setIcon(icon(spec.icon, theme().px(16), Role.TEXT2))
    action.triggered.connect(lambda _checked=False: triggered())
    owner.addAction(action)
    return action
