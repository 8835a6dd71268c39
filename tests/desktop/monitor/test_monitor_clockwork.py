"""The monitor by a clock of the test's own: a soak of ten minutes in seconds, alarms, marks, who looks."""

from __future__ import annotations

import asyncio
import math
import random
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from personadesk.domain.alarm import Quantity
from personadesk.domain.event import EventKind
from personadesk.domain.sample import Absent, Gpu, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.hosts.server_changes import NO_TICK
from personadesk.monitor.ranges import MOST_POINTS
from personadesk.store.history import GroupKey

START = 1_800_000_000.0
SILENT = Absent(T("The voice server does not answer."))
HOST, MONEY = GroupKey("box", "host"), GroupKey("box", "provider")
SERVER = GroupKey("box", "server", "pd-1")


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


class Still:
    """A source that waits for ever; the test gives the samples itself."""

    source = Source.HOST
    origin = ""

    def pace(self, every_s: float) -> float:
        return every_s

    async def run(self, take, tell, every_s: float) -> None:
        await asyncio.Event().wait()


def cards(
    at: float, count: int, use: float = 50.0, hot: float = 60.0, used: float = 10.0
) -> Sample:
    """What a machine with so many GPUs tells."""
    readings = [
        Reading(metric, str(index), value)
        for index in range(count)
        for metric, value in (
            (Metric.GPU_USE, use), (Metric.GPU_TEMPERATURE, hot),
            (Metric.GPU_MEMORY_USED, used), (Metric.GPU_MEMORY_TOTAL, 100.0),
        )
    ]  # fmt: skip
    gpus = tuple(Gpu(str(index), f"uuid-{index}", "L4") for index in range(count))
    return Sample(at, Source.HOST, (*readings, Reading(Metric.CPU_USE, "", 5.0)), gpus)


def server(at: float, tick: float | Absent = 40.0, sessions: float = 0.0, uptime: float = 9.0):
    """What a voice server tells."""
    readings = (
        Reading(Metric.SERVER_TICK_P99, "pd-1", tick),
        Reading(Metric.SERVER_SESSIONS, "pd-1", sessions),
        Reading(Metric.SERVER_UPTIME, "pd-1", uptime),
        Reading(Metric.SERVER_ANSWER, "pd-1", 3.0),
    )
    return Sample(at, Source.SERVER, readings)


def silent(at: float) -> Sample:
    return Sample(at, Source.SERVER, tuple(
        Reading(metric, "pd-1", SILENT)
        for metric in (Metric.SERVER_TICK_P99, Metric.SERVER_SESSIONS, Metric.SERVER_ANSWER)
    ))  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def box(scene):
    """A machine with all three sources."""
    sources = ("host", "server:pd-1", "provider")
    scene.add("box", *sources, make=Still, servers=frozenset({"pd-1"}), limit=10.0)
    return scene


