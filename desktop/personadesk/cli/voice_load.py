"""`personadesk voice-load`: how many calls a line takes at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from personadesk.cli.result import seconds
from personadesk.cli.running import FAILED, print_json, run_command, say
from personadesk.cli.voice_test import opened
from personadesk.domain.load import LINE_MS, Outcome, as_dict
from personadesk.language import show, tr

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop
    from personadesk.domain.load import LoadReport


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0 when at least one call was served in time."""
    return run_command(lambda stop: _load(arguments, stop), as_json=arguments.json)


async def _load(arguments: argparse.Namespace, stop: Stop) -> int:
    from personadesk.voice import load, load_report

    ended = asyncio.Event()

    async def end() -> None:
        await stop.wait()
        ended.set()

    told = asyncio.create_task(end())
    try:
        async with opened() as services:
            callee = await services.callee(arguments.line)
            report = await load.run_load(
                callee, arguments.max, stop=ended, on_change=_Teller().tell
            )
    finally:
        told.cancel()
        await asyncio.gather(told, return_exceptions=True)
    folder = None
    if arguments.save:
        page = await asyncio.to_thread(load_report.save, report, arguments.save, translate=show)
        folder = str(page.parent)
    if arguments.json:
        print_json({"seconds": seconds(), "report": folder, **as_dict(report)})
    else:
        lines = [
            show(report.sentence),
            show(report.advice),
            tr("Report: {folder}", folder=folder) if folder else "",
        ]
        print("\n".join(line for line in lines if line))
    if report.outcome is Outcome.STOPPED:
        return stop.exit_status
    return 0 if report.capacity else FAILED


class _Teller:
    """Tells each step as a row with a bar up to the 80 ms that a frame may be late."""

    def __init__(self) -> None:
        self._steps = 0

    def tell(self, report: LoadReport, callers: int) -> None:
        for step in report.steps[self._steps :]:
            bar = "█" * min(40, round(20 * step.p95_ms / LINE_MS))
            how = (
                tr("late")
                if step.late
                else tr("this computer")
                if step.own_fault
                else tr("in time")
            )
            told = tr(
                "{callers:3d}  p95 {p95:6.1f} ms  late {late:5.1f} %",
                callers=step.callers, p95=float(step.p95_ms), late=float(step.late_percent),
            )  # fmt: skip
            say(f"{told}  {bar.ljust(20)}| 80 ms  {how}")
        if len(report.steps) == self._steps and report.outcome is None:
            say(tr("{callers:3d} at once…", callers=callers))
        self._steps = len(report.steps)
