"""The pretend EC2 answers as AWS's own model says, refuses as AWS does, and has the same parts as moto's answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import msgspec
import pytest

from peers.aws_judge import AwsJudge, wrong_in
from peers.moto import IMAGE, Call
from peers.simulated import Clock
from personadesk.domain.account import Account, Right
from personadesk.domain.errors import (
    AuthFailed,
    NoCapacity,
    NotFound,
    OutOfFunds,
    QuotaExceeded,
    RateLimited,
)
from personadesk.domain.machine import Action, MachineState
from personadesk.domain.offer import Need
from personadesk.hosts.ssh.keys import make_identity
from personadesk.providers.aws import wire
from personadesk.providers.aws.calls import Aws
from personadesk.providers.aws.facts import RIGHTS
from personadesk.rehearsal import catalog
from personadesk.rehearsal.aws.market import image_of
from personadesk.rehearsal.aws.shapes import service
from personadesk.rehearsal.faults import Fault

from .conftest import offer, order

SECRETS = catalog.kind("aws").ready.credentials


class Pretend:
    """One pretend AWS with its judge and our file in front of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.simulator = catalog.make(catalog.kind("aws"), clock=self.clock)
        self.world = self.simulator.world
        self.judge = AwsJudge(self.simulator)

    def enter(self, region: str = "us-east-1", **secrets: str) -> Aws:
        account = Account("mine", "aws", settings={"region": region}, base_url=self.judge.url)
        return Aws(account, {**SECRETS, **secrets}, clock=self.clock, sleep=self.clock.sleep)

    def later(self, seconds: float = 30.0) -> None:
        self.clock.pass_s(seconds)
        self.world.settle()


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Pretend]:
    """A pretend AWS; the test fails when a request or an answer breaks AWS's contract."""
    # boto3's own pauses between its tries are not ours to test.
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _seconds: None))
    made = Pretend()
    yield made
    made.judge.close()
    assert made.judge.broken == []


@pytest.fixture
async def aws(cloud):
    made = cloud.enter()
    yield made
    await made.aclose()


async def refused(cloud: Pretend, **secrets: str):
    provider = cloud.enter(**secrets)
    try:
        with pytest.raises(AuthFailed) as caught:
            await provider.verify()
    finally:
        await provider.aclose()
    return caught.value


async def test_a_whole_life_keeps_to_the_contract_and_every_right_of_ours_is_used_but_three(
    cloud, aws
):
    info = await aws.verify()
    assert (info.who, info.rights, info.missing) == (
        "user/rehearsal (123456789012)", frozenset(Right), (),
    )  # fmt: skip
    offers = {each.ref: each for each in await aws.offers(Need(memory_gb=12))}
    assert offers["g5.xlarge"].price == 1.006
    assert {each.ref for each in await aws.offers(Need(spot=True)) if each.spot} == {
        "g6.xlarge", "g5.xlarge", "g6e.xlarge", "p5.4xlarge",
    }  # fmt: skip
    wanted = order(offer=offers["g5.xlarge"], static_address=True, identity=await make_identity())
    made = await aws.create(wanted)
    assert made.state is MachineState.PROVISIONING
    # Its first zone is sold out: EC2 says so, and the second has one.
    assert (made.data["zone"], (await aws.create(wanted)).id) == ("us-east-1b", made.id)
    cloud.later()
    seen = await aws.machine(made.id)
    (inside,) = cloud.world.machines()
    assert (seen.state, seen.ssh.host) == (MachineState.RUNNING, inside.host)
    address = seen.ssh.host
    assert (await aws.log(seen))[-1] == "rehearsal: running"
    await aws.act(seen, Action.RESTART)
    cloud.later()
    await aws.act(seen, Action.STOP)
    cloud.later()
    (stopped,) = await aws.machines()
    assert stopped.state is MachineState.STOPPED
    await aws.act(stopped, Action.START)
    cloud.later()
    (again,) = await aws.machines()
    assert (again.state, again.ssh.host) == (MachineState.RUNNING, address)
    await aws.act(again, Action.END)
    cloud.later(10)
    # While it shut down its firewall could not go; that costs nothing, and is told.
    (left,) = await aws.leftovers()
    await aws.remove(left)
    assert cloud.world.present() == set()
    asked = {f"{call.service}:{call.action}" for call in cloud.judge.calls}
    # Tags come with what is made; a key is looked at only where one of its name is there, a disk where one is left.
    assert {*RIGHTS} - asked == {"ec2:CreateTags", "ec2:DeleteVolume", "ec2:DescribeKeyPairs"}


