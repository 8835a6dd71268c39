"""`personadesk voice-test`: test any PersonaPlex or Moshi server, ours or not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.cli import result
from personadesk.cli.running import FAILED, print_json, run_command, say
from personadesk.domain.errors import BadRequest, PersonaDeskError
from personadesk.domain.report import Verdict
from personadesk.domain.text import T

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop
    from personadesk.domain.report import VoiceReport
    from personadesk.domain.text import Text


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0 only for a pass."""
    return run_command(lambda stop: _test(arguments, stop), as_json=False)


async def _test(arguments: argparse.Namespace, stop: Stop) -> int:
    testing = asyncio.create_task(_call(arguments))
    told = asyncio.create_task(stop.wait())
    await asyncio.wait((testing, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not testing.done():
        testing.cancel()
        await asyncio.gather(testing, return_exceptions=True)
        say("Stopped.")
        return stop.exit_status
    try:
        report, folder = testing.result()
    except PersonaDeskError as error:
        say(f"{error.what}\n{error.next}")
        if arguments.json:
            print_json(result.voice_error(error))
        return FAILED
    if arguments.json:
        print_json(result.voice_dict(report, folder))
    else:
        print(result.voice_words(report, folder))
    return 0 if report.verdict is Verdict.PASS else FAILED


async def _call(arguments: argparse.Namespace) -> tuple[VoiceReport, Path | None]:
    from personadesk.voice import test, test_report

    token = _token(arguments.token_env)
    last = ""

    def progress(fraction: float, doing: Text) -> None:
        nonlocal last
        if str(doing) != last:
            last = str(doing)
            say(f"{last}…")

    clip = Path(arguments.clip) if arguments.clip else None
    report, recording = await test.run_voice_test(
        arguments.url, clip=clip, token=token, on_progress=progress
    )
    if not arguments.report:
        return report, None
    page = await asyncio.to_thread(test_report.save, report, recording, arguments.report)
    return report, page.parent


def _token(variable: str | None) -> str | None:
    if variable is None:
        return None
    token = os.environ.get(variable, "").strip()
    if not token:
        raise BadRequest(
            T("The variable {name} is not set, so there is no token.", name=variable),
            T("Set it to the server's token, or leave --token-env out."),
            cause="no_token",
        )
    return token
