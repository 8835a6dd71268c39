"""A pod as a machine: its states, what may be done to it, and when there is no hope for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from personadesk.domain.host import SshAddress
from personadesk.domain.machine import TAG_PREFIX, Action, Machine, MachineState
from personadesk.domain.text import NOTHING, T
from personadesk.providers.gpus import memory_of, usual_name
from personadesk.providers.runpod.facts import STOPPED_DISK_PRICE

if TYPE_CHECKING:
    from personadesk.providers.runpod.wire import Pod

STATES = {
    "PROVISIONING": MachineState.PROVISIONING,
    "STARTING": MachineState.BOOTING,
    "RUNNING": MachineState.RUNNING,
    "EXITED": MachineState.STOPPED,
    "ERROR": MachineState.FAILED,
    "TERMINATED": MachineState.ENDED,
}
ACTIONS = {
    "start": Action.START,
    "stop": Action.STOP,
    "restart": Action.RESTART,
    "terminate": Action.END,
}
SSH_PORT = "22/tcp"
PATIENCE_SECONDS = 60.0
"""A pod that has run this long tells its GPUs and its port, or has none."""


def machine_of(pod: Pod) -> Machine:
    """Return a pod as a machine."""
    state = STATES.get(pod.status, MachineState.UNKNOWN)
    direct = pod.ssh.direct if pod.ssh else None
    ours = pod.name.startswith(TAG_PREFIX)
    count = gpus_of(pod)
    reason = NOTHING
    if state is MachineState.FAILED:
        reason = T("RunPod says that its container is in an error from which it does not recover.")
    elif count == 0 and pod.cpu is None and state is not MachineState.ENDED:
        reason = T(
            "It has no GPU: the one that it had was given to somebody else while it was stopped. End it and rent "
            "another."
        )
    elif state is MachineState.RUNNING and ours and direct is None and _ran_long(pod):
        # Community machines without a public address never get a port; waiting does not help.
        state = MachineState.FAILED
        reason = T("RunPod gave it no public port for SSH, so it cannot be reached.")
    gpu = usual_name(pod.gpu.id) if pod.gpu else ""
    runs = pod.cost if pod.cost and state is not MachineState.STOPPED else None
    return Machine(
        id=pod.id,
        account="",
        provider="runpod",
        name=pod.name,
        tag=pod.name if ours else "",
        state=state,
        said=pod.status,
        reason=reason,
        gpu=gpu,
        memory_gb=memory_of(gpu),
        count=count,
        region=pod.data_center_id or "",
        place=pod.data_center_id or "",
        price=_stopped_price(pod) if state is MachineState.STOPPED else pod.cost,
        running_price=runs,
        created=_unix(pod.created_at),
        ssh=SshAddress(direct.host, direct.port, direct.username or "root") if direct else None,
        actions=frozenset(ACTIONS[each] for each in pod.actions if each in ACTIONS),
    )


def gpus_of(pod: Pod) -> int:
    """Return how many GPUs a pod has now, 0 where its start came back without."""
    if pod.gpu is None:
        return 0 if pod.cpu is not None or pod.status == "RUNNING" else 1
    told = pod.runtime.gpus if pod.runtime else None
    # RunPod's contract has no word for this: the list of a running pod's GPUs is there, and empty.
    if told is not None and not told and _ran_long(pod):
        return 0
    return pod.gpu.count


def _stopped_price(pod: Pod) -> float:
    kept = pod.mounts.persistent
    return kept.size * STOPPED_DISK_PRICE if kept else 0.0


def _ran_long(pod: Pod) -> bool:
    return pod.runtime is not None and pod.runtime.uptime >= PATIENCE_SECONDS


def _unix(told: str | None) -> float | None:
    if not told:
        return None
    try:
        return datetime.fromisoformat(told).timestamp()
    except ValueError:
        return None
