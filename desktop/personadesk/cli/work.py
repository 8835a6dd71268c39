"""What `demo` and `deploy` share: choosing a port, watching a deploy, stopping it when a signal comes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.cli import progress
from personadesk.cli.running import say
from personadesk.domain.errors import BadRequest, PersonaDeskError, ProviderFault
from personadesk.domain.plan import (
    DEFAULT_LINE_PORT,
    LOCAL,
    RENT,
    ModelChoice,
    ModelKind,
    Plan,
    RentWish,
    new_plan_id,
    place_on,
)
from personadesk.domain.progress import DeployState
from personadesk.domain.text import T
from personadesk.hosts import local
from personadesk.language import tr
from personadesk.providers.access import WORKSPACE
from personadesk.store.instance import deploy_lock

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.deploy.deployment import Deployment
    from personadesk.domain.progress import DeployView

MOST_PORTS = 200


class Stopped(PersonaDeskError):
    """A signal ended the command; what it had started is gone."""


def stopped() -> Stopped:
    """Return the error for a command that a signal ended."""
    return Stopped(
        T("Stopped before the end; what had been started is gone."),
        T("Run the command again; what was installed is kept and found."),
        cause="stopped",
    )


async def make_plan(services: Services, arguments: argparse.Namespace, line: str) -> Plan:
    """Turn the command line into a plan; without `--port` the first free one from 8998 is taken."""
    port = arguments.port
    if port is None:
        port = await free_port(services, line)
    model = ModelChoice.parse(arguments.model)
    host = getattr(arguments, "host", None)
    if host is not None:
        await services.hosts.store.get(host)
    if model.kind is ModelKind.FOLDER and _is_here(arguments.model, host):
        # A voice server runs elsewhere; what is relative here would be wrong there.
        model = ModelChoice(model.kind, str(Path(arguments.model).expanduser().absolute()))  # noqa: ASYNC240 - no disk access
    clip = str(Path(arguments.clip).expanduser().absolute()) if arguments.clip else None  # noqa: ASYNC240 - no disk access
    wish = await _wish(services, arguments, host)
    place = place_on(host) if host else LOCAL if wish is None else RENT
    if place == RENT and model.kind is ModelKind.FOLDER:
        _check_folder(arguments.model)
    lease = getattr(arguments, "lease", None)
    if lease is not None and (place == LOCAL or lease <= 0):
        raise BadRequest(
            T("A lease is a number of hours above 0, for a voice on another machine."),
            T("Leave it out, or name the machine with --host or the account with --account."),
            cause="bad_lease",
        )
    return Plan(
        new_plan_id(),
        line,
        port,
        model,
        place,
        clip,
        any_port=arguments.port is None,
        lease_hours=lease,
        rent=wish,
    )


async def _wish(
    services: Services, arguments: argparse.Namespace, host: str | None
) -> RentWish | None:
    """Return what is to be rented, None when nothing is."""
    account = getattr(arguments, "account", None)
    most = getattr(arguments, "max_price", None)
    offers = tuple(getattr(arguments, "offer", ()))
    if account is None:
        if most is not None or offers:
            raise BadRequest(
                T("A price limit or an offer is for a machine to be rented."),
                T("Name the account with --account."),
                cause="no_account",
            )
        return None
    if host is not None:
        raise BadRequest(
            T("A voice is put on a machine of yours or on a rented one, not both."),
            T("Give --host or --account."),
            cause="two_places",
        )
    if most is not None and most <= 0:
        raise BadRequest(
            T("A price limit is a number of dollars above 0."),
            T("Give another."),
            cause="bad_price",
        )
    idle, spend = arguments.idle_stop, arguments.spend_limit
    if (idle is not None and idle < 0) or (spend is not None and spend <= 0):
        raise BadRequest(
            T("A limit is a number above 0."),
            T("Give another; --idle-stop 0 lets it never go to sleep."),
            cause="bad_limit",
        )
    await services.accounts.store.get(account)
    if idle is None:
        idle = RentWish().idle_stop_minutes
    return RentWish(
        offers=offers, account=account, max_price=most, next_best=not arguments.only,
        insist=bool(offers),
        static_address=arguments.keep_address, hold_failed=arguments.hold_failed,
        keep_volume=not arguments.no_volume, idle_stop_minutes=idle or None, spend_limit=spend,
        spot=arguments.spot,
    )  # fmt: skip


def _is_here(folder: str, host: str | None) -> bool:
    """Whether a model's folder is one of this computer: a host's own folder is named as it is there."""
    return host is None or Path(folder).expanduser().exists()


def _check_folder(folder: str) -> None:
    """Refuse a model that is nowhere before a machine is rented for it.

    Raises:
        BadRequest: It is neither here nor on a disk that outlives machines.
    """
    if not Path(folder).expanduser().exists() and not folder.startswith(f"{WORKSPACE}/"):
        raise BadRequest(
            T("The model folder {folder} does not exist.", folder=folder),
            T(
                "Name one of this computer, or one on a kept disk of the account: {place}/…",
                place=WORKSPACE,
            ),
            cause="model_missing",
        )


async def watch(deployment: Deployment, stop: Stop) -> DeployView:
    """Show a deploy until it has ended; a signal cancels it and waits for its undo."""
    end = progress.follow(deployment)
    ended = asyncio.create_task(deployment.wait())
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((ended, told), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            say(tr("Stopping; what was started is being removed…"))
            deployment.cancel()
        return await ended
    finally:
        told.cancel()
        await asyncio.gather(told, return_exceptions=True)
        end()


def error_of(view: DeployView, stop: Stop) -> PersonaDeskError | None:
    """Return why a deploy did not come to its end, None when it did."""
    if view.error is not None:
        return view.error
    if stop.signal is not None:
        return stopped()
    if view.line_url is None:
        return ProviderFault(
            T("The deploy ended without an address."), T("Try again."), cause="no_line"
        )
    return None


async def running_plans(services: Services) -> list[Plan]:
    """Return the plans of deploys that some PersonaDesk works on now; their names and ports are spoken for."""
    records = await services.journal.in_state(DeployState.RUNNING)
    return [
        record.plan
        for record in records
        if deploy_lock(services.folders, record.plan.id).holder() is not None
    ]


async def free_port(services: Services, line: str) -> int:
    """Return the port of a line, or for a new one the first that is free from 8998 on."""
    lines = await services.lines.all()
    mine = next((each.port for each in lines if each.name == line), None)
    if mine is not None:
        return mine
    taken = {line.port for line in lines} | {plan.port for plan in await running_plans(services)}
    for port in range(DEFAULT_LINE_PORT, DEFAULT_LINE_PORT + MOST_PORTS):
        if port in taken:
            continue
        if await asyncio.to_thread(local.port_is_free, port):
            if port != DEFAULT_LINE_PORT:
                await _tell_taken(lines_have=DEFAULT_LINE_PORT in taken, port=port)
            return port
    return DEFAULT_LINE_PORT


async def _tell_taken(*, lines_have: bool, port: int) -> None:
    owner = (
        tr("another line")
        if lines_have
        else await asyncio.to_thread(local.port_owner, DEFAULT_LINE_PORT)
    )
    say(
        tr(
            "Port {usual} is taken by {owner}; port {port} is used instead.",
            usual=DEFAULT_LINE_PORT, owner=owner or tr("another program"), port=port,
        )
    )  # fmt: skip
