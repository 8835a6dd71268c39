"""The schedule of ticks, by a clock that tests set."""

from __future__ import annotations

from itertools import pairwise

import pytest

from personaplex_server.pace import LEAST_STEP_S, Pace

FRAME = 0.08


def run(pace: Pace, arrivals: list[float], took: float = 0.01) -> list[float]:
    """Return when ticks start for frames that arrive when said, as the model thread would do it."""
    starts, now = [], 0.0
    for arrival in arrivals:
        due = max(pace.due, now)
        start = max(due, arrival)
        starts.append(start)
        pace.ticked(start, start - arrival, was_ready=arrival <= due)
        now = start + took
    return starts


def test_the_first_frame_is_served_when_it_comes():
    assert run(Pace(), [5.03]) == [5.03]


def test_steady_callers_are_served_every_80_ms():
    starts = run(Pace(), [1 + n * FRAME for n in range(100)])
    assert starts == pytest.approx([1 + n * FRAME for n in range(100)])


def test_frames_that_come_at_once_leave_one_by_one():
    starts = run(Pace(), [1.0] * 5)
    assert starts == pytest.approx([1 + n * FRAME for n in range(5)])


def test_a_late_frame_moves_the_schedule_and_it_moves_back():
    arrivals = [1 + n * FRAME for n in range(400)]
    arrivals[50] += 0.06
    starts = run(Pace(), arrivals)
    steps = [b - a for a, b in pairwise(starts)]
    assert starts[51] - arrivals[51] == pytest.approx(0.06)
    assert starts[-1] - arrivals[-1] < 0.02
    assert min(steps) >= LEAST_STEP_S


def test_a_slow_tick_is_made_up_for_without_a_burst():
    pace = Pace()
    run(pace, [1.0])
    starts = [1.0]
    for took in (0.14, *[0.01] * 20):
        starts.append(max(starts[-1] + took, pace.due))
        pace.ticked(starts[-1], 0.0, was_ready=True)
    steps = [b - a for a, b in pairwise(starts)]
    assert steps[0] == pytest.approx(0.14)
    assert min(steps) >= LEAST_STEP_S - 1e-9
    assert starts[-1] == pytest.approx(1 + 21 * FRAME)


def test_a_very_slow_tick_starts_a_new_schedule():
    pace = Pace()
    run(pace, [1.0])
    pace.ticked(1.5, 0.4, was_ready=True)
    assert pace.due == pytest.approx(1.58)


@pytest.mark.parametrize("period", [0.0792, 0.0808])
def test_a_clock_that_differs_is_followed(period):
    arrivals = [1 + n * period for n in range(2000)]
    starts = run(Pace(), arrivals)
    assert max(start - arrival for start, arrival in zip(starts, arrivals, strict=True)) < FRAME
    assert min(b - a for a, b in pairwise(starts)) >= LEAST_STEP_S
