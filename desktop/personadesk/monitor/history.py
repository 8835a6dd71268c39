"""Keeps what is sampled: batches once a second, rolled up as time passes, read back as stretches to draw.

    raw for an hour → 10 s for a day → 1 min for a week → 10 min for a month

A coarser bucket is made of what the file holds, not of what is in memory: a program that is killed loses the last
second, and the next one makes the buckets that are missing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from personadesk.domain.errors import PersonaDeskError
from personadesk.monitor.ranges import Range, joined, nothing, of_values
from personadesk.store.history import LEVELS, SLACK, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from personadesk.domain.event import Event
    from personadesk.domain.gap import Gap
    from personadesk.store.history import GroupKey, HistoryStore, Level, Packed

log = logging.getLogger(__name__)

BATCH_SECONDS = 1.0
ROLL_SECONDS = 10.0
PRUNE_SECONDS = 60.0
LATE_SECONDS = 5.0
"""A sample may be so late; buckets are made after that."""
MOST_ROWS = 50_000
"""That wait for a disk; more are dropped."""
_FINEST = ((3600, 0), (86_400, 1), (7 * 86_400, 2))


class History:
    """Writes what is sampled, and reads it back.

    Attributes:
        store: The file.
        writes: Whether this process keeps it; otherwise another one does, and here it is only read.
    """

    def __init__(
        self, store: HistoryStore, *, writes: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self.store = store
        self.writes = writes
        self._clock = clock
        self._rows: list[Row] = []
        self._events: list[Event] = []
        self._gaps: list[Gap] = []
        self._rolled = self._pruned = 0.0
        self._troubled = False

    def add(
        self, key: GroupKey, series: tuple[str, ...], at: float, row: NDArray[np.float32]
    ) -> None:
        """Take a sample; it is written with the next batch."""
        if self.writes and len(self._rows) < MOST_ROWS:
            self._rows.append(Row(key, series, round(at * 1000), row.tobytes()))

    def add_event(self, event: Event) -> None:
        """Take an event; it is written with the next batch."""
        if self.writes:
            self._events.append(event)

    def add_gap(self, gap: Gap) -> None:
        """Take a time without figures, when it begins and again when it ends; it is written with the next batch."""
        if self.writes:
            self._gaps.append(gap)

    async def run(self) -> None:
        """Write a batch every second until cancelled."""
        while True:
            await asyncio.sleep(BATCH_SECONDS)
            await self.keep()

    async def keep(self) -> None:
        """Write what waits, and roll up and prune where it is time; a failing disk costs figures and no more."""
        if not self.writes:
            return
        rows, self._rows = self._rows, []
        events, self._events = self._events, []
        gaps, self._gaps = self._gaps, []
        now = self._clock()
        try:
            if rows or events or gaps:
                await self.store.write(rows, events, gaps)
            if not 0 <= now - self._rolled < ROLL_SECONDS:
                await self.store.roll_up(round((now - LATE_SECONDS) * 1000), roll_up)
                self._rolled = now
            if not 0 <= now - self._pruned < PRUNE_SECONDS:
                await self.store.prune(round(now * 1000))
                self._pruned = now
        except PersonaDeskError as error:
            if not self._troubled:
                log.warning("Figures cannot be kept: %s %s", error.what, error.details)
            self._troubled = True
        else:
            self._troubled = False

    async def read(self, keys: Sequence[GroupKey], series: str, start: float, end: float) -> Range:
        """Return a series between two Unix times as fine as its length allows.

        Args:
            keys: The groups that may hold it, the preferred one last.
            series: Its name.
            start: From here on.
            end: Until here, not included.
        """
        level = level_for(start, end, self._clock())
        coarse, rows = await self.store.read(
            keys, series, level, int(start * 1000), int(end * 1000)
        )
        return await asyncio.to_thread(_unpacked, rows[:coarse], rows[coarse:])


def level_for(start: float, end: float, now: float) -> Level:
    """Return the finest level that holds all of a stretch and is not too fine for its length."""
    for length, number in _FINEST:
        if end - start <= SLACK * length and now - start <= SLACK * LEVELS[number].keep_s:
            return LEVELS[number]
    return LEVELS[-1]


def roll_up(level: Level, rows: Packed, series: int) -> Packed:
    """Make a level's rows of the finer level's; a bucket in which nothing was known stays empty.

    Each finer bucket counts the same in the mean, as it stands for the same time.
    """
    step = level.step_s * 1000
    at = np.array([each[0] for each in rows])
    packed = np.frombuffer(b"".join(each[1] for each in rows), np.float32)
    shaped = packed.reshape(len(rows), series, -1)
    low, mean, high = shaped[:, :, 0], shaped[:, :, shaped.shape[2] // 2], shaped[:, :, -1]
    bucket = at // step
    edges = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    known = ~np.isnan(mean)
    counts = np.add.reduceat(known.astype(np.float64), edges)
    sums = np.add.reduceat(np.where(known, mean, 0.0).astype(np.float64), edges)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (sums / counts).astype(np.float32)
    made = np.stack(
        (np.fmin.reduceat(low, edges), means, np.fmax.reduceat(high, edges)), axis=2
    )  # fmt: skip
    return [(int(bucket[edge]) * step, made[number].tobytes()) for number, edge in enumerate(edges)]


def _unpacked(coarse: Packed, fine: Packed) -> Range:
    first = nothing()
    if coarse:
        values = np.frombuffer(b"".join(each[1] for each in coarse), np.float32)
        low, mean, high = values.reshape(-1, 3).astype(np.float64).T
        first = Range(_times(coarse), low, mean, high)
    if not fine:
        return first
    values = np.frombuffer(b"".join(each[1] for each in fine), np.float32)
    return joined(first, of_values(_times(fine), values.astype(np.float64)))


def _times(rows: Packed) -> NDArray[np.float64]:
    return np.array([each[0] for each in rows]) / 1000.0
