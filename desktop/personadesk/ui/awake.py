"""Keeps the screen on while something is watched on it, as far as the system lets a program ask for that.

Linux: the desktop's `org.freedesktop.ScreenSaver` on the session bus (GNOME, KDE, Xfce have it). macOS: `caffeinate`.
Windows: `SetThreadExecutionState`. The first is tested on a real bus, though not with a real desktop's service; the
others follow their documentation and are not proven yet. Where nobody answers, the screen does what it always does, and
the log says so.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from PySide6.QtCore import QObject
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher

__all__ = ["Awake"]

log = logging.getLogger(__name__)

SERVICE, PATH = "org.freedesktop.ScreenSaver", "/org/freedesktop/ScreenSaver"
CONNECTION = "personadesk-awake"
NAME, REASON = "PersonaDesk", "The monitor is shown on the whole screen"
_CONTINUOUS, _SYSTEM, _DISPLAY = 0x80000000, 0x00000001, 0x00000002
"""Windows' ES_CONTINUOUS, ES_SYSTEM_REQUIRED and ES_DISPLAY_REQUIRED."""


class Awake(QObject):
    """Asks for a screen that stays on, and takes that back."""

    def __init__(
        self,
        parent: QObject | None = None,
        *,
        platform: str = sys.platform,
        bus: str = "",
    ) -> None:
        """Ask for nothing yet.

        Args:
            platform: As `sys.platform` calls it.
            bus: Address of the session bus; "" takes the user's.
        """
        super().__init__(parent)
        self._platform = platform
        self._bus = bus
        self._wanted = False
        self._agreed = False
        self._asking: QDBusPendingCallWatcher | None = None
        self._helper: subprocess.Popen[bytes] | None = None

    @property
    def is_held(self) -> bool:
        """Whether the system agreed to keep the screen on."""
        return self._agreed or self._helper is not None

    def keep(self, *, wanted: bool) -> None:
        """Keep the screen on, or let it go dark again."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._platform == "win32":
            self._windows(wanted)
        elif self._platform == "darwin":
            self._mac(wanted)
        else:
            self._desktop(wanted)

    def _desktop(self, wanted: bool) -> None:
        if not wanted:
            # What was asked for ends with the connection that asked.
            self._asking, self._agreed = None, False
            QDBusConnection.disconnectFromBus(CONNECTION)
            return
        kind = QDBusConnection.BusType.SessionBus
        session = QDBusConnection.connectToBus(self._bus or kind, CONNECTION)
        if not session.isConnected():
            log.info("The screen cannot be kept on: there is no session bus")
            return
        message = QDBusMessage.createMethodCall(SERVICE, PATH, SERVICE, "Inhibit")
        message.setArguments([NAME, REASON])
        self._asking = QDBusPendingCallWatcher(session.asyncCall(message), self)
        self._asking.finished.connect(self._answered)

    def _answered(self, watcher: QDBusPendingCallWatcher) -> None:
        watcher.deleteLater()
        if watcher is not self._asking:
            return
        self._asking = None
        self._agreed = not watcher.isError()
        if watcher.isError():
            log.info("The screen cannot be kept on: %s", watcher.error().message())

    def _mac(self, wanted: bool) -> None:
        if wanted:
            try:
                # It ends by itself when this process does.
                self._helper = subprocess.Popen(
                    ["/usr/bin/caffeinate", "-d", "-w", str(os.getpid())]
                )
            except OSError as error:
                log.info("The screen cannot be kept on: %s", error)
        elif self._helper is not None:
            self._helper.terminate()
            self._helper.wait()
            self._helper = None

    def _windows(self, wanted: bool) -> None:
        import ctypes

        flags = _CONTINUOUS | (_SYSTEM | _DISPLAY if wanted else 0)
        library = getattr(ctypes, "windll").kernel32  # noqa: B009 - only there on Windows, mypy knows
        if not library.SetThreadExecutionState(flags):
            log.info("The screen cannot be kept on.")
