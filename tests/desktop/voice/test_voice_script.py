"""Scripts of turns: what is not understood is told in words, and what is understood is played and judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.report import Verdict
from personadesk.voice import script, test_report
from personadesk.voice.clips import Clip
from personadesk.voice.facts import ServerFacts
from personadesk.voice.recording import Mark, Piece, Recording
from personadesk.voice.script import Interrupt, Say, Script, Silence, Wait
from personadesk.voice.script_judge import check_turns
from personadesk.voice.test import judge_recording, run_voice_test

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 24_000


def _tone(seconds: float) -> NDArray[np.float32]:
    at = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)


def _clip() -> Clip:
    return Clip(_tone(0.6), "tone")


def _polite(heard: list[NDArray[np.float32]]) -> bool:
    """Speaks for a second once the caller has been silent for a fifth of one, and yields at once."""
    loud = [float(np.abs(part).max(initial=0.0)) > 0.05 for part in heard]
    if True not in loud:
        return False
    since = sum(map(len, heard[len(loud) - loud[::-1].index(True) :])) / RATE
    return 0.2 < since < 1.2


def test_the_bundled_script_is_understood() -> None:
    read = script.find("conversation")
    assert [type(turn) for turn in read.turns] == [Say, Wait, Say, Interrupt, Silence]
    assert read.most_seconds < 120


def test_clips_lie_beside_the_script_and_the_persona_goes_with_the_call(
    tmp_path: Path, make_wav: Callable[..., Path]
) -> None:
    make_wav((_tone(0.5) * 32767).astype("<i2").tobytes(), name="mine.wav")
    (tmp_path / "it.toml").write_text('persona = "Be brief."\n[[turn]]\nsay = "mine.wav"\n')
    read = script.load(tmp_path / "it.toml")
    assert read.name == "it"
    assert dict(read.query) == {"text_prompt": "Be brief."}
    assert isinstance(read.turns[0], Say)
    assert read.turns[0].clip.seconds == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[turn", "is not written as a script is"),
        ("", "has no turns"),
        ("turn = 3", "has no turns"),
        ('speed = 2\n[[turn]]\nsay = "question"', "has “speed”, which no script has"),
        ('voice = 2\n[[turn]]\nsay = "question"', "“voice” in it.toml must be text"),
        ("[[turn]]\n", "Turn 1 of it.toml: it needs exactly one of say, wait"),
        ('[[turn]]\nsay = "question"\nsilence = 2', "it needs exactly one"),
        ('[[turn]]\nsay = "question"\nafter = 2', "“after” does not go with “say”"),
        ('[[turn]]\nsay = ""', "“say” must name a clip"),
        ('[[turn]]\nsay = "no.wav"', "Turn 1 of it.toml: There is no file"),
        ('[[turn]]\nsilence = "long"', "“silence” must be a number of seconds"),
        ("[[turn]]\nsilence = 900", "“silence” must lie between 0.1 and 120 seconds"),
        ('[[turn]]\nwait = "reply"', "must begin with a turn that says something or is silent"),
        ('[[turn]]\nsay = "question"\n[[turn]]\nwait = "noise"', "Turn 2 of it.toml: the only"),
        ("[[turn]]\nsilence = 100\n" * 7, "may last longer than 10 minutes"),
        ("[[turn]]\nsilence = 1\n" * 101, "has more than 100 turns"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused_in_words(text: str, sentence: str) -> None:
    with pytest.raises((BadRequest, NotFound)) as caught:
        script.parse(text, "it.toml")
    assert sentence in str(caught.value.what)
    assert "docs/voice-tests.md" in str(caught.value.next) or isinstance(caught.value, NotFound)


def test_a_missing_script_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        script.load(tmp_path / "none.toml")


async def test_a_voice_that_takes_turns_passes_and_every_turn_is_in_the_report(
    fake_voice: Any, tmp_path: Path
) -> None:
    voice = await fake_voice(speaks=_polite)
    turns = (
        Say(_clip(), reply_within=2.0), Wait(5), Say(_clip(), reply_within=2.0),
        Interrupt(_clip(), after=0.4, stops_within=2.0), Silence(1.6, talks_at_most=1.0),
    )  # fmt: skip
    report, recording = await run_voice_test(
        voice.url, script=Script("Turns", turns, (("text_prompt", "Be kind."),)), seconds_after=0.2
    )
    assert "text_prompt=Be+kind." in voice.requests[0]
    assert [check.failed for check in report.turns] == [False] * 5
    first, _, _, stop, _ = [check.figure and check.figure.value for check in report.turns]
    assert first is not None
    assert 0.1 < first < 2.0
    assert stop is not None
    assert len(recording.sent) == len(recording.sent_at) * 960
    page = test_report.save(report, recording, tmp_path)
    assert "Turn by turn" in page.read_text(encoding="utf-8")
    told = test_report.as_dict(report)["turns"]
    assert [turn["number"] for turn in told] == [1, 2, 3, 4, 5]


async def test_a_voice_that_says_nothing_is_not_waited_for_for_ever(fake_voice: Any) -> None:
    voice = await fake_voice(speaks=lambda _heard: False)
    turns = (Say(_clip()), Wait(0.5), Interrupt(_clip(), after=1.0, at_most=0.4))
    report, recording = await run_voice_test(
        voice.url, script=Script("Nobody", turns), seconds_after=0.2
    )
    assert [mark.met for mark in recording.marks] == [True, False, False]
    assert report.verdict is Verdict.FAIL
    assert any("nobody answered" in str(reason) for reason in report.reasons)
    assert any("too little to be interrupted" in str(reason) for reason in report.reasons)


def _rude() -> Recording:
    """A call in which the voice spoke all the time but while the first clip was said."""
    sent = np.zeros(10 * RATE, np.float32)
    sent[: len(_tone(0.6))] = _tone(0.6)
    sent[4 * RATE : 4 * RATE + len(_tone(0.6))] = _tone(0.6)
    recording = Recording("ws://x", 0.0, "Rude", 1.2, 0.04, sent, 0.1, 0.1)
    recording.heard = [Piece(1.0 + 0.08 * n, _tone(0.08)) for n in range(110)]
    recording.until, recording.hung_up_by_us, recording.close_code = 10.0, True, 1000
    recording.sent_at = [0.04 * n for n in range(250)]
    recording.marks = [
        Mark(Say(_clip()), 0.0, 0.6), Mark(Interrupt(_clip()), 4.0, 4.6), Mark(Silence(4), 5.0, 9.0),
    ]  # fmt: skip
    return recording


def test_a_voice_that_never_yields_fails_in_figures() -> None:
    report = judge_recording(_rude())
    answer, stop, talk = [check.figure for check in report.turns]
    assert answer is not None
    assert answer.value == pytest.approx(0.44, abs=0.1)
    assert answer.verdict is Verdict.PASS
    assert stop is not None
    assert stop.value == pytest.approx(5.8, abs=0.2), "until the end of the call"
    assert talk is not None
    assert talk.value == pytest.approx(3.0, abs=0.1), "of the four seconds, the first forgiven"
    assert report.verdict is Verdict.FAIL
    assert "2 of 3 turns" in str(report.sentence)


@pytest.mark.parametrize(
    ("who", "judged"),
    [
        (ServerFacts("echo"), [False, False, True]),
        (ServerFacts("personaplex", rehearsal=True), [False, False, False]),
        (ServerFacts("personaplex"), [True, True, True]),
        (ServerFacts(), [True, True, True]),
    ],
)
def test_an_engine_is_held_only_to_what_it_can_do(who: ServerFacts, judged: list[bool]) -> None:
    checks = check_turns(_rude(), who)
    assert [check.figure is not None for check in checks] == judged
    assert all(check.note for check in checks if check.figure is None)
