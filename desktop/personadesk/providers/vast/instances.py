"""An instance as a machine: one state out of Vast.ai's four words, and when there is no hope for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from personadesk.domain.host import SshAddress
from personadesk.domain.machine import TAG_PREFIX, Action, Machine, MachineState
from personadesk.domain.sample import Metric, Reading
from personadesk.domain.text import NOTHING, T, Text
from personadesk.providers.gpus import memory_of, usual_name

if TYPE_CHECKING:
    from personadesk.providers.vast.wire import Instance

BROKEN_HOST = ("oci runtime create failed", "error response from daemon", "failed to create")
"""In `status_msg`: the host cannot start any container; waiting does not help."""
SSH_PORT = "22/tcp"
GB = 2**30
STATES = {
    "": MachineState.PROVISIONING,
    "created": MachineState.BOOTING,
    "loading": MachineState.BOOTING,
    "rebooting": MachineState.BOOTING,
    "recycling": MachineState.BOOTING,
    "running": MachineState.RUNNING,
    "exited": MachineState.FAILED,
    "offline": MachineState.LOST,
    "unknown": MachineState.LOST,
}
"""By `actual_status`, where it is to run."""
ALIVE = frozenset({MachineState.RUNNING, MachineState.BOOTING, MachineState.PROVISIONING})
MAY_START = frozenset({MachineState.STOPPED, MachineState.LOST})


def machine_of(instance: Instance) -> Machine:
    """Return an instance as a machine."""
    state, reason = state_of(instance)
    label = instance.label or ""
    gpu = usual_name(instance.gpu_name or "", (instance.gpu_ram or 0.0) / 1024)
    stopped = state in {MachineState.STOPPED, MachineState.LOST}
    return Machine(
        id=str(instance.id),
        account="",
        provider="vast",
        name=label,
        tag=label if label.startswith(TAG_PREFIX) else "",
        state=state,
        said=_said(instance),
        reason=reason,
        gpu=gpu,
        memory_gb=memory_of(gpu) or round((instance.gpu_ram or 0.0) / 1024, 1),
        count=instance.num_gpus or 1,
        region=instance.geolocation or "",
        place=instance.geolocation or "",
        price=instance.storage_total_cost if stopped else instance.dph_total,
        running_price=instance.dph_total,
        created=instance.start_date,
        ssh=_ssh(instance) if state is MachineState.RUNNING else None,
        actions=_actions(state),
        spot=bool(instance.is_bid),
        host=str(instance.machine_id or ""),
    )


def state_of(instance: Instance) -> tuple[MachineState, Text]:
    """Return how an instance stands and why.

    `actual_status` is what its container does, `cur_state` what its contract is in, `next_state` what that is going to
    be, and `intended_status` what was asked for.
    """
    actual = (instance.actual_status or "").casefold()
    contract = (instance.cur_state or "").casefold()
    coming = (instance.next_state or "").casefold()
    wanted = (instance.intended_status or coming).casefold()
    message = (instance.status_msg or "").casefold()
    if "unloaded" in (contract, coming):
        return MachineState.ENDING, NOTHING
    if wanted != "stopped" and actual != "running" and any(word in message for word in BROKEN_HOST):
        return MachineState.FAILED, T(
            "Its host cannot start it: {message}", message=(instance.status_msg or "").strip()[:200]
        )
    if actual in {"offline", "unknown"}:
        return MachineState.LOST, T("Vast.ai has lost sight of its host.")
    at_rest = actual == "stopped" or (not actual and contract == "stopped")
    if at_rest and coming == "running":
        return MachineState.STARTING, NOTHING
    if at_rest and wanted == "running":
        return MachineState.LOST, T(
            "It was stopped though nobody asked: its GPU went to somebody who pays more, or whose turn it was."
        )
    if at_rest:
        return MachineState.STOPPED, T(
            "It was stopped. If you didn't do it: somebody has bid more for its GPU."
        ) if instance.is_bid else NOTHING
    if wanted == "stopped" and actual in {"running", "loading", "rebooting"}:
        return MachineState.STOPPING, NOTHING
    if actual == "exited":
        # A container that ended because it was to be stopped is at rest, not broken.
        if wanted == "stopped":
            return MachineState.STOPPED, NOTHING
        return MachineState.FAILED, T("Its container has ended, and does not come back by itself.")
    if actual == "frozen":
        return MachineState.UNKNOWN, T("Vast.ai has frozen it; its GPU is billed all the same.")
    return STATES.get(actual, MachineState.UNKNOWN), NOTHING


def readings_of(instance: Instance) -> list[Reading]:
    """Return what an instance's entry in the list tells of its use; what is negative was not measured."""
    return [
        Reading(metric, part, value * scale)
        for metric, part, value, scale in (
            (Metric.GPU_USE, "0", instance.gpu_util, 1.0),
            (Metric.GPU_TEMPERATURE, "0", instance.gpu_temp, 1.0),
            (Metric.CPU_USE, "", instance.cpu_util, 1.0),
            (Metric.MEMORY_USED, "", instance.mem_usage, GB),
            (Metric.MEMORY_TOTAL, "", instance.mem_limit, GB),
            (Metric.DISK_USED, "/", instance.disk_usage, GB),
            (Metric.DISK_TOTAL, "/", instance.disk_space, GB),
        )
        if value is not None and value >= 0
    ]


def _said(instance: Instance) -> str:
    words = (instance.actual_status, instance.cur_state, instance.next_state)
    told = " / ".join(word or "–" for word in words)
    message = (instance.status_msg or "").strip()
    return f"{told}: {message}" if message else told


def _actions(state: MachineState) -> frozenset[Action]:
    found = {Action.END} if state is not MachineState.ENDED else set()
    if state in ALIVE:
        found.add(Action.STOP)
    if state is MachineState.RUNNING:
        found.add(Action.RESTART)
    if state in MAY_START:
        found.add(Action.START)
    return frozenset(found)


def _ssh(instance: Instance) -> SshAddress | None:
    """Return the host's own address and mapped port; Vast.ai's proxy where the host has none."""
    port = _mapped(instance.ports)
    address = (instance.public_ipaddr or "").strip()
    if port and address:
        return SshAddress(address, port, "root")
    if instance.ssh_host and instance.ssh_port and instance.ports:
        return SshAddress(instance.ssh_host, instance.ssh_port, "root")
    return None


def _mapped(ports: Any) -> int | None:
    """Return the outer port of our SSH in `{"22/tcp": [{"HostIp": …, "HostPort": "20000"}]}`."""
    mapped = ports.get(SSH_PORT) if isinstance(ports, dict) else None
    first = mapped[0] if isinstance(mapped, list) and mapped else None
    told = str(first.get("HostPort", "")) if isinstance(first, dict) else ""
    return int(told) if told.isdigit() else None
