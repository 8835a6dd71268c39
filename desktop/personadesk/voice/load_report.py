"""Saves a load test as a folder: a page with its graph, and the figures for programs."""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from personadesk.domain.load import LINE_MS, as_dict
from personadesk.domain.text import T, Text
from personadesk.voice import files, report_page, test_report

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from personadesk.domain.load import LoadReport

    Translate = Callable[[Text], str]

JSON_NAME: Final = "load.json"
PAGE_NAME: Final = "load.html"
_LEFT, _RIGHT, _TOP, _FOOT = 52.0, 960.0, 14.0, 260.0


def save(report: LoadReport, folder: str | os.PathLike[str], *, translate: Translate = str) -> Path:
    """Write `load.html` and `load.json`.

    Returns:
        The page.

    Raises:
        BadRequest: The folder cannot be written.
    """
    target = Path(folder).expanduser()
    with test_report.telling(target):
        target.mkdir(parents=True, exist_ok=True)
        told = json.dumps(as_dict(report), indent=2, ensure_ascii=False)
        files.replace(target / JSON_NAME, told + "\n")
        files.replace(target / PAGE_NAME, render(report, translate))
    return target / PAGE_NAME


def render(report: LoadReport, translate: Translate = str) -> str:
    """Return the page."""

    def say(text: Text) -> str:
        return escape(translate(text))

    title = say(T("Load test"))
    when = datetime.fromtimestamp(report.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    head = (T("Calls at once"), T("Late by, usual"), T("One in twenty"), T("One in a hundred"),
            T("Late frames"), T("GPU step"), T("Our own packets late"))  # fmt: skip
    rows = "".join(
        f'<tr class="{"fail" if step.late else "pass"}"><td>{step.callers}</td>'
        + "".join(
            f'<td class="n">{value}</td>'
            for value in (
                f"{step.p50_ms:.0f} ms", f"{step.p95_ms:.0f} ms", f"{step.p99_ms:.0f} ms",
                f"{step.late_percent:.1f} %",
                "—" if step.tick_ms is None else f"{step.tick_ms:.0f} ms",
                f"{step.own_late_ms:.0f} ms",
            )
        )
        + "</tr>"
        for step in report.steps
    )  # fmt: skip
    return f"""<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title} · {say(report.sentence)}</title><style>{report_page.STYLE}
.plot{{display:block;width:100%;height:auto}}.plot text{{font-size:12px;fill:var(--text3)}}
td{{color:var(--text)!important}}
</style></head><body><main>
<div class="brand"><span><b>PersonaDesk</b> · {title} · {escape(report.line)}</span><span>{escape(when)}</span></div>
<header><div><h1>{say(report.sentence)}</h1><p>{say(report.advice)}</p></div></header>
<section><h2>{say(T("How late frames came"))}</h2>{_graph(report, say)}</section>
<section><table><tr>{"".join(f"<th>{say(each)}</th>" for each in head)}</tr>{rows}</table></section>
</main></body></html>
"""


def _graph(report: LoadReport, say: Translate) -> str:
    steps = report.steps
    most = max((step.callers for step in steps), default=1)
    top = max(1.5 * LINE_MS, *(1.1 * step.p95_ms for step in steps), 0.0)

    def x(callers: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * (callers - 0.5) / most

    def y(ms: float) -> float:
        return _FOOT - (_FOOT - _TOP) * min(ms, top) / top

    wide = 0.6 * (_RIGHT - _LEFT) / most
    parts = [
        f'<path d="M{_LEFT} {_FOOT}H{_RIGHT}" stroke="var(--border)"/>',
        f'<path d="M{_LEFT} {y(LINE_MS):.1f}H{_RIGHT}" stroke="var(--fail)" stroke-dasharray="6 4"/>',
        f'<text x="{_LEFT - 6}" y="{y(LINE_MS) + 4:.1f}" text-anchor="end">{LINE_MS:.0f} ms</text>',
        f'<text x="{_LEFT - 6}" y="{_FOOT}" text-anchor="end">0</text>',
    ]
    for step in steps:
        ink = "var(--fail)" if step.late else "var(--warn)" if step.own_fault else "var(--you)"
        word = "" if not step.late else say(T("late"))
        parts.append(
            f'<rect x="{x(step.callers) - wide / 2:.1f}" y="{y(step.p95_ms):.1f}" width="{wide:.1f}" '
            f'height="{max(1.0, _FOOT - y(step.p95_ms)):.1f}" fill="{ink}" rx="2"/>'
            f'<text x="{x(step.callers):.1f}" y="{_FOOT + 18}" text-anchor="middle">{step.callers}</text>'
            f'<text x="{x(step.callers):.1f}" y="{y(step.p95_ms) - 5:.1f}" text-anchor="middle">{word}</text>'
        )
    label = say(T("Calls at once, and by how much one frame in twenty came late"))
    return (
        f'<svg class="plot" viewBox="0 0 1000 290" role="img" aria-label="{label}">{"".join(parts)}</svg>'
        f"<p><small>{label}</small></p>"
    )
