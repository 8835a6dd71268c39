"""`personadesk status`: what is up, what runs, and what was interrupted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command
from personadesk.cli.words import word
from personadesk.language import show, tr
from personadesk.lines.why_down import cause_of

if TYPE_CHECKING:
    import argparse

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.domain.line import Line


def run(arguments: argparse.Namespace) -> int:
    """Tell it."""
    return run_command(lambda stop: _status(arguments, stop), as_json=arguments.json)


async def _status(arguments: argparse.Namespace, stop: Stop) -> int:
    services = await open_services(serve_lines=False)
    try:
        facts = await gather(services)
        lines = await services.lines.all()
    finally:
        await services.close()
    if arguments.json:
        print_json(facts)
        return 0
    for line in lines:
        print(describe(line))
    if lines and facts["served_by"] is None:
        print(
            tr("Nobody serves these addresses now. Open the window, or run: personadesk line serve")
        )
    if not lines:
        print(tr("No lines yet. To make one: personadesk deploy"))
    for server in facts["servers"]:
        state = word(server["state"])
        told = tr("server {id}: {state}, {url}, {model}", **{**server, "state": state})
        print(f"  {told}")
    for deploy in facts["interrupted"]:
        print(
            tr(
                "Interrupted: {id} for “{line}”. Go on with: personadesk deploy --resume {id}   "
                "or remove it with: personadesk deploy --undo {id}",
                id=deploy["id"], line=deploy["line"],
            )
        )  # fmt: skip
    return 0


async def gather(services: Services) -> dict[str, Any]:
    """Return everything that `status --json` tells."""
    servers = []
    for server in await services.servers.store.all():
        status = await services.servers.status(server.id)
        servers.append(
            {
                "id": server.id,
                "url": server.url,
                "model": server.model,
                "intent": str(server.intent),
                "state": status.state if status else "absent",
                "pid": status.child_pid if status else None,
                "restarts": status.restarts if status else 0,
                "reason": status.reason if status else "",
            }
        )
    owner = services.lines.owner()
    return {
        "lines": [line_dict(line) for line in await services.lines.all()],
        "served_by": owner,
        "servers": servers,
        "interrupted": [
            {"id": view.plan.id, "line": view.plan.line, "started": view.started}
            for view in await services.deploys.refresh()
        ],
        "deploys": [
            {
                "id": record.plan.id,
                "line": record.plan.line,
                "state": str(record.state),
                "started": record.started,
                "report": record.facts.get("report_dir"),
                "error": str(record.error.what) if record.error else None,
            }
            for record in await services.journal.recent()
        ],
    }


def line_dict(line: Line) -> dict[str, Any]:
    """Return a line as `--json` tells it."""
    return {
        "name": line.name,
        "url": line.url,
        "port": line.port,
        "state": str(line.state),
        "since": line.since,
        "reason": str(line.reason),
        "cause": cause_of(line.reason),
        "server": line.target.url if line.target else None,
        "server_id": line.target.server_id if line.target else None,
    }


def describe(line: Line) -> str:
    """Return a line in words."""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(line.since))
    told = tr(
        "{name}: {state} since {since}, {url}",
        name=line.name, state=word(line.state), since=since, url=line.url,
    )  # fmt: skip
    return f"{told} {show(line.reason)}".rstrip()
