"""The rules of a pretend cloud: rights, stock, the life of machines, bills, and a ledger that forgets nothing."""

from __future__ import annotations

import pytest

from personadesk.domain.account import Right
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.things import Refused, State, Why


@pytest.fixture
def world(nimbus):
    return nimbus.world


@pytest.fixture
def me(world):
    return world.account("rehearsal-nimbus")


def made(world, me, number=1, **options):
    options.setdefault("region", "eu")
    return world.create(me, "n1-l4", machine_id=f"m{number}", name=f"pd-{number}", **options)


def running(world, me, clock, **options):
    machine = made(world, me, **options)
    clock.pass_s(5)
    world.settle()
    assert machine.state is State.RUNNING
    return machine


def refusal(call, *args, **options) -> Why:
    with pytest.raises(Refused) as caught:
        call(*args, **options)
    return caught.value.why


def test_wrong_expired_and_weak_keys_are_told_apart(world):
    world.add_account("late", "old", expired=True)
    world.add_account("guest", "weak", rights=frozenset({Right.SEE}))
    assert refusal(world.account, "nobody's") is Why.BAD_KEY
    assert refusal(world.account, "old") is Why.EXPIRED
    assert world.account("weak").name == "guest"
    with pytest.raises(Refused) as caught:
        world.account("weak", Right.RENT)
    assert (caught.value.why, caught.value.right) == (Why.MISSING_RIGHT, Right.RENT)


def test_nothing_is_rented_without_money_or_beyond_the_quota(world, me):
    me.balance = 0.0
    assert refusal(made, world, me) is Why.NO_MONEY
    me.balance, me.quota = 5.0, 1
    made(world, me)
    assert refusal(made, world, me, 2) is Why.QUOTA
    assert world.free("n1-l4", "eu") == 1


def test_stock_runs_out_and_comes_back_when_a_machine_ends(world, me, clock):
    first, _ = made(world, me, 1), made(world, me, 2)
    assert refusal(made, world, me, 3) is Why.NO_CAPACITY
    world.end(first)
    assert world.free("n1-l4", "eu") == 1
    world.end(first)
    clock.pass_s(2)
    world.settle()
    assert world.free("n1-l4", "eu") == 1
    assert made(world, me, 3).region == "eu"


def test_without_a_region_the_first_that_has_one_free_is_taken(world, me):
    world.set_free("n1-l4", "eu", 0)
    world.set_free("n1-l4", "us", 1)
    assert made(world, me, region="").region == "us"
    assert refusal(made, world, me, 2, region="mars") is Why.BAD_REQUEST


def test_a_machine_comes_up_step_by_step_and_has_an_address_only_then(world, me, clock):
    machine = made(world, me)
    assert (machine.state, machine.host) == (State.REQUESTED, "")
    clock.pass_s(1)
    world.settle()
    assert machine.state is State.BOOTING
    assert machine.host.startswith("127.")
    clock.pass_s(3.9)
    world.settle()
    assert machine.state is State.BOOTING
    clock.pass_s(0.1)
    world.settle()
    assert machine.state is State.RUNNING
    assert machine.started == clock.now


def test_all_that_is_due_happens_at_once_when_nobody_looked(world, me, clock):
    machine = made(world, me)
    clock.pass_s(1000)
    world.settle()
    assert machine.state is State.RUNNING
    assert machine.started == machine.created + 5


def test_a_token_makes_one_machine_however_often_it_is_used(world, me):
    first = made(world, me, 1, token="once")
    assert made(world, me, 2, token="once") is first
    other = world.add_account("other", "k2")
    assert made(world, other, 2, token="once") is not first


def test_stop_frees_the_gpu_and_start_may_find_it_gone(world, me, clock):
    machine = running(world, me, clock)
    world.stop(machine)
    clock.pass_s(2)
    world.settle()
    assert machine.state is State.STOPPED
    world.set_free("n1-l4", "eu", 0)
    assert refusal(world.start, machine) is Why.NO_CAPACITY
    assert machine.state is State.STOPPED
    world.set_free("n1-l4", "eu", 1)
    world.start(machine)
    clock.pass_s(3)
    world.settle()
    assert machine.state is State.RUNNING
    assert world.free("n1-l4", "eu") == 0


def test_a_machine_that_was_given_its_address_first_comes_up_there_with_a_port(world, me, clock):
    machine = made(world, me)
    address = world.keep(me, "address", thing_id="ip1")
    host = world.new_address(machine)
    world.pin(machine, address, host)
    clock.pass_s(60)
    world.settle()
    assert (machine.state, machine.host, machine.port) == (State.RUNNING, host, 22)


