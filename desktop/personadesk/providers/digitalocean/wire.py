"""DigitalOcean's JSON, as far as it is read."""

from __future__ import annotations

import msgspec


class Pages(msgspec.Struct):
    next: str = ""


class Links(msgspec.Struct):
    pages: Pages | None = None


class Listing(msgspec.Struct):
    links: Links | None = None

    @property
    def next(self) -> str:
        """The next page's whole address, "" on the last one."""
        return (
            self.links.pages.next if self.links is not None and self.links.pages is not None else ""
        )


class Account(msgspec.Struct):
    email: str = ""
    status: str = "active"
    status_message: str = ""
    droplet_limit: int | None = None


class AccountAnswer(msgspec.Struct):
    account: Account


class Balance(msgspec.Struct):
    month_to_date_balance: str = ""


class Memory(msgspec.Struct):
    amount: float = 0.0


class GpuInfo(msgspec.Struct):
    count: int = 1
    model: str = ""
    vram: Memory | None = None


class Size(msgspec.Struct):
    slug: str = ""
    price_hourly: float | None = None
    regions: list[str] = []
    available: bool = True
    gpu_info: GpuInfo | None = None


class Sizes(Listing):
    sizes: list[Size] = []


class Region(msgspec.Struct):
    slug: str = ""
    name: str = ""


class Network(msgspec.Struct):
    ip_address: str = ""
    type: str = ""


class Networks(msgspec.Struct):
    v4: list[Network] = []


class Droplet(msgspec.Struct):
    id: int
    name: str = ""
    status: str = ""
    locked: bool = False
    created_at: str = ""
    size: Size | None = None
    gpu_info: GpuInfo | None = None
    networks: Networks | None = None
    region: Region | None = None
    tags: list[str] = []


class Droplets(Listing):
    droplets: list[Droplet] = []


class DropletAnswer(msgspec.Struct):
    droplet: Droplet


class Action(msgspec.Struct):
    id: int
    type: str = ""
    status: str = ""


class Actions(Listing):
    actions: list[Action] = []


class ActionAnswer(msgspec.Struct):
    action: Action


class Key(msgspec.Struct):
    public_key: str = ""
    id: int = 0


class Keys(Listing):
    ssh_keys: list[Key] = []


class KeyAnswer(msgspec.Struct):
    ssh_key: Key


class Holder(msgspec.Struct):
    """The Droplet that has an address; without an id there is none."""

    id: int = 0
    tags: list[str] = []


class ReservedIp(msgspec.Struct):
    ip: str
    region: Region | None = None
    droplet: Holder | None = None
    locked: bool = False

    @property
    def holder(self) -> Holder:
        """Which Droplet has it."""
        return self.droplet or Holder()


class ReservedIps(Listing):
    reserved_ips: list[ReservedIp] = []


class ReservedIpAnswer(msgspec.Struct):
    reserved_ip: ReservedIp


class Volume(msgspec.Struct):
    id: str
    name: str = ""
    region: Region | None = None
    droplet_ids: list[int] | None = None
    tags: list[str] | None = None


class Volumes(Listing):
    volumes: list[Volume] = []


class VolumeAnswer(msgspec.Struct):
    volume: Volume
