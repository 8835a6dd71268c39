"""This computer's figures on every system: what psutil tells, and NVIDIA's cards through `nvidia-smi`."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from typing import TYPE_CHECKING

from personadesk.domain.sample import Absent, Gpu, Metric, Reading, Sample, Source, Value
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts import commands, gpu_table
from personadesk.hosts.metrics import HANGS, RUN_SECONDS, SILENT_TICKS, WAITS
from personadesk.hosts.proc_figures import FIRST, NOT_TOLD

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
NOT_INSTALLED = T("nvidia-smi is not installed")
ASK_SECONDS = 8.0
AGAIN_SECONDS = 5.0
_OLDER = {new: old for old, new in gpu_table.OLD_NAMES.items()}
_NOT_VALID = "is not a valid field"


class _Cards:
    """What `nvidia-smi` said last."""

    def __init__(self) -> None:
        self.fields: tuple[str, ...] = gpu_table.FIELDS
        self.reason: Text = WAITS
        self._rows: dict[str, gpu_table.Row] = {}
        self._silent = 0

    def take(self, line: str) -> None:
        row = gpu_table.read_row(line, self.fields)
        if row is not None:
            self._silent = 0
            self._rows[row.gpu.index] = row
            self.reason = NOTHING
        elif line.strip():
            self.fail(gpu_table.absent(line).reason)

    def fail(self, reason: Text) -> None:
        self._rows.clear()
        self.reason = reason

    def tell(self) -> tuple[tuple[Gpu, ...], list[Reading]]:
        """Return the cards and their figures for one sample."""
        self._silent += 1
        rows = [self._rows[index] for index in sorted(self._rows, key=int)]
        readings = [reading for row in rows for reading in row.readings]
        if self._silent > SILENT_TICKS:
            readings = [Reading(each.metric, each.part, Absent(HANGS)) for each in readings]
        return tuple(row.gpu for row in rows), readings


class _System:
    """What psutil tells; rates are differences between two looks."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._before: dict[str, tuple[float, float]] = {}
        self._cpu: tuple[float, float] | None = None

    def readings(self) -> list[Reading]:
        """Look once; takes about a millisecond."""
        import psutil

        memory, volume = psutil.virtual_memory(), psutil.disk_usage(self._folder)
        disk, net = psutil.disk_io_counters(), psutil.net_io_counters()
        return [
            Reading(Metric.CPU_USE, "", self._use(psutil.cpu_times())),
            Reading(Metric.LOAD, "", float(psutil.getloadavg()[0])),
            Reading(Metric.MEMORY_USED, "", float(memory.total - memory.available)),
            Reading(Metric.MEMORY_TOTAL, "", float(memory.total)),
            Reading(Metric.DISK_USED, self._folder, float(volume.used)),
            Reading(Metric.DISK_TOTAL, self._folder, float(volume.total)),
            Reading(Metric.DISK_READ, "", self._rate("read", disk and disk.read_bytes)),
            Reading(Metric.DISK_WRITTEN, "", self._rate("written", disk and disk.write_bytes)),
            Reading(Metric.NET_RECEIVED, "", self._rate("received", net and net.bytes_recv)),
            Reading(Metric.NET_SENT, "", self._rate("sent", net and net.bytes_sent)),
        ]

    def _use(self, times: tuple[float, ...]) -> Value:
        # Not psutil's own percent: it keeps a last look for each thread, and a pool has several.
        idle = getattr(times, "idle", 0.0) + getattr(times, "iowait", 0.0)
        # Time of virtual machines is in the user's time already.
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        before, self._cpu = self._cpu, (idle, whole)
        if before is None or whole <= before[1]:
            return FIRST
        return min(100.0, max(0.0, 100 * (1 - (idle - before[0]) / (whole - before[1]))))

    def _rate(self, name: str, count: float | None) -> Value:
        if count is None:
            return NOT_TOLD
        now = time.monotonic()
        before = self._before.get(name)
        self._before[name] = now, count
        if before is None or now <= before[0] or count < before[1]:
            return FIRST
        return (count - before[1]) / (now - before[0])


async def watch(
    on_sample: Callable[[Sample], None],
    *,
    folder: str = "/",
    every_s: float = EVERY_SECONDS,
    clock: Callable[[], float] = time.time,
) -> None:
    """Hand on samples of this computer until cancelled.

    Args:
        on_sample: Called with each.
        folder: A folder whose disk is watched.
        every_s: Seconds between samples.
        clock: Unix time in seconds.
    """
    cards, system = _Cards(), _System(folder)
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch_cards(cards, max(1, round(every_s))), name="nvidia-smi")
        while True:
            readings = await asyncio.to_thread(system.readings)
            gpus, figures = cards.tell()
            on_sample(
                Sample(
                    clock(), Source.HOST, (*figures, *readings), gpus,
                    NOTHING if gpus else T("{text}.", text=str(cards.reason).rstrip(".")),
                )
            )  # fmt: skip
            await asyncio.sleep(every_s)


async def _watch_cards(cards: _Cards, every_s: int) -> None:
    while True:
        program = shutil.which("nvidia-smi")
        if program is None:
            cards.fail(NOT_INSTALLED)
        else:
            try:
                await _ask(cards, program, every_s)
            except (commands.CommandTimeout, OSError) as error:
                log.info("nvidia-smi: %s", error)
        await asyncio.sleep(AGAIN_SECONDS if program else 12 * AGAIN_SECONDS)


async def _ask(cards: _Cards, program: str, every_s: int) -> None:
    """Find out which fields this driver knows, then read row after row."""
    words = ["--format=csv,noheader,nounits"]
    for _ in range(2 * len(gpu_table.FIELDS)):
        query = f"--query-gpu={','.join(cards.fields)}"
        done = await commands.run([program, query, *words], limit_s=ASK_SECONDS)
        if _NOT_VALID not in done.text:
            break
        cards.fields = _without(cards.fields, done.text)
    if done.code != 0:
        cards.fail(T("{text}", text=" ".join(done.lines)))
        return
    await commands.run(
        [program, query, *words, "-l", str(every_s)], limit_s=RUN_SECONDS, on_line=cards.take
    )
    cards.fail(T("nvidia-smi has ended"))


def _without(fields: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Return the fields without the one that the driver does not know, or with its older name."""
    changed = [_OLDER.get(each, "") if f'"{each}"' in text else each for each in fields]
    return tuple(each for each in changed if each)
