"""Draws both sides of a test call over one time axis, as SVG inside the report's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personadesk.domain.text import T, Text
from personadesk.voice import levels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.report import VoiceReport
    from personadesk.voice.recording import Recording
    from personadesk.voice.timeline import Moment

_LEFT: Final = 120.0
_WIDTH: Final = 1000.0
_HALF: Final = 46.0
_YOU: Final = 62.0
_VOICE: Final = 172.0
_FOOT: Final = 232.0
_HEIGHT: Final = 262
_MOST_BARS: Final = 320
_QUIETEST_SCALE: Final = 0.3
"""A whisper is not drawn as loud as speech."""
_STEPS: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


def draw(
    report: VoiceReport,
    recording: Recording,
    moments: Sequence[Moment],
    say: Callable[[Text], str],
) -> str:
    """Return an SVG with what was said above, what was heard below, stalls shaded and the marked moments.

    Args:
        report: Holds the peaks of both sides.
        recording: Holds the stalls.
        moments: Those with `mark` are drawn as lines with their words.
        say: Translates and escapes.
    """
    seconds = levels.PEAK_SECONDS * max(len(report.sent_wave), len(report.heard_wave), 1)
    scale = (_WIDTH - _LEFT - 8) / seconds

    def x(at: float) -> float:
        return _LEFT + max(0.0, at) * scale

    parts = [_axis(seconds, x), *_marks(moments, x, say)]
    parts += [
        f'<rect x="{x(stall.at):.1f}" y="{_VOICE - _HALF:.1f}" width="{max(1.0, stall.seconds * scale):.1f}" '
        f'height="{2 * _HALF:.1f}" fill="var(--fail-soft)" stroke="var(--fail)" stroke-dasharray="2 3"/>'
        for stall in recording.playback().stalls
    ]
    for wave, middle, colour in (
        (report.sent_wave, _YOU, "var(--you)"),
        (report.heard_wave, _VOICE, "var(--voice)"),
    ):
        parts.append(_bars(wave, middle, colour, x))
    for middle, colour, name, second in (
        (_YOU, "var(--you)", T("Test clip"), T("we sent")),
        (_VOICE, "var(--voice)", T("Answer"), T("we heard")),
    ):
        parts.append(
            f'<rect x="0" y="{middle - 11:.0f}" width="10" height="10" rx="2" fill="{colour}"/>'
            f'<text class="name" x="18" y="{middle - 2:.0f}">{say(name)}</text>'
            f'<text x="18" y="{middle + 15:.0f}">{say(second)}</text>'
        )
    label = say(T("Waveforms of what was said and what was heard"))
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _bars(wave: Sequence[float], middle: float, colour: str, x: Callable[[float], float]) -> str:
    together = -(-len(wave) // _MOST_BARS) or 1
    tallest = max(_QUIETEST_SCALE, max(wave, default=0.0))
    step = levels.PEAK_SECONDS * together
    lines = []
    for number in range(0, len(wave), together):
        half = max(0.6, _HALF * max(wave[number : number + together]) / tallest)
        at = x((number / together + 0.5) * step)
        lines.append(f"M{at:.1f} {middle - half:.1f}V{middle + half:.1f}")
    thick = min(3.0, max(1.2, 0.5 * (x(step) - x(0.0))))
    return (
        f'<path d="{"".join(lines)}" stroke="{colour}" stroke-width="{thick:.1f}" '
        'stroke-linecap="round" fill="none"/>'
    )


def _axis(seconds: float, x: Callable[[float], float]) -> str:
    step = next((step for step in _STEPS if seconds / step <= 12), 600)
    parts, at = [], 0.0
    while at <= seconds:
        parts.append(
            f'<path d="M{x(at):.1f} 10V{_FOOT:.0f}" stroke="var(--grid)"/>'
            f'<text x="{x(at):.1f}" y="{_FOOT + 18:.0f}" text-anchor="middle">{at:g} s</text>'
        )
        at += step
    return "".join(parts)


def _marks(
    moments: Sequence[Moment], x: Callable[[float], float], say: Callable[[Text], str]
) -> list[str]:
    drawn = []
    for moment in moments:
        if not moment.mark:
            continue
        at = x(moment.at)
        anchor, shift = ("end", -6) if at > 0.7 * _WIDTH else ("start", 6)
        row = _YOU - _HALF - 4 if moment.what == "speak" else _VOICE - _HALF - 1
        drawn.append(
            f'<path d="M{at:.1f} 6V{_FOOT:.0f}" stroke="var(--text3)" stroke-dasharray="3 3"/>'
            f'<text x="{at + shift:.1f}" y="{row:.0f}" text-anchor="{anchor}">{say(moment.text)}</text>'
        )
    return drawn
