"""Runs a program on this computer: lines as they come, a limit, and no survivor after a cancel or our own death."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

KEPT_LINES = 400
END_SECONDS = 6.0
"""How long the leash gets to end what it holds before it is ended itself."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended.

    Attributes:
        code: Exit status; negative for a signal.
        lines: Its last lines, standard output and error together.
    """

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The last lines as one text."""
        return "\n".join(self.lines)


class CommandTimeout(Exception):
    """The command took longer than it was given; it has been ended."""

    def __init__(self, argv: Sequence[str], limit_s: float) -> None:
        self.argv = tuple(argv)
        self.limit_s = limit_s
        super().__init__(f"{Path(argv[0]).name} took longer than {limit_s:g} s")


async def run(
    argv: Sequence[str],
    *,
    limit_s: float,
    on_line: Callable[[str], None] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Completed:
    """Run a program to its end.

    Args:
        argv: The program and its arguments; never a shell line.
        limit_s: How long it may take.
        on_line: Called on the loop's thread with each line, without its end.
        cwd: Where it runs.
        env: Variables to set in addition to our own; an empty value removes one.
        stdin: What it reads, at most a few kilobytes; the way for secrets.

    Raises:
        CommandTimeout: The limit was reached.
        FileNotFoundError: There is no such program.
    """
    running = _Running(argv, cwd, env, on_line, stdin)
    try:
        async with asyncio.timeout(limit_s):
            return await running.ended()
    except TimeoutError:
        raise CommandTimeout(argv, limit_s) from None
    finally:
        await running.end()


class _Running:
    """One child on a leash, read by a thread of its own: no event loop differs in how it treats children."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path | None,
        env: Mapping[str, str] | None,
        on_line: Callable[[str], None] | None,
        stdin: bytes,
    ) -> None:
        self._stdin = stdin
        self._loop = asyncio.get_running_loop()
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._fresh: deque[str] = deque()
        self._flushing = False
        self._guard = threading.Lock()
        self._done: asyncio.Future[int] = self._loop.create_future()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = False
        self._thread = threading.Thread(
            target=self._work, args=(list(argv), cwd, env), name="command", daemon=True
        )
        self._thread.start()

    async def ended(self) -> Completed:
        code = await asyncio.shield(self._done)
        self._flush()
        return Completed(code, tuple(self._lines))

    async def end(self) -> None:
        """Make sure that nothing of it runs any more."""
        with self._guard:
            self._cancelled = True
            child = self._child
        if child is not None and child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        while self._thread.is_alive():
            # Joined in slices: a cancel that comes while we clean up must not leave the child behind.
            await asyncio.shield(asyncio.to_thread(self._thread.join, 0.5))
        if not self._done.cancel() and not self._done.cancelled():
            self._done.exception()  # looked at, so that asyncio does not warn of it

    def _work(self, argv: list[str], cwd: Path | None, env: Mapping[str, str] | None) -> None:
        try:
            code = self._read_all(argv, cwd, env)
        except OSError as error:
            failure = error
            self._report(lambda: self._done.set_exception(failure))
        else:
            self._report(lambda: self._done.set_result(code))

    def _report(self, tell: Callable[[], None]) -> None:
        def once() -> None:
            if not self._done.done():
                tell()

        with contextlib.suppress(RuntimeError):  # the loop was closed by a dying program
            self._loop.call_soon_threadsafe(once)

    def _read_all(self, argv: list[str], cwd: Path | None, env: Mapping[str, str] | None) -> int:
        with self._guard:
            if self._cancelled:
                return -15
            child = self._child = subprocess.Popen(
                [*leash(len(self._stdin)), *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=_environment(env),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        assert child.stdin is not None  # noqa: S101 - asked for above
        assert child.stdout is not None  # noqa: S101 - asked for above
        if self._stdin:
            with contextlib.suppress(OSError, ValueError):  # it ended, or was ended, before it read
                child.stdin.write(self._stdin)
                child.stdin.flush()
        with child.stdout:
            rest = b""
            while chunk := os.read(child.stdout.fileno(), 65536):
                # Progress bars redraw their line with a carriage return; each redraw is a line to us.
                *lines, rest = (
                    (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
                )
                self._take(lines)
            self._take([rest])
        try:
            code = child.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        if child.stdin is not None:
            with contextlib.suppress(OSError):
                child.stdin.close()
        return code

    def _take(self, lines: list[bytes]) -> None:
        texts = [line.decode("utf-8", "replace").rstrip() for line in lines]
        texts = [text for text in texts if text]
        if not texts:
            return
        self._lines.extend(texts)
        if self._on_line is None:
            return
        with self._guard:
            self._fresh.extend(texts)
            if self._flushing:
                return
            self._flushing = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._flush)

    def _flush(self) -> None:
        with self._guard:
            lines = tuple(self._fresh)
            self._fresh.clear()
            self._flushing = False
        if self._on_line is not None:
            for line in lines:
                self._on_line(line)


def leash(give: int = 0) -> list[str]:
    """Return the words that put a command on a leash.

    Args:
        give: How many bytes of what the leash reads are for the command.
    """
    words = [sys.executable, "-I", "-S", str(Path(__file__).with_name("leash.py"))]
    return [*words, "--give", str(give)] if give else words


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    environment = dict(os.environ)
    # Ours would make another Python look for its modules in our folders.
    for name in ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"):
        environment.pop(name, None)
    for name, value in (extra or {}).items():
        if value:
            environment[name] = value
        else:
            environment.pop(name, None)
    return environment
