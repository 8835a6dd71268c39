"""Every machine of every account, looked at while somebody cares, and held against the record: none is forgotten.

known     in the record and at the provider
stray     carries our tag, but the record does not know it: to be adopted or ended by a person
foreign   not ours; only listed
leftover  an address, a volume, a group of ours whose machine is gone: ended with its machine, told otherwise
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.deploy.rented import billing
from personadesk.deploy.rented.views import AccountView, FleetView
from personadesk.domain.errors import BadRequest, NotFound, PersonaDeskError, Unreachable
from personadesk.domain.machine import CHANGING, Action, Machine, MachineState
from personadesk.domain.reputation import Kind
from personadesk.domain.text import T
from personadesk.store.rentals import OPEN_STATES, Rental, RentalState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from personadesk.deploy.rented.rentals import Rentals
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.providers.accounts import Accounts
    from personadesk.store.spending import SpendingStore

log = logging.getLogger(__name__)

RECONCILE_SECONDS = 600.0
OPEN_RECONCILE_SECONDS = 60.0
"""How often while something is ending or in doubt."""
ASK_SECONDS = 60.0

Lines = Callable[[], "Mapping[str, str]"]
"""Returns which line each deploy's voice stands behind, by the deploy's tag."""


class Fleet:
    """Looks at accounts and keeps the record straight."""

    def __init__(
        self,
        accounts: Accounts,
        rentals: Rentals,
        spending: SpendingStore,
        hosts: Hosts,
        lines: Lines,
        *,
        clock: Callable[[], float] = time.time,
        by_hand: Callable[[str], Awaitable[None]] | None = None,
        spares: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    ) -> None:
        """Take what is needed; nothing is asked yet.

        Args:
            accounts: The accounts.
            rentals: The record of what was rented.
            spending: Where costs are added up.
            hosts: Told when a rented machine's address changed.
            lines: Tells which deploy stands behind which line.
            clock: Unix time.
            spares: Returns for which line each deploy stands by, by its tag; what it costs is that line's too.
            by_hand: Told the tag of a machine that a person is about to stop or end, so that nobody starts it again.
        """
        self._by_hand = by_hand
        self._spares = spares
        self.accounts = accounts
        self.rentals = rentals
        self._spending = spending
        self._hosts = hosts
        self._lines = lines
        self._clock = clock
        self._view = FleetView()
        self._watchers: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._reconciled = 0.0
        self._looking = asyncio.Lock()

    # -- what there is ----------------------------------------------------------------------------------------

    @property
    def view(self) -> FleetView:
        """What was last seen."""
        return self._view

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback()` after each look; returns a function that ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    # -- looking ----------------------------------------------------------------------------------------------

    async def refresh(self, only: Sequence[str] = ()) -> FleetView:
        """Ask every account (or some) once, all at the same time; one that fails keeps what was seen of it."""
        async with self._looking:
            names = [each.name for each in await self.accounts.all()]
            wanted = [name for name in names if not only or name in only]
            looked = await asyncio.gather(*(self._look(name) for name in wanted))
            known = {n: v for n, v in self._view.accounts.items() if n in names}
            known |= {view.name: view for view in looked}
            ordered = {name: known[name] for name in names if name in known}
            rentals = await self.rentals.store.open()
            known_ids = {(rental.account, rental.machine_id) for rental in rentals}
            # Asked for and not told yet: what carries such a tag is that order's.
            awaited = {(rental.account, rental.tag) for rental in rentals if not rental.machine_id}
            ordered = _with_ages(ordered, rentals)
            strays = tuple(
                m
                for view in ordered.values()
                for m in view.machines
                if m.tag and (m.account, m.id) not in known_ids and (m.account, m.tag) not in awaited
                and m.state is not MachineState.ENDED and m.state is not MachineState.ENDING
            )  # fmt: skip
            spares = dict(await self._spares()) if self._spares is not None else {}
            lines = spares | dict(self._lines())
            found = billing.found(ordered.values(), strays, rentals, lines, self._clock())
            await self._spending.bill(
                billing.bill(each, self._clock()) for each in found
                if ordered[each.item.account].error is None
            )  # fmt: skip
            machines = [m for view in ordered.values() for m in view.machines if m.tag]
            spent = {m.tag: await self._spending.of(m.tag) for m in machines}
            await self._follow_addresses(machines)
            await self._remember(ordered, rentals)
            items = tuple(each.item for each in found)
            doubts = billing.doubts(ordered.values(), rentals)
            held = {
                f"{rental.account}/{rental.machine_id}": rental.hold_until
                for rental in rentals
                if rental.machine_id and rental.hold_until is not None
            }
            self._view = FleetView(
                ordered, strays, spent, lines, items, doubts, held, frozenset(spares)
            )
        for watcher in tuple(self._watchers):
            watcher()
        return self._view

    async def reconcile(self, only: Sequence[str] = ()) -> FleetView:
        """Hold every account against the record: settle doubts, go on ending what must end, find what is ours.

        A machine that failed in mid-deploy and was kept for a look is ended when its time is over. Accounts that cannot
        be asked stay as they are: silence is not "gone".
        """
        view = await self.refresh(only)
        for rental in await self.rentals.store.open():
            account = view.accounts.get(rental.account)
            if account is None or account.error is not None:
                continue
            try:
                await self._straighten(rental, account)
            except PersonaDeskError as error:
                log.info("%s at %s: %s", rental.tag, rental.account, error.what)
        await self._clear_leftovers(view)
        self._reconciled = self._clock()
        return await self.refresh(only)

    def start(self) -> None:
        """Look on and on, as often as the providers like it, until `stop`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="fleet")

    async def stop(self) -> None:
        """End looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def look_now(self) -> None:
        """Look again at once, as after something was done."""
        self._wake.set()

    # -- doing ------------------------------------------------------------------------------------------------

    async def machine(self, word: str) -> Machine:
        """Return a machine by its key (`account/id`), its id, its tag or its name, as it was last seen.

        Raises:
            NotFound: There is none.
            BadRequest: There are several.
        """
        found = [
            m for m in self._view.machines if word in {m.key, m.id, m.tag, m.name}
            and m.state is not MachineState.ENDED
        ]  # fmt: skip
        if not found:
            raise NotFound(
                T("There is no machine called “{name}”.", name=word),
                T("Look at them with: personadesk instances"),
                cause="no_machine",
            )
        if len(found) > 1:
            raise BadRequest(
                T("There are {count} machines called “{name}”.", count=len(found), name=word),
                T("Name one as account/id: {names}", names=", ".join(m.key for m in found)),
                cause="ambiguous",
            )
        return found[0]

    async def act(self, machine: Machine, action: Action) -> None:
        """Start, stop, restart or end a machine.

        Raises:
            BadRequest: It cannot be done to it now.
            PersonaDeskError: The provider refused.
        """
        if action not in machine.actions:
            can = (await self.accounts.provider(machine.account)).facts.can
            ability = None if action is Action.END else getattr(can, str(action))
            # Why it can be done at all is no answer to why not now.
            reason = ability.reason if ability is not None and not ability.can else ""
            raise BadRequest(
                T("That cannot be done to “{name}” now.", name=machine.name or machine.id),
                reason or T("Wait until its state has changed, then try again."),
                cause="wrong_state",
            )
        if self._by_hand is not None and action in {Action.STOP, Action.END}:
            await self._by_hand(machine.tag)
        if action in {Action.START, Action.RESTART} and machine.tag:
            await self.rentals.wanted(machine.tag)
        if action is Action.START and machine.tag:
            await self.rentals.within_budget(machine.tag, machine.running_price)
        if action is Action.END:
            await self.end(machine)
        else:
            provider = await self.accounts.provider(machine.account)
            await provider.act(machine, action)
        self.look_now()

    async def end(self, machine: Machine) -> None:
        """End a machine, one in the record by way of the record."""
        rentals = [
            r for r in await self.rentals.store.open(machine.account) if r.machine_id == machine.id
        ]
        if rentals:
            await self.rentals.end_one(rentals[0])
            return
        provider = await self.accounts.provider(machine.account)
        await provider.end(machine)

    async def adopt(self, machine: Machine) -> Rental:
        """Take a stray into the record: from then on it is ours like any other.

        Raises:
            BadRequest: It carries no tag of ours, so it is somebody else's.
        """
        if not machine.tag:
            raise BadRequest(
                T("“{name}” was not made by PersonaDesk.", name=machine.name or machine.id),
                T("Only machines that carry its tag can be taken into the record."),
                cause="not_ours",
            )
        rental = await self.rentals.adopt(machine, machine.tag)
        self.look_now()
        return rental

    # -- how it is done ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                due = OPEN_RECONCILE_SECONDS if await self._unsettled() else RECONCILE_SECONDS
                if self._clock() - self._reconciled >= due:
                    await self.reconcile()
                else:
                    await self.refresh()
            except PersonaDeskError as error:
                log.warning("The machines could not be looked at: %s %s", error.what, error.details)
            pause = await self._pause()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue
            finally:
                self._wake.clear()

    async def _unsettled(self) -> bool:
        now = self._clock()
        return any(
            rental.state is not RentalState.MADE
            or (rental.hold_until is not None and rental.hold_until < now + OPEN_RECONCILE_SECONDS)
            for rental in await self.rentals.store.open()
        )

    async def _pause(self) -> float:
        pauses = [60.0]
        for view in self._view.accounts.values():
            try:
                manners = (await self.accounts.provider(view.name)).facts.manners
            except PersonaDeskError:
                # What is wrong with it shows in its view.
                continue
            moving = any(machine.state in CHANGING for machine in view.machines)
            pauses.append(manners.poll_s if moving else manners.calm_poll_s)
        return min(pauses)

    async def _look(self, name: str) -> AccountView:
        before = self._view.accounts.get(name, AccountView(name))
        try:
            provider = await self.accounts.provider(name)
            async with asyncio.timeout(ASK_SECONDS):
                machines = tuple(await provider.machines())
                leftovers = tuple(await provider.leftovers())
        except PersonaDeskError as error:
            return replace(before, error=error)
        except TimeoutError:
            slow = Unreachable(
                T(
                    "“{account}” didn't answer within {seconds} seconds.",
                    account=name,
                    seconds=round(ASK_SECONDS),
                ),
                T("Check your own network; it is asked again by itself."),
                cause="slow",
            )
            return replace(before, error=slow)
        return AccountView(name, machines, leftovers, self._clock())

    async def _straighten(self, rental: Rental, account: AccountView) -> None:
        if rental.state is RentalState.ASKED:
            await self.rentals.settle(rental)
            return
        held = rental.hold_until is not None and rental.hold_until <= self._clock()
        if rental.state is RentalState.ENDING or held:
            await self.rentals.end_one(rental)
            return
        found = next((m for m in account.machines if m.id == rental.machine_id), None)
        if found is not None and found.state is not MachineState.ENDED:
            return
        # A list may lag behind; gone is what the provider says of this very machine.
        machine = await self.rentals.find(rental)
        if machine is None or machine.state is MachineState.ENDED:
            if rental.hold_until is None:
                await self.rentals.blame(rental.tag, Kind.VANISHED, machine)
            await self.rentals.ended(rental)

    async def _clear_leftovers(self, view: FleetView) -> None:
        """Remove what hung on machines that have ended; volumes stay, since the model is on them."""
        for account in view.accounts.values():
            for resource in account.leftovers:
                if not resource.tag or resource.attached or resource.kind in billing.OUTLIVES:
                    continue
                tries = await self.rentals.store.of(resource.tag)
                if not tries or any(each.state in OPEN_STATES for each in tries):
                    continue
                try:
                    provider = await self.accounts.provider(account.name)
                    await provider.remove(resource)
                    log.info("Removed %s %s at %s", resource.kind, resource.id, account.name)
                except PersonaDeskError as error:
                    log.info("%s %s stays for now: %s", resource.kind, resource.id, error.what)

    async def _remember(
        self, accounts: Mapping[str, AccountView], rentals: Sequence[Rental]
    ) -> None:
        """Remember what providers say is wrong with what was rented and is not to end."""
        made = {
            (rental.account, rental.machine_id): rental
            for rental in rentals
            if rental.state is RentalState.MADE and rental.hold_until is None
        }
        for machine in (m for view in accounts.values() for m in view.machines):
            rental = made.get((machine.account, machine.id))
            if rental is not None:
                await self.rentals.memory.look(rental, machine)

    async def _follow_addresses(self, machines: Sequence[Machine]) -> None:
        """A rented machine's address may change over a stop; whatever reaches it must know."""
        known = {host.name: host for host in await self._hosts.store.all() if host.account}
        for machine in machines:
            host = known.get(machine.tag)
            if host is None or machine.ssh is None or machine.ssh == host.address:
                continue
            key = await self._hosts.store.pinned(host.address.place)
            if key is not None:
                log.info("%s has another address now: %s", machine.tag, machine.ssh.place)
                await self._hosts.know_rented(machine.tag, machine.ssh, key, machine.account)


def _with_ages(
    accounts: Mapping[str, AccountView], rentals: Sequence[Rental]
) -> dict[str, AccountView]:
    """Fill in when machines were made where their provider does not tell: we were there."""
    made = {(rental.account, rental.machine_id): rental.made for rental in rentals}
    return {
        name: replace(
            view,
            machines=tuple(
                machine
                if machine.created is not None
                else replace(machine, created=made.get((machine.account, machine.id)))
                for machine in view.machines
            ),
        )
        for name, view in accounts.items()
    }
