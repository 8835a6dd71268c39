"""Figures are kept in four levels, survive a kill, stay within a size, and come back with their gaps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from personadesk.domain.event import Event, EventKind
from personadesk.domain.text import T
from personadesk.monitor.history import History, level_for
from personadesk.monitor.ranges import reduced
from personadesk.store.history import LEVELS, RAW, GroupKey, HistoryStore

KEY = GroupKey("box", "host")
SERIES = ("gpu.use|0", "gpu.power|0")
START = 1_800_000_000.0
DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def history(tmp_path: Path, clock: Clock) -> AsyncIterator[History]:
    store = HistoryStore(tmp_path / "history.db")
    await store.open()
    yield History(store, clock=clock)
    await store.close()


async def _pass(history: History, clock: Clock, seconds: int, value, every: int = 1) -> None:
    """Let time pass, a sample at each step; `value(second)` is the use, None leaves the sample out."""
    for second in range(0, seconds, every):
        clock.now += every
        use = value(second)
        if use is not None:
            history.add(KEY, SERIES, clock.now, np.array([use, 2 * use], np.float32))
        if second % 10 < every:
            await history.keep()
    await history.keep()


async def test_what_was_just_sampled_is_read_as_it_was(history: History, clock: Clock):
    await _pass(history, clock, 30, float)
    found = await history.read([KEY], "gpu.power|0", START, clock.now + 1)
    assert found.at.tolist() == [START + 1 + n for n in range(30)]
    assert found.mean.tolist() == [2.0 * n for n in range(30)]


async def test_a_day_is_read_by_tens_of_seconds_with_lowest_mean_and_highest(
    history: History, clock: Clock
):
    await _pass(history, clock, 120, lambda second: float(second % 10))
    found = await history.read([KEY], "gpu.use|0", clock.now - DAY, clock.now + 1)
    ten = found.at % 10 == 0
    first = np.flatnonzero(ten & (found.at > START))[0]
    assert found.low[first] == 0.0
    assert found.high[first] == 9.0
    assert found.mean[first] == pytest.approx(4.5)
    # The last seconds are in no bucket yet, and are read all the same.
    assert found.at[-1] == clock.now


async def test_weeks_and_months_are_made_of_what_is_finer(history: History, clock: Clock):
    await _pass(history, clock, 2 * 3600, lambda second: 50.0 if second < 3600 else 70.0, every=10)
    month = await history.read([KEY], "gpu.use|0", clock.now - 30 * DAY, clock.now + 1)
    assert len(month) < 2 * 6 + 70
    assert (np.diff(month.at)[:10] == 600).all()
    assert month.mean[3] == 50.0
    assert month.mean[9] == 70.0
    week = await history.read([KEY], "gpu.use|0", clock.now - 6 * DAY, clock.now + 1)
    assert (np.diff(week.at)[:100] == 60).all()


def test_the_level_fits_the_stretch_and_its_age():
    now = START
    steps = [level_for(now - length, now, now).step_s for length in (60, 3600, DAY, 7 * DAY, 30 * DAY)]  # fmt: skip
    assert steps == [0, 0, 10, 60, 600]
    assert level_for(now - 2 * DAY, now - 2 * DAY + 60, now).step_s == 60


async def test_a_hole_is_a_gap_at_every_level(history: History, clock: Clock):
    await _pass(history, clock, 7200, lambda s: None if 2000 < s < 5600 else 1.0, every=10)
    for length in (DAY, 6 * DAY, 29 * DAY):
        found = await history.read([KEY], "gpu.use|0", clock.now - length, clock.now + 1)
        step = float(np.median(np.diff(found.at)))
        drawn = reduced(found, clock.now - length, clock.now + 1, step_s=step)
        gaps = drawn.at[np.isnan(drawn.mean)]
        assert any(START + 2000 < at < START + 5600 for at in gaps), length


async def test_nothing_known_for_a_whole_bucket_is_a_gap(history: History, clock: Clock):
    await _pass(history, clock, 100, lambda s: float("nan") if 20 <= s < 50 else 1.0)
    found = await history.read([KEY], "gpu.use|0", clock.now - DAY, clock.now + 1)
    assert np.isnan(found.mean).any()
    assert np.isnan(found.low).tolist() == np.isnan(found.mean).tolist()


async def test_old_rows_go_and_coarser_ones_stay(history: History, clock: Clock):
    await _pass(history, clock, 600, lambda _: 5.0)
    clock.now += 2 * 3600
    await _pass(history, clock, 80, lambda _: 6.0)
    raw = await history.store.read([KEY], "gpu.use|0", RAW, 0, int(clock.now * 1000))
    assert len(raw[1]) < 100
    found = await history.read([KEY], "gpu.use|0", clock.now - DAY, clock.now + 1)
    assert (found.mean[found.at < START + 600] == 5.0).all()
    assert (found.at < START + 600).sum() >= 60


async def test_another_set_of_series_is_read_as_one_with_the_old(history: History, clock: Clock):
    await _pass(history, clock, 20, lambda _: 1.0)
    for _ in range(20):
        clock.now += 1
        history.add(KEY, (*SERIES, "gpu.use|1"), clock.now, np.array([2, 3, 4], np.float32))
    await history.keep()
    found = await history.read([KEY], "gpu.use|0", START, clock.now + 1)
    assert found.mean.tolist() == [1.0] * 20 + [2.0] * 20


async def test_a_file_that_grows_too_large_keeps_everything_for_a_shorter_time(
    tmp_path: Path, clock: Clock
):
    store = HistoryStore(tmp_path / "small.db", most_bytes=2_000_000)
    await store.open()
    history = History(store, clock=clock)
    wide = tuple(f"gpu.use|{n}" for n in range(400))
    row = np.zeros(400, np.float32)
    for second in range(6000):
        clock.now += 1
        history.add(KEY, wide, clock.now, row)
        if second % 60 == 0:
            await history.keep()
    held = await store.bytes_held()
    await store.close()
    # 6,000 rows of 1.6 kB would be 5.8 MB for the last hour alone.
    assert held < 1.5 * 2_000_000


async def test_events_are_kept_with_their_words(history: History, clock: Clock):
    lost = Event(START + 5, "box", EventKind.GPU_LOST, T("GPU {index} is gone.", index="1"))
    history.add_event(lost)
    history.add_event(Event(START + 6, "other", EventKind.DEPLOYED, T("There.")))
    await history.keep()
    assert await history.store.events(START, START + 60, "box") == [lost]
    assert len(await history.store.events(START, START + 60)) == 2
    assert await history.store.events(START + 6, START + 60, "box") == []


async def test_who_only_reads_writes_nothing(tmp_path: Path, history: History, clock: Clock):
    reader = History(history.store, writes=False, clock=clock)
    reader.add(KEY, SERIES, clock.now, np.zeros(2, np.float32))
    await reader.keep()
    assert await history.store.groups("box") == {}


WRITER = """
import asyncio, sys, time
import numpy as np
from pathlib import Path
from personadesk.monitor.history import History
from personadesk.store.history import GroupKey, HistoryStore

