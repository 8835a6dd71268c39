"""Reads what a Linux system says of itself in /proc: use, memory, disk and network, as differences where it counts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from personadesk.domain.sample import Absent, Metric, Reading, Value
from personadesk.domain.text import T

SECTOR = 512
FIRST = Absent(T("It takes two looks to tell; wait a moment."))
NOT_TOLD = Absent(T("The machine does not tell it."))

_WHOLE_DISK = re.compile(r"(sd[a-z]+|vd[a-z]+|xvd[a-z]+|hd[a-z]+|nvme\d+n\d+|mmcblk\d+)$")
"""Partitions and stacked devices would count the same bytes again."""
_IGNORED_NETS = ("lo", "docker", "veth", "br-", "virbr", "cni", "flannel")


@dataclass(slots=True)
class _Counters:
    at: float = 0.0
    cpu: tuple[int, int] | None = None
    disk: tuple[int, int] | None = None
    net: tuple[int, int] | None = None


@dataclass(slots=True)
class _Tick:
    load: float | None = None
    cpu: tuple[int, int] | None = None
    memory: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    disk: tuple[int, int] | None = None
    net: tuple[int, int] | None = None


class ProcFigures:
    """Takes the lines of `metrics.sh` and gives readings at each tick."""

    def __init__(self, folder: str = "") -> None:
        self._folder = folder
        self._before = _Counters()
        self._tick = _Tick()
        self._volume: tuple[int, int] | None = None

    def take(self, kind: str, text: str) -> tuple[Reading, ...] | None:
        """Take a line; returns readings when it ended a tick.

        Args:
            kind: The line's letter.
            text: The rest of it.

        Raises:
            ValueError: It is not what such a line looks like.
        """
        words = text.split()
        if kind == "C":
            numbers = [int(word) for word in words[1:9]]
            idle = numbers[3] + (numbers[4] if len(numbers) > 4 else 0)
            self._tick.cpu = (sum(numbers) - idle, sum(numbers))
        elif kind == "L":
            self._tick.load = float(words[0])
        elif kind == "M":
            self._tick.memory[words[0]] = int(words[1]) * 1024
        elif kind == "K":
            if len(words) == 2 and words[1].isdigit():
                self._tick.limits[words[0]] = int(words[1])
        elif kind == "N":
            if not words[0].startswith(_IGNORED_NETS):
                self._tick.net = _add(self._tick.net, int(words[1]), int(words[9]))
        elif kind == "D":
            if _WHOLE_DISK.match(words[2]):
                read, written = int(words[5]) * SECTOR, int(words[9]) * SECTOR
                self._tick.disk = _add(self._tick.disk, read, written)
        elif kind == "V":
            total, used = int(words[-5]) * 1024, int(words[-4]) * 1024
            self._volume = (used, total)
        elif kind == "T":
            return self._readings(float(words[0]))
        return None

    def _readings(self, at: float) -> tuple[Reading, ...]:
        now, before = self._tick, self._before
        seconds = at - before.at
        used, total = _memory(now)
        disk = _rates(before.disk, now.disk, seconds)
        net = _rates(before.net, now.net, seconds)
        volume = self._volume or (None, None)
        self._before = _Counters(at, now.cpu, now.disk, now.net)
        self._tick = _Tick()
        return (
            Reading(Metric.CPU_USE, "", _busy(before.cpu, now.cpu)),
            Reading(Metric.LOAD, "", _or(now.load)),
            Reading(Metric.MEMORY_USED, "", _or(used)),
            Reading(Metric.MEMORY_TOTAL, "", _or(total)),
            Reading(Metric.DISK_USED, self._folder, _or(volume[0])),
            Reading(Metric.DISK_TOTAL, self._folder, _or(volume[1])),
            Reading(Metric.DISK_READ, "", disk[0]),
            Reading(Metric.DISK_WRITTEN, "", disk[1]),
            Reading(Metric.NET_RECEIVED, "", net[0]),
            Reading(Metric.NET_SENT, "", net[1]),
        )


def _add(known: tuple[int, int] | None, first: int, second: int) -> tuple[int, int]:
    return (first, second) if known is None else (known[0] + first, known[1] + second)


def _or(value: float | None) -> Value:
    return NOT_TOLD if value is None else float(value)


def _busy(before: tuple[int, int] | None, now: tuple[int, int] | None) -> Value:
    if now is None:
        return NOT_TOLD
    if before is None:
        return FIRST
    passed = now[1] - before[1]
    if passed <= 0:
        return FIRST
    return min(100.0, max(0.0, 100.0 * (now[0] - before[0]) / passed))


def _rates(
    before: tuple[int, int] | None, now: tuple[int, int] | None, seconds: float
) -> tuple[Value, Value]:
    if now is None:
        return NOT_TOLD, NOT_TOLD
    # Counters go back when a device goes away or the machine restarts; that is no rate.
    if before is None or seconds <= 0 or now[0] < before[0] or now[1] < before[1]:
        return FIRST, FIRST
    return (now[0] - before[0]) / seconds, (now[1] - before[1]) / seconds


def _memory(tick: _Tick) -> tuple[int | None, int | None]:
    total, free = tick.memory.get("MemTotal"), tick.memory.get("MemAvailable")
    limit, current = tick.limits.get("max"), tick.limits.get("current")
    if limit is not None and current is not None and (total is None or limit < total):
        # In a container the whole machine's memory is not ours to have.
        return current, limit
    if total is None or free is None:
        return None, total
    return total - free, total
