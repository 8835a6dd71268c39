"""One setup at a time in one checkout: a file lock that the system drops when its holder dies."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from _setup.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def exclusive(path: Path, *, pause: float = 0.3) -> Iterator[None]:
    """Hold the lock on a file, waiting for another holder as long as it takes.

    Args:
        path: The lock's file; made, and its folder too.
        pause: Seconds between two tries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        told = False
        while not _try_lock(file.fileno()):
            if not told:
                say("Another start is setting this folder up; waiting for it …")
                told = True
            time.sleep(pause)
        yield
