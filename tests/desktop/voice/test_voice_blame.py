"""Who is blamed for a voice that came late: this computer, the server, the network, or nobody without proof."""

from __future__ import annotations

import pytest

from personadesk.domain.report import FURTHER_LIMITS, LIMITS, Figure, Verdict
from personadesk.domain.text import NOTHING
from personadesk.voice.blame import cause

ALL = {limit.key: limit for limit in (*LIMITS, *FURTHER_LIMITS)}
KEPT_UP = {"tick_ms": 12.0, "round_trip_ms": 201.4, "sent_late_p99_ms": 2.0}


def broken(key: str) -> list[Figure]:
    return [Figure(ALL[key], 99.0, Verdict.FAIL)]


@pytest.mark.parametrize(
    ("key", "values", "word"),
    [
        ("late_percent", KEPT_UP, "The network to it is what delays: 201 ms"),
        ("late_percent", KEPT_UP | {"round_trip_ms": 0.3}, "what delays: sound comes in bursts."),
        ("gap_p99_ms", KEPT_UP | {"tick_ms": 91.0}, "needs 91 ms for 80 ms of sound: it can't"),
        ("gap_p99_ms", KEPT_UP | {"sent_late_p99_ms": 60.0}, "This computer itself was up to 60"),
        ("real_time_factor", {"tick_ms": 75.0}, "can't keep up"),
    ],
)
def test_the_slow_one_is_named(key, values, word):
    assert word in str(cause(broken(key), values))


@pytest.mark.parametrize(
    ("figures", "values"),
    [
        ([], KEPT_UP),
        (broken("level_dbfs"), KEPT_UP),
        (broken("late_percent"), {"tick_ms": None, "round_trip_ms": 200.0}),
    ],
)
def test_nobody_is_blamed_without_proof(figures, values):
    assert cause(figures, values) == NOTHING
