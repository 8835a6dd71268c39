"""The page of a comparison: the table with the word "best", distributions, and both answers to switch between."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Final

from personadesk.domain.text import T, Text
from personadesk.voice import report_page
from personadesk.voice.compare import curve, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.voice.compare import Comparison, Row, Side

    Translate = Callable[[Text], str]

DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "4 4", "1 5")
"""Sides are told apart by the dashes of their line, and only besides by its colour."""
_COLOURS: Final = (
    "var(--you)",
    "var(--voice)",
    "var(--pass)",
    "var(--warn)",
    "var(--fail)",
    "var(--text2)",
)
_STYLE: Final = """
.sides td:last-child{color:inherit}.sides td,.sides th{border-top:1px solid var(--grid)}.sides td.best{font-weight:650}
.best small{margin-left:8px;color:var(--pass);font-weight:600}
.key{display:flex;gap:18px;flex-wrap:wrap;margin-bottom:6px}
.key svg{width:34px;height:10px;vertical-align:1px;margin-right:6px}
.plot{display:block;width:100%;height:auto}.plot text{font-size:12px;fill:var(--text3)}
.switch{display:flex;gap:8px;align-items:center;flex-wrap:wrap;margin-bottom:6px}
.switch button{font:inherit;color:var(--text);background:var(--inset);border:1px solid var(--border);border-radius:8px;
padding:7px 14px;cursor:pointer}.switch button[aria-pressed=true]{border-color:var(--you);font-weight:650}
"""
_SCRIPT: Final = """
const all=[...document.querySelectorAll('audio[data-side]')],keys=[...document.querySelectorAll('button[data-side]')];
let now=0;
function show(next){const was=all[now],on=!was.paused,at=was.currentTime;was.pause();now=next;
all.forEach((a,i)=>a.hidden=i!==now);keys.forEach((k,i)=>k.setAttribute('aria-pressed',i===now));
all[now].currentTime=Math.min(at,all[now].duration||at);if(on)all[now].play();}
keys.forEach((k,i)=>k.addEventListener('click',()=>show(i)));
"""
_LEFT, _RIGHT, _TOP, _FOOT, _WIDTH, _HEIGHT = 44.0, 968.0, 10.0, 220.0, 1000, 250


def render(found: Comparison, sounds: Sequence[str | None], translate: Translate = str) -> str:
    """Return the page.

    Args:
        found: What came out.
        sounds: Where the call of each side can be listened to, None for one that was not called.
        translate: Turns sentences into the reader's language.
    """

    def say(text: Text) -> str:
        return escape(translate(text))

    title = say(T("Comparison of voices"))
    when = datetime.fromtimestamp(found.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    told = T(
        "Said: {clip}. Calls to each: {rounds}, in turn.", clip=found.clip, rounds=found.rounds
    )
    return f"""<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title} · {say(found.sentence)}</title><style>{report_page.STYLE}{_STYLE}</style></head><body><main>
