from __future__ import annotations

import pytest

from personadesk.voice.playback import Stall, play


def steady(count: int, start: float = 0.2) -> list[tuple[float, float]]:
    return [(start + 0.08 * n, 0.08) for n in range(count)]


def test_sound_in_step_is_played_without_a_gap() -> None:
    played = play(steady(50), until=0.2 + 4.0)
    assert played.stalls == ()
    assert played.missed_percent == 0.0
    assert played.starts[:2] == pytest.approx((0.28, 0.36))


def test_a_hiccup_within_the_buffer_is_not_heard() -> None:
    pieces = steady(50)
    pieces[20] = (pieces[20][0] + 0.079, 0.08)
    assert play(pieces, until=4.2).missed_seconds == 0.0


def test_a_stall_is_heard_once_and_the_player_fills_up_again() -> None:
    pieces = steady(20) + [(at + 0.3, s) for at, s in steady(20, 0.2 + 1.6)]
    played = play(pieces, until=0.2 + 3.2 + 0.3)
    assert len(played.stalls) == 1
    assert played.stalls[0].seconds == pytest.approx(0.3 - 0.08)
    assert played.starts[20] == pytest.approx(pieces[20][0] + 0.08)
    assert played.missed_percent == pytest.approx(100 * 0.22 / 3.5)


def test_sound_that_ends_too_early_is_missed_to_the_end() -> None:
    played = play(steady(25), until=4.2)
    assert played.stalls == (Stall(pytest.approx(2.28), pytest.approx(1.92)),)
    assert played.missed_percent == pytest.approx(100 * 1.92 / 4.0)


def test_no_sound_at_all_is_missed_wholly() -> None:
    assert play([], until=3.0).missed_percent == 100.0


def test_a_server_at_two_thirds_of_the_speed_runs_dry_again_and_again() -> None:
    played = play([(0.2 + 0.12 * n, 0.08) for n in range(50)], until=6.2)
    assert len(played.stalls) > 10
    assert played.missed_percent > 5.0
