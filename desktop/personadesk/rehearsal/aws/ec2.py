"""Amazon's EC2 in front of a rehearsal world: instances with GPUs, and whose they are."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Right
from personadesk.rehearsal import user_data
from personadesk.rehearsal.aws.api import call
from personadesk.rehearsal.aws.market import (
    IMAGE_GB,
    OWNER,
    VPCS,
    fits,
    image_of,
    region_of,
    tag_facts,
    tags_of,
)
from personadesk.rehearsal.aws.rig import Rig, labels_of, new_id
from personadesk.rehearsal.aws.shapes import Said, time_of
from personadesk.rehearsal.http import Ready
from personadesk.rehearsal.things import Machine, Pace, Refused, State, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.rehearsal.http import Request

_STATES: Mapping[State, tuple[int, str]] = {
    State.REQUESTED: (0, "pending"), State.BOOTING: (0, "pending"), State.STARTING: (0, "pending"),
    State.RUNNING: (16, "running"), State.RESTARTING: (16, "running"), State.LOST: (16, "running"),
    State.ENDING: (32, "shutting-down"), State.ENDED: (48, "terminated"), State.STOPPING: (64, "stopping"),
    State.STOPPED: (80, "stopped"), State.FAILED: (32, "shutting-down"),
}  # fmt: skip
_REASONS = {
    "Server.SpotInstanceTermination": "Instance terminated by the spot service",
    "Server.InternalError": "Internal error on launch",
    "Client.UserInitiatedShutdown": "User initiated shutdown",
}
_KEY_ID, _SECRET = "AKIAREHEARSAL0000001", "rehearsal/secret/of/nothing/at/all/00001"


class Aws(Rig):
    """One account in two regions."""

    ready = Ready(
        {"access_key_id": _KEY_ID, "secret_access_key": _SECRET}, key=f"{_KEY_ID}:{_SECRET}",
        settings={"region": "us-east-1"}, balance=None,
    )  # fmt: skip
    pace = Pace(
        request_s=2.0,
        boot_s=6.0,
        stop_s=4.0,
        start_s=5.0,
        restart_s=4.0,
        end_s=3.0,
        remembered_s=60.0,
    )

    @call("sts", "GetCallerIdentity", right=None)
    def who(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell whose key it is, which needs no right."""
        name = ""
        key = self.key_of(request)
        try:
            name = self.world.account(key).name
        except Refused as refused:
            if refused.why is not Why.MISSING_RIGHT:
                raise
            name = self.world.held.accounts[key].name
        return {
            "UserId": "AIDAREHEARSAL",
            "Account": OWNER,
            "Arn": f"arn:aws:iam::{OWNER}:user/{name}",
        }

    # -- instances --------------------------------------------------------------------------------------------

    @call("ec2", "DescribeInstances")
    def instances(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell instances; those that ended are told for a while."""
        found = self._named(request, wish.get("InstanceIds"))
        filters = wish.get("Filters", ())
        told = [
            {
                "ReservationId": f"r-{each.id[2:]}", "OwnerId": OWNER, "Groups": [],
                "Instances": [self._instance(each)],
            }
            for each in found
            if fits(filters, {**tag_facts(each.labels), "instance-state-name": [self._state(each)[1]]})
        ]  # fmt: skip
        return {"Reservations": told}

    @call("ec2", "DescribeInstanceStatus")
    def statuses(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell AWS's own checks of instances that run."""
        told = []
        for each in self._named(request, wish.get("InstanceIds")):
            code, name = self._state(each)
            if name != "running" or not fits(
                wish.get("Filters", ()), {"instance-state-name": [name]}
            ):
                continue
            check = "impaired" if each.state is State.LOST else "ok"
            passed = {
                "Name": "reachability",
                "Status": "failed" if check == "impaired" else "passed",
            }
            told.append(
                {
                    "InstanceId": each.id, "AvailabilityZone": each.region,
                    "InstanceState": {"Code": code, "Name": name},
                    "InstanceStatus": {"Status": check, "Details": [passed]},
                    "SystemStatus": {"Status": check, "Details": [passed]},
                }
            )  # fmt: skip
        return {"InstanceStatuses": told}

    @call("ec2", "RunInstances", right=Right.RENT)
    def run(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Launch an instance; without a zone AWS picks one, and does not look further."""
        region = self.region_of(request)
        if wish.get("ImageId") != image_of(region):
            raise Said(
                "InvalidAMIID.NotFound", f"The image id '[{wish.get('ImageId')}]' does not exist"
            )
        disks = [
            each["Ebs"].get("VolumeSize", IMAGE_GB) for each in wish.get("BlockDeviceMappings", ())
        ]
        if any(size < IMAGE_GB for size in disks):
            raise Said(
                "InvalidBlockDeviceMapping",
                f"The volume is smaller than the snapshot, {IMAGE_GB} GB.",
            )
        kind = self.world.held.kinds.get(wish.get("InstanceType", ""))
        zones = [zone for zone in kind.stock if region_of(zone) == region] if kind else []
        zone = wish.get("Placement", {}).get("AvailabilityZone") or next(iter(zones), "")
        if kind is None or zone not in zones:
            raise Said(
                "Unsupported",
                "Your requested instance type is not supported in your requested Availability Zone.",
            )
        brought = user_data.read(_user_data(wish))
        labels = labels_of(wish, "instance")
        machine = self.world.create(
            request.account, kind.ref, machine_id=new_id("i"), region=zone, name=labels.get("Name", ""),
            labels=labels, spot="InstanceMarketOptions" in wish, disk_gb=max(disks, default=IMAGE_GB),
            keys=[*self._public_key(request, wish), *brought.public], host_key=brought.host_key,
            user_data=_user_data(wish), token=wish.get("ClientToken", ""),
            data={
                "key": wish.get("KeyName", ""), "groups": self._groups_of(request, wish),
                "image": wish["ImageId"],
            },
        )  # fmt: skip
        machine.off_ends = wish.get("InstanceInitiatedShutdownBehavior") == "terminate"
        return {
            "ReservationId": f"r-{machine.id[2:]}", "OwnerId": OWNER, "Groups": [],
            "Instances": [self._instance(machine)],
        }  # fmt: skip

    @call("ec2", "StartInstances", right=Right.RENT)
    def start(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Start instances."""
        return {"StartingInstances": self._move(request, wish, self.world.start)}

    @call("ec2", "StopInstances", right=Right.END)
    def stop(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Stop instances; a one-time spot instance can only be ended."""
        if any(each.spot for each in self._named(request, wish["InstanceIds"])):
            raise Said("UnsupportedOperation", "You can't stop a one-time Spot Instance.")
        return {"StoppingInstances": self._move(request, wish, self.world.stop)}

    @call("ec2", "RebootInstances", right=Right.RENT)
    def reboot(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Restart instances."""
        self._move(request, wish, self.world.restart)
        return {}

    @call("ec2", "TerminateInstances", right=Right.END)
    def terminate(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """End instances."""
        return {"TerminatingInstances": self._move(request, wish, self.world.end)}

    @call("ec2", "GetConsoleOutput")
    def console(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell what the instance wrote."""
        (machine,) = self._named(request, [wish["InstanceId"]])
        lines = f"[    0.000000] Linux version 6.8.0-aws\nrehearsal: {machine.state}\n"
        told = base64.b64encode(lines.encode()).decode()
        return {"InstanceId": machine.id, "Output": told, "Timestamp": self.world.now()}

    def _named(self, request: Request, ids: list[str] | None) -> list[Machine]:
        region = self.region_of(request)
        there = {
            each.id: each
            for each in self.world.machines(request.account, ended=True)
            if region_of(each.region) == region
        }
        for each in there.values():
            # What never comes up, and spot that was taken back, AWS ends by itself.
            taken = each.state is State.LOST and each.spot
            if taken or each.state is State.FAILED:
                each.data["why"] = (
                    "Server.SpotInstanceTermination" if taken else "Server.InternalError"
                )
                self.world.end(each)
        if unknown := [each for each in ids or () if each not in there]:
            raise Said(
                "InvalidInstanceID.NotFound", f"The instance ID '{unknown[0]}' does not exist"
            )
        return list(there.values()) if ids is None else [there[each] for each in ids]

    def _move(
        self, request: Request, wish: dict[str, Any], work: Callable[[Machine], None]
    ) -> list[dict[str, Any]]:
        moved = []
        for machine in self._named(request, wish["InstanceIds"]):
            before = self._state(machine)
            work(machine)
            states = zip(
                ("PreviousState", "CurrentState"), (before, self._state(machine)), strict=True
            )
            moved.append(
                {
                    "InstanceId": machine.id,
                    **{key: {"Code": s[0], "Name": s[1]} for key, s in states},
                }
            )
        return moved

    def _state(self, machine: Machine) -> tuple[int, str]:
        return _STATES[machine.state]

    def _instance(self, machine: Machine) -> dict[str, Any]:
        code, name = self._state(machine)
        region = region_of(machine.region)
        is_on = name in {"pending", "running"}
        why = str(machine.data.get("why", ""))
        if not why and name not in {"pending", "running"}:
            why = "Client.UserInitiatedShutdown"
        kind = self.world.held.kinds[machine.kind]
        groups = [
            {"GroupId": each.id, "GroupName": each.name}
            for each in self.world.things(None, "group")
            if each.id in machine.data["groups"]
        ]
        return {
            "InstanceId": machine.id, "ImageId": machine.data["image"], "InstanceType": machine.kind,
            "KeyName": machine.data["key"], "LaunchTime": machine.created, "ClientToken": machine.token,
            "Placement": {"AvailabilityZone": machine.region, "GroupName": "", "Tenancy": "default"},
            "State": {"Code": code, "Name": name}, "AmiLaunchIndex": 0, "EbsOptimized": False,
            "StateReason": {"Code": why, "Message": _REASONS[why]} if why else None,
            "StateTransitionReason": f"User initiated ({time_of(machine.since)})" if why else "",
            "Monitoring": {"State": "disabled"}, "VpcId": VPCS[region], "SubnetId": f"subnet-{VPCS[region][4:]}",
            "PrivateIpAddress": "172.31.16.1", "PublicIpAddress": machine.host if is_on and machine.host else None,
            "SecurityGroups": groups, "Architecture": "x86_64", "Hypervisor": "xen", "VirtualizationType": "hvm",
            "RootDeviceName": "/dev/sda1", "RootDeviceType": "ebs",
            "InstanceLifecycle": "spot" if machine.spot else None, "Tags": tags_of(machine.labels),
            "CpuOptions": {"CoreCount": kind.data["vcpus"] // 2, "ThreadsPerCore": 2},
        }  # fmt: skip

    def _groups_of(self, request: Request, wish: dict[str, Any]) -> list[str]:
        ids = [str(each) for each in wish.get("SecurityGroupIds", ())]
        return [self._thing(request, "group", each, "InvalidGroup.NotFound").id for each in ids]

    def _public_key(self, request: Request, wish: dict[str, Any]) -> list[str]:
        if "KeyName" not in wish:
            return []
        found = self._things(request, "key", name=wish["KeyName"])
        if not found:
            raise Said(
                "InvalidKeyPair.NotFound", f"The key pair '{wish['KeyName']}' does not exist"
            )
        return [found[0].data["public"]]


def _user_data(wish: Mapping[str, Any]) -> str:
    return base64.b64decode(wish.get("UserData", "")).decode("utf-8", "replace")
