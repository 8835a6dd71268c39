"""Since when and why figures were missing, as far as the window heard it. The history keeps holes, not reasons."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.domain.sample import Metric, Sample
    from personadesk.domain.text import Text

__all__ = ["Silence", "Silences"]

MOST = 50
"""Holes of one figure that are remembered."""


@dataclass(slots=True)
class Silence:
    """One hole.

    Attributes:
        since: Unix time of its first sample without a value.
        until: Unix time of the first one with a value again, infinite while there is none.
        reason: Why, as it was told first.
    """

    since: float
    until: float
    reason: Text


class Silences:
    """All holes that were heard of."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        """Make it.

        Args:
            metrics: The figures that are drawn; holes of others are not remembered.
        """
        self._metrics = frozenset(metrics)
        self._found: dict[tuple[str, Metric, str], deque[Silence]] = {}

    def take(self, host: str, sample: Sample) -> None:
        """Hear a sample of a machine."""
        for each in sample.readings:
            if each.metric not in self._metrics:
                continue
            key = (host, each.metric, part_of(each.metric, each.part))
            holes = self._found.get(key)
            last = holes[-1] if holes and math.isinf(holes[-1].until) else None
            if isinstance(each.value, Absent):
                if last is None:
                    if holes is None:
                        holes = self._found[key] = deque(maxlen=MOST)
                    holes.append(Silence(sample.at, math.inf, each.value.reason))
            elif last is not None:
                last.until = sample.at

    def between(
        self, host: str, metric: Metric, part: str, start: float, end: float
    ) -> list[Silence]:
        """Return the holes of a figure that reach into a stretch of time, oldest first."""
        holes = self._found.get((host, metric, part_of(metric, part)), ())
        return [each for each in holes if each.since < end and each.until > start]


def part_of(metric: Metric, part: str) -> str:
    """Return what tells a figure's holes apart: the GPU; a machine's voices share theirs, as they share its graph."""
    return part if metric.value.startswith("gpu.") else ""
