"""Makes readings of a voice server's `/metrics` page, in the record shape of a host's own figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent, Gpu, Metric, Reading, Value
from personadesk.domain.text import T
from personadesk.domain.throttle import bits_of
from personadesk.hosts.gpu_table import MIB, NOT_SUPPORTED
from personadesk.hosts.proc_figures import FIRST, NOT_TOLD
from personadesk.hosts.server_changes import NO_TICK, Changes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.hosts.exposition import Point

PREFIX = "personaplex_"
NO_NUMBER = Absent(T("The server sent something that is no number."))
NOT_ON_PAGE = Absent(T("This voice server does not tell it."))
NO_GPU = T("The voice server tells nothing of a GPU.")
ONLY_WHEN_HELD = Absent(T("The voice server tells it only while the card is held back."))

_GPU: dict[Metric, tuple[str, float]] = {
    Metric.GPU_USE: ("gpu_utilisation_percent", 1),
    Metric.GPU_MEMORY_USED: ("gpu_memory_used_mebibytes", MIB),
    Metric.GPU_MEMORY_TOTAL: ("gpu_memory_total_mebibytes", MIB),
    Metric.GPU_TEMPERATURE: ("gpu_temperature_celsius", 1),
    Metric.GPU_POWER: ("gpu_power_watts", 1),
    Metric.GPU_CLOCK: ("gpu_clock_megahertz", 1),
    Metric.GPU_MEMORY_CLOCK: ("gpu_memory_clock_megahertz", 1),
    Metric.GPU_PCIE_GENERATION: ("gpu_pcie_generation", 1),
    Metric.GPU_PCIE_WIDTH: ("gpu_pcie_width", 1),
    Metric.GPU_PCIE_RECEIVED: ("gpu_pcie_received_kibibytes_per_second", 1024),
    Metric.GPU_PCIE_SENT: ("gpu_pcie_sent_kibibytes_per_second", 1024),
    Metric.GPU_ECC_ERRORS: ("gpu_ecc_uncorrected", 1),
}
USUAL = (
    Metric.SERVER_UPTIME, Metric.SERVER_TICK, Metric.SERVER_SESSIONS, Metric.SERVER_SLOTS, Metric.SERVER_QUEUE,
    Metric.LOAD, Metric.MEMORY_USED, Metric.MEMORY_TOTAL,
)  # fmt: skip
"""What every server's page has, by which a server that never answered is described."""


class ServerFigures:
    """Takes page after page of one server; times of ticks are differences between two."""

    def __init__(self) -> None:
        self._instance = ""
        self._ticks: dict[str, tuple[float, float]] = {}
        self._changes = Changes()

    def forget(self) -> None:
        """Drop what the last page told: nobody knows what was between."""
        self._ticks = {}
        self._changes.forget()

    def take(self, points: Iterable[Point]) -> tuple[tuple[Reading, ...], tuple[Gpu, ...]]:
        """Return a page's readings, and the cards that their parts stand for.

        The engine that answers callers who do not choose has the part "", others have their names.
        """
        page = Page(points)
        info = page.labels("info")
        if info.get("instance", "") != self._instance:
            self._instance = info.get("instance", "")
            self.forget()
        engines = page.each("sessions", "engine")
        default = info.get("engine") or next(iter(engines), "")
        ticks: dict[str, tuple[float, float]] = {}
        uptime = page.value("uptime_seconds")
        self._changes.begin(uptime)
        readings = [Reading(Metric.SERVER_UPTIME, "", uptime)]
        for engine in [default, *(each for each in engines if each != default)]:
            part = "" if engine == default else engine
            readings += (
                Reading(Metric.SERVER_TICK, part, self._tick(page, engine, ticks)),
                *self._changes.readings(page, engine, part),
                Reading(Metric.SERVER_SESSIONS, part, page.value("sessions", engine=engine)),
                Reading(Metric.SERVER_SLOTS, part, page.value("slots", engine=engine)),
                Reading(Metric.SERVER_QUEUE, part, page.value("queue", engine=engine)),
                *_memory(page, engine, part),
            )
        self._ticks = ticks
        gpus = _gpus(page)
        cards = [reading for gpu in gpus for reading in _card(page, gpu.index)]
        return (*readings, *_machine(page), *cards), gpus

    def _tick(self, page: Page, engine: str, ticks: dict[str, tuple[float, float]]) -> Value:
        """Return the mean time of the ticks since the last page, in milliseconds."""
        total = page.value("tick_seconds_sum", engine=engine)
        count = page.value("tick_seconds_count", engine=engine)
        if isinstance(total, Absent):
            return total
        if isinstance(count, Absent):
            return count
        ticks[engine] = total, count
        before = self._ticks.get(engine)
        if before is None or count < before[1] or total < before[0]:
            return FIRST
        if count == before[1]:
            return NO_TICK
        return 1000 * (total - before[0]) / (count - before[1])


