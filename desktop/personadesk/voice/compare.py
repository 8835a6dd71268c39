"""Compares voices: the same clip is said to each in turn, and what came back is put side by side.

In turn and never at once, so that they do not disturb each other on this computer or its network; with several rounds
each voice has its call in every round, so that an hour's mood of the network meets all of them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from personadesk.domain.errors import BadRequest, PersonaDeskError
from personadesk.domain.report import Verdict, figure_text
from personadesk.domain.text import T, Text
from personadesk.voice.measure import gap_excess, response_waits
from personadesk.voice.test import SECONDS_AFTER, run_voice_test

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from personadesk.domain.callee import Callee
    from personadesk.domain.report import VoiceReport
    from personadesk.voice.clips import Clip
    from personadesk.voice.recording import Recording

    Progress = Callable[[float, Text], None]

MOST_SIDES: Final = 6
MOST_ROUNDS: Final = 20
_CURVE_POINTS: Final = 101


@dataclass(frozen=True, slots=True)
class Call:
    """One call that came about.

    Attributes:
        report: What was found.
        recording: What was said and heard.
    """

    report: VoiceReport
    recording: Recording


@dataclass(frozen=True, slots=True)
class Side:
    """One voice of a comparison.

    Attributes:
        callee: Whom it is.
        calls: Those that came about, in their order.
        error: Why one did not, None when all did.
    """

    callee: Callee
    calls: tuple[Call, ...] = ()
    error: PersonaDeskError | None = None

    @property
    def middle(self) -> Call | None:
        """The call with the median first sound, to be shown and listened to; None without any."""
        heard = sorted(self.calls, key=lambda call: _value(call, "first_audio_s") or 1e9)
        return heard[(len(heard) - 1) // 2] if heard else None

    @property
    def responses_ms(self) -> list[float]:
        """From each full frame of ours to the sound that came next, all calls together."""
        return [wait for call in self.calls for wait in response_waits(call.recording)]

    @property
    def gaps_ms(self) -> list[float]:
        """By how much each gap outlasted the sound before it, all calls together."""
        return [
            gap
            for call in self.calls
            for gap in gap_excess([(p.at, p.seconds) for p in call.recording.heard if p.seconds])
        ]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of all sides.

    Attributes:
        key: Its name in reports, with its unit.
        title: For people.
        unit: As in `domain.report.Limit`, or `$/h`.
        values: One for each side, None where it could not be measured.
        best: Which side has the best one; None when they are alike, or one is missing, or more is not better.
    """

    key: str
    title: Text
    unit: str
    values: tuple[float | None, ...]
    best: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out.

    Attributes:
        clip: What was said.
        started: Unix time.
        rounds: How many calls each was given.
        sides: The voices in the order they were called.
        rows: Their figures side by side; over several rounds the median.
        best: Which side is best as a whole, None when none can be told from the others.
        sentence: That in words.
    """

    clip: str
    started: float
    rounds: int
    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    best: int | None
    sentence: Text


_ROWS: Final = (
    ("first_audio_s", T("First sound after"), "s"),
    ("answer_s", T("Answer after the last word"), "s"),
    ("response_p50_ms", T("Frame there and back, usual"), "ms"),
    ("response_p95_ms", T("Frame there and back, 1 in 20"), "ms"),
    ("round_trip_ms", T("Of that the network"), "ms"),
    ("queue_ms", T("Of that waiting at the server"), "ms"),
    ("tick_ms", T("Of that the GPU step"), "ms"),
    ("gap_p99_ms", T("Jitter"), "ms"),
    ("late_percent", T("Missed audio"), "%"),
    ("real_time_factor", T("Time per second of sound"), "x"),
    ("connect_s", T("Connected in"), "s"),
    ("handshake_s", T("Ready to talk after"), "s"),
    ("level_dbfs", T("Loudness"), "dB"),
    ("price", T("Price per hour"), "$/h"),
)
_NO_CONTEST: Final = {"level_dbfs"}
_DECIDE: Final = (
    "first_audio_s",
    "response_p50_ms",
    "response_p95_ms",
    "gap_p99_ms",
    "late_percent",
)
"""What is heard in a talk; the rest explains it, happens once a call, or is money."""
_ALIKE: Final = 0.03
"""Values nearer than this share of the other are alike; the next run may turn them round."""
_UNHEARD: Final = {"s": 0.02, "ms": 3.0, "%": 0.1, "x": 0.05, "$/h": 0.005}
"""Nor is a difference of less than this one that anybody notices."""


async def compare(
    callees: Sequence[Callee],
    clip: Clip,
    *,
    rounds: int = 1,
    token: str | None = None,
    query: Mapping[str, str] | None = None,
    seconds_after: float = SECONDS_AFTER,
    on_progress: Progress | None = None,
) -> Comparison:
    """Say `clip` to each of `callees` in turn.

    Args:
        callees: Two or more.
        clip: What to say.
        rounds: How many calls each is given.
        token: Access token, sent to those that have none of their own.
        query: More parameters of each call.
        seconds_after: How long is listened after the clip.
        on_progress: Called with 0..1 and a sentence.

    Returns:
        What came out; a voice that could not be called has an error in its side.

    Raises:
        BadRequest: There are too few or too many, or the same one twice.
    """
    check(callees, rounds)
    started = time.time()
    calls: list[list[Call]] = [[] for _ in callees]
    errors: list[PersonaDeskError | None] = [None] * len(callees)
    total = rounds * len(callees)
    for number in range(total):
        index = number % len(callees)
        callee = callees[index]

        def progress(
            done: float, doing: Text, number: int = number, name: str = callee.name
        ) -> None:
            if on_progress is not None:
                told = T("{name}: {doing}", name=name, doing=doing)
                on_progress((number + done) / total, told)

        try:
            report, recording = await run_voice_test(
                callee.url, clip=clip, token=callee.token or token, query=query,
                seconds_after=seconds_after, on_progress=progress,
            )  # fmt: skip
        except PersonaDeskError as error:
            errors[index] = error
        else:
            calls[index].append(Call(report, recording))
    sides = tuple(
        Side(callee, tuple(mine), error)
        for callee, mine, error in zip(callees, calls, errors, strict=True)
    )
    return await asyncio.to_thread(conclude, clip.name, started, rounds, sides)


def check(callees: Sequence[Callee], rounds: int = 1) -> None:
    """Refuse what makes no comparison.

    Raises:
        BadRequest: There are too few or too many, or the same one twice.
    """
    if not 2 <= len(callees) <= MOST_SIDES:
        raise _bad(T("A comparison takes 2 to {most} voices.", most=MOST_SIDES))
    if len({callee.url for callee in callees}) < len(callees):
        raise _bad(T("The same voice was named twice."))
    if not 1 <= rounds <= MOST_ROUNDS:
        raise _bad(T("A comparison has 1 to {most} rounds.", most=MOST_ROUNDS))


def conclude(clip: str, started: float, rounds: int, sides: tuple[Side, ...]) -> Comparison:
    """Put figures side by side and say who is best."""
    figures = [_figures(side) for side in sides]
    table = [
        (key, title, unit, tuple(each.get(key) for each in figures)) for key, title, unit in _ROWS
    ]
    rows = tuple(
        Row(key, title, unit, values, None if key in _NO_CONTEST else _least(values, unit))
        for key, title, unit, values in table
        if any(value is not None for value in values)
    )
    best = _best(sides, rows)
    return Comparison(clip, started, rounds, sides, rows, best, _sentence(sides, rows, best))


def curve(values: Sequence[float]) -> list[tuple[float, float]]:
    """Return a distribution as (value, share of all that are at most that, 0..1), for drawing."""
    if not values:
        return []
    shares = np.linspace(0.0, 1.0, _CURVE_POINTS)
    return [
        (round(float(value), 2), round(float(share), 4))
        for value, share in zip(np.quantile(values, shares), shares, strict=True)
    ]


def shown(row: Row, value: float | None) -> Text:
    """Return a value of a row as people read it."""
    return T("—") if value is None else figure_text(value, row.unit)


def _figures(side: Side) -> dict[str, float | None]:
    found: dict[str, float | None] = {"price": side.callee.price if side.calls else None}
    for key, _, _ in _ROWS:
        if key not in found:
            values = [v for call in side.calls if (v := _value(call, key)) is not None]
            found[key] = round(statistics.median(values), 4) if values else None
    waits = side.responses_ms
    if waits:
        found["response_p50_ms"], found["response_p95_ms"] = (
            round(float(each), 2) for each in np.percentile(waits, (50, 95))
        )
    queues = [
        values["lag_ms"] - values["tick_ms"]
        for call in side.calls
        for _, values in call.recording.metadata
        if isinstance(values.get("lag_ms"), int | float)
        and isinstance(values.get("tick_ms"), int | float)
    ]
    found["queue_ms"] = round(max(0.0, statistics.median(queues)), 2) if queues else None
    return found


def _value(call: Call, key: str) -> float | None:
    value = call.report.values.get(key)
    return None if isinstance(value, bool | str) or value is None else float(value)


def _least(values: Sequence[float | None], unit: str) -> int | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    least, second = sorted(known)[:2]
    if second - least <= max(_ALIKE * abs(second), _UNHEARD[unit]):
        return None
    return known.index(least)


def _best(sides: Sequence[Side], rows: Sequence[Row]) -> int | None:
    """Return who has the best verdict, and among equals the most of the figures that decide."""
    ranks = [_rank(side) for side in sides]
    first = [index for index, rank in enumerate(ranks) if rank == min(ranks)]
    if min(ranks) == len(Verdict):
        return None
    if len(first) == 1:
        return first[0]
    won = [row.best for row in rows if row.key in _DECIDE and row.best in first]
    # Of those with equally many, the one that is first in what is heard first.
    return max(won, key=won.count, default=None)


def _rank(side: Side) -> int:
    if not side.calls or side.error is not None:
        return len(Verdict)
    order = list(Verdict)
    return max(order.index(call.report.verdict) for call in side.calls)


def _sentence(sides: Sequence[Side], rows: Sequence[Row], best: int | None) -> Text:
    silent = [side.callee.name for side in sides if not side.calls]
    if len(silent) == len(sides):
        return T("None of them could be called.")
    if best is None:
        return T("No difference that can be heard.")
    name = sides[best].callee.name
    decisive = next((row for row in rows if row.key in _DECIDE and row.best == best), None)
    if decisive is None:
        return T("{name} is the only one that came through well.", name=name)
    others = [v for n, v in enumerate(decisive.values) if n != best and v is not None]
    return T(
        "{name} is best: {figure} {value} against {other}.",
        name=name, figure=decisive.title, value=shown(decisive, decisive.values[best]),
        other=shown(decisive, min(others)),
    )  # fmt: skip


def _bad(what: Text) -> BadRequest:
    return BadRequest(what, T("Name different lines, machines or addresses."), cause="comparison")