async def test_ten_minutes_pass_in_seconds_and_every_alarm_comes_and_goes(box, monitoring, clock):
    told: list[tuple[str, bool]] = []
    fate = random.Random(5)
    async with monitoring(box, start=False, clock=clock) as monitor:
        monitor.subscribe_alarms(lambda alarm: told.append((str(alarm.rule.quantity), alarm.on)))
        for second in range(600):
            clock.now = START + second
            # From here to there something is wrong, and then not any more.
            if not 60 <= second < 90:
                hot = 91.0 if 120 <= second < 160 else 60 + fate.random()
                used = 97.0 if 200 <= second < 240 else 50.0
                gone = 280 <= second < 300
                use = 50 + 40 * math.sin(second)
                monitor.take(HOST, cards(clock.now, 1 if gone else 2, use, hot, used))
            slow = 320 <= second < 380
            dead = 420 <= second < 450
            alive = server(clock.now, 95.0 if slow else 40.0, sessions=1.0, uptime=second)
            monitor.take(SERVER, silent(clock.now) if dead else alive)
            if second % 15 == 0:
                spent = 8.5 if 500 <= second < 550 else 2.0
                monitor.take(MONEY, Sample(clock.now, Source.PROVIDER, (
                    Reading(Metric.MONEY_PRICE, "", 0.7), Reading(Metric.MONEY_SPENT, "", spent),
                )))  # fmt: skip
            monitor.judge()
            if second % 5 == 0:
                await monitor.history.keep()
        drawn = await monitor.range("box", Metric.GPU_USE, "0", start=START, end=START + 600)
        marks = await monitor.events(START, START + 600)
        assert monitor.alarms.active == ()
    for rule in ("silence", "temperature", "memory", "gpu_gone", "tick", "server_silent", "budget"):
        assert told.count((rule, True)) >= 1, rule
        assert told.count((rule, True)) == told.count((rule, False)), rule
    assert not any(rule == "idle_cost" for rule, _ in told)
    assert len(drawn) <= MOST_POINTS
    assert np.nanmax(drawn.high) <= 90.0 + 1e-3
    hole = (drawn.at > START + 62) & (drawn.at < START + 88)
    assert not hole.any() or np.isnan(drawn.mean[hole]).any()
    kinds = [mark.kind for mark in marks]
    assert kinds.count(EventKind.GPU_LOST) == 1
    assert kinds.count(EventKind.ALARM_ON) == kinds.count(EventKind.ALARM_OFF) == len(told) / 2


async def test_a_stretch_comes_of_memory_and_file_as_one(box, monitoring, clock):
    async with monitoring(box, start=False, clock=clock) as monitor:
        for second in range(5000):
            clock.now = START + second
            monitor.take(HOST, cards(clock.now, 1, use=float(second % 100)))
            if second % 100 == 0:
                await monitor.history.keep()
        await monitor.history.keep()
        recent = monitor.series("box", Metric.GPU_USE, "0")
        assert recent.at[0] == START + 5000 - 3600
        whole = await monitor.range("box", Metric.GPU_USE, "0", start=START, points=200)
        assert len(whole) <= 200
        assert whole.at[0] < START + 60
        assert whole.at[-1] > START + 4950
        assert not np.isnan(whole.mean).any()
        assert (whole.low.min(), whole.high.max()) == (0.0, 99.0)
        assert len(await monitor.range("box", Metric.GPU_USE, "7", start=START)) == 0
        assert len(monitor.series("nobody", Metric.GPU_USE)) == 0


async def test_an_idle_machine_that_costs_money_is_told_of_after_twenty_minutes(
    box, monitoring, clock
):
    found = []
    async with monitoring(box, start=False, clock=clock) as monitor:
        for second in range(0, 1300, 10):
            clock.now = START + second
            monitor.take(SERVER, server(clock.now, NO_TICK, uptime=second))
            price = (Reading(Metric.MONEY_PRICE, "", 0.7),)
            monitor.take(MONEY, Sample(clock.now, Source.PROVIDER, price))
            found += monitor.judge()
        assert [(a.rule.quantity, a.on) for a in found] == [(Quantity.IDLE_COST, True)]
        assert "20 min" in str(found[0].text)
        monitor.take(SERVER, server(clock.now + 1, 40.0, sessions=1.0, uptime=2000))
        assert [alarm.on for alarm in monitor.judge()] == [False]


async def test_a_restart_and_another_address_are_marks(box, monitoring, clock):
    async with monitoring(box, start=False, clock=clock) as monitor:
        seen = []
        monitor.subscribe_events(lambda event: seen.append(event.kind))
        monitor.take(SERVER, server(START, uptime=500.0))
        monitor.take(SERVER, server(START + 1, uptime=1.0))
        box.targets[0] = replace(box.targets[0], address="192.0.2.1:22")
        await monitor.refresh()
        box.targets[0] = replace(box.targets[0], address="192.0.2.2:22", lost=True)
        await monitor.refresh()
        await monitor.refresh()
    assert seen == [EventKind.RESTARTED, EventKind.ADDRESS_CHANGED, EventKind.GPU_LOST]


