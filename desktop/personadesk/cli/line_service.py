"""`personadesk line serve --install|--uninstall|--status`: start the lines with this computer."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from personadesk.cli.running import FAILED, print_json
from personadesk.cli.words import word
from personadesk.language import show, tr
from personadesk.lines import control
from personadesk.lines.autostart import Starter
from personadesk.store import paths
from personadesk.store.instance import lines_lock

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop
    from personadesk.lines.autostart import Autostart


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
        print(_words(found))
        if found.installed and found.unproven:
            print(show(found.unproven))
        print(
            tr(
                "They are served by process {pid} ({kind}).",
                pid=holder.get("pid"), kind=word(str(holder.get("kind"))),
            )
            if holder is not None
            else tr("Nobody serves them now.")
        )  # fmt: skip
    return FAILED if arguments.service == "status" and holder is None else 0


def _words(found: Autostart) -> str:
    if not found.installed:
        return tr("This computer does not start the lines by itself.")
    if found.at_boot is None:
        return tr("This computer starts the lines by itself ({keeper}).", keeper=found.keeper)
    if found.at_boot:
        return tr(
            "This computer starts the lines by itself ({keeper}) when the computer starts.",
            keeper=found.keeper,
        )
    return tr(
        "This computer starts the lines by itself ({keeper}) when you log in.", keeper=found.keeper
    )
