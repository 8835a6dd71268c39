"""What of ours is billed at the accounts, by what they were last seen to have: running, kept, or forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.machine import MachineState, ResourceKind
from personadesk.domain.money import Item, Kind
from personadesk.store.spending import Bill

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from personadesk.deploy.rented.views import AccountView
    from personadesk.domain.machine import Machine, Resource
    from personadesk.store.rentals import Rental

OUTLIVES = frozenset({ResourceKind.VOLUME})
"""Things that outlive a machine on purpose."""
_FREE = frozenset({ResourceKind.KEY, ResourceKind.FIREWALL})
"""No provider bills these, whether it says so or not."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that is billed, and since when.

    Attributes:
        item: The thing.
        made: Unix time of its making; of this look where nobody tells.
    """

    item: Item
    made: float


def found(
    accounts: Iterable[AccountView],
    strays: Sequence[Machine],
    rentals: Iterable[Rental],
    lines: Mapping[str, str],
    now: float,
) -> list[Found]:
    """Return everything of ours that is billed, or whose price is not told; machines that are not ours are left out.

    Args:
        accounts: What was seen of each.
        strays: Machines with our tag that the record does not know.
        rentals: What may exist, by the record.
        lines: Which line each deploy's voice stands behind, by tag.
        now: Unix time.
    """
    known = {(rental.account, rental.machine_id): rental for rental in rentals}
    tags = {rental.tag for rental in known.values()}
    forgotten = {machine.key for machine in strays}
    result = []
    for account in accounts:
        running = set()
        for machine in account.machines:
            if not machine.tag or machine.state is MachineState.ENDED:
                continue
            if machine.state is not MachineState.STOPPED:
                running.add(machine.id)
            rental = known.get((machine.account, machine.id))
            item = _machine(machine, rental, lines, forgotten=machine.key in forgotten)
            made = (rental.made or rental.asked) if rental is not None else machine.created
            result.append(Found(item, now if made is None else made))
        for each in account.leftovers:
            if each.price == 0.0 or each.kind in _FREE:
                continue
            lost = (
                bool(each.tag) and each.tag not in tags and not each.attached
                and each.kind not in OUTLIVES
            )  # fmt: skip
            result.append(
                Found(_resource(each, lines, lost=lost, used=each.attached in running), now)
            )
    return result


def bill(each: Found, now: float) -> Bill:
    """Return what is to be added up for a thing."""
    item = each.item
    return Bill(
        item.tag, item.account, item.thing, item.line, each.made, now, item.price, item.kind,
        item.guessed,
    )  # fmt: skip


def doubts(
    accounts: Iterable[AccountView], rentals: Iterable[Rental]
) -> dict[str, tuple[str, ...]]:
    """Return what may exist by the record and was not shown by its provider: nobody can say that it costs nothing."""
    shown = {(machine.account, machine.id) for each in accounts for machine in each.machines}
    result: dict[str, tuple[str, ...]] = {}
    for rental in rentals:
        if (rental.account, rental.machine_id) not in shown:
            result[rental.account] = (
                *result.get(rental.account, ()), rental.machine_id or rental.tag,
            )  # fmt: skip
    return result


def _machine(
    machine: Machine, rental: Rental | None, lines: Mapping[str, str], *, forgotten: bool
) -> Item:
    stopped = machine.state is MachineState.STOPPED
    kind = Kind.FORGOTTEN if forgotten else Kind.KEPT if stopped else Kind.RUNNING
    price, guessed = machine.price, rental is not None and rental.offer.estimated
    if price is None and not stopped and rental is not None and rental.price is not None:
        # What was agreed when it was rented, where the provider does not tell it of a machine.
        price, guessed = rental.price, True
    return Item(
        machine.account, machine.id, machine.name or machine.id, machine.tag,
        lines.get(machine.tag, ""), kind, price, guessed,
        machine.running_price if machine.running_price is not None
        else rental.price if rental is not None else None,
    )  # fmt: skip


def _resource(resource: Resource, lines: Mapping[str, str], *, lost: bool, used: bool) -> Item:
    kind = Kind.FORGOTTEN if lost else Kind.RUNNING if used else Kind.KEPT
    return Item(
        resource.account, f"{resource.kind}:{resource.id}", resource.name or resource.id,
        resource.tag, lines.get(resource.tag, ""), kind, resource.price,
    )  # fmt: skip
