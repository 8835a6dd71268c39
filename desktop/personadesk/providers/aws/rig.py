"""What an instance needs beside itself: an image, our key, a firewall, an address; and clearing it all away.

Key pair and security group are free, shared by all of our instances in a region, and go with the last of them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import AuthFailed, BadRequest, NotFound, PersonaDeskError
from personadesk.domain.machine import Resource, ResourceKind
from personadesk.providers.access import key_name, same_key
from personadesk.providers.aws import prices, wire
from personadesk.providers.aws.facts import IMAGE_PARAMETER, TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.providers.aws.session import Session

log = logging.getLogger(__name__)

GROUP_NAME = "personadesk"
SSH_PORT = 22
IMAGE_SECONDS = 6 * 3600.0
"""AWS publishes a new image every few weeks."""


@dataclass(frozen=True, slots=True)
class ImageFact:
    """What an instance starts from.

    Attributes:
        id: The image's id in its region.
        root: Device name of its disk.
        least_gb: Size of that disk; a smaller one is refused.
    """

    id: str
    root: str
    least_gb: int


def tags(values: dict[str, str], *kinds: str) -> list[dict[str, Any]]:
    """Return tags for new things of these kinds (`instance`, `volume`, …), as EC2 takes them."""
    pairs = [{"Key": key, "Value": value} for key, value in values.items()]
    return [{"ResourceType": kind, "Tags": pairs} for kind in kinds]


def where(name: str, *values: str) -> dict[str, Any]:
    """Return one of EC2's filters."""
    return {"Name": name, "Values": list(values)}


