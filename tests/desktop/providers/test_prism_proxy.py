"""A whole life at each pretend provider, judged by Prism as a proxy between both. Run with `-m prism`.

Google's contract is a discovery document, which Prism cannot read, and Azure's of the network is too deep for it: there
the judges of the other tests stay (`peers.discovery`, `peers.azure_judge`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import httpx
import pytest

from peers.azure_judge import COMPUTE, AzureJudge, compute, is_compute
from peers.prism import ToPrism, Ways, part_of, prism
from peers.simulated import Clock, transport
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import (
    AuthFailed,
    NoCapacity,
    NotFound,
    OutOfFunds,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
)
from personadesk.domain.machine import Action, Machine, MachineState, Order, ResourceKind
from personadesk.domain.offer import Need, Stock
from personadesk.hosts.ssh import keys
from personadesk.providers import catalog as providers
from personadesk.providers.base import Provider
from personadesk.rehearsal import catalog
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.http import Simulator
from personadesk.rehearsal.serving import Served

pytestmark = pytest.mark.prism
TAG = "pd-00000001"
STEPS = 60
STEP_SECONDS = 20.0


class Case(NamedTuple):
    """One provider.

    Attributes:
        contract: Its contract.
        part: The kinds of things of the contract that are judged; () for all of it.
        base: What paths begin with before those of the contract; Prism leaves out the base path of `servers:`.
        inside: Says of a path whether the contract has it.
        absent: An id that no machine has.
        scopes: Whether a key may be allowed less than all.
    """

    contract: str
    part: tuple[str, ...] = ()
    base: str = ""
    inside: Callable[[str], bool] = lambda path: not path.startswith(("/graphql", "/instance_logs"))
    absent: str = "404404404"
    scopes: bool = True


CASES = {
    "runpod": Case("runpod-api-v2.openapi.json"),
    "lambda": Case("lambda-cloud-1.8.3.openapi.json", absent="0" * 32, scopes=False),
    "vast": Case("vast.openapi.json"),
    "paperspace": Case("paperspace-v1.openapi.json", base="/v1"),
    "digitalocean": Case("digitalocean-v2.openapi.json"),
    "azure": Case(
        COMPUTE, part=("virtualMachines", "skus", "usages"), inside=is_compute,
        absent="pd-404/pd-404",
    ),
}  # fmt: skip
REFUSALS: dict[Fault, type[PersonaDeskError]] = {
    Fault.WRONG_KEY: AuthFailed,
    Fault.EXPIRED_KEY: AuthFailed,
    Fault.RATE_LIMIT: RateLimited,
    Fault.FAIL_BEFORE: ProviderFault,
}
REFUSED_ORDERS: dict[Fault, type[PersonaDeskError]] = {
    Fault.NO_CAPACITY: NoCapacity,
    Fault.QUOTA: QuotaExceeded,
    Fault.NO_MONEY: OutOfFunds,
}


class Place(NamedTuple):
    """A provider's file, Prism behind it, and a simulator behind that."""

    case: Case
    simulator: Simulator
    clock: Clock
    ways: Ways
    here: Provider

    async def until(self, machine: Machine, *states: MachineState) -> Machine:
        """Let time pass until a machine stands so, and can be reached where it runs."""
        for _ in range(STEPS):
            machine = await self.here.machine(machine.id)
            if machine.state in states and (machine.ssh or MachineState.RUNNING not in states):
                return machine
            self.clock.pass_s(STEP_SECONDS)
        raise AssertionError(machine)

    async def order(self, *, tag: str = TAG, full: bool = True) -> Order:
        """Return an order of the first offer that can be had, with all that the provider has for one."""
        offers = await self.here.offers(Need())
        offer = next(each for each in offers if each.stock is not Stock.NONE)
        can = self.here.facts.can
        mine = await keys.make_identity()
        return Order(
            tag, offer, mine.public,
            identity=await keys.make_identity() if can.known_host_key else None,
            volume=await self.here.volume_for(offer, 60) if can.volume and full else "",
            static_address=bool(can.static_address) and full, lease_hours=6.0, token=f"{tag}-1",
        )  # fmt: skip


Answered = tuple[int, dict[str, str], bytes]
Answers = Callable[..., Answered]


class Behind(NamedTuple):
    """A running Prism; what answers behind it is another simulator in each test."""

    name: str
    address: str
    upstream: str
    stage: dict[str, Answers]


def under_way() -> dict[str, Any]:
    """Return Azure's contract of compute with the answers 201 and 202, which the published one leaves out."""
    values = compute()
    for calls in values["paths"].values():
        for call in calls.values():
            answers = call.get("responses", {}) if isinstance(call, dict) else {}
            if answers:
                answers.setdefault("201", answers.get("200", {"description": "It is made."}))
                answers.setdefault("202", {"description": "It is under way."})
    return values


