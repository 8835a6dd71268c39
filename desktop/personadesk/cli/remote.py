"""`personadesk logs|upgrade|rollback|uninstall --host NAME`: what is done to a machine's installation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from personadesk import resources
from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command, say
from personadesk.hosts import bundle
from personadesk.hosts.remote.care import Care
from personadesk.language import show, tr

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    as_json = bool(getattr(arguments, "json", False))
    return run_command(lambda stop: _run(arguments, stop), as_json=as_json)


async def _run(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        care = Care(services.hosts, services.servers)
        if arguments.action == "logs":
            return await _logs(care, arguments, stop)
        return await _do(services, care, arguments)
    finally:
        await services.close()


async def _do(services: Services, care: Care, arguments: argparse.Namespace) -> int:
    name = arguments.host
    if arguments.action == "uninstall":
        done = await services.uninstall(name, lambda doing: say(show(doing)))
        if arguments.json:
            print_json(
                {"uninstalled": name, "stopped": list(done.stopped), "lines": list(done.lines)}
            )
        else:
            print(tr("Nothing of PersonaDesk is left on “{name}”.", name=name))
            for line in done.lines:
                print(tr("The line “{line}” stays, without a voice.", line=line))
        return 0
    if arguments.action == "upgrade":
        package = await asyncio.to_thread(bundle.load, resources.root() / "server")
        before, now = await care.upgrade(name, package, lambda doing: say(show(doing)))
    else:
        before, now = await care.rollback(name, lambda doing: say(show(doing)))
    if arguments.json:
        print_json({"host": name, "before": before, "version": now, "changed": before != now})
    elif before == now:
        print(tr("“{name}” has {version} already.", name=name, version=now))
    else:
        print(
            tr(
                "“{name}” runs {version} now; before it was {before}.",
                name=name, version=now, before=before,
            )
        )  # fmt: skip
    return 0


async def _logs(care: Care, arguments: argparse.Namespace, stop: Stop) -> int:
    work = asyncio.create_task(
        care.logs(
            arguments.host,
            lambda line: print(line, flush=True),
            lines=arguments.lines,
            follow=arguments.follow,
        )
    )
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work, told), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
        return 0
    finally:
        work.cancel()
        told.cancel()
        await asyncio.gather(work, told, return_exceptions=True)
