"""Which machines there are to watch, and where the figures of each come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from personadesk.domain.machine import MachineState
from personadesk.domain.plan import LOCAL
from personadesk.domain.sample import Absent, Metric, Reading, Source
from personadesk.domain.text import T, Text
from personadesk.monitor.feeds import ComputerFeed, HostFeed, ProviderFeed, ServerFeed
from personadesk.monitor.sampler import FeedSpec
from personadesk.store.history import GroupKey
from personadesk.store.servers import ServerIntent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from personadesk.domain.machine import Machine
    from personadesk.hosts.servers import Servers
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.monitor.feeds import Feed
    from personadesk.providers.accounts import Accounts

NOT_TOLD = Absent(T("The provider doesn't tell what it costs."))
NO_LIMIT = Absent(T("No limit was set."))


@dataclass(frozen=True, slots=True)
class Target:
    """One machine to watch.

    Attributes:
        name: How the monitor calls it: `local`, a machine of “My servers”, or a rented machine's tag.
        label: How people call it.
        specs: Where its figures come from.
        address: `host:port` of its SSH, "" for none.
        servers: The voice servers on it that should run.
        lost: Whether its provider says that its hardware is gone.
        limit: Dollars that it may cost in all, None for no limit.
        budget: The used share of the fullest budget that it counts for, 0 while none is near; None where it costs
            nothing.
        wanted: Whether it is watched when nobody looks at it.
    """

    name: str
    label: Text
    specs: tuple[FeedSpec, ...] = ()
    address: str = ""
    servers: frozenset[str] = frozenset()
    lost: bool = False
    limit: float | None = None
    budget: float | None = None
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class MoneyLimits:
    """What a rented machine may cost.

    Attributes:
        price: Dollars per hour, None for no limit.
        spent: Dollars in all, None for no limit.
    """

    price: float | None = None
    spent: float | None = None


class FleetView(Protocol):
    """What was last seen of the rented machines; the fleet itself lives elsewhere on this floor."""

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All machines."""

    @property
    def spent(self) -> Mapping[str, float]:
        """Dollars by tag."""


class Targets:
    """Finds the machines, and makes their feeds."""

    def __init__(
        self,
        hosts: Hosts,
        servers: Servers,
        accounts: Accounts,
        fleet: Callable[[], FleetView],
        limits: Callable[[str], Awaitable[MoneyLimits]],
        budget: Callable[[str], Awaitable[float | None]] | None = None,
    ) -> None:
        """Take where to look.

        Args:
            hosts: Machines that are reached by SSH.
            servers: The voice servers.
            accounts: Knows the providers.
            fleet: Returns what was last seen of rented machines.
            limits: Returns what a rented machine may cost, by its tag.
            budget: Returns the used share of a budget that is near, by the same tag; None while none is.
        """
        self._hosts = hosts
        self._servers = servers
        self._accounts = accounts
        self._fleet = fleet
        self._limits = limits
        self._allowed: dict[str, MoneyLimits] = {}
        self._budget = budget

    async def look(self) -> tuple[Target, ...]:
        """Return the machines there are now, this computer first."""
        places = await self._places()
        there = [m for m in self._fleet().machines if m.tag and m.state is not MachineState.ENDED]
        machines = {machine.tag: machine for machine in there}
        local = self._with_servers(
            Target(LOCAL, T("This computer"), (FeedSpec(GroupKey(LOCAL, Source.HOST)),)), places
        )
        found = [local]
        for record in await self._hosts.store.all():
            machine = machines.pop(record.name, None)
            target = Target(
                record.name, T("{name}", name=record.name), address=record.address.place
            )
            if machine is None or machine.state is MachineState.RUNNING:
                spec = FeedSpec(GroupKey(record.name, Source.HOST), record.address.place)
                target = self._with_servers(replace(target, specs=(spec,)), places)
            if machine is not None:
                target = await self._rented(target, machine)
            # A machine without a voice of ours is entered only when somebody wants to see it.
            found.append(replace(target, wanted=bool(target.servers) or bool(record.account)))
        for tag, machine in sorted(machines.items()):
            found.append(await self._rented(Target(tag, T("{name}", name=tag)), machine))
        return tuple(found)

    def make(self, spec: FeedSpec) -> Feed:
        """Return the feed of a source."""
        key = spec.key
        if key.source == Source.SERVER:
            return ServerFeed(key.origin, spec.place)
        if key.source == Source.PROVIDER:
            return ProviderFeed(
                lambda: self._money(key.host),
                (lambda: self._figures(key.host)) if spec.place else None,
            )
        if key.host == LOCAL:
            return ComputerFeed()
        return HostFeed(lambda: self._hosts.host(key.host))

    async def _places(self) -> dict[str, list[tuple[str, str]]]:
        """Return which servers should run where: machine to (id, address here)."""
        found: dict[str, list[tuple[str, str]]] = {}
        for server in await self._servers.store.all():
            if server.intent is not ServerIntent.RUNNING:
                continue
            placement = await self._hosts.store.placement(server.id)
            name = placement.host_name if placement is not None else LOCAL
            found.setdefault(name, []).append((server.id, server.url))
        return found

    @staticmethod
    def _with_servers(target: Target, places: Mapping[str, Sequence[tuple[str, str]]]) -> Target:
        here = places.get(target.name, ())
        specs = tuple(FeedSpec(GroupKey(target.name, Source.SERVER, id_), url) for id_, url in here)
        return replace(
            target, specs=target.specs + specs, servers=frozenset(id_ for id_, _ in here)
        )

    async def _rented(self, target: Target, machine: Machine) -> Target:
        provider = await self._accounts.provider(machine.account)
        tells = bool(provider.facts.can.figures) and machine.state is MachineState.RUNNING
        spec = FeedSpec(GroupKey(target.name, Source.PROVIDER), machine.key if tells else "")
        allowed = self._allowed[machine.tag] = await self._limits(machine.tag)
        near = await self._budget(machine.tag) if self._budget is not None else None
        label = T("{name}", name=machine.name or machine.tag)
        return replace(
            target,
            label=label,
            specs=(*target.specs, spec),
            limit=allowed.spent,
            lost=machine.state is MachineState.LOST,
            budget=near or 0.0,
        )

    def _money(self, tag: str) -> list[Reading]:
        view = self._fleet()
        machine = next((each for each in view.machines if each.tag == tag), None)
        price = machine.price if machine is not None else None
        spent = view.spent.get(tag)
        allowed = self._allowed.get(tag, MoneyLimits())
        return [
            Reading(Metric.MONEY_PRICE, "", NOT_TOLD if price is None else price),
            Reading(Metric.MONEY_SPENT, "", NOT_TOLD if spent is None else spent),
            Reading(
                Metric.MONEY_PRICE_LIMIT, "", NO_LIMIT if allowed.price is None else allowed.price
            ),
            Reading(
                Metric.MONEY_SPEND_LIMIT, "", NO_LIMIT if allowed.spent is None else allowed.spent
            ),
        ]

    async def _figures(self, tag: str) -> Sequence[Reading]:
        machine = next((each for each in self._fleet().machines if each.tag == tag), None)
        if machine is None:
            return ()
        provider = await self._accounts.provider(machine.account)
        return await provider.figures(machine)
