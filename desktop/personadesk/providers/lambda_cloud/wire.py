"""Lambda's JSON, as far as it is read; the contract is Lambda's own, version 1.8.3."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

_Data = TypeVar("_Data")


class Answer(msgspec.Struct, Generic[_Data]):
    data: _Data


class Region(msgspec.Struct):
    name: str = ""
    description: str = ""


class Specs(msgspec.Struct):
    gpus: int = 1


class Type(msgspec.Struct):
    name: str
    description: str = ""
    gpu_description: str = ""
    price_cents_per_hour: int | None = None
    specs: Specs = msgspec.field(default_factory=Specs)


class TypeItem(msgspec.Struct):
    instance_type: Type
    regions_with_capacity_available: list[Region] = []


class Allowed(msgspec.Struct):
    available: bool = False
    reason_code: str = ""


class Actions(msgspec.Struct):
    restart: Allowed = msgspec.field(default_factory=Allowed)
    terminate: Allowed = msgspec.field(default_factory=Allowed)


class Tag(msgspec.Struct):
    key: str = ""
    value: str = ""


class Instance(msgspec.Struct):
    id: str
    status: str = ""
    name: str | None = None
    ip: str | None = None
    region: Region = msgspec.field(default_factory=Region)
    instance_type: Type | None = None
    file_system_names: list[str] = []
    actions: Actions | None = None
    tags: list[Tag] = []


class Launched(msgspec.Struct):
    instance_ids: list[str]


class Key(msgspec.Struct):
    name: str
    public_key: str = ""


class Filesystem(msgspec.Struct):
    id: str
    name: str = ""
    region: Region = msgspec.field(default_factory=Region)
    is_in_use: bool = False
    bytes_used: int | None = None
