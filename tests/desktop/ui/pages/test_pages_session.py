"""The whole window over stand-in services: from the first click to the questions at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QCheckBox

from personadesk.domain.errors import HostUnfit
from personadesk.domain.line import LineState
from personadesk.domain.progress import DeployState
from personadesk.domain.text import T
from personadesk.store.settings import CLOSING
from personadesk.ui.dialogs import Question
from personadesk.ui.home.page import HomePage
from personadesk.ui.messages import Severity, bus, catch_everything
from personadesk.ui.places import DEPLOY, HOME, MONITOR, TALK
from personadesk.ui.session import WindowSession
from personadesk.ui.spawn import running, spawn

Wait = Callable[..., Awaitable[None]]


def question(session: WindowSession) -> Question:
    return next(q for q in session.window.findChildren(Question) if q.isVisible())


def test_try_it_here_deploys_at_once_and_talk_now_calls_at_once(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    scenes: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    calls: list[tuple[str, Any]] = []

    def open_session(url: str, **choices: Any) -> Any:
        calls.append((url, choices["query"]))
        return scenes.SampleSession(samples.call())

    async def story(session: WindowSession) -> None:
        home = session.window.current_page
        assert isinstance(home, HomePage)
        clicker.click(home.first_start.card.button)
        await wait_for(lambda: fake_services.deploys.deployments)
        await wait_for(lambda: session.window.current_id == DEPLOY)
        (deployment,) = fake_services.deploys.deployments
        assert deployment.view.plan.line == "My line"
        plan = replace(samples.PLAN, line="My line")
        deployment.move(samples.finished_deploy(plan=plan))
        fake_services.lines.show(samples.line("My line"))
        await wait_for(lambda: session.window.current_page.title == "My line is ready")
        await asyncio.sleep(0.02)
        clicker.press(session.window, "Talk now")
        await wait_for(lambda: calls)
        assert session.window.current_id == TALK
        assert calls == [("ws://127.0.0.1:8998/api/chat", {"engine": "echo"})]

    live_window(story, open_session=open_session)
    assert clicker.clicks == 2


def test_a_line_is_stopped_only_after_the_question_and_started_without_one(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.lines.show(samples.line())

    async def story(session: WindowSession) -> None:
        window = session.window
        clicker.press(window, "Stop…")
        clicker.press(question(session), "Cancel")
        await asyncio.sleep(0.02)
        assert fake_services.lines.deeds == []
        clicker.press(window, "Stop…")
        clicker.press(question(session), "Stop")
        await wait_for(lambda: fake_services.lines.deeds == [("stop", "Front desk")])
        await asyncio.sleep(0.15)
        clicker.press(window, "Start")
        await wait_for(lambda: fake_services.lines.deeds[-1] == ("start", "Front desk"))

    live_window(story)


def test_removing_a_line_asks_and_brings_the_first_start_back(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.lines.show(samples.line())

    async def story(session: WindowSession) -> None:
        session.home.asked.emit("Front desk", "remove")
        clicker.press(question(session), "Remove")
        await wait_for(lambda: fake_services.lines.deeds == [("remove", "Front desk")])
        page = session.window.current_page
        assert isinstance(page, HomePage)
        await wait_for(page.first_start.isVisible)

    live_window(story)


@pytest.mark.logs_warnings
def test_an_interrupted_deploy_is_told_at_the_start_with_both_ways_out(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.deploys.left_over = [samples.interrupted_deploy()]

    async def story(session: WindowSession) -> None:
        await wait_for(lambda: bus().messages)
        (message,) = bus().messages
        assert str(message.what) == ("PersonaDesk stopped unexpectedly while deploying “Practice”.")
        await asyncio.sleep(0.02)
        clicker.button(session.window, "Undo")
        clicker.press(session.window, "Go on")
        await wait_for(lambda: fake_services.deploys.resumed == [samples.FOLDER_PLAN.id])
        assert session.window.current_id == DEPLOY
        assert bus().messages == ()

    live_window(story)


@pytest.mark.logs_warnings
def test_services_that_do_not_open_are_told_and_can_be_tried_again(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    tries: list[int] = []

    async def opener() -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise HostUnfit(
                T("The disk is full; PersonaDesk cannot write down what it does."),
                T("Free some space, then try again."),
            )
        return fake_services

    async def story(session: WindowSession) -> None:
        await wait_for(lambda: bus().messages)
        await asyncio.sleep(0.02)
        clicker.press(session.window, "Try again")
        await wait_for(lambda: session.desk.services is fake_services)

    live_window(story, opener=opener, opens=False)
    assert len(tries) == 2


def test_the_language_changes_at_once_and_the_draft_stays(
    live_window: Callable[..., None], clicker: Any
) -> None:
    async def story(session: WindowSession) -> None:
        window = session.window
        window.open_page(DEPLOY)
        clicker.press(window, "Continue")
        clicker.press(window, "Continue")
        window.choose_language("nl")
        await asyncio.sleep(0.02)
        assert window.current_id == DEPLOY
        assert window.current_page.title == "Nieuwe lijn"
        clicker.press(window, "Verder")
        clicker.button(window, "Starten")
        assert session.desk.jobs.page.value == "check"

    live_window(story)


def test_closing_with_nothing_up_asks_nothing_and_closes_the_services(
    live_window: Callable[..., None], fake_services: Any
) -> None:
    async def story(session: WindowSession) -> None:
        session.window.close()
        assert not session.window.isVisible()

    live_window(story)
    assert fake_services.closed
    assert running() == ()


def test_quitting_closes_windows_that_only_watch_too(
    live_window: Callable[..., None], fake_services: Any, clicker: Any, wait_for: Wait
) -> None:
    seen: list[str] = []

    async def story(session: WindowSession) -> None:
        session.window.open_page(MONITOR)
        clicker.press(session.window, "Own window")
        (window,) = session._watching.values()
        window.closed.connect(lambda: seen.append("closed"))
        window.destroyed.connect(lambda: seen.append("gone"))
        window.full_screen(True)
        await asyncio.sleep(0.05)
        assert window.isFullScreen()
        session.window.close()
        await wait_for(lambda: session.is_over)

    live_window(story)
    assert seen == ["closed", "gone"]
    assert fake_services.closed
    assert running() == ()


@pytest.mark.parametrize(
    ("answer", "handed_over", "stopped"),
    [("Keep running in the background", True, False), ("Stop the voice and quit", False, True)],
)
def test_closing_with_a_line_up_asks_and_does_what_was_answered(
    answer: str,
    handed_over: bool,
    stopped: bool,
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    clicker: Any,
    wait_for: Wait,
) -> None:
    fake_services.lines.show(samples.line())

    async def story(session: WindowSession) -> None:
        session.window.close()
        assert session.window.isVisible(), "first the question"
        clicker.press(question(session), "Cancel")
        await asyncio.sleep(0.02)
        session.window.close()
        clicker.press(question(session), answer)
        await wait_for(lambda: session.is_over)

    live_window(story)
    assert fake_services.handed_over is handed_over
    assert (("stop", "Front desk") in fake_services.lines.deeds) is stopped
    assert fake_services.closed


def test_closing_does_what_was_settled_once_and_for_all(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType, wait_for: Wait
) -> None:
    fake_services.lines.show(samples.line())
    fake_services.settings.set(CLOSING, "background")

    async def story(session: WindowSession) -> None:
        session.window.close()
        await wait_for(lambda: session.is_over)

    live_window(story)
    assert fake_services.handed_over


def test_the_answer_is_remembered_when_that_is_ticked(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType, clicker: Any, wait_for: Wait
) -> None:  # fmt: skip
    fake_services.lines.show(samples.line())

    async def story(session: WindowSession) -> None:
        session.window.close()
        (tick,) = question(session).findChildren(QCheckBox)
        tick.click()
        clicker.press(question(session), "Cancel")
        await asyncio.sleep(0.02)
        assert fake_services.settings.get(CLOSING) == "ask", "to stay is no answer for ever"
        session.window.close()
        (tick,) = question(session).findChildren(QCheckBox)
        tick.click()
        clicker.press(question(session), "Keep running in the background")
        await wait_for(lambda: session.is_over)

    live_window(story)
    assert fake_services.settings.get(CLOSING) == "background"


def test_lines_of_the_background_process_need_no_question(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType
) -> None:
    fake_services.lines.show(samples.line())
    fake_services.lines.serving = False

    async def story(session: WindowSession) -> None:
        session.window.close()
        assert not session.window.isVisible()

    live_window(story)


def test_closing_during_a_deploy_asks(
    live_window: Callable[..., None],
    fake_services: Any,
    clicker: Any,
    samples: ModuleType,
    wait_for: Wait,
) -> None:
    async def story(session: WindowSession) -> None:
        session.desk.jobs.start(samples.PLAN)
        await wait_for(lambda: session.desk.jobs.running)
        session.window.close()
        assert session.window.isVisible()
        clicker.press(question(session), "Stop and quit")
        await wait_for(lambda: session.is_over)

    live_window(story)
    assert fake_services.closed


@pytest.mark.logs_warnings
def test_a_fault_in_a_slot_or_a_task_reaches_the_user(
    live_window: Callable[..., None], wait_for: Wait
) -> None:
    async def story(session: WindowSession) -> None:
        async def breaks() -> None:
            raise ValueError("a coroutine")

        def fails(_result: None) -> None:
            raise KeyError("a callback")

        spawn(breaks(), "breaks", owner=session)
        spawn(asyncio.sleep(0), "ends", owner=session, done=fails)
        await wait_for(lambda: len(bus().messages) == 2)
        assert {m.severity for m in bus().messages} == {Severity.ERROR}
        assert "ValueError: a coroutine" in "".join(m.details for m in bus().messages)

    live_window(story)


@pytest.mark.logs_warnings
def test_an_uncaught_exception_is_told_not_lost(qapp: Any) -> None:
    import sys

    restore = catch_everything()
    try:
        sys.excepthook(ZeroDivisionError, ZeroDivisionError("in a slot"), None)
    finally:
        restore()
    (message,) = bus().messages
    assert str(message.what) == "Something went wrong inside PersonaDesk: ZeroDivisionError."
    assert "in a slot" in message.details


def test_work_ends_with_what_it_belongs_to(run: Callable[[Awaitable[Any]], Any]) -> None:
    async def story() -> None:
        owner = QObject()
        task = spawn(asyncio.sleep(60), "waits", owner=owner)
        await asyncio.sleep(0)
        owner.deleteLater()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(story())
    assert running() == ()


def test_lines_that_come_up_later_are_shown(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType, wait_for: Wait
) -> None:
    async def story(session: WindowSession) -> None:
        fake_services.lines.show(samples.line(state=LineState.STARTING))
        await wait_for(lambda: session.home.view.lines)
        fake_services.lines.show(samples.line())
        await wait_for(lambda: session.home.view.lines[0].word == "Up")
        await wait_for(lambda: session.desk.call.partner is not None)
        assert session.desk.call.uses_echo, "the journal tells that it is the rehearsal model"
        session.window.open_page(HOME)
        assert "Rehearsal model" in session.home.view.lines[0].about

    live_window(story)


def test_a_line_of_an_earlier_day_can_be_tested(
    live_window: Callable[..., None], fake_services: Any, samples: ModuleType, wait_for: Wait
) -> None:
    fake_services.lines.show(samples.line())

    async def story(session: WindowSession) -> None:
        async def tester(_view: Any, _tell: Any) -> Any:
            return samples.report(), "/reports/one"

        session.desk.jobs._tester = tester
        session.home.asked.emit("Front desk", "test")
        await wait_for(lambda: session.window.current_page.title == "Front desk is ready")
        (job,) = session.desk.jobs.all
        assert job.view.state is DeployState.DONE
        assert job.view.plan == samples.PLAN

    live_window(story)
