"""What the window knows of the monitor: opened when somebody first wants to see figures, shared by every view."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from PySide6.QtCore import QObject, Signal

from personadesk.ui.messages import bus
from personadesk.ui.spawn import spawn
from personadesk.ui.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from personadesk.domain.alarm import Alarm
    from personadesk.domain.event import Event
    from personadesk.domain.gap import Gap
    from personadesk.domain.sample import Metric, Sample, Value
    from personadesk.monitor.ranges import Range
    from personadesk.monitor.state import HostState
    from personadesk.ui.monitor.fleet import Owner

__all__ = ["Feed", "Watch"]

R = TypeVar("R")

ROUND_MS = 1000


class Standings(Protocol):
    """Which alarms are on."""

    @property
    def active(self) -> tuple[Alarm, ...]:
        """Oldest first."""


class Feed(Protocol):
    """What the drawing asks of `personadesk.monitor.monitor.Monitor`; see there."""

    @property
    def alarms(self) -> Standings:
        """Which alarms are on."""

    @property
    def hosts(self) -> Mapping[str, HostState]:
        """Every machine."""

    def look(self, host: str) -> None:
        """Sample once a second."""

    def leave(self, host: str) -> None:
        """End a look."""

    def latest(self, host: str, metric: Metric, part: str = "") -> Value | None:
        """Return the newest figure."""

    def series(self, host: str, metric: Metric, part: str = "") -> Range:
        """Return the last hour."""

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

    async def events(self, start: float, end: float, host: str | None = None) -> Sequence[Event]:
        """Return what happened."""

    async def gaps(self, start: float, end: float, host: str | None = None) -> Sequence[Gap]:
        """Return when figures were missing, and why."""

    def subscribe(self, callback: Callable[[str, Sample], None]) -> Callable[[], None]:
        """Tell every sample."""

    def subscribe_alarms(self, callback: Callable[[Alarm], None]) -> Callable[[], None]:
        """Tell every alarm that begins or ends."""


class Watch(QObject):
    """Holds the monitor and tells the views, together and at most once a second, that there is something new.

    Attributes:
        clock: Unix time.
        owner: Tells which line a machine carries, and whose it is; None where nobody can.

    Signals:
        opened: The monitor is open.
        sampled: One machine told something (its name in the monitor, the sample).
        changed: Something is new; at most once a second.
    """

    opened = Signal()
    sampled = Signal(str, object)
    changed = Signal()

    def __init__(
        self,
        opener: Callable[[], Awaitable[Any]],
        *,
        owner: Callable[[HostState], Owner] | None = None,
        clock: Callable[[], float] = time.time,
        parent: QObject | None = None,
    ) -> None:
        """Make it; nothing is measured before `begin`.

        Args:
            opener: Opens the monitor.
            owner: Tells which line a machine carries, and whose it is.
            clock: Unix time.
        """
        super().__init__(parent)
        self._opener = opener
        self.owner = owner
        self.clock = clock
        self._feed: Feed | None = None
        self._begun = False
        self._tell = Throttle(self.changed.emit, ROUND_MS, self)

    @property
    def feed(self) -> Feed | None:
        """The monitor, None until it is open."""
        return self._feed

    def begin(self) -> None:
        """Open the monitor; harmless when that was done. A failure is told, and the next call tries again."""
        if not self._begun:
            self._begun = True
            spawn(self._open(), "open the monitor", owner=self, done=self.take, failed=self._fail)

    def take(self, feed: Feed) -> None:
        """Follow this monitor from now on."""
        self._begun = True
        self._feed = feed
        feed.subscribe(self._hear)
        self.opened.emit()
        self.changed.emit()

    def ask(
        self,
        work: Coroutine[Any, Any, R],
        name: str,
        *,
        owner: QObject,
        done: Callable[[R], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Let something be read from the history; see `spawn`. Pictures answer at once."""
        spawn(work, name, owner=owner, done=done, failed=failed)

    async def _open(self) -> Feed:
        feed: Feed = await self._opener()
        return feed

    def _fail(self, error: Exception) -> None:
        self._begun = False
        bus().error(error)

    def _hear(self, host: str, sample: Sample) -> None:
        self.sampled.emit(host, sample)
        self._tell()
