"""`personadesk money`: what everything costs, what it would cost elsewhere, a table of it, and what is left."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.app import open_services
from personadesk.cli import money_words as words
from personadesk.cli.running import FAILED, print_json, run_command, say_of
from personadesk.domain import money, money_csv
from personadesk.domain.errors import BadRequest, ProviderFault
from personadesk.domain.proof import Left
from personadesk.domain.text import T
from personadesk.language import tr, trn

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop


def run(arguments: argparse.Namespace) -> int:
    """Do it; what an account does not confirm is told, and is a failure."""
    return run_command(lambda stop: _once(arguments, stop), as_json=arguments.json)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        work = {"show": _show, "elsewhere": _elsewhere, "export": _export, "check": _check}
        return await work[arguments.action](services, arguments)
    finally:
        await services.close()


async def _show(services: Services, arguments: argparse.Namespace) -> int:
    found = await services.money.look(ask=True)
    if arguments.json:
        print_json(words.money_dict(found))
    else:
        print("\n".join(words.money_lines(found)))
    return FAILED if any(each.left is Left.UNCONFIRMED for each in found.proofs) else 0


async def _elsewhere(services: Services, arguments: argparse.Namespace) -> int:
    if arguments.line:
        await services.lines.need(arguments.line)
    await services.fleet.refresh()
    found = await services.money.elsewhere(arguments.line)
    for name, failure in found.failures.items():
        say_of(name, failure)
    if arguments.json:
        print_json(
            {
                "here": found.here,
                "places": [words.alternative_dict(each) for each in found.places],
                "failures": {name: each.as_dict() for name, each in found.failures.items()},
            }
        )
        return 0
    here = (
        tr("Nothing is rented now.")
        if found.here is None
        else tr("Now it costs ${price:.2f} /h.", price=float(found.here))
    )
    now = time.time()
    print("\n".join([here, *(words.alternative_words(each, now) for each in found.places)]))
    return 0


async def _export(services: Services, arguments: argparse.Namespace) -> int:
    zone = services.money.zone
    today = money.day_of(time.time(), zone)
    since = money.day_start(_day(arguments.since) or today.replace(day=1), zone)
    until = money.day_start((_day(arguments.until) or today) + timedelta(days=1), zone)
    await services.fleet.refresh()
    text = money_csv.table(await services.money.spans(since, until), since, until, zone)
    rows = text.count("\r\n") - 1
    if arguments.out is None:
        if arguments.json:
            print_json({"rows": rows, "csv": text})
        else:
            # As bytes: a text stream would turn its line ends into the system's own.
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()
        return 0
    try:
        await asyncio.to_thread(Path(arguments.out).write_bytes, text.encode())
    except OSError as error:
        raise ProviderFault(
            T("The file {file} could not be written.", file=arguments.out),
            T("Choose another place."),
            cause="no_file",
            details=str(error),
        ) from error
    if arguments.json:
        print_json({"rows": rows, "file": arguments.out})
    else:
        print(trn("{file}: {n} row.", "{file}: {n} rows.", rows, file=arguments.out))
    return 0


async def _check(services: Services, arguments: argparse.Namespace) -> int:
    only = () if arguments.account is None else (arguments.account,)
    for name in only:
        await services.accounts.store.get(name)
    proofs = await services.money.prove(only)
    if arguments.json:
        print_json({"left": [words.proof_dict(each) for each in proofs]})
    else:
        print(
            "\n".join(words.proof_words(each) for each in proofs)
            or tr("No accounts, so nothing is rented.")
        )
    return 0 if all(each.left in {Left.NOTHING, Left.KEPT} for each in proofs) else FAILED


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(
            T("“{text}” is no day.", text=text), T("Write it as 2026-11-01."), cause="bad_day"
        ) from error
