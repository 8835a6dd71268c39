"""Vast.ai's JSON as far as we read it. What is unknown is ignored; what may be missing or null has a default."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class User(Struct):
    """Whose key it is; money in dollars. `credit` is what was paid in and is left, where it is told."""

    id: int = 0
    email: str | None = None
    balance: float | None = None
    credit: float | None = None


class Ask(Struct):
    """An offer: one machine, or a part of one. Memory in MB, prices in dollars per hour, `duration` in seconds."""

    id: int = 0
    gpu_name: str = ""
    num_gpus: int = 1
    gpu_ram: float = 0.0
    dph_total: float | None = None
    min_bid: float | None = None
    geolocation: str | None = None
    machine_id: int | None = None


class Asks(Struct):
    """What a search found."""

    offers: list[Ask] = field(default_factory=list)


class Done(Struct):
    """The answer to a change. It may say no with status 200, and name an instance that was made all the same."""

    success: bool = True
    error: str | None = None
    msg: str | None = None
    new_contract: int | None = None
    result_url: str | None = None


class Instance(Struct):
    """A rented machine. Memory of its GPU in MB, of the rest in GB, prices in dollars per hour, times in Unix time."""

    id: int = 0
    actual_status: str | None = None
    cur_state: str | None = None
    next_state: str | None = None
    intended_status: str | None = None
    label: str | None = None
    status_msg: str | None = None
    public_ipaddr: str | None = None
    ssh_host: str | None = None
    ssh_port: int | None = None
    ports: Any = None
    start_date: float | None = None
    gpu_name: str | None = None
    num_gpus: int | None = None
    gpu_ram: float | None = None
    geolocation: str | None = None
    is_bid: bool | None = None
    dph_total: float | None = None
    storage_total_cost: float | None = None
    machine_id: int | None = None
    gpu_util: float | None = None
    gpu_temp: float | None = None
    cpu_util: float | None = None
    mem_usage: float | None = None
    mem_limit: float | None = None
    disk_usage: float | None = None
    disk_space: float | None = None


class Instances(Struct):
    """One page of them."""

    instances: list[Instance] = field(default_factory=list)
    next_token: str | None = None
