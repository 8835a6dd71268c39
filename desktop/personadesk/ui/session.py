"""One life of the window: pages made of the desk's models, the questions at the end, the tidy end."""

from __future__ import annotations

import contextlib
import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, Signal

from personadesk.store import paths
from personadesk.store.settings import CLOSING
from personadesk.ui.home.model import HomeModel
from personadesk.ui.home.page import HomePage
from personadesk.ui.i18n import mark
from personadesk.ui.places import (
    ACCOUNTS,
    DEPLOY,
    HOME,
    INSTANCES,
    LINES,
    MONEY,
    MONITOR,
    TALK,
)
from personadesk.ui.shell import MainWindow, PageSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.machine import Machine
    from personadesk.ui.deploy.jobs import Job
    from personadesk.ui.desk import Desk, Opener
    from personadesk.ui.instance import SingleInstance
    from personadesk.ui.monitor.window import WatchWindow
    from personadesk.ui.preferences import Preferences
    from personadesk.ui.rented.standing import Standing
    from personadesk.ui.shell import Page

__all__ = ["WindowSession"]

log = logging.getLogger(__name__)

PAINT_SECONDS = 2.0
CLOSE_SECONDS = 90.0
"""A deploy that is stopped at the end gets its time to be undone."""


class WindowSession(QObject):
    """Holds window and desk together. Only what the first page needs is loaded before it shows.

    Attributes:
        window: The main window.
        home: What Home shows.
    """

    _over = Signal()

    def __init__(
        self,
        preferences: Preferences,
        instance: SingleInstance | None,
        opener: Opener,
        **devices: Any,
    ) -> None:
        """Build the window; nothing shows before `show` or `run`.

        Args:
            preferences: Look, language and the window's place.
            instance: Tells when PersonaDesk is started again.
            opener: Opens the services.
            **devices: Where conversations and sound devices come from, as for `Desk`.
        """
        super().__init__()
        self._opener = opener
        self._preferences = preferences
        self._watching: dict[str, WatchWindow] = {}
        self._devices = devices
        self._leaving = False
        self._painted = False
        self.is_over = False
        rehearsal = paths.rehearsing()
        self.home = HomeModel(self, rehearsal=rehearsal)
        self.home.try_here_asked.connect(lambda: self.desk.ways.try_here())
        self.home.use_machine_asked.connect(lambda: self.desk.ways.use_machine())
        self.home.rent_asked.connect(lambda: self.desk.ways.rent_gpu())
        self.home.new_line_asked.connect(lambda: self.desk.ways.new_line())
        self.home.rehearse_asked.connect(self._open_rehearsal)
        self.home.money_asked.connect(self._show_money)
        self.home.asked.connect(lambda name, verb: self.desk.line_asked(name, verb))
        self.window = MainWindow(
            [
                PageSpec(HOME, mark("Home"), "home", self._make_home),
                PageSpec(DEPLOY, mark("Deploy"), "deploy", self._make_deploy),
                PageSpec(INSTANCES, mark("Instances"), "instances", self._make_instances),
                PageSpec(MONITOR, mark("Monitor"), "monitor", self._make_monitor),
                PageSpec(TALK, mark("Voice console"), "voice", self._make_talk),
                PageSpec(LINES, mark("Lines"), "lines", self._make_lines),
                PageSpec(ACCOUNTS, mark("Accounts"), "accounts", self._make_accounts),
                PageSpec(MONEY, mark("Money"), "coin", self._make_money),
            ],
            preferences,
            rehearsal=rehearsal,
        )
        self.window.first_painted.connect(self._has_painted)
        self.window.closing.connect(self._closing)
        if instance is not None:
            instance.raise_asked.connect(self.come_forward)

    @property
    def is_painted(self) -> bool:
        """Whether the first page has been on the screen."""
        return self._painted

    @cached_property
    def desk(self) -> Desk:
        """The models and wishes; made when first asked for, which is after the first paint."""
        from personadesk.ui.desk import Desk

        desk = Desk(self._opener, self.home, parent=self, **self._devices)
        desk.rented.fleet_changed.connect(self._tell_money)
        self.window.rebuilt.connect(self._tell_money)
        desk.page_asked.connect(self.window.open_page)
        desk.alarm_clicked.connect(self._show_alarms)
        desk.stop_line_asked.connect(self._ask_stop)
        desk.remove_line_asked.connect(self._ask_remove)
        desk.stop_deploy_asked.connect(self._ask_stop_deploy)
        return desk

    async def run(self) -> None:
        """Show the window, open the services after its first paint, and return when all is closed."""
        import asyncio

        over = asyncio.Event()
        self._over.connect(over.set)
        self.window.show()
        if not self._painted:
            painted = asyncio.Event()
            self.window.first_painted.connect(painted.set)
            with contextlib.suppress(TimeoutError):  # one that starts minimised is painted later
                await asyncio.wait_for(painted.wait(), PAINT_SECONDS)
        self.desk.open()
        if not self.is_over:
            await over.wait()
        await self._close()

    def come_forward(self) -> None:
        """Bring the window to the front."""
        log.info("PersonaDesk was started again; the window comes forward")
        window = self.window
        window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
        window.show()
        window.raise_()
        window.activateWindow()

    def quit_now(self) -> None:
        """Close without a question; harmless when it is closed already."""
        if not self.is_over:
            self._leaving = True
            self.window.close()
            self._leave()

    def _has_painted(self) -> None:
        self._painted = True

    # -- pages ------------------------------------------------------------------------------------------------

    def _make_home(self) -> Page:
        return HomePage(self.home)

    def _make_deploy(self) -> Page:
        from personadesk.ui.deploy.hub_token import HubToken
        from personadesk.ui.deploy.page import DeployPage

        call = self.desk.call
        token = HubToken(self.desk.ready)
        page = DeployPage(
            self.desk.jobs,
            machines=self.desk.machines,
            token=token,
            rented=self.desk.rented,
            has_speaker=lambda: call.has_speaker,
        )
        token.setParent(page)
        call.changed.connect(page.look_for_speaker)
        if call.devices is None:
            call.look_for_devices()
        page.talk_asked.connect(self.desk.talk_to)
        page.home_asked.connect(lambda: self.window.open_page(HOME))
        self.desk.computer_known.connect(page.show_computer)
        if self.desk.computer is not None:
            page.show_computer(*self.desk.computer)
        return page

    def _make_talk(self) -> Page:
        from personadesk.ui.talk.page import TalkPage

        desk = self.desk
        page = TalkPage(desk.call, desk.personas, desk.kept_calls, desk.foreign, desk.lab)
        page.move_asked.connect(self._show_line)
        return page

    def _show_line(self, name: str) -> None:
        from personadesk.ui.lines.page import LinesPage

        self.window.open_page(LINES)
        page = self.window.current_page
        if isinstance(page, LinesPage):
            page.choose(name)

    def _make_lines(self) -> Page:
        from personadesk.ui.lines.page import LinesPage

        page = LinesPage(self.desk.line_facts)
        page.talk_asked.connect(self.desk.talk_to)
        page.monitor_asked.connect(self._show_watched)
        page.deploy_asked.connect(self.desk.ways.new_line)
        page.sleep_asked.connect(self._ask_sleep)
        page.delete_asked.connect(self._ask_remove)
        return page

    def _make_instances(self) -> Page:
        from personadesk.ui.instances.page import InstancesPage

        page = InstancesPage(self.desk.rented, self.desk.watch)
        page.deploy_asked.connect(self.desk.ways.new_line)
        page.detach_asked.connect(self._detach_machine)
        page.accounts_asked.connect(lambda: self.window.open_page(ACCOUNTS))
        return page

    def _make_monitor(self) -> Page:
        from personadesk.ui.monitor.page import MonitorPage

        page = MonitorPage(self.desk.watch)
        page.deploy_asked.connect(self.desk.ways.new_line)
        page.machine_asked.connect(self._show_watched)
        page.detach_asked.connect(self._detach_monitor)
        return page

    def _detach_monitor(self) -> None:
        """Show the monitor in a window of its own; there is one."""
        from personadesk.ui.monitor.window import MonitorWindow

        def make() -> MonitorWindow:
            made = MonitorWindow(self.desk.watch, self._preferences)
            made.deploy_asked.connect(self.desk.ways.new_line)
            made.machine_asked.connect(self._show_watched)
            return made

        self._detach("", make)

    def _detach_machine(self, machine: Machine) -> None:
        """Show a machine's graphs in a window of their own; there is one a machine."""
        from personadesk.ui.monitor.window import MachineWindow

        name = machine.name or machine.id
        self._detach(
            machine.tag,
            lambda: MachineWindow(self.desk.watch, self._preferences, machine.tag, name),
        )

    def _detach(self, key: str, make: Callable[[], WatchWindow]) -> None:
        window = self._watching.get(key)
        if window is None:
            window = self._watching[key] = make()
        window.show()
        window.raise_()
        window.activateWindow()

    def _show_alarms(self) -> None:
        self.come_forward()
        self.window.open_page(MONITOR)

    def _show_watched(self, name: str) -> None:
        """Show a rented machine's details; of other machines the accounts page knows more."""
        machine = next((each for each in self.desk.rented.view.machines if each.tag == name), None)
        self.come_forward()
        if machine is None:
            self.window.open_page(ACCOUNTS)
        else:
            self._show_machine(machine.key)

    def _make_accounts(self) -> Page:
        from personadesk.ui.accounts.page import AccountsPage

        page = AccountsPage(self.desk.machines, self.desk.rented)
        page.deploy_asked.connect(self.desk.ways.use_machine)
        page.rent_asked.connect(self.desk.ways.rent_gpu)
        page.machine_asked.connect(self._show_machine)
        return page

    def _show_money(self) -> None:
        self.window.open_page(MONEY)

    def _make_money(self) -> Page:
        from personadesk.ui.spending.page import MoneyPage

        return MoneyPage(self.desk.purse, lambda: [line.name for line in self.desk.lines])

    def _show_machine(self, key: str) -> None:
        from personadesk.ui.instances.page import InstancesPage

        self.window.open_page(INSTANCES)
        page = self.window.current_page
        if isinstance(page, InstancesPage):
            page.choose(key)

    # -- questions --------------------------------------------------------------------------------------------

    def _ask_stop(self, name: str) -> None:
        from personadesk.ui import dialogs

        address = self._address(name)
        if address is not None:
            standing = self.desk.standing_of(name)
            dialogs.ask_stop_line(
                self.window,
                name,
                address,
                lambda: self.desk.stop_line(name),
                rented=self._stopping(standing) if standing is not None else "",
            )

    def _ask_sleep(self, name: str) -> None:
        from personadesk.ui import dialogs

        address, standing = self._address(name), self.desk.standing_of(name)
        if address is None or standing is None:
            # What runs here or on a machine of the user's costs nothing and loses nothing.
            self.desk.line_facts.sleep(name)
            return
        dialogs.ask_stop_line(
            self.window, name, address, lambda: self.desk.line_facts.sleep(name),
            rented=self._stopping(standing),
        )  # fmt: skip

    def _stopping(self, standing: Standing) -> str:
        return standing.stopping(self.desk.rented.setup_seconds(standing.provider))

    def _ask_remove(self, name: str) -> None:
        from personadesk.ui import dialogs

        address = self._address(name)
        if address is not None:
            standing = self.desk.standing_of(name)
            dialogs.ask_remove_line(
                self.window,
                name,
                address,
                lambda: self.desk.remove_line(name),
                rented=standing.ending() if standing is not None else "",
            )

    def _ask_stop_deploy(self, job: Job) -> None:
        from personadesk.ui.deploy.stopping import ask_stop

        ask_stop(self.window, job, self.desk.jobs, self.desk.rented)

    def _open_rehearsal(self) -> None:
        from personadesk.ui.rehearse import open_rehearsal

        open_rehearsal()

    def _tell_money(self) -> None:
        """Say at the foot of the side bar what is billed, and how much of it nobody uses."""
        from personadesk.ui.instances import words

        rented = self.desk.rented
        view = rented.view
        now, today = view.price_now, rented.spent(rented.today)
        silent = any(account.error is not None for account in view.accounts.values())
        if now or today or view.untold or silent:
            self.window.set_status(
                words.cost_of(now, today),
                words.accounts_of(view, rented.clock()),
                words.silent_of(view, rented.clock()),
            )
        else:
            self.window.set_status()
        adrift = {machine.key for machine in (*view.without_line(), *view.strays)}
        self.window.set_badge(INSTANCES, len(adrift), words.adrift_of(len(adrift)))

    def _address(self, name: str) -> str | None:
        return next((line.url for line in self.desk.lines if line.name == name), None)

    def _closing(self) -> None:
        if self._leaving:
            return
        lines, deploys, wish = self._at_stake()
        if not lines and not deploys:
            self._leave()
            return
        self.window.veto_close()
        if lines and not deploys and wish != "ask":
            self._finish(keep=wish == "background")
            return
        from personadesk.ui import dialogs

        dialogs.ask_close(
            self.window,
            lines,
            deploys,
            background=lambda: self._finish(keep=True),
            stop=lambda: self._finish(keep=False),
            remember=self._remember_closing,
        )

    def _remember_closing(self, way: str) -> None:
        if self.desk.services is not None:
            self.desk.services.settings.set(CLOSING, way)

    def _at_stake(self) -> tuple[int, int, str]:
        """Return lines that are up because of us, deploys under way, and what was settled about closing."""
        services = self.desk.services
        if services is None:
            return 0, 0, "ask"
        up = sum(line.state == "up" for line in self.desk.lines)
        ours = up if services.lines.serving else 0
        return ours, len(self.desk.jobs.running), services.settings.get(CLOSING)

    def _finish(self, *, keep: bool) -> None:
        from personadesk.ui.spawn import spawn

        spawn(self._hand_over() if keep else self._stop_lines(), "end the lines", owner=self)

    async def _hand_over(self) -> None:
        await self.desk.call.close()
        if self.desk.services is not None:
            await self.desk.services.hand_over()
        self.quit_now()

    async def _stop_lines(self) -> None:
        services = self.desk.services
        await self.desk.call.close()
        if services is not None and services.lines.serving:
            for line in services.lines.lines():
                if line.state in {"up", "starting"}:
                    await services.lines.stop(line.name)
        self.quit_now()

    def _leave(self) -> None:
        self._leaving = self.is_over = True
        self._over.emit()

    # -- the end ----------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        import asyncio

        from personadesk.ui.messages import bus

        for window in self._watching.values():
            window.close()
            window.deleteLater()
        self._watching.clear()
        # What it follows by the second would be asked for when there is no loop any more.
        self.window.current_page.left()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.desk.close()
        except TimeoutError:
            log.exception("The services did not close in %s seconds", CLOSE_SECONDS)
        except Exception as error:
            bus().error(error)
        with contextlib.suppress(RuntimeError):  # a test may have deleted it already
            self.window.deleteLater()
