"""EC2's answers as structs: only what we read, everything that may be missing optional, the rest ignored."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - read at run time where answers are decoded
from typing import Any, TypeVar

import msgspec

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def read(values: Any, into: type[_Struct]) -> _Struct:
    """Return an answer, or a part of one, as a struct.

    Raises:
        msgspec.ValidationError: It is not of that shape.
    """
    return msgspec.convert(values, into, strict=False)


class Named(msgspec.Struct, rename="pascal"):
    """What is told by a name alone, such as a state."""

    name: str = ""


class Tag(msgspec.Struct, rename="pascal"):
    """A tag."""

    key: str = ""
    value: str = ""


class Reason(msgspec.Struct, rename="pascal"):
    """Why an instance is in its state."""

    code: str = ""
    message: str = ""


class Placement(msgspec.Struct, rename="pascal"):
    """Where an instance is."""

    availability_zone: str = ""


class Tagged(msgspec.Struct, rename="pascal", kw_only=True):
    """What carries tags."""

    tags: list[Tag] = []

    def tag(self, name: str) -> str | None:
        """Return a tag's value, None when it is not there."""
        return next((tag.value for tag in self.tags if tag.key == name), None)


class Instance(Tagged, rename="pascal", kw_only=True):
    """A virtual machine."""

    instance_id: str
    instance_type: str = ""
    state: Named = msgspec.field(default_factory=Named)
    state_reason: Reason | None = None
    state_transition_reason: str = ""
    launch_time: datetime | None = None
    placement: Placement = msgspec.field(default_factory=Placement)
    public_ip_address: str = ""
    key_name: str = ""
    instance_lifecycle: str = ""


class Reservation(msgspec.Struct, rename="pascal"):
    """What came of one request for instances."""

    instances: list[Instance] = []


class Check(msgspec.Struct, rename="pascal"):
    """A status check: ok, initializing, impaired, insufficient-data, not-applicable."""

    status: str = ""


class Event(msgspec.Struct, rename="pascal"):
    """What AWS is going to do to an instance."""

    code: str = ""
    description: str = ""
    not_before: datetime | None = None


class InstanceStatus(msgspec.Struct, rename="pascal"):
    """How AWS's own checks of an instance stand."""

    instance_id: str
    system_status: Check = msgspec.field(default_factory=Check)
    instance_status: Check = msgspec.field(default_factory=Check)
    events: list[Event] = []


class Memory(msgspec.Struct):
    """Memory of one GPU."""

    mebibytes: int = msgspec.field(name="SizeInMiB", default=0)


class Gpu(msgspec.Struct, rename="pascal"):
    """One kind of GPU in an instance type."""

    name: str = ""
    manufacturer: str = ""
    count: int = 0
    memory_info: Memory = msgspec.field(default_factory=Memory)


class GpuInfo(msgspec.Struct, rename="pascal"):
    """The GPUs of an instance type."""

    gpus: list[Gpu] = []


class Processors(msgspec.Struct):
    """The CPU of an instance type."""

    count: int = msgspec.field(name="DefaultVCpus", default=0)


class InstanceType(msgspec.Struct, rename="pascal"):
    """A kind of instance."""

    instance_type: str
    gpu_info: GpuInfo | None = None
    processors: Processors = msgspec.field(name="VCpuInfo", default_factory=Processors)
    supported_usage_classes: list[str] = []


class TypeOffering(msgspec.Struct, rename="pascal"):
    """That a kind of instance exists in a zone."""

    instance_type: str = ""
    location: str = ""


class SpotPrice(msgspec.Struct, rename="pascal"):
    """What a kind of instance costs as spot in a zone."""

    availability_zone: str = ""
    instance_type: str = ""
    spot_price: str = ""
    timestamp: datetime | None = None


class Address(Tagged, rename="pascal", kw_only=True):
    """An Elastic IP."""

    allocation_id: str = ""
    public_ip: str = ""
    instance_id: str = ""
    association_id: str = ""


class Volume(Tagged, rename="pascal", kw_only=True):
    """A disk."""

    volume_id: str
    state: str = ""
    size: int = 0


class Disk(msgspec.Struct, rename="pascal"):
    """The disk part of an image."""

    volume_size: int = 0


class Mapping(msgspec.Struct, rename="pascal"):
    """A disk of an image by its device's name."""

    device_name: str = ""
    ebs: Disk | None = None


class Image(msgspec.Struct, rename="pascal"):
    """What an instance starts from."""

    image_id: str = ""
    root_device_name: str = ""
    block_device_mappings: list[Mapping] = []


class Group(Tagged, rename="pascal", kw_only=True):
    """A security group."""

    group_id: str
    group_name: str = ""
    ip_permissions: list[dict[str, Any]] = []
