from __future__ import annotations

import numpy as np
import pytest

from personadesk.voice.meters import Meter
from personadesk.voice.transcript import Transcript

FRAME = 1920


def loud(samples: int = FRAME, level: float = 0.5) -> np.ndarray:
    return np.full(samples, level, np.float32)


def test_the_wave_shows_the_last_twelve_seconds_newest_last() -> None:
    meter = Meter()
    meter.add(1.0, loud())
    wave = meter.wave(1.08)
    assert len(wave) == 300
    assert wave[-3:] == (0.5, 0.5, 0.0)
    assert sum(wave) == 1.0
    later = meter.wave(3.08)
    assert later[-53:-51] == (0.5, 0.5)
    assert sum(meter.wave(14.0)) == 0.0


def test_frames_that_follow_each_other_leave_no_gap_though_they_come_unevenly() -> None:
    meter = Meter()
    for number in range(25):
        meter.add(number * 0.08 + (0.03 if number % 3 else 0.0), loud())
    assert min(meter.wave(2.0)[-50:-1]) == 0.5


def test_a_pause_shows_as_a_gap() -> None:
    meter = Meter()
    meter.add(0.0, loud())
    meter.add(1.0, loud())
    wave = meter.wave(1.08)[-28:]
    assert wave[:2] == (0.5, 0.5)
    assert sum(wave[2:24]) == 0.0


def test_a_long_call_keeps_only_what_it_shows() -> None:
    meter = Meter()
    for number in range(500):
        meter.add(number * 0.08, loud(level=0.1 if number < 490 else 0.9))
    wave = meter.wave(40.0)
    assert wave[-20:-1] == pytest.approx((0.9,) * 19)
    assert wave[0] == pytest.approx(0.1)


def test_a_level_is_forgotten_when_nothing_comes() -> None:
    meter = Meter()
    assert meter.level(0.0) == -96.0
    meter.add(1.0, loud(level=0.1))
    assert meter.level(1.1) == pytest.approx(-20.0, abs=0.1)
    assert meter.peak(1.1) == pytest.approx(0.1)
    assert meter.level(2.0) == -96.0
    assert meter.peak(2.0) == 0.0


def test_the_voices_words_become_lines_at_its_pauses() -> None:
    transcript = Transcript()
    for at, words in [(1.0, " Good"), (1.3, " after"), (1.4, "noon."), (4.0, " "), (4.2, "Yes.")]:
        transcript.voice_wrote(at, words)
    assert [(line.at, line.who, line.text) for line in transcript.lines()] == [
        (1.0, "voice", "Good afternoon."), (4.2, "voice", "Yes."),
    ]  # fmt: skip


def test_your_speaking_is_told_by_its_length_and_ends_the_voices_line() -> None:
    transcript = Transcript()
    transcript.voice_wrote(0.1, "Hello")
    for number in range(100):
        at = number * 0.04
        transcript.you_sent(at, loud(960, 0.2 if 1.0 <= at < 3.0 else 0.0))
    transcript.voice_wrote(0.9, " again")
    lines = transcript.lines()
    assert [line.who for line in lines] == ["voice", "you", "voice"]
    assert str(lines[1].text) == "spoke for 2.0 s"


def test_a_click_is_no_speech() -> None:
    transcript = Transcript()
    for number in range(50):
        transcript.you_sent(number * 0.04, loud(960, 0.2 if number == 3 else 0.0))
    assert transcript.lines() == ()


def test_a_long_call_forgets_its_first_lines_and_goes_on_writing() -> None:
    transcript = Transcript()
    for number in range(700):
        transcript.voice_wrote(number * 2.0, f"line {number}")
    transcript.voice_wrote(699 * 2.0 + 0.1, " goes on")
    lines = transcript.lines()
    assert len(lines) == 500
    assert lines[-1].text == "line 699 goes on"
