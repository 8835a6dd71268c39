"""An instance's life at EC2 as moto plays it: made once, reached, stopped, started, ended, and nothing left."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import replace

import pytest

from personadesk.domain.errors import (
    BadRequest,
    NoCapacity,
    NotFound,
    QuotaExceeded,
    Unreachable,
)
from personadesk.domain.machine import Action, MachineState, ResourceKind
from personadesk.providers import lease

from .conftest import KEY, offer, order

pytestmark = pytest.mark.long


def user_data(call) -> dict:
    text = base64.b64decode(call.parameters["UserData"]).decode()
    assert text.startswith("#cloud-config\n")
    return json.loads(text.partition("\n")[2])


async def test_a_machine_is_ours_runs_and_is_reached_at_its_address(aws):
    made = await aws.create(order())
    assert (made.tag, made.name, made.state) == ("pd-1", "pd-1", MachineState.PROVISIONING)
    (seen,) = await aws.machines()
    assert seen.id == made.id
    assert (seen.state, seen.gpu, seen.memory_gb, seen.count) == (
        MachineState.RUNNING, "A10G", 24.0, 1,
    )  # fmt: skip
    assert seen.ssh is not None
    assert seen.ssh.user == "ubuntu"
    assert seen.ssh.host
    # 60 GB of gp3 and a public address beside the GPU.
    assert (
        seen.price == seen.running_price == pytest.approx(1.006 + 60 * 0.08 / 730 + 0.005, abs=2e-4)
    )
    assert [m.id for m in await aws.find("pd-1")] == [made.id]
    assert await aws.find("pd-2") == []


async def test_the_machine_gets_our_key_and_its_host_key_before_the_first_connect(aws, door):
    await aws.create(order())
    (call,) = door.made("RunInstances")
    wishes = user_data(call)
    assert wishes["ssh_keys"]["ed25519_private"] == "PRIVATE HOST KEY\n"
    assert wishes["ssh_authorized_keys"] == [KEY]
    assert call.parameters["KeyName"].startswith("personadesk-")
    assert call.parameters["MetadataOptions.HttpTokens"] == "required"
    assert call.parameters["BlockDeviceMapping.1.Ebs.VolumeType"] == "gp3"
    assert call.parameters["InstanceInitiatedShutdownBehavior"] == "stop"
    (rule,) = door.made("AuthorizeSecurityGroupIngress")
    ports = {v for k, v in rule.parameters.items() if k.endswith(("FromPort", "ToPort"))}
    assert ports == {"22"}


async def test_asking_twice_makes_one_machine(aws, door):
    first = await aws.create(order())
    again = await aws.create(order())
    assert again.id == first.id
    (call,) = door.made("RunInstances")
    assert call.parameters["ClientToken"] == "pd-1-1"


async def test_a_lost_answer_is_asked_for_again_with_the_same_token(aws, door):
    # boto3 asks again by itself, which only the token makes harmless; moto ignores tokens, so here there are two.
    door.lose("RunInstances")
    await aws.create(order())
    tokens = [call.parameters["ClientToken"] for call in door.made("RunInstances")]
    assert tokens == ["pd-1-1", "pd-1-1"]


async def test_a_token_that_made_one_before_gives_that_one(aws, door):
    made = await aws.create(order())
    door.change("DescribeInstances", "<reservationSet>.*</reservationSet>", "<reservationSet/>", 1)
    door.refuse(
        "RunInstances", "IdempotentParameterMismatch", "Arguments on this request are not the same"
    )
    assert (await aws.create(order())).id == made.id


async def test_a_second_machine_shares_key_and_firewall_and_they_go_with_the_last(aws, door):
    one = await aws.create(order("pd-1"))
    two = await aws.create(order("pd-2"))
    assert len(door.made("CreateSecurityGroup")) == 1
    await aws.end(replace(one, region="us-east-1"))
    assert not door.made("DeleteSecurityGroup")
    await aws.end(two)
    assert len(door.made("DeleteSecurityGroup")) == len(door.made("DeleteKeyPair")) == 1
    assert await aws.leftovers() == []
    assert {m.state for m in await aws.machines()} == {MachineState.ENDED}


async def test_a_kept_address_is_hung_on_once_it_runs_stays_over_a_stop_and_goes_with_it(aws, door):
    made = await aws.create(order(static_address=True))
    assert made.ssh is None
    (seen,) = await aws.machines()
    # moto's Elastic IPs are loopback addresses.
    assert seen.ssh.host.startswith("127.")
    await aws.act(seen, Action.STOP)
    (stopped,) = await aws.machines()
    assert stopped.state is MachineState.STOPPED
    assert stopped.ssh is None
    assert stopped.actions == {Action.START, Action.END}
    assert 0 < stopped.price < 0.02
    await aws.act(stopped, Action.START)
    again = await aws.machine(made.id)
    assert again.ssh == seen.ssh
    assert len(door.made("AllocateAddress")) == len(door.made("AssociateAddress")) == 1
    (address,) = await aws.leftovers()
    assert (address.kind, address.tag, address.attached) == (ResourceKind.ADDRESS, "pd-1", made.id)
    await aws.end(again)
    assert await aws.leftovers() == []


async def test_an_address_waits_until_the_machine_runs(aws, door):
    made = await aws.create(order(static_address=True))
    door.refuse(
        "AssociateAddress",
        "InvalidInstanceID",
        "The pending instance is not in a valid state",
        times=1,
    )
    assert (await aws.machine(made.id)).ssh is None
    assert (await aws.machine(made.id)).ssh.host.startswith("127.")


async def test_an_address_whose_machine_is_gone_is_a_leftover_and_can_be_removed(aws, door):
    made = await aws.create(order(static_address=True))
    await aws.machines()
    door.refuse("DisassociateAddress", "IncorrectState", times=1)
    await aws.end(made)
    left = await aws.leftovers()
    assert [(each.kind, each.attached, each.price) for each in left if each.tag] == [
        (ResourceKind.ADDRESS, "", 0.005)
    ]
    for each in left:
        await aws.remove(each)
        await aws.remove(each)
    assert await aws.leftovers() == []


async def test_restart_and_double_acts_do_no_harm(aws):
    made = await aws.create(order())
    await aws.machines()
    await aws.act(made, Action.RESTART)
    await aws.act(made, Action.STOP)
    await aws.act(made, Action.STOP)
    await aws.end(made)
    await aws.end(made)
    assert (await aws.machine(made.id)).state is MachineState.ENDED


async def test_ending_what_never_was_is_a_success_and_looking_at_it_is_not(aws, make):
    made = await aws.create(order())
    stranger = replace(made, id="i-0123456789abcdef0", tag="")
    await aws.end(stranger)
    with pytest.raises(NotFound):
        await make().machine(stranger.id)


async def test_a_machine_that_ec2_does_not_know_everywhere_yet_is_not_gone(aws, door, clock):
    made = await aws.create(order())
    missing = "The instance ID does not exist"
    door.refuse("DescribeInstances", "InvalidInstanceID.NotFound", missing, times=1)
    assert (await aws.machine(made.id)).state is MachineState.PROVISIONING
    door.refuse("TerminateInstances", "InvalidInstanceID.NotFound", missing, times=2)
    before = clock.now
    await aws.end(made)
    assert len(door.made("TerminateInstances")) == 3
    assert clock.now > before
    assert (await aws.machine(made.id)).state is MachineState.ENDED


async def test_a_new_machine_is_in_the_list_before_ec2_lists_it_but_not_for_ever(aws, door, clock):
    made = await aws.create(order())
    door.change("DescribeInstances", "<reservationSet>.*</reservationSet>", "<reservationSet/>")
    assert [m.id for m in await aws.machines()] == [made.id]
    clock.now += 121
    assert await aws.machines() == []


async def test_every_state_is_told_in_our_words_and_a_new_one_as_unknown(aws, door):
    await aws.create(order())
    words = {
        "pending": MachineState.PROVISIONING, "running": MachineState.RUNNING,
        "stopping": MachineState.STOPPING, "stopped": MachineState.STOPPED,
        "shutting-down": MachineState.ENDING, "terminated": MachineState.ENDED,
        "hibernating-of-the-future": MachineState.UNKNOWN,
    }  # fmt: skip
    for word, state in words.items():
        door.change("DescribeInstances", "(<instanceState>.*?<name>)[^<]+", rf"\g<1>{word}", 1)
        seen = await aws.machine(next(iter(aws._regions_of)))
        assert seen.state is state
        assert seen.said.startswith(word)
        assert (Action.END in seen.actions) is (word not in {"shutting-down", "terminated"})


async def test_a_start_that_is_under_way_is_called_starting(aws, door):
    made = await aws.create(order())
    await aws.act(made, Action.STOP)
    await aws.act(made, Action.START)
    door.change("DescribeInstances", "(<instanceState>.*?<name>)[^<]+", r"\g<1>pending")
    assert (await aws.machine(made.id)).state is MachineState.STARTING


async def test_failing_hardware_is_told_as_lost_and_a_silent_system_with_its_reason(aws, door):
    await aws.create(order())
    door.change("DescribeInstanceStatus", "(<instanceStatus>.*?<status>)ok", r"\g<1>impaired", 1)
    (silent,) = await aws.machines()
    assert silent.state is MachineState.RUNNING
    assert "own check" in str(silent.reason)
    door.change("DescribeInstanceStatus", "(<systemStatus>.*?<status>)ok", r"\g<1>impaired", 1)
    (lost,) = await aws.machines()
    assert lost.state is MachineState.LOST
    assert "hardware" in str(lost.reason)


async def test_the_list_is_whole_without_the_right_to_see_checks(aws, door):
    await aws.create(order())
    door.refuse("DescribeInstanceStatus", "UnauthorizedOperation", status=403)
    (seen,) = await aws.machines()
    assert seen.state is MachineState.RUNNING


async def test_a_spot_machine_can_only_be_restarted_and_ended(aws, door):
    await aws.create(order(offer=offer(spot=True, price=0.35), lease_hours=1.0))
    (call,) = door.made("RunInstances")
    assert call.parameters["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert call.parameters["InstanceMarketOptions.MarketType"] == "spot"
    assert call.parameters["Placement.AvailabilityZone"] == "us-east-1a"
    (seen,) = await aws.machines()
    assert seen.spot
    assert seen.actions == {Action.RESTART, Action.END}
    with pytest.raises(BadRequest) as told:
        await aws.act(seen, Action.STOP)
    assert told.value.cause == "unsupported"


async def test_a_tag_tells_where_ssh_is_when_it_was_changed(aws, make):
    made = await aws.create(order())
    await aws._session.call(
        "ec2", "CreateTags", "us-east-1", Resources=[made.id], Tags=[{"Key": "personadesk-ssh", "Value": "me:2222"}]
    )  # fmt: skip
    (seen,) = await make().machines()
    assert (seen.ssh.user, seen.ssh.port) == ("me", 2222)


async def test_foreign_machines_are_listed_without_a_tag_and_without_a_gpu(aws, door):
    session = aws._session
    await session.call(
        "ec2", "RunInstances", "us-east-1", ImageId="ami-dca37ea5", InstanceType="t3.micro", MinCount=1, MaxCount=1
    )  # fmt: skip
    (seen,) = await aws.machines()
    assert (seen.tag, seen.gpu, seen.count, seen.price) == ("", "", 0, None)
    assert not door.made("DescribeInstanceTypes")


async def test_what_is_ours_is_found_in_a_region_that_is_no_longer_chosen(aws, make):
    await aws.create(order())
    elsewhere = make(region="eu-west-1")
    assert [m.region for m in await elsewhere.machines()] == ["us-east-1"]
    assert [r.kind for r in await elsewhere.leftovers()] == []


async def test_lists_are_read_to_the_last_page(aws, door, clock):
    for number in range(3):
        await aws.create(order(f"pd-{number}"))
    clock.now += 121
    # moto gives pages only where they are asked for; the door makes an empty first one, and names the next.
    page = r"<reservationSet>.*?<reservationId>(r-[^<]+).*</reservationSet>"
    door.change(
        "DescribeInstances", page, r"<reservationSet/><nextToken>\g<1></nextToken>", 1,
        when=lambda call: call.region == "us-east-1",
    )  # fmt: skip
    found = await aws.machines()
    # moto's second page begins after the first reservation.
    assert len({m.id for m in found}) == 2
    (second,) = [c for c in door.made("DescribeInstances") if "NextToken" in c.parameters]
    assert second.parameters["NextToken"].startswith("r-")


# -- what may be in the way -----------------------------------------------------------------------------------


async def test_when_aws_picks_a_full_zone_the_others_are_tried_each_with_a_token_of_its_own(
    aws, door
):
    full = "We currently do not have sufficient g5.xlarge capacity"
    door.refuse("RunInstances", "InsufficientInstanceCapacity", full, times=2)
    made = await aws.create(order())
    calls = door.made("RunInstances")
    zones = [call.parameters.get("Placement.AvailabilityZone", "") for call in calls]
    assert zones == ["", "us-east-1a", "us-east-1b"]
    assert len({call.parameters["ClientToken"] for call in calls}) == 3
    assert made.data["zone"] == "us-east-1b"


async def test_no_capacity_anywhere_leaves_nothing_behind(aws, door):
    door.refuse("RunInstances", "InsufficientInstanceCapacity")
    with pytest.raises(NoCapacity) as told:
        await aws.create(order(static_address=True))
    assert "A10G" in str(told.value)
    assert await aws.leftovers() == []
    assert await aws.machines() == []


async def test_a_type_that_the_zone_lacks_is_no_capacity_too(aws, door):
    lacks = "Your requested instance type (g5.xlarge) is not supported in your requested Availability Zone"
    door.refuse("RunInstances", "Unsupported", lacks)
    with pytest.raises(NoCapacity) as told:
        await aws.create(order())
    assert told.value.cause == "not_in_zone"


async def test_a_quota_of_zero_is_told_with_its_page_before_anything_is_made(aws, door):
    door.answer("GetServiceQuota", {"Quota": {"QuotaCode": "L-DB2E81BA", "Value": 0.0}})
    with pytest.raises(QuotaExceeded) as told:
        await aws.create(order(static_address=True))
    assert "L-DB2E81BA?region=us-east-1" in str(told.value.next)
    made = {"RunInstances", "AllocateAddress", "ImportKeyPair", "CreateSecurityGroup"}
    assert not [call for call in door.calls if call.action in made]


async def test_an_order_that_may_have_arrived_leaves_what_was_prepared(aws, door):
    door.lose("RunInstances", times=-1)
    with pytest.raises(Unreachable) as told:
        await aws.create(order(static_address=True))
    assert told.value.cause == "maybe_done"
    assert not door.made("ReleaseAddress")
    assert all(m.tag == "pd-1" for m in await aws.machines())


async def test_no_default_network_is_told_as_such(aws, door):
    door.refuse("RunInstances", "VPCIdNotSpecified", "No default VPC for this user")
    with pytest.raises(BadRequest) as told:
        await aws.create(order())
    assert told.value.cause == "no_network"


async def test_an_address_quota_is_told_before_a_machine_is_made(aws, door):
    door.refuse(
        "AllocateAddress",
        "AddressLimitExceeded",
        "The maximum number of addresses has been reached.",
    )
    with pytest.raises(QuotaExceeded) as told:
        await aws.create(order(static_address=True))
    assert "L-0263D0A3" in str(told.value.next)
    assert not door.made("RunInstances")


async def test_somebody_elses_key_under_our_name_is_never_used(aws, door):
    await aws.create(order())
    door.change("DescribeKeyPairs", "(<publicKey>)[^<]*", r"\g<1>ssh-rsa BBBB")
    with pytest.raises(BadRequest):
        await aws.create(order("pd-2"))


async def test_a_start_without_a_free_gpu_says_so(aws, door):
    made = await aws.create(order())
    await aws.act(made, Action.STOP)
    door.refuse("StartInstances", "InsufficientInstanceCapacity")
    with pytest.raises(NoCapacity):
        await aws.act(made, Action.START)


async def test_the_console_is_read_as_lines(aws):
    made = await aws.create(order())
    lines = await aws.log(made)
    assert lines
    assert all("\n" not in line for line in lines)


# -- a lease ---------------------------------------------------------------------------------------------------


async def test_a_lease_makes_shutting_down_mean_ending_and_sets_the_timer(aws, door):
    await aws.create(order(lease_hours=2.0))
    (call,) = door.made("RunInstances")
    assert call.parameters["InstanceInitiatedShutdownBehavior"] == "terminate"
    wishes = user_data(call)
    assert ["systemctl", "enable", "--now", "personadesk-lease.timer"] in wishes["runcmd"]
    assert {each["path"].rpartition("/")[2] for each in wishes["write_files"]} == {
        "personadesk-lease", "personadesk-lease.service", "personadesk-lease.timer",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hours", "renewed_until", "ends"),
    [(1e9, None, False), (0.0, None, True), (0.0, 4_000_000_000, False), (0.0, 1_000, True)],
)
def test_the_timer_shuts_down_only_when_boot_and_every_lease_are_past(
    tmp_path, hours, renewed_until, ends
):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text(f"#!/bin/sh\necho $1 > {tmp_path}/told\n")
    (tools / "systemctl").chmod(0o755)
    server = tmp_path / "home" / ".personadesk" / "servers" / "one"
    server.mkdir(parents=True)
    if renewed_until is not None:
        (server / "lease").write_text(f"{renewed_until}\n")
    text = lease.script(hours, homes=(f"{tmp_path}/home", f"{tmp_path}/nobody"))
    subprocess.run(["/bin/sh", "-c", text], check=True, env={"PATH": f"{tools}:/usr/bin:/bin"})
    assert (tmp_path / "told").exists() is ends
