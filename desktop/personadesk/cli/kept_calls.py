"""`personadesk calls …`: the calls that were kept on this computer, as under Kept calls in the voice console."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personadesk.cli.running import print_json, run_command
from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T
from personadesk.language import number, tr
from personadesk.store import paths
from personadesk.voice import transcript_files, wav
from personadesk.voice.sessions import CALLS, Sessions, sound

if TYPE_CHECKING:
    import argparse

    from personadesk.voice.sessions import Kept


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return run_command(lambda _stop: _once(arguments), as_json=arguments.json)


async def _once(arguments: argparse.Namespace) -> int:
    # Nothing else runs beside it, so the disk may be waited for.
    sessions = Sessions(paths.folders().data / CALLS)
    match arguments.action:
        case "list":
            _list(sessions.search(" ".join(arguments.words)), as_json=arguments.json)
        case "show":
            _show(sessions.get(arguments.name), as_json=arguments.json)
        case "note":
            kept = sessions.note(arguments.name, arguments.text)
            _tell({"noted": kept.folder.name}, tr("Noted."), as_json=arguments.json)
        case "export":
            kept = sessions.get(arguments.name)
            to = _export(kept, arguments.file)
            _tell({"file": str(to)}, str(to), as_json=arguments.json)
        case _:
            sessions.delete(arguments.name)
            _tell({"deleted": arguments.name}, tr("It is gone."), as_json=arguments.json)
    return 0


def _export(kept: Kept, typed: str) -> Path:
    """Write the sound or the transcript: WAV or SRT where the file is called so, else JSON."""
    to = Path(typed).expanduser()
    name = transcript_files.SRT_NAME if to.suffix == ".srt" else transcript_files.JSON_NAME
    try:
        if to.suffix == ".wav":
            wav.write_wav(to, sound(kept.folder))
        else:
            shutil.copyfile(kept.folder / name, to)
    except OSError as error:
        raise HostUnfit(
            T("{path} cannot be written.", path=str(to)),
            T("Choose another folder, or make room there."),
            cause="not_writable",
            details=str(error),
        ) from error
    return to


def _list(found: tuple[Kept, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"calls": [_dict(kept) for kept in found]})
        return
    for kept in found:
        print(f"{kept.folder.name}  {round(kept.seconds)} s  {kept.notes or kept.words[:60]}")
    if not found:
        print(tr("No kept calls."))


def _show(kept: Kept, *, as_json: bool) -> None:
    lines = transcript_files.from_events(kept.folder, kept.seconds)
    if as_json:
        said = [{"start": x.start, "end": x.end, "who": x.who, "text": x.text} for x in lines]
        print_json({"call": _dict(kept) | {"transcript": said}})
        return
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(kept.started))
    print(f"{kept.line}, {started}, {round(kept.seconds)} s, {kept.folder}")
    if kept.notes:
        print(tr("Notes: {notes}", notes=kept.notes))
    for line in lines:
        who = tr("You") if line.who == "you" else tr("Voice")
        print(f"{number(line.start, '8.1f')} s  {who}: {line.text}")


def _dict(kept: Kept) -> dict[str, Any]:
    return {
        "name": kept.folder.name, "folder": str(kept.folder), "line": kept.line, "url": kept.url,
        "started": kept.started, "seconds": kept.seconds, "form": kept.form,
        "ending": str(kept.ending), "words": kept.words, "notes": kept.notes,
        "persona": kept.persona, "voice": kept.voice, "size": kept.size,
    }  # fmt: skip


def _tell(values: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(values)
    else:
        print(words)
