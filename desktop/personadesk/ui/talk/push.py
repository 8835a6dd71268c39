"""Push to talk: while a call goes on and the user chose it, Space is a key to be held, wherever the focus is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QPlainTextEdit

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.talk.call import Call

__all__ = ["PushToTalk"]


class PushToTalk(QObject):
    """Watches the keyboard of one window."""

    def __init__(self, call: Call, page: QWidget) -> None:
        super().__init__(page)
        self._call = call
        self._page = page
        self._held = False
        self._on = False

    def start(self) -> None:
        """Watch, while the page shows."""
        application = QApplication.instance()
        if application is not None and not self._on:
            self._on = True
            application.installEventFilter(self)

    def stop(self) -> None:
        """Watch no more, and let go of the key."""
        application = QApplication.instance()
        if application is not None and self._on:
            self._on = False
            application.removeEventFilter(self)
        self._let_go()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind is QEvent.Type.ApplicationDeactivate:
            self._let_go()
        if kind not in {QEvent.Type.KeyPress, QEvent.Type.KeyRelease}:
            return False
        if (
            not isinstance(event, QKeyEvent)
            or event.key() != Qt.Key.Key_Space
            or not self._wanted()
        ):
            return False
        if not event.isAutoRepeat():
            self._held = kind is QEvent.Type.KeyPress
            self._call.hold(self._held)
        # Otherwise a focused button would be pressed too, Hang up among them.
        return True

    def _wanted(self) -> bool:
        if not (self._call.is_on and self._call.push_to_talk and self._page.isActiveWindow()):
            return False
        return not isinstance(QApplication.focusWidget(), (QLineEdit, QPlainTextEdit))

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self._call.hold(False)
