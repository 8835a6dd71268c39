"""What a listener would have heard of sound that came at given times: the one rule by which we play and judge.

A player waits until it has a little in hand, then plays on; when it runs dry it is silent and fills up again. It
never plays faster or slower. What a test calls missed is the time this player had nothing to play.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BUFFER_SECONDS: Final = 0.08
"""One frame in hand: what the model's own web page plays with, and the least that hides a usual network."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The player ran dry.

    Attributes:
        at: When, in seconds.
        seconds: Until the next sound came.
    """

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Playback:
    """How a call sounded.

    Attributes:
        starts: When each piece began to sound, in seconds.
        stalls: The silences in between that nobody spoke.
        missed_seconds: Their sum.
        missed_percent: The same as a share of the time from the first sound to the end; 100 without any.
    """

    starts: tuple[float, ...]
    stalls: tuple[Stall, ...]
    missed_seconds: float
    missed_percent: float


def play(
    pieces: Sequence[tuple[float, float]], until: float, buffer: float = BUFFER_SECONDS
) -> Playback:
    """Play pieces of sound in thought.

    Args:
        pieces: When each came and how long it is, in seconds, in order.
        until: When the listener stopped to listen; sound that was due by then and never came is missed.
        buffer: How much the player gathers before it starts, in seconds.
    """
    if not pieces:
        return Playback((), (), 0.0, 100.0)
    starts, stalls = [], []
    ends = pieces[0][0] + buffer
    for at, seconds in pieces:
        if at > ends:
            stalls.append(Stall(ends, at - ends))
            ends = at + buffer
        starts.append(ends)
        ends += seconds
    # The last frame may still be on its way when the listener leaves; that alone is no fault.
    if until > ends + buffer:
        stalls.append(Stall(ends, until - ends))
    missed = sum((stall.seconds for stall in stalls), 0.0)
    heard = max(until - pieces[0][0], missed, 1e-9)
    return Playback(tuple(starts), tuple(stalls), missed, 100.0 * missed / heard)
