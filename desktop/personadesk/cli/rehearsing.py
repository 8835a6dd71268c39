"""The commands of a rehearsal, as the parser knows them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `rehearsal` and its actions."""
    rehearsal = commands.add_parser(
        "rehearsal",
        help="pretend providers on this computer: nothing real happens, nothing costs money",
    )
    actions = rehearsal.add_subparsers(metavar="action", required=True)
    start = actions.add_parser("start", help="start them, with an account at each")
    stop = actions.add_parser("stop", help="end them with every machine that they made")
    status = actions.add_parser("status", help="their machines, balances and faults")
    ledger = actions.add_parser("ledger", help="all that was ever made there, and what is left")
    machine = actions.add_parser("machine", help="let something happen to a machine now")
    machine.add_argument("provider")
    machine.add_argument("id", help="as “personadesk rehearsal status” shows it")
    machine.add_argument(
        "deed", choices=("lose", "lose-gpu", "move"),
        help="its host breaks; its GPU vanishes; its address changes",
    )  # fmt: skip
    account = actions.add_parser("account", help="change the ready-made account at a provider")
    account.add_argument("provider")
    account.add_argument("--balance", type=float, metavar="X", help="dollars left; 0 for none")
    account.add_argument("--quota", type=int, metavar="N", help="most GPUs at a time")
    account.add_argument(
        "--rights", metavar="WORDS", help="what its key may: see,rent,end or fewer; “” for nothing"
    )
    account.add_argument(
        "--expired", action=argparse.BooleanOptionalAction, help="whether its key is past its date"
    )
    for name, action in (
        ("start", start), ("stop", stop), ("status", status), ("ledger", ledger),
        ("machine", machine), ("account", account),
    ):  # fmt: skip
        action.set_defaults(module="rehearsal", action=name)
        add_json(action)
    _add_faults(actions, add_json)


def _add_faults(actions: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    fault = actions.add_parser("fault", help="let things go wrong")
    deeds = fault.add_subparsers(metavar="what", required=True)
    add = deeds.add_parser("add", help="from now on, or a number of times")
    add.add_argument("fault", metavar="FAULT", choices=FAULTS, help=f"one of: {', '.join(FAULTS)}")
    add.add_argument("--provider", default="", metavar="NAME", help="only there (everywhere)")
    add.add_argument(
        "--calls", default="", metavar="REGEX", help="only for calls whose “METHOD /path” has this"
    )
    add.add_argument(
        "--probability", type=float, default=1.0, metavar="P",
        help="0 to 1; for running machines the chance in each minute (1)",
    )  # fmt: skip
    add.add_argument(
        "--where", default="", metavar="PLACE",
        help="for faults of machines: only in this region, or of this kind (at Vast.ai: this host's offer)",
    )  # fmt: skip
    add.add_argument("--times", type=int, metavar="N", help="how often at most (without end)")
    add.add_argument(
        "--seconds", type=float, default=1.0, metavar="S", help="of slow answers and rate limits"
    )
    clear = deeds.add_parser("clear", help="no more of it")
    clear.add_argument("id", nargs="?", type=int, help="only this rule (all)")
    for name, what in (("add", add), ("clear", clear), ("list", deeds.add_parser("list"))):
        what.set_defaults(module="rehearsal", action="fault", what=name)
        add_json(what)


FAULTS = (
    "fail-before", "fail-after", "drop-before", "drop-after", "slow-answer", "rate-limit", "wrong-key",
    "expired-key", "no-money", "no-capacity", "quota", "slow-boot", "boot-fails", "gpu-gone-at-start",
    "address-changes", "gpu-vanishes", "machine-vanishes",
)  # fmt: skip
"""`rehearsal.faults.Fault`, written again: the parser of all commands loads nothing that is not asked for."""
