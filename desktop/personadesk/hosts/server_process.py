"""A voice server as a supervised process of its own on this computer: start, find again, stop, and its last words.

The process outlives PersonaDesk. It is known by its state folder: the supervisor writes its pid with the moment
it began there, and the folder's path is on its command line, so that even one that was killed half-way into its
start can be found.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import HostUnfit, ProviderFault
from personadesk.domain.text import T
from personadesk.hosts import detached

if TYPE_CHECKING:
    import psutil

STATE_FILE = "supervisor.json"
STOP_FILE = "stop"
LOG_FILE = "server.log"
ERROR_FILE = "supervisor.err"
VOICES_TOKEN_FILE = "voices.token"  # noqa: S105 - a name
"""Written by the server at each start: what opens the adding of voices, and nothing else."""

START_SECONDS = 20.0
"""A supervisor writes its file within 0.2 s; a busy disk may take its time."""
STOP_SECONDS = 12.0
"""The supervisor gives the server 5 s to end before it kills it."""
_SAME_SECONDS = 5.0
"""Where there is no exact start time, two that differ by less are taken as one process."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A supervised server as its files and the system's process table tell.

    Attributes:
        alive: Whether its supervisor runs.
        state: `running`, `backing-off`, `given-up`, `stopped`, `dead` (the supervisor was killed) or `absent`.
        pid: The supervisor's process, None when it does not run.
        child_pid: The server's process.
        restarts: How often the server was started again.
        reason: Why it is not running or was started again; "" when all is well.
    """

    alive: bool
    state: str
    pid: int | None = None
    child_pid: int | None = None
    restarts: int = 0
    reason: str = ""


def status(state_dir: Path) -> ServerStatus:
    """Return how the server of a state folder stands; reads two small files."""
    record = _read(state_dir)
    if record is None:
        return ServerStatus(alive=False, state="absent")
    process = _process(record)
    state = str(record.get("state", ""))
    if process is None and state in {"running", "backing-off"}:
        state = "dead"
    return ServerStatus(
        alive=process is not None,
        state=state,
        pid=process.pid if process is not None else None,
        child_pid=record.get("child_pid") if process is not None else None,
        restarts=int(record.get("restarts") or 0),
        reason=str(record.get("reason") or ""),
    )


async def start(state_dir: Path, command: tuple[str, ...]) -> ServerStatus:
    """Start a server under a supervisor, detached from us; harmless when it runs already.

    Args:
        state_dir: Folder for its state and logs.
        command: The server; its first word is the Python of its environment, which also runs the supervisor.

    Raises:
        ProviderFault: The supervisor did not come up; its words are in the details.
        HostUnfit: The program is missing or the folder cannot be written.
    """
    found = await asyncio.to_thread(status, state_dir)
    if found.alive:
        return found
    try:
        code = await asyncio.to_thread(_spawn, state_dir, command)
    except OSError as error:
        raise HostUnfit(
            T("The voice server could not be started."),
            T("Deploy again: its environment is then made anew."),
            cause="cannot_start",
            details=str(error),
        ) from error
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        found = await asyncio.to_thread(status, state_dir)
        if found.alive or found.state == "given-up":
            return found
        if code():
            break
        await asyncio.sleep(0.03)
    raise ProviderFault(
        T("The voice server's supervisor did not come up."),
        T("Try again; if it stays so, look at the details."),
        cause="no_supervisor",
        details="\n".join(tail(state_dir)),
    )


async def stop(state_dir: Path) -> None:
    """Stop whatever runs for a state folder and wait until it is gone; harmless when nothing does.

    Raises:
        ProviderFault: Something would not end.
    """
    await asyncio.shield(asyncio.to_thread(_stop, state_dir))


async def remove(state_dir: Path, keep_logs_in: Path | None = None) -> None:
    """Remove the folder of a server that is stopped, keeping its logs elsewhere when asked."""

    def work() -> None:
        if keep_logs_in is not None and state_dir.exists():
            keep_logs_in.mkdir(parents=True, exist_ok=True, mode=0o700)
            for log in state_dir.glob(f"{LOG_FILE}*"):
                shutil.copyfile(log, keep_logs_in / log.name)
        shutil.rmtree(state_dir, ignore_errors=True)

    await asyncio.to_thread(work)


def tail(state_dir: Path, count: int = 30) -> tuple[str, ...]:
    """Return the last lines of the server's log, or of its supervisor's errors where there is no log."""
    for name in (LOG_FILE, ERROR_FILE):
        with contextlib.suppress(OSError), (state_dir / name).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 200 * count))
            lines = file.read().decode("utf-8", "replace").splitlines()[-count:]
            if lines:
                return tuple(lines)
    return ()


def _spawn(state_dir: Path, command: tuple[str, ...]) -> Any:
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    (state_dir / STATE_FILE).unlink(missing_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"}
    }
    argv = [
        command[0], "-m", "personaplex_server.supervise", "--state", str(state_dir),
        "--name", state_dir.name, "--", *command,
    ]  # fmt: skip
    process = detached.spawn(
        argv, folder=state_dir, errors=state_dir / ERROR_FILE, environment=environment
    )
    return lambda: process.returncode is not None


def _read(state_dir: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((state_dir / STATE_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("pid"), int) else None


def _process(record: dict[str, Any]) -> psutil.Process | None:
    """Return the living process that wrote a record; a pid that was given to another program is not it."""
    import psutil

    try:
        process = psutil.Process(record["pid"])
        ticks = record.get("start_ticks")
        if ticks is not None and sys.platform == "linux":
            line = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
            same = int(line.rpartition(")")[2].split()[19]) == ticks
        else:
            same = abs(process.create_time() - float(record.get("started") or 0)) < _SAME_SECONDS
        if not same or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (psutil.Error, OSError):
        return None
    return process


def _stop(state_dir: Path) -> None:
    if not state_dir.exists():
        return
    record = _read(state_dir)
    process = _process(record) if record else None
    if process is not None:
        with contextlib.suppress(OSError):
            (state_dir / STOP_FILE).touch()
        _signal(process, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS
    while process is not None and time.monotonic() < until:
        if _process(record or {}) is None:
            break
        time.sleep(0.03)
    # One that was killed before it wrote its file, or that will not end, is found by its command line.
    for stray in _with_folder(state_dir):
        _signal(stray, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    while (left := _with_folder(state_dir)) and time.monotonic() < until + STOP_SECONDS:
        time.sleep(0.05)
    if left:
        raise ProviderFault(
            T("The voice server would not stop (process {pid}).", pid=left[0].pid),
            T("End that process in the system's task manager, then try again."),
            cause="would_not_stop",
        )


def _with_folder(state_dir: Path) -> list[psutil.Process]:
    import psutil

    mark = str(state_dir)
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if (
            process.pid != os.getpid()
            and process.info["status"] != psutil.STATUS_ZOMBIE
            and any(word == mark or word.startswith(mark + os.sep) for word in words)
            and any("personaplex_server" in word for word in words)
        ):
            found.append(process)
    return found


def _signal(process: psutil.Process, number: int) -> None:
    import psutil

    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
