"""The words of a kept call as files: JSON for programs, SRT for players that show subtitles."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from personadesk.domain.text import T
from personadesk.voice import files
from personadesk.voice.recorder import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

JSON_NAME: Final = "transcript.json"
SRT_NAME: Final = "transcript.srt"
_PAUSE_SECONDS: Final = 1.2
_LONGEST_SECONDS: Final = 7.0
"""A subtitle that stands longer is hard to follow; then a new one begins."""
_LAST_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Caption:
    """One subtitle.

    Attributes:
        start: Seconds since the call began.
        end: When it goes.
        who: `you` or `voice`.
        text: The voice's own words; of you only that you spoke.
    """

    start: float
    end: float
    who: Literal["you", "voice"]
    text: str


def from_events(folder: Path, seconds: float) -> list[Caption]:
    """Build captions from the log of events; a last line that was cut off is left out.

    Args:
        folder: Of the kept call.
        seconds: How long it is; nothing stands longer.
    """
    lines: list[Caption] = []
    for event in read_events(folder):
        at = float(event["at"])
        if event["what"] == "words":
            _add_words(lines, at, str(event["text"]))
        elif event["what"] == "spoke":
            lasted = float(event["seconds"])
            said = str(T("spoke for {seconds} s", seconds=round(lasted, 1)))
            lines.append(Caption(at, at + lasted, "you", said))
    lines.sort(key=lambda line: line.start)
    return [
        Caption(line.start, min(line.end, max(seconds, line.start)), line.who, line.text.strip())
        for line in lines
        if line.text.strip()
    ]


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a kept call in the order in which they were written."""
    path = folder / EVENTS
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the program was killed in the middle of this one
        if isinstance(event, dict) and "at" in event and "what" in event:
            yield event


def write(folder: Path, lines: Sequence[Caption]) -> None:
    """Write both files, whole or not at all."""
    told = [asdict(line) for line in lines]
    files.replace(folder / JSON_NAME, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    files.replace(folder / SRT_NAME, as_srt(lines))


def as_srt(lines: Sequence[Caption]) -> str:
    """Return captions as SubRip text."""
    return "".join(
        f"{number}\n{_stamp(line.start)} --> {_stamp(line.end)}\n"
        f"{'You' if line.who == 'you' else 'Voice'}: {line.text}\n\n"
        for number, line in enumerate(lines, 1)
    )


def _add_words(lines: list[Caption], at: float, words: str) -> None:
    last = lines[-1] if lines else None
    goes_on = (
        last is not None
        and last.who == "voice"
        and at - (last.end - _LAST_SECONDS) <= _PAUSE_SECONDS
        and at - last.start <= _LONGEST_SECONDS
    )
    if last is not None and goes_on:
        lines[-1] = Caption(last.start, at + _LAST_SECONDS, "voice", last.text + words)
    elif words.strip():
        lines.append(Caption(at, at + _LAST_SECONDS, "voice", words))


def _stamp(seconds: float) -> str:
    whole = round(1000 * max(0.0, seconds))
    minutes, milliseconds = divmod(whole, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d},{milliseconds % 1000:03d}"
