"""One machine's sampler: its sources at one pace, whoever looks; silence becomes a gap with a reason."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.sample import Absent, Reading, Sample
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts.proc_figures import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from personadesk.domain.sample import Gpu, Metric
    from personadesk.monitor.feeds import Feed
    from personadesk.store.history import GroupKey

log = logging.getLogger(__name__)

FAST_SECONDS = 1.0
SLOW_SECONDS = 10.0
LATE_SECONDS = 5.0
"""A sample is late by so much when nothing is known any more."""
START_SECONDS = 15.0
"""A first connection may take so long."""
AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
NO_FIGURES = T("No figures came for some seconds.")


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """Which source of figures a machine has.

    Attributes:
        key: Whose figures they are.
        place: Where they come from: a machine's name, an address; another place is another source.
    """

    key: GroupKey
    place: str = ""


@dataclass(slots=True)
class _Running:
    spec: FeedSpec
    feed: Feed
    task: asyncio.Task[None] | None = None
    last: float = 0.0
    pace: float = FAST_SECONDS
    restarted: bool = False
    silent: bool = False
    failures: int = 0
    keys: tuple[tuple[Metric, str], ...] = ()
    gpus: tuple[Gpu, ...] = ()
    reason: Text = NOTHING


class Sampler:
    """Samples one machine.

    Attributes:
        host: The machine as the monitor calls it.
        every_s: Seconds between samples.
        running: Whether it samples now.
    """

    def __init__(
        self,
        host: str,
        take: Callable[[GroupKey, Sample], None],
        *,
        every_s: float = SLOW_SECONDS,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what is needed; nothing is sampled before `set_feeds`.

        Args:
            host: The machine.
            take: Called with each sample and whose it is.
            every_s: Seconds between samples.
            clock: Unix time.
            monotonic: Seconds that only go on.
        """
        self.host = host
        self.every_s = every_s
        self.running = True
        self._take = take
        self._clock = clock
        self._monotonic = monotonic
        self._feeds: dict[GroupKey, _Running] = {}
        self._dying: set[asyncio.Task[None]] = set()

    def set_feeds(self, specs: Iterable[FeedSpec], make: Callable[[FeedSpec], Feed]) -> None:
        """Sample these sources from now on; those that are known already go on as they are."""
        wanted = {spec.key: spec for spec in specs}
        for key, running in tuple(self._feeds.items()):
            if wanted.get(key) != running.spec:
                self._end(running)
                del self._feeds[key]
        for key, spec in wanted.items():
            if key not in self._feeds:
                self._feeds[key] = _Running(spec, make(spec))
                if self.running:
                    self._begin(key, self._feeds[key])

    def set_pace(self, every_s: float) -> None:
        """Sample as often from now on."""
        if every_s == self.every_s:
            return
        self.every_s = every_s
        for key, running in self._feeds.items():
            if running.task is not None and running.feed.pace(every_s) != running.pace:
                self._end(running)
                running.restarted = bool(running.keys)
                self._begin(key, running)

    def stop(self) -> None:
        """Sample nothing until `go_on`."""
        self.running = False
        for running in self._feeds.values():
            self._end(running)

    def go_on(self) -> None:
        """Sample again after `stop`."""
        self.running = True
        for key, running in self._feeds.items():
            if running.task is None:
                self._begin(key, running)

    @property
    def keys(self) -> tuple[GroupKey, ...]:
        """Its sources."""
        return tuple(self._feeds)

    def pace_of(self, key: GroupKey) -> float:
        """Return how many seconds lie between a source's samples."""
        return self._feeds[key].pace

    def check(self) -> None:
        """Put a gap where samples are late; to be called once a second."""
        now = self._monotonic()
        for key, running in self._feeds.items():
            if running.task is None or running.silent:
                continue
            limit = running.pace + (LATE_SECONDS if running.keys else START_SECONDS)
            if now - running.last > limit:
                self._blank(key, running, NO_FIGURES)

    async def close(self) -> None:
        """End sampling."""
        self.stop()
        await asyncio.gather(*self._dying, return_exceptions=True)
        self._feeds.clear()

    def _begin(self, key: GroupKey, running: _Running) -> None:
        running.last = self._monotonic()
        running.pace = running.feed.pace(self.every_s)
        running.silent = False
        running.task = asyncio.create_task(
            self._run(key, running, self.every_s), name=f"sample {self.host} {key.source}"
        )

    def _end(self, running: _Running) -> None:
        task, running.task = running.task, None
        if task is not None:
            self._dying.add(task)
            task.add_done_callback(self._dying.discard)
            task.cancel()

    async def _run(self, key: GroupKey, running: _Running, every_s: float) -> None:
        me = asyncio.current_task()

        def take(sample: Sample) -> None:
            # A source that was ended may still hand on what it had in its hands.
            if running.task is me:
                self._took(key, running, sample)

        def tell(error: PersonaDeskError | None) -> None:
            if error is not None and running.task is me:
                self._blank(key, running, error.what)

        while True:
            try:
                await running.feed.run(take, tell, every_s)
            except PersonaDeskError as error:
                tell(error)
            pause = AGAIN_SECONDS[min(running.failures, len(AGAIN_SECONDS) - 1)]
            running.failures += 1
            await asyncio.sleep(pause)

    def _took(self, key: GroupKey, running: _Running, sample: Sample) -> None:
        running.last = self._monotonic()
        running.failures = 0
        if running.restarted:
            # The pace was changed: a second look is needed to tell rates, and that is no gap.
            running.restarted = False
            if any(each.value == FIRST for each in sample.readings):
                return
        running.silent = False
        running.reason = NOTHING
        running.keys = tuple((each.metric, each.part) for each in sample.readings)
        running.gpus = sample.gpus
        self._take(key, sample)

    def _blank(self, key: GroupKey, running: _Running, reason: Text) -> None:
        """Tell that nothing is known now, once for each reason."""
        if running.silent and running.reason == reason:
            return
        log.info("%s, %s: %s", self.host, key.source, reason)
        running.silent = True
        running.reason = reason
        absent = Absent(reason)
        readings = tuple(Reading(metric, part, absent) for metric, part in running.keys)
        self._take(key, Sample(self._clock(), running.feed.source, readings, running.gpus, reason))
