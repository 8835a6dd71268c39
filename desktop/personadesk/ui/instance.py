"""One window a user: the second start tells the first one to come forward, and ends.

A lock file decides who is first; a local socket, open to its owner only, carries the request.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from personadesk.store.instance import window_lock

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalServer, QLocalSocket

    from personadesk.store.paths import Folders

__all__ = ["SingleInstance", "socket_name"]

log = logging.getLogger(__name__)

RAISE = b"raise\n"
DONE = b"raised\n"
ANSWER_MS = 1500
TRIES_SECONDS = 6.0
"""The first one may still be starting and not listening yet."""


def socket_name(folders: Folders) -> str:
    """Return the socket's name: short, since systems limit it, and another one for each home and user."""
    import hashlib

    # Windows has no user numbers, and there pipes of other users cannot be opened anyway.
    user = os.getuid() if hasattr(os, "getuid") else 0
    place = hashlib.sha256(str(folders.state.absolute()).encode()).hexdigest()[:16]
    return f"personadesk-{user}-{place}"


class SingleInstance(QObject):
    """Whether this is the first window, and the ear for later ones.

    Signals:
        raise_asked: Somebody started PersonaDesk again.
    """

    raise_asked = Signal()

    def __init__(self, folders: Folders, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._name = socket_name(folders)
        self._lock = window_lock(folders)
        self._server: QLocalServer | None = None

    def become_first(self) -> bool:
        """Take the place of the one window; False when another process has it."""
        return self._lock.acquire(kind="window")

    def listen(self) -> None:
        """Hear later starts from now on; not done before the window shows, since it takes a moment to load."""
        from PySide6.QtNetwork import QLocalServer

        # We hold the lock, so a socket of that name was left by one that died.
        QLocalServer.removeServer(self._name)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._connected)
        if not self._server.listen(self._name):
            # The window works all the same; only a second start cannot raise it.
            log.warning("No socket for a second start: %s", self._server.errorString())

    def raise_other(self) -> bool:
        """Ask the first window to come forward; return whether it said that it did."""
        until = time.monotonic() + TRIES_SECONDS
        while time.monotonic() < until:
            if self._ask():
                return True
            time.sleep(0.1)
        return False

    def close(self) -> None:
        """Give the place back."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._lock.release()

    def _ask(self) -> bool:
        from PySide6.QtNetwork import QLocalSocket

        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(ANSWER_MS):
            return False
        socket.write(RAISE)
        socket.flush()
        answered = socket.waitForReadyRead(ANSWER_MS) and bytes(socket.readAll().data()) == DONE
        socket.disconnectFromServer()
        return answered

    def _connected(self) -> None:
        if self._server is None:
            return
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.readyRead.connect(lambda socket=socket: self._read(socket))
            socket.disconnected.connect(socket.deleteLater)
            if socket.bytesAvailable():
                self._read(socket)

    def _read(self, socket: QLocalSocket) -> None:
        if bytes(socket.read(64).data()) == RAISE:
            self.raise_asked.emit()
            socket.write(DONE)
            socket.flush()
        else:
            socket.abort()
