from __future__ import annotations

import numpy as np
import pytest

from personadesk.voice.measure import measure, pace
from personadesk.voice.recording import Piece, Recording

RATE = 24_000
FRAME = 0.08


def sine(seconds: float, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(np.arange(round(seconds * RATE)) * 0.1)).astype(np.float32)


def call(arrivals: list[float], *, level: float = 0.1, **changes: object) -> Recording:
    """A call of four seconds: one of speech, three of listening, with a frame at each of `arrivals`."""
    packets = 100
    sent = np.zeros(packets * 960, np.float32)
    sent[:RATE] = sine(1.0)
    values: dict[str, object] = {
        "url": "ws://127.0.0.1:1/api/chat", "started": 0.0, "clip": "question.wav", "clip_seconds": 1.0,
        "packet_seconds": 0.04, "sent": sent, "connect_s": 0.01, "handshake_s": 0.5,
        "sent_at": [n * 0.04 for n in range(packets)],
        "heard": [Piece(at, sine(FRAME, level)) for at in arrivals],
        "until": 4.0, "hung_up_by_us": True, "close_code": 1000,
    }  # fmt: skip
    return Recording(**(values | changes))  # type: ignore[arg-type]


def steady(count: int = 48, first: float = 0.07, step: float = FRAME) -> list[float]:
    return [first + n * step for n in range(count)]


def test_a_server_in_step_has_nothing_to_complain_about() -> None:
    values = measure(call(steady()))
    assert values["first_audio_s"] == 0.07
    assert values["first_sound_s"] == 0.07
    assert values["gap_p99_ms"] == pytest.approx(0.0, abs=0.01)
    assert values["late_percent"] == 0.0
    assert values["pace"] == pytest.approx(1.0)
    assert values["clean_close"] is True
    assert values["level_dbfs"] == pytest.approx(-23.0, abs=0.1)
    assert values["silence_share"] == 0.0
    assert values["messages"] == 48
    assert values["seconds_heard"] == pytest.approx(3.84)


def test_from_outside_the_time_to_answer_less_the_round_trip_tells_how_busy_the_server_is() -> None:
    """A frame is complete at 40 ms and every 80 after; the answer comes 30 ms later, 6 of them on the wire."""
    values = measure(call(steady(first=0.07), round_trip_s=0.006))
    assert values["response_ms"] == pytest.approx(30.0)
    assert values["real_time_factor"] == pytest.approx(24 / 80)
    assert values["real_time_factor_from"] == "outside"


def test_a_server_that_keeps_up_is_never_called_too_slow_from_outside() -> None:
    values = measure(call(steady(first=0.119)))
    assert values["response_ms"] == pytest.approx(79.0)
    assert values["real_time_factor"] == 0.9


def test_the_servers_own_word_counts_when_it_keeps_up() -> None:
    told = [
        (1.0, {"tick_ms": 20.0}),
        (2.0, {"tick_ms": 28, "lag_ms": 44.0}),
        (3.0, {"tick_ms": "fast"}),
    ]
    values = measure(call(steady(), metadata=told))
    assert values["real_time_factor"] == pytest.approx(0.3)
    assert values["real_time_factor_from"] == "server"
    assert values["lag_ms"] == 44.0


@pytest.mark.parametrize("step", [0.09, 0.1, 0.16])
def test_a_server_that_falls_behind_is_seen_whatever_it_says(step: float) -> None:
    told = [(1.0, {"tick_ms": 1.0})]
    values = measure(call(steady(int(3.9 / step), step=step), metadata=told))
    assert values["real_time_factor"] == pytest.approx(step / FRAME, abs=0.01)
    assert values["real_time_factor_from"] == "pace"
    assert values["late_percent"] > 0.5


