"""`personadesk calls`: the calls that were kept on this computer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personadesk.cli.running import print_json, run_command
from personadesk.domain import quantity
from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.store.paths import folders

if TYPE_CHECKING:
    import argparse

    from personadesk.voice.sessions import Kept, Sessions


def run(arguments: argparse.Namespace) -> int:
    """Do it; returns 0, or 1 where there is no such call."""
    return run_command(lambda _stop: asyncio.to_thread(_do, arguments), as_json=arguments.json)


def _do(arguments: argparse.Namespace) -> int:
    from personadesk.voice.sessions import CALLS, Sessions

    sessions = Sessions(folders().data / CALLS)
    if arguments.action == "list":
        found = sessions.search(" ".join(arguments.words))
        if arguments.json:
            print_json({"calls": [_plain(kept) for kept in found], "size": sessions.size()})
        else:
            print("\n".join(_line(kept) for kept in found) or "No calls were kept.")
        return 0
    told = _one(sessions, arguments)
    if arguments.json:
        print_json(told)
    return 0


def _one(sessions: Sessions, arguments: argparse.Namespace) -> dict[str, Any]:
    from personadesk.voice import transcript_files

    name = arguments.name
    if arguments.action == "delete":
        sessions.delete(name)
        print_unless(arguments, f"{name} is gone.")
        return {"deleted": name}
    if arguments.action == "note":
        kept = sessions.note(name, arguments.text)
        print_unless(arguments, _line(kept))
        return _plain(kept)
    kept = sessions.get(name)
    if arguments.action == "export":
        path = Path(arguments.file).expanduser()
        _export(kept, path)
        print_unless(arguments, str(path))
        return {"file": str(path)}
    lines = transcript_files.from_events(kept.folder, kept.seconds)
    print_unless(arguments, f"{_line(kept)}\n{kept.folder}")
    for line in lines:
        print_unless(arguments, f"{line.start:7.1f}  {line.who:5}  {line.text}")
    return _plain(kept) | {"transcript": [asdict(line) for line in lines]}


def _export(kept: Kept, path: Path) -> None:
    from personadesk.voice import sessions, wav

    try:
        wav.write_wav(path, sessions.sound(kept.folder))
    except OSError as error:
        raise BadRequest(
            T("{path} cannot be written.", path=str(path)),
            T("Choose a folder that you may write in, on a disk with some space left."),
            cause="folder",
            details=str(error),
        ) from error


def print_unless(arguments: argparse.Namespace, words: str) -> None:
    """Print words for people, where no program asked."""
    if not arguments.json:
        print(words)


def _line(kept: Kept) -> str:
    length = quantity.duration(kept.seconds)
    words = kept.notes or kept.words
    return f"{kept.folder.name}  {length}  {quantity.size(kept.size)}  {kept.ending}  {words[:60]}"


def _plain(kept: Kept) -> dict[str, Any]:
    return asdict(kept) | {
        "name": kept.folder.name,
        "folder": str(kept.folder),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(kept.started)),
    }