class Page:
    """One page, by name and labels."""

    def __init__(self, points: Iterable[Point]) -> None:
        self._points: dict[str, list[Point]] = {}
        for point in points:
            self._points.setdefault(point.name.removeprefix(PREFIX), []).append(point)

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of the first figure of a name."""
        return dict(next((point.labels for point in self._points.get(name, ())), {}))

    def each(self, name: str, label: str) -> dict[str, Point]:
        """Return a name's figures by one of their labels, in the page's order."""
        found = self._points.get(name, ())
        return {point.labels[label]: point for point in found if label in point.labels}

    def value(self, name: str, missing: Absent = NOT_ON_PAGE, /, **labels: str) -> Value:
        """Return the figure that has these labels, whatever others it has."""
        for point in self._points.get(name, ()):
            if labels.items() <= point.labels.items():
                return point.value if math.isfinite(point.value) else NO_NUMBER
        return missing

    def histogram(self, name: str, engine: str) -> dict[float, float]:
        """Return a histogram's counts up to each bound, empty when the page has none."""
        return {
            float(point.labels["le"]): point.value
            for point in self._points.get(f"{name}_bucket", ())
            if point.labels.get("engine") == engine and "le" in point.labels
        }

    def throttles(self, gpu: str) -> list[str]:
        """Return why a card is held back now."""
        found = self._points.get("gpu_throttled", ())
        return [
            point.labels.get("reason", "")
            for point in found
            if point.labels.get("gpu") == gpu and point.value == 1
        ]


def _memory(page: Page, engine: str, part: str) -> tuple[Reading, ...]:
    """Return for what the engine's memory is there; nothing for one that does not tell."""
    model, rows, prompts = (
        page.value("engine_figure", engine=engine, figure=figure)
        for figure in ("weights_bytes", "rows_bytes", "prompts_bytes")
    )
    if isinstance(model, Absent) or isinstance(rows, Absent):
        return ()
    kept = 0.0 if isinstance(prompts, Absent) else prompts
    return (
        Reading(Metric.SERVER_MEMORY_MODEL, part, model),
        Reading(Metric.SERVER_MEMORY_CALLS, part, rows + kept),
    )


def _machine(page: Page) -> tuple[Reading, ...]:
    total = _times(page.value("host_memory_total_mebibytes", NOT_TOLD), MIB)
    free = _times(page.value("host_memory_free_mebibytes", NOT_TOLD), MIB)
    used = total - free if isinstance(total, float) and isinstance(free, float) else NOT_TOLD
    return (
        Reading(Metric.LOAD, "", page.value("cpu_load", NOT_TOLD)),
        Reading(Metric.MEMORY_USED, "", used),
        Reading(Metric.MEMORY_TOTAL, "", total),
    )


def _gpus(page: Page) -> tuple[Gpu, ...]:
    found = {
        index: Gpu(index, "", point.labels.get("name", ""))
        for name, _ in _GPU.values()
        for index, point in page.each(name, "gpu").items()
    }
    return tuple(found[index] for index in sorted(found, key=lambda each: (len(each), each)))


def _card(page: Page, index: str) -> list[Reading]:
    missing = Absent(NOT_SUPPORTED)
    readings = [
        Reading(metric, index, _times(page.value(name, missing, gpu=index), factor))
        for metric, (name, factor) in _GPU.items()
    ]
    bits = bits_of(page.throttles(index))
    return [
        *readings,
        Reading(Metric.GPU_THROTTLE_REASONS, index, float(bits) if bits else ONLY_WHEN_HELD),
        Reading(Metric.GPU_THROTTLED, index, 1.0 if bits else ONLY_WHEN_HELD),
    ]


def _times(value: Value, factor: float) -> Value:
    return value if isinstance(value, Absent) else value * factor
