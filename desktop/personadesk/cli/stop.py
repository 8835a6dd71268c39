"""`personadesk stop`: stop one line's voice, a rented machine, or everything that runs on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.app import open_services
from personadesk.cli import instances
from personadesk.cli.instances import say_still_billed
from personadesk.cli.running import print_json, run_command
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.language import tr
from personadesk.store.instance import deploy_lock

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return run_command(lambda stop: _stop(arguments, stop), as_json=arguments.json)


async def _stop(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    lines: list[str] = []
    servers: list[str] = []
    failed: list[PersonaDeskError] = []
    try:
        if arguments.name is not None:
            if await services.lines.get(arguments.name) is None and await services.accounts.all():
                # Not a line: a machine, by the same word as the provider's own.
                arguments.id, arguments.action = arguments.name, "stop"
                return await instances.act(services, arguments)
            await services.lines.stop(arguments.name)
            lines = [arguments.name]
        else:
            lines, servers, failed = await _stop_all(services)
        await say_still_billed(services, lines)
        # The background process is there for lines that are up; with none it would only hold a port.
        up = [line for line in await services.lines.all() if line.state is not LineState.STOPPED]
        ended = False if up else await services.end_background()
    finally:
        await services.close()
    if failed and arguments.json:
        raise failed[0]
    if arguments.json:
        print_json({"stopped": lines, "servers": servers, "background_ended": ended})
    elif lines or servers or ended:
        gone = [*lines, *servers, *([tr("the background process")] if ended else [])]
        print(tr("Stopped: {names}", names=", ".join(gone)))
    elif not failed:
        print(tr("Nothing was running."))
    if failed:
        raise failed[0]
    return 0


async def _stop_all(
    services: Services,
) -> tuple[list[str], list[str], list[PersonaDeskError]]:
    """Stop each line and each server that no line leads to; what would not stop keeps nothing else from it."""
    stopped: list[str] = []
    removed: list[str] = []
    failed: list[PersonaDeskError] = []
    behind = set()
    for line in await services.lines.all():
        if line.target is not None:
            behind.add(line.target.server_id)
        if line.state is not LineState.STOPPED:
            try:
                await services.lines.stop(line.name)
                stopped.append(line.name)
            except PersonaDeskError as error:
                failed.append(error)
    for server in await services.servers.store.all():
        # A deploy that is being worked on looks after its server itself.
        busy = deploy_lock(services.folders, server.id).holder() is not None
        if server.id in behind or busy:
            continue
        try:
            if await services.servers.remove(server.id):
                removed.append(server.id)
        except PersonaDeskError as error:
            failed.append(error)
    return stopped, removed, failed
