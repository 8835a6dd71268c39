"""`personadesk line …`: the addresses, and the process that serves them when no window is open."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli import line_outside, line_service, wishing
from personadesk.cli.instances import (
    prove,
    rental_of,
    rentals_of,
    say_still_billed,
    say_what_stops,
)
from personadesk.cli.running import FAILED, print_json, run_command, say
from personadesk.cli.status import describe, line_dict
from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.domain.wish import Rest
from personadesk.language import tr
from personadesk.lines.service import BACKGROUND

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from personadesk.app import Services
    from personadesk.cli.running import Stop

log = logging.getLogger(__name__)

START_SECONDS = 60.0


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    work = _once
    if arguments.action == "serve":
        work = _serve if arguments.service is None else line_service.run
    return run_command(lambda stop: work(arguments, stop), as_json=arguments.json)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    # Only a process that serves the lines finds out that a started voice is up, and leads an address elsewhere.
    services = await open_services(
        serve_lines=arguments.action in {"start", "wake", "move", "create", "port"}
    )
    try:
        return await _act(services, arguments, stop)
    finally:
        await services.close()


async def _act(services: Services, arguments: argparse.Namespace, stop: Stop) -> int:
    lines, action = services.lines, arguments.action
    more: dict[str, Any] = {}
    sure = True
    if action == "list":
        found = await lines.all()
        if arguments.json:
            print_json({"lines": [line_dict(line) for line in found], "served_by": lines.owner()})
        else:
            words = "\n".join(map(describe, found))
            print(words or tr("No lines yet. To make one: personadesk deploy"))
        return 0
    if action in {"remove", "delete"}:
        rentals = await rentals_of(services, arguments.name)
        await lines.remove(arguments.name)
        left, sure = await prove(services, rentals)
        if arguments.json:
            print_json({"removed": arguments.name} | ({"left": left} if left else {}))
        else:
            print(tr("The line “{line}” is gone.", line=arguments.name))
        return 0 if sure else FAILED
    if action in line_outside.ACTIONS:
        return await line_outside.run(services, arguments)
    if action == "stop":
        await lines.stop(arguments.name)
        await say_still_billed(services, (arguments.name,))
    elif action == "sleep":
        rental = await rental_of(services, arguments.name)
        rentals = await rentals_of(services, arguments.name)
        waking = await say_what_stops(services, rental)
        await services.limits.sleep(arguments.name, Rest.ASLEEP)
        left, sure = await prove(services, rentals)
        more = {"left": left, "waking": waking} if rentals else {}
    elif action == "create":
        await wishing.create(services, arguments)
        await services.hand_over()
    elif action == "port":
        before = (await lines.need(arguments.name)).port
        line = await services.wanting.set_port(arguments.name, arguments.port)
        await services.hand_over()
        if line.port != before:
            say(
                tr(
                    "Programs that called port {port} must call {url} now.",
                    port=before, url=line.url,
                )
            )  # fmt: skip
    elif action == "wish":
        await wishing.change(services, arguments)
    elif action == "move" or (
        action == "wake" and (await lines.need(arguments.name)).target is None
    ):
        await wishing.put(services, arguments, stop)
        await services.hand_over()
    elif action in {"start", "wake"}:
        await lines.start(arguments.name)
        await lines.wait_until(
            arguments.name, LineState.UP, LineState.FAILED, limit_s=START_SECONDS
        )
        await services.hand_over()
    told = await _tell(services, arguments, more)
    return told if sure else FAILED


async def _tell(services: Services, arguments: argparse.Namespace, more: Mapping[str, Any]) -> int:
    line = await services.lines.need(arguments.name)
    kept = await wishing.kept(services, line)
    if arguments.json:
        print_json(line_dict(line) | wishing.as_dict(kept) | dict(more))
    else:
        print(describe(line))
        print(wishing.in_words(kept))
    ups = {"start", "wake", "move"}
    return FAILED if arguments.action in ups and line.state is not LineState.UP else 0


async def _serve(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(kind=BACKGROUND if arguments.background else "terminal")
    ending: asyncio.Task[None] | None = None
    try:
        if services.lines.serving:
            urls = ", ".join(line.url for line in services.lines.lines())
            say(tr("Serving: {urls}", urls=urls or tr("no lines yet")))
        else:
            say(tr("Another PersonaDesk serves the lines; this one takes over when it ends."))
        if arguments.background:
            await _wait_for_turn(services, stop)
        services.control.on_end = lambda: stop.tell(0)
        # What is rented goes on costing while no window is open: its limits are held from here.
        kept = arguments.background and await _only_keeps(services)
        services.fleet.start()
        await _watch(services)
        if kept:
            ending = asyncio.create_task(
                _end_with_kept(services, stop), name="end with what is kept"
            )
        await stop.wait()
    finally:
        if ending is not None:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
        await services.close()
    if arguments.json:
        print_json({"served": [line_dict(line) for line in services.lines.lines()]})
    return 0


async def _watch(services: Services) -> None:
    """Keep figures and ring alarms while no window does; the lines are served all the same when that fails."""
    try:
        await services.monitor()
    except PersonaDeskError as error:
        log.warning("Nothing is watched: %s %s", error.what, error.details)


async def _only_keeps(services: Services) -> bool:
    """Whether a rented machine, such as one that is kept for a look, is all that this process is there for."""
    return bool(await services.rentals.store.open()) and not await _lines_need(services)


async def _end_with_kept(services: Services, stop: Stop) -> None:
    """End once nothing is rented any more, unless a line needs us by then."""
    looked = asyncio.Event()
    no_longer = services.fleet.subscribe(looked.set)
    # One that is being ended is still rented, and its end must be seen to.
    while await services.rentals.store.open():
        await looked.wait()
        looked.clear()
    no_longer()
    if await _lines_need(services):
        log.info("Nothing is rented any more; this process goes on for the lines.")
    else:
        log.info("Nothing is rented any more, and no line needs this process: it ends.")
        stop.tell(0)


async def _lines_need(services: Services) -> bool:
    """Whether a line is up, or may come up by itself."""
    for line in await services.lines.all():
        wish = await services.wishes.get(line.name)
        if line.state is not LineState.STOPPED or (wish and wish.rest is not Rest.STOPPED):
            return True
    return False


async def _wait_for_turn(services: Services, stop: Stop) -> None:
    """End at once when another background process is there already: one is enough."""
    while not services.lines.serving and stop.signal is None:
        owner = services.lines.owner()
        if owner is not None and owner.get("kind") == BACKGROUND:
            stop.tell(0)
        await asyncio.sleep(0.2)
