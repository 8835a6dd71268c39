"""The commands for money, as the parser knows them; the modules that do them are loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.language import tr

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

ACTS = ("warn", "stop", "end")


def add_commands(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `money` and `budget`."""
    money = commands.add_parser(
        "money", help=tr("what everything costs: now, today, this month, and what is left")
    )
    money.set_defaults(module="money", action="show")
    add_json(money)
    actions = money.add_subparsers(metavar="action")
    elsewhere = actions.add_parser("elsewhere", help=tr("what the same would cost elsewhere, live"))
    elsewhere.add_argument("--line", default="", metavar="NAME", help=tr("for this line's model"))
    export = actions.add_parser(
        "export", help=tr("costs per day, line, account and machine as CSV")
    )
    export.add_argument(
        "--since", metavar="DAY", help=tr("first day, as 2026-11-01 (of this month)")
    )
    export.add_argument("--until", metavar="DAY", help=tr("last day (today)"))
    export.add_argument("--out", metavar="FILE", help=tr("where to write it (stdout)"))
    check = actions.add_parser(
        "check", help=tr("ask the providers whether anything of ours is left; 0 when nothing runs")
    )
    check.add_argument("--account", metavar="NAME", help=tr("of this account (all)"))
    for name, action in (("elsewhere", elsewhere), ("export", export), ("check", check)):
        action.set_defaults(module="money", action=name)
        add_json(action)

    budget = commands.add_parser("budget", help=tr("what may be spent, by a line or in all"))
    deeds = budget.add_subparsers(metavar="action", required=True)
    put = deeds.add_parser("set", help=tr("set one; what is not given stays as it is"))
    put.add_argument("--per-day", type=float, metavar="X", help=tr("dollars a day; 0 for no limit"))
    put.add_argument(
        "--per-month", type=float, metavar="X", help=tr("dollars a month; 0 for no limit")
    )
    put.add_argument(
        "--warn", type=float, metavar="PERCENT", help=tr("warn when so much of it is used (80)")
    )
    put.add_argument(
        "--act", choices=ACTS,
        help=tr("when it is used up: only warn, stop the line (the usual), or end its machine"),
    )  # fmt: skip
    lift = deeds.add_parser("lift", help=tr("allow more until the day and the month are over"))
    lift.add_argument("--by", type=float, required=True, metavar="X", help=tr("so many dollars"))
    show = deeds.add_parser("show", help=tr("one budget, and what it would stop"))
    clear = deeds.add_parser("clear", help=tr("take one away"))
    for name, action in (
        ("set", put), ("lift", lift), ("show", show), ("clear", clear),
        ("list", deeds.add_parser("list", help=tr("all budgets"))),
    ):  # fmt: skip
        action.set_defaults(module="budget", action=name)
        if name != "list":
            action.add_argument(
                "--line", default="", metavar="NAME", help=tr("of this line (in all)")
            )
        add_json(action)
