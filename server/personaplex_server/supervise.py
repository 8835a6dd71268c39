"""Keeps a command running: starts it again when it dies, gives up when that is pointless, and writes down both.

Uses the standard library alone and knows nothing of voices, so that it starts at once and outlives what it
watches. Others read `DIR/supervisor.json`; the lock on `DIR/lock` tells for certain whether a supervisor lives.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

STATE_FILE: Final = "supervisor.json"
LOG_FILE: Final = "server.log"
LOCK_FILE: Final = "lock"
STOP_FILE: Final = "stop"

EXIT_GIVEN_UP: Final = 1
EXIT_USAGE: Final = 2
EXIT_LOCKED: Final = 4

_NOT_RETRIED: Final = {2: "its command line is wrong", 3: "its port is taken"}
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_HEALTHY_S: Final = 60.0
_DEATHS: Final = 5
_KILL_AFTER_S: Final = 5.0
_POLL_S: Final = 0.1
_HEARTBEAT_S: Final = 10.0
_LOG_BYTES: Final = 2_000_000
_LOG_FILES: Final = 3
_LAST_LINES: Final = 20
_LONGEST_LINE: Final = 65_536
_PR_SET_PDEATHSIG: Final = 1


class State(StrEnum):
    """What the supervisor is at."""

    RUNNING = "running"
    BACKING_OFF = "backing-off"
    GIVEN_UP = "given-up"
    STOPPED = "stopped"


@dataclass(slots=True)
class Record:
    """The content of `supervisor.json`.

    Attributes:
        pid: The supervisor.
        started: When that process began, seconds since 1970; with `pid` it marks one process for ever.
        start_ticks: The same on Linux as field 22 of `/proc/PID/stat`, exact; None elsewhere.
        name: What it was called on its command line.
        child_pid: The command's process and process group, None while there is none.
        command: What is run.
        state: What the supervisor is at.
        restarts: How often the command was started again.
        reason: Why it is not running, or why it was last started again; None before the first death.
        updated: When this was written, seconds since 1970; at least every 10 s while the supervisor lives.
    """

    pid: int
    started: float
    start_ticks: int | None
    name: str
    child_pid: int | None
    command: list[str]
    state: State
    restarts: int
    reason: str | None
    updated: float


def start_ticks(pid: int) -> int | None:
    """Return when a process began, in clock ticks since boot; None where there is no /proc or no such process."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in brackets may hold spaces and brackets.
    return int(line.rpartition(")")[2].split()[19])


