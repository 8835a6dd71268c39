"""What instances need beside themselves: keys, firewalls and Elastic IPs, each in its region."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Right
from personadesk.rehearsal.aws.api import call
from personadesk.rehearsal.aws.market import (
    OWNER,
    VPCS,
    Market,
    fits,
    region_of,
    tag_facts,
    tags_of,
)
from personadesk.rehearsal.aws.shapes import Said
from personadesk.rehearsal.things import Machine, State, Thing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.rehearsal.http import Request


class Rig(Market):
    """What is rented beside instances."""

    # -- keys and firewalls -----------------------------------------------------------------------------------

    @call("ec2", "ImportKeyPair", right=Right.RENT)
    def import_key(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Take a public key."""
        name = wish["KeyName"]
        if self._things(request, "key", name=name):
            raise Said("InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")
        made = self._keep(
            request, "key", new_id("key"), name, labels_of(wish, "key-pair"),
            {"public": wish["PublicKeyMaterial"].decode()},
        )  # fmt: skip
        return {
            "KeyName": name,
            "KeyPairId": made.id,
            "KeyFingerprint": "",
            "Tags": tags_of(made.labels),
        }

    @call("ec2", "DescribeKeyPairs")
    def key_pairs(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell public keys."""
        told = [
            {
                "KeyPairId": each.id, "KeyName": each.name, "KeyType": "ed25519", "Tags": tags_of(each.labels),
                "PublicKey": each.data["public"] if wish.get("IncludePublicKey") else None,
            }
            for each in self._things(request, "key")
            if each.name in wish.get("KeyNames", [each.name])
        ]  # fmt: skip
        if not told and wish.get("KeyNames"):
            raise Said(
                "InvalidKeyPair.NotFound", f"The key pair '{wish['KeyNames'][0]}' does not exist"
            )
        return {"KeyPairs": told}

    @call("ec2", "DeleteKeyPair", right=Right.END)
    def delete_key(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Forget a public key; harmless when it is gone."""
        for each in self._things(request, "key", name=wish["KeyName"]):
            self.world.drop(each)
        return {"Return": True}

    @call("ec2", "DescribeSecurityGroups")
    def groups(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell firewalls."""
        vpc = VPCS[self.region_of(request)]
        told = [
            {
                "GroupId": each.id, "GroupName": each.name, "Description": each.data["description"],
                "OwnerId": OWNER, "VpcId": vpc, "IpPermissions": each.data["rules"], "Tags": tags_of(each.labels),
            }
            for each in self._things(request, "group")
            if fits(
                wish.get("Filters", ()), {**tag_facts(each.labels), "group-name": [each.name], "vpc-id": [vpc]}
            )
        ]  # fmt: skip
        return {"SecurityGroups": told}

    @call("ec2", "CreateSecurityGroup", right=Right.RENT)
    def add_group(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Make a firewall."""
        name = wish["GroupName"]
        if self._things(request, "group", name=name):
            raise Said("InvalidGroup.Duplicate", f"The security group '{name}' already exists")
        made = self._keep(
            request, "group", new_id("sg"), name, labels_of(wish, "security-group"),
            {"description": wish["Description"], "rules": []},
        )  # fmt: skip
        return {"GroupId": made.id, "Tags": tags_of(made.labels)}

    @call("ec2", "AuthorizeSecurityGroupIngress", right=Right.RENT)
    def open(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Let a port in."""
        group = self._thing(request, "group", wish["GroupId"], "InvalidGroup.NotFound")
        if any(each in group.data["rules"] for each in wish["IpPermissions"]):
            raise Said("InvalidPermission.Duplicate", "the specified rule already exists")
        group.data["rules"] += wish["IpPermissions"]
        return {"Return": True}

    @call("ec2", "DeleteSecurityGroup", right=Right.END)
    def delete_group(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Remove a firewall; not while an instance is behind it, which it is until it has ended."""
        group = self._thing(request, "group", wish["GroupId"], "InvalidGroup.NotFound")
        if any(group.id in each.data["groups"] for each in self.world.machines(request.account)):
            raise Said("DependencyViolation", f"resource {group.id} has a dependent object")
        self.world.drop(group)
        return {"Return": True, "GroupId": group.id}

    # -- addresses and disks ----------------------------------------------------------------------------------

    @call("ec2", "DescribeAddresses")
    def addresses(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell Elastic IPs."""
        told = [
            {
                "AllocationId": each.id, "PublicIp": each.data["ip"], "Domain": "vpc", "PublicIpv4Pool": "amazon",
                "InstanceId": each.attached or None, "Tags": tags_of(each.labels),
                "AssociationId": each.data["association"] if each.attached else None,
            }
            for each in self._things(request, "address")
            if fits(wish.get("Filters", ()), tag_facts(each.labels))
        ]  # fmt: skip
        return {"Addresses": told}

    @call("ec2", "AllocateAddress", right=Right.RENT)
    def allocate(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Keep an Elastic IP."""
        labels = labels_of(wish, "elastic-ip")
        ip = self.world.new_address(Machine("", request.account.name, ""))
        data = {"ip": ip, "association": ""}
        made = self._keep(
            request,
            "address",
            new_id("eipalloc"),
            labels.get("Name", ""),
            labels,
            data,
            price=0.005,
        )
        return {
            "AllocationId": made.id,
            "PublicIp": ip,
            "Domain": "vpc",
            "PublicIpv4Pool": "amazon",
        }

    @call("ec2", "AssociateAddress", right=Right.RENT)
    def associate(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Hang an Elastic IP on an instance that runs."""
        found = self._thing(
            request, "address", wish["AllocationId"], "InvalidAllocationID.NotFound"
        )
        machine = self._running(request, wish["InstanceId"])
        if found.attached not in {"", machine.id}:
            raise Said("Resource.AlreadyAssociated", f"resource {found.id} is already associated")
        if found.attached != machine.id:
            found.data["association"] = new_id("eipassoc")
            self.world.pin(machine, found, found.data["ip"])
        return {"AssociationId": found.data["association"]}

    @call("ec2", "DisassociateAddress", right=Right.END)
    def disassociate(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Take an Elastic IP off its instance."""
        association = wish["AssociationId"]
        for each in self._things(request, "address"):
            if each.attached and each.data["association"] == association:
                self.world.machine(None, each.attached, ended=True).fixed_address = ""
                each.attached = ""
                return {}
        raise Said(
            "InvalidAssociationID.NotFound", f"The association ID '{association}' does not exist"
        )

    @call("ec2", "ReleaseAddress", right=Right.END)
    def release(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Give an Elastic IP back; not while an instance has it."""
        found = self._thing(
            request, "address", wish["AllocationId"], "InvalidAllocationID.NotFound"
        )
        if found.attached:
            raise Said("InvalidIPAddress.InUse", f"Address {found.data['ip']} is in use.")
        self.world.drop(found)
        return {}

    @call("ec2", "DescribeVolumes")
    def volumes(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Tell loose disks, of which there are none: an instance's own disk goes with it."""
        return {"Volumes": []}

    @call("ec2", "DeleteVolume", right=Right.END)
    def delete_volume(self, request: Request, wish: dict[str, Any]) -> dict[str, Any]:
        """Remove a disk."""
        raise Said("InvalidVolume.NotFound", f"The volume '{wish['VolumeId']}' does not exist.")

    def _running(self, request: Request, machine_id: str) -> Machine:
        for each in self.world.machines(request.account):
            if each.id == machine_id and region_of(each.region) == self.region_of(request):
                if each.state is State.RUNNING:
                    return each
                raise Said(
                    "InvalidInstanceID",
                    f"The pending instance '{machine_id}' is not in a valid state for this operation.",
                )
        raise Said("InvalidInstanceID.NotFound", f"The instance ID '{machine_id}' does not exist")

    # -- things of a region -----------------------------------------------------------------------------------

    def _keep(
        self, request: Request, kind: str, thing_id: str, name: str, labels: Mapping[str, str],
        data: Mapping[str, Any], price: float = 0.0,
    ) -> Thing:  # fmt: skip
        return self.world.keep(
            request.account, kind, thing_id=thing_id, name=name, labels=dict(labels),
            region=self.region_of(request), data=dict(data), price=price,
        )  # fmt: skip

    def _things(self, request: Request, kind: str, name: str = "") -> list[Thing]:
        region = self.region_of(request)
        there = self.world.things(request.account, kind)
        return [each for each in there if each.region == region and name in {"", each.name}]

    def _thing(self, request: Request, kind: str, thing_id: str, code: str) -> Thing:
        for each in self._things(request, kind):
            if each.id == thing_id:
                return each
        raise Said(code, f"The ID '{thing_id}' does not exist")


def new_id(kind: str) -> str:
    """Return a new id as EC2's are."""
    return f"{kind}-{secrets.token_hex(9)[:17]}"


def labels_of(wish: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the tags that a request asks for on a kind of thing."""
    return {
        tag["Key"]: tag["Value"]
        for each in wish.get("TagSpecifications", ())
        if each["ResourceType"] == kind
        for tag in each["Tags"]
    }
