"""What the guardian hears of a rented machine: the provider's word, and never a guess."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from personadesk.deploy.rented.fleet import Fleet
from personadesk.deploy.rented.keeping import RentedMachines
from personadesk.domain.errors import BadRequest, NotFound, Unreachable
from personadesk.domain.guarding import Box
from personadesk.domain.machine import Action, MachineState, Order
from personadesk.domain.provider import Ability
from personadesk.domain.text import T
from personadesk.store.spending import Bill, SpendingStore


@pytest.fixture
def machines(world: Any) -> RentedMachines:
    return RentedMachines(world.rentals, world.hosts, clock=world.clock)


async def rent(world: Any) -> str:
    offer = replace(world.cloud.offers[0], account="acc")
    _, machine = await world.rentals.make(Order("pd-1", offer, "ssh-ed25519 AAAA me"))
    return str(machine.id)


@pytest.mark.parametrize(
    ("state", "box"),
    [
        (MachineState.RUNNING, Box.RUNNING),
        (MachineState.BOOTING, Box.CHANGING),
        (MachineState.STOPPED, Box.STOPPED),
        (MachineState.FAILED, Box.BROKEN),
        (MachineState.LOST, Box.BROKEN),
        (MachineState.ENDED, Box.GONE),
        (MachineState.UNKNOWN, Box.UNKNOWN),
    ],
)
async def test_a_machine_stands_as_its_provider_says(world, machines, state, box):
    number = await rent(world)
    world.cloud.machines[number] = replace(world.cloud.machines[number], state=state)
    assert await machines.box("pd-1") is box


async def test_a_machine_without_its_gpu_is_told_from_one_that_runs(world, machines):
    number = await rent(world)
    world.cloud.machines[number] = replace(world.cloud.machines[number], count=0)
    assert await machines.box("pd-1") is Box.NO_GPU


async def test_a_provider_that_does_not_answer_says_nothing_about_the_machine(world, machines):
    await rent(world)
    world.cloud.broken = Unreachable(T("No answer."))
    assert await machines.box("pd-1") is Box.UNKNOWN


async def test_what_is_no_longer_there_is_gone_and_what_ends_is_not_yet(world, machines):
    assert await machines.box("pd-1") is Box.GONE, "nothing was ever rented"
    number = await rent(world)
    assert not await machines.going("pd-1")
    world.cloud.keep_when_ended = 1
    await machines.end("pd-1")
    assert await machines.going("pd-1")
    assert await machines.box("pd-1") is Box.CHANGING
    await machines.gone("pd-1")
    assert number not in world.cloud.machines
    assert await machines.box("pd-1") is Box.GONE


async def test_a_machine_that_vanished_by_itself_is_gone(world, machines):
    del world.cloud.machines[await rent(world)]
    assert await machines.box("pd-1") is Box.GONE


async def test_a_machine_rests_by_its_providers_word_alone(world, machines, monkeypatch):
    assert await machines.rests("pd-1"), "nothing was ever rented"
    number = await rent(world)
    assert not await machines.rests("pd-1")
    stopped = replace(world.cloud.machines[number], state=MachineState.STOPPED)
    world.cloud.machines[number] = stopped
    assert not await machines.rests("pd-1"), "here a machine that is off costs as one that runs"
    provider = await world.rentals.accounts.provider("acc")
    can = replace(provider.facts.can, stop=Ability(can=True))
    monkeypatch.setattr(type(provider), "facts", replace(provider.facts, can=can))
    assert await machines.rests("pd-1")
    assert not await machines.rests("pd-1", ended=True)
    world.cloud.broken = Unreachable(T("No answer."))
    with pytest.raises(Unreachable):
        await machines.rests("pd-1")
    world.cloud.broken = None
    world.cloud.keep_when_ended = 1
    await machines.end("pd-1")
    assert await machines.rests("pd-1", ended=True), "the record sees to it from now on"


async def test_whoever_wants_a_machine_to_run_says_so_before_it_does(world, machines):
    number = await rent(world)
    told: list[str] = []

    async def wanted(tag: str) -> None:
        told.append(tag)

    world.rentals.on_wanted = wanted
    del world.cloud.machines[number]
    with pytest.raises(NotFound):
        await machines.wake("pd-1")
    assert told == ["pd-1"]
    number = await rent(world)
    machine = replace(
        world.cloud.machines[number], actions=frozenset({Action.RESTART, Action.STOP})
    )
    await world.fleet.act(machine, Action.STOP)
    assert told == ["pd-1"]
    await world.fleet.act(machine, Action.RESTART)
    assert told == ["pd-1", "pd-1"]


async def test_what_may_not_be_restarted_is_not(world, machines):
    await rent(world)
    with pytest.raises(BadRequest, match="does not restart"):
        await machines.restart("pd-1")


async def test_a_machine_that_a_person_stops_is_told_before_it_stops(world):
    number = await rent(world)
    told: list[tuple[str, bool]] = []

    async def by_hand(tag: str) -> None:
        told.append((tag, number in world.cloud.machines))

    fleet = Fleet(
        world.accounts, world.rentals, SpendingStore(world.database), world.hosts, dict, by_hand=by_hand
    )  # fmt: skip
    await fleet.act(world.cloud.machines[number], Action.END)
    assert told == [("pd-1", True)]
    assert number not in world.cloud.machines


async def test_what_a_line_has_cost_is_the_sum_over_all_its_machines(world):
    spending = SpendingStore(world.database)
    await spending.bill([
        Bill("pd-1", "acc", "m-1", "a", 0.0, 3600.0, 2.0),
        Bill("pd-2", "acc", "m-2", "a", 0.0, 7200.0, 1.0),
        Bill("pd-3", "acc", "m-3", "b", 0.0, 3600.0, 9.0),
    ])  # fmt: skip
    assert await spending.of_line("a") == pytest.approx(4.0)
