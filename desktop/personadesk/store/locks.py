"""A lock file that the system itself frees when its holder dies, so that a killed program never blocks the next one.

Its content (pid and what the holder is) is for people and for messages; only the lock decides.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_FAR = 1 << 30
"""Windows locks bytes and hides them from other readers, so a byte that is never read is locked."""


class FileLock:
    """One exclusive lock, held by one process (and one object in it) at a time.

    Attributes:
        path: The lock file; it is made when needed and removed on release.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def acquire(self, **facts: Any) -> bool:
        """Take the lock without waiting.

        Args:
            facts: Words about the holder; they are written into the file beside its pid.

        Returns:
            False when somebody else holds it.
        """
        if self._fd is not None:
            return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            if not _lock(fd):
                os.close(fd)
                return False
            # A holder removes the file as it leaves; a lock on a removed file guards nothing.
            if _is_still(fd, self.path):
                break
            os.close(fd)
        self._fd = fd
        self.tell(**facts)
        return True

    def tell(self, **facts: Any) -> None:
        """Write other words about the holder, which is this object.

        Args:
            facts: As for `acquire`.

        Raises:
            ValueError: It does not hold the lock.
        """
        if self._fd is None:
            raise ValueError("This lock is not held")
        content = json.dumps({"pid": os.getpid(), "since": time.time(), **facts}).encode()
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.write(self._fd, content)

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._fd is None:
            return
        if sys.platform != "win32":
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()
        os.close(self._fd)
        self._fd = None
        if sys.platform == "win32":
            with contextlib.suppress(OSError):  # the next holder may have it open already
                self.path.unlink()

    def holder(self) -> dict[str, Any] | None:
        """Return what the present holder wrote, or None when nobody holds the lock."""
        if self._fd is None:
            try:
                fd = os.open(self.path, os.O_RDWR)
            except FileNotFoundError:
                return None
            try:
                if _lock(fd):
                    return None
            finally:
                os.close(fd)
        try:
            content = json.loads(self.path.read_bytes() or b"{}")
        except (OSError, ValueError):
            # Held, but the words are not there yet or already gone.
            return {}
        return content if isinstance(content, dict) else {}


def _is_still(fd: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (mine.st_ino, mine.st_dev) == (there.st_ino, there.st_dev)


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> bool:
        os.lseek(fd, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(fd, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
