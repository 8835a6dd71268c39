"""One machine's sampler: its pace follows who looks, silence becomes a gap with a reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from personadesk.domain.errors import Unreachable
from personadesk.domain.sample import Absent, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.hosts.proc_figures import FIRST
from personadesk.monitor.feeds import NOT_TOLD_NOW, ProviderFeed
from personadesk.monitor.sampler import NO_FIGURES, FeedSpec, Sampler
from personadesk.store.history import GroupKey

KEY = GroupKey("box", "host")
SPEC = FeedSpec(KEY, "a")


class Feed:
    """Hands on what the test gives it."""

    source = Source.HOST
    origin = ""

    def __init__(self) -> None:
        self.paces: list[float] = []
        self.take = None
        self.tell = None
        self.fail = None
        self.running = 0

    def pace(self, every_s: float) -> float:
        return every_s

    async def run(self, take, tell, every_s: float) -> None:
        self.paces.append(every_s)
        self.take, self.tell = take, tell
        self.running += 1
        try:
            if self.fail is not None:
                raise self.fail
            await asyncio.Event().wait()
        finally:
            self.running -= 1


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.feed = Feed()
        self.made = 0
        self.got: list[Sample] = []
        self.sampler = Sampler(
            "box", lambda _, sample: self.got.append(sample),
            every_s=10.0, clock=lambda: self.now, monotonic=lambda: self.now,
        )  # fmt: skip

    def make(self, spec: FeedSpec) -> Feed:
        self.made += 1
        return self.feed

    def give(self, value: float | Absent = 1.0) -> None:
        self.feed.take(Sample(self.now, Source.HOST, (Reading(Metric.CPU_USE, "", value),)))


@contextlib.asynccontextmanager
async def sampling() -> AsyncIterator[World]:
    """A sampler at work; not a fixture, since its tasks must end with the test."""
    made = World()
    made.sampler.set_feeds([SPEC], made.make)
    await asyncio.sleep(0)
    yield made
    await made.sampler.close()
    assert not made.feed.running


async def test_it_samples_slowly_until_somebody_looks():
    async with sampling() as world:
        assert world.feed.paces == [10.0]
        world.sampler.set_pace(1.0)
        world.sampler.set_pace(1.0)
        await asyncio.sleep(0.01)
        assert world.feed.paces == [10.0, 1.0]
        assert world.feed.running == 1


async def test_a_change_of_pace_makes_no_hole():
    async with sampling() as world:
        world.give(1.0)
        world.sampler.set_pace(1.0)
        await asyncio.sleep(0.01)
        world.give(FIRST)
        world.give(2.0)
        assert [each.value(Metric.CPU_USE) for each in world.got] == [1.0, 2.0]


async def test_what_was_ended_hands_on_nothing_more():
    async with sampling() as world:
        old = world.feed.take
        world.sampler.set_pace(1.0)
        await asyncio.sleep(0.01)
        old(Sample(1.0, Source.HOST, ()))
        assert world.got == []


async def test_late_samples_become_one_gap_with_the_reason():
    async with sampling() as world:
        world.give()
        world.now += 14
        world.sampler.check()
        assert len(world.got) == 1
        world.now += 2
        world.sampler.check()
        world.now += 60
        world.sampler.check()
        assert [each.value(Metric.CPU_USE) for each in world.got[1:]] == [Absent(NO_FIGURES)]
        world.give(3.0)
        assert world.got[-1].value(Metric.CPU_USE) == 3.0
        world.now += 16
        world.sampler.check()
        assert len(world.got) == 4


async def test_trouble_is_told_in_its_own_words():
    async with sampling() as world:
        world.give()
        world.feed.tell(Unreachable(T("It is gone."), T("Wait.")))
        assert world.got[-1].value(Metric.CPU_USE) == Absent(T("It is gone."))
        assert str(world.got[-1].gpu_reason) == "It is gone."


async def test_a_source_that_cannot_begin_is_tried_again():
    world = World()
    world.feed.fail = Unreachable(T("No way there."), T("Wait."))
    world.sampler.set_feeds([SPEC], world.make)
    await asyncio.sleep(0.05)
    world.feed.fail = None
    await asyncio.sleep(1.1)
    assert len(world.feed.paces) == 2
    assert str(world.got[0].gpu_reason) == "No way there."
    await world.sampler.close()


async def test_stopped_means_stopped_until_it_may_go_on():
    async with sampling() as world:
        world.sampler.stop()
        await asyncio.sleep(0.01)
        assert not world.feed.running
        world.sampler.set_feeds([SPEC], world.make)
        world.sampler.set_pace(1.0)
        await asyncio.sleep(0.01)
        assert not world.feed.running
        world.sampler.go_on()
        await asyncio.sleep(0.01)
        assert world.feed.running == 1


async def test_another_place_is_another_source_and_the_same_is_left_alone():
    async with sampling() as world:
        world.sampler.set_feeds([SPEC], world.make)
        assert world.made == 1
        world.sampler.set_feeds([FeedSpec(KEY, "b")], world.make)
        await asyncio.sleep(0.01)
        assert world.made == 2
        assert world.feed.running == 1
        world.sampler.set_feeds([], world.make)
        await asyncio.sleep(0.01)
        assert world.feed.running == 0


async def test_a_provider_s_figure_is_a_value_or_the_reason_and_money_is_known_all_the_same():
    answers = [
        (Reading(Metric.GPU_USE, "0", 30.0), Reading(Metric.CPU_USE, "", 5.0)),
        (Reading(Metric.GPU_USE, "0", 40.0),),
        Unreachable(T("The provider is away."), T("Wait.")),
        (),
    ]

    async def figures():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    feed = ProviderFeed(lambda: [Reading(Metric.MONEY_PRICE, "", 0.5)], figures)
    told = []
    for _ in range(4):
        work = asyncio.create_task(feed.run(told.append, print, 1.0))
        await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    away = Absent(T("The provider is away."))
    assert [each.value(Metric.MONEY_PRICE) for each in told] == [0.5] * 4
    assert [each.value(Metric.GPU_USE, "0") for each in told] == [30.0, 40.0, away, NOT_TOLD_NOW]
    assert [each.value(Metric.CPU_USE) for each in told] == [5.0, NOT_TOLD_NOW, away, NOT_TOLD_NOW]
