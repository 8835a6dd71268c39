"""`personadesk instances`, and what can be done to one: start, stop, restart, terminate, adopt."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.money_words import price_words, proof_dict, proof_words
from personadesk.cli.running import FAILED, error_dict, print_json, run_command, say, say_of
from personadesk.cli.words import word
from personadesk.deploy.rented.setup_time import last_setup
from personadesk.domain.errors import NotFound
from personadesk.domain.hours import USUAL_START_SECONDS
from personadesk.domain.machine import Action, MachineState
from personadesk.domain.money import Kind
from personadesk.domain.proof import Left
from personadesk.domain.stopping import stopping
from personadesk.language import show, tr
from personadesk.store.rentals import RentalState

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.deploy.rented.views import FleetView
    from personadesk.domain.machine import Machine, Resource
    from personadesk.store.rentals import Rental

ACTIONS = {
    "start": Action.START, "stop": Action.STOP, "restart": Action.RESTART, "terminate": Action.END,
}  # fmt: skip
SETTLE_SECONDS = 120.0
_POLL_SECONDS = 1.0


def run(arguments: argparse.Namespace) -> int:
    """Do it; an account that could not be asked is told, and is a failure."""
    return run_command(lambda stop: _once(arguments, stop), as_json=arguments.json)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        if arguments.action == "list":
            return await _list(services, arguments)
        return await act(services, arguments)
    finally:
        await services.close()


async def _list(services: Services, arguments: argparse.Namespace) -> int:
    only = () if arguments.account is None else (arguments.account,)
    for name in only:
        await services.accounts.store.get(name)
    look = services.fleet.reconcile if arguments.reconcile else services.fleet.refresh
    view = await look(only)
    accounts = {name: each for name, each in view.accounts.items() if not only or name in only}
    failures = {name: each.error for name, each in accounts.items() if each.error is not None}
    for name, failure in failures.items():
        say_of(name, failure)
    machines = [m for each in accounts.values() for m in each.machines]
    proofs = [p for p in services.money.proofs(view) if p.account in accounts]
    if arguments.json:
        print_json(
            {
                "instances": [machine_dict(m, view) for m in machines],
                "strays": [m.key for m in view.strays],
                "leftovers": [_resource_dict(r) for a in accounts.values() for r in a.leftovers],
                "price_now": round(view.price_now, 4),
                "prices_not_told": view.untold,
                "failures": {name: failure.as_dict() for name, failure in failures.items()},
                "left": [proof_dict(p) for p in proofs],
                # As every failure is told; which account it is stands in `failures`.
                **({"error": error_dict(next(iter(failures.values())))} if failures else {}),
            }
        )
    else:
        print("\n".join(_words(m, view) for m in machines) or tr("No machines."))
        for kept in (m for m in machines if m.key in view.held):
            say(held_words(kept.key, view.held[kept.key]))
        for stray in view.strays:
            say(
                tr(
                    "{machine} carries our tag but is not in the record: adopt or terminate it.",
                    machine=stray.key,
                )
            )
        for each in (r for r in view.extras if r.account in accounts and not r.attached):
            say(_leftover_words(each))
        for proof in proofs:
            print(proof_words(proof))
    return FAILED if failures else 0


async def act(services: Services, arguments: argparse.Namespace) -> int:
    """Do one thing to one machine, and wait until the provider shows that it happened."""
    view = await services.fleet.refresh()
    failures = [each.error for each in view.accounts.values() if each.error is not None]
    try:
        machine = await services.fleet.machine(arguments.id)
    except NotFound:
        # It may be one of an account that could not be asked.
        if failures:
            raise failures[0] from None
        raise
    if arguments.action == "adopt":
        await services.fleet.adopt(machine)
    else:
        await _say_price(services, machine, ACTIONS[arguments.action])
        await services.fleet.act(machine, ACTIONS[arguments.action])
        machine = await _settled(services, machine, ACTIONS[arguments.action])
    view = services.fleet.view
    proofs = []
    if arguments.action in {"stop", "terminate"}:
        proofs = [p for p in services.money.proofs(view) if p.account == machine.account]
    if arguments.json:
        print_json({**machine_dict(machine, view), "left": [proof_dict(p) for p in proofs]})
    else:
        print("\n".join([_words(machine, view), *(proof_words(p) for p in proofs)]))
    return 0


def held_words(key: str, until: float) -> str:
    """Return until when a failed deploy's machine is kept, and how it is ended before."""
    clock = time.strftime("%H:%M", time.localtime(until))
    return tr(
        "{machine} is kept for a look until {clock}, then ended. "
        "To end it now: personadesk terminate {machine}",
        machine=key, clock=clock,
    )  # fmt: skip


