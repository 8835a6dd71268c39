"""`personadesk talk`: a conversation in the terminal, through a sound card or with a clip in and a file out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from personadesk.cli.running import FAILED, print_json, run_command, say
from personadesk.cli.voice_test import opened, token_of
from personadesk.cli.words import word
from personadesk.language import number, show, tr

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop
    from personadesk.voice.sessions import Sessions
    from personadesk.voice.talk import TalkSession, TalkSnapshot
    from personadesk.voice.transcript import Line

_LOOK_SECONDS: Final = 0.1


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0 when the call was ended by somebody, 1 when it failed."""
    return run_command(lambda stop: _talk(arguments, stop), as_json=arguments.json)


async def _talk(arguments: argparse.Namespace, stop: Stop) -> int:
    from personadesk.voice.figures import Talk
    from personadesk.voice.sessions import CALLS, Sessions
    from personadesk.voice.talk import TalkSession

    async with opened() as services:
        callee = await services.callee(arguments.voice)
        talk = TalkSession(
            callee.url,
            query={"engine": "echo"} if arguments.echo else {},
            token=token_of(arguments.token_env) or callee.token or None,
            source=arguments.microphone,
            sink=arguments.loudspeaker,
            clip=Path(arguments.clip) if arguments.clip else None,
            mode=Talk.HALF_DUPLEX if arguments.half_duplex else Talk.OPEN,
            volume=arguments.volume,
            place=callee.name,
        )
        keep = Sessions(services.folders.data / CALLS) if arguments.keep else None
        try:
            await _follow(talk, arguments, stop, keep, callee.name)
        finally:
            talk.hang_up()
            await asyncio.to_thread(talk.join, 10.0)
    view = talk.snapshot()
    if arguments.json:
        print_json(told(view))
    elif view.keeping.folder is not None:
        print(view.keeping.folder)
    if view.state == "failed":
        say(f"{show(view.reason)}\n{show(view.next)}")
        return FAILED
    return 0


async def _follow(
    talk: TalkSession,
    arguments: argparse.Namespace,
    stop: Stop,
    keep: Sessions | None,
    name: str,
) -> None:
    """Tell what is said and what happens until the call is over or enough."""
    stopped = asyncio.create_task(stop.wait())
    said, news, kept = 0, "", keep is None
    talk.start()
    view = talk.snapshot()
    try:
        while not stopped.done():
            await asyncio.wait({stopped}, timeout=_LOOK_SECONDS)
            view = talk.snapshot()
            if view.state in {"ended", "failed"}:
                break
            if view.state == "in-call" and not kept and keep is not None:
                talk.record(keep, name, opus=arguments.opus)
                kept = True
            # The last line may still grow.
            for line in view.transcript[said:-1]:
                _say_line(line)
            said = max(said, len(view.transcript) - 1)
            words = _words(view)
            if words != news:
                news = words
                say(words)
            if arguments.seconds is not None and view.seconds >= arguments.seconds:
                break
    finally:
        stopped.cancel()
    for line in view.transcript[said:]:
        _say_line(line)


def _say_line(line: Line) -> None:
    say(f"{number(line.at, '7.1f')}  {word(line.who):5}  {show(line.text)}")


def _words(view: TalkSnapshot) -> str:
    if view.link.reconnecting:
        return tr("The connection broke; trying again…")
    blame = view.lag.blame or view.sound.advice or view.keeping.fault or view.notice
    return f"{word(view.state)}{f'. {show(blame)}' if blame else ''}"


def told(view: TalkSnapshot) -> dict[str, Any]:
    """Return what programs are told of a call that is over."""
    return {
        "state": str(view.state),
        "reason": str(view.reason),
        "seconds": round(view.seconds, 1),
        "lag_ms": view.lag_ms,
        "stages_ms": {str(stage.stage): stage.ms for stage in view.lag.stages},
        "blame": str(view.lag.blame),
        "turns": [asdict(turn) for turn in view.turns],
        "responses": asdict(view.responses),
        "frames": asdict(view.counts),
        "buffer": asdict(view.buffer),
        "breaks": [
            {
                "at": round(each.at, 2),
                "seconds": round(each.seconds, 2),
                "resumed": each.resumed,
                "reason": str(each.reason),
            }
            for each in view.link.breaks
        ],
        "transcript": [
            {"at": round(line.at, 2), "who": line.who, "text": str(line.text)}
            for line in view.transcript
        ],
        "kept": str(view.keeping.folder) if view.keeping.folder else None,
        "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
