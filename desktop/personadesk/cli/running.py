"""Runs a command's coroutine: Ctrl-C and SIGTERM become an event, errors become sentences and an exit status."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import PersonaDeskError
from personadesk.language import show

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

FAILED = 1


class Stop:
    """Told when the command shall end early.

    Attributes:
        signal: Which signal came, None as long as none did.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Wait until told."""
        await self._event.wait()

    def tell(self, number: int) -> None:
        """Tell it; further signals change nothing, cleaning up goes on."""
        if self.signal is None:
            self.signal = number
        self._event.set()

    @property
    def exit_status(self) -> int:
        """The status by which a shell knows that a signal ended the command."""
        return 128 + (self.signal or 0)


def run_command(work: Callable[[Stop], Coroutine[Any, Any, int]], *, as_json: bool) -> int:
    """Run `work` to its end and return its exit status; an error becomes sentences and status 1."""
    try:
        return asyncio.run(_with_signals(work))
    except PersonaDeskError as error:
        tell_error(error, as_json=as_json)
        return FAILED
    except BrokenPipeError:
        # Whoever read our output has enough. What is still buffered must not fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def tell_error(error: PersonaDeskError, *, as_json: bool, **more: Any) -> None:
    """Say on stderr what happened and what to do; with `--json` also as an object on stdout."""
    say_error(error)
    if as_json:
        print_json({**more, "error": error_dict(error)})


def say_error(error: PersonaDeskError) -> None:
    """Say on stderr what happened, what it means for the bill, and what to do."""
    say("\n".join(show(each) for each in (error.what, error.money, error.next) if each))


ALWAYS_TOLD = frozenset({"type", "message", "next", "provider_status", "request_id"})


def say_of(name: str, error: PersonaDeskError) -> None:
    """Say on stderr what went wrong with one of several."""
    say(of(name, error))


def of(name: str, error: PersonaDeskError) -> str:
    """Return in one line what went wrong with one of several, and what to do."""
    return f"{name}: {show(error.what)} {show(error.next)}"


def error_dict(error: PersonaDeskError) -> dict[str, Any]:
    """Return what `--json` tells of an error."""
    return {key: value for key, value in error.as_dict().items() if value or key in ALWAYS_TOLD}


def say(text: str) -> None:
    """Print a line for a person, on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(values: dict[str, Any]) -> None:
    """Print one object on one line, the last on stdout."""
    print(json.dumps(values, ensure_ascii=False), flush=True)


async def _with_signals(work: Callable[[Stop], Coroutine[Any, Any, int]]) -> int:
    loop, stop = asyncio.get_running_loop(), Stop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        before = {n: signal.signal(n, _teller(loop, stop)) for n in numbers}
    else:
        numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, stop.tell, number)
    try:
        return await work(stop)
    finally:
        for number in numbers:
            if sys.platform == "win32":
                signal.signal(number, before[number])
            else:
                loop.remove_signal_handler(number)


def _teller(loop: asyncio.AbstractEventLoop, stop: Stop) -> Callable[[int, object], None]:
    def tell(number: int, frame: object) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.tell, number)

    return tell
