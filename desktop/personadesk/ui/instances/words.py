"""What the page of machines says: verbs, sums, and what an action costs and destroys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.machine import Action
from personadesk.providers import catalog
from personadesk.ui.i18n import mark, show, tr, trn
from personadesk.ui.moments import since
from personadesk.ui.money import dollars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.deploy.rented.views import AccountView, FleetView
    from personadesk.domain.machine import Machine

__all__ = [
    "accounts_of",
    "adrift_of",
    "allowed",
    "consequence",
    "cost_of",
    "named_verb",
    "prices_not_told",
    "silent_of",
    "sum_of",
    "verb",
]

_VERBS = {
    Action.START: mark("Start"),
    Action.RESTART: mark("Restart…"),
    Action.STOP: mark("Stop…"),
    Action.END: mark("End…"),
}
_NAMED = {
    Action.START: mark("Start {name}"),
    Action.RESTART: mark("Restart {name}…"),
    Action.STOP: mark("Stop {name}…"),
    Action.END: mark("End {name}…"),
}


def verb(action: Action) -> str:
    """Return the word on an action's button."""
    return tr(_VERBS[action])


def named_verb(action: Action, machine: Machine) -> str:
    """Return the same with the machine's name, for assistive technology."""
    return tr(_NAMED[action], name=machine.name or machine.id)


def allowed(machines: Sequence[Machine]) -> list[Action]:
    """Return what may be done to all of these machines now, in the order of the buttons."""
    return [a for a in _VERBS if machines and all(a in machine.actions for machine in machines)]


def sum_of(count: int, now: float, today: float) -> str:
    """Return the line over the table: how many, what they cost now, what they cost today."""
    machines = trn("{n} machine", "{n} machines", count)
    return tr(
        "{machines} · {now} /h · {today} today",
        machines=machines,
        now=dollars(now),
        today=dollars(today),
    )


def cost_of(now: float, today: float) -> str:
    """Return what the foot of the side bar says about money."""
    return tr("{now} /h · {today} today", now=dollars(now), today=dollars(today))


def prices_not_told(count: int) -> str:
    """Return that providers do not tell some prices."""
    return trn("{n} price not told", "{n} prices not told", count)


def accounts_of(view: FleetView, now: float) -> str:
    """Return what the foot of the side bar says about the accounts, and about prices that they do not tell."""
    silent = _silent(view)
    if silent:
        seen = [account.seen for account in silent if account.seen is not None]
        if len(seen) == len(silent):
            return tr("Not known since {time}", time=since(min(seen), now))
        return trn("{n} account does not answer", "{n} accounts do not answer", len(silent))
    if view.untold:
        return prices_not_told(view.untold)
    count = len(view.accounts)
    return trn("Online · {n} account OK", "Online · {n} accounts OK", count)


def silent_of(view: FleetView, now: float) -> str:
    """Return which accounts do not answer, since when, and what that means; "" where all do."""
    told = [
        tr("{account} never answered.", account=account.name)
        if account.seen is None
        else tr("{account} does not answer since {time}.", account=account.name, time=since(account.seen, now))
        for account in _silent(view)
    ]  # fmt: skip
    if not told:
        return ""
    return " ".join([*told, tr("What is shown of it may have changed since then.")])


def _silent(view: FleetView) -> list[AccountView]:
    return [account for account in view.accounts.values() if account.error is not None]


def adrift_of(count: int) -> str:
    """Return what the badge beside the page of machines means."""
    return trn("{n} billed without a line", "{n} billed without a line", count)


def consequence(machine: Machine, action: Action) -> str:
    """Return what an action costs and destroys, as the provider has it."""
    facts = catalog.facts(machine.provider) if machine.provider in catalog.ids() else None
    parts: list[str] = []
    if action is Action.STOP:
        parts.append(tr("Calls end now."))
        if facts is not None:
            parts.append(show(facts.stop_costs))
    elif action is Action.END:
        parts.append(
            show(facts.end_destroys)
            if facts is not None and facts.end_destroys
            else tr("Its disk is deleted, with all that is on it.")
        )
        parts.append(tr("Nothing is billed afterwards; we ask until the provider confirms it."))
    elif action is Action.RESTART:
        parts.append(tr("Calls end now. It takes some minutes until the voice is back."))
    elif machine.running_price is not None:
        parts.append(tr("From then on it costs {price} /h.", price=dollars(machine.running_price)))
    return " ".join(part for part in parts if part)
