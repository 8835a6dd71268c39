"""Saves a voice test as a folder: figures for programs, a page for people, and the call to listen to."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T
from personadesk.voice import files, levels, report_page, timeline, wav

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from personadesk.domain.report import Figure, TurnCheck, VoiceReport
    from personadesk.domain.text import Text
    from personadesk.voice.recording import Recording

SCHEMA: Final = "personadesk.voice-report"
VERSION: Final = 1
JSON_NAME: Final = "report.json"
PAGE_NAME: Final = "report.html"
CALL_NAME: Final = "call.wav"

_LARGEST_EMBEDDED: Final = 2_000_000
"""Longer calls are linked from the page; in it they would make it slow to open and to send."""


def as_dict(report: VoiceReport) -> dict[str, Any]:
    """Return a report as `report.json` and `--json` give it: English, stable keys, numbers as measured."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "verdict": str(report.verdict),
        "sentence": str(report.sentence),
        "explanation": str(report.explanation),
        "reasons": [str(reason) for reason in report.reasons],
        "url": report.url,
        "started": datetime.fromtimestamp(report.started, UTC).isoformat(timespec="seconds"),
        "engine": report.engine,
        "rehearsal": report.rehearsal,
        "clip": report.clip,
        "turns": [_turn(check) for check in report.turns],
        "figures": [_figure(figure) for figure in (*report.figures, *report.further)],
        "values": dict(report.values),
        "text": report.text,
    }


def save(
    report: VoiceReport,
    recording: Recording,
    folder: str | os.PathLike[str],
    *,
    translate: Callable[[Text], str] = str,
) -> Path:
    """Write `report.json`, `report.html` and `call.wav`; earlier ones are replaced.

    Args:
        report: What was found.
        recording: What was said and heard.
        folder: Where to; made when it is missing.
        translate: Turns sentences of the page into the reader's language.

    Returns:
        The page.

    Raises:
        BadRequest: The folder cannot be written.
    """
    target = Path(folder).expanduser()
    moments = timeline.moments(report, recording)
    told = as_dict(report) | {
        "waves": {
            "seconds_per_bar": levels.PEAK_SECONDS,
            "sent": list(report.sent_wave),
            "heard": list(report.heard_wave),
        },
        "events": [
            {"at": round(moment.at, 3), "what": moment.what, "text": str(moment.text)}
            for moment in moments
        ],
        "files": {"page": PAGE_NAME, "call": CALL_NAME},
    }
    with telling(target):
        target.mkdir(parents=True, exist_ok=True)
        wav.write_wav(target / CALL_NAME, recording.stereo())
        sound = sound_source(target / CALL_NAME)
        page = report_page.render(report, recording, moments, sound=sound, translate=translate)
        files.replace(target / JSON_NAME, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        files.replace(target / PAGE_NAME, page)
    return target / PAGE_NAME


def sound_source(path: Path, folder: str = "") -> str:
    """Return where a page finds a sound: in itself, or for a long one beside it (in `folder`)."""
    if path.stat().st_size > _LARGEST_EMBEDDED:
        return f"{folder}/{path.name}" if folder else path.name
    return "data:audio/wav;base64," + base64.b64encode(path.read_bytes()).decode()


@contextlib.contextmanager
def telling(folder: Path) -> Iterator[None]:
    """Tell in words that a report cannot be written."""
    try:
        yield
    except OSError as error:
        raise BadRequest(
            T("The report cannot be saved in {folder}.", folder=str(folder)),
            T("Choose a folder that you may write in, on a disk with some space left."),
            cause="folder",
            details=str(error),
        ) from error


def _turn(check: TurnCheck) -> dict[str, Any]:
    return {
        "number": check.number,
        "what": str(check.title),
        "note": str(check.note),
        "figure": None if check.figure is None else _figure(check.figure),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    limit = figure.limit
    return {
        "key": limit.key,
        "title": str(limit.title),
        "value": figure.value,
        "unit": limit.unit,
        "least": limit.least,
        "most": limit.most,
        "verdict": str(figure.verdict),
        "why": str(limit.why),
    }
