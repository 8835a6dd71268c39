"""Names who is to blame when a voice is late or uneven: this computer, the server, or the way between them.

One home for both: `cause` judges a voice test that is over, `lag` a call that goes on.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from personadesk.domain.report import Verdict
from personadesk.domain.text import NOTHING, T, Text
from personadesk.voice.figures import Stage
from personaplex_server.protocol import FRAME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personadesk.domain.report import Figure
    from personadesk.voice.measure import Value

_TIMELY: Final = frozenset(
    {"connect_s", "first_audio_s", "real_time_factor", "late_percent", "gap_p95_ms", "gap_p99_ms"}
)
"""Figures that say when sound came; loudness and silence have other causes."""
_BUSY_HERE_MS: Final = 25.0
"""Our own packets later than a third of a frame make everything behind them late."""
_FRAME_MS: Final = 1000.0 * FRAME_SECONDS
_RESERVE: Final = 0.9
_LOOPBACK_MS: Final = 2.0
"""A line or a tunnel on this computer answers a ping itself: below this nothing is known of the way behind it."""

LAG_MS: Final = 300.0
"""From here on people begin to speak at the same time; ITU-T G.114 calls 150 ms one way good and 400 the limit."""
_USUAL_MS: Final[Mapping[Stage, float]] = MappingProxyType(
    {
        Stage.MICROPHONE: 40.0,
        Stage.ENCODE: _FRAME_MS + 10.0,
        Stage.UPLINK: 40.0,
        Stage.QUEUE: 20.0,
        Stage.TICK: 0.75 * _FRAME_MS,
        Stage.DOWNLINK: 40.0,
        Stage.JITTER_BUFFER: 50.0,
        Stage.PLAYBACK: 60.0,
    }
)
"""What each stage takes where nothing is wrong; the culprit is the one that is furthest above it."""


def lag(
    stages: Mapping[Stage, float], risen: Mapping[Stage, float], total: float, place: str = ""
) -> tuple[Text, Stage | None]:
    """Return one sentence of blame and the stage it is about, or nothing while the lag is fine.

    Args:
        stages: Milliseconds of each stage that is known.
        risen: By how much each grew lately, when the whole is growing; else empty.
        total: Milliseconds from mouth to ear.
        place: What the server is called, "" for "the server".
    """
    if total <= LAG_MS and not risen:
        return NOTHING, None
    tick = stages.get(Stage.TICK, 0.0)
    if tick > _RESERVE * _FRAME_MS:
        return T(
            "The GPU needs {tick} ms for 80 ms of sound: it can't keep up.", tick=round(tick)
        ), Stage.TICK
    above = risen or {stage: ms - _USUAL_MS[stage] for stage, ms in stages.items()}
    culprit = max(above, key=lambda stage: above[stage])
    ms = round(stages[culprit])
    where: Text | str = place or T("the server")
    match culprit:
        case Stage.MICROPHONE:
            said = T(
                "The microphone hands over its sound {ms} ms late: try another one, or a cable in place of "
                "Bluetooth.",
                ms=ms,
            )
        case Stage.ENCODE:
            said = T(
                "This computer needs {ms} ms to send what you say: close other programs.", ms=ms
            )
        case Stage.UPLINK:
            said = T("The network to {place} takes {ms} ms of this.", place=where, ms=ms)
        case Stage.QUEUE:
            said = T(
                "What you say waits {ms} ms at {place} before its turn: it is busy, or your network brings "
                "it in bursts.",
                place=where,
                ms=ms,
            )
        case Stage.TICK:
            said = T("The GPU needs {tick} ms for 80 ms of sound.", tick=ms)
        case Stage.DOWNLINK:
            said = T("The network back from {place} takes {ms} ms of this.", place=where, ms=ms)
        case Stage.JITTER_BUFFER:
            said = T(
                "Sound waits {ms} ms before it is played, because the network brings it unevenly.",
                ms=ms,
            )
        case Stage.PLAYBACK:
            said = T(
                "This computer plays {ms} ms late: close other programs or take a wired headset.",
                ms=ms,
            )
    return said, culprit


def cause(broken: Sequence[Figure], values: Mapping[str, Value]) -> Text:
    """Return one sentence of blame, or nothing when the sound came in time or nobody can be told from another.

    Args:
        broken: Figures that did not pass.
        values: What was measured, as `measure` gives it: `sent_late_p99_ms`, `tick_ms`, `round_trip_ms`.
    """
    if not any(f.limit.key in _TIMELY and f.verdict is not Verdict.PASS for f in broken):
        return NOTHING
    late_here, tick, way = (
        _number(values, key) for key in ("sent_late_p99_ms", "tick_ms", "round_trip_ms")
    )
    if late_here is not None and late_here > _BUSY_HERE_MS:
        return T(
            "This computer itself was up to {ms} ms late with sending: it is busy.",
            ms=round(late_here),
        )
    if tick is None:
        return NOTHING
    if tick > _RESERVE * _FRAME_MS:
        return T(
            "The server needs {tick} ms for 80 ms of sound: it can't keep up.", tick=round(tick)
        )
    if way is None or way < _LOOPBACK_MS:
        return T(
            "The server kept up: it needs {tick} ms for 80 ms of sound. The network to it is what "
            "delays: sound comes in bursts.",
            tick=round(tick),
        )
    return T(
        "The server kept up: it needs {tick} ms for 80 ms of sound. The network to it is what delays: "
        "{way} ms there and back, and sound comes in bursts.",
        tick=round(tick),
        way=round(way),
    )


def _number(values: Mapping[str, Value], key: str) -> float | None:
    value = values.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
