"""Makes and ends rented machines so that none is ever forgotten: the record comes before the request.

ASKED ──► MADE ──► ENDING ──► ENDED      only the provider's word ends one
  └─────► REFUSED                        only when it is sure that nothing was made
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    OutOfFunds,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from personadesk.domain.machine import MachineState
from personadesk.domain.text import T
from personadesk.store.rentals import OPEN_STATES, Rental, RentalState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.deploy.rented.memory import Memory
    from personadesk.domain.machine import Machine, Order
    from personadesk.domain.reputation import Kind
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.providers.accounts import Accounts
    from personadesk.providers.base import Provider
    from personadesk.store.rentals import RentalStore

log = logging.getLogger(__name__)

SURELY_NOT_MADE = (
    NoCapacity,
    QuotaExceeded,
    AuthFailed,
    OutOfFunds,
    BadRequest,
    RateLimited,
    NotFound,
)
"""With these the provider says that it made nothing."""
LOOK_AGAIN_SECONDS = (0.0, 2.0, 5.0)
"""When the tag is looked for after an answer that left it open; lists lag behind a little."""
DOUBT_SECONDS = 15 * 60.0
"""So long after the request a machine that no list shows does not exist."""
HOLD_SECONDS = 30 * 60.0
"""How long a failed deploy's machine is kept where that is wished."""
GONE = frozenset({MachineState.ENDED})


