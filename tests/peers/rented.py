"""Accounts and machines that pages are shown, and that remember what was asked of them; no provider is behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from personadesk.deploy.rented.views import FleetView
from personadesk.domain.account import KEYRING, Account, AccountInfo
from personadesk.domain.errors import NotFound, PersonaDeskError
from personadesk.domain.machine import Action, Machine
from personadesk.domain.offer import Need, Offer
from personadesk.domain.reputation import Doubt, Experience, Reputation
from personadesk.domain.text import T
from personadesk.providers.accounts import Given, Kept
from personadesk.store.rentals import OPEN_STATES, Rental
from personadesk.store.secrets import Place, Secrets
from personadesk.store.spending import Cost


class FakeProvider:
    """Offers what it was given."""

    def __init__(self, offers: Sequence[Offer], error: PersonaDeskError | None) -> None:
        self._offers = offers
        self._error = error

    async def offers(self, need: Need) -> Sequence[Offer]:
        if self._error is not None:
            raise self._error
        return self._offers


@dataclass
class FakeAccounts:
    """Accounts in memory; `refusals` come instead of the next checks."""

    known: dict[str, Account] = field(default_factory=dict)
    infos: dict[str, AccountInfo] = field(default_factory=dict)
    offers: dict[str, list[Offer]] = field(default_factory=dict)
    offer_errors: dict[str, PersonaDeskError] = field(default_factory=dict)
    refusals: list[PersonaDeskError] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    watchers: list[Callable[[], None]] = field(default_factory=list)
    answer: AccountInfo = field(default_factory=lambda: AccountInfo(who="me@example.com"))
    secrets: Secrets = field(default_factory=Secrets)

    async def all(self) -> tuple[Account, ...]:
        return tuple(self.known[name] for name in sorted(self.known))

    def info(self, name: str) -> AccountInfo | None:
        return self.infos.get(name)

    async def kept(self, name: str) -> tuple[Kept, ...]:
        return tuple(Kept(T("API key"), Place.KEYRING) for _ in self.known[name].credentials)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    async def add(self, given: Given) -> tuple[Account, AccountInfo]:
        self.given.append(given)
        if self.refusals:
            raise self.refusals.pop(0)
        places = dict.fromkeys(given.values, KEYRING)
        account = Account(given.name, given.provider, places)
        self.known[given.name] = account
        self.infos[given.name] = self.answer
        return account, self.answer

    async def replace(self, name: str, values: dict[str, str]) -> AccountInfo:
        if self.refusals:
            raise self.refusals.pop(0)
        self.given.append(Given(name, self.known[name].provider, values))
        return self.answer

    async def check(self, name: str) -> AccountInfo:
        if self.refusals:
            raise self.refusals.pop(0)
        self.infos.setdefault(name, self.answer)
        return self.infos[name]

    async def remove(self, name: str) -> None:
        if name not in self.known:
            raise NotFound(f"There is no account called {name}.")
        del self.known[name]

    async def provider(self, name: str) -> FakeProvider:
        return FakeProvider(self.offers.get(name, []), self.offer_errors.get(name))


@dataclass
class FakeFleet:
    """Machines as they are put there with `show`."""

    view: FleetView = field(default_factory=FleetView)
    acted: list[tuple[str, Action]] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    refusals: dict[str, PersonaDeskError] = field(default_factory=dict)
    watchers: list[Callable[[], None]] = field(default_factory=list)
    looks: int = 0

    def show(self, view: FleetView) -> None:
        self.view = view
        for watcher in tuple(self.watchers):
            watcher()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(callback)
        return lambda: self.watchers.remove(callback)

    def start(self) -> None:
        """Nothing has to be looked at."""

    def look_now(self) -> None:
        self.looks += 1

    async def act(self, machine: Machine, action: Action) -> None:
        if machine.id in self.refusals:
            raise self.refusals[machine.id]
        self.acted.append((machine.key, action))

    async def adopt(self, machine: Machine) -> None:
        self.adopted.append(machine.key)
        self.show(replace(self.view, strays=tuple(m for m in self.view.strays if m != machine)))


@dataclass
class FakeSpending:
    """Costs as they are put there."""

    costs: list[Cost] = field(default_factory=list)

    async def since(self, day: str) -> list[Cost]:
        return [cost for cost in self.costs if cost.day >= day]


@dataclass
class FakeMemory:
    """Holds against offers what it was given, until it is forgotten."""

    lived: list[Experience] = field(default_factory=list)
    now: float = 0.0
    forgotten: list[str] = field(default_factory=list)

    async def reputation(self) -> Reputation:
        return Reputation(self.lived, self.now)

    async def forget(self, doubts: Iterable[Doubt]) -> None:
        self.forgotten += [each.subject.key for each in doubts]
        self.lived = []


@dataclass
class FakeRentals:
    """A record of rentals that remembers what was held."""

    kept: list[Rental] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    memory: FakeMemory = field(default_factory=FakeMemory)

    @property
    def store(self) -> FakeRentals:
        return self

    async def open(self, account: str | None = None) -> list[Rental]:
        return [r for r in self.kept if r.state in OPEN_STATES and account in {None, r.account}]

    async def of(self, tag: str) -> list[Rental]:
        return [rental for rental in self.kept if rental.tag == tag]

    async def hold(self, tag: str) -> bool:
        self.held.append(tag)
        return True


@dataclass
class FakeLimits:
    """Remembers which lines were put to sleep."""

    slept: list[str] = field(default_factory=list)

    async def sleep(self, name: str) -> None:
        self.slept.append(name)