async def prove(services: Services, rentals: Sequence[Rental]) -> tuple[list[dict[str, Any]], bool]:
    """Ask what is left after a line was put to sleep or removed, and say it.

    A machine that is on its way down is given some time.

    Returns:
        What is left, as `--json` tells it, and whether the provider confirms that the line's machine runs no more.
    """
    if not rentals:
        return [], True
    accounts = sorted({rental.account for rental in rentals})
    tags = {rental.tag for rental in rentals}
    providers = [await services.accounts.provider(name) for name in accounts]
    poll_s = min(each.facts.manners.poll_s for each in providers)
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        proofs = await services.money.prove(accounts)
        mine = [item for each in proofs for item in each.items if item.tag in tags]
        if all(item.kind is not Kind.RUNNING for item in mine) or time.monotonic() >= until:
            break
        await asyncio.sleep(min(_POLL_SECONDS, poll_s))
    for each in proofs:
        say(proof_words(each))
    down = all(item.kind is not Kind.RUNNING for item in mine)
    sure = down and all(each.left is not Left.UNCONFIRMED for each in proofs)
    return [proof_dict(each) for each in proofs], sure


async def say_what_stops(services: Services, rental: Rental | None) -> dict[str, Any] | None:
    """Say before a line is put to sleep what that costs or destroys, and how long it takes to wake it.

    Returns:
        The time, as `--json` tells it; None where nothing is rented.
    """
    if rental is None:
        return None
    facts = (await services.accounts.provider(rental.account)).facts
    setup = await last_setup(services.journal, services.rentals, rental.provider)
    say(" ".join(show(each).strip() for each in stopping(facts, setup)))
    if facts.can.stop:
        return {"rents": False, "seconds": None, "measured": False}
    seconds = USUAL_START_SECONDS if setup is None else round(setup, 1)
    return {"rents": True, "seconds": seconds, "measured": setup is not None}


async def rental_of(services: Services, line: str) -> Rental | None:
    """Return the record of the machine that a line's voice is on, None where none is rented."""
    found = await services.lines.need(line)
    return await services.rentals.current(found.target.server_id) if found.target else None


async def rentals_of(services: Services, line: str) -> list[Rental]:
    """Return the records of the machines behind a line: its own and its spare's, where they are rented."""
    found = await services.lines.need(line)
    tags = [found.target.server_id] if found.target else []
    tags += [record.plan.id for record in await services.journal.spares(line)]
    rentals = [await services.rentals.current(tag) for tag in tags]
    return [rental for rental in rentals if rental is not None]


async def say_still_billed(services: Services, lines: Iterable[str]) -> None:
    """Say which rented machines go on costing though the voice behind their line was stopped."""
    for name in lines:
        line = await services.lines.need(name)
        rental = await services.rentals.current(line.target.server_id) if line.target else None
        if rental is not None and rental.state is RentalState.MADE:
            if rental.price is None:
                costs = tr("The rented machine behind “{line}” goes on costing.", line=name)
            else:
                costs = tr(
                    "The rented machine behind “{line}” goes on costing ${price:.2f} an hour.",
                    line=name, price=float(rental.price),
                )  # fmt: skip
            saved = tr(
                'To save that: personadesk line sleep "{line}", '
                "or for good: personadesk terminate {id}",
                line=name, id=rental.tag,
            )  # fmt: skip
            say(f"{costs} {saved}")


