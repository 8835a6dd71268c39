"""Faults: at the next occasion, so many times, or by chance, each with what it does to the world."""

from __future__ import annotations

import json

import httpx
import pytest

from peers.simulated import transport
from personadesk.rehearsal.faults import Fault, Faults, Rule
from personadesk.rehearsal.http import Dropped
from personadesk.rehearsal.things import State

KEY = {"Authorization": "Bearer rehearsal-nimbus"}
ORDER = json.dumps({"kind": "n1-l4", "region": "eu", "name": "pd-1"}).encode()


def order(nimbus) -> int:
    return nimbus.answer("POST", "/v1/machines", headers=KEY, body=ORDER)[0]


def test_a_counted_fault_is_used_up_and_a_chance_repeats_itself():
    faults = Faults(seed=7)
    faults.add(Fault.NO_CAPACITY, times=2)
    assert [faults.happens(Fault.NO_CAPACITY) is not None for _ in range(3)] == [True, True, False]
    faults.add(Fault.FAIL_BEFORE, probability=0.3)
    happened = [faults.happens(Fault.FAIL_BEFORE) is not None for _ in range(1000)]
    assert 240 < sum(happened) < 360
    again = Faults(seed=7)
    again.add(Fault.NO_CAPACITY, times=2)
    for _ in range(3):
        again.happens(Fault.NO_CAPACITY)
    again.add(Fault.FAIL_BEFORE, probability=0.3)
    assert [again.happens(Fault.FAIL_BEFORE) is not None for _ in range(1000)] == happened


def test_a_rule_is_for_its_provider_and_its_calls_only():
    faults = Faults()
    rule = faults.add(Fault.RATE_LIMIT, provider="nimbus", calls="^POST /v1/machines$")
    assert faults.happens(Fault.RATE_LIMIT, provider="other", call="POST /v1/machines") is None
    assert faults.happens(Fault.RATE_LIMIT, provider="nimbus", call="GET /v1/machines") is None
    assert faults.happens(Fault.RATE_LIMIT, provider="nimbus", call="POST /v1/machines") == rule
    assert faults.remove(rule.id)
    assert not faults.remove(rule.id)
    assert faults.rules() == ()


def test_a_chance_per_minute_counts_the_time_that_passed():
    faults = Faults(seed=1)
    faults.add(Fault.GPU_VANISHES, probability=0.5)
    hits = sum(faults.happens(Fault.GPU_VANISHES, share=0.1) is not None for _ in range(10_000))
    assert hits / 10_000 == pytest.approx(1 - 0.5**0.1, abs=0.01)


@pytest.mark.parametrize(
    "values",
    [
        {"fault": "rain"},
        {"fault": "quota", "probability": 0},
        {"fault": "quota", "calls": "("},
        {"fault": "quota", "colour": "red"},
        {"fault": "quota", "times": 0},
    ],
)
def test_rules_that_make_no_sense_are_refused(values):
    with pytest.raises(ValueError):
        Rule.from_json(values)


def test_a_rule_survives_json():
    rule = Rule(Fault.SLOW_ANSWER, calls="GET", probability=0.5, seconds=0.1)
    assert Rule.from_json(json.loads(json.dumps(rule.as_json()))) == rule


def test_failing_before_leaves_nothing_and_failing_after_leaves_a_machine(nimbus):
    nimbus.world.faults.add(Fault.FAIL_BEFORE, times=1)
    assert order(nimbus) == 500
    assert nimbus.world.present() == set()
    nimbus.world.faults.add(Fault.FAIL_AFTER, times=1)
    assert order(nimbus) == 500
    assert len(nimbus.world.present()) == 1


def test_dropping_before_and_after_differ_in_the_same_way(nimbus):
    for fault, left in ((Fault.DROP_BEFORE, 0), (Fault.DROP_AFTER, 1)):
        nimbus.world.faults.add(fault, times=1)
        with pytest.raises(Dropped):
            order(nimbus)
        assert len(nimbus.world.present()) == left


async def test_a_dropped_connection_is_a_read_error_for_httpx(nimbus):
    nimbus.world.faults.add(Fault.DROP_AFTER)
    async with httpx.AsyncClient(transport=transport(nimbus), base_url="http://nimbus") as client:
        with pytest.raises(httpx.ReadError):
            await client.get("/v1/machines", headers=KEY)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.RATE_LIMIT, 429, "rate"), (Fault.WRONG_KEY, 401, "bad-key"),
        (Fault.EXPIRED_KEY, 401, "expired"), (Fault.NO_MONEY, 402, "no-money"),
        (Fault.NO_CAPACITY, 409, "no-capacity"), (Fault.QUOTA, 403, "quota"),
    ],
)  # fmt: skip
def test_refusals_on_demand_say_why(nimbus, fault, status, code):
    nimbus.world.faults.add(fault, times=1, seconds=3)
    got, headers, body = nimbus.answer("POST", "/v1/machines", headers=KEY, body=ORDER)
    assert (got, json.loads(body)["error"]["code"]) == (status, code)
    assert headers.get("retry-after") == ("3" if fault is Fault.RATE_LIMIT else None)
    assert nimbus.world.present() == set()
    assert order(nimbus) == 201


def test_boots_can_be_slow_or_fail(nimbus, clock):
    nimbus.world.faults.add(Fault.SLOW_BOOT, times=1)
    order(nimbus)
    (machine,) = nimbus.world.machines()
    clock.pass_s(30)
    nimbus.world.settle()
    assert machine.state is State.BOOTING
    clock.pass_s(11)
    nimbus.world.settle()
    assert machine.state is State.RUNNING
    nimbus.world.faults.add(Fault.BOOT_FAILS, times=1)
    order(nimbus)
    clock.pass_s(5)
    nimbus.world.settle()
    assert [each.state for each in nimbus.world.machines()] == [State.RUNNING, State.FAILED]


def test_machines_and_gpus_vanish_while_they_run(nimbus, clock):
    order(nimbus)
    order(nimbus)
    clock.pass_s(5)
    nimbus.world.settle()
    nimbus.world.faults.add(Fault.GPU_VANISHES, times=1)
    clock.pass_s(1)
    nimbus.world.settle()
    first, second = nimbus.world.machines()
    assert (first.state, first.gpus, second.gpus) == (State.RUNNING, 0, 1)
    nimbus.world.faults.add(Fault.MACHINE_VANISHES, times=1)
    nimbus.world.settle()
    assert first.state is State.LOST
    nimbus.world.end(first)
    clock.pass_s(2)
    nimbus.world.settle()
    assert nimbus.world.present() == {("machine", second.id)}


def test_a_start_can_find_the_gpu_given_away(nimbus, clock):
    order(nimbus)
    clock.pass_s(5)
    (machine,) = nimbus.world.machines()
    nimbus.world.settle()
    nimbus.world.stop(machine)
    clock.pass_s(2)
    nimbus.world.faults.add(Fault.GPU_GONE_AT_START, times=1)
    path = f"/v1/machines/{machine.id}/start"
    assert nimbus.answer("POST", path, headers=KEY)[0] == 409
    assert nimbus.answer("POST", path, headers=KEY)[0] == 202
