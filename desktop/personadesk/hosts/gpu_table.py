"""Reads what `nvidia-smi --query-gpu` prints: a row a card, and every way it has of saying that it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent, Gpu, Metric, Reading, Value
from personadesk.domain.text import T, Text
from personadesk.domain.throttle import HELD_DOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1 << 20

FIGURES: dict[str, Metric] = {
    "utilization.gpu": Metric.GPU_USE,
    "utilization.memory": Metric.GPU_MEMORY_USE,
    "memory.used": Metric.GPU_MEMORY_USED,
    "memory.total": Metric.GPU_MEMORY_TOTAL,
    "temperature.gpu": Metric.GPU_TEMPERATURE,
    "temperature.memory": Metric.GPU_MEMORY_TEMPERATURE,
    "power.draw": Metric.GPU_POWER,
    "enforced.power.limit": Metric.GPU_POWER_LIMIT,
    "clocks.current.sm": Metric.GPU_CLOCK,
    "clocks.current.memory": Metric.GPU_MEMORY_CLOCK,
    "pcie.link.gen.current": Metric.GPU_PCIE_GENERATION,
    "pcie.link.width.current": Metric.GPU_PCIE_WIDTH,
    "fan.speed": Metric.GPU_FAN,
    "ecc.errors.uncorrected.volatile.total": Metric.GPU_ECC_ERRORS,
    "clocks_event_reasons.active": Metric.GPU_THROTTLE_REASONS,
}
OLD_NAMES = {
    "power.limit": "enforced.power.limit",
    "clocks.sm": "clocks.current.sm",
    "clocks_throttle_reasons.active": "clocks_event_reasons.active",
}
"""What older drivers call the same; `nvidia.sh` falls back to them."""
# The name comes last: it is the one value that might hold a comma.
FIELDS = ("index", "uuid", "mig.mode.current", *FIGURES, "name")

NOT_SUPPORTED = T("This card does not tell it.")
NOT_KNOWN = T("This driver does not know this figure.")
DIVIDED = T("The card is divided into parts (MIG); the driver tells no use then.")
_REASONS: dict[str, Text] = {
    "n/a": NOT_SUPPORTED,
    "": NOT_SUPPORTED,
    "not supported": NOT_SUPPORTED,
    "requested functionality has been deprecated": NOT_KNOWN,
    "unknown error": T("The driver could not read it (unknown error)."),
    "insufficient permissions": T("The user there may not read it."),
    "gpu requires reset": T("The card has failed and wants a restart of the machine."),
    "gpu is lost": T("The card has dropped off the machine's bus; restart the machine."),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One card at one moment.

    Attributes:
        gpu: Which card.
        readings: Its figures; those that cannot be had carry the reason.
    """

    gpu: Gpu
    readings: tuple[Reading, ...]


def read_row(line: str, fields: Sequence[str]) -> Row | None:
    """Read one line, or return None when it is no row of these fields (a message of the program, for one)."""
    values = [each.strip() for each in line.split(",", len(fields) - 1)]
    if len(values) != len(fields):
        return None
    known = {
        OLD_NAMES.get(field, field): value for field, value in zip(fields, values, strict=True)
    }
    index = known.get("index", "")
    if not index.isdigit():
        return None
    divided = known.get("mig.mode.current", "").lower() == "enabled"
    gpu = Gpu(index, _plain(known.get("uuid", "")), known.get("name", ""), divided)
    readings = tuple(
        Reading(metric, index, _value(field, known.get(field), divided))
        for field, metric in FIGURES.items()
    )
    held = next(each.value for each in readings if each.metric is Metric.GPU_THROTTLE_REASONS)
    throttled = held if isinstance(held, Absent) else float(held > 0)
    return Row(gpu, (*readings, Reading(Metric.GPU_THROTTLED, index, throttled)))


def _value(field: str, text: str | None, divided: bool) -> Value:
    if text is None:
        return Absent(NOT_KNOWN)
    if field == "clocks_event_reasons.active":
        try:
            return float(int(text, 16) & HELD_DOWN)
        except ValueError:
            return absent(text)
    word = text.split(" ")[0]
    try:
        number = float(word)
    except ValueError:
        if divided and field.startswith("utilization."):
            return Absent(DIVIDED)
        return absent(text)
    return number * MIB if field.startswith("memory.") else number


def absent(text: str) -> Absent:
    """Return why there is no value, from what the program printed in its place."""
    bare = text.strip().strip("[]").strip()
    reason = _REASONS.get(bare.lower())
    return Absent(reason or T("The driver says: {text}", text=bare))


def _plain(text: str) -> str:
    return "" if text.startswith("[") or text == "N/A" else text
