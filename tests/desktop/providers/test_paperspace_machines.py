"""Paperspace: machines through their whole life, scripts and static IPs, against the pretend Paperspace."""

from __future__ import annotations

import json

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from personadesk.domain.account import Account
from personadesk.domain.errors import BadRequest, NoCapacity, NotFound, RateLimited
from personadesk.domain.host import SshAddress
from personadesk.domain.machine import Action, MachineState, Order, ResourceKind, SshIdentity
from personadesk.domain.offer import Need, Offer
from personadesk.providers.paperspace import Paperspace
from personadesk.rehearsal.faults import Fault

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
IDENTITY = SshIdentity(
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\naC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHOST",
)
STORAGE = 100 * 0.1 / 730
Cloud = JudgedCloud[Paperspace]


@pytest.fixture
def cloud() -> Cloud:
    return JudgedCloud(Paperspace, "paperspace-v1.openapi.json")


async def offer_of(cloud: Cloud) -> Offer:
    return next(
        each
        for each in await cloud.here.offers(Need())
        if (each.ref, each.region) == ("A6000", "ny2")
    )


async def test_a_machine_comes_up_stops_starts_and_ends(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE, IDENTITY))
    assert (made.state, made.tag, made.ssh) == (MachineState.PROVISIONING, "pd-7", None)
    machine = cloud.world.machine(None, made.id)
    # It is let in by the script, has the host key, and is not switched off by itself.
    assert (LINE.rpartition(" ")[0] in machine.keys, machine.host_key) == (True, IDENTITY.private)
    assert (machine.data["auto"], machine.disk_gb) == (False, 100)
    cloud.clock.pass_s(10)
    (up,) = await cloud.here.find("pd-7")
    assert (up.state, up.gpu, up.memory_gb, up.count) == (MachineState.RUNNING, "RTX A6000", 48, 1)
    assert up.price == pytest.approx(1.89 + STORAGE)
    assert up.ssh is not None
    assert (up.ssh.user, up.ssh.port) == ("paperspace", 22)
    assert up.actions == {Action.STOP, Action.RESTART, Action.END}
    await cloud.here.act(up, Action.RESTART)
    assert (await cloud.here.machine(up.id)).state is MachineState.BOOTING
    cloud.clock.pass_s(5)
    await cloud.here.act(up, Action.STOP)
    assert (await cloud.here.machine(up.id)).state is MachineState.STOPPING
    cloud.clock.pass_s(5)
    off = await cloud.here.machine(up.id)
    assert (off.state, off.ssh) == (MachineState.STOPPED, None)
    assert off.price == pytest.approx(STORAGE)
    assert off.running_price == up.price
    assert off.actions == {Action.START, Action.END}
    await cloud.here.act(off, Action.START)
    assert (await cloud.here.machine(up.id)).state is MachineState.STARTING
    cloud.clock.pass_s(5)
    again = await cloud.here.machine(up.id)
    # A dynamic address is another one now.
    assert again.ssh is not None
    assert again.ssh != up.ssh
    await cloud.here.act(again, Action.END)
    cloud.clock.pass_s(5)
    with pytest.raises(NotFound):
        await cloud.here.machine(up.id)
    await cloud.here.act(again, Action.END)
    assert cloud.world.present() == set()


async def test_asking_twice_does_no_harm(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE))
    cloud.clock.pass_s(10)
    await cloud.here.act(made, Action.START)
    await cloud.here.act(made, Action.STOP)
    await cloud.here.act(made, Action.STOP)
    with pytest.raises(BadRequest) as refused:
        await cloud.here.act(made, Action.RESTART)
    assert refused.value.cause == "wrong_state"


async def test_a_gpu_that_was_given_away_meanwhile_is_no_capacity(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE))
    cloud.clock.pass_s(10)
    await cloud.here.act(made, Action.STOP)
    cloud.clock.pass_s(5)
    assert (await cloud.here.machine(made.id)).state is MachineState.STOPPED
    cloud.world.set_free("A6000", "ny2", 0)
    with pytest.raises(NoCapacity):
        await cloud.here.act(made, Action.START)
    assert (await cloud.here.machine(made.id)).state is MachineState.STOPPED


async def test_a_machine_that_cannot_be_made_has_failed(cloud):
    cloud.world.faults.add(Fault.BOOT_FAILS, times=1)
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE))
    assert (await cloud.here.machine(made.id)).state is MachineState.PROVISIONING
    cloud.clock.pass_s(10)
    failed = await cloud.here.machine(made.id)
    assert failed.state is MachineState.FAILED
    assert "did not come up" in str(failed.reason)


async def test_a_start_that_failed_says_why():
    def answer(request: httpx.Request) -> httpx.Response:
        if "events" in request.url.path:
            event = {"name": "start", "state": "error", "error": "No A6000 was free."}
            return httpx.Response(200, json={"hasMore": False, "items": [event]})
        return httpx.Response(200, json={"id": "ps1", "state": "off", "name": "pd-1"})

    here = Paperspace(
        Account("mine", "paperspace"), {"api_key": "k" * 20}, transport=httpx.MockTransport(answer)
    )
    machine = await here.machine("ps1")
    assert machine.state is MachineState.STOPPED
    assert str(machine.reason) == "Its last start failed: No A6000 was free."
    await here.aclose()


