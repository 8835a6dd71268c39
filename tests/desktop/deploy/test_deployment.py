from __future__ import annotations

import asyncio

from personadesk.deploy import deployment as module
from personadesk.deploy.deployment import Deployment
from personadesk.domain.plan import Plan
from personadesk.domain.progress import DeployState, DeployView, StepName, StepState, StepView
from personadesk.domain.text import T


def _fresh() -> Deployment:
    steps = (StepView(StepName.CHECK, T("Check")), StepView(StepName.ROOM, T("Room")))
    return Deployment(DeployView(Plan("pd-1"), DeployState.RUNNING, steps, 0.0))


async def test_times_run_while_a_step_runs_and_stand_when_it_has_ended() -> None:
    deployment = _fresh()
    deployment.set_step(StepName.CHECK, StepState.RUNNING)
    await asyncio.sleep(0.05)
    assert deployment.view.steps[0].seconds >= 0.04
    assert deployment.view.seconds >= 0.04
    deployment.set_step(StepName.CHECK, StepState.DONE)
    ended = deployment.view.steps[0].seconds
    await asyncio.sleep(0.03)
    assert deployment.view.steps[0].seconds == ended


async def test_progress_is_told_seldom_and_changes_of_state_at_once() -> None:
    deployment = _fresh()
    told: list[str] = []
    leave = deployment.subscribe(lambda: told.append(str(deployment.view.steps[0].state)))
    deployment.set_step(StepName.CHECK, StepState.RUNNING)
    assert told == ["running"]
    for number in range(1000):
        deployment.progress(StepName.CHECK, fraction=number / 1000)
        deployment.add_line("check", f"line {number}", False)
    assert told == ["running"]
    await asyncio.sleep(3 * module.QUIET_SECONDS)
    assert told == ["running", "running"]
    leave()
    leave()
    deployment.set_step(StepName.CHECK, StepState.DONE)
    assert len(told) == 2


async def test_the_log_is_bounded_and_read_from_where_one_was() -> None:
    deployment = _fresh()
    for number in range(module.LOG_LINES + 10):
        deployment.add_line("check", f"line {number}", False)
    assert len(deployment.log) == module.LOG_LINES
    assert deployment.logged == module.LOG_LINES + 10
    assert deployment.log_since(deployment.logged) == ()
    assert [line.text for line in deployment.log_since(deployment.logged - 2)] == [
        f"line {module.LOG_LINES + 8}", f"line {module.LOG_LINES + 9}",
    ]  # fmt: skip
    assert len(deployment.log_since(0)) == module.LOG_LINES
    await asyncio.sleep(2 * module.QUIET_SECONDS)


async def test_secrets_do_not_enter_the_log() -> None:
    deployment = _fresh()
    deployment.add_line("install", "using token=abcdefgh1234", False)
    assert "abcdefgh1234" not in deployment.log[0].text
    await asyncio.sleep(2 * module.QUIET_SECONDS)
