"""The whole way to a rented GPU in a rehearsal, by real clicks: a pretend provider, a real machine and voice."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from peers.sshd import free_port, missing
from personadesk.app import open_services
from personadesk.domain.machine import MachineState
from personadesk.domain.progress import DeployState
from personadesk.rehearsal import running
from personadesk.store import paths
from personadesk.store.settings import Settings
from personadesk.ui.deploy import flow
from personadesk.ui.deploy.page import DeployPage
from personadesk.ui.dialogs import Question
from personadesk.ui.home.model import LineVerb
from personadesk.ui.home.page import HomePage
from personadesk.ui.places import DEPLOY, HOME
from personadesk.ui.preferences import Preferences
from personadesk.ui.session import WindowSession
from personadesk.voice.devices import Devices

DEPLOY_SECONDS = 300.0


@pytest.fixture
def rehearsal(
    run: Callable[[Awaitable[Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A rehearsal whose machines use the torch that the tests have; all of it is gone afterwards."""
    if why := missing():
        pytest.skip(why)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin")
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    yield
    run(running.stop(paths.folders()))


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


@pytest.mark.long
@pytest.mark.real_time
@pytest.mark.timeout(600)
@pytest.mark.logs_warnings  # a busy computer may need a second try, which says so in the log
@pytest.mark.usefixtures("rehearsal")
def test_a_voice_is_rented_tested_put_to_sleep_and_removed_with_its_machine(
    run: Callable[[Awaitable[Any]], Any],
    clicker: Any,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def opener() -> Any:
        return await open_services(paths.folders(), kind="window")

    def button(root: QWidget, begins: str) -> QPushButton | None:
        found = [b for b in root.findChildren(QPushButton) if b.text().startswith(begins)]
        return next((b for b in found if b.isVisible()), None)

    async def story(session: WindowSession) -> None:
        window, desk = session.window, session.desk
        await wait_for(lambda: desk.services is not None, 60)
        await wait_for(lambda: desk.rented.loaded, 60)
        home = window.current_page
        assert isinstance(home, HomePage)
        clicker.click(home.first_start.rent_card.button)
        await wait_for(lambda: window.current_id == DEPLOY, 20)
        page = window.current_page
        assert isinstance(page, DeployPage)
        await wait_for(lambda: desk.jobs.draft.rent.choice is not None, 60)
        # Another test that keeps the pace of speech may have the usual port at this moment.
        desk.jobs.redraft(replace(desk.jobs.draft, port=str(free_port())), desk.jobs.page)
        clicker.press(window, "Continue")
        assert desk.jobs.page is flow.Page.CHECK
        start = button(page, "Rent and start · ")
        assert start is not None
        clicker.click(start)
        await wait_for(lambda: desk.jobs.shown is not None, 20)
        job = desk.jobs.shown
        await wait_for(lambda: "Cost so far" in said(page), 60)
        await wait_for(lambda: not job.is_running, DEPLOY_SECONDS)
        assert job.view.state is DeployState.DONE, job.view.error
        await wait_for(lambda: button(page, "Talk now") is not None, 20)
        assert clicker.clicks == 3
        clicker.press(page, "Done")
        await wait_for(lambda: window.current_id == HOME, 20)
        name = job.view.plan.line
        standing = desk.standing_of(name)
        assert standing is not None
        await wait_for(lambda: standing.title in said(home.card(name)), 20)
        assert "/h" in said(home.card(name))
        desk.line_asked(name, LineVerb.REMOVE)
        (question,) = window.findChildren(Question)
        assert "is ended, and costs nothing more" in said(question)
        clicker.click(question.button("remove"))
        await wait_for(lambda: not desk.lines, 60)
        await wait_for(lambda: not _alive(desk), 60)

    async def whole() -> None:
        folders = paths.folders()
        settings = Settings(folders.config / "settings.toml")
        session = WindowSession(
            Preferences(settings, folders.state), None, opener, list_devices=lambda **_k: Devices()
        )
        living = run_soon(session)
        try:
            await story(session)
        finally:
            session.quit_now()
            await living

    run(whole())


def run_soon(session: WindowSession) -> Any:
    """Let the window live beside the story."""
    import asyncio

    return asyncio.ensure_future(session.run())


def _alive(desk: Any) -> list[str]:
    """Machines of ours that the providers still have."""
    desk.rented.look_now()
    return [
        machine.key
        for machine in desk.rented.view.machines
        if machine.tag and machine.state not in {MachineState.ENDED, MachineState.ENDING}
    ]
