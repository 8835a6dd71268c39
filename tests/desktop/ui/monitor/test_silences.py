"""Holes in figures are remembered with their reason, from the first sample without a value to the next with one."""

from __future__ import annotations

import math

from personadesk.domain.sample import Absent, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.ui.monitor.silences import Silences

AWAY = Absent(T("The tunnel is down."))


def sample(
    at: float, value: float | Absent, part: str = "0", metric: Metric = Metric.GPU_USE
) -> Sample:
    return Sample(at, Source.HOST, (Reading(metric, part, value),))


def test_a_hole_begins_and_ends_with_its_first_reason():
    heard = Silences({Metric.GPU_USE})
    heard.take("a", sample(10, 50.0))
    heard.take("a", sample(11, AWAY))
    heard.take("a", sample(12, Absent(T("Something else."))))
    (hole,) = heard.between("a", Metric.GPU_USE, "0", 0, 20)
    assert (hole.since, hole.until, str(hole.reason)) == (11, math.inf, "The tunnel is down.")
    heard.take("a", sample(13, 51.0))
    assert hole.until == 13
    assert heard.between("a", Metric.GPU_USE, "0", 14, 20) == []
    assert heard.between("a", Metric.GPU_USE, "1", 0, 20) == []
    assert heard.between("b", Metric.GPU_USE, "0", 0, 20) == []


def test_voices_of_a_machine_share_their_holes_and_what_is_not_drawn_is_not_kept():
    heard = Silences({Metric.SERVER_TICK_P99})
    heard.take("a", sample(1, AWAY, "voice-1", Metric.SERVER_TICK_P99))
    heard.take("a", sample(1, AWAY, "0"))
    assert len(heard.between("a", Metric.SERVER_TICK_P99, "", 0, 5)) == 1
    assert heard.between("a", Metric.GPU_USE, "0", 0, 5) == []