async def test_wrong_expired_and_weak_keys_are_told_apart(cloud, aws):
    assert (await refused(cloud, access_key_id="AKIANOBODYHASTHIS000")).cause == "bad_key"
    assert (await refused(cloud, secret_access_key="x" * 40)).cause == "bad_key"
    ours = cloud.world.held.accounts[cloud.simulator.ready.key]
    ours.rights = frozenset({Right.SEE})
    info = await aws.verify()
    assert info.rights == {Right.SEE}
    assert [str(each.values["right"]) for each in info.missing] == [
        "ec2:RunInstances", "ec2:TerminateInstances",
    ]  # fmt: skip
    ours.rights = frozenset()
    assert (await refused(cloud)).cause == "missing_right"
    ours.expired = True
    assert (await refused(cloud)).cause == "expired_key"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.NO_CAPACITY, NoCapacity), (Fault.QUOTA, QuotaExceeded), (Fault.NO_MONEY, OutOfFunds),
        (Fault.RATE_LIMIT, RateLimited),
    ],
)  # fmt: skip
async def test_refusals_on_demand_are_ours_and_nothing_is_left(cloud, aws, fault, kind):
    cloud.world.faults.add(fault, calls="RunInstances" if fault is Fault.RATE_LIMIT else "")
    with pytest.raises(kind):
        await aws.create(order())
    assert cloud.world.present() == set()


async def test_a_quota_is_told_before_anything_is_made(cloud, aws):
    cloud.world.held.accounts[cloud.simulator.ready.key].quota = 0
    with pytest.raises(QuotaExceeded):
        await aws.create(order())
    assert "RunInstances" not in {call.action for call in cloud.judge.calls}


async def test_a_stopped_instance_may_find_its_gpu_taken_and_comes_back_elsewhere(cloud, aws):
    made = await aws.create(order())
    cloud.later()
    before = (await aws.machine(made.id)).ssh.host
    await aws.act(made, Action.STOP)
    cloud.later()
    rule = cloud.world.faults.add(Fault.GPU_GONE_AT_START)
    with pytest.raises(NoCapacity) as caught:
        await aws.act(made, Action.START)
    assert caught.value.cause == "gpu_taken"
    cloud.world.faults.remove(rule.id)
    await aws.act(made, Action.START)
    cloud.later()
    after = await aws.machine(made.id)
    assert after.state is MachineState.RUNNING
    # Without an Elastic IP the address is another one.
    assert after.ssh.host != before


async def test_what_breaks_is_lost_and_what_never_comes_up_ends_with_its_reason(cloud, aws):
    cloud.world.faults.add(Fault.BOOT_FAILS, times=1)
    first = await aws.create(order())
    cloud.later(9)
    assert (await aws.machine(first.id)).state in {MachineState.ENDING, MachineState.ENDED}
    assert str((await aws.machine(first.id)).reason) == "AWS had a fault while it started."
    second = await aws.create(order("pd-2"))
    third = await aws.create(order("pd-3", offer=offer(ref="g6.xlarge", spot=True)))
    cloud.later()
    for each in cloud.world.machines():
        cloud.world.lose(each)
    assert (await aws.machine(second.id)).state is MachineState.LOST
    assert str((await aws.machine(third.id)).reason) == "AWS took the spot instance back."


async def test_regions_are_apart_and_ours_is_found_in_all(cloud, aws):
    there = cloud.enter("eu-west-1")
    made = await there.create(order(offer=offer(region="eu-west-1", data={"vcpus": "4"})))
    assert made.data["zone"] == "eu-west-1a"
    assert [each.id for each in await aws.machines()] == [made.id]
    with pytest.raises(NotFound):
        await aws.machine("i-0000000000000000f")
    await there.aclose()


@pytest.mark.parametrize(
    ("operation", "values"),
    [("DescribeRegions", {"Regions": [{"Colour": "red"}]}), ("AllocateAddress", {"Price": "1"})],
)
def test_an_answer_that_the_model_does_not_know_is_a_mistake_of_ours(operation, values):
    with pytest.raises(KeyError):
        service("ec2").write(operation, values, "1")


def test_the_judge_sees_a_strange_member():
    body = b"<DescribeRegionsResponse><requestId>1</requestId><zones/></DescribeRegionsResponse>"
    call = Call("ec2", "us-east-1", "DescribeRegions", {})
    assert list(wrong_in(call, 200, {}, body)) == ["DescribeRegionsResult has no zones"]


# -- beside moto ------------------------------------------------------------------------------------------------


def parts(value: Any, at: str = "") -> dict[str, type]:
    """Return the paths of all leaves of an answer with their types; list items together."""
    if isinstance(value, dict):
        found: dict[str, type] = {}
        for key, part in value.items():
            found |= parts(part, f"{at}.{key}")
        return found
    if isinstance(value, list):
        found = {}
        for part in value:
            found |= parts(part, f"{at}[]")
        return found
    return {at: type(value)}