class Clock:
    now = 1_800_000_000.0
    def __call__(self):
        return self.now

async def main():
    clock = Clock()
    store = HistoryStore(Path(sys.argv[1]))
    await store.open()
    history = History(store, clock=clock)
    while True:
        clock.now += 1
        history.add(GroupKey("box", "host"), ("gpu.use|0",), clock.now, np.array([clock.now % 60], np.float32))
        await history.keep()
        print(clock.now, flush=True)

asyncio.run(main())
"""


async def test_a_kill_loses_nothing_that_was_written_and_the_next_makes_the_missing_buckets(
    tmp_path: Path, clock: Clock
):
    path = tmp_path / "history.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        last = 0.0
        end = time.monotonic() + 60
        for line in writer.stdout:
            last = float(line)
            if last >= START + 95 or time.monotonic() > end:
                break
        os.kill(writer.pid, signal.SIGKILL)
        last = max([last, *(float(line) for line in writer.stdout)])
    finally:
        writer.kill()
        writer.wait(10)
        writer.stdout.close()
    store = HistoryStore(path)
    await store.open()
    clock.now = last + 30
    history = History(store, clock=clock)
    await history.keep()
    raw = await history.read([KEY], "gpu.use|0", START, last + 1)
    tens = await history.read([KEY], "gpu.use|0", last - DAY, last + 1)
    await store.close()
    assert raw.at.tolist() == [START + 1 + n for n in range(round(last - START))]
    assert tens.at.tolist()[1] == START + 10
    assert tens.high[1] == (START + 19) % 60
    assert [level.keep_s for level in LEVELS] == sorted(level.keep_s for level in LEVELS)