class Rentals:
    """Rents and ends.

    Attributes:
        store: The record.
        accounts: The accounts.
        on_gone: Told the tag of a deploy whose last machine has ended, so that its voice and its line know.
        may_start: Asked, with a deploy's tag and dollars per hour, before something begins to cost; it raises.
        on_wanted: Told the tag of a deploy whose machine is wanted to run, so that no stop is owed for it any more.
        memory: Remembers which hosts, offers and regions did badly.
    """

    def __init__(
        self,
        store: RentalStore,
        accounts: Accounts,
        hosts: Hosts,
        memory: Memory,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.accounts = accounts
        self.memory = memory
        self.on_gone: Callable[[str], Awaitable[None]] | None = None
        self.may_start: Callable[[str, float | None], Awaitable[None]] | None = None
        self.on_wanted: Callable[[str], Awaitable[None]] | None = None
        self._hosts = hosts
        self._clock = clock

    async def current(self, tag: str) -> Rental | None:
        """Return the try of a deploy that may exist, or None."""
        tries = await self.store.of(tag)
        return next((each for each in reversed(tries) if each.state in OPEN_STATES), None)

    async def blame(self, tag: str, kind: Kind, machine: Machine | None = None) -> None:
        """Remember what was wrong with a deploy's last machine, or that it could not be had."""
        tries = await self.store.of(tag)
        if tries:
            await self.memory.trouble(tries[-1], kind, machine)

    async def praise(self, tag: str) -> None:
        """Remember that a deploy's machine came up and that its voice passed the test."""
        rental = await self.current(tag)
        if rental is not None:
            await self.memory.well(rental)

    async def within_budget(self, tag: str, price: float | None) -> None:
        """See to it that something may begin to cost.

        Args:
            tag: The deploy's.
            price: Dollars per hour, None where it is not known.

        Raises:
            BadRequest: A budget does not pay for an hour of it (cause `budget`).
        """
        if self.may_start is not None:
            await self.may_start(tag, price)

    async def wanted(self, tag: str) -> None:
        """Say that somebody wants a deploy's machine to run."""
        if self.on_wanted is not None:
            await self.on_wanted(tag)

    async def make(self, order: Order) -> tuple[Rental, Machine]:
        """Write an order down, place it, and write down what came of it.

        Raises:
            PersonaDeskError: It was refused, and nothing exists; or (cause `maybe_made`) it is not known whether
                something exists: the record stays open, and whoever compares accounts with the record finds out.
        """
        await self.within_budget(order.tag, order.offer.price)
        provider = await self.accounts.provider(order.offer.account)
        tries = await self.store.of(order.tag)
        rental = Rental(
            order.tag, len(tries) + 1, order.offer.account, order.offer.provider, order.offer,
            price=order.offer.price, asked=self._clock(),
        )  # fmt: skip
        await self.store.put(rental)
        order = replace(order, token=f"{order.tag}-{rental.attempt}")
        try:
            machine = await provider.create(order)
        except SURELY_NOT_MADE:
            await self.store.put(replace(rental, state=RentalState.REFUSED, ended=self._clock()))
            raise
        except PersonaDeskError as error:
            found = await self._look_for(provider, rental)
            if found is None:
                raise await self._left_open(rental, error) from error
            machine = found
        return await self._made(rental, machine), machine

    async def find(self, rental: Rental) -> Machine | None:
        """Return the machine of a rental as its provider shows it, None when it shows none.

        Raises:
            PersonaDeskError: The provider cannot be asked.
        """
        provider = await self.accounts.provider(rental.account)
        if rental.machine_id:
            try:
                return await provider.machine(rental.machine_id)
            except NotFound:
                return None
        return await self._unclaimed(provider, rental)

    async def settle(self, rental: Rental) -> Rental:
        """Find out what became of an order that was left open by a crash or a lost answer.

        Raises:
            PersonaDeskError: The provider cannot be asked; it stays open.
        """
        if rental.state is not RentalState.ASKED:
            return rental
        machine = await self.find(rental)
        if machine is not None:
            return await self._made(rental, machine)
        if self._clock() - rental.asked < DOUBT_SECONDS:
            return rental
        settled = replace(rental, state=RentalState.REFUSED, ended=self._clock())
        await self.store.put(settled)
        return settled

    async def end(self, tag: str) -> None:
        """End every machine of a deploy; returns when the providers have taken it, see `Rented`.

        An order of which nothing is known yet stays open until it is certain that nothing came of it.
        """
        for rental in await self.store.of(tag):
            if rental.state in OPEN_STATES:
                await self.end_one(rental)

    async def end_one(self, rental: Rental) -> Rental:
        """End a rental's machine; returns what is known then: ended, or still ending.

        Raises:
            PersonaDeskError: The provider did not take it; the record says that it must end.
        """
        if rental.state is RentalState.ASKED:
            rental = await self.settle(rental)
            if rental.state is not RentalState.MADE:
                if rental.state is RentalState.ASKED:
                    rental = replace(rental, state=RentalState.ENDING)
                    await self.store.put(rental)
                return rental
        if rental.state is RentalState.MADE:
            rental = replace(rental, state=RentalState.ENDING, hold_until=None)
            await self.store.put(rental)
        provider = await self.accounts.provider(rental.account)
        machine = await self.find(rental)
        if machine is not None and machine.state not in GONE:
            if not rental.machine_id:
                rental = replace(rental, machine_id=machine.id, made=self._clock())
                await self.store.put(rental)
            if machine.state is not MachineState.ENDING:
                await provider.end(machine)
            return rental
        if not rental.machine_id and self._clock() - rental.asked < DOUBT_SECONDS:
            return rental
        return await self.ended(rental)

    async def wait_until_ended(self, tag: str, limit_s: float, pause_s: float = 1.0) -> bool:
        """Wait until the providers say that nothing of a deploy is left; return whether they do."""
        until = self._clock() + limit_s
        while True:
            left = [r for r in await self.store.of(tag) if r.state in OPEN_STATES]
            left = [
                r for r in [await self.end_one(each) for each in left] if r.state in OPEN_STATES
            ]
            if not left:
                return True
            if self._clock() >= until:
                return False
            await asyncio.sleep(pause_s)

    async def ended(self, rental: Rental) -> Rental:
        """Write down that the provider says that it is gone; its host is forgotten."""
        done = replace(rental, state=RentalState.ENDED, ended=self._clock())
        await self.store.put(done)
        if not any(r.state in OPEN_STATES for r in await self.store.of(rental.tag)):
            if self.on_gone is not None:
                await self.on_gone(rental.tag)
            await self._hosts.forget_rented(rental.tag)
        log.info("%s of %s has ended", rental.machine_id or rental.tag, rental.account)
        return done

    async def hold(self, tag: str, seconds: float = HOLD_SECONDS) -> bool:
        """Keep a failed deploy's machine for a while; it is ended afterwards. Return whether there is one."""
        rental = await self.current(tag)
        if rental is None:
            return False
        await self.store.put(replace(rental, hold_until=self._clock() + seconds))
        return True

    async def release(self, tag: str) -> None:
        """Hold a deploy's machine no more: its deploy goes on."""
        rental = await self.current(tag)
        if rental is not None and rental.hold_until is not None:
            await self.store.put(replace(rental, hold_until=None))

    async def adopt(self, machine: Machine, tag: str) -> Rental:
        """Write a machine down that carries our tag but that we had forgotten, as after a lost database.

        One that is in the record already stays as it is there.
        """
        from personadesk.domain.offer import Offer

        for known in await self.store.open(machine.account):
            if known.machine_id == machine.id:
                return known
        offer = Offer(
            machine.account, machine.provider, machine.data.get("ref", ""), machine.gpu,
            machine.memory_gb, machine.count, machine.region, machine.place, machine.running_price,
            spot=machine.spot,
        )  # fmt: skip
        tries = await self.store.of(tag)
        rental = Rental(
            tag, len(tries) + 1, machine.account, machine.provider, offer, RentalState.MADE, machine.id,
            machine.running_price, machine.created or self._clock(), machine.created or self._clock(),
        )  # fmt: skip
        await self.store.put(rental)
        return rental

    # -- how it is done ---------------------------------------------------------------------------------------

    async def _made(self, rental: Rental, machine: Machine) -> Rental:
        made = replace(
            rental,
            state=RentalState.MADE,
            machine_id=machine.id,
            price=machine.running_price if machine.running_price is not None else rental.price,
            made=machine.created or self._clock(),
        )
        await self.store.put(made)
        return made

    async def _look_for(self, provider: Provider, rental: Rental) -> Machine | None:
        for pause in LOOK_AGAIN_SECONDS:
            await asyncio.sleep(pause)
            try:
                found = await self._unclaimed(provider, rental)
            except PersonaDeskError as error:
                log.info("It is not known yet whether %s was made: %s", rental.tag, error.what)
                continue
            if found is not None:
                return found
        return None

    async def _unclaimed(self, provider: Provider, rental: Rental) -> Machine | None:
        """Return the machine with a rental's tag that no other try of its deploy has, as one that is still ending."""
        others = {
            each.machine_id
            for each in await self.store.of(rental.tag)
            if each.account == rental.account and each.attempt != rental.attempt
        }
        found = await provider.find(rental.tag)
        return next((m for m in found if m.state not in GONE and m.id not in others), None)

    async def _left_open(self, rental: Rental, error: PersonaDeskError) -> PersonaDeskError:
        if isinstance(error, Unreachable) and error.cause == "not_sent":
            await self.store.put(replace(rental, state=RentalState.REFUSED, ended=self._clock()))
            return error
        kind = type(error) if isinstance(error, (Unreachable, ProviderFault)) else ProviderFault
        return kind(
            error.what,
            T("It is looked for until it is certain; nothing else is rented meanwhile."),
            money=T("It is not certain whether a machine was rented."),
            cause="maybe_made",
            details=error.details,
            provider_status=error.provider_status,
            request_id=error.request_id,
        )
