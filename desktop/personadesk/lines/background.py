"""The process that serves the lines when no window is open: `personadesk line serve`, detached."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

from personadesk.domain.errors import ProviderFault
from personadesk.domain.text import T
from personadesk.hosts import detached, health
from personadesk.lines.service import BACKGROUND, COMMAND
from personadesk.store.paths import HOME_VARIABLE

if TYPE_CHECKING:
    from personadesk.lines.service import LineService
    from personadesk.store.locks import FileLock
    from personadesk.store.paths import Folders

SECONDS = 15.0


async def hand_over(lines: LineService, lock: FileLock, folders: Folders) -> int:
    """See to it that a process serves the lines when we are gone; returns its pid. Calls through us end.

    Where a window or another lasting process serves them, nothing is to be done.

    Raises:
        ProviderFault: It did not take over.
    """
    holder = lock.holder()
    if not lines.serving and holder is not None and holder.get("kind") != COMMAND:
        return int(holder.get("pid", 0))
    ports = [line.port for line in lines.lines()]
    pid = await asyncio.to_thread(_spawn, folders)
    if not lines.serving and holder is not None:
        # A command that is about to end serves them; who waits for its lock takes over then.
        return pid
    # It waits for the lock; the gap in which nobody listens is a few hundredths of a second.
    await asyncio.sleep(0.5)
    await lines.close()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        holder = await asyncio.to_thread(lock.holder)
        if holder is not None and holder.get("pid") == pid and await _answer(ports):
            return pid
        await asyncio.sleep(0.05)
    raise ProviderFault(
        T("The background process that serves the lines did not start."),
        T("Start it yourself: personadesk line serve"),
        cause="no_background",
        details=str(folders.state / "logs" / "lines.log"),
    )


async def end(lock: FileLock) -> bool:
    """End the background process, if it is that which serves the lines; returns whether it did."""
    holder = await asyncio.to_thread(lock.holder)
    if holder is None or holder.get("kind") != BACKGROUND or not holder.get("pid"):
        return False
    if await asyncio.to_thread(_end_process, int(holder["pid"])):
        return True
    raise ProviderFault(
        T("The background process that serves the lines would not end (process {pid}).",
          pid=int(holder["pid"])),
        T("End that process in the system's task manager, then try again."),
        cause="would_not_stop",
    )  # fmt: skip


def _end_process(pid: int) -> bool:
    """End a process politely and wait until it is gone; return whether it is."""
    import psutil

    try:
        process = psutil.Process(pid)
        process.terminate()
        process.wait(SECONDS)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


async def _answer(ports: list[int]) -> bool:
    for port in ports:
        if await health.get_json(f"http://127.0.0.1:{port}", "/health", limit_s=0.5) is None:
            return False
    return True


def _spawn(folders: Folders) -> int:
    environment = dict(os.environ)
    if HOME_VARIABLE in environment:
        environment[HOME_VARIABLE] = os.path.abspath(os.path.expanduser(environment[HOME_VARIABLE]))
    folders.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    return detached.spawn(
        [sys.executable, "-P", "-m", "personadesk", "line", "serve", "--background"],
        folder=folders.state, errors=folders.state / "background.err", environment=environment,
    ).pid  # fmt: skip
