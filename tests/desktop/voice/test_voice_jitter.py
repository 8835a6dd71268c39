"""The buffer before the loudspeaker, over every pattern in which sound may arrive; its clock is the loudspeaker's."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personadesk.voice import stretch
from personadesk.voice.jitter import JitterBuffer

RATE = 24_000
FRAME = 1_920
PULL = 240


def voice(seconds: float, hertz: float = 140.0, level: float = 0.3) -> np.ndarray:
    at = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


QUIET = np.zeros(FRAME, np.float32)
LOUD = voice(10.0)


@dataclass
class Listener:
    """Plays what arrives at given times through a loudspeaker that takes 10 ms at a time."""

    buffer: JitterBuffer
    clock: float = 0.0
    loud: bool = False
    pull: int = PULL
    pushed: int = 0
    heard: int = 0
    slack_ms: list[tuple[float, float]] = field(default_factory=list)

    def play(self, arrivals: list[float], *, off: float = 0.0) -> None:
        """Take a frame at each of these times; the loudspeaker's clock runs faster by `off`."""
        step = self.pull / RATE / (1.0 + off)
        for at in arrivals:
            while self.clock + step <= at:
                self.buffer.pull(self.pull)
                self.heard += self.pull
                self.clock += step
            self.slack_ms.append((at, 1000.0 * self.buffer.seconds))
            begin = self.pushed % (8 * RATE)
            self.buffer.push(LOUD[begin : begin + FRAME] if self.loud else QUIET)
            self.pushed += FRAME

    def late_slack(self, seconds: float = 3.0) -> list[float]:
        return [ms for at, ms in self.slack_ms if at > self.clock - seconds]


def on_time(count: int, start: float = 0.0) -> list[float]:
    return [start + 0.08 * n for n in range(count)]


def test_sound_begins_after_a_little_and_goes_on_whole() -> None:
    buffer = JitterBuffer(1000, start=0.1, most=0.3)
    buffer.push(np.arange(1, 101, dtype=np.float32))
    assert not buffer.pull(90).any()
    assert buffer.pull(20).tolist() == [0.0] * 10 + list(range(1, 11))
    assert buffer.pull(90).tolist() == list(range(11, 101))
    assert buffer.underruns == 0


def test_what_lies_ready_is_played_as_it_is() -> None:
    buffer = JitterBuffer(RATE, start=0.0, most=100.0, adapt=False)
    sound = np.arange(1, 50_001, dtype=np.float32)
    buffer.push(sound)
    np.testing.assert_array_equal(np.concatenate([buffer.pull(500) for _ in range(100)]), sound)


def test_a_quiet_network_costs_twenty_milliseconds_and_not_a_sample() -> None:
    listener = Listener(JitterBuffer(RATE), loud=True)
    listener.play(on_time(500))
    buffer = listener.buffer
    assert (buffer.underruns, buffer.dropped, buffer.skipped, buffer.added) == (0, 0, 0, 0)
    assert 10 <= max(listener.late_slack()) <= 30


def test_running_dry_asks_for_more_and_later_for_less_again() -> None:
    listener = Listener(JitterBuffer(RATE))
    uneven = [at + (0.06 if n % 25 == 24 else 0.0) for n, at in enumerate(on_time(500))]
    listener.play(uneven)
    buffer = listener.buffer
    assert buffer.underruns == 1, "it learns from the first"
    assert 60 <= max(listener.late_slack()) <= 130, "and holds what such a network needs"
    listener.play(on_time(500, 40.0))
    assert buffer.underruns == 1
    assert max(listener.late_slack()) < 60, "until the network is quiet again"


