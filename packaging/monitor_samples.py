"""Made-up figures of machines for pictures, tests and timings of the monitor's views; nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from personadesk.domain.alarm import RULES, Alarm, Quantity, Standing, told
from personadesk.domain.event import Event, EventKind
from personadesk.domain.gap import Gap
from personadesk.domain.sample import Absent, Gpu, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.monitor.ranges import Range, nothing, of_values, reduced
from personadesk.monitor.state import HostState
from personadesk.monitor.targets import Target
from personadesk.store.history import GroupKey
from personadesk.ui.monitor.fleet import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = 1_795_600_000.0
_GB = 1e9

WAVES: dict[Metric, tuple[float, float, float]] = {
    Metric.GPU_USE: (58.0, 16.0, 47.0),
    Metric.GPU_MEMORY_USED: (18.1 * _GB, 0.15 * _GB, 211.0),
    Metric.GPU_TEMPERATURE: (62.0, 3.0, 131.0),
    Metric.GPU_POWER: (112.0, 14.0, 61.0),
    Metric.SERVER_TICK_P50: (38.0, 3.0, 71.0),
    Metric.SERVER_TICK_P99: (47.0, 7.0, 53.0),
    Metric.NET_RECEIVED: (38 * 125.0, 6 * 125.0, 37.0),
    Metric.NET_SENT: (41 * 125.0, 8 * 125.0, 43.0),
    Metric.GPU_PCIE_RECEIVED: (42e6, 9e6, 29.0),
    Metric.GPU_PCIE_SENT: (12e6, 3e6, 23.0),
    Metric.SERVER_LAG_P99: (96.0, 14.0, 67.0),
    Metric.SERVER_ANSWER: (41.0, 6.0, 59.0),
    Metric.CPU_USE: (22.0, 9.0, 31.0),
    Metric.MEMORY_USED: (9.4 * _GB, 0.3 * _GB, 97.0),
}
"""Mean, height and length in seconds of what goes up and down."""
FIXED = {
    Metric.GPU_MEMORY_TOTAL: 24 * _GB, Metric.GPU_POWER_LIMIT: 150.0, Metric.SERVER_SESSIONS: 1.0,
    Metric.SERVER_SLOTS: 4.0, Metric.SERVER_QUEUE: 0.0, Metric.MONEY_PRICE: 0.75, Metric.MONEY_SPENT: 3.86,
    Metric.MEMORY_TOTAL: 32 * _GB, Metric.SERVER_MEMORY_MODEL: 14.3 * _GB, Metric.SERVER_MEMORY_CALLS: 1.6 * _GB,
    Metric.GPU_PCIE_GENERATION: 4.0, Metric.GPU_PCIE_WIDTH: 16.0, Metric.MONEY_SPEND_LIMIT: 10.0,
}  # fmt: skip
CLOCKS = (Metric.GPU_CLOCK, Metric.GPU_THROTTLE_REASONS)
OWNERS = {
    "front-desk-1": Owner("Front desk", "Lambda"), "front-desk-2": Owner("Front desk", "Lambda"),
    "studio-a": Owner("Studio", "My servers"), "kiosk-1": Owner("Kiosk", "RunPod"),
    "museum-guide": Owner("Museum guide", "Modal"), "night-line-1": Owner("Night line", "AWS"),
    "night-line-2": Owner("Night line", "AWS"), "support-demo": Owner("", "Vast.ai"),
}  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """One made-up machine.

    Attributes:
        gpus: Names of its cards.
        factor: What its waves are multiplied by, for metrics that are named.
        gap: Unix times between which nothing was measured.
        silent: Why it has no figures at all; "" when it has.
        price: Dollars an hour, None for a machine of one's own.
    """

    gpus: tuple[str, ...] = ("A10",)
    factor: dict[Metric, float] = field(default_factory=dict)
    gap: tuple[float, float] = (0.0, 0.0)
    silent: str = ""
    price: float | None = 0.75


class Active:
    """Alarms that are on."""

    def __init__(self, active: tuple[Alarm, ...] = ()) -> None:
        self.active = active


class SampleFeed:
    """Stands where the monitor stands; every series is a wave."""

    def __init__(self, machines: dict[str, Machine], *, now: float = NOW) -> None:
        self.now = now
        self.machines = machines
        self.alarms = Active()
        self.looks: dict[str, int] = {}
        self.happened: list[Event] = []
        self.holes: list[Gap] = []
        self.asked: list[tuple[float, float]] = []
        self.clocks: dict[str, bool] = {}
        self._callbacks: list[Callable[[str, Sample], None]] = []
        self.hosts: dict[str, HostState] = {}
        for name, machine in machines.items():
            state = HostState(
                Target(name, T("{name}", name=name), servers=frozenset({f"v-{name}"}))
            )
            self.hosts[name] = state
            self._put(name, machine)

    def _put(self, name: str, machine: Machine) -> Sample:
        sample = self.sample(name)
        state = self.hosts[name]
        state.take(GroupKey(name, Source.HOST), sample)
        if not machine.silent:
            state.gpus = {
                str(n): Gpu(str(n), f"GPU-{name}-{n}", each) for n, each in enumerate(machine.gpus)
            }
        return sample

    def sample(self, name: str) -> Sample:
        """Return all figures of a machine now."""
        machine = self.machines[name]
        if machine.silent:
            return Sample(
                self.now,
                Source.HOST,
                (Reading(Metric.CPU_USE, "", Absent(T("{why}", why=machine.silent))),),
            )
        readings = []
        for metric in (*WAVES, *FIXED):
            if metric is Metric.MONEY_PRICE and machine.price is None:
                continue
            parts = (
                [str(n) for n in range(len(machine.gpus))]
                if metric.value.startswith("gpu.")
                else [""]
            )
            readings += [
                Reading(
                    metric, part, float(self._value(name, metric, part, np.array([self.now]))[0])
                )
                for part in parts
            ]
        for part in map(str, range(len(machine.gpus)) if name in self.clocks else ()):
            readings += [
                Reading(
                    metric, part, float(self._value(name, metric, part, np.array([self.now]))[0])
                )
                for metric in CLOCKS
            ]
        return Sample(self.now, Source.HOST, tuple(readings))

    def tick(self, seconds: float = 1.0) -> None:
        """Let time pass, and tell a sample of every machine."""
        self.now += seconds
        for name, machine in self.machines.items():
            sample = self._put(name, machine)
            for callback in tuple(self._callbacks):
                callback(name, sample)

    def ring(self, host: str, quantity: Quantity, value: float, part: str = "") -> None:
        """Turn an alarm on."""
        rule = next(rule for rule in RULES if rule.quantity is quantity)
        alarm = told(rule, host, part, Standing(on=True, since=self.now - 180, value=value))
        self.alarms = Active((*self.alarms.active, alarm))

    def happen(self, host: str, kind: EventKind, ago: float, text: str) -> None:
        """Write down an event."""
        self.happened.append(Event(self.now - ago, host, kind, T("{text}", text=text)))

    def tell_clock(self, host: str, *, held: bool) -> None:
        """Let a machine tell its GPUs' clocks too, and whether they are held back."""
        self.clocks[host] = held
        self._put(host, self.machines[host])

    def miss(self, host: str, ago: float, seconds: float | None, why: str) -> None:
        """Write down why figures were missing; None where they still are."""
        start = self.now - ago
        end = None if seconds is None else start + seconds
        self.holes.append(Gap(start, end, host, Source.HOST, "", "", T("{why}", why=why)))

    # -- as the monitor ---------------------------------------------------------------------------------------

    def look(self, host: str) -> None:
        """Count a look."""
        self.looks[host] = self.looks.get(host, 0) + 1

    def leave(self, host: str) -> None:
        """End a look."""
        self.looks[host] -= 1

    def latest(self, host: str, metric: Metric, part: str = "") -> float | Absent | None:
        """Return the newest figure."""
        return self.hosts[host].value(metric, part)

    def series(self, host: str, metric: Metric, part: str = "") -> Range:
        """Return the last hour."""
        if not self._tells(host, metric):
            return nothing()
        at = np.arange(np.ceil(self.now - 3600), self.now + 0.5)
        return of_values(at, self._value(host, metric, part, at))

    async def range(
        self,
        host: str,
        metric: Metric,
        part: str = "",
        *,
        start: float,
        end: float | None = None,
        points: int = 600,
    ) -> Range:
        """Return any stretch."""  # fmt: skip
        until = self.now if end is None else end
        self.asked.append((start, until))
        if not self._tells(host, metric):
            return nothing()
        at = np.linspace(start, until, 4000)
        step = (until - start) / 4000
        return reduced(
            of_values(at, self._value(host, metric, part, at)), start, until, points, step_s=step
        )

    async def events(self, start: float, end: float, host: str | None = None) -> Sequence[Event]:
        """Return what happened."""
        return [
            each for each in self.happened if start <= each.at < end and host in {None, each.host}
        ]

    async def gaps(self, start: float, end: float, host: str | None = None) -> Sequence[Gap]:
        """Return when figures were missing, and why."""
        return [
            each
            for each in self.holes
            if each.start < end
            and (each.end is None or each.end > start)
            and host in {None, each.host}
        ]

    def subscribe(self, callback: Callable[[str, Sample], None]) -> Callable[[], None]:
        """Tell every sample."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def _tells(self, host: str, metric: Metric) -> bool:
        told = metric in WAVES or metric in FIXED or (metric in CLOCKS and host in self.clocks)
        return told and not self.machines[host].silent

    def _value(self, host: str, metric: Metric, part: str, at: np.ndarray) -> np.ndarray:
        machine = self.machines[host]
        seed = sum(map(ord, f"{host}{part}{metric.value}"))
        if metric in CLOCKS:
            # While it is held back, for a tenth of the time, the clock falls.
            held = (at % 600 > 540) & self.clocks[host]
            bits = 0x24  # its power limit, and heat
            throttled = metric is Metric.GPU_THROTTLE_REASONS
            values = np.where(held, bits, 0.0) if throttled else np.where(held, 1005.0, 1695.0)
        elif metric in FIXED:
            value = (
                machine.price
                if metric is Metric.MONEY_PRICE and machine.price is not None
                else FIXED[metric]
            )
            values = np.full(len(at), float(value))
            if metric is Metric.MONEY_SPENT:
                values = values - (self.now - at) * FIXED[Metric.MONEY_PRICE] / 3600
        else:
            mean, height, length = WAVES[metric]
            factor = machine.factor.get(metric, 1.0)
            turn = 2 * np.pi * at / length + seed
            noise = np.sin(at * 12.9898 + seed) * np.sin(at * 4.1414)
            values = factor * (
                mean + height * (0.55 * np.sin(turn) + 0.3 * np.sin(2.7 * turn) + 0.3 * noise)
            )
        values = np.maximum(values, 0.0)
        first, last = machine.gap
        return np.where((at >= first) & (at < last), np.nan, values)


def studio() -> SampleFeed:
    """Return eight machines: one is too slow, one does not answer, one has a hole in its figures."""
    tick, use, hot = Metric.SERVER_TICK_P99, Metric.GPU_USE, Metric.GPU_TEMPERATURE
    feed = SampleFeed(
        {
            "front-desk-1": Machine(gap=(NOW - 600, NOW - 540)),
            "front-desk-2": Machine(("RTX A6000",), {use: 0.3, tick: 0.7, hot: 0.66}, price=0.80),
            "studio-a": Machine(("RTX 4090",), {tick: 0.6, use: 0.8}, price=None),
            "kiosk-1": Machine(("L4",), {tick: 1.9, use: 1.55, hot: 1.3}, price=0.39),
            "museum-guide": Machine(
                ("L4",), silent="SSH was refused: the machine is asleep.", price=0.02
            ),
            "night-line-1": Machine(("L40S",), {tick: 0.8}, price=1.86),
            "night-line-2": Machine(("L40S",), {tick: 0.9, use: 1.2}, price=1.86),
            "support-demo": Machine(("RTX 4090",), {tick: 0.75}, price=0.38),
        }
    )
    feed.ring("kiosk-1", Quantity.TICK, 91.0)
    return feed


def wall(hosts: int = 200, gpus: int = 8) -> SampleFeed:
    """Return many machines with several GPUs each; some run hot."""

    def factor(number: int) -> dict[Metric, float]:
        warm = 1.45 if number == 5 else 0.9 + 0.06 * (number % 6)
        return {Metric.GPU_TEMPERATURE: warm, Metric.GPU_USE: 0.6 + 0.2 * (number % 5)}

    cards = ("H100",) * gpus
    feed = SampleFeed({f"node-{n:03}": Machine(cards, factor(n)) for n in range(hosts)})
    feed.ring("node-005", Quantity.TEMPERATURE, 91.0, "3")
    return feed
