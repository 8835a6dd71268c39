"""What Google tells, as offers, machines and addresses of ours."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from personadesk.domain.machine import (
    OWNER_LABEL,
    Action,
    Machine,
    MachineState,
    Resource,
    ResourceKind,
)
from personadesk.domain.offer import Offer
from personadesk.domain.text import NOTHING, T
from personadesk.providers import gpus
from personadesk.providers.google import prices, wire
from personadesk.providers.google.facts import (
    BY_TYPE,
    ENOUGH_MEMORY_MB,
    FACTS,
    GPUS,
    USER,
    place_of,
    region_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from personadesk.domain.host import SshAddress
    from personadesk.domain.offer import Need
    from personadesk.domain.text import Text

    Reach = Callable[[str, str], SshAddress]

STATES = {
    "PENDING": MachineState.PROVISIONING, "PROVISIONING": MachineState.PROVISIONING,
    "STAGING": MachineState.BOOTING, "RUNNING": MachineState.RUNNING,
    "PENDING_STOP": MachineState.STOPPING, "STOPPING": MachineState.STOPPING,
    "SUSPENDING": MachineState.STOPPING, "STOPPED": MachineState.STOPPED,
    "TERMINATED": MachineState.STOPPED, "SUSPENDED": MachineState.STOPPED,
    "REPAIRING": MachineState.LOST, "DEPROVISIONING": MachineState.ENDING,
}  # fmt: skip
"""Google's words; TERMINATED is what it calls a stopped machine, whose disk is still there."""
_ACTIONS = {
    MachineState.RUNNING: frozenset({Action.STOP, Action.RESTART, Action.END}),
    MachineState.STOPPED: frozenset({Action.START, Action.END}),
    MachineState.BOOTING: frozenset({Action.STOP, Action.END}),
    MachineState.ENDING: frozenset[Action](),
}
_ONLY_END = frozenset({Action.END})


def gpu_of(kind: str) -> tuple[str, float]:
    """Return usual name and memory in GB of a GPU as Google spells it."""
    known = GPUS.get(kind)
    if known is not None:
        return known[0], known[1]
    name = gpus.usual_name(kind)
    return name, gpus.memory_of(name)


def offers(
    account: str, types: Iterable[wire.MachineType], need: Need, asked: float
) -> list[Offer]:
    """Return what fits: in each zone one machine type for each GPU, the smallest that has memory enough."""
    best: dict[tuple[str, str, int], wire.MachineType] = {}
    for each in types:
        if len(each.accelerators) != 1 or each.deprecated:
            continue
        gpu = each.accelerators[0]
        key = (wire.last(each.zone), gpu.guest_accelerator_type, gpu.guest_accelerator_count)
        if key not in best or _size(each) < _size(best[key]):
            best[key] = each
    found = []
    for (zone, kind, count), each in best.items():
        name, memory = gpu_of(kind)
        for spot in (False, True):
            price = prices.hourly(each.name, spot=spot)
            offer = Offer(
                account=account, provider=FACTS.id, ref=each.name, gpu=name, memory_gb=memory, count=count,
                region=zone, place=place_of(zone), price=price, estimated=price is not None,
                price_date=prices.DATE if price is not None else "",
                disk_price=need.disk_gb * prices.DISK_GB_HOUR, asked=asked, spot=spot,
                data={"accelerator": kind},
            )  # fmt: skip
            if need.allows(offer):
                found.append(offer)
    return found


def _size(each: wire.MachineType) -> tuple[bool, int, int]:
    return each.memory_mb < ENOUGH_MEMORY_MB, each.guest_cpus, each.memory_mb


def room(quotas: Iterable[wire.Quota], metric: str) -> float | None:
    """Return how many more of a thing may be had, None when it is not told."""
    for each in quotas:
        if each.metric == metric:
            return each.limit - each.usage
    return None


def allowed(offer: Offer, regions: Mapping[str, Iterable[wire.Quota]]) -> bool:
    """Whether the account may rent an offer as far as its region tells."""
    kind = offer.data.get("accelerator", "")
    metric = GPUS[kind][2] if kind in GPUS else ""
    if not metric:
        return True
    metric = f"PREEMPTIBLE_{metric}" if offer.spot else metric
    left = room(regions.get(region_of(offer.region), ()), metric)
    return left is None or left >= offer.count


def machine(instance: wire.Instance, reach: Reach) -> Machine:
    """Return an instance as a machine; `reach` is `Provider._ssh`."""
    zone = wire.last(instance.zone)
    kind = wire.last(instance.machine_type)
    state = STATES.get(instance.status, MachineState.UNKNOWN)
    gpu, memory, count = _gpu(instance, kind)
    spot = instance.scheduling.preemptible or instance.scheduling.provisioning_model == "SPOT"
    running = prices.hourly(kind, spot=spot)
    stopped = sum(disk.disk_size_gb for disk in instance.disks) * prices.DISK_GB_HOUR
    actions = _ACTIONS.get(state, _ONLY_END)
    if instance.start_restricted:
        actions -= {Action.START}
    return Machine(
        id=f"{zone}/{instance.name}", account="", provider=FACTS.id, name=instance.name,
        tag=instance.labels.get(OWNER_LABEL, ""), state=state,
        said=" ".join(part for part in (instance.status, instance.status_message) if part),
        reason=_reason(instance, state), gpu=gpu, memory_gb=memory, count=count, region=zone,
        place=place_of(zone), price=stopped if state is MachineState.STOPPED else running,
        running_price=running, created=_time(instance.creation_timestamp), ssh=_ssh(instance, reach),
        actions=actions, spot=spot, data={"type": kind},
    )  # fmt: skip


def _gpu(instance: wire.Instance, kind: str) -> tuple[str, float, int]:
    told = instance.guest_accelerators
    if told:
        return *gpu_of(wire.last(told[0].accelerator_type)), told[0].accelerator_count
    if kind in BY_TYPE:
        return *gpu_of(BY_TYPE[kind]), 1
    return "", 0.0, 0


def _reason(instance: wire.Instance, state: MachineState) -> Text:
    if instance.start_restricted:
        return T("Google doesn't let it start, because something is amiss with the project.")
    if state is MachineState.LOST:
        return T("Google repairs what it ran on, and starts it again by itself.")
    return NOTHING


def _ssh(instance: wire.Instance, reach: Reach) -> SshAddress | None:
    address = next(
        (
            access.nat_ip
            for interface in instance.network_interfaces
            for access in interface.access_configs
            if access.nat_ip
        ),
        "",
    )
    user = next((_user(item) for item in instance.metadata.items if item.key == "ssh-keys"), "")
    return reach(address, user) if address and user else None


def _user(item: wire.Item) -> str:
    """Read who is let in: `user:ssh-ed25519 …`, a line each."""
    names = [line.partition(":")[0] for line in item.value.splitlines() if ":" in line]
    return USER if USER in names else next(iter(names), "")


def _time(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None


def address(found: wire.Address) -> Resource:
    """Return an address as a thing that may be billed."""
    user = next((each for each in found.users if "/instances/" in each), "")
    zone = user.partition("/zones/")[2].partition("/")[0]
    region = wire.last(found.region)
    return Resource(
        kind=ResourceKind.ADDRESS, id=f"{region}/{found.name}", account="",
        tag=found.labels.get(OWNER_LABEL, ""), name=f"{found.name} ({found.address})", region=region,
        attached=f"{zone}/{wire.last(user)}" if user else "",
    )  # fmt: skip
