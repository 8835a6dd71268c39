"""What is measured: one record shape for a host's own figures and for the voice server's.

A figure that cannot be had is a value too: it carries the reason, sorts last, draws as a gap and prints as a dash.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

DASH = "–"


@dataclass(frozen=True, slots=True)
class Absent:
    """No value, and why.

    Attributes:
        reason: One sentence for the tooltip.
    """

    reason: Text

    def __str__(self) -> str:
        """What is shown in the value's place."""
        return DASH


Value = float | Absent


class Source(StrEnum):
    """Who measured."""

    HOST = "host"
    """The machine itself, by its system's own figures and `nvidia-smi`."""
    SERVER = "server"
    """The voice server's metrics route."""
    PROVIDER = "provider"
    """The provider's API, and what PersonaDesk adds up of its prices."""
    VOICE = "voice"
    """A call that PersonaDesk made itself, to hear whether a voice answers."""


class Metric(StrEnum):
    """What can be measured; the unit is in `UNITS`."""

    GPU_USE = "gpu.use"
    GPU_MEMORY_USE = "gpu.memory_use"
    """How busy the memory's bus is, not how full it is."""
    GPU_MEMORY_USED = "gpu.memory_used"
    GPU_MEMORY_TOTAL = "gpu.memory_total"
    GPU_TEMPERATURE = "gpu.temperature"
    GPU_MEMORY_TEMPERATURE = "gpu.memory_temperature"
    GPU_POWER = "gpu.power"
    GPU_POWER_LIMIT = "gpu.power_limit"
    GPU_CLOCK = "gpu.clock"
    GPU_MEMORY_CLOCK = "gpu.memory_clock"
    GPU_FAN = "gpu.fan"
    GPU_ECC_ERRORS = "gpu.ecc_errors"
    """Uncorrected errors since the driver was loaded."""
    GPU_THROTTLED = "gpu.throttled"
    """1 while heat, power or the hardware holds the clock down, else 0."""
    GPU_THROTTLE_REASONS = "gpu.throttle_reasons"
    """The driver's bits for what holds the clock down; `domain.throttle` has their words."""
    GPU_PCIE_GENERATION = "gpu.pcie_generation"
    """Of the link as it is now; idle cards go to a lower one to save power."""
    GPU_PCIE_WIDTH = "gpu.pcie_width"
    """Lanes of the link as it is now."""
    GPU_PCIE_RECEIVED = "gpu.pcie_received"
    GPU_PCIE_SENT = "gpu.pcie_sent"
    CPU_USE = "cpu.use"
    LOAD = "cpu.load"
    MEMORY_USED = "memory.used"
    MEMORY_TOTAL = "memory.total"
    DISK_USED = "disk.used"
    DISK_TOTAL = "disk.total"
    DISK_READ = "disk.read"
    DISK_WRITTEN = "disk.written"
    NET_RECEIVED = "net.received"
    NET_SENT = "net.sent"
    SERVER_TICK = "server.tick"
    """Mean since the last look; a frame lasts 80 ms, and so long may a tick take."""
    SERVER_TICK_P50 = "server.tick_p50"
    SERVER_TICK_P99 = "server.tick_p99"
    SERVER_LAG_P99 = "server.lag_p99"
    """From a frame's arrival to its answer."""
    SERVER_DROPPED = "server.dropped"
    """Frames passed over."""
    SERVER_SESSIONS = "server.sessions"
    SERVER_SLOTS = "server.slots"
    """How many calls it can hold."""
    SERVER_QUEUE = "server.queue"
    SERVER_MEMORY_MODEL = "server.memory_model"
    """GPU memory of the model's weights."""
    SERVER_MEMORY_CALLS = "server.memory_calls"
    """GPU memory of what calls remember: all places for callers, used or not, and prompts that are kept."""
    SERVER_UPTIME = "server.uptime"
    SERVER_ANSWER = "server.answer"
    """How long its figures took to come, the way there and back included."""
    MONEY_PRICE = "money.price"
    MONEY_SPENT = "money.spent"
    MONEY_PRICE_LIMIT = "money.price_limit"
    """What it may cost per hour at most."""
    MONEY_SPEND_LIMIT = "money.spend_limit"
    """What it may cost in all."""
    VOICE_ANSWERS = "voice.answers"
    """1 when a call of our own was answered with sound, 0 when not."""
    VOICE_CONNECT = "voice.connect"
    """Until the socket was open."""
    VOICE_READY = "voice.ready"
    """From the open socket until the voice said that it is ready."""
    VOICE_FIRST_SOUND = "voice.first_sound"
    VOICE_ROUND_TRIP = "voice.round_trip"
    """Of a ping on the call's own connection."""


