"""Load: callers in a process of their own, one more at a time, until frames are late or there is no place."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personadesk.domain.callee import Callee
from personadesk.domain.errors import BadRequest, Unreachable
from personadesk.domain.load import LoadReport, LoadStep, Outcome, as_dict, outcome_of
from personadesk.voice import callers, load, load_report
from personadesk.voice.load import Pace
from personadesk.voice.opus import OpusDecoder, OpusEncoder
from personaplex_server import protocol

if TYPE_CHECKING:
    from pathlib import Path

QUICK = Pace(settle=0.1, measure=0.5)
GOOD = LoadStep(1, 50, 0.0, 2.0, 5.0, 9.0, own_late_ms=2.0, own_cpu=0.1, tick_ms=30.0)


def _own(url: str) -> Callee:
    return Callee("Mine", url, own=True)


async def test_a_voice_that_serves_all_is_tried_up_to_the_limit(
    fake_voice: Any, tmp_path: Path
) -> None:
    voice = await fake_voice()
    seen: list[int] = []
    # A busy machine may be late itself; it is a limit that is named then, not a fault.
    report = await load.run_load(
        _own(voice.url), 2, pace=QUICK, on_change=lambda _report, n: seen.append(n)
    )
    assert report.outcome in {Outcome.LIMIT, Outcome.COMPUTER, Outcome.LATE}
    assert seen[0] == 1
    assert [step.callers for step in report.steps] == list(range(1, len(report.steps) + 1))
    assert len(voice.requests) == len(report.steps)
    assert report.steps[0].frames > 0
    assert report.here
    page = load_report.save(report, tmp_path)
    assert "80 ms" in page.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "load.json").read_text(encoding="utf-8")) == as_dict(report)


async def test_a_voice_slower_than_speech_serves_nobody_in_time(fake_voice: Any) -> None:
    voice = await fake_voice(slow_by=0.25)
    report = await load.run_load(_own(voice.url), 4, pace=QUICK)
    assert report.outcome in {Outcome.LATE, Outcome.COMPUTER}
    assert report.capacity == 0
    assert report.steps[0].late
    assert len(voice.requests) == 1


async def test_a_voice_without_a_place_is_told_apart_from_a_slow_one(fake_voice: Any) -> None:
    voice = await fake_voice(close_at=(-1, protocol.CLOSE_BUSY, "It holds one call.", ""))
    report = await load.run_load(_own(voice.url), 4, pace=QUICK)
    assert report.outcome is Outcome.FULL
    assert str(report.sentence) == "All its places are taken already."
    assert str(report.advice) == "It holds one call."


async def test_a_caller_who_is_put_in_line_finds_no_place(
    fake_voice: Any, metadata_message: Any
) -> None:
    voice = await fake_voice(before_handshake=[metadata_message(position=1)], handshake=False)
    report = await load.run_load(_own(voice.url), 4, pace=QUICK)
    assert report.outcome is Outcome.FULL


async def test_stop_hangs_everybody_up(fake_voice: Any) -> None:
    voice = await fake_voice()
    stop = asyncio.Event()
    report = await load.run_load(
        _own(voice.url), 30, stop=stop, pace=Pace(0.1, 30.0),
        on_change=lambda _report, _n: stop.set(),
    )  # fmt: skip
    assert report.outcome is Outcome.STOPPED
    assert str(report.sentence) == "Stopped; in time until then: 0 calls."
    async with asyncio.timeout(5):
        while len(voice.close_codes) < 1:
            await asyncio.sleep(0.02)
    assert len(voice.requests) == 1


async def test_a_line_that_is_not_there_is_an_error_and_leaves_no_callers() -> None:
    with pytest.raises(Unreachable, match="Nothing listens"):
        await load.run_load(_own("ws://127.0.0.1:9"), 2, pace=QUICK)


async def test_only_lines_of_ones_own_are_loaded_and_only_so_far() -> None:
    with pytest.raises(BadRequest, match="is no line of yours"):
        await load.run_load(Callee("ws://other", "ws://other"), 2)
    for most in (0, 33):
        with pytest.raises(BadRequest, match="1 to 32 calls"):
            await load.run_load(_own("ws://127.0.0.1:9"), most)


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ([], None),
        ([GOOD], None),
        ([GOOD, replace(GOOD, callers=2)], None),
        ([replace(GOOD, callers=3)], Outcome.LIMIT),
        ([GOOD, replace(GOOD, callers=2, late_percent=1.2)], Outcome.LATE),
        ([GOOD, replace(GOOD, callers=2, frames=0, late_percent=100.0)], Outcome.LATE),
        ([replace(GOOD, late_percent=9.0, own_late_ms=55.0)], Outcome.COMPUTER),
        ([replace(GOOD, own_cpu=0.95)], Outcome.COMPUTER),
    ],
)
def test_a_test_ends_when_one_more_makes_no_sense(
    steps: list[LoadStep], outcome: Outcome | None
) -> None:
    assert outcome_of(steps, 3) is outcome


def test_the_capacity_is_what_was_served_in_time_and_says_how_sure_it_is() -> None:
    two = (GOOD, replace(GOOD, callers=2))
    report = LoadReport("Mine", 8, 0.0, two)
    for outcome, proven, words in (
        (Outcome.LATE, True, "2 calls at once; with one more, frames come late."),
        (Outcome.FULL, True, "2 calls at once; the voice takes no more."),
        (Outcome.LIMIT, False, "At least 2 calls at once; no more were tried."),
        (Outcome.COMPUTER, False, "At least 2 calls at once; then this computer"),
        (Outcome.BROKE, False, "The test broke off; in time until then: 2 calls."),
    ):
        ended = replace(report, outcome=outcome)
        assert ended.capacity == 2
        assert ended.proven is proven
        assert str(ended.sentence).startswith(words)
    late = replace(report, steps=(replace(GOOD, late_percent=50.0),), outcome=Outcome.LATE)
    assert str(late.sentence) == "Not even one call is served in time."
    shared = replace(report, outcome=Outcome.COMPUTER, here=True)
    assert "share it" in str(shared.advice)


def test_what_callers_say_is_the_question_once_encoded() -> None:
    decoder = OpusDecoder()
    words = callers.Words()
    pcm = np.concatenate([decoder.decode(words.message(n)[1:]) for n in range(200)])
    assert len(pcm) / 24_000 == pytest.approx(8.0, abs=0.1)
    assert np.abs(pcm[: 2 * 24_000]).max() > 0.1
    assert np.abs(pcm[4 * 24_000 : 5 * 24_000]).max() < 0.01, "the pause"
    assert np.abs(pcm[7 * 24_000 :]).max() > 0.1, "and again"
    assert words.message(3) is words.message(3)


def test_the_length_of_sound_is_read_without_decoding() -> None:
    encoder = OpusEncoder()
    pages = b"".join(encoder.encode(np.zeros(960, np.float32)) for _ in range(25))
    assert callers.sound_end(pages) == pytest.approx(1.0, abs=0.05)
    assert callers.sound_end(b"no page") is None


def test_one_stall_is_one_late_frame() -> None:
    caller = callers.Caller(socket=None)  # type: ignore[arg-type] # it is not used
    audio = protocol.audio(b"")
    for n in range(50):
        caller.hear(audio, 0.08 * n + (0.5 if n >= 20 else 0.0))
    late = [ms for ms in caller.late_ms if ms > 80.0]
    assert len(late) == 1
    assert late[0] == pytest.approx(500, abs=1)
