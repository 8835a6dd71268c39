"""What a screen reader is told: each change once, politely, errors at once, numbers never."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from personadesk.domain.line import LineState
from personadesk.ui.announce import announcer
from personadesk.ui.deploy.running import RunningView
from personadesk.ui.session import WindowSession

Told = list[tuple[str, bool]]


@pytest.fixture
def told() -> Iterator[Told]:
    heard: Told = []

    def hear(text: str, urgent: bool) -> None:
        heard.append((text, urgent))

    announcer().announced.connect(hear)
    yield heard
    announcer().announced.disconnect(hear)


def test_steps_are_told_as_they_are_done_and_errors_at_once(
    run: Callable[[Awaitable[Any]], Any],
    samples: ModuleType,
    told: Told,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story() -> None:
        view = RunningView()
        view.show()
        view.activateWindow()
        await wait_for(view.isActiveWindow)
        for shown in (
            samples.deploy(0),
            samples.deploy(1, fraction=0.1),
            samples.deploy(1, fraction=0.9),
        ):
            view.show_view(shown)
        assert told == [("Check the computer: Done", False)]
        view.show_view(samples.failed_deploy())
        assert told[1:] == [("Port 8998 is taken by python3 (pid 4711).", True)]
        view.show_view(samples.deploy(3, samples.FOLDER_PLAN))
        assert len(told) == 2, "another deploy is shown, nothing has changed in it"
        view.deleteLater()

    run(story())


def test_a_line_that_changes_its_state_is_told_wherever_the_user_is(
    live_window: Callable[..., None],
    fake_services: Any,
    samples: ModuleType,
    told: Told,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    fake_services.lines.show(samples.line())

    async def story(session: WindowSession) -> None:
        session.window.activateWindow()
        await wait_for(session.window.isActiveWindow)
        await asyncio.sleep(0.15)
        told.clear()
        for state, count in ((LineState.FAILED, 1), (LineState.FAILED, 1), (LineState.UP, 2)):
            fake_services.lines.show(replace(samples.line(state=state), since=1.0))
            await asyncio.sleep(0.15)
            await wait_for(lambda count=count: len(told) >= count)
        assert told == [("Front desk: Failed", True), ("Front desk: Up", False)]

    live_window(story)
