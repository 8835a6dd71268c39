"""The report of a conversation: a page for people, and beside it the same as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T, Text
from personadesk.voice import files
from personadesk.voice.figures import STAGE_TITLES
from personadesk.voice.report_page import STYLE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from personadesk.voice.talk_view import TalkSnapshot

SCHEMA: Final = "personadesk.call-report"
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Talked:
    """With whom.

    Attributes:
        line: Name of the line.
        url: What was called.
        persona: Name of the persona, "" for none.
        voice: Name of the voice, "" for the server's own choice.
        ended: Unix time of this report.
    """

    line: str
    url: str
    persona: str
    voice: str
    ended: float


def as_dict(talked: Talked, snapshot: TalkSnapshot) -> dict[str, Any]:
    """Return what is known of a call: English, stable keys, numbers as measured."""
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "line": talked.line,
        "url": talked.url.partition("?")[0],
        "persona": talked.persona,
        "voice": talked.voice,
        "ended": datetime.fromtimestamp(talked.ended, UTC).isoformat(timespec="seconds"),
        "state": str(snapshot.state),
        "seconds": round(snapshot.seconds, 2),
        "lag": {
            "total_ms": snapshot.lag.total_ms,
            "growing": snapshot.lag.growing,
            "blame": str(snapshot.lag.blame),
            "stages": {
                str(each.stage): {"ms": each.ms, "why": str(each.why)}
                for each in snapshot.lag.stages
            },
        },
        "responses": asdict(snapshot.responses),
        "frames": asdict(snapshot.counts),
        "jitter_buffer": asdict(snapshot.buffer),
        "breaks": [asdict(each) | {"reason": str(each.reason)} for each in snapshot.link.breaks],
        "turns": [asdict(each) for each in snapshot.turns],
        "transcript": [
            {"at": round(line.at, 2), "who": line.who, "text": str(line.text)}
            for line in snapshot.transcript
        ],
    }


def render(
    talked: Talked,
    snapshot: TalkSnapshot,
    facts: Sequence[tuple[str, str]],
    translate: Callable[[Text], str] = str,
) -> str:
    """Return the page.

    Args:
        talked: With whom.
        snapshot: How it was at the end.
        facts: Figures as a name and a value, in the reader's language.
        translate: Turns sentences into the reader's language.
    """

    def say(text: Text | str) -> str:
        return escape(translate(text) if isinstance(text, Text) else text)

    when = datetime.fromtimestamp(talked.ended).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    about = " · ".join(part for part in (talked.persona, talked.voice, when) if part)
    unknown = T("not measured")
    stages = "".join(
        f'<tr><td>{say(STAGE_TITLES[each.stage])}</td><td class="n">'
        f"{say(unknown) if each.ms is None else f'{each.ms:.0f} ms'}</td><td>{say(each.why)}</td></tr>"
        for each in snapshot.lag.stages
    )
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td></tr>'
        for name, value in facts
    )
    words = "".join(
        f"<li><time>{line.at:.1f} s</time><span><b>{say(_WHO[line.who])}</b> {say(line.text)}</span></li>"
        for line in snapshot.transcript
    )
    title = say(T("Call with {line}", line=talked.line))
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"</head><body><main><header><div><h1>{title}</h1><p>{escape(about)}</p>"
        f"<p>{say(snapshot.lag.blame)}</p></div></header>"
        f'<div class="two"><section><h2>{say(T("This call"))}</h2><table>{rows}</table></section>'
        f"<section><h2>{say(T('Where the lag comes from'))}</h2><table>{stages}</table></section></div>"
        f"<section><h2>{say(T('Transcript'))}</h2><ol>{words}</ol></section></main></body></html>"
    )


_WHO: Final = {"you": T("You"), "voice": T("Voice")}


def save(path: Path, page: str, values: dict[str, Any]) -> None:
    """Write the page, and the same as JSON beside it; for a worker thread.

    Raises:
        HostUnfit: It cannot be written there.
    """
    try:
        files.replace(path, page)
        files.replace(path.with_suffix(".json"), json.dumps(values, indent=2, ensure_ascii=False))
    except OSError as error:
        raise HostUnfit(
            T("The report could not be saved in {folder}.", folder=str(path.parent)),
            T("Choose another folder, or make room there."),
            cause="not_writable",
            details=str(error),
        ) from error
