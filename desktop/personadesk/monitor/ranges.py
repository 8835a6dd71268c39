"""A stretch of a series as it is drawn: at most so many points, each with lowest, mean and highest, gaps as gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_POINTS = 600
GAP_SECONDS = 30.0
"""Samples come every second, or every ten when nobody looks; farther apart means that nobody measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """Points in order of time; NaN in all three stands for a gap.

    Attributes:
        at: Unix time in seconds, float64 [n].
        low: Lowest in each bucket, float64 [n].
        mean: Mean of each bucket.
        high: Highest in each bucket.
    """

    at: Floats
    low: Floats
    mean: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.at)


def nothing() -> Range:
    """Return a stretch without points."""
    empty = np.empty(0)
    return Range(empty, empty, empty, empty)


def of_values(at: Floats, values: Floats) -> Range:
    """Return samples as a stretch."""
    return Range(at, values, values, values)


def joined(first: Range, second: Range) -> Range:
    """Return two stretches one after the other."""
    if not len(first) or not len(second):
        return first if len(first) else second
    return Range(
        np.concatenate((first.at, second.at)),
        np.concatenate((first.low, second.low)),
        np.concatenate((first.mean, second.mean)),
        np.concatenate((first.high, second.high)),
    )


def reduced(
    given: Range, start: float, end: float, points: int = MOST_POINTS, *, step_s: float = 0.0
) -> Range:
    """Return the part between two times in at most so many points.

    Buckets lie at whole multiples of their width, so that a graph that scrolls does not flicker.

    Args:
        given: Points in order of time.
        start: Unix time in seconds.
        end: The same, not included.
        points: Most points; at least 2.
        step_s: Seconds that lie between points where nothing is missing, when it is more than a sample's 10.
    """
    first, last = np.searchsorted(given.at, (start, end))
    part = Range(*(each[first:last] for each in (given.at, given.low, given.mean, given.high)))
    gap = max(GAP_SECONDS, 2.5 * step_s)
    if len(part):
        part = _with_gaps(part, gap)
    if len(part) <= points:
        return part
    width = (end - start) / max(1, points - 1)
    bucket = np.floor(part.at / width)
    edges = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    at = (bucket[edges] + 0.5) * width
    known = ~np.isnan(part.mean)
    counts = np.add.reduceat(known.astype(float), edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.add.reduceat(np.where(known, part.mean, 0.0), edges) / counts
    low = np.fmin.reduceat(part.low, edges)
    high = np.fmax.reduceat(part.high, edges)
    return Range(at, low, means, high)


def _with_gaps(part: Range, gap: float) -> Range:
    """Put a point without value into every hole."""
    holes = np.flatnonzero(np.diff(part.at) > gap) + 1
    if not len(holes):
        return part
    middle = (part.at[holes - 1] + part.at[holes]) / 2
    return Range(
        np.insert(part.at, holes, middle),
        np.insert(part.low, holes, np.nan),
        np.insert(part.mean, holes, np.nan),
        np.insert(part.high, holes, np.nan),
    )
