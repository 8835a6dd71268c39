"""The curves of many GPUs over one stretch of time: the last hour from memory, longer ones read bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from personadesk.ui.messages import bus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.event import Event
    from personadesk.domain.sample import Metric
    from personadesk.monitor.ranges import Range
    from personadesk.ui.monitor.fleet import Card
    from personadesk.ui.monitor.source import Watch

    Key = tuple[str, str, Metric]

__all__ = ["POINTS", "RING_SECONDS", "Curves"]

RING_SECONDS = 3600.0
"""So much lies in memory."""
POINTS = 160
"""About as many as a tile's graph is wide in pixels."""
AT_ONCE = 8
"""Curves that are read in one go."""
EVENTS_SECONDS = 10.0


class Curves(QObject):
    """Hands out curves, and reads what is not there.

    Signals:
        arrived: Something was read that was asked for before.
    """

    arrived = Signal()

    def __init__(self, watch: Watch, parent: QObject | None = None) -> None:
        """Take the monitor; it outlives this."""
        super().__init__(parent)
        self._watch = watch
        self._edges = (0.0, 1.0)
        self._kept: dict[Key, tuple[float, Range]] = {}
        self._wanted: dict[Key, None] = {}
        self._reading = False
        self._events: Sequence[Event] = ()
        self._events_at = 0.0
        self._reading_events = False

    @property
    def edges(self) -> tuple[float, float]:
        """Unix times of the left and right edge."""
        return self._edges

    def show(self, start: float, end: float, *, fresh: bool = False) -> None:
        """Take another stretch.

        Args:
            start: Unix time of the left edge.
            end: Unix time of the right edge.
            fresh: Whether what was read before is of no use any more.
        """
        self._edges = (start, end)
        if fresh:
            self._kept.clear()
            self._wanted.clear()
            self._events_at = 0.0
        self._read_events()

    def get(self, card: Card) -> tuple[Range, ...]:
        """Return a curve for each of a card's metrics, in the metric's unit; empty where it is not read yet."""
        return tuple(self.curve(card, metric) for metric in card.metrics)

    def curve(self, card: Card, metric: Metric, points: int = POINTS) -> Range:
        """Return one curve; see `get`. One that is not in memory is read, and `arrived` tells of it.

        Args:
            card: The GPU.
            metric: What.
            points: Most points, of a curve in memory.
        """
        from personadesk.monitor.ranges import nothing, reduced

        feed = self._watch.feed
        start, end = self._edges
        now = self._watch.clock()
        if feed is None or card.host not in feed.hosts:
            return nothing()
        part = part_of(card, metric)
        if now - start <= RING_SECONDS:
            return reduced(feed.series(card.host, metric, part), start, end, points)
        key = (card.host, part, metric)
        at, kept = self._kept.get(key, (0.0, None))
        if kept is None or now - at >= (end - start) / POINTS:
            self._wanted[key] = None
            self._read()
            # What is made up is there at once.
            _, kept = self._kept.get(key, (0.0, kept))
        return nothing() if kept is None else kept

    def events(self, host: str) -> list[Event]:
        """Return what happened to a machine in the stretch."""
        start, end = self._edges
        return [each for each in self._events if each.host == host and start <= each.at <= end]

    def _read(self) -> None:
        if self._reading or not self._wanted:
            return
        self._reading = True
        some = list(self._wanted)[:AT_ONCE]
        edges = self._edges

        def done(found: list[Range]) -> None:
            self._reading = False
            if edges[1] - edges[0] == self._edges[1] - self._edges[0]:
                now = self._watch.clock()
                for key, curve in zip(some, found, strict=True):
                    self._kept[key] = (now, curve)
                    self._wanted.pop(key, None)
                self.arrived.emit()
            self._read()

        def failed(error: Exception) -> None:
            self._reading = False
            self._wanted.clear()
            bus().error(error)

        self._watch.ask(
            self._gather(some, *edges), "read the history", owner=self, done=done, failed=failed
        )

    async def _gather(self, keys: Sequence[Key], start: float, end: float) -> list[Range]:
        from personadesk.monitor.ranges import nothing

        feed = self._watch.feed
        if feed is None:
            return [nothing() for _ in keys]
        return [
            await feed.range(host, metric, part, start=start, end=end, points=POINTS)
            for host, part, metric in keys
        ]

    def _read_events(self) -> None:
        feed = self._watch.feed
        now = self._watch.clock()
        if feed is None or self._reading_events or now - self._events_at < EVENTS_SECONDS:
            return
        self._reading_events = True
        self._events_at = now

        def done(found: Sequence[Event]) -> None:
            self._reading_events = False
            if list(found) != list(self._events):
                self._events = found
                self.arrived.emit()

        def failed(error: Exception) -> None:
            self._reading_events = False
            bus().error(error)

        work = feed.events(*self._edges)
        self._watch.ask(work, "read events", owner=self, done=done, failed=failed)


def part_of(card: Card, metric: Metric) -> str:
    """Return of which part a card shows a figure; voices belong to the machine, not to one of its cards."""
    return "" if metric.value.startswith("server.") else card.part
