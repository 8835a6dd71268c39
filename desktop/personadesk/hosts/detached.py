"""Starts a process that outlives us and belongs to nobody's terminal."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def spawn(
    words: Sequence[str], *, folder: Path, errors: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start it.

    Args:
        words: Program and arguments.
        folder: Where it works.
        errors: File for what it says on stderr, written anew.
        environment: Its variables, all of them.

    Raises:
        OSError: It cannot be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
    with errors.open("wb") as file:
        process = subprocess.Popen(
            list(words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file,
            cwd=folder, env=dict(environment), start_new_session=True, creationflags=flags,
        )  # fmt: skip
    # While we live we are its parent, and a parent that never waits leaves a zombie behind.
    threading.Thread(target=process.wait, name=f"reap {process.pid}", daemon=True).start()
    return process
