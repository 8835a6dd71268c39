"""Names who is to blame when a voice came late or unevenly: this computer, the server, or the way between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from personadesk.domain.report import Verdict
from personadesk.domain.text import NOTHING, T, Text
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
