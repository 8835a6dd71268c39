"""Voices side by side: called in turn, judged by figures that are heard, saved with pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personadesk import language
from personadesk.domain.callee import Callee
from personadesk.domain.errors import BadRequest, Unreachable
from personadesk.voice import compare, compare_report
from personadesk.voice.compare import Call, Side, curve
from personadesk.voice.recording import Piece, Recording
from personadesk.voice.test import judge_recording

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.voice.clips import Clip

RATE = 24_000


def _call(first: float, *, jitter: float = 0.0, level: float = 0.3) -> Call:
    sent = np.zeros(4 * RATE, np.float32)
    sent[:RATE] = 0.3
    recording = Recording("ws://x", 0.0, "tone", 1.0, 0.04, sent, 0.1, 0.1)
    recording.sent_at = [0.04 * n for n in range(100)]
    sound = np.full(1920, level, np.float32)
    recording.heard = [Piece(first + 0.08 * n + jitter * (n % 3 == 1), sound) for n in range(40)]
    recording.until, recording.hung_up_by_us, recording.close_code = 4.0, True, 1000
    return Call(judge_recording(recording), recording)


def _sides(*calls: Call) -> tuple[Side, ...]:
    return tuple(
        Side(Callee(f"Line {n}", f"ws://{n}", own=True, place=f"host-{n}", price=0.5 * n), (call,))
        for n, call in enumerate(calls)
    )


def test_the_one_that_answers_sooner_is_best_and_money_decides_nothing() -> None:
    found = compare.conclude("tone", 0.0, 1, _sides(_call(0.6), _call(0.3)))
    assert found.best == 1
    assert str(found.sentence) == "Line 1 is best: First sound after 0.30 s against 0.60 s."
    rows = {row.key: row for row in found.rows}
    assert rows["first_audio_s"].best == 1
    assert rows["price"].best == 0
    assert rows["level_dbfs"].best is None


def test_the_sentence_has_the_decimals_of_its_language(tmp_path: Path) -> None:
    found = compare.conclude("tone", 0.0, 1, _sides(_call(0.6), _call(0.3)))
    language.use("nl")
    try:
        told = "Line 1 is het best: Eerste geluid na 0,30 s tegen 0,60 s."
        assert language.show(found.sentence) == told
        page = compare_report.save(found, tmp_path, translate=language.show).read_text("utf-8")
        assert told in page
        assert ">0,30 s" in page
        assert "0.30 s" not in page
    finally:
        language.use("en")
    assert str(found.sentence) == "Line 1 is best: First sound after 0.30 s against 0.60 s."


def test_a_difference_that_nobody_hears_is_none() -> None:
    found = compare.conclude("tone", 0.0, 1, _sides(_call(0.300), _call(0.302)))
    assert found.best is None
    assert str(found.sentence) == "No difference that can be heard."
    assert all(row.best is None for row in found.rows if row.key != "price")


def test_a_voice_that_fails_is_not_best_however_fast() -> None:
    found = compare.conclude("tone", 0.0, 1, _sides(_call(0.2, jitter=0.25), _call(0.6)))
    assert found.best == 1


def test_one_that_could_not_be_called_has_its_error_and_no_figures() -> None:
    gone = Side(Callee("Gone", "ws://gone"), (), Unreachable("It is gone.", "Look for it."))
    found = compare.conclude("tone", 0.0, 1, (*_sides(_call(0.3)), gone))
    assert found.best == 0
    assert all(row.values[1] is None and row.best is None for row in found.rows)
    both = compare.conclude("tone", 0.0, 1, (gone, gone))
    assert both.best is None
    assert str(both.sentence) == "None of them could be called."


def test_several_rounds_count_by_their_median() -> None:
    side = Side(Callee("A", "ws://a"), (_call(0.2), _call(0.9), _call(0.4)))
    found = compare.conclude("tone", 0.0, 3, (side, *_sides(_call(0.6))))
    row = next(row for row in found.rows if row.key == "first_audio_s")
    assert row.values == (0.4, 0.6)
    assert side.middle is side.calls[2]


def test_a_curve_rises_from_none_to_all() -> None:
    points = curve([5.0, 1.0, 3.0])
    assert points[0] == (1.0, 0.0)
    assert points[-1] == (5.0, 1.0)
    assert curve([]) == []


@pytest.mark.parametrize(
    ("urls", "rounds", "sentence"),
    [
        (["ws://a"], 1, "takes 2 to 6"),
        ([f"ws://{n}" for n in range(7)], 1, "takes 2 to 6"),
        (["ws://a", "ws://a"], 1, "named twice"),
        (["ws://a", "ws://b"], 0, "has 1 to 20 rounds"),
    ],
)
def test_what_is_no_comparison_is_refused(urls: list[str], rounds: int, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        compare.check([Callee(url, url) for url in urls], rounds)


async def test_two_voices_are_called_in_turn_and_saved_with_pictures(
    fake_voice: Any, short_clip: Clip, tmp_path: Path
) -> None:
    one, other = await fake_voice(level=0.3), await fake_voice(level=0.1)
    told: list[str] = []
    found = await compare.compare(
        [Callee("One <b>", one.url), Callee("Other", other.url), Callee("Gone", "ws://127.0.0.1:9")],
        short_clip, rounds=2, seconds_after=0.4,
        on_progress=lambda _done, doing: told.append(str(doing).partition(":")[0]),
    )  # fmt: skip
    names = [name for n, name in enumerate(told) if n == 0 or told[n - 1] != name]
    assert [name for name in names if name != "Gone"] == ["One <b>", "Other"] * 2
    assert [len(side.calls) for side in found.sides] == [2, 2, 0]
    assert found.sides[2].error is not None
    page = compare_report.save(found, tmp_path / "r").read_text(encoding="utf-8")
    assert page.count("<audio data-side") == 2
    assert page.count('<path d="M') > 20
    assert "One &lt;b&gt;" in page
    assert "One <b>" not in page
    told_json = json.loads((tmp_path / "r" / "comparison.json").read_text(encoding="utf-8"))
    assert told_json["sides"][0]["reports"] == ["1-1", "1-2"]
    assert told_json["sides"][2]["error"]["type"] == "Unreachable"
    assert len(told_json["sides"][0]["gap_ms_curve"]) == 101
    assert (tmp_path / "r" / "2-2" / "report.html").exists()
