"""Wiring: builds the services once and hands them out. No decisions live here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from personadesk import resources
from personadesk.deploy.engine import DeployEngine
from personadesk.deploy.recovering import Recovery
from personadesk.deploy.rented.fleet import Fleet
from personadesk.deploy.rented.keeping import RentedMachines
from personadesk.deploy.rented.memory import Memory
from personadesk.deploy.rented.money import MoneyService
from personadesk.deploy.rented.rentals import Rentals
from personadesk.deploy.rented.renting import Renting
from personadesk.deploy.steps import local_steps
from personadesk.deploy.steps.placed import PLACED, ByPlace
from personadesk.deploy.steps.rented import BootStep, RentStep
from personadesk.domain.line import LineState
from personadesk.domain.progress import DeployState
from personadesk.domain.wish import Place, Rest
from personadesk.hosts import hub_token
from personadesk.hosts.python_env import Environments
from personadesk.hosts.remote.servers import PlacedServers
from personadesk.hosts.ssh.directory import Hosts
from personadesk.lines import background, truth
from personadesk.lines.control import Control, ask, socket_path
from personadesk.lines.guardian import Guardian
from personadesk.lines.leaving import Leaving
from personadesk.lines.limits import Limits
from personadesk.lines.outside import Outside
from personadesk.lines.service import BACKGROUND, COMMAND, LineService
from personadesk.lines.spares import Spares
from personadesk.lines.wanting import Wanting
from personadesk.providers.accounts import Accounts
from personadesk.store import logs, paths
from personadesk.store.access import AccessStore
from personadesk.store.accounts import AccountStore
from personadesk.store.budgets import BudgetStore
from personadesk.store.database import Database
from personadesk.store.experiences import ExperienceStore
from personadesk.store.foreign import ForeignStore
from personadesk.store.hosts import HostStore
from personadesk.store.instance import lines_lock
from personadesk.store.journal import Journal
from personadesk.store.lines import LineStore
from personadesk.store.owed import OwedStore
from personadesk.store.rentals import RentalStore
from personadesk.store.secrets import Secrets
from personadesk.store.servers import ServerStore
from personadesk.store.settings import Settings
from personadesk.store.spending import SpendingStore
from personadesk.store.vault import Vault
from personadesk.store.wishes import WishStore
from personadesk.voice.foreign import ForeignServers
from personadesk.voice.proof import Proofs

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from personadesk.deploy.rented.standby import Quote
    from personadesk.deploy.step import Step
    from personadesk.domain.callee import Callee
    from personadesk.domain.plan import Plan
    from personadesk.domain.progress import StepName
    from personadesk.domain.text import Text
    from personadesk.domain.wish import Wish
    from personadesk.lines.uninstall import Uninstalled
    from personadesk.monitor.monitor import Monitor
    from personadesk.store.locks import FileLock
    from personadesk.store.paths import Folders
    from personadesk.voice.voices import Voice

    MakeSteps = Callable[[Folders], Sequence[Step]]


@dataclass(slots=True)
class Services:
    """Everything below the window and the terminal.

    Attributes:
        folders: Where files are.
        settings: What a person chose.
        database: The one database.
        journal: What deploys were asked and where they are.
        servers: The voice servers, on this computer and on hosts.
        deploys: Runs, resumes and undoes deploys.
        lines: The addresses.
        hosts: The machines that are reached by SSH.
        accounts: The accounts at providers.
        rentals: The record of what was rented.
        fleet: Every machine of every account.
        spending: What they cost.
        money: Sums of that, budgets, and what is left after a stop.
        limits: Puts to sleep what costs more than was allowed, or idles.
        secrets: Keys and tokens.
        wishes: What lines shall be, and what was done for them.
        guardian: Keeps lines up.
        spares: Keeps the second voices of lines that stand by.
        leaving: Removes servers whose machine was not reached when another took their place.
        wanting: Makes and changes lines as people want them.
        outside: Opens lines to other computers.
        foreign: The voice servers of others that a person calls.
        control: Lets a window see and steer the process that serves the lines.
        proofs: Calls voices to hear whether they answer.
        lines_lock: Tells who serves the addresses.
        log_handler: The log file of this process.
        opened_monitor: The monitor, None while nobody asked for it.
        opening_monitor: Held while it is opened, so that two who ask at once get the same.
    """

    folders: Folders
    settings: Settings
    database: Database
    journal: Journal
    servers: PlacedServers
    deploys: DeployEngine
    lines: LineService
    hosts: Hosts
    accounts: Accounts
    rentals: Rentals
    fleet: Fleet
    spending: SpendingStore
    money: MoneyService
    limits: Limits
    wishes: WishStore
    guardian: Guardian
    spares: Spares
    leaving: Leaving
    wanting: Wanting
    outside: Outside
    foreign: ForeignServers
    control: Control
    proofs: Proofs
    secrets: Secrets
    lines_lock: FileLock
    log_handler: logging.Handler
    opened_monitor: Monitor | None = None
    opening_monitor: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def notices(self) -> tuple[Text, ...]:
        """What a person should know about the opening: files that were set aside."""
        return (*self.settings.notices, *self.database.notices)

    async def uninstall(self, host_name: str, tell: Callable[[Text], None]) -> Uninstalled:
        """Take PersonaDesk off a machine; see `personadesk.lines.uninstall`.

        Raises:
            PersonaDeskError: A deploy to it is under way, or something would not stop or go.
        """
        # Loaded when it is asked for: the window's first start has no time to lose.
        from personadesk.hosts.remote.care import Care
        from personadesk.lines.uninstall import uninstall

        return await uninstall(
            host_name,
            Care(self.hosts, self.servers),
            self.lines,
            running=self._running(),
            tell=tell,
        )

    async def callee(self, word: str) -> Callee:
        """Return whom a word means: a line, a server that was kept, the line on a machine, or an address.

        Raises:
            NotFound: It is none of these.
        """
        from personadesk.lines import callees

        found = await self.foreign.callee(word)
        return found or await callees.find(word, self.lines, self.journal, self.rentals.current)

    async def spare_quote(self, wish: Wish) -> Quote:
        """Return what a spare would cost a line and where it would stand; see `deploy.rented.standby`.

        Raises:
            PersonaDeskError: An account is not known, or cannot be read.
        """
        from personadesk.deploy.rented import standby

        line = await self.lines.get(wish.line)
        tag = line.target.server_id if line is not None and line.target is not None else ""
        record = await self.journal.load(tag)
        here = Place(record.plan.place, record.plan.rent).key if record is not None else ""
        return await standby.quote(self.accounts, wish, here)

    async def add_voice(self, url: str, name: str, wav: Path, token: str | None = None) -> Voice:
        """Bring a voice to the server at an address; see `lines.own_voices`.

        Raises:
            PersonaDeskError: It is not reached, or does not take this voice.
        """
        from personadesk.lines import own_voices

        token = token or await self.foreign.token_for(url)
        return await own_voices.add(self.servers, url, name, wav, token)

    async def forget(self, host_name: str) -> Uninstalled:
        """Forget a machine that is not reached any more; see `personadesk.lines.uninstall`.

        Raises:
            PersonaDeskError: There is no such machine, or a deploy to it is under way.
        """
        from personadesk.lines.uninstall import forget

        return await forget(
            host_name, self.hosts, self.servers, self.lines, running=self._running()
        )

    async def monitor(self, *, every_s: float | None = None) -> Monitor:
        """Return the monitor; the first call opens its history and begins to sample.

        One process at a time keeps the history; others sample for themselves and read it.

        Args:
            every_s: Seconds between samples of what nobody looks at; None for the usual ten.

        Raises:
            PersonaDeskError: The history cannot be used.
        """
        async with self.opening_monitor:
            if self.opened_monitor is None:
                # It brings numpy: the first start has no time to lose, and a window would feel it on its own loop.
                await asyncio.to_thread(_load_monitor)
                from personadesk.monitor.opening import Parts, open_monitor

                parts = Parts(
                    self.folders, self.hosts, self.servers, self.accounts, self.journal,
                    self.secrets, self.settings, lambda: self.fleet.view, self.lines.lines,
                    self.lines.kind != COMMAND, self.proofs, self.wishes, self.money.near,
                )  # fmt: skip
                self.opened_monitor = await open_monitor(parts, every_s)
        return self.opened_monitor

    def _running(self) -> list[Plan]:
        views = [each.view for each in self.deploys.active()]
        return [view.plan for view in views if view.state is DeployState.RUNNING]

    async def hub_token_source(self) -> Text | None:
        """Return where the Hugging Face token is that a deploy will use; None where there is none."""
        found = await hub_token.known(self.secrets)
        return None if found is None else found.source

    async def keep_hub_token(self, text: str) -> bool:
        """Keep a Hugging Face token; see `hub_token.keep`."""
        return await hub_token.keep(self.secrets, text)

    async def hand_over(self) -> int:
        """See to it that the lines are served when this process is gone.

        Raises:
            ProviderFault: It did not take over.
        """
        return await background.hand_over(self.lines, self.lines_lock, self.folders)

    async def background_state(self) -> dict[str, Any] | None:
        """Return what another process that serves the lines tells; None where there is none that tells."""
        return await ask(socket_path(self.folders), "state")

    async def end_background(self) -> bool:
        """End the background process that serves the lines, if there is one."""
        return await background.end(self.lines_lock)

    async def close(self) -> None:
        """Cancel what runs, close the addresses of this process, and write everything down.

        Voice servers go on; they are processes of their own. Harmless when it was done before.
        """
        try:
            await self.guardian.stop()
            await self.leaving.stop()
            await self.proofs.close()
            await self.deploys.close()
        finally:
            await self.limits.stop()
            await self.control.stop()
            if self.opened_monitor is not None:
                await self.opened_monitor.close()
                self.opened_monitor = None
            await self.fleet.stop()
            await self.lines.close()
            await self.accounts.close()
            await self.hosts.close()
            await self.database.close()
            logs.take_down(self.log_handler)


async def open_services(
    folders: Folders | None = None,
    *,
    kind: str = COMMAND,
    serve_lines: bool = True,
    make_steps: MakeSteps | None = None,
) -> Services:
    """Open everything.

    Args:
        folders: Where files are; None takes the user's own.
        kind: What this process is: `window`, `terminal` (serves until told to end), `background` or `command`.
        serve_lines: Whether it may serve the lines' addresses when nobody else does.
        make_steps: Builds the steps of a deploy; None takes the real ones.

    Raises:
        PersonaDeskError: The folders or the database cannot be used.
    """
    folders = folders or paths.folders()
    database = Database(folders.data / "personadesk.db")
    await database.open()
    # Only now is it known that the folders can be written.
    await asyncio.to_thread(folders.make)
    handler = await asyncio.to_thread(
        logs.set_up, folders.state, name="lines" if kind == BACKGROUND else kind
    )
    settings = await asyncio.to_thread(Settings, folders.config / "settings.toml")
    journal = Journal(database)
    secrets = Secrets(Vault(folders.vault))
    hosts = Hosts(HostStore(database), secrets, folders.data / "ssh")
    servers = PlacedServers(ServerStore(database), folders.state / "logs" / "servers", hosts)
    lock = lines_lock(folders)
    wishes = WishStore(database)
    accesses = AccessStore(database)
    lines = LineService(
        database, LineStore(database), servers, lock, kind=kind, wishes=wishes,
        accesses=accesses, door=lambda name, access: outside.door(name, access),
    )  # fmt: skip
    outside = Outside(accesses, secrets, lines, folders.data / "tls")
    foreign = ForeignServers(
        ForeignStore(database), secrets, lambda: [line.name for line in lines.lines()]
    )
    accounts = Accounts(AccountStore(database), secrets)
    rentals = Rentals(RentalStore(database), accounts, hosts, Memory(ExperienceStore(database)))
    spending = SpendingStore(database)
    fleet = Fleet(
        accounts, rentals, spending, hosts, partial(_behind, lines),
        by_hand=partial(_stopped_by_hand, lines, wishes, journal),
        spares=partial(_standing_by, journal),
    )  # fmt: skip
    rentals.on_gone = partial(_machine_gone, lines, wishes, servers)
    money = MoneyService(fleet, spending, BudgetStore(database), journal, wishes)
    rentals.may_start = money.check
    owed = OwedStore(database)
    rentals.on_wanted = owed.forget
    servers.rented = machines = RentedMachines(rentals, hosts)
    steps = (
        make_steps(folders)
        if make_steps is not None
        else _steps(folders, hosts, secrets, Renting(rentals, hosts))
    )
    deploys = DeployEngine(folders, journal, servers, lines, steps)
    lines.progress_of = partial(_progress, deploys)
    proofs = Proofs()
    limits = Limits(lines, journal, spending.of, machines, owed, due=money.due)
    limits.in_hours = wishes.in_hours
    limits.rent_of = wishes.rent
    limits.own_call = proofs.is_calling
    limits.used_up = partial(_used_up, wishes, spending)
    recovery = Recovery(deploys, journal, folders)
    spares = Spares(lines, wishes, servers, journal, machines, recovery, proofs.prove)
    lines.end_spares = spares.end_all
    guardian = Guardian(
        lines, wishes, servers, journal, machines, recovery, spending.of_line, limits.sleep,
        prove=proofs.prove, spares=spares, allowed=money.allowance,
    )  # fmt: skip
    services = Services(
        folders, settings, database, journal, servers, deploys, lines, hosts, accounts, rentals,
        fleet, spending, money, limits, wishes,
        guardian, spares, Leaving(lines, servers),
        Wanting(lines, wishes, guardian, hosts, accounts, spending.of_line),
        outside, foreign, Control(lines, socket_path(folders)), proofs, secrets, lock, handler,
    )  # fmt: skip
    if serve_lines:
        services.limits.start()
        if kind != COMMAND:
            # A command ends soon; what it began to mend would be cut off.
            services.guardian.start()
            services.leaving.start()
            services.control.start()
    try:
        if paths.rehearsing():
            # Loaded when it is wanted: a start in earnest has no time to lose.
            from personadesk.rehearsal.ready import make_ready

            accounts.pretends = await make_ready(folders, accounts.store)
        await lines.open(serve=serve_lines)
        await servers.stop_leftovers()
        await deploys.refresh()
    except BaseException:
        await services.close()
        raise
    return services


async def _machine_gone(
    lines: LineService, wishes: WishStore, servers: PlacedServers, tag: str
) -> None:
    """Let a line say that its rented machine has ended, instead of looking for its voice for ever."""
    for line in await lines.all():
        if line.target is not None and line.target.server_id == tag:
            wish = await wishes.get(line.name)
            if wish is not None and wish.guarded and wish.rest is Rest.UP:
                # The guardian finds it gone, and rents another one.
                return
            await lines.detach(line.name)
            await lines.tell(line.name, LineState.STOPPED, truth.ENDED)
    await servers.let_go(tag)


async def _standing_by(journal: Journal) -> dict[str, str]:
    """Return for which line each spare stands by."""
    return {record.plan.id: record.plan.line for record in await journal.spares()}


async def _used_up(wishes: WishStore, spending: SpendingStore, line: str) -> float | None:
    """Return the spending limit of a line that is reached by all its machines together, its spare's too."""
    wish = await wishes.get(line)
    if wish is None or wish.spend_limit is None:
        return None
    return wish.spend_limit if await spending.of_line(line) >= wish.spend_limit else None


