"""Google's JSON, as far as it is read (discovery document `compute:v1`)."""

from __future__ import annotations

from typing import Any

import msgspec


class _Wire(msgspec.Struct, rename="camel"):
    """Names are camel case there."""


class Key(_Wire, rename=None):
    """A service account's key file."""

    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    project_id: str = ""
    token_uri: str = ""
    type: str = ""


class TokenAnswer(_Wire, rename=None):
    """RFC 6749, 5.1."""

    access_token: str
    expires_in: float = 3600.0


class Quota(_Wire):
    metric: str = ""
    limit: float = 0.0
    usage: float = 0.0


class Project(_Wire):
    name: str = ""
    quotas: list[Quota] = []


class Permissions(_Wire):
    permissions: list[str] = []


class Region(_Wire):
    name: str = ""
    quotas: list[Quota] = []


class Page(_Wire):
    """What lists have in common."""

    next_page_token: str = ""


class Regions(Page):
    items: list[Region] = []


class Accelerator(_Wire):
    guest_accelerator_type: str = ""
    guest_accelerator_count: int = 0


class MachineType(_Wire):
    name: str = ""
    zone: str = ""
    guest_cpus: int = 0
    memory_mb: int = 0
    accelerators: list[Accelerator] = []
    deprecated: dict[str, Any] | None = None


class MachineTypesHere(_Wire):
    machine_types: list[MachineType] = []


class MachineTypes(Page):
    items: dict[str, MachineTypesHere] = {}


class AccessConfig(_Wire):
    nat_ip: str = msgspec.field(name="natIP", default="")


class NetworkInterface(_Wire):
    access_configs: list[AccessConfig] = []


class Attached(_Wire):
    accelerator_type: str = ""
    accelerator_count: int = 0


class Item(_Wire):
    key: str = ""
    value: str = ""


class Metadata(_Wire):
    items: list[Item] = []


class Scheduling(_Wire):
    provisioning_model: str = ""
    preemptible: bool = False


class Disk(_Wire):
    disk_size_gb: float = 0.0


class Instance(_Wire):
    name: str = ""
    status: str = ""
    status_message: str = ""
    zone: str = ""
    machine_type: str = ""
    creation_timestamp: str = ""
    labels: dict[str, str] = {}
    start_restricted: bool = False
    network_interfaces: list[NetworkInterface] = []
    guest_accelerators: list[Attached] = []
    metadata: Metadata = msgspec.field(default_factory=Metadata)
    scheduling: Scheduling = msgspec.field(default_factory=Scheduling)
    disks: list[Disk] = []


class InstancesHere(_Wire):
    instances: list[Instance] = []


class Instances(Page):
    items: dict[str, InstancesHere] = {}


class OperationProblem(_Wire):
    code: str = ""
    message: str = ""


class OperationProblems(_Wire):
    errors: list[OperationProblem] = []


class Operation(_Wire):
    name: str = ""
    status: str = ""
    operation_type: str = ""
    insert_time: str = ""
    error: OperationProblems | None = None
    http_error_status_code: int | None = None


class Operations(Page):
    items: list[Operation] = []


class Address(_Wire):
    name: str = ""
    address: str = ""
    status: str = ""
    region: str = ""
    labels: dict[str, str] = {}
    users: list[str] = []


class Addresses(Page):
    items: list[Address] = []


class SerialPort(_Wire):
    contents: str = ""


def last(url: str) -> str:
    """Return the last part of a resource's URL, its name."""
    return url.rpartition("/")[2]
