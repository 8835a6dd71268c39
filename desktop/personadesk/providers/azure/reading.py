"""What Azure tells, as offers and machines of ours."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from personadesk.domain.machine import Action, Machine, MachineState
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.text import NOTHING, T
from personadesk.providers.azure import prices, wire
from personadesk.providers.azure.facts import FACTS, PLACES, SIZES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from personadesk.domain.host import SshAddress
    from personadesk.domain.offer import Need
    from personadesk.domain.text import Text

    Reach = Callable[[str, str], SshAddress]
    Prices = Mapping[tuple[str, str, bool], float]

POWER = {
    "running": MachineState.RUNNING, "starting": MachineState.STARTING, "stopping": MachineState.STOPPING,
    "deallocating": MachineState.STOPPING, "stopped": MachineState.STOPPED, "deallocated": MachineState.STOPPED,
}  # fmt: skip
"""Azure's words behind `PowerState/`; what is only "stopped" is billed in full."""
_ACTIONS = {
    MachineState.RUNNING: frozenset({Action.STOP, Action.RESTART, Action.END}),
    MachineState.STOPPED: frozenset({Action.START, Action.END}),
    MachineState.ENDING: frozenset[Action](),
}
_ONLY_END = frozenset({Action.END})


def offers(
    account: str, location: str, skus: Iterable[wire.Sku], need: Need, costs: Prices, asked: float
) -> Iterator[Offer]:
    """Give what fits in one region; what this subscription may not have is as good as sold out."""
    for each in skus:
        if each.resource_type != "virtualMachines" or each.name not in SIZES:
            continue
        gpu, memory, count = SIZES[each.name]
        can = {capability.name: capability.value for capability in each.capabilities}
        barred = any(restriction.type == "Location" for restriction in each.restrictions)
        for spot in (False, True):
            if spot and can.get("LowPriorityCapable") != "True":
                continue
            price, estimated = cost(costs, each.name, location, spot=spot)
            offer = Offer(
                account=account, provider=FACTS.id, ref=each.name, gpu=gpu, memory_gb=memory, count=count,
                region=location, place=PLACES.get(location, ""), price=price, estimated=estimated,
                price_date=prices.DATE if estimated else "",
                disk_price=need.disk_gb * prices.DISK_GB_HOUR + prices.ADDRESS_HOUR,
                stock=Stock.NONE if barred else Stock.UNKNOWN, asked=asked, spot=spot,
                data={"family": each.family, "cores": can.get("vCPUs", "0")},
            )  # fmt: skip
            if need.allows(offer):
                yield offer


def cost(costs: Prices, size: str, location: str, *, spot: bool) -> tuple[float | None, bool]:
    """Return dollars per hour of a size, and whether they are from our table."""
    price = costs.get((size, location, spot))
    if price is not None:
        return price, False
    price = None if spot else prices.HOURLY.get(size)
    return price, price is not None


def allowed(offer: Offer, usages: Iterable[wire.Usage]) -> bool:
    """Whether the account may rent an offer as far as its region tells; quotas are counted in cores."""
    left = {each.name.value.casefold(): each.limit - each.current_value for each in usages}
    cores = float(offer.data.get("cores", "0"))
    names = ("lowPriorityCores",) if offer.spot else ("cores", offer.data.get("family", ""))
    return all(left.get(name.casefold(), cores) >= cores for name in names)


def place_of(resource_id: str) -> tuple[str, str]:
    """Return group and name out of a resource's id; Azure gives the group now in small letters, now in capitals."""
    parts = resource_id.split("/")
    small = [part.casefold() for part in parts]
    group = parts[small.index("resourcegroups") + 1] if "resourcegroups" in small else ""
    return group.casefold(), parts[-1]


def power_of(view: wire.InstanceView) -> str:
    """Return what follows `PowerState/`, "" when it is not told."""
    codes = [each.code.partition("/") for each in view.statuses]
    return next((rest for head, _, rest in codes if head == "PowerState"), "")


def state_of(provisioning: str, power: str) -> MachineState:
    """Return the state out of Azure's two."""
    if provisioning == "Deleting":
        return MachineState.ENDING
    if provisioning == "Creating":
        return (
            MachineState.BOOTING if power in {"starting", "running"} else MachineState.PROVISIONING
        )
    if not power and provisioning == "Failed":
        return MachineState.FAILED
    return POWER.get(power, MachineState.UNKNOWN)


def machine(found: wire.VirtualMachine, address: str, costs: Prices, reach: Reach) -> Machine:
    """Return a virtual machine as a machine.

    Args:
        found: With its instance view.
        address: Its public address, "" while that is not known.
        costs: The prices that are known.
        reach: `Provider._ssh`.
    """
    group, name = place_of(found.id)
    told = found.properties
    power = power_of(told.instance_view)
    state = state_of(told.provisioning_state, power)
    size = told.hardware_profile.vm_size
    gpu, memory, count = SIZES.get(size, ("", 0.0, 0))
    spot = told.priority in {"Spot", "Low"}
    running, _ = cost(costs, size, found.location, spot=spot)
    disk = (told.storage_profile.os_disk.disk_size_gb or 0.0) * prices.DISK_GB_HOUR
    user = told.os_profile.admin_username
    actions = _ACTIONS.get(state, _ONLY_END)
    if power == "stopped":
        actions |= {Action.STOP}
    return Machine(
        id=f"{group}/{name}", account="", provider=FACTS.id, name=name,
        tag=wire.tag_of(found.tags), state=state,
        said=" ".join(part for part in (told.provisioning_state, power) if part),
        reason=_reason(told.instance_view, state, power), gpu=gpu, memory_gb=memory, count=count,
        region=found.location, place=PLACES.get(found.location, ""),
        price=disk + prices.ADDRESS_HOUR if power == "deallocated" else running, running_price=running,
        created=_time(told.time_created or ""),
        ssh=reach(address, user) if address and user else None,
        actions=actions, spot=spot, data={"size": size},
    )  # fmt: skip


def _reason(view: wire.InstanceView, state: MachineState, power: str) -> Text:
    if power == "stopped":
        return T("It is off, and still billed in full: stop it here, and it is deallocated.")
    failed = next(
        (each for each in view.statuses if each.code.casefold().startswith("provisioningstate/failed")),
        None,
    )  # fmt: skip
    if failed is not None and state in {MachineState.FAILED, MachineState.STOPPED}:
        said = failed.message or failed.code.rpartition("/")[2]
        return T("Azure says: {reason}", reason=said)
    return NOTHING


def _time(stamp: str) -> float | None:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return None
