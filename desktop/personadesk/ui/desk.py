"""What the window's pages share: the services once they are open, the models that outlive pages, the ways between.

It decides nothing about lines or deploys; it hands wishes on and tells what became of them.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from personadesk.domain.line import LineState
from personadesk.domain.plan import ModelKind, Plan, host_of, new_plan_id
from personadesk.domain.text import T
from personadesk.ui.announce import announce
from personadesk.ui.deploy.interrupted import told_interrupted
from personadesk.ui.deploy.jobs import Job, Jobs
from personadesk.ui.deploy.ways import Ways
from personadesk.ui.home import presenter
from personadesk.ui.home.model import LineVerb
from personadesk.ui.i18n import language
from personadesk.ui.messages import Action, Message, Severity, bus, from_error
from personadesk.ui.places import DEPLOY, TALK
from personadesk.ui.rented.model import Rented
from personadesk.ui.servers import looking
from personadesk.ui.servers.model import Machines
from personadesk.ui.spawn import drain, spawn
from personadesk.ui.spending.model import Purse
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.talk.foreign import Foreign
from personadesk.ui.talk.habits import Habits
from personadesk.ui.talk.personas import Personas
from personadesk.ui.throttle import Throttle
from personadesk.ui.world import LocalWorld

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.app import Services
    from personadesk.domain.line import Line
    from personadesk.domain.plan import ModelChoice
    from personadesk.domain.progress import DeployView
    from personadesk.domain.report import VoiceReport
    from personadesk.domain.text import Text
    from personadesk.hosts.local import Computer
    from personadesk.lines.uninstall import Uninstalled
    from personadesk.store.wishes import Entry
    from personadesk.ui.home.model import HomeModel
    from personadesk.ui.lines.model import LinesModel
    from personadesk.ui.monitor.source import Watch
    from personadesk.ui.rented.standing import Standing
    from personadesk.ui.servers.model import Looker
    from personadesk.ui.talk.call import Session
    from personadesk.ui.talk.kept_calls import KeptCalls
    from personadesk.ui.voice_lab.lab import Lab
    from personadesk.voice.devices import Devices

    Opener = Callable[[], Awaitable[Services]]

__all__ = ["Desk"]

FOLLOW_MS = 100
DECISIONS_MS = 5000
MONEY_MS = 2000
"""Money is summed up over a month; each look at the machines tells of it several times."""
WATCH_SECONDS = 1.0
"""After this computer was looked at, which is the last of a start."""


class Desk(QObject):
    """The models and the wishes of the window.

    Signals:
        opened: The services are open.
        page_asked: Another page is wanted (its id).
        stop_line_asked: A line is to be stopped, if the user agrees (its name).
        remove_line_asked: A line is to be removed, if the user agrees (its name).
        stop_deploy_asked: A deploy is to be stopped, if the user agrees (the job).
        computer_known: This computer was looked at (its facts, free bytes on its disk).
        alarm_clicked: The user wants to see what an alarm is about.
    """

    opened = Signal()
    page_asked = Signal(str)
    stop_line_asked = Signal(str)
    remove_line_asked = Signal(str)
    stop_deploy_asked = Signal(object)
    computer_known = Signal(object, object)
    alarm_clicked = Signal()

    def __init__(
        self,
        opener: Opener,
        home: HomeModel,
        *,
        open_session: Callable[..., Session] | None = None,
        list_devices: Callable[..., Devices] | None = None,
        look_at: Looker | None = None,
        parent: QObject | None = None,
    ) -> None:
        """Prepare everything that needs no service.

        Args:
            opener: Opens the services.
            home: What Home shows; it is there before the desk is.
            open_session: Makes a conversation; None takes the real one.
            list_devices: Lists sound devices; None asks the system.
            look_at: Checks a machine; None takes the real check.
        """
        super().__init__(parent)
        self._opener = opener
        self._services: Services | None = None
        self._opened = asyncio.Event()
        self._opening: asyncio.Task[None] | None = None
        self._models: dict[str, ModelChoice] = {}
        self._places: dict[str, str] = {}
        self._asked: set[str] = set()
        self._decisions: tuple[Entry, ...] = ()
        self._decided_soon = QTimer(self)
        self._decided_soon.setInterval(DECISIONS_MS)
        self._decided_soon.timeout.connect(
            lambda: spawn(self._read_decisions(), "read what the guardian did", owner=self)
        )
        self._told: dict[str, LineState] = {}
        self._computer: Computer | None = None
        self._free_bytes = 0
        self.home = home
        self.machines = Machines(
            self._hosts, look_at or looking.look_at, looking.aliases,
            prepare=looking.load_ssh, uninstaller=self._uninstall, forgetter=self._forget,
            parent=self,
        )  # fmt: skip
        self.rented = Rented(self._ready, parent=self)
        self.purse = Purse(self._ready, parent=self)
        world = LocalWorld(lambda: self.lines, self.machines, self.rented)
        self.jobs = Jobs(
            self._engine, world, self._test, self,
            holder=self._hold, next_plan=lambda plan: self.ways.next_plan(plan),
        )  # fmt: skip
        self.ways = Ways(self._ready, self.jobs, self.rented, self)
        self.ways.page_asked.connect(lambda: self.page_asked.emit(DEPLOY))
        self.foreign = Foreign(self._ready, self)
        self.personas = Personas(self._ready, self, token=self.foreign.token_for)
        self.call = Call(
            open_session, list_devices, lambda: self.personas.draft,
            lambda: self.kept_calls.sessions(), self, token=self.foreign.token_for,
        )  # fmt: skip
        Habits(self.call, self._ready)
        self.foreign.changed.connect(lambda _name: self._show_partners())
        self._follow_soon = Throttle(self._follow, FOLLOW_MS, self)
        self.jobs.changed.connect(self._follow)
        self.jobs.progressed.connect(self._follow_soon)
        self.rented.fleet_changed.connect(self._follow_soon)
        self._sum_up_soon = Throttle(self.purse.look, MONEY_MS, self)
        self.rented.fleet_changed.connect(self._sum_up_soon)
        language().language_changed.connect(self._follow)

    @property
    def services(self) -> Services | None:
        """The services, once they are open."""
        return self._services

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines, as far as is known."""
        return self._services.lines.lines() if self._services is not None else ()

    @property
    def computer(self) -> tuple[Computer, int] | None:
        """This computer and the free bytes on its disk, once it was looked at."""
        return (self._computer, self._free_bytes) if self._computer is not None else None

    # -- opening and closing ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the services; what fails is told, with a way to try again."""
        self._opening = spawn(self._open(), "open the services")

    async def _open(self) -> None:
        try:
            services = await self._opener()
        except Exception as error:
            retry = Action(T("Try again"), self.open)
            bus().post(replace(from_error(error), actions=(retry,), key="open"))
            return
        self._services = services
        for notice in services.notices:
            bus().post(Message(Severity.WARNING, notice))
        services.lines.subscribe(self._follow_soon)
        self._decided_soon.start()
        self._opened.set()
        self.opened.emit()
        self.machines.load()
        self.rented.load()
        self.foreign.load()
        await self.jobs.look()
        await self._tell_interrupted()
        await self._follow_now()
        spawn(self._look_at_computer(services), "look at this computer", owner=self)

    async def close(self) -> None:
        """End the call and close the services; deploys that run are stopped and undone."""
        if self._opening is not None:
            # Half-opened services could not be closed; a whole opening takes a moment.
            await asyncio.wait({self._opening})
        self._decided_soon.stop()
        # One that waits would come due when there is no loop any more.
        self._follow_soon.stop()
        self._sum_up_soon.stop()
        # What was asked of the services must not reach them while they close.
        await drain()
        await self.call.close()
        services, self._services = self._services, None
        if services is not None:
            await services.close()

    # -- wishes -----------------------------------------------------------------------------------------------

    def standing_of(self, name: str) -> Standing | None:
        """Return how the rented machine behind a line stands, None where none is rented for it."""
        line = next((line for line in self.lines if line.name == name), None)
        if line is None or line.target is None:
            return None
        return self.rented.standing(line.target.server_id)

    def talk_to(self, name: str) -> None:
        """Open the voice console and call a line at once."""
        self.page_asked.emit(TALK)
        spawn(self._talk_to(name), f"talk to {name}", owner=self)

    def stop_line(self, name: str) -> None:
        """Stop a line's voice, and its machine with it where that is rented; the user has agreed."""
        rented = self.standing_of(name) is not None
        work = self._put_to_sleep(name) if rented else self._with_lines("stop", name)
        spawn(work, f"stop {name}", owner=self)

    def remove_line(self, name: str) -> None:
        """Remove a line and its server; the user has agreed."""
        spawn(self._remove_line(name), f"remove {name}", owner=self)

    def line_asked(self, name: str, verb: str) -> None:
        """Do what was asked of a line on Home, after a question where it cannot be taken back."""
        job = self.jobs.of_line(name)
        match LineVerb(verb):
            case LineVerb.TALK:
                self.talk_to(name)
            case LineVerb.START if (line := self._empty(name)) is not None:
                self.ways.fill(line)
            case LineVerb.START:
                spawn(self._with_lines("start", name), f"start {name}", owner=self)
            case LineVerb.STOP if job is not None and job.is_running:
                self.stop_deploy_asked.emit(job)
            case LineVerb.STOP:
                self.stop_line_asked.emit(name)
            case LineVerb.REMOVE if job is not None and all(x.name != name for x in self.lines):
                self.jobs.forget(job)
            case LineVerb.REMOVE:
                self.remove_line_asked.emit(name)
            case LineVerb.TEST if job is None or job.view.report is None:
                spawn(self._test_line(name), f"test {name}", owner=self)
            case LineVerb.TEST if job is not None:
                self.jobs.test_again(job)
                self._show_job(job)
            case LineVerb.WATCH | LineVerb.RESULT if job is not None:
                self._show_job(job)
            case _:
                self.page_asked.emit(DEPLOY)

    def _show_job(self, job: Job) -> None:
        self.jobs.show(job)
        self.page_asked.emit(DEPLOY)

    # -- doing ------------------------------------------------------------------------------------------------

    async def ready(self) -> Services:
        """Wait until the services are open and return them."""
        return await self._ready()

    async def _ready(self) -> Services:
        await self._opened.wait()
        if self._services is None:
            raise asyncio.CancelledError
        return self._services

    @cached_property
    def line_facts(self) -> LinesModel:
        """What the Lines page shows."""
        from personadesk.ui.lines.model import LinesModel

        return LinesModel(self._ready, self.ways.begin, parent=self)

    @cached_property
    def kept_calls(self) -> KeptCalls:
        """The calls that were recorded."""
        from personadesk.ui.talk.kept_calls import KeptCalls

        return KeptCalls(self._ready, self)

    @cached_property
    def lab(self) -> Lab:
        """The comparison of voices and the load test."""
        from personadesk.ui.voice_lab.lab import Lab

        return Lab(self._ready, self)

    @cached_property
    def watch(self) -> Watch:
        """What the window's graphs show; opened a moment after the services, or when one is looked at before."""
        from personadesk.ui.monitor.owners import Owners
        from personadesk.ui.monitor.source import Watch

        async def monitor() -> Any:
            return await (await self._ready()).monitor()

        owners = Owners(self.rented, lambda: self.lines)
        return Watch(monitor, owner=owners, parent=self)

    async def _hosts(self) -> Any:
        return (await self._ready()).hosts

    async def _engine(self) -> Any:
        return (await self._ready()).deploys

    def _empty(self, name: str) -> Line | None:
        return next((x for x in self.lines if x.name == name and x.target is None), None)

    async def _put_to_sleep(self, name: str) -> None:
        await (await self._ready()).limits.sleep(name)
        self.rented.look_now()
        await self._follow_now()

    async def _hold(self, tag: str) -> None:
        await (await self._ready()).rentals.hold(tag)

    async def _talk_to(self, name: str) -> None:
        await self._ready()
        await self._follow_now()
        if self.call.devices is None:
            await self.call.find_devices()
        self.call.start(name)

    async def _with_lines(self, verb: str, name: str) -> None:
        lines = (await self._ready()).lines
        await {"start": lines.start, "stop": lines.stop, "remove": lines.remove}[verb](name)
        await self._follow_now()

    async def _remove_line(self, name: str) -> None:
        await self._with_lines("remove", name)
        job = self.jobs.of_line(name)
        if job is not None:
            self.jobs.forget(job)

    async def _uninstall(self, host_name: str, tell: Callable[[Text], None]) -> None:
        await self._emptied(await (await self._ready()).uninstall(host_name, tell))

    async def _forget(self, host_name: str) -> None:
        await self._emptied(await (await self._ready()).forget(host_name))

    async def _emptied(self, done: Uninstalled) -> None:
        for name in done.lines:
            job = self.jobs.of_line(name)
            if job is not None:
                self.jobs.forget(job)
        await self._follow_now()

    async def _test_line(self, name: str) -> None:
        services = await self._ready()
        line = next(line for line in self.lines if line.name == name)
        record = await services.journal.load(line.target.server_id if line.target else "")
        plan = record.plan if record else Plan(new_plan_id(), line.name, line.port)
        job = self.jobs.add_tested(plan, line.url, record.started if record else line.since)
        self.jobs.test_again(job)
        self._show_job(job)

    async def _test(
        self, view: DeployView, on_progress: Callable[[float, Text], None]
    ) -> tuple[VoiceReport, str]:
        services = await self._ready()
        steps = await asyncio.to_thread(
            importlib.import_module, "personadesk.deploy.steps.voice_test"
        )
        stamp = time.strftime("%Y%m%d-%H%M%S")
        folder = services.folders.data / "reports" / f"{stamp}-{view.plan.id}"
        report = await steps.test_and_save(view.line_url or "", view.plan.clip, folder, on_progress)
        return report, str(folder)

    # -- following --------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        if self._services is None:
            return
        computer = presenter.describe_computer(self._computer) if self._computer else ""
        for line in self.lines:
            if self._told.get(line.name, line.state) is not line.state:
                announce(
                    f"{line.name}: {presenter.state_word(line)}",
                    urgent=line.state is LineState.FAILED,
                )
        self._told = {line.name: line.state for line in self.lines}
        self.home.show(
            presenter.home_view(
                self.lines,
                [job.view for job in self.jobs.all],
                self._models,
                computer=computer,
                places=self._places,
                rented=self.rented.standings,
                costs=self._costs(),
                decisions=self._decisions,
            )
        )
        if self._unknown():
            spawn(self._follow_now(), "read what runs behind the lines", owner=self)
        self._show_partners()

    def _show_partners(self) -> None:
        ours = tuple(self._partner(line) for line in self.lines)
        self.call.show_partners((*ours, *self.foreign.partners))

    def _partner(self, line: Line) -> Partner:
        standing = self.standing_of(line.name)
        return Partner(
            line.name,
            line.url,
            rehearsal=self._is_rehearsal(line),
            server=line.target.url if line.target is not None else "",
            cost=standing.hourly if standing is not None else "",
        )

    def _costs(self) -> presenter.Costs:
        return presenter.Costs(
            now=self.rented.view.price_now,
            today=self.rented.spent(self.rented.today),
            at=self.rented.clock(),
            untold=self.rented.view.untold,
        )

    def _unknown(self) -> set[str]:
        servers = {line.target.server_id for line in self.lines if line.target is not None}
        return servers - self._asked - {""}

    async def _follow_now(self) -> None:
        services = await self._ready()
        unknown = self._unknown()
        self._asked |= unknown
        for server_id in unknown:
            record = await services.journal.load(server_id)
            if record is not None:
                self._models[server_id] = record.plan.model
                host = host_of(record.plan)
                if host is not None and record.plan.rent is None:
                    self._places[server_id] = host
        self.rented.remember_times(await services.journal.recent())
        self._follow()

    async def _read_decisions(self) -> None:
        services = await self._ready()
        found = await services.wishes.recent()
        if found != self._decisions:
            self._decisions = found
            self._follow()

    def _is_rehearsal(self, line: Line) -> bool:
        model = self._models.get(line.target.server_id) if line.target is not None else None
        return model is not None and model.kind is ModelKind.REHEARSAL

    async def _tell_interrupted(self) -> None:
        await self.rented.read_rentals()
        for job in self.jobs.interrupted:
            standing = self.rented.standing(job.id)
            bus().post(told_interrupted(job, self.jobs, standing, partial(self._go_on, job)))

    def _go_on(self, job: Job) -> None:
        self.jobs.retry(job)
        self._show_job(job)

    async def _look_at_computer(self, services: Services) -> None:
        from personadesk.hosts import local

        self._computer = await local.look()
        self._free_bytes = await asyncio.to_thread(local.free_bytes, services.folders.data)
        self.computer_known.emit(self._computer, self._free_bytes)
        self._follow()
        # Alarms and test calls want no window to be looked at; the start itself has no time for them.
        await asyncio.sleep(WATCH_SECONDS)
        from personadesk.ui.alarms import AlarmTeller

        AlarmTeller(self.watch, self).clicked.connect(self.alarm_clicked)
        self.watch.begin()