@pytest.mark.parametrize("loud", [False, True])
def test_a_stall_is_worked_off_instead_of_staying_as_lag(loud: bool) -> None:
    listener = Listener(JitterBuffer(RATE), loud=loud)
    listener.play(on_time(100))
    # 400 ms of nothing, then all of it at once, then on time.
    listener.play([8.4] * 5 + on_time(200, 8.4))
    after = [ms for at, ms in listener.slack_ms if 8.5 < at < 9.0]
    assert max(after) > 300, "there was something to work off"
    settled = [ms for at, ms in listener.slack_ms if at > (18.4 if loud else 11.4)]
    assert max(settled) < listener.buffer.depth().target_ms + 30
    assert listener.buffer.underruns == 1
    assert listener.buffer.skipped >= 0


def test_a_burst_of_more_than_half_a_second_is_dropped_at_once() -> None:
    listener = Listener(JitterBuffer(RATE))
    listener.play([0.0] * 20)
    assert listener.buffer.seconds <= 0.5
    assert listener.buffer.dropped >= 0


@pytest.mark.parametrize(("off", "frames"), [(200e-6, 45_000), (-200e-6, 12_000)])
def test_an_hour_with_a_sound_card_that_is_off_neither_drifts_nor_grows(
    off: float, frames: int
) -> None:
    """The slower one for a quarter of an hour, since it takes the machine as long."""
    listener = Listener(JitterBuffer(RATE), pull=480)
    listener.play(on_time(3000), off=off)
    for begin in range(3000, frames, 3000):
        if begin == frames - 3000:
            tracemalloc.start()
        listener.slack_ms.clear()
        listener.play(on_time(3000, begin * 0.08), off=off)
        assert min(ms for _, ms in listener.slack_ms) >= 0
        assert max(ms for _, ms in listener.slack_ms) < 70
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    buffer = listener.buffer
    moved = (buffer.added if off > 0 else buffer.skipped) / RATE
    assert moved == pytest.approx(frames * 0.08 * 200e-6, abs=0.06), "200 ppm"
    assert buffer.underruns == 0
    assert buffer.dropped == 0
    assert held < 1_000_000


arrival = st.one_of(
    st.floats(0.0, 0.03),  # jitter
    st.floats(0.0, 0.3),  # a slow moment
    st.just(2.0),  # a stall
)


@settings(max_examples=25, deadline=None)
@given(st.lists(arrival, min_size=10, max_size=40), st.booleans())
def test_whatever_arrives_nothing_is_lost_unseen_and_calm_brings_it_back(
    delays: list[float], loud: bool
) -> None:
    """TCP keeps the order, so what is late holds up what comes after it."""
    listener = Listener(JitterBuffer(RATE), loud=loud)
    late = list(itertools.accumulate((0.08 * n + d for n, d in enumerate(delays)), max))
    listener.play(late)
    calm = late[-1] + 0.08
    listener.play(on_time(320, calm))
    buffer = listener.buffer
    waiting = round(buffer.seconds * RATE)
    played = listener.pushed + buffer.added - buffer.skipped - buffer.dropped - waiting
    assert 0 <= played <= listener.heard
    assert buffer.depth().target_ms <= 240
    assert listener.slack_ms[-1][1] <= buffer.depth().target_ms + 40


@pytest.mark.parametrize("rate", [24_000, 44_100, 48_000])
def test_speech_is_tightened_and_widened_by_one_of_its_periods(rate: int) -> None:
    at = np.arange(round(0.08 * rate)) / rate
    for hertz in (90.0, 140.0, 250.0):
        pcm = (0.5 * np.sin(2 * np.pi * hertz * at)).astype(np.float32)
        for changed in (stretch.tighten(pcm, rate), stretch.widen(pcm, rate)):
            periods = abs(len(changed) - len(pcm)) * hertz / rate
            assert periods == pytest.approx(round(periods), abs=0.06)
            assert periods > 0.9
            step = np.abs(np.diff(pcm)).max()
            assert np.abs(np.diff(changed)).max() < 1.2 * step, "no click"


def test_a_crumb_is_left_as_it_is() -> None:
    crumb = voice(0.01)
    assert stretch.tighten(crumb, RATE) is crumb
    assert stretch.widen(crumb, RATE) is crumb
    assert stretch.room(crumb[:100], RATE) == 0
