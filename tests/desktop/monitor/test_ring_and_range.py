"""The last hour in memory, and stretches as they are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personadesk.domain.sample import Absent, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.monitor.ranges import of_values, reduced
from personadesk.monitor.rings import LEAST_SLOTS, SLOTS, Ring, Rings
from personadesk.store.history import GroupKey

USE = (Metric.GPU_USE, "0")
POWER = (Metric.GPU_POWER, "0")
NO = Absent(T("no"))


def _sample(at: float, use: float | Absent | None = 1.0, power: float | None = None) -> Sample:
    readings = [Reading(*USE, use)] if use is not None else []
    readings += [Reading(*POWER, power)] if power is not None else []
    return Sample(at, Source.HOST, tuple(readings))


def test_the_oldest_is_overwritten_and_the_rest_stays_in_order():
    ring = Ring(5)
    for at in range(12):
        ring.add(_sample(float(at + 1), use=10.0 * at))
    at, values = ring.column(USE)
    assert at.tolist() == [8, 9, 10, 11, 12]
    assert values.tolist() == [70, 80, 90, 100, 110]
    assert (ring.first_at, ring.last_at, ring.full) == (8.0, 12.0, True)


def test_what_is_absent_or_not_told_is_a_gap():
    ring = Ring(9)
    ring.add(_sample(1.0, power=100.0))
    ring.add(_sample(2.0, use=NO))
    ring.add(_sample(3.0, use=None, power=90.0))
    assert np.isnan(ring.column(USE)[1]).tolist() == [False, True, True]
    assert np.isnan(ring.column(POWER)[1]).tolist() == [False, True, False]


def test_a_series_that_comes_later_has_a_gap_before():
    ring = Ring(9)
    ring.add(_sample(1.0))
    ring.add(_sample(2.0, power=5.0))
    assert np.isnan(ring.column(POWER)[1][0])
    assert ring.series == ("gpu.use|0", "gpu.power|0")


def test_a_sample_that_is_not_newer_is_passed_over_and_a_clock_set_far_back_begins_anew():
    ring = Ring(9)
    ring.add(_sample(10_000.0))
    assert ring.add(_sample(10_000.0)) is None
    assert ring.add(_sample(9_990.0)) is None
    assert ring.add(_sample(1_000.0)) is not None
    assert ring.column(USE)[0].tolist() == [1_000.0]


def test_many_series_share_one_budget_by_holding_less_time():
    rings = Rings(budget=SLOTS * 40)
    for number in range(200):
        rings.add(GroupKey(f"h{number}", "host"), _sample(1.0, power=1.0))
    assert LEAST_SLOTS <= rings.slots < SLOTS
    ring = rings.get(GroupKey("h0", "host"))
    assert ring is not None
    assert ring.column(USE)[1].tolist() == [1.0]
    for number in range(199):
        rings.drop(f"h{number}")
    assert rings.slots == SLOTS
    assert rings.of("h0") == {}


def test_few_points_stay_as_they_are():
    at = np.arange(100.0)
    found = reduced(of_values(at, at), 10.0, 20.0)
    assert found.at.tolist() == list(range(10, 20))


def test_a_spike_is_never_lost():
    at = np.arange(3600.0)
    values = np.zeros(3600)
    values[1234] = 99.0
    found = reduced(of_values(at, values), 0.0, 3600.0, 600)
    assert len(found) <= 600
    assert found.high.max() == 99.0
    assert found.low.max() == 0.0
    assert 0 < found.mean.max() < 99.0
    spike = found.at[found.high.argmax()]
    assert abs(spike - 1234) <= 6


def test_a_hole_is_a_gap_and_a_slow_pace_is_none():
    at = np.concatenate((np.arange(0, 100.0), np.arange(500, 900.0, 10)))
    found = reduced(of_values(at, np.ones(len(at))), 0.0, 1000.0)
    assert np.isnan(found.mean).sum() == 1
    assert 100 < found.at[np.isnan(found.mean)][0] < 500


def test_a_hole_stays_one_when_points_are_many():
    at = np.concatenate((np.arange(0, 4000.0), np.arange(6000, 9000.0)))
    found = reduced(of_values(at, np.ones(len(at))), 0.0, 9000.0, 300)
    assert np.isnan(found.mean).any()
    assert not np.isnan(found.mean[found.at < 3900]).any()


@given(st.integers(2, 5000), st.integers(10, 600), st.floats(0, 1e6))
def test_never_more_points_than_asked_for_and_all_within(count: int, points: int, start: float):
    at = start + np.arange(count, dtype=float)
    found = reduced(of_values(at, np.sin(at)), start, start + count, points)
    assert len(found) <= points + 1
    assert found.low.min() == pytest.approx(np.sin(at).min())
    assert found.high.max() == pytest.approx(np.sin(at).max())
    assert (np.diff(found.at) > 0).all()
