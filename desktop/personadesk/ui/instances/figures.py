"""What is measured of the machines in sight in the table: the newest figure and a curve of the last minute.

Rows that cannot be seen cost nothing: their machines are not looked at, and nobody is told that they changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject

from personadesk.domain.sample import Absent, Metric
from personadesk.ui.i18n import show, tr
from personadesk.ui.instances.rows import Column
from personadesk.ui.monitor.figures import FRAME_MS, scaled, written
from personadesk.ui.widgets.data_table import Cell
from personadesk.ui.widgets.spark import Spark

if TYPE_CHECKING:
    from personadesk.domain.sample import Value
    from personadesk.ui.instances.table import InstanceTable
    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.widgets.data_table import DataTable

__all__ = ["Figures", "Sight"]

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


class Sight(QObject):
    """Keeps the figures of the rows in sight fresh, once a second, while the table can be seen."""

    def __init__(self, watch: Watch, table: DataTable, model: InstanceTable) -> None:
        """Follow a table.

        Args:
            watch: The monitor; it outlives the table.
            table: Shows the model.
            model: The machines.
        """
        super().__init__(table)
        self._watch = watch
        self._table = table
        self._model = model
        self._looked: set[str] = set()
        table.installEventFilter(self)
        watch.opened.connect(self.follow)
        watch.changed.connect(self.follow)
        table.verticalScrollBar().valueChanged.connect(self._mind)
        model.shown_changed.connect(self._mind)

    def follow(self) -> None:
        """Tell the rows in sight that their figures are others."""
        rows = self._mind()
        if rows is not None:
            self._model.tell_figures(*rows)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Begin when the table shows, end when it does not."""
        if event.type() == QEvent.Type.Show:
            self._watch.begin()
            self.follow()
        elif event.type() == QEvent.Type.Hide:
            self._look_at(set())
        return super().eventFilter(watched, event)

    def _mind(self) -> tuple[int, int] | None:
        """Look at the machines in sight; returns the first and the last row, None where there are none."""
        feed = self._watch.feed
        if feed is None:
            return None
        if not self._table.isVisible() or not self._model.rowCount():
            self._look_at(set())
            return None
        first = max(0, self._table.rowAt(0))
        last = self._table.rowAt(self._table.viewport().height() - 1)
        last = self._model.rowCount() - 1 if last < 0 else last
        self._look_at({tag for tag in self._model.tags(first, last) if tag in feed.hosts})
        return first, last

    def _look_at(self, wanted: set[str]) -> None:
        feed = self._watch.feed
        if feed is None or wanted == self._looked:
            return
        for name in wanted - self._looked:
            feed.look(name)
        for name in self._looked - wanted:
            feed.leave(name)
        self._looked = wanted
