"""The report folder: what programs, people and ears get."""

from __future__ import annotations

import html.parser
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personadesk.domain.errors import BadRequest
from personadesk.domain.report import FURTHER_LIMITS, LIMITS
from personadesk.domain.text import Text
from personadesk.voice import test_report, timeline, wav
from personadesk.voice.facts import ServerFacts
from personadesk.voice.recording import Piece, Recording
from personadesk.voice.test import judge_recording

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.domain.report import VoiceReport

RATE = 24_000


def recorded(**changes: object) -> Recording:
    tone = (0.2 * np.sin(np.arange(1920) * 0.1)).astype(np.float32)
    sent = np.zeros(100 * 960, np.float32)
    sent[:RATE] = 0.2
    values: dict[str, object] = {
        "url": "ws://127.0.0.1:8998/api/chat", "started": 1_795_000_000.0, "clip": "question.wav",
        "clip_seconds": 1.0, "packet_seconds": 0.04, "sent": sent, "connect_s": 0.02, "handshake_s": 0.3,
        "sent_at": [n * 0.04 for n in range(100)],
        "heard": [Piece(0.1 + n * 0.08, tone) for n in range(48)],
        "texts": [(0.5, " Hi"), (0.7, " <b>you</b>"), (2.5, " Bye.")],
        "until": 4.0, "hung_up_by_us": True, "close_code": 1000,
    }  # fmt: skip
    return Recording(**(values | changes))  # type: ignore[arg-type]


def report_of(recording: Recording) -> VoiceReport:
    return judge_recording(recording, ServerFacts("personaplex", rehearsal=True))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    recording = recorded()
    page = test_report.save(report_of(recording), recording, tmp_path / "new" / "report")
    assert page == tmp_path / "new" / "report" / "report.html"
    return page.parent


