"""`personadesk voice-test`: test any PersonaPlex or Moshi server, ours or not."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

from personadesk.cli import result
from personadesk.cli.running import FAILED, print_json, run_command, say, say_error
from personadesk.domain.callee import Callee
from personadesk.domain.errors import BadRequest, PersonaDeskError
from personadesk.domain.report import Verdict
from personadesk.domain.text import T
from personadesk.language import show, tr

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.domain.report import VoiceReport
    from personadesk.domain.text import Text
    from personadesk.voice.script import Script


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0 only for a pass."""
    return run_command(lambda stop: until_stopped(_test(arguments), stop), as_json=False)


async def _test(arguments: argparse.Namespace) -> int:
    try:
        report, folder = await _call(arguments)
    except PersonaDeskError as error:
        say_error(error)
        if arguments.json:
            print_json(result.voice_error(error))
        return FAILED
    if arguments.json:
        print_json(result.voice_dict(report, folder))
    else:
        print(result.voice_words(report, folder))
    return 0 if report.verdict is Verdict.PASS else FAILED


async def until_stopped(work: Coroutine[Any, Any, int], stop: Stop) -> int:
    """Do a command's work; a signal cancels it and waits for its end."""
    doing, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((doing, told), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if doing.done():
        return doing.result()
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    say(tr("Stopped."))
    return stop.exit_status


def teller() -> Callable[[float, Text], None]:
    """Return what tells on stderr what is being done, each thing once."""
    last = ""

    def tell(_fraction: float, doing: Text) -> None:
        nonlocal last
        if show(doing) != last:
            last = show(doing)
            say(f"{last}…")

    return tell


async def _call(arguments: argparse.Namespace) -> tuple[VoiceReport, Path | None]:
    from personadesk.voice import clips, test, test_report

    token = token_of(arguments.token_env)
    script = await asyncio.to_thread(_script, arguments.script) if arguments.script else None
    clip = None
    if arguments.clip:
        clip = await asyncio.to_thread(clips.find, arguments.clip)
    async with called(arguments) as callee:
        report, recording = await test.run_voice_test(
            callee.url, clip=clip, script=script, token=token or callee.token or None,
            on_progress=teller(),
        )  # fmt: skip
    if not arguments.save:
        return report, None
    page = await asyncio.to_thread(
        test_report.save, report, recording, arguments.save, translate=show
    )
    return report, page.parent


@contextlib.asynccontextmanager
async def called(arguments: argparse.Namespace) -> AsyncIterator[Callee]:
    """Find whom a command calls; a line's address is open until the end."""
    if arguments.line is None:
        yield Callee(arguments.url, arguments.url)
        return
    async with opened() as services:
        yield await services.callee(arguments.line)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Services]:
    """Open the services; what no other process serves is served until the end."""
    from personadesk.app import open_services

    services = await open_services()
    try:
        yield services
    finally:
        await services.close()


def _script(path: str) -> Script:
    from personadesk.voice import script

    return script.find(path)


def token_of(variable: str | None) -> str | None:
    """Return the access token that a variable holds."""
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
