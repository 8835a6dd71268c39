"""One life of the window: pages made of the desk's models, the questions at the end, the tidy end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt

from personadesk.domain.line import LineState
from personadesk.store.settings import CLOSING
from personadesk.ui import dialogs
from personadesk.ui.desk import DEPLOY, HOME, TALK, Desk
from personadesk.ui.home.page import HomePage
from personadesk.ui.i18n import mark
from personadesk.ui.messages import bus
from personadesk.ui.shell import MainWindow, PageSpec
from personadesk.ui.spawn import drain, spawn

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from personadesk.ui.desk import Opener
    from personadesk.ui.instance import SingleInstance
    from personadesk.ui.preferences import Preferences
    from personadesk.ui.shell import Page

__all__ = ["WindowSession"]

log = logging.getLogger(__name__)

CLOSE_SECONDS = 90.0
"""A deploy that is stopped at the end gets its time to be undone."""


class WindowSession(QObject):
    """Holds window and desk together.

    Attributes:
        desk: The models and wishes.
        window: The main window.
    """

    def __init__(
        self, preferences: Preferences, instance: SingleInstance | None, opener: Opener
    ) -> None:
        super().__init__()
        self._done = asyncio.Event()
        self._leaving = False
        self.desk = Desk(opener, parent=self)
        self.window = MainWindow(
            [
                PageSpec(HOME, mark("Home"), "home", self._make_home),
                PageSpec(DEPLOY, mark("Deploy"), "deploy", self._make_deploy),
                PageSpec(TALK, mark("Voice console"), "voice", self._make_talk),
            ],
            preferences,
        )
        self.window.closing.connect(self._closing)
        desk = self.desk
        desk.page_asked.connect(self.window.open_page)
        desk.stop_line_asked.connect(self._ask_stop)
        desk.remove_line_asked.connect(self._ask_remove)
        desk.stop_deploy_asked.connect(
            lambda job: dialogs.ask_stop_deploy(self.window, job.view.plan.line, job.cancel)
        )
        if instance is not None:
            instance.raise_asked.connect(self.come_forward)

    async def run(self) -> None:
        """Show the window, open the services after its first paint, and return when all is closed."""
        painted = asyncio.Event()
        self.window.first_painted.connect(painted.set)
        self.window.show()
        await painted.wait()
        spawn(self.desk.open(), "open the services", owner=self.desk)
        await self._done.wait()
        await self._close()

    def come_forward(self) -> None:
        """Bring the window to the front."""
        window = self.window
        window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
        window.show()
        window.raise_()
        window.activateWindow()

    def quit_now(self) -> None:
        """Close without a question."""
        self._leaving = True
        self.window.close()
        self._done.set()

    # -- pages ------------------------------------------------------------------------------------------------

    def _make_home(self) -> Page:
        return HomePage(self.desk.home)

    def _make_deploy(self) -> Page:
        from personadesk.ui.deploy.page import DeployPage

        page = DeployPage(self.desk.jobs)
        page.talk_asked.connect(self.desk.talk_to)
        page.home_asked.connect(lambda: self.window.open_page(HOME))
        self.desk.computer_known.connect(page.show_computer)
        if self.desk.computer is not None:
            page.show_computer(*self.desk.computer)
        return page

    def _make_talk(self) -> Page:
        from personadesk.ui.talk.page import TalkPage

        return TalkPage(self.desk.call)

    # -- questions --------------------------------------------------------------------------------------------

    def _ask_stop(self, name: str) -> None:
        line = next((line for line in self.desk.lines if line.name == name), None)
        if line is not None:
            dialogs.ask_stop_line(self._front(), name, line.url, lambda: self.desk.stop_line(name))

    def _ask_remove(self, name: str) -> None:
        line = next((line for line in self.desk.lines if line.name == name), None)
        if line is not None:
            dialogs.ask_remove_line(
                self._front(), name, line.url, lambda: self.desk.remove_line(name)
            )

    def _front(self) -> QWidget:
        return self.window

    def _closing(self) -> None:
        if self._leaving:
            return
        services = self.desk.services
        up = [line for line in self.desk.lines if line.state is LineState.UP]
        ours = services is not None and services.lines.serving and bool(up)
        deploys = len(self.desk.jobs.running)
        wish = services.settings.get(CLOSING) if services is not None else "ask"
        if not ours and not deploys:
            self._leave()
            return
        self.window.veto_close()
        if ours and not deploys and wish != "ask":
            self._finish(keep=wish == "background")
            return
        dialogs.ask_close(
            self.window,
            len(up) if ours else 0,
            deploys,
            background=lambda: self._finish(keep=True),
            stop=lambda: self._finish(keep=False),
        )

    def _finish(self, *, keep: bool) -> None:
        spawn(self._hand_over() if keep else self._stop_lines(), "end the lines", owner=self)

    async def _hand_over(self) -> None:
        services = self.desk.services
        await self.desk.call.close()
        if services is not None:
            await services.hand_over()
        self.quit_now()

    async def _stop_lines(self) -> None:
        services = self.desk.services
        await self.desk.call.close()
        if services is not None and services.lines.serving:
            for line in services.lines.lines():
                if line.state in {LineState.UP, LineState.STARTING}:
                    await services.lines.stop(line.name)
        self.quit_now()

    def _leave(self) -> None:
        self._leaving = True
        self._done.set()

    # -- the end ----------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.desk.close()
        except TimeoutError:
            log.exception("The services did not close in %s seconds", CLOSE_SECONDS)
        except Exception as error:
            bus().error(error)
        await drain()
        with contextlib.suppress(RuntimeError):
            self.window.deleteLater()
