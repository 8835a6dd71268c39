"""The verdict of a voice test: figures, their limits with the reason for each, and what they mean together.

The window, the terminal and the guardian all judge by this one table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Verdict(StrEnum):
    """How one figure or a whole test came out."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure must keep to.

    Attributes:
        key: Name of the figure in reports, with its unit: `connect_s`.
        title: How it is called in the window.
        unit: `s`, `ms`, `%`, `x`, `dB`, `yes/no` (1 or 0) or "".
        most: Upper limit, or None.
        least: Lower limit, or None.
        why: The reason for the limit, one sentence.
        hard: Beyond this it fails outright, however near the limit is; None for the usual half.
        broken: The sentence when it is not kept, where numbers would not say it.
    """

    key: str
    title: Text
    unit: str
    why: Text
    most: float | None = None
    least: float | None = None
    hard: float | None = None
    broken: Text = NOTHING

    def judge(self, value: float | None) -> Verdict:
        """PASS within the limit, WARN when over by less than half of it, else FAIL; a missing value fails."""
        if value is None or value != value:
            return Verdict.FAIL
        if self.most is not None and value > self.most:
            hard = 1.5 * self.most if self.hard is None else self.hard
            return Verdict.WARN if value < hard else Verdict.FAIL
        if self.least is not None and value < self.least:
            return Verdict.WARN if value > self.least - abs(self.least) / 2 else Verdict.FAIL
        return Verdict.PASS


LIMITS: tuple[Limit, ...] = (
    Limit("connect_s", T("Connected in"), "s", T("Longer than two seconds feels like a dead line."), most=2.0),
    Limit(
        "handshake_s", T("Ready to talk after"), "s",
        T("The persona is read before the handshake; a caller waits for it only once."), most=10.0,
    ),
    Limit(
        "first_audio_s", T("First sound after"), "s",
        T("People expect an answer within about a second."), most=1.2,
    ),
    Limit(
        "real_time_factor", T("Time per second of sound"), "x",
        T("Above 0.9 there is no reserve, above 1 the lag grows with every word."), most=0.9, hard=1.0,
    ),
    Limit(
        "late_percent", T("Missed audio"), "%",
        T("More than one late frame in a hundred is heard as crackle."), most=1.0,
    ),
    Limit(
        "gap_p99_ms", T("Jitter"), "ms",
        T("Half a frame over the 80 ms between frames is what a player's buffer hides."), most=40.0,
    ),
)  # fmt: skip
"""What decides whether a voice can be talked with."""

FURTHER_LIMITS: tuple[Limit, ...] = (
    Limit(
        "gap_p50_ms", T("Usual gap"), "ms",
        T("Frames should normally come as evenly as they were spoken."), most=10.0,
    ),
    Limit(
        "gap_p95_ms", T("Gap now and then"), "ms",
        T("One gap in twenty of this size is still smoothed away."), most=30.0,
    ),
    Limit(
        "level_dbfs", T("Loudness"), "dB",
        T("Below -45 dB a voice is hard to hear at a usual volume."), least=-45.0,
    ),
    Limit(
        "silence_percent", T("Share of silence"), "%",
        T("A voice that is silent nearly all the time has not really answered."), most=97.0,
    ),
    Limit(
        "clean_close", T("Hung up properly"), "yes/no",
        T("A server that doesn't say goodbye may keep its place taken for the next caller."), least=1.0,
        broken=T("The server didn't hang up properly."),
    ),
)  # fmt: skip
"""What makes a voice that can be talked with less than smooth; these never fail a test alone."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value with its judgement.

    Attributes:
        limit: What it was held against.
        value: In the limit's unit; None when it could not be measured.
        verdict: How it came out.
    """

    limit: Limit
    value: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TurnCheck:
    """What one turn of a script showed.

    Attributes:
        number: Of the turn, from 1.
        title: What was looked at.
        figure: The value with its judgement; None where nothing is judged.
        note: Why it is not judged, or what happened.
    """

    number: int
    title: Text
    figure: Figure | None = None
    note: Text = NOTHING

    @property
    def failed(self) -> bool:
        """Whether it was judged and is beyond its limit."""
        return self.figure is not None and self.figure.verdict is not Verdict.PASS


@dataclass(frozen=True, slots=True)
class VoiceReport:
    """What a voice test found.

    Attributes:
        verdict: All within: PASS. One over by less than half: WARN. Worse, or no voice: FAIL.
        sentence: The verdict in words, as the result page's heading.
        explanation: A second sentence with the figure that decided.
        figures: Judged figures in the order of `LIMITS`.
        further: Judged figures in the order of `FURTHER_LIMITS`.
        values: Every measured value by key, judged or not (level_dbfs, silence_share, gap_p50_ms, …).
        reasons: A sentence for each figure that did not pass, worst first.
        url: What was called, without its query.
        started: Unix time.
        text: What the voice wrote.
        sent_wave: Peaks 0..1 of what was said, one for each 40 ms.
        heard_wave: The same of what was heard, on the same time axis.
        engine: `personaplex`, `echo` or "" when the server does not tell.
        rehearsal: True when the server says that its model is untrained.
        clip: Name of the clip or script that was spoken.
        turns: What each turn of a script showed.
    """

    verdict: Verdict
    sentence: Text
    explanation: Text
    figures: tuple[Figure, ...]
    values: Mapping[str, float | int | str | bool | None]
    reasons: tuple[Text, ...] = ()
    url: str = ""
    started: float = 0.0
    text: str = ""
    sent_wave: tuple[float, ...] = ()
    heard_wave: tuple[float, ...] = ()
    engine: str = ""
    rehearsal: bool = False
    clip: str = ""
    further: tuple[Figure, ...] = ()
    turns: tuple[TurnCheck, ...] = ()


def judge(
    values: Mapping[str, float | int | str | bool | None], limits: Sequence[Limit] = LIMITS
) -> tuple[Figure, ...]:
    """Hold measured values against limits; a value that is missing or no number could not be measured."""
    figures = []
    for limit in limits:
        raw = values.get(limit.key)
        known = isinstance(raw, (int, float)) and isinstance(raw, bool) == (limit.unit == "yes/no")
        value = float(raw) if known and raw is not None else None
        figures.append(Figure(limit, value, limit.judge(value)))
    return tuple(figures)


def conclude(
    figures: Sequence[Figure],
    *,
    heard: bool,
    failure: Text = NOTHING,
    further: Sequence[Figure] = (),
) -> tuple[Verdict, Text]:
    """Return the verdict of a whole test and its sentence.

    Args:
        figures: Judged figures that decide.
        heard: Whether any sound came back that is not silence.
        failure: Why the call broke off, when it did; it is then the sentence.
        further: Judged figures that at most turn a pass into a warning.
    """
    if failure:
        return Verdict.FAIL, failure
    if not heard:
        return Verdict.FAIL, T("It runs, but no voice came back.")
    failed = [f for f in figures if f.verdict is Verdict.FAIL]
    warned = [f for f in figures if f.verdict is Verdict.WARN]
    if failed or len(warned) > 1:
        worst = (failed or warned)[0]
        return Verdict.FAIL, T(
            "Too slow to talk with: {figure} is {value}, the limit is {limit}.", **_named(worst)
        )
    rough = [f for f in further if f.verdict is not Verdict.PASS]
    if not warned and rough and rough[0].limit.broken:
        return Verdict.WARN, T("It works, but one thing is not as it should be.")
    if warned or rough:
        return Verdict.WARN, T(
            "It works, but not smoothly: {figure} is {value}, the limit is {limit}.",
            **_named((warned or rough)[0]),
        )
    return Verdict.PASS, T("It works. You can talk.")


def reason(figure: Figure) -> Text:
    """Say in one sentence how a figure stands to its limit."""
    if figure.value is not None and figure.limit.broken:
        return figure.limit.broken
    if figure.value is None:
        return T("{figure} could not be measured.", figure=figure.limit.title)
    return T("{figure} is {value}, the limit is {limit}.", **_named(figure))


def _named(figure: Figure) -> dict[str, str | Text]:
    limit = figure.limit
    bound = limit.most if limit.most is not None else limit.least
    return {
        "figure": limit.title,
        "value": "—" if figure.value is None else figure_text(figure.value, limit.unit),
        "limit": "—" if bound is None else figure_text(bound, limit.unit),
    }


def format_value(value: float, unit: str) -> str:
    """Format a figure as English-speaking people read it: `0.39 s`, `6 ms`, `0.0 %`."""
    return str(figure_text(value, unit))


def figure_text(value: float, unit: str) -> Text:
    """Return a figure as a sentence of its own, so that each language writes the number its way."""
    if unit == "yes/no":
        return T("yes") if value else T("no")
    return {
        "s": T("{value:.2f} s", value=float(value)),
        "ms": T("{value:.0f} ms", value=float(value)),
        "%": T("{value:.1f} %", value=float(value)),
        "dB": T("{value:.0f} dB", value=float(value)),
        "$/h": T("${value:.2f}", value=float(value)),
    }.get(unit, T("{value:.2f}", value=float(value)))