class Page(html.parser.HTMLParser):
    """Collects tags, and fails on one that is not closed in order."""

    VOID = frozenset({"meta", "link", "br", "path", "rect", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def page_of(folder: Path) -> Page:
    page = Page()
    page.feed((folder / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_the_json_has_a_stable_shape(saved: Path) -> None:
    told = json.loads((saved / "report.json").read_text(encoding="utf-8"))
    assert told["schema"] == "personadesk.voice-report"
    assert told["version"] == 1
    assert set(told) == {
        "schema", "version", "verdict", "sentence", "explanation", "reasons", "url", "started", "engine",
        "rehearsal", "clip", "turns", "figures", "values", "text", "waves", "events", "files",
    }  # fmt: skip
    assert told["verdict"] == "pass"
    assert told["rehearsal"] is True
    assert told["started"].endswith("+00:00")
    assert [figure["key"] for figure in told["figures"]] == [
        limit.key for limit in (*LIMITS, *FURTHER_LIMITS)
    ]
    assert set(told["figures"][0]) == {
        "key", "title", "value", "unit", "least", "most", "verdict", "why",
    }  # fmt: skip
    assert [event["at"] for event in told["events"]] == sorted(
        event["at"] for event in told["events"]
    )
    assert len(told["waves"]["heard"]) == len(told["waves"]["sent"])


def test_the_call_can_be_listened_to_with_each_side_on_its_ear(saved: Path) -> None:
    with (saved / "call.wav").open("rb") as file:
        header = wav.read_header(file)
        samples = wav.read_samples(file, header)
    assert (header.rate, header.channels, header.bits) == (24_000, 2, 16)
    left, right = (np.flatnonzero(np.abs(samples[:, side]) > 0.05) / RATE for side in (0, 1))
    assert (left[0], left[-1]) == pytest.approx((0.0, 1.0), abs=0.01)
    assert (right[0], right[-1]) == pytest.approx((0.18, 0.18 + 48 * 0.08), abs=0.02)


def test_the_page_needs_nothing_but_itself(saved: Path) -> None:
    text = (saved / "report.html").read_text(encoding="utf-8")
    page = page_of(saved)
    sources = [
        value for _, given in page.tags for key, value in given.items() if key in ("src", "href")
    ]
    assert all(source is not None and source.startswith("data:") for source in sources)
    assert not re.search(r"@import|url\(|<script|http-equiv", text)
    assert "prefers-color-scheme:dark" in text.replace(" ", "")


def test_the_page_tells_every_figure_with_its_limit_and_a_shape(saved: Path) -> None:
    page = page_of(saved)
    words = " ".join(page.words)
    for limit in (*LIMITS, *FURTHER_LIMITS):
        assert str(limit.title) in words
    assert "at most 2.00 s" in words
    labels = [given.get("aria-label") for tag, given in page.tags if tag == "svg"]
    assert labels.count("Passed") == 1 + len(LIMITS) + len(FURTHER_LIMITS)
    assert "Rehearsal model" in words


def test_words_of_the_server_are_shown_and_never_become_markup(saved: Path) -> None:
    text = (saved / "report.html").read_text(encoding="utf-8")
    assert "Hi &lt;b&gt;you&lt;/b&gt; Bye." in text
    assert "<b>you" not in text


def test_sentences_go_through_the_readers_language(tmp_path: Path) -> None:
    recording = recorded()
    asked: list[str] = []

    def dutch(text: Text) -> str:
        asked.append(text.template)
        return f"«{text}»"

    test_report.save(report_of(recording), recording, tmp_path, translate=dutch)
    page = page_of(tmp_path)
    assert "It works. You can talk." in asked
    assert "«It works. You can talk.»" in page.words
    assert "«What was said and heard»" in page.words


def test_a_failed_call_without_a_sound_still_makes_a_page(tmp_path: Path) -> None:
    recording = recorded(
        heard=[], texts=[], until=0.4, hung_up_by_us=False, close_code=1006, sent_at=[0.0, 0.04],
        failure=Text("The line went dead after 0.4 seconds."),
    )  # fmt: skip
    test_report.save(report_of(recording), recording, tmp_path)
    page = page_of(tmp_path)
    assert "The line went dead after 0.4 seconds." in page.words
    assert "The connection broke" in page.words
    assert "—" in page.words


def test_a_long_call_is_linked_and_drawn_in_few_bars(tmp_path: Path) -> None:
    tone = np.full(1920, 0.1, np.float32)
    recording = recorded(
        sent=np.zeros(60 * RATE, np.float32), until=60.0,
        heard=[Piece(0.1 + n * 0.08, tone) for n in range(745)],
    )  # fmt: skip
    test_report.save(report_of(recording), recording, tmp_path)
    page = page_of(tmp_path)
    assert [given["src"] for tag, given in page.tags if tag == "audio"] == ["call.wav"]
    assert (tmp_path / "report.html").stat().st_size < 100_000


def test_saving_again_replaces_what_was_there(saved: Path) -> None:
    recording = recorded(connect_s=9.0)
    test_report.save(report_of(recording), recording, saved)
    assert json.loads((saved / "report.json").read_text())["verdict"] == "fail"
    assert sorted(path.name for path in saved.iterdir()) == [
        "call.wav",
        "report.html",
        "report.json",
    ]


def test_a_folder_that_cannot_be_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    recording = recorded()
    with pytest.raises(BadRequest, match="cannot be saved"):
        test_report.save(report_of(recording), recording, tmp_path / "file" / "report")


def test_the_timeline_joins_words_and_tells_stalls() -> None:
    heard: list[Any] = recorded().heard
    late = [Piece(piece.at + (0.4 if n >= 20 else 0), piece.pcm) for n, piece in enumerate(heard)]
    recording = recorded(heard=late, until=4.4)
    told = [
        (round(m.at, 2), m.what, str(m.text))
        for m in timeline.moments(report_of(recording), recording)
    ]
    assert told[0] == (-0.32, "call", "Dialled")
    assert (0.5, "words", "Wrote “Hi <b>you</b>”") in told
    assert (2.5, "words", "Wrote “Bye.”") in told
    assert (1.78, "stall", "Nothing to hear for 320 ms") in told
    assert told[-1] == (4.4, "end", "Hung up")


def test_the_dict_for_programs_is_english_and_plain() -> None:
    told = test_report.as_dict(report_of(recorded()))
    assert json.loads(json.dumps(told)) == told
