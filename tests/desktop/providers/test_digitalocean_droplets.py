"""DigitalOcean: Droplets through their whole life, reserved IPs and volumes, against the pretend DigitalOcean."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from personadesk.domain.account import Account
from personadesk.domain.errors import BadRequest, NoCapacity, NotFound, RateLimited
from personadesk.domain.host import SshAddress
from personadesk.domain.machine import Action, MachineState, Order, ResourceKind, SshIdentity
from personadesk.domain.offer import Need, Offer
from personadesk.providers.digitalocean import DigitalOcean
from personadesk.rehearsal.faults import Fault

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
IDENTITY = SshIdentity(
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\naC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHOST",
)
Cloud = JudgedCloud[DigitalOcean]


@pytest.fixture
def cloud() -> Cloud:
    return JudgedCloud(DigitalOcean, "digitalocean-v2.openapi.json")


async def offer_of(cloud: Cloud) -> Offer:
    return next(each for each in await cloud.here.offers(Need()) if each.region == "tor1")


async def test_a_droplet_comes_up_restarts_and_ends(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE, IDENTITY))
    assert (made.state, made.tag, made.ssh) == (MachineState.PROVISIONING, "pd-7", None)
    assert cloud.world.machine(None, made.id).data["image"] == "gpu-h100x1-base"
    assert cloud.world.machine(None, made.id).host_key == IDENTITY.private
    cloud.clock.pass_s(10)
    (up,) = await cloud.here.find("pd-7")
    assert (up.state, up.gpu, up.memory_gb) == (MachineState.RUNNING, "L40S", 48)
    assert (up.price, up.region, up.place) == (1.57, "tor1", "Toronto 1")
    assert up.ssh is not None
    assert (up.ssh.user, up.ssh.port) == ("root", 22)
    assert up.actions == {Action.RESTART, Action.END}
    assert up.created == pytest.approx(made.created)
    await cloud.here.act(up, Action.RESTART)
    assert "locked" in (await cloud.here.machine(up.id)).said
    cloud.clock.pass_s(5)
    await cloud.here.act(up, Action.END)
    cloud.clock.pass_s(5)
    with pytest.raises(NotFound):
        await cloud.here.machine(up.id)
    await cloud.here.act(up, Action.END)
    assert {kind for kind, _ in cloud.world.present()} == {"key"}


async def test_a_droplet_that_somebody_switched_off_is_billed_in_full_and_can_be_started(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE))
    cloud.clock.pass_s(10)
    cloud.world.settle()
    cloud.world.stop(cloud.world.machine(None, made.id))
    cloud.clock.pass_s(5)
    off = await cloud.here.machine(made.id)
    assert (off.state, off.price) == (MachineState.STOPPED, 1.57)
    assert off.actions == {Action.START, Action.END}
    with pytest.raises(BadRequest) as refused:
        await cloud.here.act(off, Action.STOP)
    assert refused.value.cause == "unsupported"
    assert "billed in full" in str(DigitalOcean.facts.can.stop.reason)
    await cloud.here.act(off, Action.START)
    cloud.clock.pass_s(5)
    assert (await cloud.here.machine(made.id)).state is MachineState.RUNNING


async def test_a_droplet_that_cannot_be_made_has_failed(cloud):
    cloud.world.faults.add(Fault.BOOT_FAILS, times=1)
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE))
    assert (await cloud.here.machine(made.id)).state is MachineState.PROVISIONING
    cloud.clock.pass_s(10)
    failed = await cloud.here.machine(made.id)
    assert (failed.state, "errored" in failed.said) == (MachineState.FAILED, True)
    assert "could not make" in str(failed.reason)


async def test_our_key_is_found_by_itself_and_others_are_left_alone(cloud):
    account = cloud.world.account(cloud.key)
    theirs = {"public_key": "ssh-rsa AAAAB3 me"}
    cloud.world.keep(account, "key", thing_id="77", name="laptop", data=theirs)
    offer = await offer_of(cloud)
    first = await cloud.here.create(Order("pd-1", offer, LINE))
    await cloud.here.create(Order("pd-2", offer, LINE + " another comment"))
    keys = cloud.world.things(None, "key")
    assert len(keys) == 2
    assert cloud.world.thing(None, "key", "77").data == theirs
    assert cloud.world.machine(None, first.id).keys == (LINE,)


async def test_a_reserved_ip_is_given_once_the_droplet_is_up_and_goes_with_it(cloud):
    order = Order("pd-7", await offer_of(cloud), LINE, static_address=True)
    made = await cloud.here.create(order)
    assert (await cloud.here.machine(made.id)).ssh is None
    cloud.clock.pass_s(10)
    # Up, and the address is just being given: it is not the Droplet's own that is told.
    assert (await cloud.here.machine(made.id)).ssh is None
    up = await cloud.here.machine(made.id)
    (address,) = cloud.world.things(None, "address")
    assert up.ssh is not None
    assert up.ssh.host == address.id
    assert (await cloud.here.machines())[0].ssh == up.ssh
    (held,) = await cloud.here.leftovers()
    assert (held.kind, held.tag, held.attached) == (ResourceKind.ADDRESS, "pd-7", up.id)
    await cloud.here.act(up, Action.END)
    cloud.clock.pass_s(5)
    assert await cloud.here.leftovers() == []


async def test_a_second_reserved_ip_is_never_asked_for_while_one_is_on_its_way():
    region = {"slug": "tor1", "name": "Toronto 1"}
    droplet = {
        "id": 5, "name": "pd-7", "status": "active", "region": region,
        "tags": ["personadesk", "pd-7", "personadesk-static"],
    }  # fmt: skip
    asked: list[tuple[str, str, object]] = []
    reserved: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "POST":
            asked.append((request.method, path, json.loads(request.content)))
            if path == "/v2/reserved_ips":
                reserved.append(
                    {"ip": "192.0.2.9", "region": region, "droplet": None, "locked": True}
                )
                return httpx.Response(202, json={"reserved_ip": reserved[0]})
            reserved[0] |= {"droplet": droplet, "locked": False}
            return httpx.Response(201, json={"action": {"id": 1, "status": "in-progress"}})
        if path == "/v2/reserved_ips":
            return httpx.Response(200, json={"reserved_ips": reserved})
        return httpx.Response(200, json={"droplets": [droplet]})

    here = DigitalOcean(
        Account("mine", "digitalocean"),
        {"api_key": "k" * 20},
        transport=httpx.MockTransport(answer),
    )
    for _ in range(3):
        assert (await here.machines())[0].ssh is None
    assert len(asked) == 1
    # Giving it failed: the same one is given again.
    reserved[0]["locked"] = False
    assert (await here.machines())[0].ssh is None
    assert asked[1:] == [
        ("POST", "/v2/reserved_ips/192.0.2.9/actions", {"type": "assign", "droplet_id": 5})
    ]
    (up,) = await here.machines()
    assert up.ssh is not None
    assert up.ssh.host == "192.0.2.9"
    await here.aclose()


async def test_a_volume_is_reused_when_free_mounted_and_kept_when_the_droplet_ends(cloud):
    offer = await offer_of(cloud)
    volume = await cloud.here.volume_for(offer, 80)
    made = await cloud.here.create(Order("pd-7", offer, LINE, volume=volume))
    wishes = json.loads(cloud.world.machine(None, made.id).user_data.partition("\n")[2])
    assert wishes["mounts"][0][:2] == [
        "/dev/disk/by-id/scsi-0DO_Volume_personadesk-tor1-1", "/workspace",
    ]  # fmt: skip
    # It is taken; another Droplet gets another one.
    second = await cloud.here.volume_for(offer, 80)
    assert second != volume
    await cloud.here.end(made)
    cloud.clock.pass_s(5)
    assert {each.id for each in await cloud.here.leftovers()} == {volume, second}
    assert await cloud.here.volume_for(offer, 80) == volume
    for each in await cloud.here.leftovers():
        await cloud.here.remove(each)
        await cloud.here.remove(each)
    assert await cloud.here.leftovers() == []


async def test_a_droplet_ends_also_when_its_addresses_cannot_be_looked_at(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE, static_address=True))
    cloud.world.faults.add(Fault.RATE_LIMIT, times=1, calls="reserved_ips", seconds=600)
    with pytest.raises(RateLimited):
        await cloud.here.act(made, Action.END)
    cloud.clock.pass_s(5)
    assert await cloud.here.machines() == []


async def test_what_no_region_lists_is_sold_out_without_asking(cloud):
    offer = replace(await offer_of(cloud), region="")
    with pytest.raises(NoCapacity):
        await cloud.here.create(Order("pd-7", offer, LINE))
    assert {method for method, _ in cloud.judge.seen} == {"GET"}


async def test_a_reserved_ip_that_no_droplet_has_is_shown_as_left_over(cloud):
    account = cloud.world.account(cloud.key)
    cloud.world.keep(account, "address", thing_id="127.64.9.9", region="nyc2")
    (left,) = await cloud.here.leftovers()
    assert (left.id, left.attached, left.tag, left.price) == ("127.64.9.9", "", "", None)
    await cloud.here.remove(left)
    assert cloud.world.things(None, "address") == []


async def test_new_words_and_new_fields_are_taken_as_they_come():
    told = {
        "id": 5,
        "status": "hibernating",
        "colour": "blue",
        "name": "web",
        "gpu_info": {"model": "nvidia_x9"},
    }
    answer = httpx.MockTransport(
        lambda _: httpx.Response(200, json={"droplets": [told], "links": {"pages": {}}, "more": 1})
    )
    here = DigitalOcean(Account("mine", "digitalocean"), {"api_key": "k" * 20}, transport=answer)
    (machine,) = await here.machines()
    assert (machine.state, machine.said) == (MachineState.UNKNOWN, "hibernating")
    assert (machine.tag, machine.ssh, machine.price) == ("", None, None)
    assert machine.actions == {Action.END}
    await here.aclose()


async def test_the_account_may_tell_another_login_and_port():
    told = {
        "droplets": [
            {
                "id": 5,
                "status": "active",
                "networks": {"v4": [{"ip_address": "127.16.0.9", "type": "public"}]},
            }
        ]
    }
    settings = {"ssh_user": "me", "ssh_port": "2222"}
    here = DigitalOcean(
        Account("mine", "digitalocean", settings=settings), {"api_key": "k" * 20},
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json=told)),
    )  # fmt: skip
    (machine,) = await here.machines()
    assert machine.ssh == SshAddress("127.16.0.9", 2222, "me")
    await here.aclose()
