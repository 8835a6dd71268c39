"""What every provider does, alike: the calls that the rest of PersonaDesk makes.

A provider's file has, in this order: its facts as data, its JSON as structs, the calls, and its failures turned into
ours. It is imported without loading an HTTP library; that comes with the first call.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from personadesk.domain.errors import NotFound
from personadesk.domain.host import DEFAULT_SSH_PORT, SshAddress
from personadesk.domain.machine import Action
from personadesk.providers import faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import httpx

    from personadesk.domain.account import Account, AccountInfo
    from personadesk.domain.machine import Machine, Order, Resource
    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.provider import ProviderFacts
    from personadesk.domain.sample import Reading


class Provider(ABC):
    """One account at one provider. Every method may raise any of the ten errors; each has a limit on its time.

    Attributes:
        facts: The provider as data.
        account: The account.
    """

    facts: ClassVar[ProviderFacts]

    def __init__(
        self,
        account: Account,
        credentials: Mapping[str, str],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take the account; nothing is asked yet.

        Args:
            account: Name, settings and, for proxies and tests, its API's place.
            credentials: Values of the secret fields by name. They are kept in memory only and appear nowhere else.
            transport: Stands in for the network in tests; judges of the official contracts sit here.
            clock: Unix time.
            sleep: Waits, for the provider's manners.
        """
        self.account = account
        self._credentials = dict(credentials)
        self._transport = transport
        self._clock = clock
        self._sleep = sleep

    # -- the account ------------------------------------------------------------------------------------------

    @abstractmethod
    async def verify(self) -> AccountInfo:
        """Ask who we are and what we may; costs nothing and changes nothing.

        Raises:
            AuthFailed: The key is wrong (cause `bad_key`), expired (`expired_key`) or lacks a right (`missing_right`).
            OutOfFunds: The account is closed for lack of money.
        """

    # -- what could be rented ---------------------------------------------------------------------------------

    @abstractmethod
    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return what fits, in any order, sold-out kinds too (their stock says so)."""

    # -- what is there ----------------------------------------------------------------------------------------

    @abstractmethod
    async def machines(self) -> Sequence[Machine]:
        """Return every machine of the account, ours or not, with as few requests as there are; pages are followed."""

    async def machine(self, machine_id: str) -> Machine:
        """Return one machine.

        Raises:
            NotFound: The provider says that there is none of that id.
        """
        found = next((each for each in await self.machines() if each.id == machine_id), None)
        if found is None:
            raise faults.gone(self.facts, machine_id)
        return found

    async def find(self, tag: str) -> Sequence[Machine]:
        """Return the machines that carry a tag of ours, ended ones left out by providers that forget them."""
        return [each for each in await self.machines() if each.tag == tag]

    # -- life -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def create(self, order: Order) -> Machine:
        """Make a machine; returns as soon as the provider has taken the order.

        The caller has written the order down before. Where the provider takes a token, `Order.token` is it, so that
        asking again makes no second machine; elsewhere the caller looks for the tag (`find`) before it asks again.

        Raises:
            NoCapacity: None is free; the next offer may be tried.
            QuotaExceeded: The account may not; another region or provider may be tried.
            AuthFailed: Nothing else may be tried with this account.
            OutOfFunds: As well.
            Unreachable: It is not known whether it was made: look for the tag.
        """

    @abstractmethod
    async def act(self, machine: Machine, action: Action) -> None:
        """Start, stop, restart or end a machine; returns when the provider has taken it. Asking twice does no harm.

        Ending what is gone is a success. Ending takes along what was made for this machine alone (disk, firewall,
        address) unless it is to be kept; what cannot be removed yet is found by `leftovers`.

        Raises:
            BadRequest: The provider cannot do that (cause `unsupported`), or not in this state (`wrong_state`).
            NoCapacity: Its GPU was given away meanwhile (a start).
            NotFound: There is no such machine (not raised for ending).
        """

    async def end(self, machine: Machine) -> None:
        """End a machine and its bill."""
        try:
            await self.act(machine, Action.END)
        except NotFound:
            return

    # -- what else there is -----------------------------------------------------------------------------------

    async def leftovers(self) -> Sequence[Resource]:
        """Return what the provider keeps for us beside machines and may bill: volumes, addresses, groups."""
        return ()

    async def remove(self, resource: Resource) -> None:
        """Remove such a thing; harmless when it is gone."""
        raise faults.unsupported(self.facts, resource.kind)

    async def volume_for(self, offer: Offer, disk_gb: int) -> str:
        """Return the id of our volume that machines of this offer can use, made when there is none; "" without."""
        return ""

    async def figures(self, machine: Machine) -> Sequence[Reading]:
        """Return how busy its GPUs are, as the API tells (`domain.sample`); nothing where it does not."""
        return ()

    async def log(self, machine: Machine) -> Sequence[str]:
        """Return the machine's log as the API has it, oldest line first; nothing where it does not."""
        return ()

    @abstractmethod
    async def aclose(self) -> None:
        """Close connections; the provider is not used after this."""

    # -- for the providers' files -----------------------------------------------------------------------------

    def _setting(self, name: str) -> str:
        """Return a field of the account that is no secret, or its default."""
        for each in self.facts.fields:
            if each.name == name:
                return self.account.settings.get(name, "") or each.default
        raise KeyError(name)

    def _ssh(self, host: str, user: str, port: int | None = None) -> SshAddress:
        """Return where a machine is reached.

        The account's settings `ssh_user` and `ssh_port` go before what is usual at the provider: images of one's own
        have other ones, and so have the machines of a rehearsal, since only root may listen on port 22.

        Args:
            host: Address.
            user: The usual login.
            port: What the provider tells; None or 22 is the usual one.
        """
        settings = self.account.settings
        usual = int(settings.get("ssh_port") or DEFAULT_SSH_PORT)
        own = port if port not in {None, DEFAULT_SSH_PORT} else None
        return SshAddress(host, own or usual, self._login_name(user))

    def _login_name(self, usual: str) -> str:
        """Return who logs in: as the account's settings say, else as is usual at the provider."""
        return self.account.settings.get("ssh_user") or usual

    def _stamp(self, machine: Machine) -> Machine:
        """Return a machine with account, provider and time filled in, and its address as `_ssh` gives it."""
        ssh = machine.ssh and self._ssh(machine.ssh.host, machine.ssh.user, machine.ssh.port)
        return replace(
            machine, account=self.account.name, provider=self.facts.id, seen=self._clock(), ssh=ssh
        )
