"""Azure's machines against its simulator, every request held against the contracts of compute and network."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from peers.azure_judge import AzureJudge
from peers.contracts import ContractBroken
from peers.simulated import Clock, transport
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import (
    AuthFailed,
    NoCapacity,
    NotFound,
    OutOfFunds,
    PersonaDeskError,
    QuotaExceeded,
    Unreachable,
)
from personadesk.domain.machine import Action, MachineState, Order, ResourceKind, SshIdentity
from personadesk.domain.offer import Need, Stock
from personadesk.providers import catalog as providers
from personadesk.providers.azure import facts
from personadesk.providers.azure.calls import Azure
from personadesk.rehearsal import azure, catalog
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.things import State

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample me@here"
HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"
READY = azure.Azure.ready


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock):
    made = catalog.make(azure.Azure, clock=clock)
    assert isinstance(made, azure.Azure)
    return made


@pytest.fixture
def judge(simulator):
    return AzureJudge(transport(simulator))


def enter(judge, clock, **settings: str) -> Azure:
    account = Account("work", "azure", settings={**READY.settings, **settings})
    made = providers.make(
        account, READY.credentials, transport=judge, clock=clock, sleep=clock.sleep
    )
    assert isinstance(made, Azure)
    return made


@pytest.fixture
async def there(judge, clock):
    made = enter(judge, clock)
    yield made
    await made.aclose()


async def order(there: Azure, size: str = "Standard_NC24ads_A100_v4", **options) -> Order:
    found = [each for each in await there.offers(Need()) if each.ref == size]
    offer = next(each for each in found if each.region == "eastus")
    return Order(tag="pd-1", token="pd-1-1", offer=offer, public_key=PUBLIC, **options)


def account_of(simulator):
    return simulator.world.held.accounts[azure.SECRET]


# -- the account ------------------------------------------------------------------------------------------------


async def test_an_account_tells_who_it_is_and_what_it_may(there, clock):
    info = await there.verify()
    assert (info.who, info.rights, info.missing) == ("Rehearsal", frozenset(Right), ())
    assert (info.balance, info.limits, info.checked) == (None, (), clock.now)


async def test_a_weak_application_is_told_by_the_names_of_the_rights_that_it_lacks(
    there, simulator
):
    simulator.world.add_account("weak", azure.SECRET, rights=frozenset({Right.SEE}), balance=None)
    info = await there.verify()
    assert info.rights == {Right.SEE}
    missing = [str(each) for each in info.missing]
    assert "The right “Microsoft.Compute/virtualMachines/write” is missing." in missing
    with pytest.raises(AuthFailed) as found:
        await there.create(await order(there))
    assert found.value.cause == "missing_right"


async def test_wrong_and_expired_secrets_and_closed_subscriptions_are_told_apart(there, simulator):
    account = account_of(simulator)
    account.expired = True
    with pytest.raises(AuthFailed) as expired:
        await there.verify()
    simulator.world.held.accounts.clear()
    with pytest.raises(AuthFailed) as wrong:
        await there.verify()
    assert (expired.value.cause, wrong.value.cause) == ("expired_key", "bad_key")
    account.expired, account.data["state"] = False, "Disabled"
    simulator.world.held.accounts[azure.SECRET] = account
    with pytest.raises(OutOfFunds):
        await there.verify()
    account.data["state"] = "PastDue"
    (limit,) = (await there.verify()).limits
    assert "PastDue" in str(limit)


async def test_keys_that_go_bad_on_demand_are_told_apart(there, simulator):
    for fault, cause in ((Fault.EXPIRED_KEY, "expired_key"), (Fault.WRONG_KEY, "bad_key")):
        simulator.world.faults.add(fault, times=1)
        with pytest.raises(AuthFailed) as found:
            await there.verify()
        assert found.value.cause == cause


async def test_a_tenant_that_does_not_exist_is_no_key(judge, clock):
    there = enter(judge, clock, tenant_id="99999999-9999-9999-9999-999999999999")
    with pytest.raises(AuthFailed, match="didn't accept") as found:
        await there.verify()
    assert "AADSTS90002" in found.value.details
    await there.aclose()


# -- offers -----------------------------------------------------------------------------------------------------


async def test_whole_gpus_are_offered_with_the_public_lists_prices(there):
    found = await there.offers(Need())
    assert len(found) == 9
    a10 = next(each for each in found if each.gpu == "A10" and each.region == "westeurope")
    assert (a10.ref, a10.memory_gb, a10.place) == ("Standard_NV36ads_A10_v5", 24, "Netherlands")
    assert (a10.price, a10.estimated, a10.price_date, a10.stock) == (3.2, False, "", Stock.UNKNOWN)
    assert {each.gpu for each in await there.offers(Need(memory_gb=90))} == {"H100 NVL"}
    spot = [each for each in await there.offers(Need(spot=True)) if each.spot]
    assert {each.price for each in spot} == {0.9, 1.1, 2.1}


async def test_without_the_public_list_a_dated_table_is_shown(there, simulator, caplog):
    caplog.set_level(logging.INFO)
    simulator.world.faults.add(Fault.FAIL_BEFORE, calls="retail")
    found = await there.offers(Need())
    a10 = next(each for each in found if each.gpu == "A10")
    assert (a10.price, a10.estimated, a10.price_date) == (3.2, True, "2026-11-23")
    assert "price list cannot be had" in caplog.text


async def test_what_a_subscription_may_not_have_is_shown_as_sold_out(there, simulator):
    simulator.world.set_free("Standard_NC24ads_A100_v4", "eastus", 0)
    found = await there.offers(Need(memory_gb=80))
    none = [each for each in found if each.stock is Stock.NONE]
    assert [(each.ref, each.region) for each in none] == [("Standard_NC24ads_A100_v4", "eastus")]


async def test_without_quota_the_account_learns_where_to_ask_for_it(there, simulator):
    account_of(simulator).quota = 0
    with pytest.raises(QuotaExceeded) as found:
        await there.offers(Need())
    assert "portal.azure.com" in str(found.value.next)


async def test_long_lists_are_read_to_their_last_page_and_sizes_are_kept_for_an_hour(
    there, simulator, clock
):
    simulator.most_a_page = 2
    assert len(await there.offers(Need())) == 9
    asked = [path for _, path in simulator.seen if path.endswith("/skus")]
    await there.offers(Need())
    assert [path for _, path in simulator.seen if path.endswith("/skus")] == asked
    clock.pass_s(3601)
    await there.offers(Need())
    assert len([path for _, path in simulator.seen if path.endswith("/skus")]) == 2 * len(asked)


# -- life -------------------------------------------------------------------------------------------------------


async def test_a_machine_is_made_in_a_group_of_its_own_and_let_in_by_ssh_alone(there, simulator):
    identity = SshIdentity(HOST_KEY, "ssh-ed25519 AAAA")
    up = await there.create(await order(there, identity=identity, disk_gb=80))
    assert (up.id, up.tag, up.state) == ("pd-1-1/pd-1-1", "pd-1", MachineState.RUNNING)
    assert (up.gpu, up.memory_gb, up.count, up.price) == ("A100 80GB", 80, 1, 3.67)
    assert up.actions == {Action.STOP, Action.RESTART, Action.END}
    (body,) = simulator.world.machines()
    assert (body.host_key, body.keys, body.disk_gb) == (HOST_KEY, (PUBLIC,), 80)
    assert (up.ssh.host, up.ssh.user) == (body.host, "azureuser")
    assert up.created == pytest.approx(body.created)
    (group,) = simulator.world.things(None, "group")
    assert (group.id, group.labels) == ("pd-1-1", {"personadesk": "pd-1"})
    assert sorted(place.split("/")[0] for place in group.data["network"]) == [
        "networkInterfaces", "networkSecurityGroups", "publicIPAddresses", "virtualNetworks",
    ]  # fmt: skip
    (rule,) = group.data["network"]["networkSecurityGroups/pd-1-1"]["properties"]["securityRules"]
    assert rule["properties"]["destinationPortRange"] == "22"
    assert "password" not in json.dumps(body.data["body"]["properties"]["osProfile"]).replace(
        "disablePasswordAuthentication", ""
    )
    assert [each.id for each in await there.find("pd-1")] == [up.id]


async def test_asking_again_makes_no_second_machine(there, simulator):
    wish = await order(there)
    simulator.world.faults.add(Fault.DROP_AFTER, times=1, calls="PUT .*/virtualMachines")
    first = await there.create(wish)
    again = await there.create(wish)
    assert first.id == again.id
    assert len(simulator.world.machines()) == 1


async def test_a_machine_that_failed_for_lack_of_gpus_is_removed_with_its_group(there, simulator):
    simulator.world.faults.add(Fault.NO_CAPACITY)
    with pytest.raises(NoCapacity, match="no A100 80GB free in Virginia, US") as found:
        await there.create(await order(there))
    assert "AllocationFailed" in found.value.details
    assert simulator.world.present() == set()


async def test_what_could_not_be_removed_after_a_failure_is_named_and_found(there, simulator):
    simulator.world.faults.add(Fault.NO_CAPACITY)
    simulator.world.faults.add(Fault.FAIL_BEFORE, calls="DELETE")
    with pytest.raises(NoCapacity) as found:
        await there.create(await order(there))
    assert "group pd-1-1 could not be deleted" in found.value.details
    (failed,) = await there.machines()
    assert (failed.state, failed.actions) == (MachineState.FAILED, {Action.END})
    assert "sufficient capacity" in str(failed.reason)
    simulator.world.faults.clear()
    await there.act(failed, Action.END)
    assert simulator.world.present() == set()


async def test_quota_and_money_are_told_apart_and_leave_nothing(there, simulator):
    wish = await order(there)
    for fault, kind in ((Fault.QUOTA, "QuotaExceeded"), (Fault.NO_MONEY, "OutOfFunds")):
        simulator.world.faults.add(fault, times=1)
        with pytest.raises(PersonaDeskError) as found:
            await there.create(wish)
        assert found.value.type_name == kind
        assert simulator.world.present() == set()


async def test_an_answer_that_never_comes_leaves_it_open_what_was_done(there, simulator):
    wish = await order(there)
    simulator.world.faults.add(Fault.DROP_AFTER, calls="PUT .*/virtualMachines")
    with pytest.raises(Unreachable) as found:
        await there.create(wish)
    assert found.value.cause == "maybe_done"
    assert [each.tag for each in await there.find("pd-1")] == ["pd-1"]


async def test_a_machine_is_deallocated_started_restarted_and_ended(there, simulator, clock):
    up = await there.create(await order(there))
    await there.act(up, Action.STOP)
    stopping = await there.machine(up.id)
    assert (stopping.state, stopping.said) == (MachineState.STOPPING, "Succeeded deallocating")
    clock.pass_s(60)
    off = await there.machine(up.id)
    assert (off.state, off.actions) == (MachineState.STOPPED, {Action.START, Action.END})
    assert off.price == pytest.approx(60 * 0.075 / 730 + 0.005)
    assert off.running_price == 3.67
    await there.act(off, Action.START)
    again = await there.machine(up.id)
    assert (again.state, again.ssh) == (MachineState.RUNNING, up.ssh)
    await there.act(again, Action.RESTART)
    await there.act(again, Action.END)
    assert (await there.machine(up.id)).state is MachineState.ENDING
    clock.pass_s(60)
    with pytest.raises(NotFound):
        await there.machine(up.id)
    await there.end(up)
    assert simulator.world.present() == set()
    assert not [path for _, path in simulator.seen if path.endswith("powerOff")]


async def test_a_stopped_machine_whose_gpu_was_given_away_says_so(there, simulator, clock):
    up = await there.create(await order(there))
    await there.act(up, Action.STOP)
    clock.pass_s(60)
    simulator.world.faults.add(Fault.GPU_GONE_AT_START)
    with pytest.raises(NoCapacity) as found:
        await there.act(await there.machine(up.id), Action.START)
    assert found.value.cause == "gpu_taken"


async def test_a_gpu_that_is_handed_on_in_parts_gets_the_driver_that_it_needs(there, simulator):
    await there.create(await order(there, "Standard_NV36ads_A10_v5"))
    (body,) = simulator.world.machines()
    config = json.loads(body.user_data.removeprefix("#cloud-config\n"))
    assert config["runcmd"] == [["sh", "-c", facts.GRID_DRIVER]]
    image = body.data["body"]["properties"]["storageProfile"]["imageReference"]
    assert image["publisher"] == "Canonical"


async def test_spot_machines_are_asked_for_as_such(there, simulator):
    offers = [each for each in await there.offers(Need(spot=True)) if each.spot]
    made = await there.create(Order("pd-1", offers[0], PUBLIC))
    assert made.spot
    (body,) = simulator.world.machines()
    asked = body.data["body"]["properties"]
    assert (asked["priority"], asked["evictionPolicy"]) == ("Spot", "Deallocate")
    assert asked["billingProfile"] == {"maxPrice": -1}


# -- what is left ------------------------------------------------------------------------------------------------


async def test_groups_of_ours_are_found_with_and_without_a_machine(there, simulator):
    owner = account_of(simulator)
    up = await there.create(await order(there))
    for name, labels in (("pd-2-1", {"personadesk": "pd-2"}), ("theirs", {})):
        simulator.world.keep(
            owner, "group", thing_id=name, name=name, region="eastus", labels=labels, data={"network": {}}
        )  # fmt: skip
    ours = {each.id: each for each in await there.leftovers()}
    assert set(ours) == {"pd-1-1", "pd-2-1"}
    assert (ours["pd-1-1"].attached, ours["pd-2-1"].attached) == (up.id, "")
    assert (ours["pd-2-1"].kind, ours["pd-2-1"].tag) == (ResourceKind.GROUP, "pd-2")
    await there.remove(ours["pd-2-1"])
    await there.remove(ours["pd-2-1"])
    assert ("group", "pd-2-1") not in simulator.world.present()
    assert ("group", "theirs") in simulator.world.present()


async def test_of_other_peoples_machines_only_the_machine_is_ended(there, simulator, clock):
    owner = account_of(simulator)
    simulator.world.keep(owner, "group", thing_id="lab", name="lab", data={"network": {}})
    simulator.world.create(
        owner, "Standard_NC24ads_A100_v4", machine_id="lab/train", name="train", region="eastus"
    )
    clock.pass_s(60)
    (theirs,) = await there.machines()
    assert (theirs.id, theirs.tag, theirs.ssh) == ("lab/train", "", None)
    await there.act(theirs, Action.END)
    clock.pass_s(60)
    assert await there.machines() == []
    assert simulator.world.present() == {("group", "lab")}


def test_every_state_of_the_world_has_a_word():
    known = set(azure._POWER) | set(azure._PROVISIONING) | {State.ENDED}
    assert known == set(State)


async def test_the_judge_is_awake(judge):
    path = "/subscriptions/s/providers/Microsoft.Compute/virtualMachines?api-version=2020-01-01"
    async with httpx.AsyncClient(transport=judge) as client:
        with pytest.raises(ContractBroken):
            await client.get(f"https://management.azure.com{path}")
