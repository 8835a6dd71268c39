"""What stands beside a graph's figure: why there is nothing, what holds a card back, what the figure is made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent, Metric
from personadesk.domain.throttle import reasons
from personadesk.ui import moments
from personadesk.ui.i18n import show, tr
from personadesk.ui.monitor.figures import scaled, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.monitor.ranges import Range
    from personadesk.ui.monitor.figures import Panel
    from personadesk.ui.monitor.source import Feed
    from personadesk.ui.widgets.time_chart import TimeChart

__all__ = ["held_by", "known", "note"]


def note(
    feed: Feed, host: str, gpu: str, panel: Panel, chart: TimeChart, ranges: Sequence[Range]
) -> str:
    """Return what is to be known beside a graph's figure; "" for nothing.

    Args:
        feed: The monitor.
        host: The machine.
        gpu: Index of the GPU that shows.
        panel: Which graph.
        chart: It; it has its limit, shade and holes already.
        ranges: Its curves.
    """
    part = gpu if panel.per_gpu else ""
    newest = feed.latest(host, panel.lines[0].metric, part)
    hole = next(reversed(chart.holes), None)
    since = moments.since(hole.since, chart.span[1]) if hole is not None else ""
    if isinstance(newest, Absent):
        if hole is None or not math.isinf(hole.until):
            return show(newest.reason)
        return tr("none since {time}: {reason}", time=since, reason=hole.reason)
    if not any(len(each) for each in ranges):
        return tr("nobody tells this")
    if words := chart.shade_words():
        return tr("held back: {why}", why=words)
    if hole is not None:
        return tr("gap at {time}: {reason}", time=since, reason=hole.reason)
    match panel.lines[0].metric:
        case Metric.MONEY_SPENT if chart.limit is not None:
            return tr("limit {limit}", limit=written(chart.limit, panel.unit))
        case Metric.GPU_MEMORY_USED:
            return _split(feed, host, panel.unit)
        case Metric.GPU_PCIE_RECEIVED:
            generation = known(feed, host, Metric.GPU_PCIE_GENERATION, part)
            width = known(feed, host, Metric.GPU_PCIE_WIDTH, part)
            return (
                "" if generation is None or width is None else f"{generation:.0f}.0 × {width:.0f}"
            )
    return ""


def known(feed: Feed, host: str, metric: Metric, part: str = "") -> float | None:
    """Return the newest figure as it is drawn, None where it is not known."""
    value = feed.latest(host, metric, part)
    return None if value is None or isinstance(value, Absent) else value / scaled(metric)


def held_by(bits: float) -> str:
    """Return in words what holds a card's clock down."""
    return ", ".join(show(each) for each in reasons(bits))


def _split(feed: Feed, host: str, unit: str) -> str:
    """Say what fills the memory, where a voice server on the machine tells."""
    state = feed.hosts[host]
    for server in ("", *sorted(state.target.servers)):
        model = known(feed, host, Metric.SERVER_MEMORY_MODEL, server)
        calls = known(feed, host, Metric.SERVER_MEMORY_CALLS, server)
        if model is not None and calls is not None:
            return tr(
                "model {model} · calls {calls}",
                model=written(model, unit), calls=written(calls, unit),
            )  # fmt: skip
    return ""