<div class="brand"><span><b>PersonaDesk</b> · {title}</span><span>{escape(when)}</span></div>
<header><div><h1>{say(found.sentence)}</h1><p>{say(told)}</p></div></header>
<section><h2>{say(T("Side by side"))}</h2>{_table(found, say)}</section>
<section><h2>{say(T("From our frame to the next sound"))}</h2>
{_plot(found.sides, [side.responses_ms for side in found.sides], say)}</section>
<section><h2>{say(T("Gaps beyond the sound in hand"))}</h2>
{_plot(found.sides, [side.gaps_ms for side in found.sides], say)}</section>
<section><h2>{say(T("Listen"))}</h2>{_listen(found.sides, sounds, say)}</section>
</main><script>{_SCRIPT}</script></body></html>
"""


def _table(found: Comparison, say: Translate) -> str:
    head = "".join(f"<th>{escape(side.callee.name)}</th>" for side in found.sides)
    rows = [_verdicts(found.sides, say), _places(found.sides, say)]
    rows += [_row(row, say) for row in found.rows]
    texts = [side.middle.report.text if side.middle else "" for side in found.sides]
    if any(texts):
        cells = "".join(f"<td>{escape(text) or '—'}</td>" for text in texts)
        rows.append(f"<tr><td>{say(T('What it wrote down'))}</td>{cells}</tr>")
    return f'<table class="sides"><tr><th></th>{head}</tr>{"".join(rows)}</table>'


def _verdicts(sides: Sequence[Side], say: Translate) -> str:
    cells = []
    for side in sides:
        if side.middle is None:
            why = side.error.what if side.error is not None else T("Not called")
            cells.append(f"<td>{say(why)}</td>")
            continue
        verdict = side.middle.report.verdict
        cells.append(
            f'<td class="{verdict}">{report_page.shape(verdict, say)}{say(report_page.WORDS[verdict])}</td>'
        )
    return f"<tr><td>{say(T('Voice test'))}</td>{''.join(cells)}</tr>"


def _places(sides: Sequence[Side], say: Translate) -> str:
    cells = "".join(f"<td>{escape(side.callee.place) or '—'}</td>" for side in sides)
    return f"<tr><td>{say(T('Where'))}</td>{cells}</tr>"


def _row(row: Row, say: Translate) -> str:
    cells = "".join(
        f'<td class="n{" best" if row.best == index else ""}">{say(shown(row, value))}'
        f"{'<small>' + say(T('best')) + '</small>' if row.best == index else ''}</td>"
        for index, value in enumerate(row.values)
    )
    return f"<tr><td>{say(row.title)}</td>{cells}</tr>"


def _plot(sides: Sequence[Side], values: Sequence[Sequence[float]], say: Translate) -> str:
    """Draw how many frames stayed below which time; steeper and further left is better."""
    curves = [curve(each) for each in values]
    widest = max((points[-2][0] for points in curves if points), default=0.0)
    top = _round_up(max(widest, 10.0))

    def x(value: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * min(value, top) / top

    def y(share: float) -> float:
        return _FOOT - (_FOOT - _TOP) * share

    parts = []
    for step in range(6):
        value = top * step / 5
        parts.append(
            f'<path d="M{x(value):.0f} {_TOP}V{_FOOT}" stroke="var(--grid)"/>'
            f'<text x="{x(value):.0f}" y="{_FOOT + 18}" text-anchor="middle">{value:g} ms</text>'
        )
    parts += [
        f'<path d="M{_LEFT} {y(share):.0f}H{_RIGHT}" stroke="var(--grid)"/>'
        f'<text x="{_LEFT - 6}" y="{y(share) + 4:.0f}" text-anchor="end">{share:.0%}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    keys = []
    for index, (side, points) in enumerate(zip(sides, curves, strict=True)):
        style = f'stroke="{_COLOURS[index]}" stroke-width="2" stroke-dasharray="{DASHES[index]}" fill="none"'
        path = "L".join(f"{x(value):.1f} {y(share):.1f}" for value, share in points)
        if path:
            parts.append(f'<path d="M{path}" {style}/>')
        keys.append(
            f'<span><svg viewBox="0 0 34 10"><path d="M0 5H34" {style}/></svg>{escape(side.callee.name)}</span>'
        )
    label = say(T("Share of frames that took at most so long"))
    return (
        f'<div class="key">{"".join(keys)}</div>'
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
        f"<p><small>{label}</small></p>"
    )


def _round_up(value: float) -> float:
    for step in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000):
        if value <= step:
            return float(step)
    return 10_000.0


def _listen(sides: Sequence[Side], sounds: Sequence[str | None], say: Translate) -> str:
    there = [
        (side.callee.name, sound)
        for side, sound in zip(sides, sounds, strict=True)
        if sound is not None
    ]
    if not there:
        return f"<p>{say(T('Nothing was heard.'))}</p>"
    keys = "".join(
        f'<button data-side aria-pressed="{"false" if index else "true"}">{"ABCDEF"[index]} · {escape(name)}</button>'
        for index, (name, _) in enumerate(there)
    )
    players = "".join(
        f'<audio data-side controls preload="auto" src="{escape(sound)}"{" hidden" if index else ""}></audio>'
        for index, (_, sound) in enumerate(there)
    )
    told = say(T("Switching goes on at the same moment of the call."))
    return f'<div class="switch">{keys}<small>{told}</small></div>{players}'
