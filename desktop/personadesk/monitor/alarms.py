"""Judges every machine by the rules of `domain.alarm`, once a second, and remembers which alarms are on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.alarm import RULES, Alarm, Quantity, Rule, Standing, step, told
from personadesk.domain.sample import Absent, Metric, Source
from personadesk.domain.text import NOTHING
from personadesk.hosts.metrics import HANGS
from personadesk.hosts.server_changes import NO_TICK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from personadesk.domain.sample import Sample, Value
    from personadesk.domain.text import Text
    from personadesk.monitor.state import HostState
    from personadesk.store.history import GroupKey

    Measures = dict[tuple[Quantity, str], float | None]


class Alarms:
    """How every rule stands for every machine.

    Args:
        rules: What is watched.
    """

    def __init__(self, rules: Sequence[Rule] = RULES) -> None:
        self._rules = {rule.quantity: rule for rule in rules}
        self._standings: dict[tuple[str, Quantity, str], Standing] = {}
        self._active: dict[tuple[str, Quantity, str], Alarm] = {}

    @property
    def active(self) -> tuple[Alarm, ...]:
        """The alarms that are on, oldest first."""
        return tuple(sorted(self._active.values(), key=lambda alarm: alarm.at))

    def judge(
        self,
        host: str,
        measures: Mapping[tuple[Quantity, str], float | None],
        now: float,
        *,
        label: Text = NOTHING,
    ) -> list[Alarm]:
        """Look at a machine's figures; returns the alarms that begin or end by it.

        What is not among the figures any more, such as a server that was stopped, is forgotten and not told as fine.
        """
        found = []
        for quantity, part in measures:
            rule = self._rules.get(quantity)
            if rule is None:
                continue
            key = (host, quantity, part)
            before = self._standings.get(key, Standing())
            after = self._standings[key] = step(rule, before, measures[quantity, part], now)
            if after.on == before.on:
                continue
            alarm = told(rule, host, part, after, label=label)
            found.append(alarm)
            if alarm.on:
                self._active[key] = alarm
            else:
                self._active.pop(key, None)
        gone = [key for key in self._standings if key[0] == host and key[1:] not in measures]
        for key in gone:
            del self._standings[key]
            self._active.pop(key, None)
        return found

    def forget(self, host: str) -> None:
        """Drop a machine that is not watched any more."""
        self.judge(host, {}, 0.0)


def measure(
    state: HostState, now: float, pace_of: Callable[[GroupKey], float], *, awake_since: float = 0.0
) -> Measures:
    """Return what the rules judge of a machine.

    Args:
        state: What is known of it.
        now: Unix time.
        pace_of: Returns how many seconds lie between a source's samples.
        awake_since: Unix time since which we ourselves look without a break: a computer that slept did not look.
    """
    found: Measures = {}
    _cards(state, found)
    _servers(state, found)
    used, total = state.value(Metric.MEMORY_USED), state.value(Metric.MEMORY_TOTAL)
    if used is not None:
        found[Quantity.MEMORY, ""] = _share(used, total)
    for key, sample in state.samples.items():
        if key.source == Source.HOST:
            found[Quantity.SILENCE, ""] = _late(
                sample, now - max(sample.at, awake_since), pace_of(key)
            )
    price = _number(state.value(Metric.MONEY_PRICE))
    if price is not None:
        idle = now - state.idle_since if price > 0 and state.idle_since is not None else 0.0
        found[Quantity.IDLE_COST, ""] = idle
    spent = _number(state.value(Metric.MONEY_SPENT))
    if state.target.limit:
        found[Quantity.BUDGET, ""] = None if spent is None else 100 * spent / state.target.limit
    if state.target.budget is not None:
        found[Quantity.MONEY, ""] = 100 * state.target.budget
    return found


def _cards(state: HostState, found: Measures) -> None:
    for index in state.gpus:
        used = state.value(Metric.GPU_MEMORY_USED, index)
        hangs = isinstance(used, Absent) and used.reason == HANGS
        found[Quantity.GPU_GONE, index] = 1.0 if index in state.lost or hangs else 0.0
        found[Quantity.MEMORY, index] = _share(used, state.value(Metric.GPU_MEMORY_TOTAL, index))
        found[Quantity.TEMPERATURE, index] = _number(state.value(Metric.GPU_TEMPERATURE, index))


def _servers(state: HostState, found: Measures) -> None:
    for key, sample in state.samples.items():
        if key.source != Source.SERVER:
            continue
        answers = sample.value(Metric.SERVER_ANSWER, key.origin)
        found[Quantity.SERVER_SILENT, key.origin] = float(not isinstance(answers, float))
        tick = sample.value(Metric.SERVER_TICK_P99, key.origin)
        if tick is None:
            tick = sample.value(Metric.SERVER_TICK, key.origin)
        # Nobody waits for a voice that has nothing to do.
        found[Quantity.TICK, key.origin] = 0.0 if tick == NO_TICK else _number(tick)


def _late(sample: Sample, age: float, pace: float) -> float:
    known = any(not isinstance(each.value, Absent) for each in sample.readings)
    # A sample without any figure says itself that none come.
    return max(0.0, age - pace if known else age)


def _share(used: Value | None, total: Value | None) -> float | None:
    part, whole = _number(used), _number(total)
    return None if part is None or not whole else 100 * part / whole


def _number(value: Value | None) -> float | None:
    return value if isinstance(value, float | int) else None
