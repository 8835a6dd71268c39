"""Who spoke when, how fast an answer came, and who spoke into whose words."""

from __future__ import annotations

import numpy as np
import pytest

from personadesk.voice.echo import EchoDetector
from personadesk.voice.turns import Speech, Turns, responses

RATE = 24_000
PIECE = 960


def loud(level: float) -> np.ndarray:
    return np.full(PIECE, level, np.float32)


def speak(side: Speech, *spans: tuple[float, float], until: float = 20.0) -> None:
    for n in range(round(until / 0.04)):
        at = n * 0.04
        side.add(at, loud(0.2 if any(a <= at < b for a, b in spans) else 0.0))


def found(you: list[tuple[float, float]], voice: list[tuple[float, float]], now: float = 20.0):
    yours, its = Speech(), Speech()
    speak(yours, *you)
    speak(its, *voice)
    return Turns(yours, its).update(now)


def test_an_answer_is_timed_from_your_last_word_to_its_first() -> None:
    turns = found([(1.0, 3.0)], [(3.8, 6.0)])
    assert [(turn.who, turn.start, turn.end) for turn in turns] == [
        ("you", 1.0, pytest.approx(3.0, abs=0.05)),
        ("voice", 3.8, pytest.approx(6.0, abs=0.05)),
    ]
    assert turns[1].response_ms == pytest.approx(800, abs=50)
    assert turns[0].response_ms is None
    assert not any(turn.interrupts or turn.overlap_ms for turn in turns)


def test_who_goes_on_after_a_pause_has_not_answered() -> None:
    turns = found([(1.0, 3.0)], [(3.5, 5.0), (6.5, 8.0)])
    assert turns[2].response_ms is None
    assert responses(turns).count == 1


def test_speaking_into_its_words_until_it_stops_is_an_interruption() -> None:
    turns = found([(4.0, 6.0)], [(1.0, 5.0)])
    mine = turns[1]
    assert mine.who == "you"
    assert mine.interrupts
    assert mine.overlap_ms == pytest.approx(1000, abs=60)
    told = responses(turns)
    assert (told.interruptions_by_you, told.interruptions_by_voice) == (1, 0)
    assert told.overlap_ms == pytest.approx(1000, abs=60)


def test_a_word_in_between_that_changes_nothing_is_none() -> None:
    turns = found([(4.0, 4.6)], [(1.0, 12.0)])
    assert not turns[1].interrupts
    assert turns[1].overlap_ms == pytest.approx(600, abs=60)


def test_a_click_is_no_word_and_a_pause_for_breath_no_end() -> None:
    turns = found([(1.0, 1.1), (3.0, 4.0), (4.4, 5.0)], [])
    assert [(turn.start, turn.end) for turn in turns] == [(3.0, pytest.approx(5.0, abs=0.05))]


def test_who_still_speaks_has_no_end_yet() -> None:
    yours = Speech()
    speak(yours, (1.0, 99.0), until=5.0)
    (turn,) = Turns(yours, Speech()).update(5.0)
    assert turn.end is None
    assert yours.speaks(4.9)


def test_old_turns_are_kept_as_they_were_and_memory_stays_flat() -> None:
    yours, its = Speech(), Speech()
    turns = Turns(yours, its)
    for n in range(2000):
        begin = n * 5.0
        for at in np.arange(0.0, 2.0, 0.2):
            yours.add(begin + at, loud(0.2 if at < 1.0 else 0.0))
        for at in np.arange(2.0, 4.4, 0.2):
            its.add(begin + at, loud(0.2 if at < 3.4 else 0.0))
        kept = turns.update(begin + 5.0)
    assert len(kept) == 500
    assert len(yours.spans) < 20
    answers = [turn.response_ms for turn in kept if turn.who == "voice"]
    assert answers[5:] == pytest.approx([1160.0] * len(answers[5:]), abs=1)
    assert responses(kept).median_ms == pytest.approx(1160.0, abs=1)


def babble(seed: int, seconds: float = 20.0) -> np.ndarray:
    """Noise that is loud in syllables, as speech is."""
    dice = np.random.default_rng(seed)
    loudness = np.repeat(dice.random(round(seconds / 0.12)) ** 2, round(0.12 * RATE))
    return (0.4 * loudness * dice.standard_normal(len(loudness))).astype(np.float32)


@pytest.mark.parametrize(("gain", "delay", "echoes"), [(0.2, 0.18, True), (0.0, 0.18, False)])
def test_a_voice_that_comes_back_through_the_microphone_is_noticed(
    gain: float, delay: float, echoes: bool
) -> None:
    voice, room = babble(1), 0.002 * babble(2)
    detector = EchoDetector()
    late = round(delay * RATE)
    mic = room + gain * np.concatenate([np.zeros(late, np.float32), voice[:-late]])
    for n in range(len(voice) // PIECE):
        part = slice(n * PIECE, (n + 1) * PIECE)
        detector.played(n * 0.04, voice[part])
        detector.heard(n * 0.04, mic[part])
    assert detector.echoes(20.0) is echoes
    assert not detector.echoes(60.0)


def test_two_who_speak_at_once_are_no_echo() -> None:
    voice, you = babble(1), babble(3)
    detector = EchoDetector()
    for n in range(len(voice) // PIECE):
        part = slice(n * PIECE, (n + 1) * PIECE)
        detector.played(n * 0.04, voice[part])
        detector.heard(n * 0.04, you[part])
    assert not detector.echoes(20.0)
