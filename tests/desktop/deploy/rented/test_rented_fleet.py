"""Every account is held against the record: what must end is ended, what is ours is found, costs are added up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from personadesk.domain.errors import BadRequest, NotFound, Unreachable
from personadesk.domain.host import HostKey, SshAddress
from personadesk.domain.machine import Action, Order, Resource, ResourceKind
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.provider import Ability
from personadesk.domain.text import T
from personadesk.store.rentals import RentalState


def order(tag: str) -> Order:
    offer = Offer("acc", "toy", "small", "A10", 24, price=0.5, stock=Stock.HIGH)
    return Order(tag, offer, "ssh-ed25519 AAAA me")


async def test_a_machine_with_our_tag_that_nobody_knows_is_a_stray_until_it_is_adopted(world):
    known, machine = await world.rentals.make(order("pd-1"))
    stray = world.cloud.make(order("pd-2"), world.clock())
    foreign = world.cloud.make(order(""), world.clock())
    view = await world.fleet.reconcile()
    assert [m.id for m in view.strays] == [stray.id]
    assert {m.id for m in view.machines} == {machine.id, stray.id, foreign.id}
    assert known.tag in {m.tag for m in view.without_line()}
    await world.fleet.adopt(view.strays[0])
    assert (await world.fleet.refresh()).strays == ()
    # Nothing was ended that a person did not ask for.
    assert len(world.cloud.machines) == 3


async def test_a_machine_that_is_gone_is_written_down_as_ended(world):
    _, machine = await world.rentals.make(order("pd-1"))
    await world.fleet.reconcile()
    del world.cloud.machines[machine.id]
    await world.fleet.reconcile()
    [rental] = await world.rentals.store.of("pd-1")
    assert rental.state is RentalState.ENDED


async def test_a_machine_whose_age_is_not_told_is_as_old_as_our_record(world):
    _, machine = await world.rentals.make(order("pd-1"))
    made = world.clock()
    world.cloud.machines[machine.id] = replace(machine, created=None)
    world.clock.now += 60
    view = await world.fleet.refresh()
    assert [m.created for m in view.machines] == [made]


async def test_silence_is_not_gone(world):
    _, machine = await world.rentals.make(order("pd-1"))
    await world.fleet.refresh()
    world.cloud.broken = Unreachable("away")
    view = await world.fleet.reconcile()
    assert [m.id for m in view.machines] == [machine.id]
    assert view.accounts["acc"].error is world.cloud.broken
    [rental] = await world.rentals.store.of("pd-1")
    assert rental.state is RentalState.MADE


async def test_what_should_end_is_ended_by_the_next_comparison(world):
    await world.rentals.make(order("pd-1"))
    world.cloud.keep_when_ended = 1
    await world.rentals.end("pd-1")
    await world.fleet.reconcile()
    await world.fleet.reconcile()
    assert world.cloud.machines == {}
    assert await world.rentals.store.open() == []


async def test_a_machine_that_was_kept_for_a_look_ends_when_its_time_is_over(world):
    await world.rentals.make(order("pd-1"))
    await world.rentals.hold("pd-1", 1800)
    await world.fleet.reconcile()
    assert len(world.cloud.machines) == 1
    world.clock.now += 1801
    await world.fleet.reconcile()
    assert world.cloud.machines == {}


async def test_what_hung_on_an_ended_machine_is_removed_and_volumes_stay(world):
    await world.rentals.make(order("pd-1"))
    await world.rentals.end("pd-1")
    await world.rentals.end("pd-1")
    world.cloud.leftovers = [
        Resource(ResourceKind.ADDRESS, "ip-1", "acc", "pd-1"),
        Resource(ResourceKind.VOLUME, "vol-1", "acc", "pd-1"),
        Resource(ResourceKind.ADDRESS, "ip-2", "acc", "pd-9"),
        # A startup script of one deploy, which was cut off before it removed it.
        Resource(ResourceKind.KEY, "script-1", "acc", "pd-1", price=0.0),
        Resource(ResourceKind.KEY, "key-of-all", "acc", price=0.0),
        Resource(ResourceKind.ADDRESS, "ip-3", "acc", "pd-1", attached="m-7"),
    ]
    await world.fleet.reconcile()
    assert world.cloud.removed == ["ip-1", "script-1"]


async def test_costs_are_added_up_once_whoever_looks_and_however_seldom(world):
    await world.rentals.make(order("pd-1"))
    world.lines["pd-1"] = "Front desk"
    world.clock.now += 3600
    await world.fleet.refresh()
    await world.fleet.refresh()
    assert world.fleet.view.spent["pd-1"] == pytest.approx(0.5)
    world.clock.now += 48 * 3600
    await world.fleet.refresh()
    assert world.fleet.view.spent["pd-1"] == pytest.approx(0.5 * 49)
    costs = await world.fleet._spending.since("2000-01-01")
    assert len({cost.day for cost in costs}) >= 3
    assert sum(cost.seconds for cost in costs) == pytest.approx(49 * 3600)
    assert {cost.line for cost in costs} == {"Front desk"}


async def test_a_machine_is_found_by_any_of_its_names_and_acted_upon(world):
    _, machine = await world.rentals.make(order("pd-1"))
    await world.fleet.refresh()
    for word in (machine.id, machine.key, "pd-1"):
        assert (await world.fleet.machine(word)).id == machine.id
    with pytest.raises(NotFound):
        await world.fleet.machine("m-99")
    with pytest.raises(BadRequest, match="cannot be done"):
        await world.fleet.act(await world.fleet.machine(machine.id), Action.START)
    await world.fleet.act(await world.fleet.machine(machine.id), Action.END)
    assert world.cloud.machines == {}


async def test_a_changed_address_is_followed_with_the_key_that_was_pinned(world):
    _, machine = await world.rentals.make(order("pd-1"))
    key = HostKey("ssh-ed25519", "AAAA", "SHA256:x")
    await world.hosts.know_rented("pd-1", SshAddress("127.0.0.9", 22, "root"), key, "acc")
    moved = SshAddress("127.0.0.10", 2222, "root")
    world.cloud.machines[machine.id] = replace(machine, ssh=moved)
    await world.fleet.refresh()
    record = await world.hosts.store.get("pd-1")
    assert record.address == moved
    assert await world.hosts.store.pinned(moved.place) == key
    assert [host.name for host in await world.hosts.store.own()] == []


async def test_a_second_machine_under_a_tag_of_ours_is_not_overlooked(world):
    _, known = await world.rentals.make(order("pd-1"))
    twin = world.cloud.make(order("pd-1"), world.clock())
    view = await world.fleet.reconcile()
    assert [m.id for m in view.strays] == [twin.id]
    assert set(world.cloud.machines) == {known.id, twin.id}


async def test_a_machine_of_somebody_else_is_not_adopted(world):
    foreign = world.cloud.make(order(""), world.clock())
    await world.fleet.refresh()
    with pytest.raises(BadRequest) as found:
        await world.fleet.adopt(await world.fleet.machine(foreign.id))
    assert found.value.cause == "not_ours"
    assert await world.rentals.store.open() == []


async def test_why_a_thing_can_be_done_at_all_is_no_reason_why_not_now(world, monkeypatch):
    provider = await world.accounts.provider("acc")
    can = replace(
        provider.facts.can, start=Ability(can=True, reason=T("It starts.")),
        restart=Ability(can=False, reason=T("It never restarts.")),
    )  # fmt: skip
    monkeypatch.setattr(type(provider), "facts", replace(provider.facts, can=can))
    _, machine = await world.rentals.make(order("pd-1"))
    with pytest.raises(BadRequest) as found:
        await world.fleet.act(machine, Action.START)
    assert "Wait until its state has changed" in str(found.value.next)
    with pytest.raises(BadRequest) as found:
        await world.fleet.act(machine, Action.RESTART)
    assert str(found.value.next) == "It never restarts."
