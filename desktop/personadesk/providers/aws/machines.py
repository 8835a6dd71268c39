"""EC2's instances and instance types as our machines and offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.host import DEFAULT_SSH_PORT, SshAddress
from personadesk.domain.machine import Action, Machine, MachineState
from personadesk.domain.text import NOTHING, T, Text
from personadesk.providers import gpus
from personadesk.providers.aws import prices
from personadesk.providers.aws.facts import (
    ADDRESS_TAG,
    DISK_TAG,
    IMAGE_USER,
    PLACES,
    PRICE_TAG,
    SSH_TAG,
    TAG,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.providers.aws import wire

STATES: Mapping[str, MachineState] = {
    "pending": MachineState.PROVISIONING,
    "running": MachineState.RUNNING,
    "stopping": MachineState.STOPPING,
    "stopped": MachineState.STOPPED,
    "shutting-down": MachineState.ENDING,
    "terminated": MachineState.ENDED,
}
_DOES: Mapping[MachineState, frozenset[Action]] = {
    MachineState.PROVISIONING: frozenset({Action.END}),
    MachineState.STARTING: frozenset({Action.END}),
    MachineState.RUNNING: frozenset({Action.STOP, Action.RESTART, Action.END}),
    MachineState.LOST: frozenset({Action.STOP, Action.RESTART, Action.END}),
    MachineState.STOPPING: frozenset({Action.END}),
    MachineState.STOPPED: frozenset({Action.START, Action.END}),
    MachineState.UNKNOWN: frozenset({Action.END}),
}
_ON = frozenset(
    {MachineState.RUNNING, MachineState.LOST, MachineState.STARTING, MachineState.PROVISIONING}
)
_REASONS: Mapping[str, Text] = {
    "Server.SpotInstanceTermination": T("AWS took the spot instance back."),
    "Server.SpotInstanceShutdown": T("AWS took the spot instance back."),
    "Server.InsufficientInstanceCapacity": T("AWS had no GPU free for it."),
    "Server.InternalError": T("AWS had a fault while it started."),
    "Server.ScheduledStop": T("AWS stopped it as announced."),
    "Client.InstanceInitiatedShutdown": T("It shut itself down: its lease had run out, or somebody told it to."),
    "Client.VolumeLimitExceeded": T("The account may not have more disk."),
    "Client.InternalError": T("Its disk could not be read when it started."),
    "Client.InvalidSnapshot.NotFound": T("The image that it starts from is gone."),
}  # fmt: skip
"""Why an instance is in its state, by AWS's codes; what a person asked for needs no reason."""


@dataclass(frozen=True, slots=True)
class Kind:
    """An instance type with NVIDIA GPUs.

    Attributes:
        name: `g5.xlarge`.
        gpu: Usual name.
        memory_gb: Of one GPU, as sold.
        count: GPUs.
        vcpus: Processors as its quota counts them.
        on_demand: Whether it is rented by the hour.
        spot: Whether it exists as spot.
    """

    name: str
    gpu: str
    memory_gb: float
    count: int
    vcpus: int
    on_demand: bool
    spot: bool


def kind_of(told: wire.InstanceType) -> Kind | None:
    """Return an instance type, None where it has no NVIDIA GPU."""
    found = [g for g in (told.gpu_info.gpus if told.gpu_info else ()) if g.manufacturer == "NVIDIA"]
    if not found:
        return None
    gpu = found[0]
    gib = gpu.memory_info.mebibytes / 1024
    memory = gib * 1.024**3
    name = gpus.usual_name(gpu.name, memory)
    sold = gpus.memory_of(name)
    # A type may have a part of a GPU only (g6f: an eighth of an L4); its memory is what it tells.
    whole = sold and memory >= 0.9 * sold
    return Kind(
        told.instance_type, name, sold if whole else float(round(gib)), gpu.count or 1,
        told.processors.count, "on-demand" in told.supported_usage_classes, "spot" in told.supported_usage_classes,
    )  # fmt: skip


