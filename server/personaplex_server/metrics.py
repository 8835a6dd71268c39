"""What `/metrics` tells Prometheus, in its text format.

The format is a dozen lines to write, so that a GPU host needs no client library for it.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0)
"""Bounds for times of ticks and delays; a frame lasts 0.08 s."""
_PREFIX: Final = "personaplex_"


class Histogram:
    """Counts of values up to each bound; one thread observes, any may read."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: Mapping[str, object]) -> Iterator[str]:
        """Yield the samples of a histogram."""
        counts, total = list(self._counts), 0
        for bound, count in zip(
            [*(f"{each:g}" for each in self._bounds), "+Inf"], counts, strict=True
        ):
            total += count
            yield sample(f"{name}_bucket", total, {**labels, "le": bound})
        yield sample(f"{name}_sum", self._sum, labels)
        yield sample(f"{name}_count", total, labels)


def sample(name: str, value: float, labels: Mapping[str, object]) -> str:
    """Return one line: a name, its labels and the value."""
    inside = ",".join(f'{key}="{_escaped(str(each))}"' for key, each in labels.items())
    return f"{name}{{{inside}}} {value:.10g}" if inside else f"{name} {value:.10g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Page:
    """Collects samples by metric, since all of one must stand together."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(
        self, name: str, kind: str, meaning: str, value: float | None, /, **labels: object
    ) -> None:
        """Add a sample of a gauge or counter; without a value it is left out."""
        if value is not None:
            self._of(name, kind, meaning).append(sample(_PREFIX + name, value, labels))

    def add_histogram(
        self, name: str, meaning: str, values: Histogram, /, **labels: object
    ) -> None:
        """Add the samples of a histogram."""
        self._of(name, "histogram", meaning).extend(values.lines(_PREFIX + name, labels))

    def _of(self, name: str, kind: str, meaning: str) -> list[str]:
        head = [f"# HELP {_PREFIX}{name} {meaning}", f"# TYPE {_PREFIX}{name} {kind}"]
        return self._lines.setdefault(name, head)

    def text(self) -> str:
        """Return the whole page."""
        return "\n".join(line for lines in self._lines.values() for line in lines) + "\n"


_GPU: Final = {
    "utilisation": ("gpu_utilisation_percent", "Time in which the card computed."),
    "memory_used_mib": ("gpu_memory_used_mebibytes", "Memory in use."),
    "memory_total_mib": ("gpu_memory_total_mebibytes", "Memory of the card."),
    "power_w": ("gpu_power_watts", "Power drawn."),
    "temperature_c": ("gpu_temperature_celsius", "Temperature."),
    "clock_mhz": ("gpu_clock_megahertz", "Clock of the processors."),
    "memory_clock_mhz": ("gpu_memory_clock_megahertz", "Clock of the memory."),
    "pcie_generation": ("gpu_pcie_generation", "PCIe generation of the link now."),
    "pcie_width": ("gpu_pcie_width", "Lanes of the PCIe link now."),
    "pcie_received_kib_s": ("gpu_pcie_received_kibibytes_per_second", "Received over PCIe."),
    "pcie_sent_kib_s": ("gpu_pcie_sent_kibibytes_per_second", "Sent over PCIe."),
    "ecc_uncorrected": (
        "gpu_ecc_uncorrected",
        "Memory errors that could not be mended, since the driver started.",
    ),
}


def add_machine(page: Page, machine: Mapping[str, Any]) -> None:
    """Add what `gpu.readings` read; a reading that is not to be had is left out."""
    cpu = machine["cpu"]
    page.add("cpu_count", "gauge", "Processors.", cpu.get("count"))
    page.add("cpu_load", "gauge", "Load of the last minute.", cpu.get("load_1min"))
    for key in ("memory_total_mib", "memory_free_mib"):
        name = key.replace("_mib", "_mebibytes")
        page.add(f"host_{name}", "gauge", "Memory of the machine.", cpu.get(key))
    for number, card in enumerate(machine.get("gpus", ())):
        for key, (name, meaning) in _GPU.items():
            page.add(name, "gauge", meaning, card.get(key), gpu=number, name=card["name"])
        for reason in card.get("throttled") or ():
            page.add("gpu_throttled", "gauge", "Why the card runs slower than it could.", 1,
                gpu=number, name=card["name"], reason=reason)  # fmt: skip
