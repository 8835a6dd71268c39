"""What is known of one machine now: its newest samples, its GPUs, since when nobody calls; and what just happened."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from personadesk.domain.event import Event, EventKind
from personadesk.domain.gap import Gap, missing
from personadesk.domain.sample import Absent, Metric, Source
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from personadesk.domain.sample import Gpu, Sample, Value
    from personadesk.monitor.targets import Target
    from personadesk.store.history import GroupKey

_PREFERRED = (Source.HOST, Source.SERVER, Source.PROVIDER, Source.VOICE)


@dataclass(slots=True)
class HostState:
    """One machine.

    Attributes:
        target: What it is.
        samples: The newest sample of each source.
        gpus: Every GPU that was seen, by its index; those that are gone stay.
        lost: Indexes of those that are gone.
        idle_since: Unix time since which no voice on it had a call, None while one has or none tells.
    """

    target: Target
    samples: dict[GroupKey, Sample] = field(default_factory=dict)
    gpus: dict[str, Gpu] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    idle_since: float | None = None
    _gaps: dict[tuple[GroupKey, str], Gap] = field(default_factory=dict)
    _uptimes: dict[str, float] = field(default_factory=dict)
    _values: dict[GroupKey, dict[tuple[Metric, str], Value]] = field(default_factory=dict)

    def take(self, key: GroupKey, sample: Sample) -> list[Event]:
        """Take a sample; returns what it shows to have happened."""
        self.samples[key] = sample
        # Rules ask for dozens of figures a second; a sample has hundreds.
        self._values[key] = {(each.metric, each.part): each.value for each in sample.readings}
        if sample.source is Source.HOST:
            return self._take_gpus(sample)
        if sample.source is Source.SERVER:
            self._take_sessions(sample)
            return self._take_uptime(key.origin, sample)
        return []

    def take_gaps(self, key: GroupKey, sample: Sample) -> list[Gap]:
        """Take a sample; returns the times without figures that begin or end by it."""
        told = missing(sample)
        found = []
        for (owner, figures), gap in tuple(self._gaps.items()):
            if owner == key and told.get(figures) != gap.reason:
                found.append(replace(gap, end=sample.at))
                del self._gaps[owner, figures]
        for figures, reason in told.items():
            if (key, figures) not in self._gaps:
                gap = Gap(sample.at, None, key.host, key.source, key.origin, figures, reason)
                self._gaps[key, figures] = gap
                found.append(gap)
        return found

    def value(self, metric: Metric, part: str = "") -> Value | None:
        """Return the newest figure, of the source that knows best; None when nobody tells it."""
        found: Value | None = None
        for source in _PREFERRED:
            for key, values in self._values.items():
                value = values.get((metric, part)) if key.source == source else None
                if value is not None and not isinstance(value, Absent):
                    return value
                found = found if found is not None else value
        return found

    def of(self, source: Source) -> list[Sample]:
        """Return the newest samples of a source."""
        return [sample for key, sample in self.samples.items() if key.source == source]

    def forget(self, key: GroupKey) -> None:
        """Drop a source that is no more."""
        self.samples.pop(key, None)
        self._values.pop(key, None)
        self._uptimes.pop(key.origin, None)

    def _take_gpus(self, sample: Sample) -> list[Event]:
        if not any(not isinstance(each.value, Absent) for each in sample.readings):
            # Nothing at all is known at the moment; that says nothing about cards.
            return []
        here = {gpu.index: gpu for gpu in sample.gpus}
        gone = {index for index in self.gpus if index not in here} - self.lost
        self.lost = (self.lost | gone) - set(here)
        self.gpus |= here
        return [
            Event(
                sample.at, self.target.name, EventKind.GPU_LOST,
                T("GPU {index} ({name}) is gone. {reason}", index=index,
                  name=self.gpus[index].name, reason=sample.gpu_reason or NOTHING),
            )
            for index in sorted(gone)
        ]  # fmt: skip

    def _take_uptime(self, origin: str, sample: Sample) -> list[Event]:
        uptime = sample.value(Metric.SERVER_UPTIME, origin)
        if uptime is None or isinstance(uptime, Absent):
            return []
        before = self._uptimes.get(origin)
        self._uptimes[origin] = uptime
        if before is None or uptime >= before:
            return []
        text = T("The voice server {id} was restarted.", id=origin)
        return [Event(sample.at, self.target.name, EventKind.RESTARTED, text)]

    def _take_sessions(self, sample: Sample) -> None:
        counts = [
            value
            for each in self.of(Source.SERVER)
            for reading in each.readings
            if reading.metric in {Metric.SERVER_SESSIONS, Metric.SERVER_QUEUE}
            and not isinstance(value := reading.value, Absent)
        ]
        if not counts or any(counts):
            self.idle_since = None
        elif self.idle_since is None:
            self.idle_since = sample.at


def changes(before: Target, now: Target, at: float) -> list[Event]:
    """Return what happened to a machine between two looks at what it is."""
    found: list[tuple[EventKind, Text]] = []
    if before.address and now.address and before.address != now.address:
        found.append(
            (
                EventKind.ADDRESS_CHANGED,
                T("The address changed from {old} to {new}.", old=before.address, new=now.address),
            )
        )
    if now.lost and not before.lost:
        found.append(
            (EventKind.GPU_LOST, T("The provider says that this machine's hardware is gone."))
        )
    return [Event(at, now.name, kind, text) for kind, text in found]