def test_an_address_changes_over_stop_and_start_unless_one_is_kept(world, me, clock):
    machine = running(world, me, clock)
    before = machine.host
    world.stop(machine)
    clock.pass_s(2)
    world.settle()
    world.start(machine)
    clock.pass_s(3)
    world.settle()
    assert machine.host not in {"", before}
    address = world.keep(me, "address", thing_id="ip1")
    host = world.new_address(machine)
    world.pin(machine, address, host)
    world.stop(machine)
    clock.pass_s(2)
    world.settle()
    world.start(machine)
    clock.pass_s(3)
    world.settle()
    assert machine.host == host


def test_restarting_moves_only_when_the_fault_is_on(world, me, clock):
    machine = running(world, me, clock)
    before = machine.host
    world.restart(machine)
    assert machine.host == before
    clock.pass_s(3)
    world.settle()
    world.faults.add(Fault.ADDRESS_CHANGES, times=1)
    world.restart(machine)
    assert machine.host != before


def test_what_makes_no_sense_in_a_state_is_refused(world, me, clock):
    machine = made(world, me)
    assert refusal(world.stop, machine) is Why.WRONG_STATE
    assert refusal(world.restart, machine) is Why.WRONG_STATE
    clock.pass_s(5)
    world.settle()
    world.start(machine)
    assert machine.state is State.RUNNING
    world.end(machine)
    assert refusal(world.start, machine) is Why.WRONG_STATE


def test_an_ended_machine_is_remembered_for_a_while_and_then_unknown(world, me, clock):
    machine = running(world, me, clock)
    world.end(machine)
    clock.pass_s(2)
    world.settle()
    assert machine.state is State.ENDED
    assert world.machines(me) == []
    assert world.machines(me, ended=True) == [machine]
    clock.pass_s(60)
    world.settle()
    assert refusal(world.machine, me, "m1", ended=True) is Why.NOT_FOUND


def test_another_accounts_machine_is_not_found(world, me):
    made(world, me)
    other = world.add_account("other", "k2")
    assert refusal(world.machine, other, "m1") is Why.NOT_FOUND


def test_running_costs_money_and_stopped_costs_less(world, me, clock):
    machine = running(world, me, clock)
    spent, balance = machine.spent, me.balance
    clock.pass_s(3600)
    world.settle()
    assert machine.spent - spent == pytest.approx(0.6)
    assert balance - me.balance == pytest.approx(0.6)
    world.stop(machine)
    clock.pass_s(2)
    world.settle()
    spent = machine.spent
    clock.pass_s(3600)
    world.settle()
    assert machine.spent - spent == pytest.approx(0.06, rel=0.02)


def test_a_used_up_balance_stops_the_machines(world, me, clock):
    machine = running(world, me, clock)
    me.balance = 0.001
    clock.pass_s(3600)
    world.settle()
    assert machine.state is State.STOPPING
    assert "balance" in machine.reason


def test_volumes_and_keys_are_kept_and_what_belongs_to_a_machine_goes_with_it(world, me, clock):
    machine = running(world, me, clock)
    world.keep(me, "volume", thing_id="v1", attached=machine.id, price=0.01)
    world.keep(me, "volume", thing_id="v2", attached=machine.id, with_machine=True)
    world.end(machine)
    clock.pass_s(2)
    world.settle()
    assert [thing.id for thing in world.things(me, "volume")] == ["v1"]
    assert world.thing(me, "volume", "v1").attached == ""
    assert world.present() == {("volume", "v1")}


def test_the_ledger_keeps_all_that_was_ever_made(world, me, clock):
    machine = running(world, me, clock)
    world.end(machine)
    clock.pass_s(100)
    world.settle()
    told = [entry.what for entry in world.ledger() if entry.id == "m1"]
    assert told == ["made", "booting", "running", "ending", "ended"]
    assert {entry.name for entry in world.ledger()} == {"pd-1"}
    assert world.present() == set()


def test_speed_shortens_boots_and_leaves_money_alone(nimbus, me, clock):
    nimbus.world.speed = 10
    machine = made(nimbus.world, me)
    clock.pass_s(0.5)
    nimbus.world.settle()
    assert machine.state is State.RUNNING
    assert machine.spent == pytest.approx(0.6 * 0.5 / 3600)


def test_a_body_that_fails_makes_a_failed_machine(nimbus, me, clock):
    class Broken(type(nimbus.world._bodies)):
        def boot(self, machine):
            raise OSError("no room left")

    nimbus.world._bodies = Broken()
    machine = made(nimbus.world, me)
    clock.pass_s(5)
    nimbus.world.settle()
    assert machine.state is State.FAILED
    assert "no room left" in machine.reason
    nimbus.world.end(machine)
    clock.pass_s(2)
    nimbus.world.settle()
    assert nimbus.world.present() == set()