async def test_a_computer_that_slept_blames_no_machine_for_it(box, monitoring, clock):
    async with monitoring(box, start=False, clock=clock) as monitor:
        monitor.take(HOST, cards(clock.now, 1))
        assert monitor.judge() == []
        clock.now += 3600
        told = []
        for _ in range(30):
            told += [(alarm.rule.quantity, clock.now - START - 3600) for alarm in monitor.judge()]
            clock.now += 1
    assert [rule for rule, _ in told] == [Quantity.SILENCE]
    assert 20 <= told[0][1] <= 22


async def test_a_hole_can_say_what_it_was(box, monitoring, clock):
    hangs = Absent(T("nvidia-smi hangs."))
    async with monitoring(box, start=False, clock=clock) as monitor:
        for second in range(30):
            clock.now = START + second
            seen = cards(clock.now, 1)
            if 5 <= second < 9:
                stuck = (
                    Reading(each.metric, each.part, hangs if each.part else each.value)
                    for each in seen.readings
                )
                seen = replace(seen, readings=tuple(stuck))
            monitor.take(HOST, seen)
            monitor.take(SERVER, silent(clock.now) if second >= 20 else server(clock.now))
        found = await monitor.gaps(START, START + 100, "box")
        assert [(g.start - START, g.end and g.end - START, g.source) for g in found] == [
            (5, 9, "host"), (20, None, "server")
        ]  # fmt: skip
        [stuck, quiet] = found
        assert (stuck.reason, quiet.reason) == (hangs.reason, SILENT.reason)
        assert stuck.explains(Metric.GPU_USE, START + 6)
        assert not stuck.explains(Metric.GPU_USE, START + 9)
        assert not stuck.explains(Metric.CPU_USE, START + 6)
        assert not stuck.explains(Metric.SERVER_TICK, START + 6)
        assert quiet.explains(Metric.SERVER_TICK_P99, START + 99)
        assert await monitor.gaps(START + 10, START + 20) == []
        # The next program finds it open: the one before was killed.
        await monitor.history.store.end_gaps()
        [_, quiet] = await monitor.gaps(START, START + 100)
        assert quiet.end == START + 29


async def test_a_machine_that_is_gone_leaves_no_alarm_and_no_memory(box, monitoring, clock):
    async with monitoring(box, start=False, clock=clock) as monitor:
        for second in range(20):
            clock.now = START + second
            monitor.take(HOST, cards(clock.now, 1, hot=95.0))
            monitor.judge()
        assert monitor.alarms.active
        box.targets.clear()
        await monitor.refresh()
        assert monitor.alarms.active == ()
        assert monitor.hosts == {}
        assert len(monitor.series("box", Metric.GPU_USE, "0")) == 0


async def test_what_nobody_wants_is_sampled_only_while_somebody_looks(scene, monitoring, clock):
    scene.add("idle", "host", make=Still, wanted=False)
    async with monitoring(scene, start=False, clock=clock) as monitor:
        assert monitor._samplers == {}
        monitor.look("idle")
        assert monitor._samplers["idle"].running
        assert monitor._samplers["idle"].every_s == 1.0
        monitor.stop("idle")
        assert not monitor._samplers["idle"].running
        monitor.go_on("idle")
        assert monitor._samplers["idle"].running
        monitor.leave("idle")
        with pytest.raises(ValueError):
            monitor.leave("idle")


async def test_memory_is_flat_once_the_rings_are_there(scene, monitoring, clock):
    for number in range(20):
        scene.add(f"h{number}", "host", make=Still)
    async with monitoring(scene, start=False, clock=clock) as monitor:

        async def minutes(count: int) -> None:
            for _ in range(count * 6):
                clock.now += 10
                for number in range(20):
                    monitor.take(GroupKey(f"h{number}", "host"), cards(clock.now, 8))
                monitor.judge()
                await monitor.history.keep()

        await minutes(5)
        tracemalloc.start()
        await minutes(2)
        before = tracemalloc.get_traced_memory()[0]
        await minutes(5)
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert after - before < 400_000