@pytest.fixture(scope="module", params=sorted(CASES))
def behind(request, tmp_path_factory):
    name = request.param
    case = CASES[name]
    folder = tmp_path_factory.mktemp("prism")
    contract = part_of(under_way(), case.part, folder) if case.part else case.contract
    stage: dict[str, Answers] = {}

    def answer(*parts: Any) -> Answered:
        status, headers, body = stage["now"](*parts)
        # Kept connections would outlive the test that they were opened in.
        return status, {**headers, "connection": "close"}, body

    served = Served(answer)
    try:
        with prism(contract, folder / "log", served.url + case.base) as address:
            yield Behind(name, address, served.url, stage)
    finally:
        served.close()


@pytest.fixture
async def place(behind) -> AsyncIterator[Place]:
    clock = Clock()
    case = CASES[behind.name]
    kind = catalog.kind(behind.name)
    simulator = catalog.make(kind, clock=clock)
    behind.stage["now"] = simulator.answer
    straight: httpx.AsyncBaseTransport = transport(simulator)
    rest = AzureJudge(straight) if case.inside is is_compute else straight
    ways = Ways(case.inside, ToPrism(behind.address, case.base), rest)
    # What the simulator tells of where it is leads here, too.
    base_url = behind.upstream + kind.ready.base_path
    account = Account("mine", behind.name, settings=kind.ready.settings, base_url=base_url)
    here = providers.make(
        account, kind.ready.credentials, transport=ways, clock=clock, sleep=clock.sleep
    )
    yield Place(case, simulator, clock, ways, here)
    await here.aclose()


async def test_a_whole_life_keeps_the_contract_on_both_sides(place: Place):
    here, can = place.here, place.here.facts.can
    info = await here.verify()
    assert info.rights >= set(Right) or not info.missing
    order = await place.order()
    machine = await place.until(await here.create(order), MachineState.RUNNING)
    assert [each.id for each in await here.machines()] == [machine.id]
    assert [each.id for each in await here.find(TAG)] == [machine.id]
    await here.figures(machine)
    await here.log(machine)
    assert bool(order.volume) == bool(can.volume)
    left = {each.id for each in await here.leftovers() if each.kind is ResourceKind.VOLUME}
    assert left == ({order.volume} if order.volume else set())
    if can.restart:
        await here.act(machine, Action.RESTART)
        machine = await place.until(machine, MachineState.RUNNING)
    if can.stop:
        await here.act(machine, Action.STOP)
        machine = await place.until(machine, MachineState.STOPPED)
        await here.act(machine, Action.START)
        machine = await place.until(machine, MachineState.RUNNING)
    await here.end(machine)
    await here.end(machine)
    for _ in range(STEPS):
        place.clock.pass_s(STEP_SECONDS)
        if not await here.find(TAG):
            break
    for resource in await here.leftovers():
        if not resource.attached:
            await here.remove(resource)
    place.simulator.world.settle()
    assert {kind for kind, _ in place.simulator.world.present()} <= {"key"}
    assert list(await here.leftovers()) == []
    assert len(place.ways.judged.seen) > 8
    assert place.ways.judged.broken == []


@pytest.mark.parametrize("fault", REFUSALS)
async def test_refusals_keep_the_contract_and_are_told_in_our_words(place: Place, fault):
    place.simulator.world.faults.add(fault)
    with pytest.raises(REFUSALS[fault]):
        await place.here.machines()
    assert place.ways.judged.broken == []


@pytest.mark.parametrize("fault", REFUSED_ORDERS)
async def test_refused_orders_keep_the_contract_and_leave_nothing(place: Place, fault):
    order = await place.order(full=False)
    place.simulator.world.faults.add(fault)
    with pytest.raises(REFUSED_ORDERS[fault]):
        await place.here.create(order)
    place.simulator.world.faults.clear()
    assert await place.here.find(TAG) == []
    assert place.ways.judged.broken == []


async def test_what_is_not_there_is_not_found(place: Place):
    with pytest.raises(NotFound):
        await place.here.machine(place.case.absent)
    await place.here.end(Machine(place.case.absent, "mine", place.here.facts.id, tag="pd-404"))
    assert place.ways.judged.broken == []


async def test_a_key_that_may_only_look_is_told_so(place: Place):
    if not place.case.scopes:
        pytest.skip("its keys may do all")
    order = await place.order(full=False)
    account = place.simulator.world.account(place.simulator.ready.key)
    account.rights = frozenset({Right.SEE})
    with pytest.raises(AuthFailed) as refused:
        await place.here.create(order)
    assert refused.value.cause == "missing_right"
    assert place.ways.judged.broken == []


async def test_the_judge_is_awake(place: Place, behind: Behind):
    def nonsense(*parts: Any) -> Answered:
        status, headers, body = place.simulator.answer(*parts)
        return status, headers, b"7" if status == 200 else body

    behind.stage["now"] = nonsense
    with pytest.raises(PersonaDeskError):
        await place.here.machines()
    assert place.ways.judged.broken
