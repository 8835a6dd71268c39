"""The deploy page with stand-in deploys: wizard by clicks and keys, running, failed, cut off, finished."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from personadesk.domain.errors import HostUnfit
from personadesk.domain.plan import ModelKind
from personadesk.domain.progress import DeployState, DeployView
from personadesk.domain.report import Verdict
from personadesk.domain.text import T
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.form import OptionCard
from personadesk.ui.deploy.jobs import Jobs
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.dialogs import Question
from personadesk.ui.messages import Severity, bus
from personadesk.ui.widgets import ErrorPanel, Shape, StepList


@pytest.fixture
def with_page(
    run: Callable[[Awaitable[Any]], Any],
    scenes: ModuleType,
    samples: ModuleType,
    make_engine: Callable[[], Any],
    wait_for: Callable[..., Awaitable[None]],
) -> Callable[..., None]:
    """Returns a function that shows the page over a stand-in engine while a story uses it."""

    def use(story: Callable[[DeployPage, Jobs, Any], Awaitable[None]], *lines: Any) -> None:
        async def live() -> None:
            engine = make_engine()

            async def there() -> Any:
                return engine

            async def tester(_view: DeployView, tell: Callable[..., None]) -> Any:
                tell(0.5, T("Asking the question"))
                await asyncio.sleep(0.05)
                return samples.report(Verdict.WARN), "/reports/two"

            jobs = Jobs(there, scenes.SampleWorld(lines), tester)
            machines = scenes.machines_of()
            page = DeployPage(jobs, machines=machines)
            machines.setParent(page)
            page.resize(1200, 800)
            page.show()
            page.activateWindow()
            page.entered()
            try:
                await wait_for(page.isActiveWindow)
                await story(page, jobs, engine)
            finally:
                page.left()
                page.hide()
                page.deleteLater()
                jobs.deleteLater()
                await asyncio.sleep(0)

        run(live())

    return use


def test_the_short_way_through_the_wizard_is_four_clicks(
    with_page: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        for text in ("Continue", "Continue", "Continue", "Start"):
            clicker.press(page, text)
        await wait_for(lambda: jobs.shown is not None)
        (plan,) = engine.begun
        assert (plan.line, plan.port, plan.model.kind) == ("My line", 8998, ModelKind.REHEARSAL)
        assert page.title == "Setting up “My line”"
        assert page.wizard is None

    with_page(story)
    assert clicker.clicks == 4


def test_continue_stays_enabled_and_leads_to_the_first_fault(
    with_page: Callable[..., None], clicker: Any
) -> None:
    async def story(page: DeployPage, jobs: Jobs, _engine: Any) -> None:
        wizard = page.wizard
        assert wizard is not None
        wizard.open_page(flow.Page.LINE)
        name, port = wizard.field(flow.Field.LINE), wizard.field(flow.Field.PORT)
        name.edit.setFocus()
        name.edit.selectAll()
        QTest.keyClick(name.edit, Qt.Key.Key_Delete)
        assert name.fault == "", "nothing is judged while typing"
        clicker.press(page, "Continue")
        assert wizard.page is flow.Page.LINE
        assert name.fault == "Give the line a name."
        assert name.edit.hasFocus()
        QTest.keyClicks(name.edit, "Practice")
        assert name.fault == "", "typing takes the fault back"
        port.edit.setFocus()
        port.edit.selectAll()
        QTest.keyClicks(port.edit, "8999")
        name.edit.setFocus()
        assert port.fault == "Port 8999 is used by another program. 9000 is free."
        port.edit.setFocus()
        port.edit.selectAll()
        QTest.keyClicks(port.edit, "9000")
        QTest.keyClick(port.edit, Qt.Key.Key_Return)
        assert wizard.page is flow.Page.CHECK, "Enter goes on when all is well"
        assert jobs.draft == flow.Draft(line="Practice", port="9000")

    with_page(story)


def test_a_model_folder_is_asked_for_only_when_it_is_chosen(
    with_page: Callable[..., None], clicker: Any
) -> None:
    async def story(page: DeployPage, jobs: Jobs, _engine: Any) -> None:
        clicker.press(page, "Continue")
        rehearsal, folder = (card for card in page.findChildren(OptionCard) if card.isVisible())
        assert rehearsal.isChecked()
        assert page.wizard is not None
        field = page.wizard.field(flow.Field.FOLDER)
        assert not field.isVisible()
        QTest.keyClick(rehearsal, Qt.Key.Key_Down)
        assert folder.isChecked(), "arrow keys choose among the options"
        assert field.isVisible()
        QTest.keyClicks(field.edit, "/nowhere")
        QTest.keyClick(field.edit, Qt.Key.Key_Return)
        assert field.fault == "The model folder /nowhere does not exist."
        clicker.click(rehearsal)
        clicker.press(page, "Continue")
        assert page.wizard.page is flow.Page.LINE
        assert jobs.draft is not None
        assert jobs.draft.model is ModelKind.REHEARSAL

    with_page(story)


def test_the_draft_outlives_the_page_and_done_steps_lead_back(
    with_page: Callable[..., None], clicker: Any
) -> None:
    async def story(page: DeployPage, jobs: Jobs, _engine: Any) -> None:
        for _ in range(2):
            clicker.press(page, "Continue")
        assert page.wizard is not None
        QTest.keyClicks(page.wizard.field(flow.Field.LINE).edit, "Practice")
        again = DeployPage(jobs, machines=page._machines)
        assert again.wizard is not None
        assert again.wizard.page is flow.Page.LINE
        assert again.wizard.draft.line == "Practice"
        again.show()
        clicker.press(again, "Where")
        assert again.wizard.page is flow.Page.WHERE
        again.deleteLater()

    with_page(story)


def test_check_and_start_sums_up_and_each_line_can_be_changed(
    with_page: Callable[..., None], clicker: Any, samples: ModuleType
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        wizard = page.wizard
        assert wizard is not None
        page.show_computer(samples.COMPUTER, 84 * 1024**3)
        wizard.open_page(flow.Page.CHECK)
        change = [
            b
            for b in page.findChildren(type(clicker.button(page, "Start")))
            if b.text() == "Change" and b.isVisible()
        ]
        assert [b.accessibleName() for b in change] == [
            "Change: Where", "Change: Model", "Change: Line", "Change: Address",
        ]  # fmt: skip
        clicker.click(change[2])
        assert wizard.page is flow.Page.LINE
        jobs_draft = replace(wizard.draft, line="")
        wizard._draft = jobs_draft
        wizard.open_page(flow.Page.CHECK)
        clicker.press(page, "Start")
        assert wizard.page is flow.Page.LINE, "a fault found at the end opens its page"
        assert engine.begun == []

    with_page(story)


def test_the_running_page_follows_steps_log_and_end(
    with_page: Callable[..., None],
    clicker: Any,
    samples: ModuleType,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        jobs.start(samples.PLAN)
        await wait_for(lambda: engine.deployments)
        (deployment,) = engine.deployments
        steps = page.findChild(StepList)
        assert steps is not None
        deployment.move(samples.deploy(2, fraction=0.6), *samples.log())
        await wait_for(lambda: steps.rows[2].shape is Shape.BUSY)
        assert [row.shape for row in steps.rows[:4]] == [
            Shape.OK,
            Shape.OK,
            Shape.BUSY,
            Shape.EMPTY,
        ]
        assert steps.rows[2].fraction == 0.6
        view = page.running_view
        await wait_for(lambda: len(view._log.view.entries) == len(samples.log()))
        asked: list[str] = []
        page.talk_asked.connect(asked.append)
        deployment.move(samples.finished_deploy())
        await wait_for(lambda: page.title == "Front desk is ready")
        clicker.press(page, "Talk now")
        assert asked == ["Front desk"]
        clicker.press(page, "Copy address")
        assert QGuiApplication.clipboard().text() == "ws://127.0.0.1:8998/api/chat"
        left: list[bool] = []
        page.home_asked.connect(lambda: left.append(True))
        clicker.press(page, "Done")
        assert left == [True]
        assert jobs.all == ()

    with_page(story)


def test_stopping_asks_first_with_the_focus_on_the_safe_answer(
    with_page: Callable[..., None],
    clicker: Any,
    samples: ModuleType,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        jobs.start(samples.PLAN)
        await wait_for(lambda: engine.deployments)
        (deployment,) = engine.deployments
        clicker.press(page, "Stop…")
        question = page.findChild(Question)
        assert question is not None
        assert question.focusWidget() is question.button("cancel")
        QTest.keyClick(question, Qt.Key.Key_Escape)
        await asyncio.sleep(0.02)
        assert not deployment.cancelled
        clicker.press(page, "Stop…")
        question = next(q for q in page.findChildren(Question) if q.isVisible())
        clicker.press(question, "Stop and undo")
        assert deployment.cancelled
        deployment.move(replace(deployment.view, state=DeployState.CANCELLED))
        await wait_for(lambda: page.title == "“Front desk” is not ready")
        await asyncio.sleep(0.02)
        clicker.press(page, "Try again")
        await wait_for(lambda: engine.resumed == [samples.PLAN.id])

    with_page(story)


def test_a_failure_says_what_happened_and_offers_the_next_click(
    with_page: Callable[..., None],
    clicker: Any,
    samples: ModuleType,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        jobs.start(samples.PLAN)
        await wait_for(lambda: engine.deployments)
        engine.deployments[0].move(samples.failed_deploy())
        await wait_for(lambda: not jobs.shown.is_running)  # type: ignore[union-attr]
        await asyncio.sleep(0.02)
        panel = page.findChild(ErrorPanel)
        assert panel is not None
        assert panel.accessibleName() == (
            "Port 8998 is taken by python3 (pid 4711). Choose another port, or close that program."
        )
        clicker.press(page, "Try again")
        await wait_for(lambda: engine.resumed == [samples.PLAN.id])
        engine.deployments[1].move(samples.failed_deploy())
        await wait_for(lambda: not jobs.shown.is_running)  # type: ignore[union-attr]
        await asyncio.sleep(0.02)
        clicker.press(page, "Change something…")
        assert page.wizard is not None
        assert page.wizard.draft == flow.Draft(line="Front desk", port="8998")

    with_page(story)


def test_a_deploy_that_was_cut_off_can_go_on_or_be_undone(
    with_page: Callable[..., None],
    clicker: Any,
    samples: ModuleType,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        engine.left_over = [samples.interrupted_deploy()]
        await jobs.look()
        (job,) = jobs.interrupted
        jobs.show(job)
        clicker.press(page, "Undo")
        await wait_for(lambda: engine.undone == [job.id])
        await wait_for(lambda: job.view.state is DeployState.UNDONE)
        clicker.press(page, "Try again")
        await wait_for(lambda: engine.resumed == [job.id])

    with_page(story)


def test_testing_again_replaces_the_report(
    with_page: Callable[..., None],
    clicker: Any,
    samples: ModuleType,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        jobs.start(samples.PLAN)
        await wait_for(lambda: engine.deployments)
        engine.deployments[0].move(samples.finished_deploy())
        await wait_for(lambda: page.title == "Front desk is ready")
        clicker.press(page, "Test again")
        again = clicker.button(page, "Test again")
        await wait_for(lambda: not again.isEnabled())
        await wait_for(again.isEnabled)
        shown = page.result_view.shown
        assert shown is not None
        assert shown.report is not None
        assert shown.report.verdict is Verdict.WARN
        assert shown.report_dir == "/reports/two"

    with_page(story)


def test_a_failed_voice_test_offers_no_talk(
    with_page: Callable[..., None],
    clicker: Any,
    samples: ModuleType,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        jobs.start(samples.PLAN)
        await wait_for(lambda: engine.deployments)
        engine.deployments[0].move(samples.finished_deploy(Verdict.FAIL))
        await wait_for(lambda: page.result_view.isVisible())
        with pytest.raises(AssertionError):
            clicker.button(page, "Talk now")
        clicker.press(page, "Try again")
        await wait_for(lambda: engine.resumed == [samples.PLAN.id])

    with_page(story)


def test_a_failure_after_a_good_voice_test_is_told_as_a_failure(
    with_page: Callable[..., None],
    clicker: Any,
    samples: ModuleType,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        jobs.start(samples.PLAN)
        await wait_for(lambda: engine.deployments)
        heard = samples.finished_deploy(Verdict.PASS).report
        engine.deployments[0].move(replace(samples.failed_deploy(), report=heard))
        await wait_for(lambda: not jobs.shown.is_running)  # type: ignore[union-attr]
        await asyncio.sleep(0.02)
        assert not page.result_view.isVisible()
        panel = page.findChild(ErrorPanel)
        assert panel is not None
        assert "8998 is taken" in panel.accessibleName()
        clicker.button(page, "Try again")

    with_page(story)


def test_several_deploys_stand_side_by_side(
    with_page: Callable[..., None], samples: ModuleType, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        for plan in (samples.PLAN, samples.FOLDER_PLAN):
            jobs.start(plan)
        await wait_for(lambda: len(engine.deployments) == 2)
        tabs = page._tabs
        assert [tabs.tabText(i) for i in range(tabs.count())] == [
            "Front desk",
            "Practice",
            "New line",
        ]
        where = tabs.tabRect(0).center()
        QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, where)
        assert page.title == "Setting up “Front desk”"

    with_page(story)


@pytest.mark.logs_warnings
def test_a_deploy_that_cannot_begin_is_told_and_the_draft_stays(
    with_page: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(page: DeployPage, jobs: Jobs, engine: Any) -> None:
        engine.refuse = HostUnfit(
            T("The disk is full; PersonaDesk cannot write down what it does."),
            T("Free some space, then try again."),
        )
        for text in ("Continue", "Continue", "Continue", "Start"):
            clicker.press(page, text)
        await wait_for(lambda: bus().messages)
        (message,) = bus().messages
        assert message.severity is Severity.ERROR
        assert str(message.what).startswith("The disk is full")
        assert page.wizard is not None
        assert page.wizard.page is flow.Page.CHECK

    with_page(story)


def test_a_report_is_saved_beside_earlier_ones(
    with_page: Callable[..., None],
    samples: ModuleType,
    tmp_path: Path,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    report = tmp_path / "20261123-130029-pd-7c41a09e"
    report.mkdir()
    (report / "report.html").write_text("<p>", encoding="utf-8")
    wanted = tmp_path / "wanted"
    wanted.mkdir()

    async def story(page: DeployPage, jobs: Jobs, _engine: Any) -> None:
        job = jobs.add(replace(samples.finished_deploy(), report_dir=str(report)))
        for _ in range(2):
            page.save_report_to(job, wanted)
        await wait_for(lambda: len(list(wanted.iterdir())) == 2)
        assert sorted(p.name for p in wanted.iterdir()) == [
            f"voice-test-{report.name}",
            f"voice-test-{report.name}-2",
        ]
        await wait_for(lambda: bus().messages)
        assert "was saved" in str(bus().messages[0].what)

    with_page(story)


@pytest.mark.logs_warnings
def test_a_report_that_cannot_be_saved_is_told(
    with_page: Callable[..., None],
    samples: ModuleType,
    tmp_path: Path,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: DeployPage, jobs: Jobs, _engine: Any) -> None:
        job = jobs.add(samples.finished_deploy())
        page.save_report_to(job, tmp_path / "nowhere")
        await wait_for(lambda: bus().messages)
        assert str(bus().messages[0].what).startswith("The report could not be saved")

    with_page(story)