def test_one_hiccup_is_jitter_and_no_slowness() -> None:
    arrivals = [at + (0.2 if n >= 20 else 0.0) for n, at in enumerate(steady(46))]
    values = measure(call(arrivals))
    assert values["real_time_factor_from"] == "outside"
    assert values["gap_max_ms"] == pytest.approx(200.0)
    assert values["stalls"] == 1
    assert values["late_seconds"] == pytest.approx(0.12)


def test_jitter_alone_is_no_slowness() -> None:
    uneven = np.random.default_rng(7).uniform(0.0, 0.07, 48)
    values = measure(call([at + late for at, late in zip(steady(), uneven, strict=True)]))
    assert values["pace"] < 1.03
    assert values["real_time_factor_from"] == "outside"


def test_two_frames_at_a_time_are_jitter_of_a_frame() -> None:
    arrivals = [0.15 + 0.16 * (n // 2) for n in range(48)]
    values = measure(call(arrivals))
    assert values["pace"] == pytest.approx(1.0, abs=0.03)
    assert values["gap_p95_ms"] == pytest.approx(80.0)


def test_longer_messages_are_no_jitter() -> None:
    heard = [Piece(0.2 + 0.16 * n, sine(0.16)) for n in range(23)]
    values = measure(call([], heard=heard))
    assert values["gap_p99_ms"] == pytest.approx(0.0, abs=0.01)
    assert values["pace"] == pytest.approx(1.0)


def test_a_voice_that_stops_is_missed_to_the_end() -> None:
    values = measure(call(steady(12)))
    assert values["late_percent"] > 60


def test_a_silent_server_is_heard_as_nothing() -> None:
    values = measure(call(steady(), level=0.0))
    assert values["heard_anything"] is False
    assert values["first_audio_s"] == 0.07
    assert values["first_sound_s"] is None
    assert values["silence_percent"] == 100.0
    assert values["answer_s"] is None


def test_a_server_that_sends_nothing_has_no_figures_but_the_truth() -> None:
    values = measure(call([]))
    assert values["first_audio_s"] is None
    assert values["real_time_factor"] is None
    assert values["gap_p99_ms"] is None
    assert values["late_percent"] == 100.0


def test_the_answer_is_counted_from_the_last_word() -> None:
    heard = [Piece(at, sine(FRAME, 0.1 if at > 1.4 else 0.0)) for at in steady()]
    values = measure(call([], heard=heard))
    assert values["first_sound_s"] == pytest.approx(1.43)
    assert values["answer_s"] == pytest.approx(0.52, abs=0.05), (
        "half a second, and the player's buffer"
    )


def test_a_voice_that_babbles_all_along_has_no_answer_time() -> None:
    assert measure(call(steady()))["answer_s"] is None


def test_our_own_lateness_is_told_apart() -> None:
    sent_at = [n * 0.04 + (0.05 if n % 10 == 0 else 0.0) for n in range(100)]
    values = measure(call(steady(), sent_at=sent_at))
    assert values["sent_late_p99_ms"] == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("code", "by_us", "clean"), [(1000, True, True), (1006, True, False), (1000, False, False)]
)
def test_a_clean_end_is_ours_and_answered(code: int, by_us: bool, clean: bool) -> None:
    recording = call(steady(), close_code=code, hung_up_by_us=by_us)
    assert measure(recording)["clean_close"] is clean


def test_the_pace_of_too_little_is_not_guessed() -> None:
    assert pace([]) is None
    assert pace([(0.0, 0.08), (0.1, 0.08)]) is None
    assert pace([(0.0, 0.08), (0.1, 0.08), (0.2, 0.08)]) == pytest.approx(1.25)


def test_both_sides_lie_on_one_axis() -> None:
    recording = call(steady(10, first=0.5))
    stereo = recording.stereo()
    assert stereo.shape == (96_000, 2)
    heard = np.flatnonzero(np.abs(stereo[:, 1]) > 0.01)
    assert heard[0] / RATE == pytest.approx(0.58, abs=0.01)
    assert heard[-1] / RATE == pytest.approx(0.58 + 0.8, abs=0.01)
