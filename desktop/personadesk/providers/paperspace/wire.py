"""Paperspace's JSON, as far as it is read; the contract is its version 1."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

import msgspec

Item = TypeVar("Item")


class Page(msgspec.Struct, Generic[Item], rename="camel"):
    has_more: bool = False
    next_page: str = ""
    items: list[Item] = []


class User(msgspec.Struct):
    email: str = ""


class Team(msgspec.Struct, rename="camel"):
    namespace: str = ""
    max_machines: float | None = None


class Session(msgspec.Struct):
    user: User = msgspec.field(default_factory=User)
    team: Team = msgspec.field(default_factory=Team)


SESSION = cast("type[Session | None]", Session | None)
"""What is told of a key; null where nobody is known by it."""


class Availability(msgspec.Struct):
    available: bool


class FitsType(msgspec.Struct, rename="camel"):
    machine_type_label: str = ""
    is_available: bool = True


class Template(msgspec.Struct, rename="camel"):
    id: str
    name: str = ""
    operating_system_label: str = ""
    available_machine_types: list[FitsType] = []

    def fits(self, machine_type: str) -> bool:
        """Whether it is for that type; one that names no types is for all."""
        return not self.available_machine_types or any(
            each.machine_type_label == machine_type and each.is_available
            for each in self.available_machine_types
        )


class Accelerator(msgspec.Struct):
    name: str = ""
    count: float = 1


class Event(msgspec.Struct):
    name: str = ""
    state: str = ""
    error: str | None = None


class Machine(msgspec.Struct, rename="camel"):
    id: str
    name: str = ""
    state: str = ""
    machine_type: str = ""
    accelerators: list[Accelerator] | None = None
    region: str = ""
    public_ip: str | None = None
    public_ip_type: str = ""
    usage_rate: float | None = None
    storage_rate: float | None = None
    dt_created: str = ""
    dt_deleted: str | None = None


class Change(msgspec.Struct):
    data: Machine
    event: Event | None = None


class Started(msgspec.Struct):
    event: Event | None = None


class Script(msgspec.Struct):
    id: str
    name: str = ""


class PublicIp(msgspec.Struct, rename="camel"):
    ip: str
    region: str = ""
    assigned_machine_id: str = ""
