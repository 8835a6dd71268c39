"""`personadesk status`: what is up, what runs, and what was interrupted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.running import print_json, run_command
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
    finally:
        await services.close()
    if arguments.json:
        print_json(facts)
        return 0
    for line in facts["lines"]:
        print(describe(line))
    if facts["lines"] and facts["served_by"] is None:
        print("Nobody serves these addresses now. Open the window, or run: personadesk line serve")
    if not facts["lines"]:
        print("No lines yet. To make one: personadesk deploy")
    for server in facts["servers"]:
        print(f"  server {server['id']}: {server['state']}, {server['url']}, {server['model']}")
    for deploy in facts["interrupted"]:
        print(
            f"Interrupted: {deploy['id']} for “{deploy['line']}”. "
            f"Go on with: personadesk deploy --resume {deploy['id']}   "
            f"or remove it with: personadesk deploy --undo {deploy['id']}"
        )
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


def describe(line: dict[str, Any]) -> str:
    """Return a line in words."""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(line["since"]))
    reason = f" {line['reason']}" if line["reason"] else ""
    return f"{line['name']}: {line['state']} since {since}, {line['url']}{reason}"
