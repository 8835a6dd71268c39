"""The offers are walked until one can be had; what cannot be mended by another offer ends the walk."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from personadesk.deploy.rented.fleet import Fleet
from personadesk.deploy.rented.renting import Renting
from personadesk.deploy.step import Context
from personadesk.deploy.steps.rented import BootStep, RentStep
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    OutOfFunds,
    ProviderFault,
    QuotaExceeded,
    Unreachable,
)
from personadesk.domain.machine import Action, MachineState, Resource, ResourceKind
from personadesk.domain.offer import Stock
from personadesk.domain.plan import RENT, Plan, RentWish
from personadesk.domain.progress import DeployState
from personadesk.domain.provider import Ability
from personadesk.domain.text import T, Text
from personadesk.store import paths
from personadesk.store.journal import Journal, Purpose
from personadesk.store.rentals import RentalState
from personadesk.store.spending import SpendingStore


@pytest.fixture
def renting(world) -> Renting:
    return Renting(world.rentals, world.hosts, clock=world.clock)


@pytest.fixture
async def make_context(world):
    journal = Journal(world.database)
    said: list[str] = []

    async def make(**wish) -> Context:
        plan = Plan("pd-1", place=RENT, rent=RentWish(**wish))
        await journal.begin(plan, Purpose.DEPLOY, 0.0)

        def log(source: str, text: Text | str, warning: bool) -> None:
            said.append(str(text))

        return Context(plan, paths.folders(), journal, None, None, {}, lambda text, part: None, log)

    make.said = said  # type: ignore[attr-defined]
    return make


async def test_the_best_offer_is_taken_and_what_was_rented_is_told(world, renting, make_context):
    context = await make_context()
    text = await RentStep(renting).run(context)
    assert str(text) == "A10, Toy, toy, $0.50 /h"
    assert context.facts["machine"] in world.cloud.machines
    # Doing it again finds what is there.
    await RentStep(renting).run(context)
    assert len(world.cloud.machines) == 1


async def test_a_sold_out_offer_is_followed_by_the_next(world, renting, make_context):
    world.cloud.refuse["small"] = NoCapacity("none")
    rental = await renting.rent(await make_context())
    assert rental.offer.ref == "large"
    assert [each.state for each in await world.rentals.store.of("pd-1")] == [
        RentalState.REFUSED, RentalState.MADE,
    ]  # fmt: skip
    assert any("none" in line for line in make_context.said)


async def test_the_chosen_offer_comes_first_and_may_be_the_only_one(world, renting, make_context):
    await world.fleet.refresh()
    large = replace(world.cloud.offers[1])
    assert (await renting.rent(await make_context(offers=(large.key,)))).offer.ref == "large"
    await world.rentals.wait_until_ended("pd-1", 5, 0.0)
    world.cloud.refuse["large"] = NoCapacity("none")
    with pytest.raises(NoCapacity):
        await renting.rent(await make_context(offers=(large.key,), next_best=False))
    assert world.cloud.machines == {}


async def test_a_price_limit_holds(world, renting, make_context):
    world.cloud.refuse["small"] = NoCapacity("none")
    with pytest.raises(NoCapacity):
        await renting.rent(await make_context(max_price=0.6))
    assert [order.offer.ref for order in world.cloud.orders] == ["small"]


@pytest.mark.parametrize("error", [AuthFailed("no"), OutOfFunds("no")])
async def test_a_refused_key_or_an_empty_purse_ends_the_walk(world, renting, make_context, error):
    world.cloud.refuse["small"] = error
    with pytest.raises(type(error)):
        await renting.rent(await make_context())
    assert len(world.cloud.orders) == 1


async def test_a_quota_bars_its_region_and_another_is_tried(world, renting, make_context):
    world.cloud.offers = [
        replace(world.cloud.offers[0], region="east"),
        replace(world.cloud.offers[1], region="east"),
        replace(world.cloud.offers[1], ref="west", region="west", price=2.0),
    ]
    world.cloud.refuse["small"] = QuotaExceeded("limit")
    assert (await renting.rent(await make_context())).offer.ref == "west"


async def test_a_doubt_ends_the_walk_so_that_nothing_is_rented_twice(world, renting, make_context):
    world.cloud.refuse["small"] = Unreachable("late", cause="maybe_done")
    context = await make_context()
    with pytest.raises(Unreachable):
        await renting.rent(context)
    with pytest.raises(ProviderFault, match="not known yet"):
        await renting.rent(context)
    assert len(world.cloud.orders) == 1


async def test_a_hopeless_machine_is_ended_and_the_next_offer_taken(
    world, renting, make_context, monkeypatch
):
    made = world.cloud.make

    def make(order, now):
        machine = made(order, now)
        if order.offer.ref == "small":
            machine = replace(machine, state=MachineState.FAILED, said="OCI error")
            world.cloud.machines[machine.id] = machine
        return machine

    monkeypatch.setattr(world.cloud, "make", make)
    context = await make_context()
    await RentStep(renting).run(context)
    # The second one never gets an address here; that it is waited for is all that counts.
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.0):
            await BootStep(renting).run(context)
    assert [order.offer.ref for order in world.cloud.orders] == ["small", "large"]
    assert [m.gpu for m in world.cloud.machines.values()] == ["A10"]
    assert (await world.rentals.current("pd-1")).offer.ref == "large"


async def test_one_look_that_fails_does_not_end_the_machine_that_is_waited_for(
    world, renting, make_context
):
    context = await make_context()
    await RentStep(renting).run(context)
    world.cloud.broken = ProviderFault("It has a fault of its own.")
    waiting = asyncio.create_task(BootStep(renting).run(context))
    async with asyncio.timeout(5.0):
        while not any("fault of its own" in line for line in make_context.said):
            await asyncio.sleep(0.01)
    world.cloud.broken = None
    await asyncio.sleep(0.1)
    assert not waiting.done()
    assert len(world.cloud.machines) == 1
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_undo_ends_what_was_rented(world, renting, make_context):
    context = await make_context()
    await RentStep(renting).run(context)
    assert await RentStep(renting).undo(context)
    assert world.cloud.machines == {}
    assert not await RentStep(renting).undo(context)


async def test_a_failed_deploy_may_keep_its_machine_for_a_look(world, renting, make_context):
    context = await make_context(hold_failed=True)
    await RentStep(renting).run(context)
    context.ending = DeployState.FAILED
    assert not await RentStep(renting).undo(context)
    assert len(world.cloud.machines) == 1
    world.clock.now += 1801
    await world.fleet.reconcile()
    assert world.cloud.machines == {}
    # Cancelling keeps nothing.
    await RentStep(renting).run(context)
    context.ending = DeployState.CANCELLED
    assert await RentStep(renting).undo(context)
    assert world.cloud.machines == {}


@pytest.mark.parametrize("next_best", [True, False])
@pytest.mark.parametrize("way", ["never boots", "never answers"])
async def test_a_machine_that_does_not_come_up_is_kept_for_a_look_where_that_is_wished(
    world, renting, make_context, monkeypatch, next_best, way
):
    made = world.cloud.make

    def make(order, now):
        machine = made(order, now)
        if way == "never boots":
            machine = replace(machine, state=MachineState.FAILED, said="OCI error")
        world.cloud.machines[machine.id] = machine
        return machine

    async def wait(seconds):
        world.clock.now += 300.0
        await asyncio_sleep(0)

    asyncio_sleep = asyncio.sleep
    monkeypatch.setattr(world.cloud, "make", make)
    monkeypatch.setattr("personadesk.deploy.rented.renting.asyncio.sleep", wait)
    context = await make_context(hold_failed=True, next_best=next_best)
    await RentStep(renting).run(context)
    with pytest.raises((ProviderFault, Unreachable)) as failed:
        await BootStep(renting).run(context)
    assert failed.value.cause == ("hopeless" if way == "never boots" else "boot_timeout")
    assert "end it now" in str(failed.value.next)
    assert "kept for 30 minutes" in str(failed.value.money)
    context.ending = DeployState.FAILED
    assert not await BootStep(renting).undo(context)
    assert not await RentStep(renting).undo(context)
    assert [order.offer.ref for order in world.cloud.orders] == ["small"]
    view = await world.fleet.reconcile()
    (machine,) = view.kept
    until = world.clock.now + 1800
    assert view.held == {machine.key: until}
    # PersonaDesk is started again, and knows from its record alone.
    again = Fleet(
        world.accounts, world.rentals, SpendingStore(world.database), world.hosts, dict, clock=world.clock
    )  # fmt: skip
    assert (await again.reconcile()).held == {machine.key: until}
    assert len(world.cloud.machines) == 1
    world.clock.now = until + 1
    assert not (await again.reconcile()).kept
    assert world.cloud.machines == {}


async def test_one_that_is_kept_can_be_ended_at_once_or_gone_on_with(world, renting, make_context):
    context = await make_context(hold_failed=True)
    await RentStep(renting).run(context)
    context.ending = DeployState.FAILED
    await RentStep(renting).undo(context)
    # Going on takes the end back.
    await RentStep(renting).run(context)
    assert (await world.fleet.reconcile()).held == {}
    await RentStep(renting).undo(context)
    (machine,) = (await world.fleet.refresh()).kept
    await world.fleet.act(machine, Action.END)
    assert world.cloud.machines == {}
    assert (await world.fleet.reconcile()).held == {}


async def test_of_a_machine_that_is_gone_already_nothing_is_kept_and_the_next_is_taken(
    world, renting, make_context, monkeypatch
):
    context = await make_context(hold_failed=True)
    await RentStep(renting).run(context)
    world.cloud.machines.clear()
    monkeypatch.setattr("personadesk.deploy.rented.renting.SILENCE_SECONDS", -1.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await BootStep(renting).run(context)
    assert [order.offer.ref for order in world.cloud.orders][:2] == ["small", "large"]


async def test_a_deploy_that_is_stopped_keeps_its_machine_when_that_was_asked(
    world, renting, make_context
):
    context = await make_context()
    await RentStep(renting).run(context)
    await world.rentals.hold("pd-1", 1800.0)
    context.ending = DeployState.CANCELLED
    assert not await RentStep(renting).undo(context)
    assert len(world.cloud.machines) == 1
    # Whoever goes on with it takes the end back; stopped again, it is ended as usual.
    await RentStep(renting).run(context)
    rental = await world.rentals.current("pd-1")
    assert (rental.state, rental.hold_until) == (RentalState.MADE, None)
    assert await RentStep(renting).undo(context)
    assert world.cloud.machines == {}


async def test_without_offers_the_reason_is_told(world, renting, make_context):
    world.cloud.offers = []
    with pytest.raises(NoCapacity, match="Nothing that fits"):
        await renting.rent(await make_context())
    world.cloud.broken = AuthFailed("wrong key")
    with pytest.raises(AuthFailed, match="wrong key"):
        await renting.rent(await make_context())


async def test_what_is_said_to_be_sold_out_is_tried_last(world, renting, make_context):
    small, large = world.cloud.offers
    world.cloud.offers = [replace(small, stock=Stock.NONE), large]
    world.cloud.refuse = {"large": NoCapacity("none"), "small": NoCapacity("none")}
    with pytest.raises(NoCapacity):
        await renting.rent(await make_context(offers=(key_of(small), key_of(large))))
    assert [order.offer.ref for order in world.cloud.orders] == ["large", "small"]


def key_of(offer) -> str:
    return replace(offer, account="acc").key


async def test_a_limit_among_sold_out_offers_is_what_is_told(world, renting, make_context):
    world.cloud.refuse = {"small": QuotaExceeded("no more"), "large": NoCapacity("none")}
    world.cloud.offers[1] = replace(world.cloud.offers[1], region="west")
    with pytest.raises(QuotaExceeded):
        await renting.rent(await make_context())


async def test_a_machine_that_stops_by_itself_is_not_waited_for(world, renting, make_context):
    context = await make_context(next_best=False)
    rental = await renting.rent(context)
    machine = world.cloud.machines[rental.machine_id]
    world.cloud.machines[machine.id] = replace(machine, state=MachineState.STOPPED)
    with pytest.raises(ProviderFault) as found:
        await renting.wait(context, rental)
    assert found.value.cause == "hopeless"
    assert "it is stopped" in found.value.details + str(found.value.what)


@pytest.mark.parametrize("was_there", [False, True])
async def test_an_empty_volume_goes_again_when_its_machine_cannot_be_had(
    world, renting, make_context, monkeypatch, was_there
):
    provider = await world.accounts.provider("acc")
    can = replace(provider.facts.can, volume=Ability(can=True, reason=T("It can.")))
    monkeypatch.setattr(type(provider), "facts", replace(provider.facts, can=can))
    volume = Resource(ResourceKind.VOLUME, "vol-1", "acc")
    world.cloud.leftovers = [volume] if was_there else []

    async def volume_for(self, offer, disk_gb) -> str:
        world.cloud.leftovers = [volume]
        return "vol-1"

    monkeypatch.setattr(type(provider), "volume_for", volume_for)
    world.cloud.refuse = {"small": OutOfFunds("no"), "large": OutOfFunds("no")}
    with pytest.raises(OutOfFunds):
        await renting.rent(await make_context())
    assert world.cloud.removed == ([] if was_there else ["vol-1"])


async def test_what_was_known_of_a_lost_machine_is_not_believed_of_the_next(
    world, renting, make_context
):
    context = await make_context()
    await renting.rent(context)
    await context.remember(folder="/home/of/the/first", proved="pd-1", line_before={"port": 8998})
    await renting.rent(context)
    assert context.facts["folder"] == "/home/of/the/first"
    first = context.facts["machine"]
    await world.rentals.wait_until_ended("pd-1", 5, 0.0)
    await renting.rent(context)
    assert context.facts["machine"] != first
    assert {"folder", "proved"}.isdisjoint(context.facts)
    assert context.facts["line_before"] == {"port": 8998}


async def test_a_budget_lets_a_cheaper_offer_through_and_says_itself_when_none_fits(
    world, renting, make_context
):
    left = [0.6]

    async def may_start(tag: str, price: float | None) -> None:
        if (price or 0.0) > left[0] or not left[0]:
            raise BadRequest("The budget does not pay for it.", cause="budget")

    world.rentals.may_start = may_start
    context = await make_context(offers=("acc|large||own",))
    assert (await renting.rent(context)).offer.ref == "small"
    await world.rentals.wait_until_ended("pd-1", 5, 0.0)
    for money in (0.3, 0.0):
        left[0] = money
        with pytest.raises(BadRequest, match="does not pay"):
            await renting.rent(context)
    assert len(await world.rentals.store.of("pd-1")) == 1
    assert world.cloud.orders[1:] == []
