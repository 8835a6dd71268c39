"""One window a user: the lock that a second start finds taken, with who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.store.locks import FileLock

if TYPE_CHECKING:
    from personadesk.store.paths import Folders


def window_lock(folders: Folders) -> FileLock:
    """Return the lock of the one window; `holder()` tells the pid of the one that is open."""
    return FileLock(folders.state / "window.lock")


def lines_lock(folders: Folders) -> FileLock:
    """Return the lock of the one process that serves the lines' addresses."""
    return FileLock(folders.state / "lines.lock")


def history_lock(folders: Folders) -> FileLock:
    """Return the lock of the one process that keeps the history of figures."""
    return FileLock(folders.state / "history.lock")


def deploy_lock(folders: Folders, plan_id: str) -> FileLock:
    """Return the lock that a deploy's process holds as long as it works on it."""
    return FileLock(folders.state / "deploys" / f"{plan_id}.lock")
