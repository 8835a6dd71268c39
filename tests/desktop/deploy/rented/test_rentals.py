"""A machine is written down before it is asked for, and ended only by its provider's word."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from personadesk.deploy.rented import keeping
from personadesk.deploy.rented.rentals import DOUBT_SECONDS
from personadesk.domain.errors import NoCapacity, NotFound, ProviderFault, Unreachable
from personadesk.domain.machine import MachineState, Order
from personadesk.domain.offer import Offer, Stock
from personadesk.store.rentals import RentalState


def order(tag: str = "pd-1", ref: str = "small") -> Order:
    offer = Offer("acc", "toy", ref, "A10", 24, price=0.5, stock=Stock.HIGH)
    return Order(tag, offer, "ssh-ed25519 AAAA me")


async def _states(world, tag: str = "pd-1") -> list[RentalState]:
    return [each.state for each in await world.rentals.store.of(tag)]


async def test_what_is_made_is_known_with_its_id_and_a_token_of_its_own(world):
    rental, machine = await world.rentals.make(order())
    assert (rental.state, rental.machine_id, rental.price) == (RentalState.MADE, machine.id, 0.5)
    assert world.cloud.orders[0].token == "pd-1-1"
    await world.rentals.end("pd-1")
    await world.rentals.make(order())
    assert world.cloud.orders[1].token == "pd-1-2"


async def test_a_refusal_is_final_and_leaves_nothing_open(world):
    world.cloud.refuse["small"] = NoCapacity("none")
    with pytest.raises(NoCapacity):
        await world.rentals.make(order())
    assert await _states(world) == [RentalState.REFUSED]
    assert await world.rentals.store.open() == []


@pytest.mark.parametrize("error", [Unreachable("late", cause="maybe_done"), ProviderFault("500")])
async def test_a_machine_whose_answer_was_lost_is_found_by_its_tag(world, error):
    world.cloud.after.append(error)
    rental, machine = await world.rentals.make(order())
    assert (rental.state, rental.machine_id) == (RentalState.MADE, machine.id)


async def test_an_order_of_which_nothing_is_known_stays_open_until_it_is_certain(world):
    world.cloud.refuse["small"] = Unreachable("late", cause="maybe_done")
    with pytest.raises(Unreachable) as found:
        await world.rentals.make(order())
    assert found.value.cause == "maybe_made"
    assert await _states(world) == [RentalState.ASKED]
    await world.rentals.end("pd-1")
    assert await _states(world) == [RentalState.ENDING]
    world.clock.now += DOUBT_SECONDS + 1
    await world.rentals.end("pd-1")
    assert await _states(world) == [RentalState.ENDED]


async def test_a_machine_that_shows_up_late_is_ended_all_the_same(world):
    world.cloud.refuse["small"] = Unreachable("late", cause="maybe_done")
    with pytest.raises(Unreachable):
        await world.rentals.make(order())
    await world.rentals.end("pd-1")
    late = world.cloud.make(order(), world.clock())
    await world.rentals.end("pd-1")
    assert late.id not in world.cloud.machines
    await world.rentals.end("pd-1")
    [rental] = await world.rentals.store.of("pd-1")
    assert (rental.state, rental.machine_id) == (RentalState.ENDED, late.id)


async def test_a_request_that_never_left_made_nothing(world):
    world.cloud.refuse["small"] = Unreachable("no network", cause="not_sent")
    with pytest.raises(Unreachable):
        await world.rentals.make(order())
    assert await _states(world) == [RentalState.REFUSED]


async def test_ended_is_what_the_provider_says_not_what_we_asked(world):
    await world.rentals.make(order())
    world.cloud.keep_when_ended = 2
    await world.rentals.end("pd-1")
    assert await _states(world) == [RentalState.ENDING]
    assert await world.rentals.wait_until_ended("pd-1", 30.0, pause_s=0.0)
    assert await _states(world) == [RentalState.ENDED]
    assert world.cloud.machines == {}


async def test_a_provider_that_does_not_answer_ends_nothing(world):
    await world.rentals.make(order())
    world.cloud.broken = Unreachable("away")
    with pytest.raises(Unreachable):
        await world.rentals.end("pd-1")
    assert await _states(world) == [RentalState.ENDING]
    world.cloud.broken = None
    await world.rentals.end("pd-1")
    await world.rentals.end("pd-1")
    assert await _states(world) == [RentalState.ENDED]


async def test_a_machine_that_is_still_ending_is_not_taken_for_that_of_the_next_try(world):
    _, old = await world.rentals.make(order())
    world.cloud.machines[old.id] = replace(old, state=MachineState.ENDING)
    world.cloud.after.append(Unreachable("late", cause="maybe_done"))
    rental, machine = await world.rentals.make(order(ref="large"))
    assert machine.id != old.id
    assert rental.machine_id == machine.id


async def test_adopting_what_is_in_the_record_already_writes_nothing_twice(world):
    rental, machine = await world.rentals.make(order())
    assert await world.rentals.adopt(machine, "pd-1") == rental
    assert await world.rentals.store.of("pd-1") == [rental]


async def test_whoever_leans_on_a_machine_is_told_once_when_its_last_one_is_gone(world):
    told: list[str] = []

    async def on_gone(tag: str) -> None:
        told.append(tag)

    world.rentals.on_gone = on_gone
    await world.rentals.make(order())
    await world.rentals.end("pd-1")
    assert told == []
    await world.rentals.end("pd-1")
    assert told == ["pd-1"]


async def test_a_machine_that_runs_and_has_no_address_yet_is_waited_for(world, monkeypatch):
    monkeypatch.setattr(keeping, "_KNOCK_SECONDS", 0.01)
    _, machine = await world.rentals.make(order())
    waking = asyncio.create_task(keeping.RentedMachines(world.rentals, world.hosts).wake("pd-1"))
    done, _ = await asyncio.wait([waking], timeout=0.1)
    assert not done
    world.cloud.machines[machine.id] = replace(machine, state=MachineState.FAILED)
    with pytest.raises(NotFound) as found:
        await asyncio.wait_for(waking, 10)
    assert found.value.cause == "machine_gone"
