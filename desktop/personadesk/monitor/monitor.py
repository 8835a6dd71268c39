"""The monitor: one sampler a machine, shared by everything that shows figures; the last hour, the history, the alarms.

look(host) ... leave(host)     once a second while somebody looks, else every ten seconds
series(host, metric, part)     the last hour, from memory
range(host, metric, part, …)   any stretch, at most 600 points
subscribe(callback)            told of every sample
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.event import Event, EventKind
from personadesk.domain.sample import Source
from personadesk.domain.text import T
from personadesk.monitor.alarms import Alarms, measure
from personadesk.monitor.ranges import MOST_POINTS, Range, joined, nothing, of_values, reduced
from personadesk.monitor.rings import Rings, series_name
from personadesk.monitor.sampler import FAST_SECONDS, SLOW_SECONDS, Sampler
from personadesk.monitor.state import HostState, changes
from personadesk.store.history import GroupKey

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from personadesk.domain.alarm import Alarm
    from personadesk.domain.gap import Gap
    from personadesk.domain.sample import Metric, Sample, Value
    from personadesk.monitor.heartbeat import Heartbeat
    from personadesk.monitor.history import History
    from personadesk.monitor.marks import Marks
    from personadesk.monitor.targets import Targets
    from personadesk.monitor.webhook import Webhook

log = logging.getLogger(__name__)

_Callback = TypeVar("_Callback")

TARGETS_SECONDS = 5.0
AT_ONCE = 20
"""Machines that are judged in one go."""
LINGER_SECONDS = 5.0
"""After the last look: who turns a page and back finds no hole."""
ASLEEP_SECONDS = 5.0
"""Between two looks of ours: this computer slept, or was too busy to look; nobody else was silent for that."""
_PREFERENCE = (Source.VOICE, Source.PROVIDER, Source.SERVER, Source.HOST)


@dataclass(frozen=True, slots=True)
class Workers:
    """What works beside the samplers, each optional.

    Attributes:
        heartbeat: Makes test calls.
        webhook: Tells alarms elsewhere.
        marks: Reads what was done on purpose.
    """

    heartbeat: Heartbeat | None = None
    webhook: Webhook | None = None
    marks: Marks | None = None


class Monitor:
    """Everything that is measured.

    Attributes:
        history: What is kept.
        alarms: Which alarms are on.
        every_s: Seconds between samples of what nobody looks at.
    """

    def __init__(
        self,
        targets: Targets,
        history: History,
        *,
        alarms: Alarms | None = None,
        rings: Rings | None = None,
        every_s: float = SLOW_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what is needed; nothing is sampled before `start`.

        Args:
            targets: Finds the machines.
            history: Keeps the figures; it is open.
            alarms: Judges them.
            rings: Holds the last hour.
            every_s: Seconds between samples of what nobody looks at.
            clock: Unix time.
        """
        self.history = history
        self.alarms = alarms or Alarms()
        self.every_s = every_s
        self._targets = targets
        self._rings = rings or Rings()
        self._clock = clock
        self._states: dict[str, HostState] = {}
        self._samplers: dict[str, Sampler] = {}
        self._looks: Counter[str] = Counter()
        self._stopped: set[str] = set()
        self._samples: list[Callable[[str, Sample], None]] = []
        self._alarm_watchers: list[Callable[[Alarm], None]] = []
        self._event_watchers: list[Callable[[Event], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._lingering: dict[str, asyncio.TimerHandle] = {}
        self._workers = Workers()
        self._judged_at = self._awake_since = clock()

    # -- life -------------------------------------------------------------------------------------------------

    async def start(self, workers: Workers | None = None) -> None:
        """Begin to sample everything there is."""
        self._workers = workers or Workers()
        self._begin_workers()
        await self.refresh()
        self._begin("monitor targets", self._follow())
        self._begin("monitor pulse", self._pulse())
        self._begin("monitor history", self.history.run())

    def take_over(self, workers: Workers) -> None:
        """Keep the history from now on, and do what only the process does that keeps it."""
        self.history.writes = True
        self._workers = workers
        self._begin_workers()

    async def close(self) -> None:
        """End sampling and write down what waits; the history's file is closed too. Harmless when it was done."""
        for handle in self._lingering.values():
            handle.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.gather(*(sampler.close() for sampler in self._samplers.values()))
        self._samplers.clear()
        await self.history.keep()
        await self.history.store.close()

    async def refresh(self) -> None:
        """Look again which machines there are."""
        found = {target.name: target for target in await self._targets.look()}
        for name in [name for name in self._states if name not in found]:
            sampler = self._samplers.pop(name, None)
            if sampler is not None:
                await sampler.close()
            del self._states[name]
            self.alarms.forget(name)
            self._rings.drop(name)
        for name, target in found.items():
            state = self._states.get(name)
            if state is None:
                self._states[name] = HostState(target)
            else:
                for event in changes(state.target, target, self._clock()):
                    self.tell(event)
                state.target = target
            self._adjust(name)
        if self._workers.marks is not None:
            for event in await self._workers.marks.look(self.history.store):
                self.tell(event)

    # -- who looks --------------------------------------------------------------------------------------------

    def look(self, host: str) -> None:
        """Sample a machine once a second from now on; each look wants a `leave`."""
        self._looks[host] += 1
        handle = self._lingering.pop(host, None)
        if handle is not None:
            handle.cancel()
        self._adjust(host)

    def leave(self, host: str) -> None:
        """End a look; the last one slows the sampling, after some seconds."""
        if not self._looks[host]:
            raise ValueError(f"Nobody looked at {host}")
        self._looks[host] -= 1
        if not self._looks[host]:
            loop = asyncio.get_running_loop()
            self._lingering[host] = loop.call_later(LINGER_SECONDS, self._lingered, host)

    def stop(self, host: str) -> None:
        """Sample a machine no more until `go_on`, whoever looks."""
        self._stopped.add(host)
        self._adjust(host)

    def go_on(self, host: str) -> None:
        """Sample a machine again."""
        self._stopped.discard(host)
        self._adjust(host)

    # -- what is known ----------------------------------------------------------------------------------------

    @property
    def hosts(self) -> Mapping[str, HostState]:
        """Every machine with what is known of it now, this computer first; not to be changed."""
        return self._states

    def latest(self, host: str, metric: Metric, part: str = "") -> Value | None:
        """Return the newest figure, or why there is none; None when nobody tells it."""
        state = self._states.get(host)
        return None if state is None else state.value(metric, part)

    def parts(self, host: str, metric: Metric) -> tuple[str, ...]:
        """Return of what a machine has this figure: GPUs' indexes, servers' ids, folders."""
        names = [name for ring in self._rings.of(host).values() for name in ring.names]
        return tuple(dict.fromkeys(part for known, part in names if known is metric))

    def series(self, host: str, metric: Metric, part: str = "") -> Range:
        """Return a series of the last hour as it was sampled; empty when there is none.

        Args:
            host: The machine.
            metric: What.
            part: A GPU's index, a server's id, a folder; "" takes the first there is.
        """
        name = (metric, part or next(iter(self.parts(host, metric)), ""))
        rings = self._rings.of(host)
        for source in reversed(_PREFERENCE):
            for key, ring in rings.items():
                if key.source == source and name in ring.names:
                    return of_values(*ring.column(name))
        return nothing()

    async def range(
        self,
        host: str,
        metric: Metric,
        part: str = "",
        *,
        start: float,
        end: float | None = None,
        points: int = MOST_POINTS,
    ) -> Range:
        """Return any stretch of a series, in at most so many points with lowest, mean and highest.

        Args:
            host: The machine.
            metric: What.
            part: See `series`.
            start: Unix time.
            end: Unix time, not included; None for now.
            points: Most points.

        Raises:
            PersonaDeskError: The history cannot be read.
        """
        until = self._clock() if end is None else end
        recent = self.series(host, metric, part)
        first = float(recent.at[0]) if len(recent) else until
        if first <= start:
            return reduced(recent, start, until, points)
        kept = await self._kept(host, metric, part, start, min(first, until))
        step = _step(kept)
        return reduced(joined(kept, recent), start, until, points, step_s=step)

    async def events(self, start: float, end: float, host: str | None = None) -> list[Event]:
        """Return what happened between two Unix times, to one machine or to all."""
        await self.history.keep()
        return await self.history.store.events(start, end, host)

    async def gaps(self, start: float, end: float, host: str | None = None) -> list[Gap]:
        """Return when sources told nothing between two Unix times, and why; of one machine or of all."""
        await self.history.keep()
        return await self.history.store.gaps(start, end, host)

    # -- who is told ------------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[str, Sample], None]) -> Callable[[], None]:
        """Call `callback(host, sample)` with every sample; returns a function that ends it."""
        return _subscribed(self._samples, callback)

    def subscribe_alarms(self, callback: Callable[[Alarm], None]) -> Callable[[], None]:
        """Call `callback(alarm)` when one begins or ends; returns a function that ends it."""
        return _subscribed(self._alarm_watchers, callback)

    def subscribe_events(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback(event)` when something happened; returns a function that ends it."""
        return _subscribed(self._event_watchers, callback)

    def tell(self, event: Event) -> None:
        """Keep an event and tell it."""
        self.history.add_event(event)
        for watcher in tuple(self._event_watchers):
            watcher(event)

    def take(self, key: GroupKey, sample: Sample) -> None:
        """Take a sample, of a sampler or of a call that was made."""
        state = self._states.get(key.host)
        if state is None or (key.host in self._stopped and key.source != Source.VOICE):
            return
        ring, row = self._rings.add(key, sample)
        if row is not None:
            self.history.add(key, ring.series, sample.at, row)
        for event in state.take(key, sample):
            self.tell(self._explained(event, key.origin))
        for gap in state.take_gaps(key, sample):
            self.history.add_gap(gap)
        for watcher in tuple(self._samples):
            watcher(key.host, sample)

    def take_call(self, server_id: str, sample: Sample) -> None:
        """Take what a test call of a server showed."""
        host = next((name for name, s in self._states.items() if server_id in s.target.servers), None)  # fmt: skip
        if host is not None:
            self.take(GroupKey(host, Source.VOICE, server_id), sample)

    def judge(self, hosts: Iterable[str] | None = None) -> list[Alarm]:
        """Look at machines by the rules, all without a choice; done once a second by itself."""
        now = self._clock()
        if not 0 <= now - self._judged_at < ASLEEP_SECONDS:
            self._awake_since = now
        self._judged_at = now
        changed: list[Alarm] = []
        for name in tuple(self._states) if hosts is None else hosts:
            state = self._states.get(name)
            if state is None:
                continue
            pace_of = self._pace_of(name)
            if pace_of is None:
                self.alarms.forget(name)
                continue
            found = measure(state, now, pace_of, awake_since=self._awake_since)
            changed += self.alarms.judge(name, found, now, label=state.target.label)
        for alarm in changed:
            kind = EventKind.ALARM_ON if alarm.on else EventKind.ALARM_OFF
            self.tell(Event(alarm.at, alarm.host, kind, alarm.text))
            if self._workers.webhook is not None:
                self._workers.webhook.tell(alarm)
            for watcher in tuple(self._alarm_watchers):
                watcher(alarm)
        return changed

    # -- how it is done ---------------------------------------------------------------------------------------

    @property
    def samples_itself(self) -> bool:
        """Whether this monitor samples; another one may do it for both."""
        return True

    def _pace_of(self, name: str) -> Callable[[GroupKey], float] | None:
        """Return what tells the seconds between a source's samples; None for a machine that is not sampled."""
        sampler = self._samplers.get(name)
        return sampler.pace_of if sampler is not None and sampler.running else None

    def _explained(self, event: Event, server: str) -> Event:
        """Add why the guardian did it, where it did."""
        if event.kind is not EventKind.RESTARTED or self._workers.marks is None:
            return event
        why = self._workers.marks.cause(server, event.at)
        return (
            event
            if why is None
            else replace(event, text=T("{what} {why}", what=event.text, why=why))
        )

    def _begin(self, name: str, job: Coroutine[object, object, None]) -> None:
        self._tasks.append(asyncio.create_task(job, name=name))

    def _begin_workers(self) -> None:
        if self._workers.heartbeat is not None:
            self._begin("heartbeat", self._workers.heartbeat.run())
        if self._workers.webhook is not None:
            self._begin("webhook", self._workers.webhook.run())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(TARGETS_SECONDS)
            try:
                await self.refresh()
            except PersonaDeskError as error:
                log.warning("The machines to watch could not be listed: %s", error.what)

    async def _pulse(self) -> None:
        while True:
            names = tuple(self._states)
            # Hundreds of machines at once would hold a window up.
            turns = max(1, math.ceil(len(names) / AT_ONCE))
            for turn in range(turns):
                await asyncio.sleep(1.0 / turns)
                some = names[turn * AT_ONCE : (turn + 1) * AT_ONCE]
                for name in some:
                    if name in self._samplers:
                        self._samplers[name].check()
                self.judge(some)

    async def _kept(self, host: str, metric: Metric, part: str, start: float, end: float) -> Range:
        groups = await self.history.store.groups(host)
        name = series_name(metric, part)
        if not part and not any(name in series for series in groups.values()):
            name = next(
                (s for series in groups.values() for s in sorted(series) if s.startswith(f"{metric}|")), name
            )  # fmt: skip
        keys = sorted(
            (key for key, series in groups.items() if name in series),
            key=lambda key: _PREFERENCE.index(Source(key.source)),
        )
        return await self.history.read(keys, name, start, end)

    def _adjust(self, name: str) -> None:
        """Bring a machine's sampler to what is wanted of it now."""
        state = self._states.get(name)
        if state is None:
            return
        looked_at = self._looked_at(name)
        wanted = name not in self._stopped and (looked_at or state.target.wanted)
        known = {spec.key for spec in state.target.specs} if wanted else set()
        for key in [
            key for key in state.samples if key not in known and key.source != Source.VOICE
        ]:
            state.forget(key)
        wanted = wanted and self.samples_itself
        sampler = self._samplers.get(name)
        pace = FAST_SECONDS if looked_at else self.every_s
        if sampler is None:
            if not wanted:
                return
            sampler = self._samplers[name] = Sampler(
                name, self.take, every_s=pace, clock=self._clock
            )
        if wanted:
            sampler.set_pace(pace)
            sampler.go_on()
            sampler.set_feeds(state.target.specs, self._targets.make)
        elif sampler.running:
            sampler.stop()

    def _looked_at(self, name: str) -> bool:
        return bool(self._looks[name]) or name in self._lingering

    def _lingered(self, host: str) -> None:
        self._lingering.pop(host, None)
        self._adjust(host)


def _subscribed(watchers: list[_Callback], callback: _Callback) -> Callable[[], None]:
    watchers.append(callback)

    def end() -> None:
        with contextlib.suppress(ValueError):
            watchers.remove(callback)

    return end


def _step(kept: Range) -> float:
    """Return the seconds between most points of a stretch."""
    return float(np.median(np.diff(kept.at))) if len(kept) > 1 else 0.0
