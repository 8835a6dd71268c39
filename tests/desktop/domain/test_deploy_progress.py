"""How far a deploy is, as programs that wait for its voice are told."""

from __future__ import annotations

import json

from personadesk.domain.plan import Plan
from personadesk.domain.progress import DeployState, DeployView, StepName, StepState, StepView
from personadesk.domain.text import T


def test_it_tells_the_step_and_what_the_rest_usually_takes() -> None:
    steps = (
        StepView(StepName.CHECK, T("Check"), StepState.DONE, seconds=2.0, expected=2.0),
        StepView(
            StepName.INSTALL, T("Install"), StepState.RUNNING, T("copying {what}", what="torch"),
            fraction=0.25, seconds=20.0, expected=60.0,
        ),
        StepView(StepName.START, T("Start"), expected=3.0),
        StepView(StepName.LINE, T("Line")),
    )  # fmt: skip
    view = DeployView(Plan("pd-1"), DeployState.RUNNING, steps, 0.0, seconds=22.04)
    assert json.loads(json.dumps(view.facts())) == {
        "step": "install", "title": "Install", "doing": "copying torch", "fraction": 0.25,
        "number": 2, "of": 4, "seconds": 22.0, "left_s": 43,
    }  # fmt: skip


def test_what_takes_longer_than_usual_is_no_time_that_is_gained() -> None:
    late = StepView(StepName.START, T("Start"), StepState.RUNNING, seconds=99.0, expected=3.0)
    view = DeployView(Plan("pd-1"), DeployState.RUNNING, (late,), 0.0)
    assert view.facts()["left_s"] == 0


def test_nothing_is_made_up_where_nothing_is_known() -> None:
    view = DeployView(Plan("pd-1"), DeployState.RUNNING, (), 0.0)
    assert view.facts() == {
        "step": None, "title": "", "doing": "", "fraction": None, "number": 0, "of": 0,
        "seconds": 0.0, "left_s": None,
    }  # fmt: skip


def test_between_two_steps_it_is_at_the_next() -> None:
    steps = (
        StepView(StepName.CHECK, T("Check"), StepState.DONE, seconds=2.0),
        StepView(StepName.INSTALL, T("Install"), StepState.SKIPPED),
        StepView(StepName.START, T("Start")),
        StepView(StepName.LINE, T("Line")),
    )
    view = DeployView(Plan("pd-1"), DeployState.RUNNING, steps, 0.0)
    assert (view.facts()["step"], view.facts()["number"]) == ("start", 3)
