"""Google's machines against its simulator, every request and answer held against the discovery document."""

from __future__ import annotations

import json

import pytest

from peers.discovery import DiscoveryJudge
from peers.simulated import Clock, transport
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    Unreachable,
)
from personadesk.domain.machine import Action, MachineState, Order, ResourceKind, SshIdentity
from personadesk.domain.offer import Need
from personadesk.providers import catalog as providers
from personadesk.providers.google.calls import Google
from personadesk.rehearsal import catalog, google
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.http import Answer
from personadesk.rehearsal.things import Refused, State, Why

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample me@here"
HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n"
CREDENTIALS = {"api_key": google.key_file()}
"""Made once: it takes a while."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulator(clock):
    made = catalog.make(google.Google, clock=clock)
    assert isinstance(made, google.Google)
    return made


@pytest.fixture
def judge(simulator):
    outside = ("/token", "/v1/projects/")
    return DiscoveryJudge("google-compute-v1.discovery.json", transport(simulator), outside=outside)


@pytest.fixture
async def there(judge, clock):
    account = Account("lab", "google", base_url="https://compute.googleapis.com")
    made = providers.make(account, CREDENTIALS, transport=judge, clock=clock, sleep=clock.sleep)
    yield made
    await made.aclose()


async def order(there: Google, number: int = 0, **options) -> Order:
    found = sorted(await there.offers(Need()), key=lambda each: (each.price, each.region))
    return Order(tag="pd-1", token="pd-1-1", offer=found[number], public_key=PUBLIC, **options)


async def settled(there: Google, clock: Clock, machine_id: str, seconds: float = 60):
    clock.pass_s(seconds)
    return await there.machine(machine_id)


# -- the account ------------------------------------------------------------------------------------------------


async def test_an_account_tells_who_it_is_what_it_may_and_how_many_gpus_it_may_have(there, clock):
    info = await there.verify()
    assert info.who == "voice@rehearsal.iam.gserviceaccount.com"
    assert info.rights == frozenset(Right)
    assert [str(each) for each in info.limits] == ["GPUs at a time: 16, 0 in use"]
    assert (info.balance, info.missing, info.checked) == (None, (), clock.now)


async def test_a_weak_key_is_told_by_the_names_of_the_rights_that_it_lacks(there, simulator):
    simulator.world.add_account("weak", google.KEY, rights=frozenset({Right.SEE}), balance=None)
    info = await there.verify()
    assert info.rights == {Right.SEE}
    missing = [str(each) for each in info.missing]
    assert "The right “compute.instances.create” is missing." in missing
    with pytest.raises(AuthFailed) as found:
        await there.create(await order(there))
    assert found.value.cause == "missing_right"
    assert "compute.instances.create" in str(found.value.next)


async def test_where_google_does_not_tell_rights_it_is_tried_whether_machines_may_be_listed(
    there, simulator, judge
):
    simulator.world.faults.add(Fault.FAIL_BEFORE, calls="testIamPermissions")
    with pytest.raises(ProviderFault):
        await there.verify()
    simulator.permissions = lambda request: simulator.refusal(
        Refused(Why.NOT_FOUND, "off"), request
    )
    simulator.world.faults.clear()
    info = await there.verify()
    assert info.rights == {Right.SEE}
    assert "isn't told" in str(info.limits[-1])
    assert judge.seen[-1] == ("GET", "/compute/v1/projects/rehearsal/aggregated/instances")


async def test_a_key_that_may_not_even_look_is_refused(there, simulator):
    simulator.world.held.accounts[google.KEY].rights = frozenset()
    with pytest.raises(AuthFailed) as found:
        await there.verify()
    assert found.value.cause == "missing_right"
    simulator.permissions = lambda request: Answer.json({"permissions": []})
    simulator.world.held.accounts[google.KEY].rights = frozenset({Right.SEE})
    with pytest.raises(AuthFailed) as found:
        await there.verify()
    assert "“compute.instances.list”" in str(found.value.next)


async def test_wrong_and_expired_keys_are_told_apart(there, simulator):
    simulator.world.held.accounts[google.KEY].expired = True
    with pytest.raises(AuthFailed) as expired:
        await there.verify()
    simulator.world.held.accounts.clear()
    with pytest.raises(AuthFailed) as wrong:
        await there.verify()
    assert (expired.value.cause, wrong.value.cause) == ("expired_key", "bad_key")


async def test_keys_that_go_bad_on_demand_are_told_apart(there, simulator):
    for fault, cause in ((Fault.EXPIRED_KEY, "expired_key"), (Fault.WRONG_KEY, "bad_key")):
        simulator.world.faults.add(fault, times=1)
        with pytest.raises(AuthFailed) as found:
            await there.verify()
        assert found.value.cause == cause


async def test_one_token_serves_an_hour_and_a_new_one_is_fetched_before_it_ends(
    there, clock, judge
):
    await there.machines()
    await there.machines()
    clock.pass_s(3400)
    await there.machines()
    assert [path for _, path in judge.seen].count("/token") == 2


async def test_a_token_that_is_refused_is_not_used_again(there, simulator, judge):
    await there.machines()
    simulator.world.faults.add(Fault.WRONG_KEY, times=1, calls="aggregated")
    with pytest.raises(AuthFailed):
        await there.machines()
    assert await there.machines() == []
    assert [path for _, path in judge.seen].count("/token") == 2


async def test_a_wrong_clock_is_told_as_such(judge, clock):
    account = Account("lab", "google", base_url="https://compute.googleapis.com")
    there = Google(account, CREDENTIALS, transport=judge, clock=lambda: clock.now - 90_000)
    with pytest.raises(BadRequest, match="clock") as found:
        await there.verify()
    assert found.value.cause == "clock"
    await there.aclose()


# -- offers -----------------------------------------------------------------------------------------------------


async def test_each_zone_has_one_offer_for_a_gpu_with_a_dated_price(there):
    found = await there.offers(Need())
    assert {(each.ref, each.gpu, each.memory_gb) for each in found} == {
        ("g2-standard-8", "L4", 24), ("a2-highgpu-1g", "A100 40GB", 40), ("a3-highgpu-1g", "H100", 80),
    }  # fmt: skip
    assert len(found) == 9
    cheapest = min(found, key=lambda each: (each.price, each.region))
    assert (cheapest.region, cheapest.place) == ("europe-west4-a", "Netherlands")
    assert (cheapest.price, cheapest.estimated, cheapest.price_date) == (0.85, True, "2026-11-23")
    assert cheapest.stock == "unknown"
    assert cheapest.disk_price == pytest.approx(60 * 0.1 / 730)


async def test_spot_is_offered_beside_where_it_will_do_and_small_gpus_are_left_out(there):
    spot = [each for each in await there.offers(Need(spot=True)) if each.spot]
    assert len(spot) == 9
    assert all(each.price < 4 for each in spot)
    assert {each.gpu for each in await there.offers(Need(memory_gb=80))} == {"H100"}
    assert await there.offers(Need(memory_gb=500)) == []


async def test_long_lists_are_read_to_their_last_page(there, simulator):
    simulator.most_a_page = 2
    assert len(await there.offers(Need())) == 9


async def test_an_account_without_quota_learns_where_to_ask_for_it(there, simulator):
    simulator.world.held.accounts[google.KEY].quota = 0
    with pytest.raises(QuotaExceeded) as found:
        await there.offers(Need())
    assert "console.cloud.google.com/iam-admin/quotas" in str(found.value.next)


# -- life -------------------------------------------------------------------------------------------------------


async def test_a_machine_is_made_with_our_key_a_known_host_key_and_our_label(
    there, simulator, clock
):
    wish = await order(there, identity=SshIdentity(HOST_KEY, "ssh-ed25519 AAAA"), disk_gb=80)
    made = await there.create(wish)
    assert (made.id, made.tag, made.state) == (
        "europe-west4-a/pd-1-1", "pd-1", MachineState.BOOTING,
    )  # fmt: skip
    (body,) = simulator.world.machines()
    assert (body.host_key, body.keys, body.disk_gb) == (HOST_KEY, (PUBLIC,), 80)
    assert body.data["scheduling"] == {"onHostMaintenance": "TERMINATE", "automaticRestart": True}
    up = await settled(there, clock, made.id)
    assert (up.state, up.gpu, up.memory_gb, up.price) == (MachineState.RUNNING, "L4", 24, 0.85)
    assert (up.ssh.host, up.ssh.port, up.ssh.user) == (body.host, 22, "ubuntu")
    assert (up.account, up.provider, up.place) == ("lab", "google", "Netherlands")
    assert up.actions == {Action.STOP, Action.RESTART, Action.END}
    assert up.created == pytest.approx(body.created)
    assert [each.id for each in await there.find("pd-1")] == [made.id]


async def test_a_lease_lets_a_machine_switch_itself_off(there, simulator):
    await there.create(await order(there, lease_hours=2.5))
    (body,) = simulator.world.machines()
    config = json.loads(body.user_data.removeprefix("#cloud-config\n"))
    (script, *_) = (each["content"] for each in config["write_files"])
    assert "9000" in script
    assert "systemctl poweroff" in script


async def test_asking_again_makes_no_second_machine(there, simulator, clock):
    wish = await order(there)
    simulator.world.faults.add(Fault.DROP_AFTER, times=1, calls="POST .*/instances")
    first = await there.create(wish)
    again = await there.create(wish)
    # Also when Google has long forgotten the request.
    simulator._by_request.clear()
    later = await there.create(wish)
    assert first.id == again.id == later.id
    assert len(simulator.world.machines()) == 1


async def test_somebody_elses_machine_of_that_name_is_not_taken_for_ours(there, simulator):
    wish = await order(there)
    simulator.world.create(
        simulator.world.held.accounts[google.KEY], "g2-standard-8",
        machine_id=f"{wish.offer.region}/pd-1-1", region=wish.offer.region, name="pd-1-1",
    )  # fmt: skip
    with pytest.raises(BadRequest):
        await there.create(wish)


async def test_a_zone_without_a_gpu_says_so_after_it_has_taken_the_order(there, simulator):
    simulator.world.faults.add(Fault.NO_CAPACITY)
    wish = await order(there)
    with pytest.raises(NoCapacity, match="no L4 free in Netherlands") as found:
        await there.create(wish)
    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in found.value.details
    assert simulator.world.machines() == []
    # A machine that is asked about afterwards tells the same.
    with pytest.raises(NoCapacity):
        await there.machine(f"{wish.offer.region}/pd-1-1")


async def test_a_machine_that_never_was_is_not_found(there):
    with pytest.raises(NotFound):
        await there.machine("us-central1-a/pd-none")


async def test_quota_money_and_a_type_that_is_gone_are_told_apart(there, simulator):
    wish = await order(there)
    for fault, kind in ((Fault.QUOTA, "QuotaExceeded"), (Fault.NO_MONEY, "OutOfFunds")):
        simulator.world.faults.add(fault, times=1)
        with pytest.raises(PersonaDeskError) as found:
            await there.create(wish)
        assert found.value.type_name == kind
    del simulator.world.held.kinds["g2-standard-8"]
    with pytest.raises(NoCapacity) as gone:
        await there.create(wish)
    assert gone.value.cause == "not_here"


async def test_an_answer_that_never_comes_leaves_it_open_what_was_done(there, simulator):
    wish = await order(there)
    simulator.world.faults.add(Fault.DROP_AFTER, calls="POST .*/instances")
    with pytest.raises(Unreachable) as found:
        await there.create(wish)
    assert found.value.cause == "maybe_done"
    assert [each.tag for each in await there.find("pd-1")] == ["pd-1"]


async def test_a_machine_is_stopped_started_restarted_and_ended(there, simulator, clock):
    made = await there.create(await order(there))
    up = await settled(there, clock, made.id)
    await there.act(up, Action.STOP)
    assert (await there.machine(up.id)).state is MachineState.STOPPING
    off = await settled(there, clock, up.id)
    assert (off.state, off.said) == (MachineState.STOPPED, "TERMINATED")
    assert off.price == pytest.approx(60 * 0.1 / 730)
    assert off.actions == {Action.START, Action.END}
    await there.act(off, Action.START)
    assert (await there.machine(up.id)).state is MachineState.RUNNING
    await there.act(up, Action.RESTART)
    await there.act(up, Action.END)
    clock.pass_s(60)
    with pytest.raises(NotFound):
        await there.machine(up.id)
    await there.end(up)
    assert simulator.world.present() == set()


async def test_a_stopped_machine_whose_gpu_was_given_away_says_so(there, simulator, clock):
    made = await there.create(await order(there))
    up = await settled(there, clock, made.id)
    await there.act(up, Action.STOP)
    off = await settled(there, clock, up.id)
    simulator.world.faults.add(Fault.GPU_GONE_AT_START)
    with pytest.raises(NoCapacity) as found:
        await there.act(off, Action.START)
    assert found.value.cause == "gpu_taken"


async def test_spot_machines_are_asked_for_as_such_and_stopped_when_taken_back(
    there, simulator, clock
):
    offers = [each for each in await there.offers(Need(spot=True)) if each.spot]
    made = await there.create(Order("pd-1", offers[0], PUBLIC))
    (body,) = simulator.world.machines()
    assert body.data["scheduling"] == {
        "onHostMaintenance": "TERMINATE", "automaticRestart": False, "provisioningModel": "SPOT",
        "instanceTerminationAction": "STOP",
    }  # fmt: skip
    up = await settled(there, clock, made.id)
    assert up.spot
    simulator.world.lose(body)
    lost = await there.machine(made.id)
    assert (lost.state, lost.said) == (MachineState.LOST, "REPAIRING the host is gone")
    assert "repairs" in str(lost.reason)


# -- addresses --------------------------------------------------------------------------------------------------


async def test_a_fixed_address_stays_over_a_stop_and_goes_with_its_machine(there, simulator, clock):
    made = await there.create(await order(there, static_address=True))
    up = await settled(there, clock, made.id)
    (address,) = await there.leftovers()
    assert (address.kind, address.tag, address.attached) == (ResourceKind.ADDRESS, "pd-1", up.id)
    assert up.ssh.host in address.name
    await there.act(up, Action.STOP)
    await there.act(await settled(there, clock, up.id), Action.START)
    assert (await there.machine(up.id)).ssh.host == up.ssh.host
    await there.act(up, Action.END)
    assert simulator.world.present() == set()


async def test_a_fixed_address_without_a_machine_is_given_back(there, simulator):
    simulator.world.faults.add(Fault.NO_CAPACITY)
    with pytest.raises(NoCapacity):
        await there.create(await order(there, static_address=True))
    assert simulator.world.present() == set()


async def test_an_address_that_was_left_over_is_found_and_removed(there, simulator):
    owner = simulator.world.held.accounts[google.KEY]
    for name, labels in (("pd-2-1", {"personadesk": "pd-2"}), ("theirs", {})):
        simulator.world.keep(
            owner, "address", thing_id=f"us-central1/{name}", name=name, region="us-central1",
            labels=labels, data={"ip": "192.0.2.1"},
        )  # fmt: skip
    (left,) = await there.leftovers()
    assert (left.tag, left.attached, left.account) == ("pd-2", "", "lab")
    await there.remove(left)
    await there.remove(left)
    assert simulator.world.present() == {("address", "us-central1/theirs")}


async def test_a_machines_log_is_what_it_wrote(there, clock):
    made = await there.create(await order(there))
    up = await settled(there, clock, made.id)
    assert list(await there.log(up)) == ["made", "booting", "running"]


async def test_what_is_written_to_google_is_never_more_than_its_contract(there, simulator, clock):
    """The judge has seen each kind of call by now; here it sees that none was left unjudged."""
    made = await there.create(await order(there, static_address=True))
    await there.act(await settled(there, clock, made.id), Action.END)
    outside = [path for _, path in simulator.seen if not path.startswith("/compute/v1/")]
    assert set(outside) == {"/token"}


def test_every_state_of_the_world_has_a_word():
    assert set(google._WORDS) | {State.ENDED} == set(State)


async def test_unknown_fields_and_states_are_no_reason_to_fail(there, clock):
    import httpx

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "t", "new": 1})
        shown = {"name": "x", "status": "DREAMING", "zone": "z/us-east1-b", "new": {"a": []}}
        items = {"zones/us-east1-b": {"instances": [shown], "warning": {}}}
        assert (request.url.port, request.url.path.count("/compute/v1/")) == (1, 1)
        return httpx.Response(200, json={"items": items, "unreachables": [], "kind": "k"})

    account = Account("lab", "google", base_url="http://127.0.0.1:1/compute/v1")
    odd = Google(account, CREDENTIALS, transport=httpx.MockTransport(handle), clock=clock)
    (machine,) = await odd.machines()
    assert (machine.state, machine.said, machine.tag) == (MachineState.UNKNOWN, "DREAMING", "")
    assert (machine.ssh, machine.actions, machine.created) == (None, {Action.END}, None)
    await odd.aclose()


def test_the_key_file_of_the_rehearsal_is_read_as_one():
    assert json.loads(CREDENTIALS["api_key"])["private_key_id"] == google.KEY
