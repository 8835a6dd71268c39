"""The voice test against servers that misbehave; fine figures are judged elsewhere, since a machine may be busy."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personadesk.domain.errors import BadRequest, NoCapacity, NotFound, Unreachable
from personadesk.domain.report import FURTHER_LIMITS, LIMITS, Verdict
from personadesk.voice import test as voice_test
from personadesk.voice.clips import Clip
from personadesk.voice.facts import ServerFacts
from personadesk.voice.recording import Piece, Recording
from personaplex_server import protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.domain.report import VoiceReport

StartVoice = "Callable[..., Awaitable[Any]]"


@pytest.fixture
def run_test(
    fake_voice: StartVoice, short_clip: Clip
) -> Callable[..., Awaitable[tuple[VoiceReport, Recording, Any]]]:
    """Test a fake voice that follows a script; about a second and a half each."""

    async def run(after: float = 0.9, **script: Any) -> tuple[VoiceReport, Recording, Any]:
        voice = await fake_voice(**script)
        report, recording = await voice_test.run_voice_test(
            voice.url, clip=short_clip, seconds_after=after, handshake_timeout=5
        )
        return report, recording, voice

    return run


async def test_a_good_voice_is_heard_and_every_figure_measured(
    run_test: Any, metadata_message: Callable[..., bytes]
) -> None:
    extra = {
        2: [metadata_message(tick_ms=24.0, lag_ms=31.0)],
        5: [protocol.text(" Hello"), protocol.text(" you.")],
    }
    report, recording, voice = await run_test(extra=extra)
    assert not recording.failure
    assert report.values["heard_anything"] is True
    assert [figure.limit for figure in report.figures] == list(LIMITS)
    assert [figure.limit for figure in report.further] == list(FURTHER_LIMITS)
    assert all(figure.value is not None for figure in (*report.figures, *report.further))
    assert report.values["tick_ms"] == 24.0
    assert report.values["clean_close"] is True
    assert report.text == "Hello you."
    assert report.url == voice.url + "/api/chat"
    assert voice.early == 0
    assert "metadata=1" in voice.requests[0]
    assert "seed" not in voice.requests[0]
    assert len(voice.samples) == 35 * 960, (
        "13 packets of clip, the last filled up, and 22 of silence"
    )
    assert voice.close_codes == [1000]
    json.dumps(dict(report.values))


async def test_what_is_said_goes_out_on_an_absolute_schedule(run_test: Any) -> None:
    _, recording, _ = await run_test()
    planned = np.arange(len(recording.sent_at)) * 0.04
    late = np.array(recording.sent_at) - planned
    assert late.min() >= 0
    assert np.median(late) < 0.02, "no lateness adds up"


async def test_a_silent_voice_fails(run_test: Any) -> None:
    report, _, _ = await run_test(level=0.0)
    assert report.verdict is Verdict.FAIL
    assert str(report.sentence) == "It runs, but no voice came back."
    assert "it was silence" in str(report.explanation)


async def test_a_server_that_takes_the_call_and_sends_nothing_fails(run_test: Any) -> None:
    report, _, _ = await run_test(mute_from=0)
    assert report.verdict is Verdict.FAIL
    assert str(report.sentence) == "It runs, but no voice came back."
    assert str(report.explanation) == "The clip was spoken, and no sound came back at all."


async def test_a_voice_that_dies_while_the_call_goes_on_fails(run_test: Any) -> None:
    report, _, _ = await run_test(after=1.6, mute_from=4)
    assert report.verdict is Verdict.FAIL
    assert "though the call went on" in str(report.sentence)


async def test_a_server_slower_than_speech_fails(run_test: Any) -> None:
    report, _, _ = await run_test(after=2.0, slow_by=0.11)
    assert report.verdict is Verdict.FAIL
    assert "Too slow to talk with" in str(report.sentence)
    assert report.values["real_time_factor_from"] == "pace"
    assert float(str(report.values["real_time_factor"])) > 1.0


async def test_a_long_stall_fails(run_test: Any) -> None:
    report, recording, _ = await run_test(stall=(6, 0.4))
    assert report.verdict is Verdict.FAIL
    assert len(recording.playback().stalls) >= 1
    assert any("Missed audio" in str(reason) for reason in report.reasons)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ({"close_at": (5, 1000, "", "")}, "The server ended the call after"),
        ({"close_at": (5, 1011, "", "The model failed.")}, "The model failed."),
        ({"cut_at": 5}, "The line went dead after"),
    ],
)
async def test_a_call_that_breaks_off_fails_and_says_why(
    run_test: Any, script: dict[str, Any], sentence: str
) -> None:
    report, recording, _ = await run_test(**script)
    assert report.verdict is Verdict.FAIL
    assert sentence in str(report.sentence)
    assert report.values["clean_close"] is False
    assert recording.until < 1.4
    assert recording.heard, "what came before is kept"


async def test_junk_among_the_sound_is_counted_and_passed_over(run_test: Any) -> None:
    report, _, _ = await run_test(extra={3: [b"\x09what", "text", b"\x01junkjunk", b""]})
    assert report.values["unknown_messages"] == 2
    assert report.values["text_frames"] == 1
    assert int(str(report.values["skipped_bytes"])) > 0
    assert report.values["seconds_heard"] >= 1.0


@pytest.mark.parametrize(
    ("script", "kind"),
    [({"close_at": (-1, 1013, "", "Busy.")}, NoCapacity), ({"handshake": False}, Unreachable)],
)
async def test_where_no_call_comes_about_the_error_is_raised(
    fake_voice: StartVoice, short_clip: Clip, script: dict[str, Any], kind: type[Exception]
) -> None:
    voice = await fake_voice(**script)
    with pytest.raises(kind):
        await voice_test.run_voice_test(voice.url, clip=short_clip, handshake_timeout=0.3)


async def test_bad_input_is_refused_before_anybody_is_called(
    fake_voice: StartVoice, tmp_path: Any
) -> None:
    voice = await fake_voice()
    (tmp_path / "no.wav").write_bytes(b"no")
    with pytest.raises(BadRequest, match="no sound file"):
        await voice_test.run_voice_test(voice.url, clip=tmp_path / "no.wav")
    with pytest.raises(NotFound):
        await voice_test.run_voice_test(voice.url, clip=tmp_path / "none.wav")
    with pytest.raises(BadRequest, match="not the address"):
        await voice_test.run_voice_test("nonsense://")
    assert voice.requests == []


async def test_progress_is_told_on_the_callers_loop_in_order(
    fake_voice: StartVoice, short_clip: Clip
) -> None:
    voice = await fake_voice()
    told: list[tuple[float, str]] = []
    loop = asyncio.get_running_loop()

    def progress(done: float, doing: object) -> None:
        assert asyncio.get_running_loop() is loop
        told.append((done, str(doing)))

    await voice_test.run_voice_test(
        voice.url, clip=short_clip, seconds_after=0.5, on_progress=progress
    )
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert [*dict.fromkeys(doing for _, doing in told)] == [
        "Calling the voice", "Waiting until it is ready", "Asking the question", "Listening to the answer", "Judging",
    ]  # fmt: skip


async def test_a_cancelled_test_hangs_up(fake_voice: StartVoice, short_clip: Clip) -> None:
    voice = await fake_voice()
    task = asyncio.create_task(voice_test.run_voice_test(voice.url, clip=short_clip))
    while not voice.heard:
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        while not voice.close_codes:
            await asyncio.sleep(0.02)


def recorded(**changes: object) -> Recording:
    """Five seconds of a perfect call, without calling anybody."""
    packets = 125
    sound = (0.1 * np.sin(np.arange(1920) * 0.1)).astype(np.float32)
    values: dict[str, object] = {
        "url": "ws://h/api/chat", "started": 1.0, "clip": "question.wav", "clip_seconds": 1.0,
        "packet_seconds": 0.04, "sent": np.full(packets * 960, 0.1, np.float32),
        "connect_s": 0.01, "handshake_s": 0.1, "sent_at": [n * 0.04 for n in range(packets)],
        "heard": [Piece(0.07 + n * 0.08, sound) for n in range(61)],
        "until": 5.0, "hung_up_by_us": True, "close_code": 1000,
    }  # fmt: skip
    return Recording(**(values | changes))  # type: ignore[arg-type]


def test_a_perfect_call_passes() -> None:
    report = voice_test.judge_recording(recorded())
    assert report.verdict is Verdict.PASS
    assert str(report.sentence) == "It works. You can talk."
    assert str(report.explanation) == (
        "The test clip was spoken, and the voice answered after 0.07 seconds. Nothing was missed."
    )
    assert report.reasons == ()


def test_the_rehearsal_model_is_called_what_it_is() -> None:
    report = voice_test.judge_recording(recorded(), ServerFacts("personaplex", rehearsal=True))
    assert "untrained, so it babbles" in str(report.explanation)
    assert "the echo gave it back" in str(
        voice_test.judge_recording(recorded(), ServerFacts("echo")).explanation
    )


def test_one_figure_a_little_over_is_a_warning_with_its_reason() -> None:
    report = voice_test.judge_recording(recorded(connect_s=2.4))
    assert report.verdict is Verdict.WARN
    assert str(report.sentence) == (
        "It works, but not smoothly: Connected in is 2.40 s, the limit is 2.00 s."
    )


def test_two_figures_a_little_over_or_one_far_over_fail() -> None:
    for changes in ({"connect_s": 2.4, "handshake_s": 12.0}, {"connect_s": 9.0}):
        report = voice_test.judge_recording(recorded(**changes))
        assert report.verdict is Verdict.FAIL
        assert "Connected in" in str(report.sentence)


def test_a_rude_ending_is_a_remark_and_no_failure() -> None:
    report = voice_test.judge_recording(recorded(close_code=1006))
    assert report.verdict is Verdict.WARN
    assert str(report.sentence) == "It works, but one thing is not as it should be."
    assert str(report.explanation) == "The server didn't hang up properly."


def test_a_busy_computer_is_named_among_the_reasons() -> None:
    sent_at = [n * 0.04 + (0.09 if n % 5 == 0 else 0) for n in range(125)]
    heard = recorded().heard[:40]
    report = voice_test.judge_recording(recorded(sent_at=sent_at, heard=heard))
    assert "This computer itself was up to 90 ms late with sending: it is busy." in map(
        str, report.reasons
    )


def test_a_warning_about_the_clip_is_among_the_reasons() -> None:
    from personadesk.domain.text import T

    report = voice_test.judge_recording(recorded(), None, T("The clip is silent."))
    assert report.verdict is Verdict.PASS
    assert [str(reason) for reason in report.reasons] == ["The clip is silent."]
