"""Fair timing of two things in one process: short turns, one after the other, so that a busy moment hits both."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WARM_UP: Final = 3
_TURN_S: Final = 0.5
"""A turn is about this long, so that slow and quick subjects share a busy computer's moments alike."""


@dataclass(slots=True)
class Timing:
    """How long one call takes.

    Attributes:
        rounds: Median of each turn, in ms.
    """

    rounds: list[float] = field(default_factory=list)

    @property
    def ms(self) -> float:
        """Median over the turns."""
        return statistics.median(self.rounds)


def once_ms(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how long one call takes."""
    begin = clock()
    work()
    return 1000.0 * (clock() - begin)


def interleaved(
    subjects: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    most: int = 40,
) -> dict[str, Timing]:
    """Time all subjects in turns.

    Args:
        subjects: What to call, by name.
        rounds: Turns of each.
        clock: Seconds; `time.thread_time` leaves out what other programs took, for one thread only.
        most: Calls per turn at most.
    """
    timings = {name: Timing() for name in subjects}
    calls: dict[str, int] = {}
    for name, work in subjects.items():
        took = [once_ms(work, clock) for _ in range(_WARM_UP)]
        calls[name] = max(4, min(most, int(_TURN_S * 1000.0 / max(min(took), 0.001))))
    gc.collect()
    for _ in range(rounds):
        for name, work in subjects.items():
            timings[name].rounds.append(
                statistics.median(once_ms(work, clock) for _ in range(calls[name]))
            )
    return timings


def ratio(reference: Timing, ours: Timing) -> float:
    """Return how many times quicker ours is: the median over turns that lay side by side."""
    pairs = zip(reference.rounds, ours.rounds, strict=True)
    return statistics.median(theirs / mine for theirs, mine in pairs)


def resident_bytes() -> int | None:
    """Return the memory this process holds now; None where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        return None