def script(ec2, image: str, zone_type: str, settle) -> dict[str, Any]:
    """Make the calls of a machine's life, and return what was answered to each."""
    told: dict[str, Any] = {}
    ours = [{"Name": "tag-key", "Values": ["personadesk"]}]

    def tags(kind: str) -> list[dict[str, Any]]:
        pairs = [{"Key": "personadesk", "Value": "pd-1"}, {"Key": "Name", "Value": "pd-1"}]
        return [{"ResourceType": kind, "Tags": pairs}]

    def keep(name: str, answer: dict[str, Any]) -> dict[str, Any]:
        told[name] = {key: answer[key] for key in answer if key != "ResponseMetadata"}
        return answer

    vpcs = keep("vpcs", ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}]))
    group = keep(
        "group",
        ec2.create_security_group(
            GroupName="personadesk", Description="d", VpcId=vpcs["Vpcs"][0]["VpcId"],
            TagSpecifications=tags("security-group"),
        ),
    )["GroupId"]  # fmt: skip
    rule = {
        "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "SSH"}],
        "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "SSH"}],
    }  # fmt: skip
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    keep("groups", ec2.describe_security_groups(Filters=ours))
    key = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0sP8C0RZ2G1M4R1Y1h5N5n5iQe2cW0kQ0mGd1m9m1K us"
    ec2.import_key_pair(KeyName="k", PublicKeyMaterial=key, TagSpecifications=tags("key-pair"))
    keep("keys", ec2.describe_key_pairs(KeyNames=["k"]))
    address = keep(
        "allocated", ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip"))
    )
    made = keep(
        "run",
        ec2.run_instances(
            ImageId=image, InstanceType=zone_type, MinCount=1, MaxCount=1, KeyName="k",
            SecurityGroupIds=[group], TagSpecifications=tags("instance"),
            Placement={"AvailabilityZone": "us-east-1b"},
        ),
    )["Instances"][0]["InstanceId"]  # fmt: skip
    settle()
    keep("associated", ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=made))
    keep("addresses", ec2.describe_addresses(Filters=ours))
    keep("instances", ec2.describe_instances(InstanceIds=[made]))
    keep("statuses", ec2.describe_instance_status(InstanceIds=[made]))
    keep("stopping", ec2.stop_instances(InstanceIds=[made]))
    settle()
    keep("stopped", ec2.describe_instances(InstanceIds=[made]))
    keep("starting", ec2.start_instances(InstanceIds=[made]))
    settle()
    keep("ending", ec2.terminate_instances(InstanceIds=[made]))
    settle()
    keep("ended", ec2.describe_instances(InstanceIds=[made]))
    kinds = [{"Name": "instance-type", "Values": [zone_type]}]
    keep("types", ec2.describe_instance_types(Filters=kinds))
    keep(
        "offerings",
        ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=kinds),
    )
    keep("images", ec2.describe_images(ImageIds=[image]))
    keep("regions", ec2.describe_regions())
    return told


READ = {
    "addresses": ("Addresses", wire.Address), "groups": ("SecurityGroups", wire.Group),
    "instances": ("Reservations", wire.Reservation), "stopped": ("Reservations", wire.Reservation),
    "ended": ("Reservations", wire.Reservation), "statuses": ("InstanceStatuses", wire.InstanceStatus),
    "types": ("InstanceTypes", wire.InstanceType), "offerings": ("InstanceTypeOfferings", wire.TypeOffering),
    "images": ("Images", wire.Image),
}  # fmt: skip


def test_its_answers_have_the_parts_of_motos(door, cloud):
    def client(url: str):
        return boto3.client(
            "ec2", region_name="us-east-1", endpoint_url=url,
            aws_access_key_id=SECRETS["access_key_id"],
            aws_secret_access_key=SECRETS["secret_access_key"],
        )  # fmt: skip

    moto, ours = client(door.moto), client(cloud.judge.url)
    try:
        theirs_told = script(moto, IMAGE, "g5.xlarge", lambda: None)
        ours_told = script(ours, image_of("us-east-1"), "g5.xlarge", cloud.later)
    finally:
        moto.close()
        ours.close()
    for name, theirs in theirs_told.items():
        here, there = parts(ours_told[name]), parts(theirs)
        other = {
            key: (here[key], there[key])
            for key in here & there.keys()
            if here[key] is not there[key]
        }
        assert other == {}, name
    for name, (key, struct) in READ.items():
        here, there = (
            parts(
                msgspec.to_builtins(
                    wire.read(told[name][key][0], struct), builtin_types=(datetime,)
                )
            )
            for told in (ours_told, theirs_told)
        )
        # moto gives a reason, empty, also where there is none.
        known = {key for key in there if name != "instances" or "StateReason" not in key}
        assert known <= here.keys() <= known | {".Instances[].StateReason"}, name
