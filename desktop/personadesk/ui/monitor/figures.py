"""How figures are written, and which graphs there are of a machine. No Qt in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.event import EventKind
from personadesk.domain.report import LIMITS
from personadesk.domain.sample import UNITS, Metric
from personadesk.ui.i18n import language, mark, tr

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BAD_EVENTS", "FRAME_MS", "PANELS", "SPANS", "Line", "Panel", "scaled", "written"]

BAD_EVENTS = frozenset({EventKind.GPU_LOST, EventKind.ALARM_ON})
"""Marks of these are drawn as trouble."""
FRAME_MS = 80.0
"""A frame of sound lasts so long; a tick that takes longer is heard."""
FIRST_SOUND_S = next(each.most for each in LIMITS if each.key == "first_audio_s")
"""People expect an answer within so long."""
_GB, _KBIT = 1e9, 125.0
_OTHERWISE = {
    Metric.GPU_PCIE_RECEIVED: 1e6, Metric.GPU_PCIE_SENT: 1e6, Metric.VOICE_ROUND_TRIP: 1e-3,
}  # fmt: skip
"""What is not drawn in the unit that its kind is usually drawn in."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a graph.

    Attributes:
        metric: What it shows.
        name: English, marked; what the legend calls it, "" where it stands alone.
        series: Which curve colour (0 to 5).
        dashed: Whether it is drawn with gaps, to be told apart without colour.
    """

    metric: Metric
    name: str
    series: int
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph of a machine.

    Attributes:
        title: English, marked.
        unit: Written after the figure.
        lines: Its curves.
        high: Least value at the top of the axis, in `unit`.
        limit: A line that should not be crossed, in `unit`; a metric tells it, or it is fixed.
        whole: Figure that the value is a part of ("of 24 GB").
        per_gpu: Whether each GPU has its own.
        shade: Where this figure is not 0, the ground is shaded; it is the GPU's too.
        optional: Whether it only shows where somebody tells it.
    """

    title: str
    unit: str
    lines: tuple[Line, ...]
    high: float
    limit: float | None = None
    whole: Metric | None = None
    per_gpu: bool = False
    shade: Metric | None = None
    optional: bool = False


PANELS = (
    Panel(mark("GPU use"), "%", (Line(Metric.GPU_USE, "", 0),), 100.0, per_gpu=True),
    Panel(
        mark("GPU memory"), "GB", (Line(Metric.GPU_MEMORY_USED, "", 2),), 1.0,
        whole=Metric.GPU_MEMORY_TOTAL, per_gpu=True,
    ),
    Panel(
        mark("Frame time"), "ms",
        (Line(Metric.SERVER_TICK_P50, mark("p50"), 3), Line(Metric.SERVER_TICK_P99, mark("p99"), 1, dashed=True)),
        100.0, limit=FRAME_MS,
    ),
    Panel(
        mark("Calls"), "",
        (Line(Metric.SERVER_SESSIONS, mark("calls"), 0), Line(Metric.SERVER_QUEUE, mark("queue"), 1, dashed=True)),
        2.0, whole=Metric.SERVER_SLOTS,
    ),
    Panel(
        mark("Power"), "W", (Line(Metric.GPU_POWER, "", 1),), 100.0,
        whole=Metric.GPU_POWER_LIMIT, per_gpu=True,
    ),
    Panel(mark("Temperature"), "°C", (Line(Metric.GPU_TEMPERATURE, "", 4),), 100.0, limit=85.0, per_gpu=True),
    Panel(
        mark("Network"), "kbit/s",
        (Line(Metric.NET_RECEIVED, mark("in"), 2), Line(Metric.NET_SENT, mark("out"), 5, dashed=True)),
        100.0,
    ),
    Panel(mark("Cost"), "$", (Line(Metric.MONEY_SPENT, "", 0),), 1.0),
    Panel(
        mark("Clock"), "MHz", (Line(Metric.GPU_CLOCK, "", 0),), 1000.0, per_gpu=True,
        shade=Metric.GPU_THROTTLE_REASONS, optional=True,
    ),
    Panel(
        mark("PCIe"), "MB/s",
        (
            Line(Metric.GPU_PCIE_RECEIVED, mark("in"), 2),
            Line(Metric.GPU_PCIE_SENT, mark("out"), 5, dashed=True),
        ),
        100.0, per_gpu=True, optional=True,
    ),
    Panel(
        mark("Lag"), "ms", (Line(Metric.SERVER_LAG_P99, mark("p99"), 3),), 100.0, optional=True,
    ),
    Panel(
        mark("Frames passed over"), "1/s", (Line(Metric.SERVER_DROPPED, "", 1),), 1.0, optional=True,
    ),
    Panel(
        mark("Way there and back"), "ms",
        (
            Line(Metric.SERVER_ANSWER, mark("figures"), 2),
            Line(Metric.VOICE_ROUND_TRIP, mark("call"), 5, dashed=True),
        ),
        100.0, optional=True,
    ),
    Panel(
        mark("Test call"), "s",
        (
            Line(Metric.VOICE_FIRST_SOUND, mark("first sound"), 3),
            Line(Metric.VOICE_CONNECT, mark("connected"), 1, dashed=True),
        ),
        1.0, limit=FIRST_SOUND_S, optional=True,
    ),
    Panel(mark("Processor"), "%", (Line(Metric.CPU_USE, "", 0),), 100.0, optional=True),
    Panel(
        mark("Memory of the machine"), "GB", (Line(Metric.MEMORY_USED, "", 2),), 1.0,
        whole=Metric.MEMORY_TOTAL, optional=True,
    ),
)  # fmt: skip

SPANS: tuple[tuple[float, Callable[[], str]], ...] = (
    (60.0, lambda: tr("1 min")),
    (900.0, lambda: tr("15 min")),
    (3600.0, lambda: tr("1 h")),
    (6 * 3600.0, lambda: tr("6 h")),
    (24 * 3600.0, lambda: tr("24 h")),
    (30 * 86400.0, lambda: tr("30 days")),
)
"""Seconds that the graphs of a machine can show, and how that is called."""


def scaled(metric: Metric) -> float:
    """Return by how much a figure is divided before it is drawn or written."""
    return _OTHERWISE.get(metric) or {"B": _GB, "B/s": _KBIT}.get(UNITS[metric], 1.0)


def written(value: float, unit: str) -> str:
    """Return a figure in its graph's unit as people read it, without the unit."""
    if unit == "GB":
        return language().locale.toString(value, "f", 1)
    if unit in {"$", "s", "1/s"}:
        return language().locale.toString(value, "f", 2)
    return f"{value:.0f}"
