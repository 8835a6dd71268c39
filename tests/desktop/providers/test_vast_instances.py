"""Vast.ai: the life of an instance, against its simulator with its official contract between them."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from peers.simulated import Clock
from personadesk.domain.account import Account
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    OutOfFunds,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from personadesk.domain.host import SshAddress
from personadesk.domain.machine import Action, Machine, MachineState, Order
from personadesk.domain.offer import Need, Offer
from personadesk.domain.sample import Metric
from personadesk.providers.vast import Vast
from personadesk.providers.vast.calls import instance_request
from personadesk.providers.vast.instances import machine_of, readings_of
from personadesk.providers.vast.wire import Instance
from personadesk.rehearsal.faults import Fault

KEY = "rehearsal-vast-key-0001"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake"
Cloud = JudgedCloud[Vast]


@pytest.fixture
def place() -> Cloud:
    return JudgedCloud(Vast, "vast.openapi.json", outside=("/instance_logs",))


async def an_offer(place: Cloud, gpu: str = "RTX 4090", *, spot: bool = False) -> Offer:
    found = await place.here.offers(Need(spot=spot))
    return next(offer for offer in found if offer.gpu == gpu and offer.spot is spot)


async def running(place: Cloud, tag: str = "pd-1", *, spot: bool = False) -> Machine:
    made = await place.here.create(Order(tag, await an_offer(place, spot=spot), PUBLIC))
    place.clock.pass_s(20)
    return await place.here.machine(made.id)


async def test_an_instance_comes_up_step_by_step(place: Cloud):
    made = await place.here.create(Order("pd-1", await an_offer(place), PUBLIC))
    assert (made.state, made.tag, made.account) == (MachineState.REQUESTED, "pd-1", "mine")
    assert (await place.here.machine(made.id)).state is MachineState.PROVISIONING
    place.clock.pass_s(4)
    found = await place.here.machine(made.id)
    assert (found.state, found.ssh) == (MachineState.BOOTING, None)
    assert found.said == "loading / running / running: pulling the image"
    place.clock.pass_s(20)
    found = await place.here.machine(made.id)
    there = place.world.machine(None, made.id)
    assert found.state is MachineState.RUNNING
    assert found.ssh == SshAddress(there.host, there.port, "root"), "spaces around it are dropped"
    assert (found.gpu, found.memory_gb, found.count, found.place) == (
        "RTX 4090",
        24,
        1,
        "Sweden, SE",
    )
    assert (found.price, found.running_price, found.spot) == (0.38, 0.38, False)
    assert found.actions == {Action.STOP, Action.RESTART, Action.END}
    assert there.keys == (PUBLIC,)
    assert there.disk_gb == 80
    assert [each.id for each in await place.here.find("pd-1")] == [made.id]
    assert await place.here.find("pd-2") == []


async def test_stop_start_restart_and_end(place: Cloud):
    instance = await running(place)
    before = instance.ssh
    await place.here.act(instance, Action.STOP)
    assert (await place.here.machine(instance.id)).state is MachineState.STOPPING
    place.clock.pass_s(4)
    instance = await place.here.machine(instance.id)
    assert (instance.state, instance.ssh) == (MachineState.STOPPED, None)
    assert (instance.price, instance.running_price) == (pytest.approx(0.0076), 0.38)
    assert instance.actions == {Action.START, Action.END}
    await place.here.act(instance, Action.START)
    place.clock.pass_s(10)
    instance = await place.here.machine(instance.id)
    assert instance.state is MachineState.RUNNING
    assert instance.ssh != before
    await place.here.act(instance, Action.RESTART)
    assert (await place.here.machine(instance.id)).state is MachineState.BOOTING
    await place.here.act(instance, Action.END)
    await place.here.act(instance, Action.END)
    place.clock.pass_s(5)
    with pytest.raises(NotFound):
        await place.here.machine(instance.id)
    await place.here.end(instance)
    assert place.world.machines() == []


async def test_a_start_without_its_gpu_is_no_capacity_and_does_not_stay_queued(place: Cloud):
    instance = await running(place)
    await place.here.act(instance, Action.STOP)
    place.clock.pass_s(4)
    place.world.faults.add(Fault.GPU_GONE_AT_START, times=1)
    with pytest.raises(NoCapacity) as found:
        await place.here.act(instance, Action.START)
    assert found.value.cause == "gpu_taken"
    assert place.world.machine(None, instance.id).data["asked"] == "stopped"
    assert (await place.here.machine(instance.id)).state is MachineState.STOPPED


async def test_an_offer_that_somebody_else_took_is_no_capacity(place: Cloud):
    offer = await an_offer(place)
    place.world.set_free(offer.ref, offer.region, 0)
    with pytest.raises(NoCapacity, match="RTX 4090 free in Sweden") as found:
        await place.here.create(Order("pd-1", offer, PUBLIC))
    assert (found.value.provider_status, found.value.cause) == (410, "sold_out")
    with pytest.raises(NoCapacity):
        await place.here.create(Order("pd-1", replace(offer, ref="77"), PUBLIC))


async def test_an_outbid_instance_is_lost_and_says_why(place: Cloud):
    instance = await running(place, spot=True)
    assert instance.spot
    assert instance.price == pytest.approx(0.38 * 0.6 * 1.1, abs=1e-4)
    place.world.lose(place.world.machine(None, instance.id))
    found = await place.here.machine(instance.id)
    assert found.state is MachineState.LOST
    assert "pays more" in str(found.reason)


async def test_hopeless_states_are_told_early(place: Cloud):
    place.world.faults.add(Fault.BOOT_FAILS, times=1)
    broken = await running(place)
    assert broken.state is MachineState.FAILED
    assert "OCI runtime create failed" in str(broken.reason)
    await place.here.end(broken)
    place.clock.pass_s(5)
    instance = await running(place, "pd-2")
    place.world.lose(place.world.machine(None, instance.id))
    found = await place.here.machine(instance.id)
    assert (found.state, found.actions) == (MachineState.LOST, {Action.START, Action.END})


async def test_an_instance_that_rests_before_it_ever_ran_has_failed(place: Cloud):
    made = await place.here.create(Order("pd-1", await an_offer(place), PUBLIC))
    there = place.world.machine(None, made.id)
    place.clock.pass_s(5)
    place.world.settle()
    place.world.stop(there)
    there.data["asked"] = "stopped"
    place.clock.pass_s(5)
    (found,) = await place.here.machines()
    assert (found.state, found.actions) == (MachineState.FAILED, {Action.START, Action.END})
    assert "before it ever ran" in str(found.reason)
    await place.here.act(found, Action.STOP)
    assert (await place.here.machine(made.id)).state is MachineState.STOPPED, "now it was asked for"


@pytest.mark.parametrize(
    ("actual", "contract", "coming", "wanted", "state"),
    [
        (None, None, None, None, MachineState.PROVISIONING),
        ("created", "running", "running", "running", MachineState.BOOTING),
        ("loading", "running", "running", "running", MachineState.BOOTING),
        ("running", "running", "running", "running", MachineState.RUNNING),
        ("running", "running", "stopped", "stopped", MachineState.STOPPING),
        ("stopped", "stopped", "stopped", "stopped", MachineState.STOPPED),
        ("stopped", "stopped", "stopped", "running", MachineState.LOST),
        ("stopped", "stopped", "running", "running", MachineState.STARTING),
        (None, "stopped", "stopped", "stopped", MachineState.STOPPED),
        ("exited", "running", "running", "running", MachineState.FAILED),
        ("exited", "stopped", "stopped", "stopped", MachineState.STOPPED),
        ("offline", "running", "running", "running", MachineState.LOST),
        ("unknown", "running", "running", "running", MachineState.LOST),
        ("rebooting", "running", "running", "running", MachineState.BOOTING),
        ("frozen", "running", "running", "running", MachineState.UNKNOWN),
        ("dreaming", "running", "running", "running", MachineState.UNKNOWN),
        ("running", "running", "unloaded", "running", MachineState.ENDING),
    ],
)
def test_four_words_make_one_state(
    actual: str | None, contract: str | None, coming: str | None, wanted: str | None, state: MachineState
):  # fmt: skip
    found = machine_of(Instance(1, actual, contract, coming, wanted))
    assert found.state is state
    assert (actual or "–") in found.said
    assert found.state is not MachineState.RUNNING or found.ssh is None


def test_a_message_of_a_start_long_ago_does_not_condemn_what_runs_or_rests():
    old = "Error response from daemon: OCI runtime create failed"
    assert machine_of(Instance(1, "running", status_msg=old)).state is MachineState.RUNNING
    rest = Instance(1, "stopped", "stopped", "stopped", "stopped", status_msg=old)
    assert machine_of(rest).state is MachineState.STOPPED


@pytest.mark.parametrize(
    ("ports", "address", "ssh"),
    [
        ({"22/tcp": [{"HostPort": "20000"}]}, " 1.2.3.4 ", SshAddress("1.2.3.4", 20000, "root")),
        ({"8080/tcp": [{"HostPort": "1"}]}, "1.2.3.4", SshAddress("ssh1.vast.ai", 10600, "root")),
        ({"22/tcp": [{"HostPort": "x"}]}, "1.2.3.4", SshAddress("ssh1.vast.ai", 10600, "root")),
        (None, "1.2.3.4", None),
        ([1, 2], "", SshAddress("ssh1.vast.ai", 10600, "root")),
    ],
)
def test_ssh_goes_straight_to_the_host_or_else_by_the_proxy(
    ports: Any, address: str, ssh: SshAddress | None
):
    instance = Instance(
        1, "running", ports=ports, public_ipaddr=address, ssh_host="ssh1.vast.ai", ssh_port=10600
    )
    assert machine_of(instance).ssh == ssh


async def test_pages_are_followed_and_others_instances_are_only_listed(place: Cloud):
    owner = place.world.account(KEY)
    for kind in list(place.world.held.kinds.values()):
        place.world.set_free(kind.ref, next(iter(kind.stock)), None)
    for number in range(60):
        place.world.create(
            owner, "1000001", machine_id=str(500 + number), name="training" if number else "",
            data={"order": {"image": "x"}, "asked": "running"},
        )  # fmt: skip
    found = await place.here.machines()
    assert [each.id for each in found] == [str(500 + number) for number in range(60)]
    assert {each.tag for each in found} == {""}
    assert len([path for _, path in place.judge.seen if path == "/api/v1/instances"]) == 3


async def test_a_list_that_never_ends_is_a_fault():
    page = {"instances": [], "next_token": "again"}
    clock = Clock()
    vast = Vast(
        Account("mine", "vast"), {"api_key": KEY}, clock=clock, sleep=clock.sleep,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json=page)),
    )  # fmt: skip
    with pytest.raises(ProviderFault):
        await vast.machines()


@pytest.mark.parametrize(
    ("fault", "kind", "cause"),
    [
        (Fault.NO_CAPACITY, NoCapacity, "sold_out"), (Fault.QUOTA, QuotaExceeded, "quota"),
        (Fault.NO_MONEY, OutOfFunds, "no_money"), (Fault.WRONG_KEY, AuthFailed, "bad_key"),
        (Fault.EXPIRED_KEY, AuthFailed, "expired_key"), (Fault.FAIL_BEFORE, ProviderFault, "fault"),
        (Fault.DROP_BEFORE, Unreachable, "maybe_done"), (Fault.RATE_LIMIT, RateLimited, "rate"),
    ],
)  # fmt: skip
async def test_each_refusal_of_an_order_has_its_type(
    place: Cloud, fault: Fault, kind: type[PersonaDeskError], cause: str
):
    offer = await an_offer(place)
    place.world.faults.add(fault, times=1, seconds=120)
    with pytest.raises(kind) as found:
        await place.here.create(Order("pd-1", offer, PUBLIC))
    assert found.value.cause == cause
    assert place.world.machines() == []


def scripted(answers: dict[str, httpx.Response], asked: list[str]) -> Vast:
    clock = Clock()

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        return answers[asked[-1]]

    return Vast(
        Account("mine", "vast"), {"api_key": KEY}, transport=httpx.MockTransport(handle),
        clock=clock, sleep=clock.sleep,
    )  # fmt: skip


OFFER = Offer("mine", "vast", "5", "RTX 4090", 24)
HALF = {"success": False, "error": "no_such_ask", "msg": "could not start", "new_contract": 99}


@pytest.mark.parametrize("status", [200, 400, 410, 500])
async def test_an_order_that_is_refused_and_makes_an_instance_is_taken_back(status: int):
    asked: list[str] = []
    vast = scripted(
        {
            "PUT /api/v0/asks/5": httpx.Response(status, json=HALF),
            "DELETE /api/v0/instances/99": httpx.Response(200, json={"success": True}),
        },
        asked,
    )
    with pytest.raises(PersonaDeskError):
        await vast.create(Order("pd-1", OFFER, PUBLIC))
    assert asked == ["PUT /api/v0/asks/5", "DELETE /api/v0/instances/99"]


async def test_what_cannot_be_taken_back_is_said_with_its_number_and_its_bill():
    asked: list[str] = []
    often = httpx.Response(429, text="API requests too frequent")
    vast = scripted(
        {
            "PUT /api/v0/asks/5": httpx.Response(200, json=HALF),
            "DELETE /api/v0/instances/99": often,
        },
        asked,
    )
    with pytest.raises(ProviderFault, match="instance 99") as found:
        await vast.create(Order("pd-1", OFFER, PUBLIC))
    assert (found.value.cause, found.value.retryable) == ("half_made", False)
    assert "billed" in str(found.value.money)
    assert asked.count("DELETE /api/v0/instances/99") == 4, "asked again, with pauses"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(200, json={"success": False, "msg": "something else"}), BadRequest),
        (httpx.Response(200, json={}), ProviderFault),
        (httpx.Response(503, text="Service Unavailable"), ProviderFault),
        (httpx.Response(502, text="bad gateway: load balancer"), ProviderFault),
        (httpx.Response(403, json={"error": "x", "msg": "no longer available to you"}), AuthFailed),
        (httpx.Response(400, json={"error": "invalid_price", "msg": "bid too low"}), NoCapacity),
        (httpx.Response(400, json={"error": "invalid_args", "msg": "bad image"}), BadRequest),
    ],
)
async def test_other_answers_to_an_order(answer: httpx.Response, kind: type[PersonaDeskError]):
    with pytest.raises(kind):
        await scripted({"PUT /api/v0/asks/5": answer}, []).create(Order("pd-1", OFFER, PUBLIC))


async def test_an_order_whose_answer_was_lost_is_found_by_its_label(place: Cloud):
    offer = await an_offer(place)
    place.world.faults.add(Fault.DROP_AFTER, times=1)
    with pytest.raises(Unreachable):
        await place.here.create(Order("pd-7", offer, PUBLIC))
    assert [each.tag for each in await place.here.find("pd-7")] == ["pd-7"]
    assert len(place.world.machines()) == 1


async def test_paths_are_known_with_their_last_slash_too(place: Cloud):
    instance = await running(place)
    headers = {"Authorization": f"Bearer {KEY}"}
    path = f"/api/v0/instances/{instance.id}/"
    status, _, _ = place.simulator.answer("PUT", path, headers=headers, body=b'{"label": "x"}')
    assert status == 200
    # A server that sends on to the path with the slash is followed there.
    asked: list[str] = []
    moved = httpx.Response(308, headers={"Location": "/api/v0/instances/9/"})
    done = httpx.Response(200, json={"success": True})
    vast = scripted(
        {"DELETE /api/v0/instances/9": moved, "DELETE /api/v0/instances/9/": done}, asked
    )
    await vast.act(replace(instance, id="9"), Action.END)
    assert len(asked) == 2


async def test_figures_come_from_the_list_and_the_log_from_a_store(place: Cloud):
    instance = await running(place)
    found = {each.metric: each.value for each in await place.here.figures(instance)}
    assert found[Metric.GPU_USE] == 37.0
    assert found[Metric.GPU_TEMPERATURE] == 61.0
    assert found[Metric.MEMORY_TOTAL] == 62 * 2**30
    assert found[Metric.DISK_USED] == 21.5 * 2**30
    assert await place.here.log(instance) == ["Starting the SSH daemon ...", "onstart done"]
    assert readings_of(Instance(1, disk_usage=-1.0)) == []


async def test_a_log_that_is_not_in_its_store_yet_is_waited_for():
    asked: list[str] = []
    where = httpx.Response(200, json={"success": True, "result_url": "https://store.invalid/a.log"})
    vast = scripted(
        {
            "PUT /api/v0/instances/request_logs/9": where,
            "GET /a.log": httpx.Response(403),
        },
        asked,
    )
    assert await vast.log(Machine("9", "mine", "vast")) == ()
    assert asked.count("GET /a.log") > 1


def test_an_instance_with_a_lease_looks_after_itself():
    script = instance_request(Order("pd-1", OFFER, PUBLIC, lease_hours=2))["onstart"]
    subprocess.run(["sh", "-n", "-c", script], check=True)
    assert len(script) < 4048, "more Vast.ai does not take"
    told = base64.b64decode(script.split("echo ")[-1].split(" |")[0]).decode()
    subprocess.run(["sh", "-n", "-c", told], check=True)
    assert "begun + 7200" in told
    assert "curl -fsSL -X DELETE https://console.vast.ai/api/v0/instances/$CONTAINER_ID/" in told


async def test_a_key_that_may_not_be_attached_is_left_to_the_start_script(place: Cloud):
    offer = await an_offer(place)
    place.world.faults.add(Fault.FAIL_BEFORE, calls="/ssh$")
    made = await place.here.create(Order("pd-1", offer, PUBLIC))
    assert place.world.machine(None, made.id).keys == (PUBLIC,)


def test_the_start_script_lets_our_key_in_once(tmp_path: Path):
    script = instance_request(Order("pd-1", OFFER, f"{PUBLIC} it's me"))["onstart"]
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for _ in range(2):  # a restarted instance runs it again
        subprocess.run(["sh", "-c", script], check=True, env=home)
    keys = tmp_path / ".ssh" / "authorized_keys"
    assert keys.read_text() == f"{PUBLIC} it's me\n"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert keys.parent.stat().st_mode & 0o777 == 0o700