def machine_of(
    told: wire.Instance,
    region: str,
    kind: Kind | None,
    status: wire.InstanceStatus | None,
    *,
    starting: bool = False,
    listed: float | None = None,
) -> Machine:
    """Return an instance as a machine.

    Args:
        told: As EC2 tells it.
        region: Where.
        kind: Its type; None where that has no GPU of NVIDIA's.
        status: AWS's own checks of it, None where they were not asked for.
        starting: Whether we asked for its start a moment ago.
        listed: Dollars per hour of its type, for one that does not carry its price.
    """
    state = STATES.get(told.state.name, MachineState.UNKNOWN)
    if state is MachineState.PROVISIONING and starting:
        state = MachineState.STARTING
    said, reason = told.state.name, _reason(told)
    if status is not None:
        if state is MachineState.RUNNING and status.system_status.status == "impaired":
            state = MachineState.LOST
            reason = T(
                "AWS's own check of its hardware fails. Stopping and starting it moves it elsewhere."
            )
        elif status.instance_status.status == "impaired":
            reason = T("It doesn't answer AWS's own check; it may be busy, or hang.")
        said = f"{said}, checks: {status.system_status.status}/{status.instance_status.status}"
        said = "; ".join([said, *(_event(event) for event in status.events)])
    spot = told.instance_lifecycle == "spot"
    actions = _DOES.get(state, frozenset())
    price = _number(told.tag(PRICE_TAG))
    running = price if price is not None else listed
    if running is not None:
        disk = prices.disk_price(round(_number(told.tag(DISK_TAG)) or 0))
        running = round(running + disk + prices.ADDRESS_PER_HOUR, 4)
    return Machine(
        id=told.instance_id, account="", provider="", name=told.tag("Name") or "", tag=told.tag(TAG) or "",
        state=state, said=said, reason=reason, gpu=kind.gpu if kind else "",
        memory_gb=kind.memory_gb if kind else 0.0, count=kind.count if kind else 0,
        region=region, place=PLACES.get(region, ""), price=_price_now(told, state, running), running_price=running,
        created=told.launch_time.timestamp() if told.launch_time else None,
        ssh=_ssh(told) if state in _ON else None,
        actions=actions - {Action.STOP, Action.START} if spot else actions, spot=spot,
        data={"zone": told.placement.availability_zone, "type": told.instance_type, "key": told.key_name},
    )  # fmt: skip


def _price_now(told: wire.Instance, state: MachineState, running: float | None) -> float | None:
    if state is MachineState.ENDED:
        return 0.0
    if state in {MachineState.RUNNING, MachineState.LOST}:
        return running
    disk = _number(told.tag(DISK_TAG))
    if state in {MachineState.STOPPED, MachineState.STOPPING} and disk is not None:
        kept = prices.ADDRESS_PER_HOUR if told.tag(ADDRESS_TAG) is not None else 0.0
        return round(prices.disk_price(round(disk)) + kept, 4)
    # EC2 bills from "running" on; what hangs on it is cents.
    return (
        0.0
        if state in {MachineState.PROVISIONING, MachineState.STARTING, MachineState.ENDING}
        else None
    )


def _ssh(told: wire.Instance) -> SshAddress | None:
    if not told.public_ip_address:
        return None
    user, _, port = (told.tag(SSH_TAG) or "").partition(":")
    number = int(port) if port.isdecimal() else DEFAULT_SSH_PORT
    return SshAddress(told.public_ip_address, number, user or IMAGE_USER)


def _reason(told: wire.Instance) -> Text:
    code = told.state_reason.code if told.state_reason else ""
    known = _REASONS.get(code)
    if known is not None:
        return known
    if code.startswith("Server.") and told.state_reason is not None:
        return T("AWS says: {reason}", reason=told.state_reason.message or code)
    return NOTHING


def _event(event: wire.Event) -> str:
    when = f" from {event.not_before:%Y-%m-%d %H:%M} UTC" if event.not_before else ""
    return f"AWS plans {event.code}{when}: {event.description}"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        # A tag is anybody's to change.
        return None