async def _say_price(services: Services, machine: Machine, action: Action) -> None:
    """Say before it is done what it costs or destroys; only where it can be done."""
    facts = (await services.accounts.provider(machine.account)).facts
    if action not in machine.actions:
        return
    if action is Action.END:
        say(tr("What goes with it: {things}", things=facts.end_destroys))
    elif action is Action.STOP:
        say(f"{tr('Calls on it end now.')} {show(facts.stop_costs)}".rstrip())
    elif action is Action.RESTART:
        say(
            tr(
                "Calls on it end now; it takes some minutes until the voice is back. It costs the same."
            )
        )
    elif machine.running_price is not None:
        say(tr("It costs ${price:.2f} an hour again.", price=float(machine.running_price)))


async def _settled(services: Services, machine: Machine, action: Action) -> Machine:
    wanted = {
        Action.START: {MachineState.RUNNING}, Action.RESTART: {MachineState.RUNNING},
        Action.STOP: {MachineState.STOPPED}, Action.END: {MachineState.ENDED},
    }[action]  # fmt: skip
    provider = await services.accounts.provider(machine.account)
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until:
        await asyncio.sleep(min(_POLL_SECONDS, provider.facts.manners.poll_s))
        try:
            machine = await provider.machine(machine.id)
        except NotFound:
            if action is not Action.END:
                raise
            await services.fleet.reconcile((machine.account,))
            return _with_state(machine, MachineState.ENDED)
        if machine.state in wanted:
            break
    await services.fleet.reconcile((machine.account,))
    return machine


def _with_state(machine: Machine, state: MachineState) -> Machine:
    from dataclasses import replace

    return replace(machine, state=state, price=0.0, actions=frozenset())


def machine_dict(machine: Machine, view: FleetView) -> dict[str, Any]:
    """Return a machine as `--json` prints it."""
    return {
        "id": machine.id,
        "key": machine.key,
        "account": machine.account,
        "provider": machine.provider,
        "name": machine.name,
        "tag": machine.tag,
        "ours": bool(machine.tag),
        "state": str(machine.state),
        "said": machine.said,
        "reason": str(machine.reason),
        "gpu": machine.gpu,
        "count": machine.count,
        "region": machine.region,
        "price": machine.price,
        "running_price": machine.running_price,
        "spent": round(view.spent.get(machine.tag, 0.0), 4),
        "line": view.lines.get(machine.tag),
        "spare": machine.tag in view.spares,
        "held_until": view.held.get(machine.key),
        "created": machine.created,
        "address": machine.ssh.place if machine.ssh else None,
        "actions": sorted("terminate" if a is Action.END else str(a) for a in machine.actions),
        "seen": machine.seen,
    }


def _resource_dict(resource: Resource) -> dict[str, Any]:
    return {
        "kind": str(resource.kind), "id": resource.id, "account": resource.account,
        "name": resource.name, "tag": resource.tag, "price": resource.price,
        "attached": resource.attached,
    }  # fmt: skip


def _leftover_words(resource: Resource) -> str:
    price = (
        tr("a price that is not told")
        if resource.price is None
        else tr("${price:.3f} /h", price=float(resource.price))
    )
    return tr(
        "{account}: the {kind} {name} goes on without a machine, for {price}.",
        account=resource.account, kind=word(resource.kind), name=resource.name or resource.id,
        price=price,
    )  # fmt: skip


def _words(machine: Machine, view: FleetView) -> str:
    price = price_words(machine.price)
    ours = view.lines.get(machine.tag) or (tr("no line") if machine.tag else tr("not ours"))
    ours = tr("spare of {line}", line=ours) if machine.tag in view.spares else ours
    gpu = f"{machine.count} × {machine.gpu}" if machine.count != 1 else machine.gpu
    gpu = gpu or tr("GPU not told")
    return f"{machine.key}: {word(machine.state)}, {gpu}, {machine.region}, {price}, {ours}"
