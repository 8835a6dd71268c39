"""Gets a machine for a deploy: walks the offers, waits until it can be entered, takes the next when one is hopeless."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personadesk.deploy.rented import market
from personadesk.deploy.words import with_details
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    OutOfFunds,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from personadesk.domain.host import HostKey
from personadesk.domain.machine import MachineState, Order, ResourceKind
from personadesk.domain.offer import Need, Stock, need_of
from personadesk.domain.quantity import duration
from personadesk.domain.reputation import Kind
from personadesk.domain.text import T, Text
from personadesk.hosts.ssh import keys
from personadesk.providers import catalog, faults
from personadesk.store.coding import text_to_json
from personadesk.store.rentals import RentalState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.deploy.rented.rentals import Rentals
    from personadesk.deploy.step import Context
    from personadesk.domain.machine import Machine, Resource
    from personadesk.domain.offer import Offer
    from personadesk.domain.plan import Plan, RentWish
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.providers.base import Provider
    from personadesk.store.rentals import Rental

MOST_TRIES = 8
"""So many offers are tried for one deploy; more failures in a row have another reason than bad luck."""
HOPELESS = frozenset(
    {
        MachineState.FAILED,
        MachineState.LOST,
        MachineState.STOPPED,
        MachineState.ENDED,
        MachineState.ENDING,
    }
)
"""From these a machine that was just made does not come up by itself; nobody of ours stops one that is waited for."""
SILENCE_SECONDS = 180.0
"""A provider that does not show a machine for so long after it took the order will not."""
ENTER_SECONDS = 240.0
"""From the first address until the machine lets us in: it boots and reads what it was given."""
_OF_THE_MACHINE = (
    "folder", "gpu", "python", "package", "version", "model", "server_url", "server_port", "there_port", "keeper",
    "proved",
)  # fmt: skip
"""Facts that later steps find out about the machine itself."""
_KNOCK_SECONDS = 2.0
END_SECONDS = 40.0
"""How long the provider's word that a machine is gone is waited for."""

STATE_WORDS: dict[MachineState, Text] = {
    MachineState.REQUESTED: T("asked for; it is not shown yet"),
    MachineState.PROVISIONING: T("the provider is preparing it"),
    MachineState.BOOTING: T("it boots"),
    MachineState.RUNNING: T("it runs; waiting until it lets us in"),
    MachineState.STARTING: T("it starts"),
    MachineState.STOPPING: T("it stops"),
    MachineState.STOPPED: T("it is stopped"),
    MachineState.ENDING: T("it ends"),
    MachineState.ENDED: T("it has ended"),
    MachineState.FAILED: T("it failed"),
    MachineState.LOST: T("the provider lost it"),
    MachineState.UNKNOWN: T("its state is not known"),
}


@dataclass(frozen=True, slots=True)
class Tried:
    """An offer that did not work out.

    Attributes:
        offer: Which.
        error: Why.
    """

    offer: Offer
    error: PersonaDeskError


