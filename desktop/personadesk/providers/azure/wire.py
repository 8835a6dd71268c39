"""Azure's JSON, as far as it is read (`Microsoft.Compute` 2026-03-01, `Microsoft.Network` 2025-07-01)."""

from __future__ import annotations

from typing import Any

import msgspec

from personadesk.domain.machine import OWNER_LABEL


class _Wire(msgspec.Struct, rename="camel"):
    """Names are camel case there."""


class TokenAnswer(_Wire, rename=None):
    """RFC 6749, 5.1."""

    access_token: str
    expires_in: float = 3600.0


class Subscription(_Wire):
    display_name: str = ""
    state: str = ""


class Permission(_Wire):
    actions: list[str] = []
    not_actions: list[str] = []


class Page(_Wire):
    """What lists have in common."""

    next_link: str | None = None


class Permissions(Page):
    value: list[Permission] = []


class Capability(_Wire):
    name: str = ""
    value: str = ""


class Restriction(_Wire):
    type: str = ""
    reason_code: str = ""


class Sku(_Wire):
    resource_type: str = ""
    name: str = ""
    family: str = ""
    capabilities: list[Capability] = []
    restrictions: list[Restriction] = []


class Skus(Page):
    value: list[Sku] = []


class UsageName(_Wire):
    value: str = ""


class Usage(_Wire):
    current_value: float = 0.0
    limit: float = 0.0
    name: UsageName = msgspec.field(default_factory=UsageName)


class Usages(Page):
    value: list[Usage] = []


class Price(_Wire):
    arm_sku_name: str = ""
    arm_region_name: str = ""
    product_name: str = ""
    sku_name: str = ""
    unit_of_measure: str = ""
    retail_price: float = 0.0


class Prices(_Wire):
    items: list[Price] = msgspec.field(name="Items", default_factory=list)
    next_page_link: str | None = msgspec.field(name="NextPageLink", default=None)


class Status(_Wire):
    code: str = ""
    message: str | None = None


class InstanceView(_Wire):
    statuses: list[Status] = []


class HardwareProfile(_Wire):
    vm_size: str = ""


class OsProfile(_Wire):
    admin_username: str = ""


class OsDisk(_Wire):
    disk_size_gb: float | None = msgspec.field(name="diskSizeGB", default=None)


class StorageProfile(_Wire):
    os_disk: OsDisk = msgspec.field(default_factory=OsDisk)


class MachineProperties(_Wire):
    provisioning_state: str = ""
    priority: str | None = None
    time_created: str | None = None
    hardware_profile: HardwareProfile = msgspec.field(default_factory=HardwareProfile)
    os_profile: OsProfile = msgspec.field(default_factory=OsProfile)
    storage_profile: StorageProfile = msgspec.field(default_factory=StorageProfile)
    instance_view: InstanceView = msgspec.field(default_factory=InstanceView)


class VirtualMachine(_Wire):
    id: str = ""
    name: str = ""
    location: str = ""
    tags: dict[str, Any] | None = None
    properties: MachineProperties = msgspec.field(default_factory=MachineProperties)


class VirtualMachines(Page):
    value: list[VirtualMachine] = []


class AddressProperties(_Wire):
    ip_address: str | None = None


class PublicAddress(_Wire):
    properties: AddressProperties = msgspec.field(default_factory=AddressProperties)


class Group(_Wire):
    name: str = ""
    location: str = ""
    tags: dict[str, Any] | None = None


class Groups(Page):
    value: list[Group] = []


class Problem(_Wire):
    code: str = ""
    message: str = ""


class AsyncOperation(_Wire):
    status: str = ""
    error: Problem | None = None


def tag_of(tags: dict[str, Any] | None) -> str:
    """Return the deploy that a thing's tags name, "" for none."""
    return str((tags or {}).get(OWNER_LABEL) or "")
