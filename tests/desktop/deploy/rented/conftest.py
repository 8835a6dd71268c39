"""A provider in memory that does what a test tells it, and the services on top of it; time moves by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from personadesk.deploy.rented.fleet import Fleet
from personadesk.deploy.rented.memory import Memory
from personadesk.deploy.rented.rentals import Rentals
from personadesk.domain.account import Account, AccountInfo
from personadesk.domain.errors import NotFound, PersonaDeskError
from personadesk.domain.machine import Action, Machine, MachineState, Order, Resource
from personadesk.domain.offer import Need, Offer, Stock
from personadesk.domain.provider import (
    Ability,
    Answer,
    Capabilities,
    Field,
    FourAnswers,
    Manners,
    Promise,
    ProviderFacts,
)
from personadesk.domain.text import T
from personadesk.hosts.ssh.directory import Hosts
from personadesk.providers import catalog
from personadesk.providers.accounts import Accounts
from personadesk.providers.base import Provider
from personadesk.store.accounts import AccountStore
from personadesk.store.database import Database
from personadesk.store.experiences import ExperienceStore
from personadesk.store.hosts import HostStore
from personadesk.store.rentals import RentalStore
from personadesk.store.secrets import Secrets
from personadesk.store.spending import SpendingStore

NO = Ability(can=False, reason=T("It cannot."))
ANSWER = Promise(Answer.PARTLY, T("So so."))


class Cloud:
    """What exists at the provider, and what goes wrong next."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.leftovers: list[Resource] = []
        self.removed: list[str] = []
        self.orders: list[Order] = []
        self.offers = [offer("small", 0.5), offer("large", 0.9)]
        self.refuse: dict[str, PersonaDeskError] = {}
        """By offer: what comes instead of a machine."""
        self.after: list[PersonaDeskError] = []
        """Raised after a machine was made, one a time."""
        self.broken: PersonaDeskError | None = None
        self.keep_when_ended = 0
        """So many times the end is taken and nothing happens yet."""
        self._numbers = itertools.count(1)

    def make(self, order: Order, now: float) -> Machine:
        machine = Machine(
            f"m-{next(self._numbers)}", order.offer.account, "toy", order.tag, order.tag,
            MachineState.RUNNING, price=order.offer.price, running_price=order.offer.price,
            created=now, actions=frozenset({Action.END, Action.STOP}), gpu=order.offer.gpu,
        )  # fmt: skip
        self.machines[machine.id] = machine
        return machine


class Toy(Provider):
    facts = ProviderFacts(
        id="toy", title="Toy", site="", billing="", docs="",
        fields=(Field("api_key", T("API key")),),
        can=Capabilities(*[NO] * 14), answers=FourAnswers(*[ANSWER] * 4), base_url="",
        manners=Manners(poll_s=0.01),
    )  # fmt: skip
    cloud: Cloud

    async def verify(self) -> AccountInfo:
        self._maybe_broken()
        return AccountInfo(who="me")

    async def offers(self, need: Need) -> Sequence[Offer]:
        self._maybe_broken()
        return [replace(each, account=self.account.name) for each in self.cloud.offers]

    async def machines(self) -> Sequence[Machine]:
        self._maybe_broken()
        return [replace(m, seen=self._clock()) for m in self.cloud.machines.values()]

    async def create(self, order: Order) -> Machine:
        self._maybe_broken()
        self.cloud.orders.append(order)
        if order.offer.ref in self.cloud.refuse:
            raise self.cloud.refuse[order.offer.ref]
        machine = self.cloud.make(order, self._clock())
        if self.cloud.after:
            raise self.cloud.after.pop(0)
        return machine

    async def act(self, machine: Machine, action: Action) -> None:
        self._maybe_broken()
        if machine.id not in self.cloud.machines:
            raise NotFound("gone")
        if action is Action.END:
            if self.cloud.keep_when_ended:
                self.cloud.keep_when_ended -= 1
            else:
                del self.cloud.machines[machine.id]

    async def leftovers(self) -> Sequence[Resource]:
        return self.cloud.leftovers

    async def remove(self, resource: Resource) -> None:
        self.cloud.removed.append(resource.id)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _maybe_broken(self) -> None:
        if self.cloud.broken is not None:
            raise self.cloud.broken


def offer(ref: str, price: float, **more: Any) -> Offer:
    return Offer("acc", "toy", ref, "A10", 24, price=price, stock=Stock.HIGH, **more)


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    made = Cloud()
    monkeypatch.setattr(Toy, "cloud", made, raising=False)
    monkeypatch.setattr(catalog, "kind", lambda provider_id: Toy)
    monkeypatch.setattr("personadesk.deploy.rented.rentals.LOOK_AGAIN_SECONDS", (0.0, 0.0))
    return made


@pytest.fixture
async def world(tmp_path, cloud: Cloud, clock: Clock):
    """The services, with one account called “acc”."""
    database = await Database(tmp_path / "personadesk.db").open()
    hosts = Hosts(HostStore(database), Secrets(), tmp_path / "ssh")
    store = AccountStore(database)
    accounts = Accounts(
        store, Secrets(), lambda account, secrets: Toy(account, secrets, clock=clock)
    )
    await store.add(Account("acc", "toy"))
    memory = Memory(ExperienceStore(database), clock=clock)
    rentals = Rentals(RentalStore(database), accounts, hosts, memory, clock=clock)
    lines: dict[str, str] = {}
    fleet = Fleet(accounts, rentals, SpendingStore(database), hosts, lambda: lines, clock=clock)

    class World:
        pass

    made = World()
    made.__dict__.update(
        accounts=accounts, rentals=rentals, fleet=fleet, hosts=hosts, cloud=cloud, clock=clock,
        lines=lines, database=database, memory=memory,
    )  # fmt: skip
    yield made
    await fleet.stop()
    await hosts.close()
    await accounts.close()
    await database.close()