class Renting:
    """Rents for deploys."""

    def __init__(
        self,
        rentals: Rentals,
        hosts: Hosts,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rentals = rentals
        self._hosts = hosts
        self._clock = clock

    async def rent(self, context: Context, refused: tuple[Tried, ...] = ()) -> Rental:
        """Return the deploy's machine: the one that it has, or the first offer that can be had.

        Args:
            context: The deploy.
            refused: What was tried before and did not come up.

        Raises:
            AuthFailed: An account was refused; nothing else is tried, since a wrong key is not a matter of luck.
            BadRequest: A budget does not pay for an hour (cause `budget`).
            NoCapacity: No offer could be had; every one that was tried is in the details.
            PersonaDeskError: It is not known whether something was rented.
        """
        tag = context.plan.id
        there = await self._there(tag)
        if there is not None:
            return there
        await self.rentals.within_budget(tag, None)
        wish = _wish(context.plan)
        found = await market.look(
            self.rentals.accounts,
            _need(context.plan, wish),
            (wish.account,) if wish.account else (),
            self.rentals.memory,
        )
        for name, failure in found.failures.items():
            told = T("{account}: {what} {next}", account=name, what=failure.what, next=failure.next)
            context.log("rent", told, True)
        tried = list(refused)
        barred: set[tuple[str, str]] = {(each.offer.key, "") for each in refused}
        for offer in market.in_order(found, wish):
            if len(tried) >= MOST_TRIES:
                break
            if (offer.key, "") in barred or (offer.account, offer.region) in barred:
                continue
            title = catalog.facts(offer.provider).title
            context.tell(
                T("asking {provider} for {gpu} in {place}", provider=title, gpu=offer.gpu,
                  place=offer.place or offer.region or title),
                None,
            )  # fmt: skip
            try:
                # Before anything is made for it; a cheaper one may fit.
                await self.rentals.within_budget(tag, offer.price)
                rental = await self._ask(context, offer, wish)
            except (NoCapacity, BadRequest) as error:
                tried.append(Tried(offer, error))
                if isinstance(error, NoCapacity) and offer.stock is not Stock.NONE:
                    await self.rentals.blame(tag, Kind.SOLD_OUT)
            except QuotaExceeded as error:
                # Limits are per region; another one may have room.
                tried.append(Tried(offer, error))
                barred.add((offer.account, offer.region))
            except RateLimited as error:
                tried.append(Tried(offer, error))
                await asyncio.sleep(min(error.retry_after_s or 5.0, 60.0))
            except (ProviderFault, Unreachable) as error:
                if error.cause == "maybe_made":
                    raise
                tried.append(Tried(offer, error))
            else:
                for fact in _OF_THE_MACHINE:
                    # What is known of a machine that was lost says nothing of this one.
                    context.facts.pop(fact, None)
                keys_tried = {each.offer.key for each in tried}
                over = market.passed_over(found, wish, offer, keys_tried)
                if over:
                    context.log("rent", over, True)
                await context.remember(
                    machine=rental.machine_id, account=rental.account, price=rental.price,
                    passed_over=text_to_json(over),
                )  # fmt: skip
                return rental
            told = T("{offer}: {what}", offer=market.named(offer), what=tried[-1].error.what)
            context.log("rent", told, True)
        if tried and all(each.error.cause == "budget" for each in tried):
            raise tried[0].error
        raise _nothing_left(tried, found.failures)

    async def wait(self, context: Context, rental: Rental) -> Machine:
        """Wait until a rented machine lets us in; it is then known among the hosts by the deploy's tag.

        Raises:
            ProviderFault: It will not come up (cause `hopeless`).
            Unreachable: It took too long.
        """
        provider = await self.rentals.accounts.provider(rental.account)
        manners = provider.facts.manners
        begun = self._clock()
        seen: float | None = None
        addressed: float | None = None
        last: PersonaDeskError | None = None
        machine: Machine | None = None
        while (waited := self._clock() - begun) < manners.boot_limit_s:
            try:
                machine = await self.rentals.find(rental)
            except (ProviderFault, RateLimited, Unreachable) as error:
                # One look that fails says nothing of the machine, which is paid for already.
                machine = None
                context.log("boot", with_details(error), True)
                last = error
                await asyncio.sleep(error.retry_after_s or manners.poll_s)
                continue
            if machine is None:
                if seen is not None or waited > SILENCE_SECONDS:
                    await self._blame(rental, Kind.NEVER_UP if seen is None else Kind.VANISHED)
                    raise faults.hopeless(provider.facts, "it is not there any more")
            else:
                seen = seen or self._clock()
                if machine.state in HOPELESS:
                    reason = str(machine.reason) or machine.said or str(STATE_WORDS[machine.state])
                    failed = machine.state in {MachineState.FAILED, MachineState.LOST}
                    await self._blame(rental, Kind.NEVER_UP if failed else Kind.VANISHED, machine)
                    raise faults.hopeless(provider.facts, reason)
                context.tell(_how_it_stands(machine, waited), None)
                if machine.ssh is not None and machine.state is MachineState.RUNNING:
                    addressed = addressed or self._clock()
                    last = await self._enter(context, machine)
                    if last is None:
                        return machine
                    if self._clock() - addressed > max(ENTER_SECONDS, manners.boot_limit_s / 3):
                        break
            pause = _KNOCK_SECONDS if addressed is not None else manners.poll_s
            await asyncio.sleep(pause)
        if machine is not None:
            # Its provider answers, so it is not this computer's network.
            await self._blame(rental, Kind.NEVER_UP, machine)
        raise Unreachable(
            T("The machine did not come up within {time}.", time=duration(self._clock() - begun)),
            T("Take the next offer; this machine is ended."),
            cause="boot_timeout",
            details=f"{last.what} {last.details}" if last is not None else "",
        )

    # -- how it is done ---------------------------------------------------------------------------------------

    async def _blame(self, rental: Rental, kind: Kind, machine: Machine | None = None) -> None:
        """Remember what was wrong with a machine that is waited for, unless somebody here has ended it."""
        current = await self.rentals.current(rental.tag)
        if current is not None and current.state is RentalState.MADE:
            await self.rentals.blame(rental.tag, kind, machine)

    async def _there(self, tag: str) -> Rental | None:
        """Return the machine that a deploy has already, None when it is certain that it has none."""
        current = await self.rentals.current(tag)
        if current is None:
            return None
        if current.state is RentalState.ENDING:
            await self.rentals.wait_until_ended(tag, END_SECONDS)
        else:
            await self.rentals.settle(current)
            # It was kept for a look, and is wanted again.
            await self.rentals.release(tag)
        current = await self.rentals.current(tag)
        if current is None or current.state is RentalState.MADE:
            return current
        raise ProviderFault(
            T(
                "It is not known yet what became of the machine at {account}.",
                account=current.account,
            ),
            T("Wait some minutes, then resume; or undo the deploy."),
            cause="maybe_made",
        )

    async def _ask(self, context: Context, offer: Offer, wish: RentWish) -> Rental:
        """Ask for one offer; a volume that was made for it goes again when it cannot be had, since it is billed."""
        provider = await self.rentals.accounts.provider(offer.account)
        volume, before = "", frozenset[str]()
        if wish.keep_volume and provider.facts.can.volume:
            before = frozenset(each.id for each in await _volumes(provider))
            volume = await provider.volume_for(offer, _need(context.plan, wish).disk_gb)
        try:
            order = await self._order(context, offer, wish, volume)
            rental, _ = await self.rentals.make(order)
        except PersonaDeskError as error:
            if volume and volume not in before and error.cause != "maybe_made":
                await self._drop(context, provider, volume)
            raise
        return rental

    async def _drop(self, context: Context, provider: Provider, volume: str) -> None:
        try:
            for each in await _volumes(provider):
                if each.id == volume and not each.attached:
                    await provider.remove(each)
        except PersonaDeskError as error:
            told = T("The empty volume {volume} stays: {what}", volume=volume, what=error.what)
            context.log("rent", told, True)

    async def _order(self, context: Context, offer: Offer, wish: RentWish, volume: str) -> Order:
        provider = await self.rentals.accounts.provider(offer.account)
        can = provider.facts.can
        identity = await keys.make_identity() if can.known_host_key else None
        pinned = identity.key if identity is not None else None
        need = _need(context.plan, wish)
        # Written down first: after a crash the machine that is found must be known by its key.
        await context.remember(host_key=_plain(pinned))
        return Order(
            context.plan.id, offer, await self._hosts.our_public_key(), identity, need.disk_gb,
            volume, wish.static_address and bool(can.static_address), context.plan.lease_hours,
        )  # fmt: skip

    async def _enter(self, context: Context, machine: Machine) -> PersonaDeskError | None:
        """Try to log in; return why it did not work, None when it did."""
        if machine.ssh is None:
            return None
        key = _key(context.facts.get("host_key"))
        try:
            if key is None:
                # The provider cannot be given a key: what we see at the first connect is what we made a moment ago.
                key = (await self._hosts.show_keys(machine.ssh))[0]
                await context.remember(host_key=_plain(key))
                told = T("Its key, seen first: {fingerprint}", fingerprint=key.fingerprint)
                context.log("boot", told, False)
            await self._hosts.know_rented(context.plan.id, machine.ssh, key, machine.account)
            host = await self._hosts.host(context.plan.id)
            await host.home()
        except AuthFailed as error:
            if error.cause == "host_key_changed":
                raise
            return error
        except PersonaDeskError as error:
            return error
        return None


async def _volumes(provider: Provider) -> list[Resource]:
    return [each for each in await provider.leftovers() if each.kind is ResourceKind.VOLUME]


def _wish(plan: Plan) -> RentWish:
    if plan.rent is None:
        raise BadRequest(
            T("This deploy does not say what to rent."),
            T("Name an account or an offer."),
            cause="no_wish",
        )
    return plan.rent


def _need(plan: Plan, wish: RentWish) -> Need:
    base = need_of(plan.model.kind, max_price=wish.max_price)
    return Need(base.memory_gb, base.count, base.max_price, wish.spot, base.disk_gb)


def _plain(key: HostKey | None) -> dict[str, str] | None:
    if key is None:
        return None
    return {"kind": key.kind, "data": key.data, "fingerprint": key.fingerprint}


def _key(plain: Any) -> HostKey | None:
    return HostKey(plain["kind"], plain["data"], plain["fingerprint"]) if plain else None


def _how_it_stands(machine: Machine, waited: float) -> Text:
    said = f" ({machine.said})" if machine.said else ""
    return T(
        "{words}{said}, for {time}",
        words=STATE_WORDS[machine.state],
        said=said,
        time=duration(waited),
    )


def _nothing_left(tried: list[Tried], failures: Mapping[str, PersonaDeskError]) -> PersonaDeskError:
    details = [
        f"{market.named(each.offer)}: {each.error.what} {each.error.details}" for each in tried
    ]
    details += [f"{name}: {failure.what}" for name, failure in failures.items()]
    if tried:
        kinds = {type(each.error) for each in tried}
        if len(tried) == 1 or kinds <= {BadRequest}:
            return tried[0].error
        if kinds <= {QuotaExceeded, NoCapacity} and QuotaExceeded in kinds:
            # What is sold out comes back by itself; a limit is raised only where a person asks for it.
            return next(each.error for each in tried if isinstance(each.error, QuotaExceeded))
        return NoCapacity(
            T("None of {count} offers could be had.", count=len(tried)),
            T("Raise the price limit, choose another region or provider, or try again later."),
            money=T("Nothing was rented."),
            cause="all_tried",
            details="\n".join(details),
            retryable=True,
        )
    if failures:
        first = next(iter(failures.values()))
        if isinstance(first, (AuthFailed, OutOfFunds)) or len(failures) == 1:
            return first
    return NoCapacity(
        T("Nothing that fits is offered now."),
        T("Raise the price limit, or add another account."),
        money=T("Nothing was rented."),
        cause="no_offer",
        details="\n".join(details),
    )
