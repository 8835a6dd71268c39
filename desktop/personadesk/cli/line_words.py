"""The words of `personadesk line …`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = "local, host:NAME or account:NAME"


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_json: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Add the commands for lines."""
    line = commands.add_parser("line", help="the addresses")
    actions = line.add_subparsers(metavar="action", required=True)
    for name, words, wants_name in (
        ("list", "all lines", False),
        ("show", "one line: its state, its wish, and what the guardian did last", True),
        ("create", "make a line that the first caller wakes", True),
        ("wish", "change what a line shall be", True),
        ("start", "start the voice behind a line again", True),
        ("wake", "the same; where nothing is behind it, deploy at its first place", True),
        ("stop", "stop the voice behind a line; its address stays, only a person starts it", True),
        ("sleep", "the same, but a caller wakes it", True),
        ("move", "put the voice elsewhere: new one up and tested, then switched, then the old one gone", True),
        ("remove", "stop the voice and forget the line", True),
        ("delete", "the same", True),
        ("serve", "serve the addresses until told to end", False),
    ):  # fmt: skip
        action = actions.add_parser(name, help=words)
        action.set_defaults(module="line", action=name)
        if wants_name:
            action.add_argument("name")
        if name == "serve":
            action.add_argument("--background", action="store_true", help=argparse.SUPPRESS)
        if name == "move":
            action.add_argument("--to", required=True, metavar="PLACE", help=PLACE)
        if name == "create":
            action.add_argument("--port", type=int, metavar="N", help="its port (the next free)")
            action.add_argument("--model", default="rehearsal", metavar="MODEL")
        if name in {"create", "wish"}:
            _add_wish(action)
        if name in {"create", "move"}:
            action.set_defaults(clip=None)
        add_json(action)


def _add_wish(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--place", action="append", default=[], metavar="PLACE",
        help=f"{PLACE}; may be given again, best first",
    )  # fmt: skip
    action.add_argument(
        "--max-price", type=float, metavar="X",
        help="most dollars per hour of a machine that is rented unasked; without it none is",
    )  # fmt: skip
    action.add_argument(
        "--spend-limit", type=float, metavar="X", help="dollars in all after which it stops"
    )
    action.add_argument(
        "--hours", metavar="WEEK",
        help='when it is up by the calendar: "mon-fri 08:30-18:00; sat 10:00-14:00", always, or never',
    )  # fmt: skip
    action.add_argument(
        "--zone", metavar="ZONE", help="whose clock counts: Europe/Amsterdam (this computer's)"
    )
    action.add_argument(
        "--wake", choices=("on", "off"), help="whether a caller wakes it when it sleeps (on)"
    )
    action.add_argument(
        "--guard", choices=("on", "off"), help="whether it is kept up without being asked (on)"
    )
