"""The commands of a rehearsal, as the parser knows them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from personadesk.language import tr

if TYPE_CHECKING:
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `rehearsal` and its actions."""
    rehearsal = commands.add_parser(
        "rehearsal",
        help=tr("pretend providers on this computer: nothing real happens, nothing costs money"),
    )
    actions = rehearsal.add_subparsers(metavar="action", required=True)
    start = actions.add_parser("start", help=tr("start them, with an account at each"))
    stop = actions.add_parser("stop", help=tr("end them with every machine that they made"))
    status = actions.add_parser("status", help=tr("their machines, balances and faults"))
    ledger = actions.add_parser("ledger", help=tr("all that was ever made there, and what is left"))
    machine = actions.add_parser("machine", help=tr("let something happen to a machine now"))
    machine.add_argument("provider")
    machine.add_argument("id", help=tr("as “personadesk rehearsal status” shows it"))
    machine.add_argument(
        "deed", choices=("lose", "lose-gpu", "move"),
        help=tr("its host breaks; its GPU vanishes; its address changes"),
    )  # fmt: skip
    account = actions.add_parser("account", help=tr("change the ready-made account at a provider"))
    account.add_argument("provider")
    account.add_argument("--balance", type=float, metavar="X", help=tr("dollars left; 0 for none"))
    account.add_argument("--quota", type=int, metavar="N", help=tr("most GPUs at a time"))
    account.add_argument(
        "--rights",
        metavar="WORDS",
        help=tr("what its key may: see,rent,end or fewer; “” for nothing"),
    )
    account.add_argument(
        "--expired",
        action=argparse.BooleanOptionalAction,
        help=tr("whether its key is past its date"),
    )
    for name, action in (
        ("start", start), ("stop", stop), ("status", status), ("ledger", ledger),
        ("machine", machine), ("account", account),
    ):  # fmt: skip
        action.set_defaults(module="rehearsal", action=name)
        add_json(action)
    _add_faults(actions, add_json)


def _add_faults(actions: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    fault = actions.add_parser("fault", help=tr("let things go wrong"))
    deeds = fault.add_subparsers(metavar="what", required=True)
    add = deeds.add_parser("add", help=tr("from now on, or a number of times"))
    add.add_argument(
        "fault",
        metavar="FAULT",
        choices=FAULTS,
        help=tr("one of: {words}", words=", ".join(FAULTS)),
    )
    add.add_argument("--provider", default="", metavar="NAME", help=tr("only there (everywhere)"))
    add.add_argument(
        "--calls",
        default="",
        metavar="REGEX",
        help=tr("only for calls whose “METHOD /path” has this"),
    )
    add.add_argument(
        "--probability", type=float, default=1.0, metavar="P",
        help=tr("0 to 1; for running machines the chance in each minute (1)"),
    )  # fmt: skip
    add.add_argument(
        "--where", default="", metavar="PLACE",
        help=tr("for faults of machines: only in this region, or of this kind (at Vast.ai: this host's offer)"),
    )  # fmt: skip
    add.add_argument("--times", type=int, metavar="N", help=tr("how often at most (without end)"))
    add.add_argument(
        "--seconds",
        type=float,
        default=1.0,
        metavar="S",
        help=tr("of slow answers and rate limits"),
    )
    clear = deeds.add_parser("clear", help=tr("no more of it"))
    clear.add_argument("id", nargs="?", type=int, help=tr("only this rule (all)"))
    for name, what in (("add", add), ("clear", clear), ("list", deeds.add_parser("list"))):
        what.set_defaults(module="rehearsal", action="fault", what=name)
        add_json(what)


FAULTS = (
    "fail-before", "fail-after", "drop-before", "drop-after", "slow-answer", "rate-limit", "wrong-key",
    "expired-key", "no-money", "no-capacity", "quota", "slow-boot", "boot-fails", "gpu-gone-at-start",
    "address-changes", "gpu-vanishes", "machine-vanishes",
)  # fmt: skip
"""`rehearsal.faults.Fault`, written again: the parser of all commands loads nothing that is not asked for."""
