"""A host, an offer or a region that did badly is not tried again at once; when nothing else is left, it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from personadesk.deploy.rented import market
from personadesk.deploy.rented.keeping import RentedMachines
from personadesk.deploy.rented.memory import Memory
from personadesk.deploy.rented.renting import Renting
from personadesk.deploy.step import Context
from personadesk.deploy.steps.rented import BootStep, RentStep
from personadesk.domain.errors import BadRequest, HostUnfit, NoCapacity, ProviderFault, Unreachable
from personadesk.domain.host import HostKey, SshAddress
from personadesk.domain.machine import MachineState
from personadesk.domain.offer import Need
from personadesk.domain.plan import RENT, Plan, RentWish
from personadesk.domain.progress import DeployState, StepName
from personadesk.domain.reputation import DAY, Kind, Scope
from personadesk.domain.wish import Place, plan_for, wish_of
from personadesk.store import paths
from personadesk.store.coding import text_from_json
from personadesk.store.experiences import ExperienceStore
from personadesk.store.journal import Journal, Purpose


@pytest.fixture
def renting(world) -> Renting:
    return Renting(world.rentals, world.hosts, clock=world.clock)


@pytest.fixture
async def make_context(world):
    journal = Journal(world.database)

    async def make(tag: str = "pd-1", plan: Plan | None = None, **wish) -> Context:
        plan = plan or Plan(tag, place=RENT, rent=RentWish(**wish))
        await journal.begin(plan, Purpose.DEPLOY, 0.0)
        return Context(
            plan, paths.folders(), journal, None, None, {}, lambda text, part: None,
            lambda source, text, warning: None,
        )  # fmt: skip

    return make


@pytest.fixture
def hosted(world):
    """Three offers on three hosts in two regions, cheapest first."""
    first, second = world.cloud.offers
    world.cloud.offers = [
        replace(first, region="SE", host="h1"),
        replace(second, ref="other", region="SE", host="h2", price=0.7),
        replace(second, region="NO", host="h3"),
    ]
    return world


async def kinds(world) -> list[Kind]:
    return [each.kind for each in await world.memory._store.all()]


async def looked(world) -> market.Market:
    return await market.look(world.accounts, Need(memory_gb=0.0), memory=world.memory)


async def test_a_host_that_lost_its_gpu_is_left_alone_by_the_next_deploy(
    hosted, renting, make_context
):
    first = await renting.rent(await make_context("pd-1"))
    assert first.offer.host == "h1"
    await hosted.rentals.blame("pd-1", Kind.GPU_LOST)
    await hosted.rentals.wait_until_ended("pd-1", 5, 0.0)
    context = await make_context("pd-2")
    assert (await renting.rent(context)).offer.host == "h2"
    told = str(text_from_json(context.facts["passed_over"]))
    assert told.startswith("Toy, A10, SE was passed over. Left alone until ")
    assert "a machine lost its GPU" in told
    found = await looked(hosted)
    assert [each.host for each in found.offers] == ["h2", "h3", "h1"]
    assert [each.host for each in found.plain] == ["h1", "h2", "h3"]


async def test_a_region_in_which_two_hosts_did_badly_comes_after_the_others(
    hosted, renting, make_context
):
    for tag in ("pd-1", "pd-2"):
        await renting.rent(await make_context(tag))
        await hosted.rentals.blame(tag, Kind.BROKE)
        await hosted.rentals.wait_until_ended(tag, 5, 0.0)
    hosted.cloud.offers.insert(0, replace(hosted.cloud.offers[0], ref="new", host="h4", price=0.1))
    assert [each.host for each in (await looked(hosted)).offers] == ["h3", "h4", "h1", "h2"]


async def test_when_only_what_did_badly_is_left_it_is_rented_and_the_reason_told(
    hosted, renting, make_context
):
    for tag in ("pd-1", "pd-2", "pd-3"):
        await renting.rent(await make_context(tag))
        await hosted.rentals.blame(tag, Kind.NEVER_UP)
        await hosted.rentals.wait_until_ended(tag, 5, 0.0)
    context = await make_context("pd-4")
    assert (await renting.rent(context)).offer.host == "h1"
    told = str(text_from_json(context.facts["passed_over"]))
    assert told.startswith(
        "Only what did badly before could be had: Toy, A10, SE. Left alone until "
    )


async def test_it_is_known_after_a_restart_and_its_time_passes(hosted, renting, make_context):
    await renting.rent(await make_context())
    await hosted.rentals.blame("pd-1", Kind.GPU_LOST)
    again = Memory(ExperienceStore(hosted.database), clock=hosted.clock)
    offer = replace(hosted.cloud.offers[0], account="acc")
    assert (await again.reputation()).level(offer) == 2
    hosted.clock.now += 3 * DAY
    assert (await again.reputation()).level(offer) == 0


async def test_a_person_who_chose_it_all_the_same_gets_it_and_the_guardian_does_not_insist(
    hosted, renting, make_context
):
    await renting.rent(await make_context())
    await hosted.rentals.blame("pd-1", Kind.SLOW)
    await hosted.rentals.wait_until_ended("pd-1", 5, 0.0)
    key = replace(hosted.cloud.offers[0], account="acc").key
    chosen = Plan("pd-2", place=RENT, rent=RentWish(offers=(key,), insist=True, max_price=5.0))
    context = await make_context(plan=chosen)
    assert (await renting.rent(context)).offer.host == "h1"
    assert not context.facts["passed_over"]
    await hosted.rentals.wait_until_ended("pd-2", 5, 0.0)
    wish = wish_of(chosen)
    assert wish.places == (Place(RENT, chosen.rent),)
    mended = plan_for(wish, wish.places[0], "pd-3", 9000, spent=0.0)
    assert (await renting.rent(await make_context(plan=mended))).offer.host == "h2"


async def test_what_is_forgotten_comes_first_again(hosted, renting, make_context):
    await renting.rent(await make_context())
    await hosted.rentals.blame("pd-1", Kind.GPU_LOST)
    found = await looked(hosted)
    held = found.reputation.against(found.plain[0])
    assert {each.subject.scope for each in held} == {Scope.HOST, Scope.OFFER}
    hosted.clock.now += 1
    await hosted.memory.forget(held)
    assert [each.host for each in (await looked(hosted)).offers] == ["h1", "h2", "h3"]
    await hosted.memory.forget_all()
    assert await kinds(hosted) == []


async def test_an_offer_that_is_refused_as_sold_out_comes_later_for_some_minutes(
    world, renting, make_context
):
    world.cloud.refuse["small"] = NoCapacity("none")
    await renting.rent(await make_context())
    assert await kinds(world) == [Kind.SOLD_OUT]
    assert [each.ref for each in (await looked(world)).offers] == ["large", "small"]
    world.clock.now += 301
    assert [each.ref for each in (await looked(world)).offers] == ["small", "large"]


@pytest.mark.parametrize("error", [BadRequest("x", cause="budget"), ProviderFault("x")])
async def test_what_is_not_the_offers_fault_is_not_held_against_it(
    world, renting, make_context, error
):
    world.cloud.refuse = {"small": error, "large": error}
    with pytest.raises((BadRequest, ProviderFault)):
        await renting.rent(await make_context())
    assert await kinds(world) == []


@pytest.mark.parametrize(
    ("state", "kind"),
    [(MachineState.FAILED, Kind.NEVER_UP), (MachineState.STOPPED, Kind.VANISHED)],
)
async def test_a_machine_that_does_not_come_up_is_remembered(
    world, renting, make_context, state, kind
):
    context = await make_context(next_best=False)
    rental = await renting.rent(context)
    machine = world.cloud.machines[rental.machine_id]
    world.cloud.machines[machine.id] = replace(machine, state=state)
    with pytest.raises(ProviderFault):
        await BootStep(renting).run(context)
    assert await kinds(world) == [kind]


async def test_a_machine_that_somebody_here_ended_is_not_to_blame(
    world, renting, make_context, monkeypatch
):
    async def wait(seconds):
        world.clock.now += 300.0

    monkeypatch.setattr("personadesk.deploy.rented.renting.asyncio.sleep", wait)
    context = await make_context(next_best=False)
    rental = await renting.rent(context)
    await world.rentals.end("pd-1")
    with pytest.raises(ProviderFault):
        await renting.wait(context, rental)
    assert await kinds(world) == []


@pytest.mark.parametrize("offline", [False, True])
async def test_a_machine_that_lets_nobody_in_is_to_blame_unless_this_computer_was_offline(
    world, renting, make_context, monkeypatch, offline
):
    context = await make_context(next_best=False)
    rental = await renting.rent(context)

    async def wait(seconds):
        world.clock.now += 300.0
        if offline:
            world.cloud.broken = Unreachable("Nobody answers.")

    monkeypatch.setattr("personadesk.deploy.rented.renting.asyncio.sleep", wait)
    with pytest.raises(Unreachable) as failed:
        await renting.wait(context, rental)
    assert failed.value.cause == "boot_timeout"
    assert await kinds(world) == ([] if offline else [Kind.NEVER_UP])


@pytest.mark.parametrize(
    ("step", "error", "state", "remembered"),
    [
        (
            StepName.VOICE_TEST,
            HostUnfit("x", cause="voice_slow"),
            MachineState.RUNNING,
            [Kind.SLOW],
        ),
        (StepName.CHECK, HostUnfit("x", cause="driver"), MachineState.RUNNING, [Kind.OLD_DRIVER]),
        (
            StepName.INSTALL,
            Unreachable("x", cause="connection_lost"),
            MachineState.LOST,
            [Kind.BROKE],
        ),
        (StepName.INSTALL, Unreachable("x", cause="connection_lost"), MachineState.RUNNING, []),
        (StepName.LINE, BadRequest("x", cause="port_taken"), MachineState.RUNNING, []),
    ],
)
async def test_a_deploy_that_fails_blames_its_machine_only_where_that_did_it(
    world, renting, make_context, step, error, state, remembered
):
    context = await make_context()
    rental = await renting.rent(context)
    machine = world.cloud.machines[rental.machine_id]
    world.cloud.machines[machine.id] = replace(machine, state=state)
    context.ending, context.failure = DeployState.FAILED, (step, error)
    assert await RentStep(renting).undo(context)
    assert await kinds(world) == remembered


async def test_a_person_who_cancels_blames_nobody(world, renting, make_context):
    context = await make_context()
    await renting.rent(context)
    context.ending = DeployState.CANCELLED
    assert await RentStep(renting).undo(context)
    assert await kinds(world) == []


async def test_a_deploy_that_is_done_forgives(hosted, renting, make_context):
    await renting.rent(await make_context("pd-1"))
    await hosted.rentals.blame("pd-1", Kind.INSTALL)
    await hosted.rentals.wait_until_ended("pd-1", 5, 0.0)
    key = replace(hosted.cloud.offers[0], account="acc").key
    context = await make_context("pd-2", offers=(key,), insist=True)
    await renting.rent(context)
    hosted.clock.now += 60
    await RentStep(renting).settle(context)
    assert [each.host for each in (await looked(hosted)).offers] == ["h1", "h2", "h3"]


async def test_the_fleet_remembers_what_providers_say_and_not_what_we_ended(
    world, renting, make_context
):
    for tag in ("pd-1", "pd-2", "pd-3"):
        await renting.rent(await make_context(tag))
    lost, gone, ended = [await world.rentals.current(f"pd-{n}") for n in (1, 2, 3)]
    machine = world.cloud.machines[lost.machine_id]
    world.cloud.machines[machine.id] = replace(machine, state=MachineState.LOST)
    del world.cloud.machines[gone.machine_id]
    world.cloud.keep_when_ended = 1
    await world.rentals.end_one(ended)
    await world.fleet.reconcile()
    lived = {(each.machine, each.kind) for each in await world.memory._store.all()}
    assert lived == {("pd-1/1", Kind.BROKE), ("pd-2/1", Kind.VANISHED)}


async def test_a_spot_machine_that_goes_was_taken_back(world, renting, make_context):
    world.cloud.offers = [replace(world.cloud.offers[0], spot=True, host="h1")]
    await renting.rent(await make_context(spot=True))
    await world.rentals.blame("pd-1", Kind.BROKE)
    assert await kinds(world) == [Kind.TAKEN_BACK]
    (doubt,) = (await world.memory.reputation()).all()
    assert doubt.subject.scope is Scope.OFFER


async def test_the_guardian_blames_only_a_machine_that_nobody_ended(world, renting, make_context):
    keeper = RentedMachines(world.rentals, world.hosts, clock=world.clock)
    await renting.rent(await make_context("pd-1"))
    # It cannot be reached here, so it does not tell of its GPU.
    await keeper.blame("pd-1", None)
    assert await kinds(world) == []
    await keeper.blame("pd-1", Kind.GPU_LOST)
    await renting.rent(await make_context("pd-2"))
    await world.rentals.end("pd-2")
    await keeper.blame("pd-2", Kind.GPU_LOST)
    assert [each.machine for each in await world.memory._store.all()] == ["pd-1/1"]


class Box:
    """A machine that answers the check's script."""

    name = "pd-1"

    def __init__(self, *lines: str) -> None:
        self.lines = lines

    async def script(self, *_words, on_line, **_options) -> None:
        for line in (*self.lines, "end"):
            on_line(line)


@pytest.mark.parametrize(
    ("lines", "remembered"),
    [
        (("gpu_fields index, name, memory.total", "gpu 0, NVIDIA A10, 24000"), []),
        (("gpu_reason nvidia: Unable to determine the device handle",), [Kind.GPU_LOST]),
    ],
)
async def test_a_machine_that_nothing_helps_is_asked_whether_it_has_lost_its_gpu(
    world, renting, make_context, monkeypatch, lines, remembered
):
    await renting.rent(await make_context())
    key = HostKey("ssh-ed25519", "AAAA", "SHA256:x")
    await world.hosts.know_rented("pd-1", SshAddress("192.0.2.1", 22, "root"), key, "acc")

    async def host(name):
        return Box(*lines)

    monkeypatch.setattr(world.hosts, "host", host)
    keeper = RentedMachines(world.rentals, world.hosts, clock=world.clock)
    await keeper.blame("pd-1", None)
    assert await kinds(world) == remembered