def _started(ticks: int | None) -> float:
    if ticks is not None:
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
            if line.startswith("btime "):
                return int(line.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    return time.time()


class RotatingLog:
    """A text log of bounded size: `server.log`, then `.1`, `.2`, oldest last.

    A full disk costs lines and never stops the writer: a server whose words nobody takes would hang.

    Attributes:
        path: The newest file.
        lost: Lines that could not be written since the last that could.
    """

    def __init__(self, path: Path, size: int = _LOG_BYTES, files: int = _LOG_FILES) -> None:
        self.path = path
        self.lost = 0
        self._size = size
        self._files = files
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None

    def write(self, line: bytes) -> None:
        """Append a line, moving the files on when the newest is full."""
        with self._lock:
            try:
                if self.lost:
                    self._append(b"(%d lines could not be written)\n" % self.lost)
                    self.lost = 0
                self._append(line)
            except OSError:
                # Told in the log itself as soon as there is room again; there is nowhere else to tell it.
                self.lost += 1

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._file = self.path.open("ab", buffering=0)
        if self._file.tell() + len(line) > self._size and self._file.tell():
            self._file.close()
            self._file = None
            names = [self.path, *(Path(f"{self.path}.{n}") for n in range(1, self._files))]
            for older, newer in reversed(list(zip(names[1:], names, strict=False))):
                if newer.exists():
                    newer.replace(older)
            self._file = self.path.open("ab", buffering=0)
        self._file.write(line)

    def close(self) -> None:
        """Close the newest file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock on `path` while the block runs; yields False when another process has it."""
    with path.open("a+b") as file:
        try:
            _lock(file)
        except OSError:
            yield False
            return
        yield True


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


class Supervisor:
    """Runs one command until it is told to stop or gives up.

    Attributes:
        record: What `supervisor.json` says.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        name: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        show: bool = False,
        grace_s: float = _KILL_AFTER_S,
    ) -> None:
        ticks = start_ticks(os.getpid())
        self.record = Record(
            pid=os.getpid(),
            started=_started(ticks),
            start_ticks=ticks,
            name=name,
            child_pid=None,
            command=list(command),
            state=State.RUNNING,
            restarts=0,
            reason=None,
            updated=0.0,
        )
        self._folder = folder
        self._clock = clock
        self._log = RotatingLog(folder / LOG_FILE)
        self._show = show
        self._grace_s = grace_s
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._stop = threading.Event()
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._written = 0.0
        # Loaded before any fork: between fork and exec nothing may be imported.
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def stop(self) -> None:
        """Ask it to end the command and return."""
        self._stop.set()

    def run(self) -> int:
        """Keep the command running; return 0 when it was stopped, 1 when it was given up."""
        stop_file = self._folder / STOP_FILE
        stop_file.unlink(missing_ok=True)
        wait = _FIRST_WAIT_S
        while True:
            began = self._clock()
            code = self._run_once()
            if self._stop.is_set():
                stop_file.unlink(missing_ok=True)
                self._note(State.STOPPED, "It was told to stop.")
                return 0
            now = self._clock()
            if now - began >= _HEALTHY_S:
                wait = _FIRST_WAIT_S
                self._deaths.clear()
            self._deaths.append(now)
            died = "could not be started" if code is None else f"ended {_manner(code)}"
            if why := self._pointless(code):
                tail = "\n".join(self._last)
                self._note(State.GIVEN_UP, f"The server {died}: {why}. Its last words:\n{tail}")
                return EXIT_GIVEN_UP
            self._note(State.BACKING_OFF, f"The server {died}; it is started again in {wait:g} s.")
            self._pause(wait)
            wait = min(wait * 2, _LONGEST_WAIT_S)
            self.record.restarts += 1

    def _pointless(self, code: int | None) -> str | None:
        """Return why starting again would not help, or None when it may."""
        if code is None:
            return "the program is missing or may not be run"
        if code in _NOT_RETRIED:
            return f"{_NOT_RETRIED[code]}, which starting again does not change"
        if len(self._deaths) == _DEATHS and self._deaths[-1] - self._deaths[0] < _HEALTHY_S:
            return f"that was the {_DEATHS}th time within a minute"
        return None

    def _run_once(self) -> int | None:
        """Run the command to its end; return its exit code, None when it could not be started."""
        if self._stop.is_set():
            return 0
        try:
            child = self._start()
        except OSError as error:
            self._say(f"cannot start {self.record.command[0]}: {error}")
            return None
        pump = threading.Thread(target=self._pump, args=(child.stdout,), daemon=True)
        pump.start()
        self.record.child_pid = child.pid
        self._note(State.RUNNING, self.record.reason)
        while child.poll() is None and not self._told_to_stop():
            self._stop.wait(_POLL_S)
            self._heartbeat()
        if child.poll() is None:
            self._end(child)
        self._sweep(child.pid)
        pump.join(1.0)
        self.record.child_pid = None
        return child.returncode

    def _start(self) -> subprocess.Popen[bytes]:
        if sys.platform == "win32":
            return subprocess.Popen(
                self.record.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            )
        libc, parent = self._libc, os.getpid()

        def die_with_parent() -> None:
            if libc is not None:
                libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
                if os.getppid() != parent:
                    os._exit(1)

        return subprocess.Popen(
            self.record.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Nothing here is imported or locked between fork and exec, which is what makes this call risky.
            preexec_fn=die_with_parent,
        )

    def _pump(self, pipe: IO[bytes] | None) -> None:
        if pipe is None:
            return
        # Cut, so that words without an end do not pile up here.
        while line := pipe.readline(_LONGEST_LINE):
            self._put(line)
            self._last.append(line.decode("utf-8", "replace").rstrip())

    def _told_to_stop(self) -> bool:
        if (self._folder / STOP_FILE).exists():
            self._stop.set()
        return self._stop.is_set()

    def _pause(self, seconds: float) -> None:
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0 and not self._told_to_stop():
            self._stop.wait(min(_POLL_S, left))
            self._heartbeat()

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        self._say("stopping the server")
        if sys.platform == "win32":
            child.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            child.terminate()
        try:
            child.wait(self._grace_s)
        except subprocess.TimeoutExpired:
            self._say(f"the server did not end within {self._grace_s:g} s and is killed")
            child.kill()
            child.wait()

    def _sweep(self, group: int) -> None:
        """Kill what the command left behind in its own process group."""
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)

    def _say(self, words: str) -> None:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._put(f"{when} supervisor: {words}\n".encode())

    def _put(self, line: bytes) -> None:
        self._log.write(line)
        if self._show:
            # Nobody may listen there any more; the file has it.
            with contextlib.suppress(OSError):
                os.write(2, line)

    def _note(self, state: State, reason: str | None) -> None:
        self.record.state, self.record.reason = state, reason
        told = f" ({reason})" if reason and state is not State.RUNNING else ""
        self._say(f"{state}{told}")
        self._write()

    def _heartbeat(self) -> None:
        if self._clock() - self._written >= _HEARTBEAT_S:
            self._write()

    def _write(self) -> None:
        self._written = self._clock()
        self.record.updated = time.time()
        try:
            write_whole(self._folder / STATE_FILE, json.dumps(asdict(self.record)))
        except OSError as error:
            # The heartbeat tries again; a full disk is no reason to hang up on callers.
            self._say(f"cannot write {STATE_FILE}: {error}")


def write_whole(path: Path, words: str) -> None:
    """Replace a file in one step, so that no reader sees half of it.

    Raises:
        OSError: It cannot be written; the old content is still there.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(words)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _manner(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervise the command given after `--`."""
    parser = argparse.ArgumentParser(
        prog="python -m personaplex_server.supervise",
        description="Run a command and start it again when it dies.",
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR")
    parser.add_argument("--name", default="server")
    parser.add_argument("--show", action="store_true", help="write the log to stderr as well")
    parser.add_argument("--grace", type=float, default=_KILL_AFTER_S, metavar="SECONDS",
        help="how long the command may take to end (default: %(default)s)")  # fmt: skip
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    options = parser.parse_args(arguments)
    command: list[str] = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        parser.error("name the command to run after --")
    options.state.mkdir(parents=True, exist_ok=True)
    with locked(options.state / LOCK_FILE) as mine:
        if not mine:
            print(f"Another supervisor already works in {options.state}.", file=sys.stderr)
            return EXIT_LOCKED
        supervisor = Supervisor(
            options.state, command, options.name, show=options.show, grace_s=options.grace
        )

        def told(number: int, frame: FrameType | None) -> None:
            supervisor.stop()

        signal.signal(signal.SIGTERM, told)
        signal.signal(signal.SIGINT, told)
        if sys.platform != "win32":
            # A terminal that closes is no reason to hang up on callers.
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
