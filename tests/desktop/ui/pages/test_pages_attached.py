"""A real window beside a real `personadesk line serve`: what it shows, what closing asks, and who takes over."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psutil
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget

from personadesk.app import Services, open_services
from personadesk.domain.line import Line, LineState, Target
from personadesk.hosts import health, local
from personadesk.lines.service import BACKGROUND
from personadesk.store import paths
from personadesk.store.instance import lines_lock
from personadesk.store.servers import ServerRecord
from personadesk.store.settings import Settings
from personadesk.ui.dialogs import Question
from personadesk.ui.lines.page import LinesPage
from personadesk.ui.places import LINES
from personadesk.ui.preferences import Preferences
from personadesk.ui.session import WindowSession
from personadesk.voice.devices import Devices

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(240),
    pytest.mark.logs_warnings,  # a busy computer may miss a look at a line, which is said in the log
    pytest.mark.skipif(sys.platform == "win32", reason="no such sockets there"),
]

Wait = Callable[..., Awaitable[None]]


def holder() -> dict[str, Any]:
    return lines_lock(paths.folders()).holder() or {}


@pytest.fixture
def background() -> Iterator[subprocess.Popen[bytes]]:
    """Serves the lines as a window that was closed left it; whoever serves them at the end is ended too."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "personadesk", "line", "serve", "--background"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield process
    process.kill()
    process.wait(20)
    late = holder()
    if late.get("kind") == BACKGROUND and psutil.pid_exists(int(late["pid"])):
        psutil.Process(int(late["pid"])).kill()


async def make_voice(services: Services, port: int) -> Line:
    """Put a real echo server behind a new line."""
    there = local.pick_port()
    folder = services.folders.state / "servers" / "pd-1"
    command = (
        sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo", "--port", str(there),
        "--ready-file", str(folder / "ready.json"),
    )  # fmt: skip
    url = f"ws://127.0.0.1:{there}/api/chat"
    await services.servers.start(ServerRecord("pd-1", folder, command, url, "echo"))
    async with asyncio.timeout(60):
        while await health.ask(url) is None:
            await asyncio.sleep(0.05)
    line = Line("Front desk", port, Target(url, "pd-1"), LineState.UP)
    await services.lines.put(line)
    return line


def said(root: QWidget) -> str:
    return "\n".join(x.text() for x in root.findChildren(QLabel) if x.isVisible())


def question(session: WindowSession) -> Question | None:
    return next((q for q in session.window.findChildren(Question) if q.isVisible()), None)


def test_a_window_beside_the_background_process_shows_it_asks_at_the_end_and_takes_over(
    run: Callable[[Awaitable[Any]], Any],
    background: subprocess.Popen[bytes],
    clicker: Any,
    wait_for: Wait,
) -> None:
    port = local.pick_port()

    async def answers() -> bool:
        return await health.get_json(f"http://127.0.0.1:{port}", "/status") is not None

    async def lines_page(session: WindowSession) -> LinesPage:
        await wait_for(lambda: session.desk.services is not None, 60)
        place = session.window._navigation.button(LINES)
        QTest.mouseClick(place, Qt.MouseButton.LeftButton)
        page = session.window.current_page
        assert isinstance(page, LinesPage)
        return page

    async def beside_it(session: WindowSession) -> None:
        page = await lines_page(session)
        services = session.desk.services
        assert services is not None
        assert not services.lines.serving
        await make_voice(services, port)
        await wait_for(lambda: f"in the background (process {background.pid})" in said(page), 60)
        await wait_for(lambda: "1 of 1 up" in said(session.window), 60)
        background.kill()
        await wait_for(lambda: services.lines.serving, 60)
        await wait_for(lambda: "The lines are served by this window." in said(page), 60)
        assert not page.end_background.isVisible()
        await wait_for(lambda: "1 of 1 up" in said(session.window), 60)
        assert await answers()
        session.window.close()
        asked = question(session)
        assert asked is not None
        assert "1 line is up." in said(asked)
        clicker.press(asked, "Cancel")
        await asyncio.sleep(0.1)
        assert session.window.isVisible()
        assert await answers()
        session.window.close()
        asked = question(session)
        assert asked is not None
        clicker.press(asked, "Keep running in the background")
        await wait_for(lambda: session.is_over, 60)

    async def and_again(session: WindowSession) -> None:
        page = await lines_page(session)
        services = session.desk.services
        assert services is not None
        await wait_for(lambda: f"(process {holder().get('pid')})" in said(page), 60)
        clicker.click(page.end_background)
        await wait_for(lambda: services.lines.serving, 60)
        await wait_for(lambda: "The lines are served by this window." in said(page), 60)
        await wait_for(lambda: "1 of 1 up" in said(session.window), 60)
        session.window.close()
        asked = question(session)
        assert asked is not None
        clicker.press(asked, "Stop the voice and quit")
        await wait_for(lambda: session.is_over, 60)

    async def live(story: Callable[[WindowSession], Awaitable[None]]) -> None:
        folders = paths.folders()
        session = WindowSession(
            Preferences(Settings(folders.config / "settings.toml"), folders.state),
            None,
            lambda: open_services(folders, kind="window", make_steps=lambda places: ()),
            list_devices=lambda **_k: Devices(),
        )
        living = asyncio.ensure_future(session.run())
        try:
            await story(session)
        finally:
            session.quit_now()
            await living

    async def whole() -> None:
        await wait_for(lambda: holder().get("pid") == background.pid, 60)
        await live(beside_it)
        assert await answers(), "the address goes on without a window"
        assert holder()["kind"] == BACKGROUND
        await live(and_again)
        assert not await answers()
        await wait_for(lambda: not holder(), 60)

    run(whole())
