"""What everything in a pretend cloud costs, taken from its accounts by the time that passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.rehearsal.things import HOLDS_GPU, State

if TYPE_CHECKING:
    from personadesk.rehearsal.things import Account, Holdings, Machine


def bill(held: Holdings, now: float) -> list[Machine]:
    """Charge for the time since the last bill; returns the running machines that nobody can pay for any more.

    Args:
        held: All that there is; `settled` tells until when all was paid.
        now: Unix time.
    """
    hours = (now - (held.settled or now)) / 3600
    held.settled = now
    if hours <= 0:
        return []
    owners = {account.name: account for account in held.accounts.values()}
    there = [each for each in held.machines.values() if each.state is not State.ENDED]
    for machine in there:
        rate = held.kinds[machine.kind].stopped_price
        if machine.state in HOLDS_GPU:
            rate = machine.price
        _charge(owners[machine.account], rate * hours)
        machine.spent += rate * hours
    for thing in held.things.values():
        _charge(owners[thing.account], thing.price * hours)
    return [
        each for each in there if each.state is State.RUNNING and owners[each.account].balance == 0
    ]


def _charge(account: Account, dollars: float) -> None:
    if account.balance is not None:
        account.balance = max(0.0, account.balance - dollars)
