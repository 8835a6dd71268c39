"""Calls that were kept, a folder each: list, search, play, note, delete. All of it stays on this computer.

A folder holds `session.json` (what it is), the sound (`call.wav`, or `you.opus` and `voice.opus`), `events.jsonl`
(what happened, a line each), and, once the call is over, `transcript.json` and `transcript.srt`. A program that was
killed leaves a folder that is finished the next time it is looked at.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.voice import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.recorder import Form, Recorder

log = logging.getLogger(__name__)

CALLS: Final = "calls"
"""Their folder below PersonaDesk's data."""
SESSION: Final = "session.json"
_STILL_SECONDS: Final = 30.0
"""Somebody writes every second; after this the writer is gone."""
_BESIDE: Final = 100


class Ending(StrEnum):
    """How a recording ended."""

    WRITING = "writing"
    WHOLE = "whole"
    CUT_OFF = "cut-off"
    """The program was killed, or the disk was full."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One call that was kept.

    Attributes:
        folder: Where it is; its name is the session's id.
        line: Whom the call was to.
        url: What was called, without its query.
        started: Unix time of the call's first moment.
        seconds: How long it is.
        form: `wav` or `opus`.
        ending: How it ended.
        words: What the voice wrote, in one piece.
        notes: The user's own.
        persona: Name of the persona, "" for none.
        voice: Name of the voice, "" for the server's own.
        size: Bytes on the disk.
    """

    folder: Path
    line: str
    url: str
    started: float
    seconds: float = 0.0
    form: str = "wav"
    ending: Ending = Ending.WRITING
    words: str = ""
    notes: str = ""
    persona: str = ""
    voice: str = ""
    size: int = 0


class Sessions:
    """The folder of kept calls. Every method reads or writes the disk: call it in a worker thread.

    Attributes:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(
        self,
        line: str,
        url: str,
        form: Form,
        *,
        persona: str = "",
        voice: str = "",
        now: float | None = None,
    ) -> Recorder:
        """Make a folder for a call that is to be kept, readable by its owner alone, and begin to write.

        Raises:
            BadRequest: Nothing can be written there.
        """
        from personadesk.voice.recorder import Recorder

        started = time.time() if now is None else now
        try:
            folder = self._new_folder(line, started)
            kept = Kept(folder, line, url.partition("?")[0], started, form=str(form),
                        persona=persona, voice=voice)  # fmt: skip
            _write(kept)
            return Recorder(folder, form)
        except OSError as error:
            raise BadRequest(
                T("The call cannot be kept in {folder}.", folder=str(self.root)),
                T("Choose a folder that you may write in, on a disk with some space left."),
                cause="folder",
                details=str(error),
            ) from error

    def finish(self, folder: Path, *, ending: Ending = Ending.WHOLE) -> Kept:
        """Write the transcript of a call whose recorder is closed, and note that it is over."""
        from personadesk.voice import transcript_files

        kept = _read(folder)
        seconds = sound_seconds(folder)
        lines = transcript_files.from_events(folder, seconds)
        transcript_files.write(folder, lines)
        words = " ".join(line.text for line in lines if line.who == "voice")
        kept = replace(kept, seconds=seconds, ending=ending, words=words)
        _write(kept)
        return replace(kept, size=_size(folder))

    def all(self) -> tuple[Kept, ...]:
        """Return what there is, the newest first; what a killed program left is finished here."""
        if not self.root.is_dir():
            return ()
        found = []
        for folder in self.root.iterdir():
            if not (folder / SESSION).is_file():
                continue
            try:
                kept = _read(folder)
                if kept.ending is Ending.WRITING and not _is_fresh(folder):
                    kept = self.finish(folder, ending=Ending.CUT_OFF)
                found.append(replace(kept, size=_size(folder)))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("a kept call cannot be read: %s: %s", folder.name, error)
        return tuple(sorted(found, key=lambda kept: kept.started, reverse=True))

    def search(self, text: str) -> tuple[Kept, ...]:
        """Return those with every word of `text` in their line, words, notes, persona or voice; case doesn't matter."""
        wanted = text.casefold().split()
        return tuple(
            kept
            for kept in self.all()
            if all(
                word in "\n".join(
                    (kept.line, kept.words, kept.notes, kept.persona, kept.voice, kept.folder.name)
                ).casefold()
                for word in wanted
            )
        )  # fmt: skip

    def get(self, name: str) -> Kept:
        """Return one by its id.

        Raises:
            BadRequest: There is none.
        """
        found = next((kept for kept in self.all() if kept.folder.name == name), None)
        if found is None:
            raise BadRequest(
                T("There is no kept call {name}.", name=name),
                T("List them to see which there are."),
                cause="session",
            )
        return found

    def note(self, name: str, notes: str) -> Kept:
        """Replace the notes of a call."""
        kept = replace(self.get(name), notes=notes)
        _write(kept)
        return kept

    def delete(self, name: str) -> None:
        """Remove a call and all of its files.

        Raises:
            BadRequest: There is none, or it is being written.
        """
        kept = self.get(name)
        if kept.ending is Ending.WRITING:
            raise BadRequest(
                T("This call is still being recorded."), T("Hang up first."), cause="session"
            )
        shutil.rmtree(kept.folder)

    def size(self) -> int:
        """Return how many bytes all of them take."""
        return sum(kept.size for kept in self.all())

    def _new_folder(self, line: str, started: float) -> Path:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        stamp = time.strftime("%Y-%m-%d %H-%M-%S", time.localtime(started))
        plain = re.sub(r"[^\w\- ]+", "_", line).strip()[:40] or "call"
        for number in range(1, _BESIDE):
            again = f" ({number})" if number > 1 else ""
            folder = self.root / f"{stamp} {plain}{again}"
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return folder
        raise FileExistsError(f"too many calls at {stamp}")


