"""RunPod: the life of a pod, against its simulator with its official contract between them."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from peers import sshd
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
from personadesk.domain.machine import Action, Machine, MachineState, Order, SshIdentity
from personadesk.domain.offer import Need, Offer
from personadesk.domain.sample import Metric
from personadesk.providers.runpod import RunPod
from personadesk.providers.runpod.calls import pod_request, start_script
from personadesk.rehearsal.faults import Fault
from personadesk.rehearsal.sshd import program

KEY = "rehearsal-runpod-key-1"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake me"
PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n"


Cloud = JudgedCloud[RunPod]


async def an_offer(place: Cloud, gpu: str = "A5000", region: str = "EU-RO-1") -> Offer:
    found = await place.here.offers(Need())
    return next(o for o in found if o.gpu.endswith(gpu) and o.region == region)


async def running(place: Cloud, tag: str = "pd-1", volume: str = "") -> Machine:
    made = await place.here.create(Order(tag, await an_offer(place), PUBLIC, volume=volume))
    place.clock.pass_s(10)
    return await place.here.machine(made.id)


@pytest.fixture
def place() -> Cloud:
    return JudgedCloud(RunPod, "runpod-api-v2.openapi.json", outside=("/graphql",))


async def test_a_pod_comes_up_step_by_step(place: Cloud):
    order = Order("pd-1", await an_offer(place), PUBLIC, SshIdentity(PRIVATE))
    made = await place.here.create(order)
    assert (made.state, made.tag, made.name) == (MachineState.PROVISIONING, "pd-1", "pd-1")
    assert (made.account, made.provider, made.ssh) == ("mine", "runpod", None)
    assert made.actions == {Action.END}
    place.clock.pass_s(3)
    assert (await place.here.machine(made.id)).state is MachineState.BOOTING
    place.clock.pass_s(10)
    found = await place.here.machine(made.id)
    there = place.world.machine(None, made.id)
    assert found.state is MachineState.RUNNING
    assert found.ssh == SshAddress(there.host, there.port, "root")
    assert (found.gpu, found.memory_gb, found.count, found.region) == (
        "RTX A5000",
        24,
        1,
        "EU-RO-1",
    )
    assert (found.price, found.running_price) == (0.27, 0.27)
    assert found.created == pytest.approx(place.clock.now - 13)
    assert found.actions == {Action.STOP, Action.RESTART, Action.END}
    assert (there.keys, there.host_key) == ((PUBLIC,), PRIVATE)
    assert (await place.here.find("pd-1"))[0].id == made.id


async def test_stop_start_restart_and_end(place: Cloud):
    pod = await running(place)
    await place.here.act(pod, Action.STOP)
    place.clock.pass_s(3)
    pod = await place.here.machine(pod.id)
    assert (pod.state, pod.running_price, pod.ssh) == (MachineState.STOPPED, None, None)
    assert pod.price == pytest.approx(60 * 0.20 / 730), "its disk is billed"
    assert pod.actions == {Action.START, Action.END}
    await place.here.act(pod, Action.START)
    place.clock.pass_s(5)
    assert (await place.here.machine(pod.id)).state is MachineState.RUNNING
    await place.here.act(pod, Action.RESTART)
    assert (await place.here.machine(pod.id)).state is MachineState.BOOTING
    await place.here.act(pod, Action.END)
    await place.here.act(pod, Action.END)
    assert (await place.here.machine(pod.id)).state is MachineState.ENDED
    place.clock.pass_s(5)
    assert await place.here.machines() == []
    with pytest.raises(NotFound):
        await place.here.machine(pod.id)
    await place.here.end(pod)


async def test_a_gpu_that_was_given_away_is_no_capacity(place: Cloud):
    pod = await running(place)
    await place.here.act(pod, Action.STOP)
    place.clock.pass_s(3)
    place.world.faults.add(Fault.GPU_GONE_AT_START, times=1)
    with pytest.raises(NoCapacity) as found:
        await place.here.act(pod, Action.START)
    assert (found.value.cause, found.value.retryable) == ("gpu_taken", True)
    assert "somebody else" in str(found.value)


async def test_a_pod_that_runs_without_its_gpu_says_so(place: Cloud):
    pod = await running(place)
    place.world.lose_gpu(place.world.machine(None, pod.id))
    place.clock.pass_s(61)
    found = await place.here.machine(pod.id)
    assert (found.state, found.count) == (MachineState.RUNNING, 0)
    assert "no GPU" in str(found.reason)


@pytest.mark.parametrize("gpu", [None, {"id": "NVIDIA A40", "count": 0}])
async def test_a_start_that_comes_back_without_a_gpu_is_no_capacity(gpu):
    told = {"id": "p", "name": "pd-1", "status": "RUNNING", "actions": ["stop"], "gpu": gpu}
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json=told))
    runpod = RunPod(Account("mine", "runpod"), {"api_key": KEY}, transport=answer)
    pod = await runpod.machine("p")
    assert pod.count == 0
    assert pod.reason
    with pytest.raises(NoCapacity):
        await runpod.act(pod, Action.START)


async def test_what_a_state_does_not_allow_is_refused(place: Cloud):
    pod = await running(place)
    with pytest.raises(BadRequest) as found:
        await place.here.act(pod, Action.START)
    assert found.value.cause == "wrong_state"
    with pytest.raises(NotFound):
        await place.here.act(replace(pod, id="nothing"), Action.STOP)


async def test_hopeless_states_are_told_early(place: Cloud):
    place.world.faults.add(Fault.BOOT_FAILS, times=1)
    pod = await running(place)
    assert pod.state is MachineState.FAILED
    assert (pod.said, pod.actions) == ("ERROR", {Action.END})
    assert "does not recover" in str(pod.reason)
    assert any("error creating container" in line for line in await place.here.log(pod))
    there = await running(place, "pd-2")
    place.world.lose(place.world.machine(None, there.id))
    assert (await place.here.machine(there.id)).state is MachineState.FAILED


@pytest.mark.parametrize(
    ("failures", "state"), [(3, MachineState.FAILED), (2, MachineState.BOOTING)]
)
async def test_a_container_that_fails_over_and_over_is_not_waited_for(
    failures: int, state: MachineState
):
    clock = Clock()
    made = datetime.fromtimestamp(clock.now, UTC).isoformat()
    pod = {
        "id": "p",
        "name": "pd-1",
        "status": "STARTING",
        "gpu": {"id": "NVIDIA A40"},
        "createdAt": made,
    }
    line = '{"source":"system","line":"error creating container: no space","ts":"2026"}'
    log = "".join(f"data: {line}\n\n" for _ in range(failures))
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("/logs"):
            return httpx.Response(200, text=log)
        return httpx.Response(200, json=pod)

    runpod = RunPod(
        Account("mine", "runpod"), {"api_key": KEY}, transport=httpx.MockTransport(handle),
        clock=clock, sleep=clock.sleep,
    )  # fmt: skip
    assert (await runpod.machine("p")).state is MachineState.BOOTING
    assert asked == ["/v2/pods/p"], "a young pod is left in peace"
    clock.pass_s(120)
    found = await runpod.machine("p")
    assert found.state is state
    assert ("no space" in str(found.reason)) is (state is MachineState.FAILED)
    await runpod.machine("p")
    assert asked.count("/v2/pods/p/logs") == 1, "nor is the log read at every look"


async def test_a_pod_of_ours_that_gets_no_port_is_given_up(place: Cloud):
    pod = await running(place)
    place.world.machine(None, pod.id).data["order"]["ports"] = []
    assert (await place.here.machine(pod.id)).state is MachineState.RUNNING
    place.clock.pass_s(90)
    found = await place.here.machine(pod.id)
    assert found.state is MachineState.FAILED
    assert "no public port" in str(found.reason)


async def test_words_and_fields_that_are_new_do_no_harm():
    pods = [
        {
            "id": "a",
            "name": "mine",
            "status": "HIBERNATING",
            "actions": ["thaw", "stop"],
            "aura": [1],
        },
        {"id": "b", "status": "TERMINATED", "createdAt": "not a time"},
        {"id": "c", "name": "cpu", "status": "RUNNING", "cpu": {"id": "cpu3c"}},
    ]
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"pods": pods, "more": 1}))
    runpod = RunPod(Account("mine", "runpod"), {"api_key": KEY}, transport=answer)
    strange, gone, cpu = await runpod.machines()
    assert (strange.state, strange.said, strange.tag) == (MachineState.UNKNOWN, "HIBERNATING", "")
    assert strange.actions == {Action.STOP}
    assert (gone.state, gone.created) == (MachineState.ENDED, None)
    assert (cpu.count, str(cpu.reason)) == (0, "")


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
    if kind is NoCapacity:
        assert "RTX A5000 free in Romania" in str(found.value)


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (403, "insufficient capacity of your role", AuthFailed),
        (403, "There are no longer any instances available", AuthFailed),
        (500, "There are no longer any instances available with enough disk space.", NoCapacity),
        (422, "Request validation failed.", BadRequest),
        (400, "The pod could not be placed", NoCapacity),
    ],
)
async def test_a_lack_of_rights_never_looks_like_a_lack_of_gpus(
    place: Cloud, status: int, detail: str, kind: type[PersonaDeskError]
):
    body = {"title": "X", "status": status, "detail": detail, "errors": ["$.gpu: wrong"]}
    answer = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    runpod = RunPod(Account("mine", "runpod"), {"api_key": KEY}, transport=answer)
    with pytest.raises(kind) as found:
        await runpod.create(Order("pd-1", await an_offer(place), PUBLIC))
    assert "$.gpu: wrong" in found.value.details


async def test_an_order_whose_answer_was_lost_is_found_by_its_tag(place: Cloud):
    offer = await an_offer(place)
    place.world.faults.add(Fault.DROP_AFTER, times=1)
    with pytest.raises(Unreachable) as found:
        await place.here.create(Order("pd-7", offer, PUBLIC))
    assert found.value.cause == "maybe_done"
    assert [pod.tag for pod in await place.here.find("pd-7")] == ["pd-7"]
    assert len(place.world.machines()) == 1


async def test_a_pod_with_a_volume_is_made_where_the_volume_is(place: Cloud):
    offer = await an_offer(place)
    volume = await place.here.volume_for(offer, 60)
    pod = await running(place, "pd-1", volume=volume)
    (left,) = await place.here.leftovers()
    assert left.attached == pod.id
    await place.here.act(pod, Action.END)
    place.clock.pass_s(5)
    (left,) = await place.here.leftovers()
    assert (left.id, left.attached) == (volume, "")


async def test_without_a_volume_the_disk_that_a_stop_keeps_is_found_at_the_same_place(place: Cloud):
    offer = await an_offer(place)
    body = pod_request(Order("pd-1", offer, PUBLIC, disk_gb=60))
    assert body["mounts"] == {"persistent": {"size": 60, "path": "/workspace"}}
    assert "args" not in body
    assert body["env"] == {"PUBLIC_KEY": PUBLIC}
    body = pod_request(Order("pd-1", offer, PUBLIC, volume="v"))
    assert body["mounts"] == {"network": [{"volumeId": "v", "path": "/workspace"}]}


async def test_what_a_pod_runs_first_is_one_word_to_its_shell(place: Cloud):
    offer = await an_offer(place)
    for order in (
        Order("pd-1", offer, PUBLIC, SshIdentity(PRIVATE)),
        Order("pd-1", offer, PUBLIC, lease_hours=2),
        Order("pd-1", offer, PUBLIC, SshIdentity(PRIVATE), lease_hours=2),
    ):
        shell, option, script = shlex.split(pod_request(order)["args"])
        assert (shell, option) == ("bash", "-c")
        assert script.endswith(" exec /start.sh")
        subprocess.run(["bash", "-n", "-c", script], check=True)
        assert ("base64 -d > ~root/.personadesk-lease" in script) is (order.lease_hours is not None)


async def test_figures_and_log_come_from_the_api(place: Cloud):
    pod = await running(place)
    figures = {(each.metric, each.part): each.value for each in await place.here.figures(pod)}
    assert figures == {(Metric.GPU_USE, "0"): 37.0, (Metric.CPU_USE, ""): 12.0}
    log = await place.here.log(pod)
    assert log[-1].endswith("Z Start script(s) finished, Pod is ready to use.")
    await place.here.act(pod, Action.STOP)
    place.clock.pass_s(3)
    assert await place.here.figures(pod) == ()


async def test_a_line_of_the_log_that_is_not_as_told_is_shown_as_it_is():
    text = 'data: {"line":"one"}\n\ndata: plain words\n\n'
    answer = httpx.MockTransport(lambda _: httpx.Response(200, text=text))
    runpod = RunPod(Account("mine", "runpod"), {"api_key": KEY}, transport=answer)
    assert await runpod.log(Machine("p", "mine", "runpod")) == ["one", "plain words"]


@pytest.mark.skipif(bool(sshd.missing()), reason=sshd.missing())
def test_the_start_script_gives_a_real_daemon_the_host_key_that_we_made(tmp_path: Path):
    ours = sshd.make_key(tmp_path / "ours")
    configuration = tmp_path / "sshd_config"
    # As Ubuntu has it: no key is named, so that the usual ones would be used.
    configuration.write_text("#HostKey /etc/ssh/ssh_host_ed25519_key\nPort 2222\nMatch User x\n")
    script = start_script(str(tmp_path))
    assert "'" not in script, "it stands in quotes"
    key = base64.b64encode(ours.read_bytes()).decode()
    bash = shutil.which("bash") or "bash"
    for _ in range(2):  # a restarted container runs it again
        subprocess.run(
            [bash, "-c", script], check=True,
            env={"PATH": os.environ["PATH"], "PERSONADESK_HOST_KEY": key},
        )  # fmt: skip
    installed = tmp_path / "personadesk_host_key"
    assert installed.read_bytes() == ours.read_bytes()
    assert installed.stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it wants that before it tells anything
    told = subprocess.run(
        [program(), "-T", "-f", str(configuration)], check=True, capture_output=True, text=True
    ).stdout
    assert [line for line in told.splitlines() if line.startswith("hostkey ")] == [
        f"hostkey {installed}"
    ]
