"""A host's figures once a second, with nothing installed there: one script over the shared connection."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.sample import Absent, Gpu, Reading, Sample, Source
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts import gpu_table, scripts
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.proc_figures import ProcFigures

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.hosts.base import Host

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
RUN_SECONDS = 6 * 3600.0
"""Each command has a limit, this one too; it is then started anew."""
SILENT_TICKS = 6
"""So many ticks without a row mean that `nvidia-smi` hangs, as it does when a card is about to fail."""
AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
HANGS = T("nvidia-smi there does not answer any more.")
WAITS = T("Waiting for the first answer of nvidia-smi.")


class Reader:
    """Turns the script's lines into samples."""

    def __init__(self, folder: str = "", clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._proc = ProcFigures(folder)
        self._fields: tuple[str, ...] = gpu_table.FIELDS
        self._rows: dict[str, gpu_table.Row] = {}
        self._reason: Text = WAITS
        self._silent = 0

    def take(self, line: str) -> Sample | None:
        """Take a line; returns a sample when it ended a tick."""
        kind, _, text = line.partition(" ")
        if kind == "F":
            self._fields = tuple(text.split(","))
        elif kind == "X":
            self._rows.clear()
            self._reason = T("{text}.", text=text.strip().rstrip("."))
        elif kind == "G":
            self._row(text)
        else:
            try:
                readings = self._proc.take(kind, text)
            except (ValueError, IndexError):
                log.info("A line of figures could not be read: %s", line[:200])
                return None
            if readings is not None:
                return self._sample(readings)
        return None

    def _row(self, text: str) -> None:
        row = gpu_table.read_row(text, self._fields)
        self._silent = 0
        if row is not None:
            self._rows[row.gpu.index] = row
            self._reason = NOTHING
        elif text.strip():
            self._rows.clear()
            self._reason = gpu_table.absent(text).reason

    def _sample(self, readings: tuple[Reading, ...]) -> Sample:
        self._silent += 1
        rows = [self._rows[index] for index in sorted(self._rows, key=int)]
        gpus: tuple[Gpu, ...] = tuple(row.gpu for row in rows)
        figures = [reading for row in rows for reading in row.readings]
        if self._silent > SILENT_TICKS and rows:
            figures = [Reading(each.metric, each.part, Absent(HANGS)) for each in figures]
        reason = self._reason if not rows else NOTHING
        return Sample(self._clock(), Source.HOST, (*figures, *readings), gpus, reason)


async def watch(
    host: Host,
    on_sample: Callable[[Sample], None],
    *,
    folder: str = "/",
    every_s: float = EVERY_SECONDS,
    on_trouble: Callable[[PersonaDeskError | None], None] | None = None,
) -> None:
    """Hand on samples until cancelled; a broken connection is waited out.

    Args:
        host: The machine.
        on_sample: Called with each.
        folder: A folder whose disk is watched.
        every_s: Seconds between samples.
        on_trouble: Called with why there are none now, and with None when there are again.
    """
    text = scripts.load("nvidia", "metrics")
    failures = 0
    troubled = False

    while True:
        reader = Reader(folder)

        def take(line: str, reader: Reader = reader) -> None:
            nonlocal failures, troubled
            sample = reader.take(line)
            if sample is None:
                return
            failures = 0
            if troubled and on_trouble is not None:
                on_trouble(None)
            troubled = False
            on_sample(sample)

        try:
            await host.script(
                text, f"{every_s:g}", folder, ",".join(gpu_table.FIELDS), f"{max(1, round(every_s))}",
                limit_s=RUN_SECONDS, on_line=take,
            )  # fmt: skip
        except CommandTimeout:
            continue
        except PersonaDeskError as error:
            troubled = True
            if on_trouble is not None:
                on_trouble(error)
        await asyncio.sleep(AGAIN_SECONDS[min(failures, len(AGAIN_SECONDS) - 1)])
        failures += 1
