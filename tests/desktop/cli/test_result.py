from __future__ import annotations

import io
from dataclasses import replace

import pytest

from personadesk import language
from personadesk.cli import progress, result
from personadesk.deploy.deployment import Deployment
from personadesk.deploy.words import size, with_details
from personadesk.domain.errors import BadRequest, Unreachable
from personadesk.domain.plan import Plan
from personadesk.domain.progress import DeployState, DeployView, StepName, StepState, StepView
from personadesk.domain.report import Verdict, VoiceReport, judge
from personadesk.domain.text import T

VALUES = {
    "connect_s": 0.0123456, "handshake_s": 0.1, "first_audio_s": 0.4, "real_time_factor": 0.2,
    "late_percent": 0.0, "gap_p99_ms": 12.0, "clean_close": True, "engine": None,
}  # fmt: skip
REPORT = VoiceReport(
    Verdict.PASS, T("It works. You can talk."), T("Nothing was missed."), judge(VALUES), VALUES
)
STEPS = (
    StepView(StepName.CHECK, T("Check the computer"), StepState.DONE, T("2 cores"), 1.0, 0.256),
    StepView(StepName.LINE, T("Put behind the line"), StepState.SKIPPED),
)
DONE = DeployView(
    Plan("pd-1"),
    DeployState.DONE,
    STEPS,
    0.0,
    3.0,
    REPORT,
    "ws://127.0.0.1:8998/api/chat",
    "/reports/1",
)


def test_a_deploy_that_passed_is_told_whole() -> None:
    told = result.as_dict(DONE)
    assert told.pop("seconds") >= 0
    assert told == {
        "verdict": "pass",
        "steps": [
            {"name": "check", "outcome": "done", "seconds": 0.26},
            {"name": "line", "outcome": "skipped", "seconds": 0.0},
        ],
        "voice": VALUES | {"connect_s": 0.0123},
        "line": {"url": "ws://127.0.0.1:8998/api/chat"},
        "report": "/reports/1",
        "id": "pd-1",
    }


@pytest.mark.parametrize(
    ("view", "verdict"),
    [
        (DONE, "pass"),
        (replace(DONE, report=replace(REPORT, verdict=Verdict.WARN)), "warn"),
        (replace(DONE, state=DeployState.FAILED), "fail"),
        (replace(DONE, state=DeployState.CANCELLED), "fail"),
        (replace(DONE, report=None), "fail"),
        (None, "fail"),
    ],
)
def test_only_a_voice_behind_its_line_is_a_pass(view: DeployView | None, verdict: str) -> None:
    assert result.as_dict(view)["verdict"] == verdict


def test_a_failure_has_the_same_shape_with_the_reason() -> None:
    error = BadRequest("Port 1 is taken.", "Choose another.", details="raw")
    told = result.as_dict(None, error)
    assert told["error"] == {
        "type": "BadRequest", "message": "Port 1 is taken.", "next": "Choose another.", "details": "raw",
        "provider_status": None, "request_id": "",
    }  # fmt: skip
    assert set(told) == {"verdict", "seconds", "steps", "voice", "line", "report", "error"}
    assert (
        result.as_dict(replace(DONE, state=DeployState.FAILED, error=error))["error"]
        == told["error"]
    )


def test_a_person_reads_sentences_and_figures() -> None:
    said = result.in_words(DONE)
    assert said.startswith("It works. You can talk.\nNothing was missed.\n")
    assert "  First sound after: 0.40 s\n" in said
    assert said.endswith("Report: /reports/1")


class _Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def reconfigure(self, **_: str) -> None:
        pass


@pytest.mark.parametrize("terminal", [False, True])
async def test_progress_shows_steps_and_warnings(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    stream = _Stream(terminal=terminal)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    waiting = tuple(replace(step, state=StepState.WAITING, doing=T("")) for step in STEPS)
    deployment = Deployment(DeployView(Plan("pd-1"), DeployState.RUNNING, waiting, 0.0))
    end = progress.follow(deployment)
    deployment.set_step(StepName.CHECK, StepState.RUNNING)
    deployment.progress(StepName.CHECK, doing=T("looking"), fraction=0.5)
    deployment.add_line("check", "quite old", True)
    deployment.add_line("check", "a plain line", False)
    deployment.set_step(StepName.CHECK, StepState.DONE, doing=T("2 cores"))
    deployment.set_step(StepName.LINE, StepState.FAILED)
    end()
    said = stream.getvalue()
    assert "Check the computer" in said
    assert "2 cores" in said
    assert "check: quite old" in said
    assert "a plain line" not in said
    assert "✗" in said


@pytest.mark.parametrize("terminal", [True, False])
async def test_progress_is_shown_in_the_language_that_is_spoken(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    stream = _Stream(terminal=terminal)
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    waiting = tuple(replace(step, state=StepState.WAITING, doing=T("")) for step in STEPS)
    deployment = Deployment(DeployView(Plan("pd-1"), DeployState.RUNNING, waiting, 0.0))
    language.use("nl")
    try:
        end = progress.follow(deployment)
        error = Unreachable(
            T("{what} It is tried again.", what="token=abcdefgh1234"), details="no route"
        )
        once = T("{sentence} It is tested once more.", sentence=T("It works. You can talk."))
        deployment.add_line("check", with_details(error), True)
        deployment.add_line("check", once, True)
        deployment.add_line("check", "a tool's own words", True)
        deployment.set_step(StepName.CHECK, StepState.DONE, doing=T("{size}", size=size(2.5e9)))
        end()
    finally:
        language.use("en")
    said = stream.getvalue()
    for told in ("Computer nakijken", "2,5 GB", "Er wordt nog één keer getest.", "own words"):
        assert told in said
    assert "abcdefgh1234" not in said
    english = deployment.log[1].text
    assert english == "It works. You can talk. It is tested once more."
