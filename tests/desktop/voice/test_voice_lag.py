"""Lag by stage from scripted times: the stage that is made slow is the one that is named."""

from __future__ import annotations

import tracemalloc

import pytest

from personadesk.voice import blame
from personadesk.voice.figures import Lag, Stage
from personadesk.voice.lag import LagClock, Own

CLOCKS_APART = 7_654_321.0
"""Milliseconds between the server's clock and ours: they have nothing to do with each other."""


class Call:
    """A call whose every stage takes as long as it is told, in milliseconds."""

    def __init__(self, *, tells_clock: bool = True) -> None:
        self.clock = LagClock()
        self.now = 100.0
        self.frame = 0
        self.dropped = 0
        self.stages = {
            Stage.MICROPHONE: 15.0, Stage.ENCODE: 5.0, Stage.UPLINK: 20.0, Stage.QUEUE: 3.0,
            Stage.TICK: 40.0, Stage.DOWNLINK: 20.0, Stage.JITTER_BUFFER: 20.0, Stage.PLAYBACK: 30.0,
        }  # fmt: skip
        self._tells_clock = tells_clock

    def run(self, seconds: float, **grow: float) -> Lag:
        """Talk; `grow` adds so many milliseconds a second to a stage."""
        lag = Lag()
        for _ in range(round(seconds / 0.08)):
            self.now += 0.08
            for name, per_second in grow.items():
                self.stages[Stage(name)] += 0.08 * per_second
            self.clock.sent(self.now, 960)
            self.clock.sent(self.now, 960)
            self.frame += 1
            if self.frame % 12 == 0:
                lag = self._tell()
        return lag

    def _tell(self) -> Lag:
        s = self.stages
        arrived = 1000.0 * self.now + s[Stage.UPLINK]
        ended = arrived + s[Stage.QUEUE] + s[Stage.TICK]
        told = {
            "tick_ms": s[Stage.TICK], "lag_ms": s[Stage.QUEUE] + s[Stage.TICK],
            "frame": self.frame - 1 - self.dropped, "dropped": self.dropped,
        }  # fmt: skip
        if self._tells_clock:
            told["at_ms"] = ended + CLOCKS_APART
        at = (ended + s[Stage.DOWNLINK]) / 1000.0
        self.clock.told(at, told)
        own = Own(s[Stage.MICROPHONE], s[Stage.ENCODE], s[Stage.JITTER_BUFFER], s[Stage.PLAYBACK])
        return self.clock.lag(at, own, "Arizona")


def test_every_stage_is_found_as_it_is() -> None:
    lag = Call().run(5)
    assert [round(stage.ms or 0.0) for stage in lag.stages] == [15, 85, 20, 3, 40, 20, 20, 30]
    assert lag.total_ms == pytest.approx(233, abs=1)
    assert not lag.blame
    assert not lag.growing


@pytest.mark.parametrize(
    ("stage", "ms", "words"),
    [
        (Stage.MICROPHONE, 250, "The microphone hands over its sound 250 ms late"),
        (Stage.ENCODE, 200, "This computer needs 280 ms to send"),
        (Stage.UPLINK, 300, "The network to Arizona takes 300 ms of this."),
        (Stage.QUEUE, 240, "waits 240 ms at Arizona before its turn"),
        (Stage.TICK, 91, "The GPU needs 91 ms for 80 ms of sound: it can't keep up."),
        (Stage.DOWNLINK, 300, "The network back from Arizona takes 300 ms of this."),
        (Stage.JITTER_BUFFER, 200, "Sound waits 200 ms before it is played"),
        (Stage.PLAYBACK, 260, "This computer plays 260 ms late"),
    ],
)
def test_the_stage_that_became_slow_is_named(stage: Stage, ms: float, words: str) -> None:
    call = Call()
    call.run(5)
    call.stages[stage] = ms
    if stage is Stage.TICK:
        call.stages[Stage.QUEUE] = 60.0
    lag = call.run(5)
    assert lag.total_ms is not None
    assert lag.total_ms > blame.LAG_MS
    assert lag.culprit is stage
    assert words in str(lag.blame)


def test_a_lag_that_grows_is_told_before_it_is_large() -> None:
    call = Call()
    call.run(12)
    lag = call.run(9, uplink=7.0)
    assert lag.total_ms is not None
    assert lag.total_ms < blame.LAG_MS
    assert lag.growing
    assert lag.culprit is Stage.UPLINK
    settled = call.run(12)
    assert not settled.growing
    assert not settled.blame


def test_without_the_servers_clock_the_network_is_halved_and_it_says_so() -> None:
    call = Call(tells_clock=False)
    call.stages[Stage.UPLINK] = 60.0
    lag = call.run(5)
    assert lag.of(Stage.UPLINK).ms == lag.of(Stage.DOWNLINK).ms == pytest.approx(40, abs=1)
    assert "Half of the way" in str(lag.of(Stage.UPLINK).why)


def test_frames_that_the_server_passed_over_do_not_shift_the_rest() -> None:
    call = Call()
    call.run(5)
    call.dropped = 9
    assert call.run(5).of(Stage.UPLINK).ms == pytest.approx(20, abs=1)


def test_a_server_that_tells_nothing_leaves_its_part_open() -> None:
    clock = LagClock()
    clock.told(1.0, {"queue": 3})
    lag = clock.lag(1.0, Own(None, 1.0, 20.0, None))
    assert lag.total_ms is None
    assert lag.of(Stage.TICK).ms is None
    assert str(lag.of(Stage.TICK).why) == "The server doesn't tell."
    assert str(lag.of(Stage.MICROPHONE).why).startswith("A clip is spoken")
    assert lag.of(Stage.JITTER_BUFFER).ms == 20.0


def test_figures_that_grow_old_are_not_shown_as_new() -> None:
    call = Call()
    call.run(5)
    own = Own(15.0, 5.0, 20.0, 30.0)
    assert call.clock.lag(call.now + 10.0, own).total_ms is None


def test_after_a_break_the_offer_says_which_frame_comes_next() -> None:
    call = Call()
    call.run(5)
    call.clock.rejoined()
    # Thirty frames were never dealt with; the server begins anew at the number it has come to.
    at_server = call.frame - 30
    call.clock.told(call.now, {"resume": "token", "slot": 0, "frame": at_server, "dropped": 0})
    for n in range(24):
        call.now += 0.08
        call.clock.sent(call.now, 1920)
        told = {"tick_ms": 40.0, "lag_ms": 43.0, "frame": at_server + n, "dropped": 0}
        call.clock.told(call.now + 0.083, told)
    lag = call.clock.lag(call.now + 0.1, Own(15.0, 5.0, 20.0, 30.0))
    assert lag.of(Stage.UPLINK).ms == pytest.approx(20, abs=1)


def test_after_a_break_with_a_server_that_does_not_say_the_network_is_not_guessed() -> None:
    call = Call()
    call.run(5)
    call.clock.rejoined()
    call.run(3)
    lag = call.clock.lag(call.now, Own(15.0, 5.0, 20.0, 30.0))
    assert lag.of(Stage.UPLINK).ms is None
    assert lag.of(Stage.TICK).ms == 40.0


def test_an_hour_takes_no_memory() -> None:
    call = Call()
    call.run(3000)
    tracemalloc.start()
    lag = call.run(600)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert lag.total_ms == pytest.approx(233, abs=1)
    assert grown < 300_000, "what is remembered is replaced, not added"