class Rig:
    """Makes and clears away what our instances need, in any region of one account."""

    def __init__(self, session: Session, account: str, clock: Callable[[], float]) -> None:
        self._session = session
        self._account = account
        self._clock = clock
        self._images: dict[str, tuple[float, ImageFact]] = {}

    async def image(self, region: str) -> ImageFact:
        """Return AWS's own Ubuntu with NVIDIA's driver.

        Raises:
            NotFound: The region has none.
        """
        at, known = self._images.get(region, (0.0, None))
        if known is not None and self._clock() - at < IMAGE_SECONDS:
            return known
        answer = await self._session.call("ssm", "GetParameter", region, Name=IMAGE_PARAMETER)
        image_id = str(answer["Parameter"]["Value"])
        found = await self._session.call("ec2", "DescribeImages", region, ImageIds=[image_id])
        image = wire.read(found["Images"][0], wire.Image)
        sizes = [
            each.ebs.volume_size
            for each in image.block_device_mappings
            if each.device_name == image.root_device_name and each.ebs is not None
        ]
        fact = ImageFact(image_id, image.root_device_name or "/dev/sda1", max(sizes, default=0))
        self._images[region] = (self._clock(), fact)
        return fact

    async def key(self, public_key: str, region: str) -> str:
        """See to it that the region knows our public key, and return its name there."""
        name = key_name(public_key)
        try:
            await self._session.call(
                "ec2", "ImportKeyPair", region, changes=True,
                KeyName=name, PublicKeyMaterial=public_key.strip().encode(),
                TagSpecifications=tags({TAG: ""}, "key-pair"),
            )  # fmt: skip
        except BadRequest as error:
            if "InvalidKeyPair.Duplicate" not in error.details:
                raise
            # The name is made from the key; only somebody's mischief puts another one there.
            answer = await self._session.call(
                "ec2", "DescribeKeyPairs", region, KeyNames=[name], IncludePublicKey=True
            )
            held = str(answer["KeyPairs"][0].get("PublicKey", ""))
            if held and not same_key(held, public_key):
                raise
        return name

    async def group(self, region: str) -> str:
        """Return the id of our security group in the region's default network; it lets SSH in and nothing else."""
        answer = await self._session.call(
            "ec2", "DescribeVpcs", region, Filters=[where("is-default", "true")]
        )
        vpcs = answer.get("Vpcs", ())
        vpc = [where("vpc-id", vpcs[0]["VpcId"])] if vpcs else []
        filters = [where("group-name", GROUP_NAME), *vpc]
        found = await self._groups(region, filters)
        if not found:
            place = {"VpcId": vpcs[0]["VpcId"]} if vpcs else {}
            try:
                made = await self._session.call(
                    "ec2", "CreateSecurityGroup", region, changes=True, GroupName=GROUP_NAME,
                    Description="PersonaDesk: SSH only", TagSpecifications=tags({TAG: ""}, "security-group"), **place,
                )  # fmt: skip
                found = [wire.Group(group_id=made["GroupId"])]
            except BadRequest as error:
                if "InvalidGroup.Duplicate" not in error.details:
                    raise
                found = await self._groups(region, filters)
        group = found[0]
        if not any(rule.get("FromPort") == SSH_PORT for rule in group.ip_permissions):
            await self._open(group.group_id, region)
        return group.group_id

    async def address(self, tag: str, region: str) -> wire.Address:
        """Return the Elastic IP that is kept for a deploy, made when there is none."""
        found = await self.addresses(region, tag)
        if found:
            return found[0]
        # Asked once only: a lost answer must not make a second one; it would be found by its tag.
        made = await self._session.call(
            "ec2", "AllocateAddress", region, tries=1, changes=True,
            Domain="vpc", TagSpecifications=tags({"Name": tag, TAG: tag}, "elastic-ip"),
        )  # fmt: skip
        return wire.read(made, wire.Address)

    async def addresses(self, region: str, tag: str = "") -> list[wire.Address]:
        """Return our Elastic IPs, of one deploy or all."""
        wanted = where(f"tag:{TAG}", tag) if tag else where("tag-key", TAG)
        answer = await self._session.call("ec2", "DescribeAddresses", region, Filters=[wanted])
        return [wire.read(each, wire.Address) for each in answer.get("Addresses", ())]

    async def hang(self, address: wire.Address, instance_id: str, region: str) -> bool:
        """Hang an address on an instance; False when the instance is not ready for that yet."""
        try:
            await self._session.call(
                "ec2", "AssociateAddress", region, changes=True,
                AllocationId=address.allocation_id, InstanceId=instance_id,
            )  # fmt: skip
        except (BadRequest, NotFound) as error:
            # "The pending instance is not in a valid state for this operation": tried again at the next look.
            log.info("%s waits for its address: %s", instance_id, error.details)
            return False
        return True

    async def release(self, address: wire.Address, region: str) -> None:
        """Give an address back; harmless when it is gone."""
        if address.association_id:
            await self._gently("DisassociateAddress", region, AssociationId=address.association_id)
        await self._gently("ReleaseAddress", region, AllocationId=address.allocation_id)

    async def clear(self, tag: str, region: str, *, last: bool, key: str = "") -> None:
        """Clear away what was made for one deploy, and what all share when it was the last.

        What cannot go yet stays without a failure: it is told as a leftover.

        Args:
            tag: The deploy.
            region: Where.
            last: Whether no other instance of ours is there.
            key: Name of the key pair that it used.
        """
        try:
            for address in await self.addresses(region, tag):
                await self.release(address, region)
            if not last:
                return
            if key.startswith(f"{GROUP_NAME}-"):
                await self._gently("DeleteKeyPair", region, KeyName=key)
            for group in await self._groups(region, [where("tag-key", TAG)]):
                await self._gently("DeleteSecurityGroup", region, GroupId=group.group_id)
        except PersonaDeskError as error:
            log.info("Something of %s is left in %s: %s", tag, region, error.details or error.what)

    async def leftovers(self, region: str, alive: Sequence[wire.Instance]) -> list[Resource]:
        """Return addresses, disks and, where no instance of ours is, the shared security group.

        Args:
            region: Where.
            alive: Our instances there that have not ended.
        """
        ids = {each.instance_id for each in alive}
        found = [
            Resource(
                ResourceKind.ADDRESS, each.allocation_id, self._account, each.tag(TAG) or "", each.public_ip,
                region, prices.ADDRESS_PER_HOUR, each.instance_id if each.instance_id in ids else "",
                {"association": each.association_id},
            )
            for each in await self.addresses(region)
        ]  # fmt: skip
        loose = [where("tag-key", TAG), where("status", "available")]
        for value in await self._session.pages("DescribeVolumes", "Volumes", region, Filters=loose):
            volume = wire.read(value, wire.Volume)
            found.append(
                Resource(
                    ResourceKind.VOLUME, volume.volume_id, self._account, volume.tag(TAG) or "",
                    volume.tag("Name") or "", region, prices.disk_price(volume.size),
                )
            )  # fmt: skip
        if not ids:
            found += [
                Resource(
                    ResourceKind.FIREWALL, group.group_id, self._account, "", group.group_name, region, 0.0
                )
                for group in await self._groups(region, [where("tag-key", TAG)])
            ]  # fmt: skip
        return found

    async def remove(self, resource: Resource) -> None:
        """Remove a leftover; harmless when it is gone.

        Raises:
            BadRequest: Something still hangs on it (cause `wrong_state`).
        """
        if resource.kind is ResourceKind.ADDRESS:
            address = wire.Address(
                allocation_id=resource.id, association_id=resource.data.get("association", "")
            )
            await self.release(address, resource.region)
        elif resource.kind is ResourceKind.VOLUME:
            await self._gently("DeleteVolume", resource.region, VolumeId=resource.id)
        else:
            await self._gently("DeleteSecurityGroup", resource.region, GroupId=resource.id)

    async def _groups(self, region: str, filters: list[dict[str, Any]]) -> list[wire.Group]:
        found = await self._session.pages(
            "DescribeSecurityGroups", "SecurityGroups", region, Filters=filters
        )
        return [wire.read(each, wire.Group) for each in found]

    async def _open(self, group_id: str, region: str) -> None:
        rule = {
            "IpProtocol": "tcp", "FromPort": SSH_PORT, "ToPort": SSH_PORT,
            # From anywhere: our own address is another tomorrow, and only our key enters.
            "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "SSH"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0", "Description": "SSH"}],
        }  # fmt: skip
        try:
            await self._session.call(
                "ec2", "AuthorizeSecurityGroupIngress", region, changes=True,
                GroupId=group_id, IpPermissions=[rule],
            )  # fmt: skip
        except BadRequest as error:
            if "InvalidPermission.Duplicate" not in error.details:
                raise

    async def _gently(self, operation: str, region: str, **parameters: Any) -> None:
        """Remove something that may be gone already."""
        try:
            await self._session.call("ec2", operation, region, changes=True, **parameters)
        except NotFound:
            log.info("%s %s: it was gone", operation, parameters)
        except AuthFailed as error:
            # "The address does not belong to you": it was released, and is somebody else's by now.
            if "does not belong to you" not in error.details:
                raise
            log.info("%s %s: it is no longer ours", operation, parameters)
