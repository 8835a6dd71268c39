"""Lambda: machines through their whole life, their keys and their filesystems, against the pretend Lambda."""

from __future__ import annotations

import json

import httpx
import pytest

from peers.judged_cloud import JudgedCloud
from personadesk.domain.account import Account
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.host import SshAddress
from personadesk.domain.machine import Action, MachineState, Order, ResourceKind, SshIdentity
from personadesk.domain.offer import Need, Offer
from personadesk.providers.lambda_cloud import LambdaCloud

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOKJ personadesk"
IDENTITY = SshIdentity(
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\naC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHOST",
)
TOLD = frozenset({200, 400, 401, 403, 404})


@pytest.fixture
def cloud() -> JudgedCloud[LambdaCloud]:
    return JudgedCloud(LambdaCloud, "lambda-cloud-1.8.3.openapi.json", statuses=TOLD)


async def offer_of(cloud: JudgedCloud[LambdaCloud]) -> Offer:
    return next(each for each in await cloud.here.offers(Need()) if each.region == "us-east-1")


async def test_a_machine_comes_up_restarts_and_ends(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE, IDENTITY))
    assert (made.state, made.tag, made.ssh) == (MachineState.REQUESTED, "pd-7", None)
    new = await cloud.here.machine(made.id)
    assert (new.state, new.tag) == (MachineState.BOOTING, "pd-7")
    assert new.actions == {Action.END}
    assert "vm-has-not-launched" in new.said
    cloud.clock.pass_s(10)
    (up,) = await cloud.here.find("pd-7")
    assert (up.state, up.gpu, up.price, up.region) == (
        MachineState.RUNNING,
        "A10",
        0.75,
        "us-east-1",
    )
    assert up.ssh is not None
    assert (up.ssh.user, up.ssh.port) == ("ubuntu", 22)
    assert up.actions == {Action.RESTART, Action.END}
    assert (await cloud.here.verify()).spend_per_hour == 0.75
    await cloud.here.act(up, Action.RESTART)
    assert (await cloud.here.machine(up.id)).state is MachineState.BOOTING
    cloud.clock.pass_s(10)
    await cloud.here.act(up, Action.END)
    ending = await cloud.here.machine(up.id)
    assert (ending.state, ending.actions) == (MachineState.ENDING, frozenset())
    cloud.clock.pass_s(4)
    ended = await cloud.here.machine(up.id)
    assert (ended.state, ended.price) == (MachineState.ENDED, 0)
    cloud.clock.pass_s(10)
    with pytest.raises(NotFound):
        await cloud.here.machine(up.id)
    # Ending what is gone is a success.
    await cloud.here.act(up, Action.END)
    assert not [kind for kind, _ in cloud.world.present() if kind == "machine"]


@pytest.mark.parametrize("action", [Action.STOP, Action.START])
async def test_lambda_has_no_stop_and_says_so(cloud, action):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE))
    with pytest.raises(BadRequest) as refused:
        await cloud.here.act(made, action)
    assert refused.value.cause == "unsupported"
    assert not LambdaCloud.facts.can.stop
    assert "ended" in str(LambdaCloud.facts.can.stop.reason)


async def test_our_key_is_found_by_itself_and_others_are_left_alone(cloud):
    account = cloud.world.account(cloud.key)
    cloud.world.keep(
        account, "key", thing_id="k1", name="laptop", data={"public_key": "ssh-rsa AAAAB3 me"}
    )
    offer = await offer_of(cloud)
    first = await cloud.here.create(Order("pd-1", offer, LINE))
    await cloud.here.create(Order("pd-2", offer, LINE + " another comment"))
    keys = {each.name: each.data["public_key"] for each in cloud.world.things(None, "key")}
    assert len(keys) == 2
    assert keys["laptop"] == "ssh-rsa AAAAB3 me"
    assert cloud.world.machine(None, first.id).keys == (LINE,)