async def _stopped_by_hand(
    lines: LineService, wishes: WishStore, journal: Journal, tag: str
) -> None:
    """Let the line on a machine rest, or be without a spare: a person stops that machine."""
    spare_of = (await _standing_by(journal)).get(tag)
    wish = await wishes.get(spare_of) if spare_of is not None else None
    if wish is not None:
        await wishes.put(replace(wish, spare=""))
        return
    name = _behind(lines).get(tag)
    if name is not None:
        await lines.rest(name, Rest.STOPPED)


def _progress(deploys: DeployEngine, line: str) -> dict[str, object] | None:
    """Return how far the deploy is that this process runs for a line, None where it runs none."""
    for each in reversed(deploys.active()):
        view = each.view
        if view.plan.line == line and view.state is DeployState.RUNNING:
            return view.facts()
    return None


def _load_monitor() -> None:
    from personadesk.monitor import opening

    del opening


def _behind(lines: LineService) -> dict[str, str]:
    """Return which line each deploy's voice stands behind."""
    return {line.target.server_id: line.name for line in lines.lines() if line.target is not None}


def _steps(folders: Folders, hosts: Hosts, secrets: Secrets, renting: Renting) -> Sequence[Step]:
    # Not `resources.path`: a missing package is a sentence of the deploy, not a reason not to open.
    package = resources.root() / "server"
    known: dict[StepName, Step] = {}

    def there(name: StepName) -> Step:
        if not known:
            # Loaded by the first deploy to a host: the window's first start has no time to lose.
            from personadesk.deploy.steps.remote import remote_steps

            known.update(remote_steps(hosts, secrets, package))
        return known[name]

    rented = (RentStep(renting), BootStep(renting))
    return rented + tuple(
        ByPlace(step, partial(there, step.name)) if step.name in PLACED else step
        for step in local_steps(Environments(folders.cache / "environments"), package)
    )
