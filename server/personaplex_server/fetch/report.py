"""How a fetch is told: a JSON object a line for programs, or a line a few seconds apart for people."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from .faults import gigabytes

if TYPE_CHECKING:
    from .faults import FetchError

_EVERY_SECONDS: Final = 0.25
_PEOPLE_SECONDS: Final = 2.0
_WINDOW_SECONDS: Final = 5.0


class ListenerGone(Exception):
    """Whoever read what we say has gone away."""


class Speed:
    """Bytes a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, done: int) -> float | None:
        """Take how much is done now; return the speed, None while it cannot be told."""
        self._seen.append((now, done))
        while now - self._seen[0][0] > _WINDOW_SECONDS and len(self._seen) > 2:
            self._seen.popleft()
        began, first = self._seen[0]
        return None if now - began < _EVERY_SECONDS else max(0.0, (done - first) / (now - began))


class Reporter:
    """Writes to standard output.

    Args:
        as_json: For a program.
        secret: The token; should an answer repeat it, it is taken out.
    """

    def __init__(self, *, as_json: bool, secret: str | None) -> None:
        self._as_json = as_json
        self._secret = secret
        self._phase = ""
        self._speed = Speed()
        self._ended = False
        self._last = 0.0

    def progress(self, phase: str, name: str = "", done: int = 0, total: int = 0) -> None:
        """Say how far it is; at most four times a second, but at once when the phase changes or ends.

        Args:
            phase: `looking`, `waiting`, `fetching`, `checking` or `unpacking`.
            name: The file in hand.
            done: Bytes done in this phase, over all files while fetching.
            total: Bytes in all.
        """
        now = time.monotonic()
        step = f"{phase} {name}" if phase == "checking" else phase
        fresh = step != self._phase
        if fresh:
            self._phase, self._speed, self._ended = step, Speed(), False
        ended = bool(total) and done >= total and not self._ended
        self._ended = self._ended or ended
        if not (fresh or ended) and now - self._last < _EVERY_SECONDS * 0.8:
            return
        rate = self._speed.note(now, done)
        left = (total - done) / rate if rate else None
        if self._as_json:
            self._last = now
            self._say({
                "event": "progress", "phase": phase, "file": name, "done": done, "total": total,
                "rate": None if rate is None else round(rate),
                "left_s": None if left is None else round(left, 1),
            })  # fmt: skip
        elif fresh or ended or now - self._last > _PEOPLE_SECONDS:
            self._last = now
            self._print(_line(phase, name, done, total, rate, left))

    def done(self, **facts: object) -> None:
        """Say that the model is there."""
        if self._as_json:
            self._say({"event": "done", **facts})
        else:
            self._print(f"The model is in {facts['folder']}.")

    def error(self, fault: FetchError) -> None:
        """Say why it is not."""
        if self._as_json:
            self._say({
                "event": "error", "cause": fault.cause, "exit": int(fault.exit),
                "message": fault.what, "next": fault.next, "link": fault.link,
                "values": fault.values, "details": self._clean(fault.details),
            })  # fmt: skip
        else:
            print(f"{fault.what} {fault.next}", file=sys.stderr)
            if fault.details:
                print(f"Details: {self._clean(fault.details)}", file=sys.stderr)

    def _say(self, values: dict[str, object]) -> None:
        self._print(json.dumps(values, ensure_ascii=False))

    def _print(self, line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError as error:
            raise ListenerGone from error

    def _clean(self, text: str) -> str:
        return text.replace(self._secret, "***") if self._secret else text


def _line(
    phase: str, name: str, done: int, total: int, rate: float | None, left: float | None
) -> str:
    words = [phase, name] if name else [phase]
    if total:
        words.append(f"{gigabytes(done)} of {gigabytes(total)}")
    if rate:
        words.append(f"at {gigabytes(rate)}/s")
    if left and done < total:
        words.append(f"{left:.0f} s left")
    return " ".join(words)
