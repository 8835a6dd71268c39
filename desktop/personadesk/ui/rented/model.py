"""What the window knows of accounts, offers and rented machines, and what can be asked of them. Outlives the pages.

The services are handed in when they are open; what is asked earlier waits for them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, Signal

from personadesk.deploy.rented import market
from personadesk.deploy.rented.views import FleetView
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.machine import Action
from personadesk.domain.offer import Need
from personadesk.domain.progress import DeployState
from personadesk.domain.reputation import Reputation
from personadesk.domain.text import T
from personadesk.providers import catalog
from personadesk.ui.messages import UNDO_SECONDS, Message, Severity, bus
from personadesk.ui.rented.standing import Standing, standing_of
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from personadesk.deploy.rented.fleet import Fleet
    from personadesk.deploy.rented.market import Market
    from personadesk.deploy.rented.rentals import Rentals
    from personadesk.domain.account import Account, AccountInfo
    from personadesk.domain.machine import Machine
    from personadesk.domain.offer import Offer
    from personadesk.domain.provider import ProviderFacts
    from personadesk.domain.reputation import Doubt
    from personadesk.providers.accounts import Accounts, Given, Kept, Removed
    from personadesk.store.journal import DeployRecord
    from personadesk.store.rentals import Rental
    from personadesk.store.spending import Cost, SpendingStore

__all__ = ["AccountState", "Attempt", "Offers", "Rented", "Renting"]


class Renting(Protocol):
    """What of the services is needed here."""

    @property
    def accounts(self) -> Accounts:
        """The accounts."""

    @property
    def fleet(self) -> Fleet:
        """Every machine of every account."""

    @property
    def spending(self) -> SpendingStore:
        """What they cost."""

    @property
    def rentals(self) -> Rentals:
        """The record of what was rented."""


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account as the window shows it.

    Attributes:
        account: How it is called and where its secrets are; never the secrets.
        info: What its provider said when it was last asked, None before.
        error: Why the last check failed, None when it did not.
        checking: Whether it is being asked now.
        kept: Where each of its secrets is, and how it ends.
    """

    account: Account
    info: AccountInfo | None = None
    error: PersonaDeskError | None = None
    checking: bool = False
    kept: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the adding of an account, or the replacing of its key, goes.

    Attributes:
        busy: Whether the provider is being asked.
        error: Why the last try failed.
        name: The account; "" before the first try. It works when neither is so any more.
    """

    busy: bool = False
    error: PersonaDeskError | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """What could be rented, as it was last asked.

    Attributes:
        need: What was looked for.
        offers: What fits, best first.
        failures: Why an account could not be asked, by its name.
        asked: Unix time of the answer, 0 before the first.
        asking: Whether it is asked now.
        reputation: What was held against offers at that time.
    """

    need: Need = field(default_factory=Need)
    offers: tuple[Offer, ...] = ()
    failures: dict[str, PersonaDeskError] = field(default_factory=dict)
    asked: float = 0.0
    asking: bool = False
    reputation: Reputation = field(default_factory=Reputation)


class Rented(QObject):
    """Accounts, offers, machines and their cost.

    Signals:
        accounts_changed: An account came, went, or was checked.
        attempt_changed: The adding of an account went on.
        added: An account was added (its name).
        offers_changed: Offers were asked or answered, of all accounts or of one.
        fleet_changed: The machines were looked at, or their cost was read.
        safe_changed: A place for keys was chosen where there is no keyring, or could not be opened (`safe`).
    """

    accounts_changed = Signal()
    attempt_changed = Signal()
    added = Signal(str)
    offers_changed = Signal()
    fleet_changed = Signal()
    safe_changed = Signal()

    def __init__(
        self,
        services: Callable[[], Awaitable[Renting]],
        *,
        clock: Callable[[], float] = time.time,
        parent: QObject | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            services: Waits until the services are open.
            clock: Unix time.
        """
        super().__init__(parent)
        self._services = services
        self.clock = clock
        self._accounts: dict[str, AccountState] = {}
        self._fleet: Fleet | None = None
        self.loaded = False
        self.attempt = Attempt()
        self.safe = Attempt()
        self.locked = False
        self.offers = Offers()
        self._shelves: dict[str, Offers] = {}
        self.costs: tuple[Cost, ...] = ()
        self._rentals: dict[str, Rental] = {}
        self._finished: tuple[DeployRecord, ...] = ()
        self._round = 0

    # -- what there is ----------------------------------------------------------------------------------------

    @property
    def accounts(self) -> tuple[AccountState, ...]:
        """All accounts by name."""
        return tuple(self._accounts.values())

    def account(self, name: str) -> AccountState | None:
        """Return one account."""
        return self._accounts.get(name)

    def of_provider(self, provider_id: str) -> tuple[AccountState, ...]:
        """Return the accounts at one provider, by name."""
        return tuple(each for each in self.accounts if each.account.provider == provider_id)

    def shelf(self, name: str) -> Offers:
        """Return what one account offers, as it was last asked by `ask_shelf`."""
        return self._shelves.get(name, Offers())

    @property
    def view(self) -> FleetView:
        """The machines as they were last seen."""
        return self._fleet.view if self._fleet is not None else FleetView()

    def standing(self, tag: str) -> Standing | None:
        """Return how the machine of a deploy stands, None when nothing is rented for it."""
        rental = self._rentals.get(tag)
        return (
            standing_of(rental, self.view, self.costs, self.today) if rental is not None else None
        )

    def remember_times(self, deploys: Iterable[DeployRecord]) -> None:
        """Learn how long new machines take.

        Args:
            deploys: What the journal has, newest first; those that did not finish teach nothing.
        """
        self._finished = tuple(
            each
            for each in deploys
            if each.plan.rent is not None and each.state is DeployState.DONE
        )

    def setup_seconds(self, provider_id: str) -> float | None:
        """Return how long the last machine of a provider took until its voice answered; None where none is known."""
        for record in self._finished:
            if self._provider_of(record) == provider_id:
                return record.worked_s
        return None

    def _provider_of(self, record: DeployRecord) -> str:
        """Return where a deploy rented, "" where that cannot be told any more."""
        rental, rent = self._rentals.get(record.plan.id), record.plan.rent
        if rental is not None:
            return rental.provider
        names = {key.partition("|")[0] for key in rent.offers} if rent is not None else set()
        if rent is not None and rent.account:
            names = {rent.account}
        # Of several accounts the first may have been sold out: no guess.
        state = self.account(names.pop()) if len(names) == 1 else None
        return state.account.provider if state is not None else ""

    @property
    def standings(self) -> dict[str, Standing]:
        """How every machine stands that is rented now, by its deploy's tag."""
        view, today = self.view, self.today
        return {tag: standing_of(r, view, self.costs, today) for tag, r in self._rentals.items()}

    def spent(self, day: str, account: str | None = None) -> float:
        """Return the dollars spent since a day (ISO date) of this month, by one account or by all."""
        return sum(
            cost.dollars
            for cost in self.costs
            if cost.day >= day and (account is None or cost.account == account)
        )

    def today_by_machine(self) -> dict[str, float]:
        """Return today's dollars by the key of the machine."""
        today = self.today
        return {
            f"{cost.account}/{cost.machine_id}": cost.dollars
            for cost in self.costs
            if cost.day == today
        }

    @property
    def today(self) -> str:
        """Today's date, as costs are kept by it."""
        return time.strftime("%Y-%m-%d", time.localtime(self.clock()))

    @property
    def month(self) -> str:
        """The first day of this month."""
        return time.strftime("%Y-%m-01", time.localtime(self.clock()))

    @staticmethod
    def providers() -> tuple[ProviderFacts, ...]:
        """Return the providers as data, in the order of their tabs."""
        return tuple(catalog.facts(each) for each in catalog.ids())

    # -- wishes -----------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read the accounts, and begin to look at their machines."""
        spawn(self._load(), "read the accounts", owner=self)

    def add(self, given: Given) -> None:
        """Add an account; how it goes stands in `attempt`."""
        self._try(self._add(given), given.name, "add account")

    def replace(self, name: str, values: dict[str, str]) -> None:
        """Give an account another key; how it goes stands in `attempt`."""
        self._try(self._replace(name, values), name, "replace key of")

    def give_up(self) -> None:
        """Forget how the adding went."""
        self._round += 1
        self._attempt(Attempt())

    def keep_in_memory(self) -> None:
        """Keep keys until the window closes, where there is no keyring."""
        spawn(self._keep_in_memory(), "keep keys in memory", owner=self)

    def unlock(self, passphrase: str) -> None:
        """Keep keys in a file that a passphrase opens; how it goes stands in `safe`."""
        spawn(self._unlock(passphrase), "open the file with the keys", owner=self)

    def check(self, name: str) -> None:
        """Ask an account's provider again who we are and what we may."""
        state = self._accounts.get(name)
        if state is None or state.checking:
            return
        self._put(replace(state, checking=True))
        spawn(self._check(name), f"check account {name}", owner=self)

    def remove(self, name: str) -> None:
        """Forget an account; the user has agreed. Its machines go on."""
        spawn(self._remove(name), f"remove account {name}", owner=self)

    def ask_offers(self, need: Need, only: Sequence[str] = ()) -> None:
        """Ask what could be rented now, of some accounts or of all; the answer stands in `offers`."""
        self.offers = replace(self.offers, need=need, asking=True)
        self.offers_changed.emit()
        spawn(self._ask(need, tuple(only)), "ask for offers", owner=self)

    def ask_shelf(self, name: str, need: Need) -> None:
        """Ask what one account offers, whatever the wizard looks for; the answer stands in `shelf`."""
        self._shelves[name] = replace(self.shelf(name), need=need, asking=True)
        self.offers_changed.emit()
        spawn(self._ask_shelf(name, need), f"ask {name} for offers", owner=self)

    def forget(self, doubts: Sequence[Doubt]) -> None:
        """Hold some things against nobody any more; offers are then ranked and asked anew."""
        spawn(self._forget(tuple(doubts)), "forget what did badly", owner=self)

    def end_and_remove(self, name: str, machines: Sequence[Machine]) -> None:
        """End machines of an account and forget it; it stays when one of them would not end."""
        spawn(self._end_and_remove(name, tuple(machines)), f"end and remove {name}", owner=self)

    def act(self, machines: Sequence[Machine], action: Action) -> None:
        """Start, stop, restart or end machines; the user has agreed. What failed is told by name."""
        spawn(self._act(tuple(machines), action), f"{action} machines", owner=self)

    def adopt(self, machine: Machine) -> None:
        """Take a machine that carries our tag into the record again."""
        spawn(self._adopt(machine), f"adopt {machine.id}", owner=self)

    def look_now(self) -> None:
        """Look at the machines, and at the record of them, at once."""
        spawn(self.read_rentals(), "read what is rented", owner=self)
        if self._fleet is not None:
            self._fleet.look_now()

    # -- doing ------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        services = await self._services()
        await self._read_accounts(services)
        if self._fleet is None:
            self._fleet = services.fleet
            services.fleet.subscribe(self._fleet_looked)
            services.accounts.subscribe(self._reread)
            services.fleet.start()
        self.loaded = True
        self.accounts_changed.emit()
        await self.read_rentals()
        for name in tuple(self._accounts):
            self.check(name)
        await self._read_kept(services)

    def _reread(self) -> None:
        spawn(self._reread_now(), "read the accounts again", owner=self)

    async def _reread_now(self) -> None:
        services = await self._services()
        await self._read_accounts(services)
        self.accounts_changed.emit()
        await self._read_kept(services)

    async def _read_kept(self, services: Renting, *, again: bool = False) -> None:
        """Read where secrets are; only of accounts that are new or have others, as a keyring may ask."""
        self.locked = services.accounts.secrets.locked
        for name, state in tuple(self._accounts.items()):
            if (state.kept and not again) or not state.account.credentials:
                continue
            kept = await services.accounts.kept(name)
            now = self._accounts.get(name)
            if now is not None and now.account == state.account:
                self._put(replace(now, kept=kept))

    async def _read_accounts(self, services: Renting) -> None:
        fresh = {}
        for account in await services.accounts.all():
            known = self._accounts.get(account.name, AccountState(account))
            info = services.accounts.info(account.name)
            kept = known.kept if known.account == account else ()
            fresh[account.name] = replace(
                known, account=account, info=info or known.info, kept=kept
            )
        self._accounts = fresh

    def _fleet_looked(self) -> None:
        self.fleet_changed.emit()
        spawn(self._read_costs(), "read the costs", owner=self)
        spawn(self.read_rentals(), "read what is rented", owner=self)

    async def ready(self) -> None:
        """Wait until the accounts were read."""
        if not self.loaded:
            await self._read_accounts(await self._services())

    async def read_rentals(self) -> None:
        """Read the record of what is rented."""
        services = await self._services()
        fresh = {each.tag: each for each in await services.rentals.store.open()}
        if fresh != self._rentals:
            self._rentals = fresh
            self.fleet_changed.emit()

    async def _read_costs(self) -> None:
        services = await self._services()
        costs = tuple(await services.spending.since(self.month))
        if costs != self.costs:
            self.costs = costs
            self.fleet_changed.emit()

    def _try(self, work: Awaitable[None], name: str, doing: str) -> None:
        self._round += 1
        self._attempt(Attempt(busy=True, name=name))
        spawn(self._tried(work, self._round, name), f"{doing} {name}", owner=self)

    async def _tried(self, work: Awaitable[None], number: int, name: str) -> None:
        outcome = Attempt()
        try:
            await work
            outcome = Attempt(name=name)
        except PersonaDeskError as error:
            outcome = Attempt(error=error, name=name)
        finally:
            if number == self._round:
                self._attempt(outcome)

    async def _add(self, given: Given) -> None:
        services = await self._services()
        account, info = await services.accounts.add(given)
        self._put(AccountState(account, info))
        await self._read_kept(services)
        self.added.emit(account.name)
        services.fleet.look_now()

    async def _replace(self, name: str, values: dict[str, str]) -> None:
        services = await self._services()
        info = await services.accounts.replace(name, values)
        await self._read_accounts(services)
        self._put(replace(self._accounts[name], info=info, error=None, kept=()))
        await self._read_kept(services)
        services.fleet.look_now()

    async def _keep_in_memory(self) -> None:
        (await self._services()).accounts.secrets.keep_in_memory()
        self.safe = Attempt()
        self.safe_changed.emit()

    async def _unlock(self, passphrase: str) -> None:
        secrets = (await self._services()).accounts.secrets
        self.safe = Attempt()
        try:
            await secrets.unlock(passphrase)
        except PersonaDeskError as error:
            self.safe = Attempt(error=error)
        self.locked = secrets.locked
        self.safe_changed.emit()
        if self.safe.error is None:
            for state in self.accounts:
                if state.error is not None and state.error.cause == "vault_locked":
                    self.check(state.account.name)
            self.look_now()
            await self._read_kept(await self._services(), again=True)

    async def _check(self, name: str) -> None:
        error: PersonaDeskError | None = None
        info: AccountInfo | None = None
        try:
            info = await (await self._services()).accounts.check(name)
        except PersonaDeskError as found:
            error = found
        finally:
            state = self._accounts.get(name)
            if state is not None:
                self._put(replace(state, info=info or state.info, error=error, checking=False))

    async def _remove(self, name: str) -> None:
        services = await self._services()
        removed = await services.accounts.remove(name)
        self._accounts.pop(name, None)
        self._shelves.pop(name, None)
        self.accounts_changed.emit()
        services.fleet.look_now()

        def undo() -> None:
            spawn(self._restore(removed), f"restore account {name}", owner=self)

        bus().post(
            Message(
                Severity.GOOD,
                T("“{name}” is disconnected.", name=name),
                T("Its key is forgotten in {seconds} seconds.", seconds=round(UNDO_SECONDS)),
                key=f"disconnected {name}",
                undo=undo,
            )
        )

    async def _restore(self, removed: Removed) -> None:
        services = await self._services()
        await services.accounts.restore(removed)
        services.fleet.look_now()

    async def _ask(self, need: Need, only: tuple[str, ...]) -> None:
        services = await self._services()
        try:
            found: Market = await market.look(
                services.accounts, need, only, services.rentals.memory
            )
        finally:
            if self.offers.need == need:
                self.offers = replace(self.offers, asking=False)
                self.offers_changed.emit()
        if self.offers.need == need:
            self.offers = self._offers(need, found)
            self.offers_changed.emit()

    def _offers(self, need: Need, found: Market) -> Offers:
        return Offers(
            need, found.offers, dict(found.failures), self.clock(), reputation=found.reputation
        )

    async def _forget(self, doubts: tuple[Doubt, ...]) -> None:
        services = await self._services()
        await services.rentals.memory.forget(doubts)
        reputation = await services.rentals.memory.reputation()
        self.offers = replace(self.offers, reputation=reputation)
        self.offers_changed.emit()
        # The rank of those that came after the others is known only to the market.
        self.ask_offers(self.offers.need)

    async def _ask_shelf(self, name: str, need: Need) -> None:
        services = await self._services()
        answer = replace(self.shelf(name), asking=False)
        try:
            found = await market.look(services.accounts, need, (name,), services.rentals.memory)
            answer = self._offers(need, found)
        finally:
            if self.shelf(name).need == need:
                self._shelves[name] = answer
                self.offers_changed.emit()

    async def _end_and_remove(self, name: str, machines: tuple[Machine, ...]) -> None:
        if await self._act(machines, Action.END):
            await self._remove(name)

    async def _act(self, machines: tuple[Machine, ...], action: Action) -> bool:
        """Do it to each; returns whether all went well."""
        services = await self._services()
        failed: list[tuple[Machine, PersonaDeskError]] = []
        for machine in machines:
            try:
                await services.fleet.act(machine, action)
            except PersonaDeskError as error:
                failed.append((machine, error))
        if not failed:
            return True
        done = len(machines) - len(failed)
        names = ", ".join(machine.name or machine.id for machine, _ in failed)
        first = failed[0][1]
        bus().post(
            Message(
                Severity.ERROR,
                first.what
                if len(machines) == 1
                else T("{done} of {all} done. Not done: {names}.", done=done, all=len(machines), names=names),
                first.next,
                details="\n".join(f"{m.name or m.id}: {e.what} {e.details}" for m, e in failed),
                key=f"machines {action}",
            )
        )  # fmt: skip
        return False

    async def _adopt(self, machine: Machine) -> None:
        await (await self._services()).fleet.adopt(machine)

    def _put(self, state: AccountState) -> None:
        self._accounts[state.account.name] = state
        self._accounts = dict(sorted(self._accounts.items()))
        self.accounts_changed.emit()

    def _attempt(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.attempt_changed.emit()
