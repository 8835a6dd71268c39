"""Saves a comparison: a page with pictures and an A/B switch, figures for programs, each call's own report."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from personadesk.voice import compare_page, files, test_report
from personadesk.voice.compare import curve

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from personadesk.domain.text import Text
    from personadesk.voice.compare import Comparison, Side

SCHEMA: Final = "personadesk.voice-comparison"
VERSION: Final = 1
JSON_NAME: Final = "comparison.json"
PAGE_NAME: Final = "comparison.html"


def as_dict(found: Comparison) -> dict[str, Any]:
    """Return a comparison as `comparison.json` and `--json` give it: English, stable keys, numbers as measured."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "sentence": str(found.sentence),
        "best": None if found.best is None else found.sides[found.best].callee.name,
        "clip": found.clip,
        "rounds": found.rounds,
        "started": datetime.fromtimestamp(found.started, UTC).isoformat(timespec="seconds"),
        "sides": [_side(side) for side in found.sides],
        "rows": [
            {
                "key": row.key,
                "title": str(row.title),
                "unit": row.unit,
                "values": list(row.values),
                "best": None if row.best is None else found.sides[row.best].callee.name,
            }
            for row in found.rows
        ],
    }


def save(
    found: Comparison,
    folder: str | os.PathLike[str],
    *,
    translate: Callable[[Text], str] = str,
) -> Path:
    """Write `comparison.html`, `comparison.json`, and a voice report for each call in a folder of its own.

    Returns:
        The page.

    Raises:
        BadRequest: The folder cannot be written.
    """
    target = Path(folder).expanduser()
    told = as_dict(found)
    sounds: list[str | None] = []
    for number, side in enumerate(found.sides, 1):
        told["sides"][number - 1]["reports"] = names = []
        for count, call in enumerate(side.calls, 1):
            names.append(f"{number}-{count}")
            test_report.save(call.report, call.recording, target / names[-1], translate=translate)
        middle = side.middle
        name = None if middle is None else names[side.calls.index(middle)]
        sounds.append(
            None
            if name is None
            else test_report.sound_source(target / name / test_report.CALL_NAME, name)
        )
    told["files"] = {"page": PAGE_NAME}
    page = compare_page.render(found, sounds, translate)
    with test_report.telling(target):
        target.mkdir(parents=True, exist_ok=True)
        files.replace(target / JSON_NAME, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        files.replace(target / PAGE_NAME, page)
    return target / PAGE_NAME


def _side(side: Side) -> dict[str, Any]:
    callee, middle = side.callee, side.middle
    return {
        "name": callee.name,
        "url": callee.url.partition("?")[0],
        "place": callee.place,
        "price_per_hour": callee.price,
        "error": None if side.error is None else side.error.as_dict(),
        "verdicts": [str(call.report.verdict) for call in side.calls],
        "text": "" if middle is None else middle.report.text,
        "values": {} if middle is None else dict(middle.report.values),
        "first_audio_s": [call.report.values["first_audio_s"] for call in side.calls],
        "response_ms_curve": curve(side.responses_ms),
        "gap_ms_curve": curve(side.gaps_ms),
    }