@pytest.mark.parametrize(
    ("error", "kind"), [("This machine type is out of capacity", NoCapacity), ("odd", Exception)]
)
async def test_a_start_that_fails_at_once_is_told(error, kind):
    event = {"event": {"name": "start", "state": "error", "error": error}}
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json=event))
    here = Paperspace(Account("mine", "paperspace"), {"api_key": "k" * 20}, transport=answer)
    machine = here._machine_of(_told("off"))
    with pytest.raises(kind) as refused:
        await here.act(machine, Action.START)
    assert error in refused.value.details
    await here.aclose()


def _told(state: str):
    from personadesk.providers.paperspace.wire import Machine

    return Machine("ps1", "pd-1", state)


async def test_a_static_ip_stays_over_a_stop_and_goes_with_the_machine(cloud):
    order = Order("pd-7", await offer_of(cloud), LINE, static_address=True)
    made = await cloud.here.create(order)
    cloud.clock.pass_s(10)
    up = await cloud.here.machine(made.id)
    await cloud.here.act(up, Action.STOP)
    cloud.clock.pass_s(5)
    await cloud.here.act(up, Action.START)
    cloud.clock.pass_s(5)
    again = await cloud.here.machine(made.id)
    assert again.ssh is not None
    assert again.ssh == up.ssh
    address, script = await cloud.here.leftovers()
    assert (address.kind, address.id) == (ResourceKind.ADDRESS, again.ssh.host)
    assert address.attached == made.id
    assert (script.kind, script.tag, script.price) == (ResourceKind.KEY, "pd-7", 0)
    await cloud.here.act(again, Action.END)
    cloud.clock.pass_s(5)
    assert await cloud.here.leftovers() == []


async def test_a_machine_ends_also_when_its_addresses_cannot_be_looked_at(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE))
    cloud.world.faults.add(Fault.RATE_LIMIT, times=1, calls="public-ips", seconds=600)
    with pytest.raises(RateLimited):
        await cloud.here.act(made, Action.END)
    cloud.clock.pass_s(5)
    assert await cloud.here.machines() == []
    assert cloud.world.present() == set()


async def test_what_is_left_over_can_be_removed(cloud):
    account = cloud.world.account(cloud.key)
    cloud.world.keep(account, "address", thing_id="127.64.9.9", region="ny2")
    for name in ("pd-3", "theirs"):
        data = {"script": "", "once": True}
        cloud.world.keep(account, "script", thing_id=f"s-{name}", name=name, data=data)
    found = await cloud.here.leftovers()
    assert [each.id for each in found] == ["127.64.9.9", "s-pd-3"]
    for each in found:
        await cloud.here.remove(each)
        await cloud.here.remove(each)
    assert {thing for _, thing in cloud.world.present()} == {"s-theirs"}


async def test_the_newest_ubuntu_with_drivers_is_taken_and_its_absence_is_told():
    def here(names: list[str]) -> Paperspace:
        items = [{"id": name, "name": name} for name in names]
        answer = httpx.MockTransport(
            lambda _: httpx.Response(200, json={"hasMore": False, "items": items})
        )
        return Paperspace(Account("mine", "paperspace"), {"api_key": "k" * 20}, transport=answer)

    many = here(
        ["Ubuntu 24.04", "ML-in-a-Box Ubuntu 20.04", "ML-in-a-Box Ubuntu 22.04", "Windows 11"]
    )
    assert await many._template("A6000") == "ML-in-a-Box Ubuntu 22.04"
    plain = here(["Ubuntu 20.04 Server", "Ubuntu 22.04 Server"])
    assert await plain._template("A6000") == "Ubuntu 22.04 Server"
    with pytest.raises(BadRequest, match="no Ubuntu template"):
        await here(["Windows 11"])._template("A6000")


async def test_new_words_and_new_fields_are_taken_as_they_come():
    told = {
        "id": "ps1", "state": "hibernating", "colour": "blue", "name": "web", "machineType": "B300",
        "publicIp": "192.0.2.7", "accelerators": [{"name": "NVIDIA B300", "memory": 1, "count": 1}],
    }  # fmt: skip
    answer = httpx.MockTransport(
        lambda _: httpx.Response(200, text=json.dumps({"hasMore": False, "items": [told], "x": 1}))
    )
    here = Paperspace(Account("mine", "paperspace"), {"api_key": "k" * 20}, transport=answer)
    (machine,) = await here.machines()
    assert (machine.state, machine.said, machine.tag) == (MachineState.UNKNOWN, "hibernating", "")
    assert (machine.gpu, machine.price, machine.actions) == ("B300", None, {Action.END})
    await here.aclose()


async def test_the_account_may_tell_another_login_and_port():
    told = {"hasMore": False, "items": [{"id": "a", "state": "ready", "publicIp": "127.16.0.9"}]}
    settings = {"ssh_user": "me", "ssh_port": "2222"}
    here = Paperspace(
        Account("mine", "paperspace", settings=settings), {"api_key": "k" * 20},
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json=told)),
    )  # fmt: skip
    (machine,) = await here.machines()
    assert machine.ssh == SshAddress("127.16.0.9", 2222, "me")
    await here.aclose()
