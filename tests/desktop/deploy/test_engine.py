from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from personadesk.app import Services
from personadesk.deploy import engine as engine_module
from personadesk.deploy.step import Context, Step
from personadesk.domain.errors import BadRequest, HostUnfit, NotFound, ProviderFault, Unreachable
from personadesk.domain.line import LineState
from personadesk.domain.machine import Action, Machine
from personadesk.domain.progress import RENTED_STEPS, DeployState, StepName, StepState
from personadesk.domain.text import T, Text
from personadesk.domain.wish import ANY_SPARE, Rest, Wish
from personadesk.hosts import health
from personadesk.store.journal import Purpose

Open = Callable[..., Awaitable[Services]]
STEPS = [str(name) for name in StepName if name not in RENTED_STEPS]


def _states(view: Any) -> list[str]:
    return [str(step.state) for step in view.steps]


async def test_a_deploy_goes_through_its_steps_to_a_voice_behind_a_line(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick()
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    seen: list[str] = []
    deployment.subscribe(lambda: seen.append(str(deployment.view.state)))
    view = await deployment.wait()
    assert view.error is None
    assert view.state is DeployState.DONE
    assert _states(view) == ["done"] * 8
    assert view.line_url == f"ws://127.0.0.1:{port}/api/chat"
    assert view.report is not None
    assert Path(view.report_dir or "").is_dir()
    assert 0 < view.seconds < 60
    assert seen[-1] == "done"
    assert deployment.log
    assert deployment.log_since(deployment.logged - 1) == deployment.log[-1:]
    (line,) = services.lines.lines()
    assert (line.state, line.port) == (LineState.UP, port)
    assert len(servers_running()) == 1

    undone = await services.deploys.undo("pd-1")
    assert undone.state is DeployState.UNDONE
    assert undone.line_url is None
    assert services.lines.lines() == ()
    assert servers_running() == []
    assert await services.servers.store.all() == []
    record = await services.journal.load("pd-1")
    assert record is not None
    assert record.state is DeployState.UNDONE


async def test_the_second_deploy_finds_what_the_first_one_installed(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick()
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    await services.deploys.undo("pd-1")
    view = await (await services.deploys.start(harness.make_plan("pd-2", port, model))).wait()
    assert view.state is DeployState.DONE
    assert view.steps[2].state is StepState.SKIPPED


async def test_running_a_finished_deploy_again_changes_nothing_that_is_right(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick()
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    (server,) = servers_running()
    view = await (await services.deploys.resume("pd-1")).wait()
    assert view.state is DeployState.DONE
    assert view.steps[4].state is StepState.SKIPPED
    assert servers_running() == [server]
    assert len(services.lines.lines()) == 1


async def test_a_new_deploy_behind_the_same_line_takes_over_and_the_old_server_goes(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick()
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    (old,) = servers_running()
    view = await (await services.deploys.start(harness.make_plan("pd-2", port, model))).wait()
    assert view.state is DeployState.DONE
    (new,) = servers_running()
    assert new != old
    (line,) = services.lines.lines()
    assert line.target is not None
    assert line.target.server_id == "pd-2"


async def test_undoing_a_takeover_of_a_demo_puts_the_line_back(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick()
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    before = services.lines.lines()
    (old,) = servers_running()
    demo = await services.deploys.start(
        harness.make_plan("pd-2", port, model), purpose=Purpose.DEMO
    )
    assert (await demo.wait()).state is DeployState.DONE
    assert len(servers_running()) == 2
    await services.deploys.undo("pd-2")
    assert servers_running() == [old]
    assert services.lines.lines() == before
    assert await health.ask(before[0].target.url) is not None  # type: ignore[union-attr] # it was up


async def test_a_spare_stands_beside_its_line_until_that_goes_over_to_it(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick()
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    before = services.lines.lines()
    spare = await services.deploys.start(
        harness.make_plan("pd-2", port, model), purpose=Purpose.SPARE
    )
    view = await spare.wait()
    assert (view.state, view.spare, view.line_url) == (DeployState.DONE, True, None)
    assert StepName.LINE not in {step.name for step in view.steps}
    assert services.lines.lines() == before
    assert len(servers_running()) == 2
    standing = await services.spares.standing(before[0])
    assert standing is not None
    assert (standing.tag, standing.answers) == ("pd-2", True)
    assert (await services.fleet.refresh()).lines == {"pd-1": "My line", "pd-2": "My line"}

    await services.spares.take_over(before[0], await services.spares.find(before[0]))
    (line,) = services.lines.lines()
    assert (line.state, line.port, line.target and line.target.server_id) == (
        LineState.UP, port, "pd-2",
    )  # fmt: skip
    # What it was before is a spare now; undoing that takes nothing from the line.
    await services.deploys.undo("pd-1")
    assert services.lines.lines() == (line,)
    assert len(servers_running()) == 1
    await services.lines.stop("My line")
    assert await services.spares.standing(line) is None
    # One that took over has nothing to put back when it is undone.
    await services.deploys.undo("pd-2")
    (line,) = services.lines.lines()
    assert line.target is None
    assert servers_running() == []


async def test_a_person_who_ends_the_machine_of_a_spare_wishes_none_and_the_line_stays_up(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick()
    plan = harness.make_plan("pd-2", port, model)
    await services.journal.begin(plan, Purpose.SPARE, 1.0)
    await services.wishes.put(Wish(plan.line, spare=ANY_SPARE))
    machine = Machine("m-1", "nobody", "toy", tag="pd-2", actions=frozenset({Action.END}))
    with pytest.raises(NotFound):
        await services.fleet.act(machine, Action.END)
    wish = await services.wishes.get(plan.line)
    assert wish is not None
    assert (wish.spare, wish.rest) == ("", Rest.UP)


async def test_stopping_or_removing_a_line_ends_its_spare(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick()
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    for tag, end in (("pd-2", services.lines.stop), ("pd-3", services.lines.remove)):
        spare = harness.make_plan(tag, port, model)
        await (await services.deploys.start(spare, purpose=Purpose.SPARE)).wait()
        await end("My line")
        assert await services.journal.spares() == []
        assert servers_running() == []
    assert services.lines.lines() == ()


async def test_a_demo_that_is_kept_is_one_like_any_other(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick()
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    demo = await services.deploys.start(
        harness.make_plan("pd-2", port, model), purpose=Purpose.DEMO
    )
    await demo.wait()
    await services.deploys.keep("pd-2")
    assert len(servers_running()) == 1
    assert await services.deploys.undo_dead_demos() == []
    (line,) = services.lines.lines()
    assert line.state is LineState.UP


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_cancel_at_any_step_leaves_nothing_running(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any,
    step: str, moment: str,
) -> None:  # fmt: skip
    paused = asyncio.Event()
    services = await open_quick(make_steps=harness.pausing_steps(step, moment, paused.set))
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    async with asyncio.timeout(60):
        await paused.wait()
    deployment.cancel()
    deployment.cancel()
    view = await deployment.wait()
    assert (view.state, view.error) == (DeployState.CANCELLED, None)
    at = STEPS.index(step)
    assert view.steps[at].state is StepState.CANCELLED
    assert {s.state for s in view.steps[at + 1 :]} <= {StepState.WAITING}
    assert servers_running() == []
    assert services.lines.lines() == ()
    assert await services.servers.store.all() == []
    assert not (services.folders.state / "servers" / "pd-1").exists()
    record = await services.journal.load("pd-1")
    assert record is not None
    assert record.state is DeployState.CANCELLED


async def test_a_cancelled_deploy_can_be_taken_up_again(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    paused = asyncio.Event()
    services = await open_quick(make_steps=harness.pausing_steps("ready", "after", paused.set))
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    await paused.wait()
    deployment.cancel()
    await deployment.wait()
    await services.close()
    again = await open_quick()
    view = await (await again.deploys.resume("pd-1")).wait()
    assert view.state is DeployState.DONE
    assert view.steps[2].state is StepState.SKIPPED


class _Bad(Step):
    name, title = StepName.READY, T("Wait until it is ready")

    def __init__(self, failure: BaseException | None, limit_s: float = 60.0) -> None:
        self.failure, self.limit_s = failure, limit_s

    async def run(self, context: Context) -> Text:
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(3600)
        return T("never")


def _with(harness: ModuleType, bad: Step) -> Callable[[Any], list[Step]]:
    def make(places: Any) -> list[Step]:
        return [bad if s.name is bad.name else s for s in harness.quick_steps(places)]

    return make


@pytest.mark.parametrize(
    ("failure", "kind", "cause"),
    [
        (HostUnfit("no", "buy one", cause="mine"), HostUnfit, "mine"),
        (OSError(28, "No space left on device"), HostUnfit, "disk_full"),
        (OSError(13, "Permission denied"), HostUnfit, "files"),
    ],
)
async def test_a_failure_is_told_and_undone(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any,
    failure: BaseException, kind: type[Exception], cause: str,
) -> None:  # fmt: skip
    services = await open_quick(make_steps=_with(harness, _Bad(failure)))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.state is DeployState.FAILED
    assert isinstance(view.error, kind)
    assert view.error.cause == cause
    assert view.error.next
    assert view.current is not None
    assert view.current.error is view.error
    assert view.steps[4].state is StepState.UNDONE
    assert servers_running() == []
    record = await services.journal.load("pd-1")
    assert record is not None
    assert record.error is not None
    assert record.error.cause == cause


@pytest.mark.logs_warnings
async def test_an_error_of_our_own_is_told_with_its_traceback(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick(make_steps=_with(harness, _Bad(ZeroDivisionError("oops"))))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert isinstance(view.error, ProviderFault)
    assert view.error.cause == "bug"
    assert "ZeroDivisionError: oops" in view.error.details
    assert servers_running() == []


async def test_a_step_over_its_limit_fails_in_words(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(make_steps=_with(harness, _Bad(None, limit_s=0.2)))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert isinstance(view.error, Unreachable)
    assert "Wait until it is ready" in str(view.error.what)


class _Sticky(_Bad):
    async def undo(self, context: Context) -> bool:
        raise ProviderFault("It would not go.", "Push it.")


@pytest.mark.logs_warnings
async def test_what_cannot_be_undone_stays_on_record(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick(make_steps=_with(harness, _Sticky(HostUnfit("no", "never"))))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.state is DeployState.INTERRUPTED
    assert str(view.error.what) == "no"  # type: ignore[union-attr] # the first failure is the one to tell
    await services.close()
    again = await open_quick()
    assert [v.plan.id for v in again.deploys.interrupted()] == ["pd-1"]
    assert (await again.deploys.undo("pd-1")).state is DeployState.UNDONE
    assert again.deploys.interrupted() == []
    assert servers_running() == []


class _FullDisk(Step):
    """Lets the records' disk run full in the middle of a deploy."""

    name, title = StepName.READY, T("Wait until it is ready")

    async def run(self, context: Context) -> Text:
        database = context.journal._database
        pages = database._live.execute("PRAGMA page_count").fetchone()[0]
        database._live.execute(f"PRAGMA max_page_count = {pages}")
        await context.remember(much="x" * 200_000)
        return T("never")


@pytest.mark.logs_warnings
async def test_a_full_disk_under_the_journal_leaves_no_server_running(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    services = await open_quick(make_steps=_with(harness, _FullDisk()))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.error is not None
    assert view.error.cause == "disk_full"
    assert view.state in {DeployState.FAILED, DeployState.INTERRUPTED}
    assert servers_running() == []
    services.database._live.execute("PRAGMA max_page_count = 1000000")
    assert (await services.deploys.undo("pd-1")).state is DeployState.UNDONE


async def test_closing_the_program_cancels_and_undoes(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    paused = asyncio.Event()
    services = await open_quick(make_steps=harness.pausing_steps("voice-test", "after", paused.set))
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    await paused.wait()
    await services.close()
    assert deployment.view.state is DeployState.CANCELLED
    assert servers_running() == []


async def test_what_makes_no_sense_is_refused(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    paused = asyncio.Event()
    services = await open_quick(make_steps=harness.pausing_steps("check", "before", paused.set))
    with pytest.raises(NotFound):
        await services.deploys.resume("pd-0")
    with pytest.raises(NotFound):
        await services.deploys.undo("pd-0")
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    with pytest.raises(BadRequest, match="exists already"):
        await services.deploys.start(harness.make_plan("pd-1", port, model))
    with pytest.raises(BadRequest, match="being worked on"):
        await services.deploys.resume("pd-1")
    assert services.deploys.active() == [deployment]
    # A second program sees it, but does not take it for a dead one's.
    other = await open_quick(serve_lines=False)
    assert other.deploys.interrupted() == []
    with pytest.raises(BadRequest, match="being worked on"):
        await other.deploys.undo("pd-1")
    deployment.cancel()
    await deployment.wait()


def test_undo_is_given_enough_time_for_a_server_that_will_not_end() -> None:
    from personadesk.hosts import server_process

    assert engine_module.UNDO_SECONDS > 2 * server_process.STOP_SECONDS
