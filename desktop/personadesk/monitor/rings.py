"""The last hour in memory: a ring of samples for each source of each machine, all within one budget.

An hour of seconds of a single GPU takes half a megabyte; where a thousand GPUs would take more than the budget, rings
hold less than an hour, and the rest is read from the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from personadesk.domain.sample import Absent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from personadesk.domain.sample import Metric, Sample
    from personadesk.store.history import GroupKey

    Name = tuple[Metric, str]

SLOTS = 3600
LEAST_SLOTS = 112
"""Nearly two minutes, which is what the quickest graphs show."""
BUDGET_BYTES = 64 << 20
_CELL_BYTES = 4


class Ring:
    """Samples of one group, the oldest overwritten.

    Attributes:
        names: What each column is.
    """

    def __init__(self, slots: int) -> None:
        self.names: dict[Name, int] = {}
        self._slots = slots
        self._at: NDArray[np.float64] = np.full(slots, np.nan)
        self._values: NDArray[np.float32] = np.full((slots, 0), np.nan, np.float32)
        self._next = 0
        self._count = 0
        self._texts: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The columns' names as the history keeps them."""
        if len(self._texts) != len(self.names):
            self._texts = tuple(series_name(metric, part) for metric, part in self.names)
        return self._texts

    @property
    def last_at(self) -> float:
        """Unix time of the newest sample, 0 before the first."""
        return float(self._at[self._next - 1]) if self._count else 0.0

    @property
    def first_at(self) -> float:
        """Unix time of the oldest sample that is held, infinite before the first."""
        return float(self._at[self._start()]) if self._count else float("inf")

    @property
    def full(self) -> bool:
        """Whether something was overwritten, or soon will be."""
        return self._count == self._slots

    def add(self, sample: Sample) -> NDArray[np.float32] | None:
        """Take a sample; what it lacks is a gap.

        Returns:
            The row as it was kept; None for one that is not newer than the last, as after a clock was set back.
        """
        if self._count and sample.at <= self.last_at:
            if sample.at > self.last_at - SLOTS:
                return None
            self._count = self._next = 0
        fresh = [
            key for each in sample.readings if (key := (each.metric, each.part)) not in self.names
        ]
        if fresh:
            self._widen(fresh)
        row: NDArray[np.float32] = self._values[self._next]
        row[:] = np.nan
        names = self.names
        for each in sample.readings:
            if not isinstance(each.value, Absent):
                row[names[each.metric, each.part]] = each.value
        self._at[self._next] = sample.at
        self._next = (self._next + 1) % self._slots
        self._count = min(self._count + 1, self._slots)
        return row

    def column(self, name: Name) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a series, oldest first: Unix times and values, float64 [n]; NaN for gaps."""
        order = self._order()
        values = (
            self._values[order, self.names[name]]
            if name in self.names
            else np.full(len(order), np.nan)
        )
        return self._at[order], values.astype(np.float64)

    def resize(self, slots: int) -> None:
        """Hold another number of samples; the newest stay."""
        order = self._order()[-slots:]
        at, values = np.full(slots, np.nan), np.full((slots, len(self.names)), np.nan, np.float32)
        at[: len(order)], values[: len(order)] = self._at[order], self._values[order]
        self._at, self._values, self._slots = at, values, slots
        self._count, self._next = len(order), len(order) % slots

    def _start(self) -> int:
        return (self._next - self._count) % self._slots

    def _order(self) -> NDArray[np.intp]:
        return (np.arange(self._count) + self._start()) % self._slots

    def _widen(self, fresh: list[Name]) -> None:
        for name in dict.fromkeys(fresh):
            self.names[name] = len(self.names)
        values = np.full((self._slots, len(self.names)), np.nan, np.float32)
        values[:, : self._values.shape[1]] = self._values
        self._values = values


class Rings:
    """All rings, by group.

    Args:
        budget: Bytes that all may take together.
    """

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self._budget = budget
        self._slots = SLOTS
        self._rings: dict[GroupKey, Ring] = {}

    @property
    def slots(self) -> int:
        """How many samples each ring holds."""
        return self._slots

    def get(self, key: GroupKey) -> Ring | None:
        """Return a group's ring, None before its first sample."""
        return self._rings.get(key)

    def of(self, host: str) -> dict[GroupKey, Ring]:
        """Return a machine's rings."""
        return {key: ring for key, ring in self._rings.items() if key.host == host}

    def add(self, key: GroupKey, sample: Sample) -> tuple[Ring, NDArray[np.float32] | None]:
        """Take a sample; returns its ring and the row as kept, see `Ring.add`."""
        ring = self._rings.get(key)
        if ring is None:
            ring = self._rings[key] = Ring(self._slots)
        before = len(ring.names)
        row = ring.add(sample)
        if len(ring.names) != before:
            self._fit()
        return ring, row

    def drop(self, host: str) -> None:
        """Forget a machine's samples."""
        self._rings = {key: ring for key, ring in self._rings.items() if key.host != host}
        self._fit()

    def _fit(self) -> None:
        series = sum(len(ring.names) + 2 for ring in self._rings.values())
        slots = SLOTS
        while slots > LEAST_SLOTS and slots * series * _CELL_BYTES > self._budget:
            slots //= 2
        if slots != self._slots:
            self._slots = slots
            for ring in self._rings.values():
                ring.resize(slots)


def series_name(metric: Metric, part: str) -> str:
    """Return a series' name as the history keeps it."""
    return f"{metric}|{part}" if part else str(metric)
