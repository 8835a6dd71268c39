"""What a voice server's counters say of the time between two pages: how ticks and lags were spread, and drops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent, Metric, Reading, Value
from personadesk.domain.text import T
from personadesk.hosts.proc_figures import FIRST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class _Page(Protocol):
        def histogram(self, name: str, engine: str) -> dict[float, float]: ...
        def value(self, name: str, /, **labels: str) -> Value: ...


NO_TICK = Absent(T("The model did nothing since the last look."))
_SPREADS: tuple[tuple[str, tuple[tuple[Metric, float], ...]], ...] = (
    ("tick_seconds", ((Metric.SERVER_TICK_P50, 0.5), (Metric.SERVER_TICK_P99, 0.99))),
    ("lag_seconds", ((Metric.SERVER_LAG_P99, 0.99),)),
)


class Changes:
    """Keeps the last page's counters, and makes figures of what was added since."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], dict[float, float]] = {}
        self._dropped: dict[str, tuple[float, float]] = {}
        self._uptime = 0.0

    def forget(self) -> None:
        """Drop what the last page told."""
        self._before.clear()
        self._dropped.clear()

    def begin(self, uptime: Value) -> None:
        """Begin a page; its age in seconds is the clock that drops are counted by."""
        now = 0.0 if isinstance(uptime, Absent) else uptime
        if now < self._uptime:
            self.forget()
        self._uptime = now

    def readings(self, page: _Page, engine: str, part: str) -> tuple[Reading, ...]:
        """Return an engine's figures; nothing for histograms that the page does not have."""
        found: list[Reading] = []
        for name, wanted in _SPREADS:
            counts = page.histogram(name, engine)
            if not counts:
                continue
            before = self._before.get((name, engine))
            self._before[name, engine] = counts
            found += [
                Reading(metric, part, _quantile(before, counts, share))
                for metric, share in wanted
            ]  # fmt: skip
        dropped = page.value("dropped_frames_total", engine=engine)
        if not isinstance(dropped, Absent):
            last = self._dropped.get(engine)
            self._dropped[engine] = self._uptime, dropped
            found.append(Reading(Metric.SERVER_DROPPED, part, _rate(last, self._uptime, dropped)))
        return tuple(found)


def _rate(last: tuple[float, float] | None, now: float, count: float) -> Value:
    if last is None or now <= last[0] or count < last[1]:
        return FIRST
    return (count - last[1]) / (now - last[0])


def _quantile(
    before: Mapping[float, float] | None, counts: Mapping[float, float], share: float
) -> Value:
    """Return a quantile in milliseconds, straight between a bucket's bounds as Prometheus reckons it."""
    if before is None or before.keys() != counts.keys():
        return FIRST
    bounds = sorted(counts)
    added = [counts[bound] - before[bound] for bound in bounds]
    if min(added) < 0:
        return FIRST
    total = added[-1]
    if total <= 0:
        return NO_TICK
    rank = share * total
    low, below = 0.0, 0.0
    for bound, count in zip(bounds, added, strict=True):
        if count >= rank:
            if bound == float("inf"):
                # Beyond the last bound nothing is known but that it was more.
                return 1000 * low
            return 1000 * (low + (bound - low) * (rank - below) / (count - below))
        low, below = bound, count
    return 1000 * low
