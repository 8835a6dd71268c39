"""Ramps synthetic callers up against a line of the user's own until frames are late: the capacity of what is deployed.

The callers are in a process of their own (`voice.callers`); this side starts it, reads what it tells, and ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain import errors
from personadesk.domain import load as loads
from personadesk.domain.errors import BadRequest, ProviderFault
from personadesk.domain.load import MOST_CALLERS, LoadReport, Outcome
from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice import address as addresses
from personadesk.voice.callers import TRIES

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from asyncio.subprocess import Process
    from collections.abc import Callable

    from personadesk.domain.callee import Callee

SETTLE_SECONDS: Final = 1.0
MEASURE_SECONDS: Final = 4.0
"""Fifty frames of each caller: a single late one is two in a hundred then, so a step that is late is tried again."""
_END_SECONDS: Final = 8.0
_MOST_FAULT_BYTES: Final = 20_000
_START_SECONDS: Final = 90.0
"""Until the first step: the callers' start, and a persona that is read first."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each number of callers is given, in seconds.

    Attributes:
        settle: After a caller was added, before anything counts.
        measure: In which frames count.
    """

    settle: float = SETTLE_SECONDS
    measure: float = MEASURE_SECONDS


def check(callee: Callee, most: int) -> None:
    """Refuse what must not be loaded.

    Raises:
        BadRequest: It is no line of the user's own, or the number is none.
    """
    if not callee.own:
        raise BadRequest(
            T("{name} is no line of yours, so it is not loaded with calls.", name=callee.name),
            T(
                "A load test takes places and money of whoever owns the server. Name one of your lines."
            ),
            cause="not_own",
        )
    if not 1 <= most <= MOST_CALLERS:
        raise BadRequest(
            T("A load test makes 1 to {most} calls at once.", most=MOST_CALLERS),
            T("Give another limit."),
            cause="most",
        )


async def run_load(
    callee: Callee,
    most: int,
    *,
    stop: asyncio.Event | None = None,
    pace: Pace | None = None,
    on_change: Callable[[LoadReport, int], None] | None = None,
) -> LoadReport:
    """Add callers to a line one by one until frames come late, all places are taken, or `most` are in.

    Args:
        callee: A line of the user's own.
        most: How many callers at most.
        stop: Ends it when set; what was found until then is the report.
        pace: How long each step takes.
        on_change: Called with the report so far and the callers that are in.

    Returns:
        What was found.

    Raises:
        BadRequest: It is no line of the user's own, or `most` is no number for it.
        PersonaDeskError: The first call did not come about.
    """
    check(callee, most)
    pace = pace or Pace()
    place = addresses.parse(callee.url)
    report = LoadReport(callee.name, most, time.time(), here=place.loopback and not callee.place)
    settings = {
        "url": callee.url, "most": most, "settle_s": pace.settle, "measure_s": pace.measure,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "personadesk.voice.callers",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, heard, errors_of = _pipes(process)
    told.write(json.dumps(settings).encode() + b"\n")
    ending = asyncio.create_task(_end_when_told(told, stop), name="load test: stop")
    callers = 0
    try:
        while report.outcome is None:
            limit = _START_SECONDS + TRIES * pace.measure + pace.settle
            news = await _read(heard, errors_of, limit)
            if "error" in news:
                raise errors.from_dict(news["error"])
            if "callers" in news:
                callers = int(news["callers"])
            elif "step" in news:
                report = replace(report, steps=(*report.steps, loads.step_from(news["step"])))
            else:
                why = Text(news["why"]) if news["why"] else NOTHING
                report = replace(report, outcome=Outcome(news["outcome"]), why=why)
            if on_change is not None:
                on_change(report, callers)
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        await _finish(process, told)
    return report


def _pipes(process: Process) -> tuple[StreamWriter, StreamReader, StreamReader]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("a process that was started with pipes has none")
    return process.stdin, process.stdout, process.stderr


async def _read(heard: StreamReader, faults: StreamReader, limit: float) -> dict[str, Any]:
    try:
        async with asyncio.timeout(limit):
            line = await heard.readline()
            why = b"" if line else await faults.read(_MOST_FAULT_BYTES)
    except TimeoutError:
        line, why = b"", b"They told nothing for too long."
    if not line:
        raise ProviderFault(
            T("The callers of the load test ended without a word."),
            T("Try again."),
            cause="callers",
            details=why.decode("utf-8", "replace").strip(),
        )
    told: dict[str, Any] = json.loads(line)
    return told


async def _end_when_told(told: StreamWriter, stop: asyncio.Event | None) -> None:
    if stop is not None:
        await stop.wait()
        # At the end of their stdin the callers all hang up.
        told.close()


async def _finish(process: Process, told: StreamWriter) -> None:
    told.close()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