UNITS: dict[Metric, str] = {
    Metric.GPU_USE: "%",
    Metric.GPU_MEMORY_USE: "%",
    Metric.GPU_MEMORY_USED: "B",
    Metric.GPU_MEMORY_TOTAL: "B",
    Metric.GPU_TEMPERATURE: "°C",
    Metric.GPU_MEMORY_TEMPERATURE: "°C",
    Metric.GPU_POWER: "W",
    Metric.GPU_POWER_LIMIT: "W",
    Metric.GPU_CLOCK: "MHz",
    Metric.GPU_MEMORY_CLOCK: "MHz",
    Metric.GPU_FAN: "%",
    Metric.GPU_ECC_ERRORS: "",
    Metric.GPU_THROTTLED: "",
    Metric.GPU_THROTTLE_REASONS: "",
    Metric.GPU_PCIE_GENERATION: "",
    Metric.GPU_PCIE_WIDTH: "",
    Metric.GPU_PCIE_RECEIVED: "B/s",
    Metric.GPU_PCIE_SENT: "B/s",
    Metric.CPU_USE: "%",
    Metric.LOAD: "",
    Metric.MEMORY_USED: "B",
    Metric.MEMORY_TOTAL: "B",
    Metric.DISK_USED: "B",
    Metric.DISK_TOTAL: "B",
    Metric.DISK_READ: "B/s",
    Metric.DISK_WRITTEN: "B/s",
    Metric.NET_RECEIVED: "B/s",
    Metric.NET_SENT: "B/s",
    Metric.SERVER_TICK: "ms",
    Metric.SERVER_TICK_P50: "ms",
    Metric.SERVER_TICK_P99: "ms",
    Metric.SERVER_LAG_P99: "ms",
    Metric.SERVER_DROPPED: "1/s",
    Metric.SERVER_SESSIONS: "",
    Metric.SERVER_SLOTS: "",
    Metric.SERVER_QUEUE: "",
    Metric.SERVER_MEMORY_MODEL: "B",
    Metric.SERVER_MEMORY_CALLS: "B",
    Metric.SERVER_UPTIME: "s",
    Metric.SERVER_ANSWER: "ms",
    Metric.MONEY_PRICE: "$/h",
    Metric.MONEY_SPENT: "$",
    Metric.MONEY_PRICE_LIMIT: "$/h",
    Metric.MONEY_SPEND_LIMIT: "$",
    Metric.VOICE_ANSWERS: "",
    Metric.VOICE_CONNECT: "s",
    Metric.VOICE_READY: "s",
    Metric.VOICE_FIRST_SOUND: "s",
    Metric.VOICE_ROUND_TRIP: "s",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure.

    Attributes:
        metric: What it is.
        part: Which of several: a GPU's index, a disk's folder; "" where there is one only.
        value: The figure in the metric's unit, or why there is none.
    """

    metric: Metric
    part: str
    value: Value


@dataclass(frozen=True, slots=True)
class Gpu:
    """Which GPU a part stands for.

    Attributes:
        index: As in `Reading.part`.
        uuid: The driver's name for this very card; "" where it does not tell.
        name: Its model.
        divided: Whether it is cut into parts (MIG), for which the driver tells no use.
    """

    index: str
    uuid: str
    name: str
    divided: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """All figures of one moment.

    Attributes:
        at: Unix time in seconds, by the clock here.
        source: Who measured.
        readings: The figures.
        gpus: The cards that the parts stand for.
        gpu_reason: Why there are none; empty when there are.
    """

    at: float
    source: Source
    readings: tuple[Reading, ...]
    gpus: tuple[Gpu, ...] = ()
    gpu_reason: Text = NOTHING

    def value(self, metric: Metric, part: str = "") -> Value | None:
        """Return one figure, or None when this sample has no such reading at all."""
        for reading in self.readings:
            if reading.metric is metric and reading.part == part:
                return reading.value
        return None

    def numbers(self) -> Iterator[tuple[Metric, str, float]]:
        """Walk the figures that are numbers, as a history keeps them."""
        for reading in self.readings:
            if not isinstance(reading.value, Absent):
                yield reading.metric, reading.part, reading.value
