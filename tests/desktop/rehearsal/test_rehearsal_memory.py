"""Hosts and regions that fail again and again at pretend providers: the guardian's next machine is elsewhere.

Providers' own files in front of simulated clouds, the market, the record and the guardian as they are; only machines
have no bodies, so that a deploy is what is rented, and all of it takes no time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from peers.simulated import Clock, transport
from personadesk.deploy.rented.fleet import Fleet
from personadesk.deploy.rented.keeping import RentedMachines
from personadesk.deploy.rented.memory import Memory
from personadesk.deploy.rented.rentals import Rentals
from personadesk.deploy.rented.renting import Renting
from personadesk.deploy.step import Context
from personadesk.domain.account import Account
from personadesk.domain.guarding import Deed
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.machine import MachineState
from personadesk.domain.plan import RENT, ModelChoice, Plan, RentWish
from personadesk.domain.progress import DeployState
from personadesk.domain.reputation import HOUR, Kind
from personadesk.hosts import health
from personadesk.hosts.ssh.directory import Hosts
from personadesk.lines.guardian import Guardian
from personadesk.providers import catalog
from personadesk.providers.accounts import Accounts
from personadesk.rehearsal import catalog as rehearsal
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.things import Machine, State
from personadesk.store import paths
from personadesk.store.accounts import AccountStore
from personadesk.store.database import Database
from personadesk.store.experiences import ExperienceStore
from personadesk.store.hosts import HostStore
from personadesk.store.journal import Journal, Purpose
from personadesk.store.rentals import RentalStore
from personadesk.store.secrets import Secrets
from personadesk.store.spending import SpendingStore
from personadesk.store.wishes import WishStore

URL = "ws://127.0.0.1:9/api/chat"


@dataclass
class Rig:
    """One line at one pretend provider; it stands for the lines, the servers and the deploys of a guardian."""

    provider: str
    file: Path
    clock: Clock = field(default_factory=Clock)
    line: Line = field(default_factory=lambda: Line("a", 9000, None, LineState.STOPPED, 1.0))

    async def open(self) -> Rig:
        """Open the records, as a start of PersonaDesk does; the cloud goes on as it was."""
        self.database = await Database(self.file).open()
        self.hosts = Hosts(HostStore(self.database), Secrets(), self.file.parent / "ssh")
        self.accounts = Accounts(
            AccountStore(self.database), Secrets(),
            lambda account, secrets: catalog.make(
                account, self.simulator.ready.credentials, transport=transport(self.simulator),
                clock=self.clock, sleep=self.clock.sleep,
            ),
        )  # fmt: skip
        self.memory = Memory(ExperienceStore(self.database), clock=self.clock)
        self.rentals = Rentals(
            RentalStore(self.database), self.accounts, self.hosts, self.memory, clock=self.clock
        )
        self.renting = Renting(self.rentals, self.hosts, clock=self.clock)
        self.journal = Journal(self.database)
        self.wishes = WishStore(self.database)
        self.machines = RentedMachines(self.rentals, self.hosts, clock=self.clock)
        self.guardian = Guardian(
            self, self.wishes, self, self.journal, self.machines, self, self.spent, self.asleep,
            prove=self.prove, clock=self.clock,
        )  # fmt: skip
        return self

    async def begin(self) -> Rig:
        """Make the cloud and its account."""
        self.simulator = rehearsal.make(rehearsal.kind(self.provider), clock=self.clock)
        self.world = self.simulator.world
        await self.open()
        await self.accounts.store.add(Account("mine", self.provider))
        return self

    async def close(self) -> None:
        await self.hosts.close()
        await self.accounts.close()
        await self.database.close()

    # -- what the guardian finds and does ---------------------------------------------------------------------

    @property
    def store(self) -> Rig:
        return self

    def hold(self, name, reason):
        return None

    def waiting(self, name):
        return 0

    def calls_of(self, name):
        return 0

    async def get(self, server_id):
        return None

    async def status(self, server_id):
        return None

    async def reached(self, server_id):
        return True

    async def unfinished(self, line):
        return {}

    async def spent(self, line):
        return 0.0

    async def asleep(self, name, rest, why):
        raise AssertionError("it shall be up")

    async def prove(self, url):
        raise AssertionError("it is not called")

    async def dispose(self, tag):
        await self.rentals.end(tag)
        self.clock.pass_s(60)
        self.world.settle()

    async def detach(self, name, *, rest):
        self.line = replace(self.line, target=None)

    async def run(self, plan: Plan) -> None:
        """Deploy: rent what can be rented, and let it come up."""
        await self.journal.begin(plan, Purpose.DEPLOY, self.clock())
        context = Context(
            plan, paths.folders(), self.journal, None, None, {}, lambda text, part: None,
            lambda source, text, warning: None,
        )  # type: ignore[arg-type]  # fmt: skip
        await self.renting.rent(context)
        self.clock.pass_s(120)
        self.world.settle()
        await self.journal.set_facts(plan.id, context.facts)
        await self.journal.set_state(plan.id, DeployState.DONE, ended=self.clock())
        await self.rentals.praise(plan.id)
        self.line = Line("a", 9000, Target(URL, plan.id), LineState.FAILED, self.clock())

    # -- what a test says -------------------------------------------------------------------------------------

    async def deploy(self) -> Machine:
        """Let a person deploy; return the machine that came of it."""
        rent = RentWish(account="mine", max_price=5.0, keep_volume=False)
        plan = Plan(f"pd-{len(self.world.ledger()):08x}", "a", 9000, ModelChoice(), RENT, rent=rent)
        await self.run(plan)
        return self.there()

    def there(self) -> Machine:
        """Return the one machine that there is."""
        (machine,) = [m for m in self.world.machines() if m.state is not State.ENDING]
        return machine

    async def mended(self) -> Machine:
        """Let the guardian look until it has deployed again."""
        for _ in range(20):
            self.clock.pass_s(1000)
            self.world.settle()
            decision = await self.guardian.look(self.line)
            if decision is not None and decision.deed is Deed.DEPLOY:
                return self.there()
        raise AssertionError([str(each.why) for each in await self.wishes.log("a")])


@pytest.fixture
async def rig(tmp_path: Path, request, monkeypatch) -> AsyncIterator[Rig]:
    async def silent(url):
        return None

    monkeypatch.setattr(health, "ask", silent)
    made = await Rig(request.param, tmp_path / "personadesk.db").begin()
    yield made
    await made.close()


at = pytest.mark.parametrize


@at("rig", ["vast"], indirect=True)
async def test_after_a_host_broke_the_next_machine_is_on_another_though_it_is_the_cheapest(
    rig: Rig,
):
    first = await rig.deploy()
    rig.world.lose(first)
    second = await rig.mended()
    assert second.kind != first.kind
    prices = {kind.ref: kind.price for kind, _, _ in rig.world.offers()}
    assert prices[first.kind] < prices[second.kind]
    assert rig.world.free(first.kind, first.region) == 1, "it could have been had again"
    entry = next(e for e in reversed(await rig.wishes.log("a")) if e.deed is Deed.DEPLOY)
    assert "was passed over. Left alone until" in str(entry.why)
    assert "a machine broke down" in str(entry.why)


@at("rig", ["runpod"], indirect=True)
async def test_after_a_gpu_was_lost_the_next_one_is_in_another_region(rig: Rig):
    for ref in ("NVIDIA RTX A5000|COMMUNITY", "NVIDIA GeForce RTX 4090|COMMUNITY"):
        # RunPod chooses where these are; regions are what is looked at here.
        rig.world.set_free(ref, "", 0)
    first = await rig.deploy()
    rig.world.lose_gpu(first)
    second = await rig.mended()
    assert {first.region, second.region} == {"EU-RO-1", "EU-SE-1"}
    assert second.price >= first.price
    assert rig.world.free(first.kind, first.region) > 0, "it could have been had again"
    entry = next(e for e in reversed(await rig.wishes.log("a")) if e.deed is Deed.DEPLOY)
    assert "a machine lost its GPU" in str(entry.why)


@at("rig", ["vast"], indirect=True)
async def test_it_is_remembered_over_a_restart(rig: Rig):
    first = await rig.deploy()
    rig.world.lose(first)
    second = await rig.mended()
    await rig.close()
    await rig.open()
    rig.world.end(second)
    rig.line = replace(rig.line, target=None, state=LineState.STOPPED)
    await rig.rentals.wait_until_ended(rig.line.name, 0)
    third = await rig.deploy()
    assert third.kind != first.kind
    await rig.rentals.end(third.name)
    rig.clock.pass_s(24 * HOUR)
    rig.world.settle()
    assert (await rig.deploy()).kind == first.kind, "a day later it gets another chance"


@at("rig", ["vast"], indirect=True)
async def test_when_every_host_did_badly_one_is_rented_all_the_same_and_said_so(rig: Rig):
    good: set[str] = set()
    for number in range(20):
        plan = Plan(
            f"pd-{number:08x}", "b", 9001, ModelChoice(), RENT, rent=RentWish(account="mine")
        )
        await rig.run(plan)
        machine = rig.there()
        if machine.kind in good:
            break
        good.add(machine.kind)
        await rig.rentals.blame(plan.id, Kind.GPU_LOST)
        await rig.rentals.end(plan.id)
        rig.clock.pass_s(60)
        rig.world.settle()
    assert len(good) > 3, "each host was tried once before one was tried twice"
    record = await rig.journal.load(plan.id)
    assert record is not None
    assert "Only what did badly before could be had" in record.facts["passed_over"]


@at("rig", ["vast"], indirect=True)
async def test_a_host_on_which_nothing_ever_boots_is_tried_once_for_a_long_time(rig: Rig):
    worst = await rig.deploy()
    await rig.rentals.end(worst.name)
    rig.clock.pass_s(60)
    rig.world.settle()
    rig.world.faults.add(Fault.BOOT_FAILS, where=worst.kind)
    fleet = Fleet(
        rig.accounts, rig.rentals, SpendingStore(rig.database), rig.hosts, dict, clock=rig.clock
    )
    tried = []
    for _ in range(4):
        machine = await rig.deploy()
        tried.append(machine.kind)
        await fleet.reconcile()
        (seen,) = [m for m in fleet.view.machines if m.tag == machine.name]
        assert (seen.state is MachineState.FAILED) is (machine.kind == worst.kind)
        await rig.rentals.end(machine.name)
        rig.clock.pass_s(60)
        rig.world.settle()
    assert tried[0] == worst.kind
    assert worst.kind not in tried[1:]
