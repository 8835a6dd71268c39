"""What is measured of a machine as cells of the table: the newest figure and a curve of the last minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent, Metric
from personadesk.ui.i18n import show, tr
from personadesk.ui.instances.rows import Column
from personadesk.ui.monitor.figures import FRAME_MS, scaled, written
from personadesk.ui.widgets.data_table import Cell
from personadesk.ui.widgets.spark import Spark

if TYPE_CHECKING:
    from personadesk.domain.sample import Value
    from personadesk.ui.monitor.source import Watch

__all__ = ["Figures"]

SECONDS = 60.0
POINTS = 48
"""Of a curve; it is about as many pixels wide."""
_NONE = Cell("–", faint=True)
_METRICS = {
    Column.USE: (Metric.GPU_USE, "%", 0),
    Column.MEMORY: (Metric.GPU_MEMORY_USED, "GB", 2),
    Column.FRAME: (Metric.SERVER_TICK_P99, "ms", 3),
}
"""What a column shows, its unit and the colour of its curve."""


class Figures:
    """Reads cells off the monitor."""

    def __init__(self, watch: Watch) -> None:
        """Take the monitor; it outlives this."""
        self._watch = watch

    def cell(self, host: str, column: Column) -> Cell:
        """Return what a cell says of a machine (its name in the monitor)."""
        if column is Column.CALLS:
            return self._calls(host)
        metric, unit, _ = _METRICS[column]
        value = self._value(host, metric, self._part(host, column))
        if value is None:
            return _NONE
        if isinstance(value, Absent):
            return Cell("–", tip=show(value.reason), faint=True)
        text = f"{written(value / scaled(metric), unit)} {unit}"
        part = self._part(host, column)
        feed = self._watch.feed
        count = len(feed.hosts[host].gpus) if feed is not None else 0
        tip = (
            tr("GPU {index}, the busiest of {count}", index=part, count=count)
            if count > 1 and part
            else ""
        )
        return Cell(text, tip=tip)

    def number(self, host: str, column: Column) -> float | None:
        """Return by what a row is sorted, None where it is not known."""
        metric = Metric.SERVER_SESSIONS if column is Column.CALLS else _METRICS[column][0]
        value = self._value(host, metric, self._part(host, column))
        return None if value is None or isinstance(value, Absent) else value

    def spark(self, host: str, column: Column) -> Spark | None:
        """Return the curve of a cell, None where there is none."""
        feed = self._watch.feed
        if feed is None or host not in feed.hosts or column not in _METRICS:
            return None
        from personadesk.monitor.ranges import reduced

        metric, _, series = _METRICS[column]
        part = self._part(host, column)
        end = self._watch.clock()
        found = reduced(feed.series(host, metric, part), end - SECONDS, end + 1, POINTS)
        if not len(found):
            return None
        high, limit = 100.0, None
        if column is Column.MEMORY:
            whole = feed.latest(host, Metric.GPU_MEMORY_TOTAL, part)
            high = float(found.high.max()) if whole is None or isinstance(whole, Absent) else whole
        elif column is Column.FRAME:
            limit = FRAME_MS
        return Spark((found.at - (end - SECONDS)) / SECONDS, found.high, high, series, limit)

    def _calls(self, host: str) -> Cell:
        calls = self._value(host, Metric.SERVER_SESSIONS)
        slots = self._value(host, Metric.SERVER_SLOTS)
        if calls is None:
            return _NONE
        if isinstance(calls, Absent):
            return Cell("–", tip=show(calls.reason), faint=True)
        if slots is None or isinstance(slots, Absent):
            return Cell(str(round(calls)))
        return Cell(tr("{calls} of {slots}", calls=round(calls), slots=round(slots)))

    def _part(self, host: str, column: Column) -> str:
        """Return which GPU stands for its machine: the busiest, or the fullest."""
        feed = self._watch.feed
        if feed is None or host not in feed.hosts or column not in {Column.USE, Column.MEMORY}:
            return ""
        metric = _METRICS[column][0]
        best, most = "", -1.0
        for index in feed.hosts[host].gpus:
            value = feed.latest(host, metric, index)
            if value is not None and not isinstance(value, Absent) and value > most:
                best, most = index, value
        return best or next(iter(feed.hosts[host].gpus), "")

    def _value(self, host: str, metric: Metric, part: str = "") -> Value | None:
        feed = self._watch.feed
        if feed is None or host not in feed.hosts:
            return None
        found = feed.latest(host, metric, part)
        if found is not None or part:
            return found
        # A voice server's figures have its id as their part.
        servers = sorted(feed.hosts[host].target.servers)
        return next(
            (value for each in servers if (value := feed.latest(host, metric, each)) is not None),
            None,
        )
