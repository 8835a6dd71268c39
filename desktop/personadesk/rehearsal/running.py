"""Finds the process of the pretend providers, starts it, asks it, and ends it with everything that it made."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import BadRequest, ProviderFault, Unreachable
from personadesk.domain.text import T
from personadesk.hosts import detached
from personadesk.store.locks import FileLock

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from personadesk.store.paths import Folders

FILE = "cloud.json"
EXIT_TAKEN = 3
"""The process's exit status when another plays the providers of its folder already."""
START_SECONDS = 30.0
STOP_SECONDS = 60.0
ASK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """The process, as it told of itself.

    Attributes:
        pid: Its process.
        token: What opens its control door.
        ports: Where each provider's API is, and the door (`control`).
        ssh_port: On which port machines listen where each has an address of its own.
        ssh_user: Who logs in to them.
        speed: By how much faster they come up.
    """

    pid: int
    token: str = field(repr=False)
    ports: Mapping[str, int]
    ssh_port: int
    ssh_user: str
    speed: float

    def ask(self, method: str, path: str, values: Mapping[str, Any] | None = None) -> Any:
        """Ask at its control door; blocks. Returns what it answers, None for nothing.

        Raises:
            BadRequest: It makes no sense to it.
            Unreachable: It does not answer.
        """
        url = f"http://127.0.0.1:{self.ports['control']}{path}"
        body = None if values is None else json.dumps(values).encode()
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(url, body, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ASK_SECONDS) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                told = error.read().decode("utf-8", "replace")
            raise BadRequest(
                T("The rehearsal cannot do that: {reason}", reason=_message(told)),
                T("Look at what it has with: personadesk rehearsal status"),
                cause="refused",
                details=told,
            ) from error
        except OSError as error:
            raise Unreachable(
                T("The pretend providers did not answer."),
                T("Start them anew: personadesk rehearsal stop, then start."),
                cause="no_answer",
                details=str(error),
            ) from error
        return json.loads(content) if content else None


def folder_of(folders: Folders) -> Path:
    """Return where the pretend providers keep everything, given the rehearsal's own folders."""
    return folders.data / "cloud"


def lock_of(folder: Path) -> FileLock:
    """Return the lock that their process holds; it lies beside their folder, which goes when they end."""
    return FileLock(folder.with_name(f"{folder.name}.lock"))


def find(folder: Path) -> Running | None:
    """Return the process, None when there is none or it has not come up yet."""
    holder = lock_of(folder).holder()
    if holder is None:
        return None
    try:
        values = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None
    if values.get("pid") != holder.get("pid"):
        return None
    ports = {
        name.removesuffix("_port"): port for name, port in values.items() if name.endswith("_port")
    }
    ports.pop("ssh", None)
    return Running(
        values["pid"], values["token"], ports, values["ssh_port"], values["ssh_user"], values["speed"]
    )  # fmt: skip


async def ensure(folders: Folders, *, words: Sequence[str] = ()) -> Running:
    """Return the process, started when it is not there.

    Args:
        folders: The rehearsal's own.
        words: Further arguments for its command line.

    Raises:
        HostUnfit: This computer cannot play machines.
        ProviderFault: It did not come up.
    """
    # Loaded here: the window's start has no time to lose.
    from personadesk.rehearsal import sshd

    sshd.require()
    folder = folder_of(folders)
    errors = folders.state / "rehearsal.log"
    # Only one who wants it starts it; a second process that comes too late would otherwise play on after a stop.
    starting = FileLock(folder.with_name(f"{folder.name}-starting.lock"))
    process = None
    until = time.monotonic() + START_SECONDS
    try:
        while time.monotonic() < until:
            found = await asyncio.to_thread(find, folder)
            if found is not None:
                return found
            if process is None and await asyncio.to_thread(starting.acquire):
                process = await asyncio.to_thread(_spawn, folders, folder, errors, words)
            elif process is not None and process.poll() == EXIT_TAKEN:
                # One that was killed a moment ago holds its lock a little longer.
                process = None
            elif process is not None and process.poll() is not None:
                break
            await asyncio.sleep(0.05)
    finally:
        starting.release()
    raise ProviderFault(
        T("The pretend providers did not come up."),
        T("Try again; if it stays so, look at the details."),
        cause="no_cloud",
        details=await asyncio.to_thread(_tail, errors),
    )


async def stop(folders: Folders) -> bool:
    """End the pretend providers and all that they made, also what a killed process left; returns whether there was any.

    Raises:
        ProviderFault: Something would not end.
    """
    folder = folder_of(folders)
    found = await asyncio.to_thread(find, folder)
    lock = lock_of(folder)
    if found is not None:
        # One that was killed a moment ago may still hold its lock and no longer answer.
        with contextlib.suppress(Unreachable):
            await asyncio.to_thread(found.ask, "POST", "/stop")
    until = time.monotonic() + STOP_SECONDS
    while await asyncio.to_thread(lock.holder) is not None:
        if time.monotonic() > until:
            raise ProviderFault(
                T("The pretend providers would not end."),
                T("End the process in the system's task manager, then try again."),
                cause="would_not_stop",
            )
        await asyncio.sleep(0.05)
    there = folder.exists()
    if there:
        try:
            await asyncio.to_thread(_clear, folder)
        except OSError as error:
            raise ProviderFault(
                T("Not everything of the rehearsal could be removed."),
                T("Try again; if it stays so, look at the details."),
                cause="not_removed",
                details=str(error),
            ) from error
    return there or found is not None


def _clear(folder: Path) -> None:
    from personadesk.rehearsal import machines

    for disk in (folder / "machines").glob("*/*"):
        machines.kill_all(disk)
    machines.remove(folder)


def _spawn(
    folders: Folders, folder: Path, errors: Path, words: Sequence[str]
) -> subprocess.Popen[bytes]:
    for each in (folders.data, folders.state, folders.cache):
        each.mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = [
        sys.executable, "-P", "-m", "personadesk.rehearsal",
        str(folder), str(folders.cache / "packages"), *words,
    ]  # fmt: skip
    return detached.spawn(argv, folder=folders.data, errors=errors, environment=os.environ)


def _tail(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[-3000:]
    except OSError as error:
        return str(error)


def _message(told: str) -> str:
    try:
        return str(json.loads(told)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return told[:200]
