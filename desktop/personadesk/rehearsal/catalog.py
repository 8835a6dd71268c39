"""Which providers can be rehearsed with, and how one is made."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from personadesk.rehearsal.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.rehearsal.http import Simulator

_PLACES: Mapping[str, str] = {
    "runpod": "runpod:RunPod",
    "lambda": "lambda_cloud:LambdaCloud",
    "vast": "vast:Vast",
    "paperspace": "paperspace:Paperspace",
    "digitalocean": "digitalocean:DigitalOcean",
    "aws": "aws.ec2:Aws",
    "google": "google:Google",
    "azure": "azure:Azure",
}
"""Module and class of each simulator: `"runpod": "runpod:RunPod"`, in the order of the providers' tabs."""


def ids() -> tuple[str, ...]:
    """Return the ids of all providers that can be rehearsed with."""
    return tuple(_PLACES)


def kind(provider_id: str) -> type[Simulator]:
    """Return a simulator's class."""
    module, _, name = _PLACES[provider_id].partition(":")
    found: type[Simulator] = getattr(import_module(f"personadesk.rehearsal.{module}"), name)
    return found


def make(simulator: type[Simulator], **options: Any) -> Simulator:
    """Return a simulator with a world of its own, in which its ready-made account is open.

    Args:
        simulator: Its class.
        options: Of `World`: clock, speed, bodies, faults, held …
    """
    options.setdefault("pace", simulator.pace)
    world = World(
        simulator.id, simulator.kinds,
        keeps_address=simulator.keeps_address, keeps_gpu=simulator.keeps_gpu, **options,
    )  # fmt: skip
    ready = simulator.ready
    if ready.key not in world.held.accounts:
        world.add_account("rehearsal", ready.key, balance=ready.balance)
    return simulator(world)
