"""The monitor's page and the graphs of a machine in their states, made of sample data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import monitor_samples
from monitor_samples import Machine, SampleFeed
from personadesk.domain.event import EventKind
from personadesk.ui.monitor.fleet import Owner
from personadesk.ui.monitor.page import MonitorPage
from personadesk.ui.monitor.source import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from personadesk.ui.shell import Page

__all__ = ["MONITOR_SCENES", "graphs_watch", "watch_of"]


async def _never() -> Any:
    raise AssertionError("a picture asks for nothing")


class StillWatch(Watch):
    """A monitor whose history answers at once, where no loop runs."""

    def ask(
        self,
        work: Coroutine[Any, Any, Any],
        _name: str,
        *,
        done: Callable[[Any], None],
        **_more: Any,
    ) -> None:
        """Go on with the answer."""
        try:
            work.send(None)
        except StopIteration as answer:
            done(answer.value)
        else:
            raise AssertionError("made-up figures wait for nothing")


def watch_of(feed: SampleFeed | None) -> Watch:
    """Return what the window knows of this monitor; None stands for one that is not open yet."""
    watch = StillWatch(
        _never,
        owner=lambda state: monitor_samples.OWNERS.get(state.target.name, Owner("", "AWS")),
        clock=lambda: feed.now if feed is not None else monitor_samples.NOW,
    )
    if feed is None:
        watch._begun = True  # it opens for ever
    else:
        watch.take(feed)
    return watch


def graphs_watch(host: str) -> Watch:
    """Return a monitor that knows this machine, with a hole in its figures and an event."""
    now = monitor_samples.NOW
    feed = SampleFeed({host: Machine(("A10",), gap=(now - 420, now - 360))})
    feed.miss(host, 420, 60, "SSH was away.")
    feed.tell_clock(host, held=True)
    feed.happen(host, EventKind.RESTARTED, 360, "The voice server was restarted.")
    return watch_of(feed)


def _page(feed: SampleFeed | None) -> Page:
    watch = watch_of(feed)
    page = MonitorPage(watch)
    watch.setParent(page)
    return page


def _few() -> SampleFeed:
    return SampleFeed({name: Machine(("L4",)) for name in (f"line-{n}" for n in range(16))})


MONITOR_SCENES: dict[str, Callable[[], Page]] = {
    "monitor": lambda: _page(monitor_samples.studio()),
    "monitor-sixteen": lambda: _page(_few()),
    "monitor-wall": lambda: _page(monitor_samples.wall()),
    "monitor-empty": lambda: _page(SampleFeed({})),
    "monitor-waiting": lambda: _page(None),
}
