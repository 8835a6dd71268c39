"""Who spoke from when to when, how fast an answer came, and who spoke into whose words.

Told by loudness alone, so a cough counts as a word, and a voice that whispers does not.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from personadesk.voice import levels
from personadesk.voice.figures import Responses, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPEAKING_DBFS: Final = -42.0
"""Louder than breath and keyboard on usual microphones."""
STILL_SECONDS: Final = 0.6
"""A shorter pause is one between words."""
SHORTEST_SECONDS: Final = 0.3
"""A shorter noise is none of speech."""
_YIELDS_SECONDS: Final = 2.0
_MOST: Final = 500
_SETTLED_SECONDS: Final = 30.0
_FORGOTTEN: Final = 60.0


@dataclass(slots=True)
class Span:
    """Somebody spoke from `start` until `loud_until`; `over` once the pause is long enough."""

    start: float
    loud_until: float
    over: bool = False
    settled: bool = False


class Speech:
    """One side. Times are seconds since the call began, when the sound was spoken or sounded.

    Attributes:
        spans: When somebody spoke, the last minute and the newest; more is kept by `Turns`.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, at: float, pcm: NDArray[np.float32]) -> bool:
        """Take a piece of sound (float32 [n], 24 kHz); return whether words ended with it."""
        last = self.spans[-1] if self.spans and not self.spans[-1].over else None
        if levels.dbfs(pcm) >= SPEAKING_DBFS:
            end = at + len(pcm) / levels.SAMPLE_RATE
            if last is None:
                self.spans.append(Span(at, end))
            else:
                last.loud_until = max(last.loud_until, end)
        elif last is not None and at - last.loud_until > STILL_SECONDS:
            last.over = True
            if last.loud_until - last.start >= SHORTEST_SECONDS:
                return True
            self.spans.pop()
        return False

    def last(self) -> tuple[float, float]:
        """Return start and end of the newest words; there are some when `add` said so."""
        return self.spans[-1].start, self.spans[-1].loud_until

    def speaks(self, now: float) -> bool:
        """Return whether somebody is speaking at this moment."""
        return bool(self.spans) and not self.spans[-1].over and now < self.spans[-1].loud_until


class Turns:
    """Both sides of a call. Not thread-safe: its owner locks."""

    def __init__(self, you: Speech, voice: Speech) -> None:
        self._you, self._voice = you, voice
        self._done: deque[Turn] = deque(maxlen=_MOST)

    def update(self, now: float) -> tuple[Turn, ...]:
        """Return the last 500 turns in the order in which they began; what is half a minute old is settled."""
        you, voice = _words(self._you), _words(self._voice)
        live: list[Turn] = []
        sides: tuple[tuple[Literal["you", "voice"], list[Span], list[Span]], ...]
        sides = (("you", you, voice), ("voice", voice, you))
        for who, own, others in sides:
            for number, span in enumerate(own):
                if span.settled:
                    continue
                turn = _turn(who, number, own, others)
                if span.over and span.loud_until < now - _SETTLED_SECONDS:
                    span.settled = True
                    self._done.append(turn)
                else:
                    live.append(turn)
        for side in (self._you, self._voice):
            old = [s for s in side.spans if not (s.settled and s.loud_until < now - _FORGOTTEN)]
            side.spans[:] = old or side.spans[-1:]
        return tuple(sorted([*self._done, *live], key=lambda turn: turn.start))[-_MOST:]


def responses(found: tuple[Turn, ...]) -> Responses:
    """Return how fast the voice answered."""
    waits = [t.response_ms for t in found if t.who == "voice" and t.response_ms is not None]
    return Responses(
        count=len(waits),
        last_ms=waits[-1] if waits else None,
        median_ms=round(statistics.median(waits), 1) if waits else None,
        p95_ms=sorted(waits)[min(len(waits) - 1, int(0.95 * len(waits)))] if waits else None,
        interruptions_by_you=sum(t.interrupts for t in found if t.who == "you"),
        interruptions_by_voice=sum(t.interrupts for t in found if t.who == "voice"),
        overlap_ms=round(sum(t.overlap_ms for t in found if t.who == "you"), 1),
    )


def _words(side: Speech) -> list[Span]:
    return [s for s in side.spans if s.loud_until - s.start >= SHORTEST_SECONDS]


def _turn(who: Literal["you", "voice"], number: int, own: list[Span], others: list[Span]) -> Turn:
    span = own[number]
    overlap = sum(
        max(0.0, min(span.loud_until, other.loud_until) - max(span.start, other.start))
        for other in others
    )
    said_before = own[number - 1].loud_until if number else float("-inf")
    before = [each for each in others if each.start < span.start and each.loud_until > said_before]
    response, interrupts = None, False
    if before:
        gap = span.start - before[-1].loud_until
        if gap >= 0:
            response = round(1000.0 * gap, 1)
        else:
            interrupts = before[-1].over and -gap <= _YIELDS_SECONDS
    return Turn(
        who,
        start=round(span.start, 3),
        end=round(span.loud_until, 3) if span.over else None,
        response_ms=response,
        overlap_ms=round(1000.0 * overlap, 1),
        interrupts=interrupts,
    )