def sound(folder: Path) -> NDArray[np.float32]:
    """Return a kept call, float32 [n, 2] at 24 kHz: you at the left, the voice at the right.

    Raises:
        BadRequest: Its sound is gone or cannot be read.
    """
    import numpy as np

    from personadesk.voice import recorder, wav
    from personadesk.voice.opus import OpusDecoder

    try:
        if (folder / recorder.CALL_WAV).exists():
            with (folder / recorder.CALL_WAV).open("rb") as file:
                return wav.read_samples(file, wav.read_header(file))
        sides = [
            OpusDecoder().decode((folder / name).read_bytes())
            for name in (recorder.YOU_OPUS, recorder.VOICE_OPUS)
        ]
    except (OSError, wav.WavError) as error:
        raise BadRequest(
            T("The sound of this call cannot be read."), cause="session", details=str(error)
        ) from error
    length = max(len(side) for side in sides)
    return np.stack([np.pad(side, (0, length - len(side))) for side in sides], axis=1)


def sound_seconds(folder: Path) -> float:
    """Return how long the sound of a kept call is; 0 without any. A WAV header that a killed program left is mended."""
    from personadesk.voice import levels, recorder, wav

    path = folder / recorder.CALL_WAV
    if path.exists():
        frames = max(0, path.stat().st_size - wav.HEADER_BYTES) // 4
        with path.open("r+b") as file:
            file.write(wav.header(4 * frames, levels.SAMPLE_RATE, 2))
        return frames / levels.SAMPLE_RATE
    if (folder / recorder.VOICE_OPUS).exists():
        return len(sound(folder)) / levels.SAMPLE_RATE
    return 0.0


def _write(kept: Kept) -> None:
    plain = asdict(kept)
    del plain["folder"], plain["size"]
    files.replace(kept.folder / SESSION, json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def _read(folder: Path) -> Kept:
    plain: Mapping[str, Any] = json.loads((folder / SESSION).read_text(encoding="utf-8"))
    return Kept(
        folder,
        line=str(plain["line"]),
        url=str(plain["url"]),
        started=float(plain["started"]),
        seconds=float(plain.get("seconds", 0.0)),
        form=str(plain.get("form", "wav")),
        ending=Ending(plain.get("ending", "cut-off")),
        words=str(plain.get("words", "")),
        notes=str(plain.get("notes", "")),
        persona=str(plain.get("persona", "")),
        voice=str(plain.get("voice", "")),
    )


def _is_fresh(folder: Path) -> bool:
    newest = max(file.stat().st_mtime for file in folder.iterdir())
    return time.time() - newest < _STILL_SECONDS


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
