"""`personadesk line serve --install|--uninstall|--status`: start the lines with this computer."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from personadesk.cli.running import FAILED, print_json
from personadesk.lines import control
from personadesk.lines.autostart import Starter
from personadesk.store import paths
from personadesk.store.instance import lines_lock

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop


async def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Do it."""
    del stop
    folders = paths.folders()
    starter = Starter(folders.state / "logs")
    ways = {
        "install": starter.install, "uninstall": starter.uninstall, "status": starter.status,
    }  # fmt: skip
    found = await ways[arguments.service]()
    holder = lines_lock(folders).holder()
    state = await control.ask(control.socket_path(folders), "state")
    if arguments.json:
        print_json(
            {
                "autostart": asdict(found) | {"proven": not found.unproven},
                "served_by": holder,
                "lines": (state or {}).get("lines"),
            }
        )
    else:
        when = {True: "when the computer starts", False: "when you log in", None: ""}[found.at_boot]
        print(
            f"This computer starts the lines by itself ({found.keeper}) {when}".rstrip() + "."
            if found.installed
            else "This computer does not start the lines by itself."
        )
        if found.installed and found.unproven:
            print(found.unproven)
        print(
            f"They are served by process {holder.get('pid')} ({holder.get('kind')})."
            if holder is not None
            else "Nobody serves them now."
        )
    return FAILED if arguments.service == "status" and holder is None else 0
