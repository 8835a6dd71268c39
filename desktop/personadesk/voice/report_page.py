"""The page of a voice report: one HTML file that needs nothing else, light or dark as the reader's system is.

Colours are those of the window's theme; a verdict is always a shape and a word too.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Final

from personadesk.domain.report import Figure, Verdict, figure_text
from personadesk.domain.text import T, Text
from personadesk.voice import report_waves
from personadesk.voice.faults import ABNORMAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.report import VoiceReport
    from personadesk.voice.recording import Recording
    from personadesk.voice.timeline import Moment

    Translate = Callable[[Text], str]

WORDS: Final = {
    Verdict.PASS: T("Passed"),
    Verdict.WARN: T("Passed with remarks"),
    Verdict.FAIL: T("Failed"),
}
# A disc with a tick, a triangle with a stroke, an octagon with a cross: told apart without any colour.
_SHAPES: Final = {
    Verdict.PASS: '<circle cx="12" cy="12" r="11"/><path d="M6.8 12.4l3.5 3.5 6.9-7.4"/>',
    Verdict.WARN: '<path d="M12 1.2 23.4 21.6H.6Z" stroke-linejoin="round"/><path d="M12 8.4v6M12 17.9v.1"/>',
    Verdict.FAIL: '<path d="M7.4 1h9.2L23 7.4v9.2L16.6 23H7.4L1 16.6V7.4Z"/><path d="M8 8l8 8M16 8l-8 8"/>',
}
STYLE: Final = """
:root{color-scheme:light dark;--window:#F6F7F9;--surface:#FFF;--inset:#F0F2F5;--border:#DCE1E8;--text:#171B22;
--text2:#465060;--text3:#5F6979;--pass:#12744A;--warn:#8A5200;--fail:#B92B2B;--pass-soft:#E1F3EA;
--warn-soft:#FCF0DA;--fail-soft:#FCE8E7;--you:#2456C8;--voice:#B34700;--grid:#E6EAEF;--on:#FFF}
@media(prefers-color-scheme:dark){:root{--window:#13161B;--surface:#1A1E25;--inset:#222831;--border:#2D343F;
--text:#E9ECF1;--text2:#B4BCC8;--text3:#939DAC;--pass:#4FC48C;--warn:#EDB24A;--fail:#FF8A82;--pass-soft:#15301F;
--warn-soft:#362808;--fail-soft:#3D1B1B;--you:#5584F0;--voice:#D97F1E;--grid:#272D36;--on:#13161B}}
*{box-sizing:border-box}
body{margin:0;background:var(--window);color:var(--text);font:14px/1.45 Inter,system-ui,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1080px;margin:0 auto;padding:28px 20px 40px;display:grid;gap:16px}
section,header{background:var(--surface);border:1px solid var(--border);border-radius:10px;padding:20px 22px}
h1{font-size:1.7em;line-height:1.25;font-weight:650;margin:0}h2{font-size:1.08em;font-weight:650;margin:0 0 12px}
p{margin:0}.brand{color:var(--text3);font-size:.92em;display:flex;justify-content:space-between;gap:16px;
flex-wrap:wrap;padding:0 2px}
header{display:flex;gap:20px;align-items:flex-start}header .shape{width:48px;height:48px;flex:none}
header p{color:var(--text2);margin-top:5px;max-width:75ch}
.word{font-weight:600;font-size:.92em;margin:0 0 2px!important}
.pass{--ink:var(--pass);--soft:var(--pass-soft)}.warn{--ink:var(--warn);--soft:var(--warn-soft)}
.fail{--ink:var(--fail);--soft:var(--fail-soft)}.word{color:var(--ink)!important}
.shape{fill:var(--ink);stroke:none}.shape path:last-child{fill:none;stroke:var(--on);stroke-width:2.4;
stroke-linecap:round;stroke-linejoin:round}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:12px}
.card{display:flex;flex-direction:column}
.card{background:var(--surface);border:1px solid var(--border);border-radius:10px;padding:14px 16px;position:relative}
.card.warn,.card.fail{background:var(--soft);border-color:var(--ink)}
.card .shape{position:absolute;right:14px;top:14px;width:18px;height:18px}
.card h3{font-size:.92em;font-weight:400;color:var(--text2);margin:0 26px 4px 0;flex:1}
.card b{font-size:1.54em;font-weight:650;display:block;line-height:1.3}
.card small{color:var(--text3);font-size:.92em;display:block}
.waves svg{display:block;width:100%;height:auto}.waves text{font-size:12px;fill:var(--text3)}
.waves .name{font-size:13px;font-weight:600;fill:var(--text)}
.heard{background:var(--inset);border-radius:8px;padding:12px 14px;margin-top:14px}
.heard small{color:var(--text3);display:block}.heard p{max-width:75ch;overflow-wrap:anywhere}
audio{width:100%;margin-top:14px;height:40px}
ol{list-style:none;margin:0;padding:0}
ol li{display:grid;grid-template-columns:6.5em 1fr;gap:10px;padding:5px 0;border-top:1px solid var(--grid)}
ol li:first-child{border-top:0}ol time{color:var(--text3);text-align:right}
ol li span{overflow-wrap:anywhere}.stall,.end.fail{color:var(--fail)}
ul{margin:0;padding-left:1.2em}li+li{margin-top:2px}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:6px 10px 6px 0;border-top:1px solid var(--grid);
vertical-align:top}th{font-weight:500;color:var(--text2);font-size:.92em;border-top:0}td.n{white-space:nowrap}
td .shape{width:15px;height:15px;vertical-align:-2px;margin-right:6px}td:last-child{color:var(--text2)}
details summary{cursor:pointer;font-weight:600}details table{margin-top:10px;font-size:.92em}
code{font:.95em "JetBrains Mono",ui-monospace,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:16px;align-items:start}
@media print{main{padding:0;max-width:none}section,header,.card{break-inside:avoid}audio{display:none}}
"""


def render(
    report: VoiceReport,
    recording: Recording,
    moments: Sequence[Moment],
    *,
    sound: str,
    translate: Translate = str,
) -> str:
    """Return the page.

    Args:
        report: What was found.
        recording: What was said and heard.
        moments: What happened when.
        sound: Where the call can be listened to: a URL, also a data one.
        translate: Turns sentences into the reader's language.
    """

    def say(text: Text) -> str:
        return escape(translate(text))

    title = say(T("Voice test"))
    when = datetime.fromtimestamp(report.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    cards = "".join(_card(figure, say) for figure in report.figures)
    return f"""<!doctype html>
<html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title} · {say(report.sentence)}</title><style>{STYLE}</style></head><body><main>
<div class="brand"><span><b>PersonaDesk</b> · {title}</span><span>{escape(when)}</span></div>
<header class="{report.verdict}">{shape(report.verdict, say)}<div>
<p class="word">{say(WORDS[report.verdict])}</p><h1>{say(report.sentence)}</h1>
<p>{say(report.explanation)}</p></div></header>
<div class="cards">{cards}</div>
{_reasons(report, say)}
{_turns(report, say)}
<section class="waves"><h2>{say(T("What was said and heard"))}</h2>
{report_waves.draw(report, recording, moments, say)}
<audio controls preload="metadata" src="{escape(sound)}"></audio>
{_heard(report, say)}</section>
<div class="two"><section><h2>{say(T("What happened when"))}</h2>{_timeline(moments, say)}</section>
<section><h2>{say(T("How smooth it was"))}</h2>{_further(report, say)}</section></div>
<section><h2>{say(T("The call"))}</h2>{_facts(report, recording, say)}</section>
<section><details><summary>{say(T("Every measured value"))}</summary>{_values(report)}</details></section>
</main></body></html>
"""


def shape(verdict: Verdict, say: Translate) -> str:
    """Return a verdict as a small picture that no colour is needed for."""
    word = say(WORDS[verdict])
    return (
        f'<svg class="shape {verdict}" viewBox="0 0 24 24" role="img" aria-label="{word}">'
        f"{_SHAPES[verdict]}</svg>"
    )


def _bound(figure: Figure, say: Translate) -> str:
    limit = figure.limit
    if limit.unit == "yes/no":
        return ""
    if limit.most is not None:
        return say(T("at most {limit}", limit=figure_text(limit.most, limit.unit)))
    if limit.least is not None:
        return say(T("at least {limit}", limit=figure_text(limit.least, limit.unit)))
    return ""


def _value(figure: Figure, say: Translate) -> str:
    if figure.value is None:
        return "—"
    return say(figure_text(figure.value, figure.limit.unit))


def _card(figure: Figure, say: Translate) -> str:
    return (
        f'<div class="card {figure.verdict}" title="{say(figure.limit.why)}">'
        f"{shape(figure.verdict, say)}<h3>{say(figure.limit.title)}</h3>"
        f"<b>{_value(figure, say)}</b><small>{_bound(figure, say)}</small></div>"
    )


def _reasons(report: VoiceReport, say: Translate) -> str:
    if not report.reasons:
        return ""
    rows = "".join(f"<li>{say(reason)}</li>" for reason in report.reasons)
    return f"<section><h2>{say(T('Why'))}</h2><ul>{rows}</ul></section>"


def _turns(report: VoiceReport, say: Translate) -> str:
    if not report.turns:
        return ""
    rows = []
    for check in report.turns:
        figure = check.figure
        sign = "" if figure is None else shape(figure.verdict, say)
        value = "" if figure is None else _value(figure, say)
        told = say(check.note) if figure is None or check.note else _bound(figure, say)
        rows.append(
            f'<tr class="{"" if figure is None else figure.verdict}"><td class="n">{check.number}</td>'
            f'<td>{sign}{say(check.title)}</td><td class="n">{value}</td><td>{told}</td></tr>'
        )
    return f"<section><h2>{say(T('Turn by turn'))}</h2><table>{''.join(rows)}</table></section>"


def _heard(report: VoiceReport, say: Translate) -> str:
    if not report.text:
        return ""
    return f'<div class="heard"><small>{say(T("What it wrote down"))}</small><p>{escape(report.text)}</p></div>'


def _timeline(moments: Sequence[Moment], say: Translate) -> str:
    rows = "".join(
        f'<li class="{moment.what}"><time>{_clock(moment.at)}</time><span>{say(moment.text)}</span></li>'
        for moment in moments
    )
    return f"<ol>{rows}</ol>"


def _clock(at: float) -> str:
    return f"{round(at, 2) + 0.0:.2f} s".replace("-", "\u2212")


def _further(report: VoiceReport, say: Translate) -> str:
    rows = "".join(
        f'<tr class="{figure.verdict}"><td>{shape(figure.verdict, say)}{say(figure.limit.title)}</td>'
        f'<td class="n">{_value(figure, say)}</td><td>{_bound(figure, say)}</td></tr>'
        for figure in report.further
    )
    return f"<table>{rows}</table>"


def _facts(report: VoiceReport, recording: Recording, say: Translate) -> str:
    engines = {
        "personaplex": T("PersonaPlex"),
        "echo": T("Echo: it gives back what it hears"),
        "": T("not told by this server"),
    }
    engine = engines.get(report.engine, Text(report.engine))
    if report.rehearsal:
        engine = T("Rehearsal model: the right shape, no training, it babbles")
    facts = [
        (T("Address"), f"<code>{escape(report.url)}</code>"),
        (T("Who answers"), say(engine)),
        (T("What was said"), f"<code>{escape(report.clip)}</code>, {recording.clip_seconds:.2f} s"),
        (T("How it ended"), say(_ending(recording))),
    ]
    rows = "".join(f"<tr><td>{say(name)}</td><td>{value}</td></tr>" for name, value in facts)
    return f"<table>{rows}</table>"


def _ending(recording: Recording) -> Text:
    code = recording.close_code
    if recording.hung_up_by_us and code != ABNORMAL:
        return T("We hung up and the server said goodbye (code {code})", code=code)
    if recording.hung_up_by_us:
        return T("We hung up and the server said nothing")
    if code == ABNORMAL:
        return T("The connection broke")
    if recording.close_reason:
        return T(
            "The server hung up: {reason} (code {code})", reason=recording.close_reason, code=code
        )
    return T("The server hung up (code {code})", code=code)


def _values(report: VoiceReport) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code></td><td>{'—' if value is None else escape(str(value))}</td></tr>"
        for key, value in sorted(report.values.items())
    )
    return f"<table>{rows}</table>"