async def test_the_host_key_is_there_before_the_first_connect(cloud):
    made = await cloud.here.create(Order("pd-7", await offer_of(cloud), LINE, IDENTITY))
    machine = cloud.world.machine(None, made.id)
    assert machine.host_key == IDENTITY.private
    assert machine.user_data.startswith("#cloud-config\n")
    bare = await cloud.here.create(Order("pd-8", await offer_of(cloud), LINE))
    assert cloud.world.machine(None, bare.id).user_data == ""


async def test_a_filesystem_is_made_once_a_region_mounted_and_removed_when_free(cloud):
    offer = await offer_of(cloud)
    volume = await cloud.here.volume_for(offer, 60)
    assert await cloud.here.volume_for(offer, 60) == volume
    made = await cloud.here.create(Order("pd-7", offer, LINE, volume=volume))
    wishes = json.loads(cloud.world.machine(None, made.id).user_data.partition("\n")[2])
    assert wishes["runcmd"][0] == ["ln", "-sfnT", "/lambda/nfs/personadesk", "/workspace"]
    (held,) = await cloud.here.leftovers()
    assert (held.kind, held.id, held.attached) == (ResourceKind.VOLUME, volume, made.id)
    with pytest.raises(BadRequest) as refused:
        await cloud.here.remove(held)
    assert refused.value.cause == "wrong_state"
    await cloud.here.end(made)
    cloud.clock.pass_s(20)
    (free,) = await cloud.here.leftovers()
    assert free.attached == ""
    await cloud.here.remove(free)
    await cloud.here.remove(free)
    assert await cloud.here.leftovers() == []


async def test_a_filesystem_elsewhere_is_refused_in_lambdas_words(cloud):
    offer = await offer_of(cloud)
    other = next(each for each in await cloud.here.offers(Need()) if each.region == "us-west-1")
    volume = await cloud.here.volume_for(other, 60)
    with pytest.raises(BadRequest) as refused:
        await cloud.here.create(Order("pd-7", offer, LINE, volume=volume))
    assert "wrong-region" in refused.value.details


async def test_a_machine_that_is_not_ours_has_no_tag_and_one_that_is_lost_says_so(cloud):
    account = cloud.world.account(cloud.key)
    theirs = cloud.world.create(
        account, "gpu_1x_a10", machine_id="a" * 32, region="us-west-1", name="training",
        data={"key": "laptop", "filesystems": []},
    )  # fmt: skip
    (machine,) = await cloud.here.machines()
    assert (machine.tag, machine.name) == ("", "training")
    cloud.clock.pass_s(20)
    cloud.world.settle()
    cloud.world.lose(theirs)
    (machine,) = await cloud.here.machines()
    assert machine.state is MachineState.LOST
    assert "does not respond" in str(machine.reason)
    # It is billed all the same.
    assert machine.price == 0.75


async def test_new_words_and_new_fields_are_taken_as_they_come():
    told = {
        "id": "a", "status": "hibernating", "colour": "blue", "ip": "192.0.2.7", "name": "pd-9",
        "region": {"name": "mars-1", "description": "Mars", "moons": 2},
    }  # fmt: skip
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": [told], "next": None}))
    here = LambdaCloud(Account("mine", "lambda"), {"api_key": "k" * 20}, transport=answer)
    (machine,) = await here.machines()
    assert (machine.state, machine.said) == (MachineState.UNKNOWN, "hibernating")
    assert (machine.tag, machine.place, machine.actions) == ("pd-9", "Mars", frozenset())
    assert machine.ssh == SshAddress("192.0.2.7", user="ubuntu")
    assert (machine.price, machine.gpu) == (None, "")
    await here.aclose()


async def test_the_account_may_tell_another_login_and_port():
    told = {"data": [{"id": "a", "status": "active", "ip": "127.16.0.9"}]}
    settings = {"ssh_user": "me", "ssh_port": "2222"}
    here = LambdaCloud(
        Account("mine", "lambda", settings=settings), {"api_key": "k" * 20},
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json=told)),
    )  # fmt: skip
    (machine,) = await here.machines()
    assert machine.ssh == SshAddress("127.16.0.9", 2222, "me")
    await here.aclose()
