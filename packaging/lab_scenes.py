"""The voice lab in its states, made of sample data: recordings of made-up calls, measured by the real arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from personadesk.domain.callee import Callee
from personadesk.domain.errors import Unreachable
from personadesk.domain.load import LoadReport, LoadStep, Outcome
from personadesk.domain.text import T
from personadesk.ui.voice_lab.lab import Lab
from personadesk.voice import clips, compare
from personadesk.voice.compare import Call, Comparison, Side
from personadesk.voice.facts import ServerFacts
from personadesk.voice.recording import Mark, Piece, Recording
from personadesk.voice.script import Interrupt, Say, Silence, Wait
from personadesk.voice.test import judge_recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.ui.shell import Page
    from personadesk.ui.talk.page import TalkPage

__all__ = ["comparison", "lab_of", "lab_scenes", "load_report", "tested_lab"]

TEST, COMPARE, LOAD = 2, 3, 4
RATE = 24_000


async def _never() -> object:
    raise AssertionError("samples need no services")


def lab_of(
    found: Comparison | None = None, report: LoadReport | None = None, *, loading: bool = False
) -> Lab:
    """Return a lab in which this was done."""
    lab = Lab(_never)  # type: ignore[arg-type] # it is never asked
    lab.comparison, lab.load, lab.loading = found, report, loading
    lab.callers = len(report.steps) + 1 if report is not None else 0
    return lab


def _call(seed: int, first: float, jitter: float, tick: float, words: str) -> Call:
    chance = np.random.default_rng(seed)
    at = np.arange(RATE * 7) / RATE
    speech = (0.3 * np.sin(2 * np.pi * 180 * at) * (np.sin(2 * np.pi * 2.1 * at) > -0.3)).astype(
        np.float32
    )
    sent = np.where(at < 3, speech, 0.0).astype(np.float32)
    recording = Recording(
        "ws://127.0.0.1:8998/api/chat", 1_795_452_931.0, "question", 3.0, 0.04, sent, 0.2, 1.4
    )
    recording.sent_at = [0.04 * n for n in range(175)]
    late = np.abs(chance.normal(0.0, jitter, 80))
    late[0] = 3.5 * jitter
    recording.heard = [
        Piece(first + 0.08 * n + float(late[n]), speech[n * 1920 : (n + 1) * 1920])
        for n in range(80)
    ]
    recording.texts = [(first + 1.0, words)]
    recording.metadata = [(float(n), {"tick_ms": tick, "lag_ms": tick + 6.0}) for n in range(6)]
    recording.round_trip_s, recording.until = 0.012 + jitter, first + 6.4
    recording.hung_up_by_us, recording.close_code = True, 1000
    return Call(judge_recording(recording, ServerFacts("personaplex")), recording)


def comparison(*, gone: bool = False) -> Comparison:
    """Return a comparison of two lines; with `gone` the second could not be called."""
    one = Side(
        Callee("Front desk", "ws://127.0.0.1:8998/api/chat", own=True, place="Lambda", price=0.75),
        (_call(1, 0.41, 0.006, 47.0, "Yes, I can hear you. What can I do for you?"),),
    )
    error = Unreachable(T("Nothing listens at 127.0.0.1:9000."), T("Start the line."))
    callee = Callee("Practice", "ws://127.0.0.1:9000/api/chat", own=True, place="studio", price=0.0)
    calls = (_call(2, 0.66, 0.014, 61.0, "I hear you well, and I can answer questions."),)
    other = Side(callee, () if gone else calls, error if gone else None)
    return compare.conclude("question", 1_795_452_931.0, 1, (one, other))


def _voice_test() -> Call:
    """Return a test in turns: the answer comes in time, the interruption is talked over, the silence is kept."""
    at = np.arange(RATE * 19) / RATE
    speech = (0.3 * np.sin(2 * np.pi * 180 * at) * (np.sin(2 * np.pi * 2.1 * at) > -0.3)).astype(
        np.float32
    )

    def between(*spans: tuple[float, float]) -> np.ndarray:
        inside = np.zeros(len(at), bool)
        for start, end in spans:
            inside |= (at >= start) & (at < end)
        return np.where(inside, speech, 0.0).astype(np.float32)

    sent, voice = between((0.0, 3.0), (9.0, 10.2)), between((3.6, 6.5), (7.4, 10.9))
    recording = Recording(
        "ws://127.0.0.1:8998/api/chat", 1_795_452_931.0, "Conversation", 10.2, 0.04, sent, 0.2, 1.4
    )
    recording.sent_at = [0.04 * n for n in range(475)]
    recording.heard = [
        Piece(0.18 + 0.08 * n, voice[n * 1920 : (n + 1) * 1920])
        for n in range(len(voice) // 1920 - 5)
    ]
    question, stop = (clips.Clip(sent, name) for name in ("question", "interruption"))
    recording.marks = [
        Mark(Say(question), 0.0, 3.0),
        Mark(Wait(), 3.0, 7.8),
        Mark(Interrupt(stop), 9.0, 10.2),
        Mark(Silence(5.0), 12.4, 17.4),
    ]
    recording.texts = [(4.2, "Yes, I can hear you. What can I do for you?")]
    recording.metadata = [(float(n), {"tick_ms": 47.0, "lag_ms": 53.0}) for n in range(6)]
    recording.round_trip_s, recording.until = 0.012, 19.0
    recording.hung_up_by_us, recording.close_code = True, 1000
    return Call(judge_recording(recording, ServerFacts("personaplex")), recording)


def tested_lab() -> Lab:
    """Return a lab in which a voice was tested in turns."""
    lab, found = lab_of(), _voice_test()
    lab.test.line, lab.test.report, lab.test.recording = "Front desk", found.report, found.recording
    return lab


def load_report(outcome: Outcome | None) -> LoadReport:
    """Return a load test of six steps; with LATE the last one is too many."""
    late = outcome is Outcome.LATE
    steps = tuple(
        LoadStep(
            n, 50 * n, 7.2 if late and n == 6 else 0.0, 4.0 + n, 9.0 + 7.5 * n + (66.0 if late and n == 6 else 0),
            20.0 + 9 * n, own_late_ms=2.0, own_cpu=0.02 * n, tick_ms=31.0 + 7.0 * n,
        )
        for n in range(1, 7)
    )  # fmt: skip
    return LoadReport("Front desk", 8, 1_795_452_931.0, steps, outcome)


def lab_scenes(console: Callable[[Lab], TalkPage]) -> dict[str, Callable[[], Page]]:
    """Return the scenes.

    Args:
        console: Makes the voice console around a lab.
    """

    def at(view: int, lab: Lab) -> Page:
        page = console(lab)
        page.show_view(view)
        return page

    def comparing() -> Page:
        lab = lab_of()
        lab.compare_done, lab.compare_doing = (
            0.4,
            T("{name}: {doing}", name="Front desk", doing=T("Listening to the answer")),
        )
        return at(COMPARE, lab)

    def refused() -> Page:
        lab = lab_of()
        lab.load_error = Unreachable(T("Nothing listens at 127.0.0.1:9000."), T("Start the line."))
        return at(LOAD, lab)

    def tested() -> Page:
        page = console(tested_lab())
        page.show_view(TEST)
        page.test.said.setCurrentIndex(page.test.said.count() - 1)
        return page

    return {
        "talk-tested": tested,
        "talk-test": lambda: at(TEST, lab_of()),
        "talk-comparing": comparing,
        "talk-compared": lambda: at(COMPARE, lab_of(comparison())),
        "talk-loaded": lambda: at(LOAD, lab_of(report=load_report(Outcome.LATE))),
        "talk-load-refused": refused,
    }
