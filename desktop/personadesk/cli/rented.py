"""The commands for rented machines, as the parser knows them; the modules that do them are loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.language import tr

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `accounts`, `offers`, `instances` and what can be done to an instance."""
    _add_accounts(commands, add_json)
    offers = commands.add_parser("offers", help=tr("GPUs that could be rented now, best first"))
    offers.set_defaults(module="offers")
    offers.add_argument("--account", metavar="NAME", help=tr("of this account (all)"))
    offers.add_argument(
        "--min-memory-gb", type=float, default=None, metavar="N",
        help=tr("least memory of one GPU (24: what PersonaPlex 7B needs)"),
    )  # fmt: skip
    offers.add_argument("--max-price", type=float, metavar="X", help=tr("most dollars per hour"))
    offers.add_argument("--spot", action="store_true", help=tr("also those that may be taken back"))
    add_json(offers)

    memory = commands.add_parser(
        "memory", help=tr("hosts, offers and regions that did badly, and until when that counts")
    )
    memory.set_defaults(module="memory", action="list")
    add_json(memory)
    forget = memory.add_subparsers(metavar="action").add_parser(
        "forget", help=tr("hold it against them no more")
    )
    forget.set_defaults(action="forget")
    what = forget.add_mutually_exclusive_group(required=True)
    what.add_argument("key", nargs="*", default=[], help=tr("as “personadesk memory” shows it"))
    what.add_argument("--all", action="store_true", help=tr("everything"))
    add_json(forget)

    instances = commands.add_parser("instances", help=tr("every machine of all accounts"))
    instances.set_defaults(module="instances", action="list")
    instances.add_argument("--account", metavar="NAME", help=tr("of this account (all)"))
    instances.add_argument(
        "--reconcile", action="store_true",
        help=tr("also settle doubts and end what must end, as the window does every 10 minutes"),
    )  # fmt: skip
    add_json(instances)
    for name, words in (
        ("start", tr("start a stopped machine")),
        ("restart", tr("restart a machine")),
        ("terminate", tr("end a machine and its bill; what is on its disk is lost")),
        ("adopt", tr("take a machine with our tag into the record again")),
    ):
        command = commands.add_parser(name, help=words)
        command.set_defaults(module="instances", action=name)
        command.add_argument("id", help=tr("as “personadesk instances” shows it"))
        add_json(command)


def _add_accounts(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    accounts = commands.add_parser("accounts", help=tr("accounts at providers of GPUs"))
    actions = accounts.add_subparsers(metavar="action", required=True)
    add = actions.add_parser("add", help=tr("add an account; it is checked at once"))
    add.add_argument(
        "provider", help=tr("for example runpod; see “personadesk accounts providers”")
    )
    add.add_argument("name", help=tr("how it shall be called"))
    _add_credential(add)
    add.add_argument("--base-url", default="", metavar="URL", help=tr("where its API is instead"))
    check = actions.add_parser("check", help=tr("ask who we are, what we may, what is left"))
    check.add_argument("name")
    replace = actions.add_parser(
        "replace", help=tr("give an account a new key; the old one stays until the new one worked")
    )
    replace.add_argument("name")
    _add_credential(replace)
    remove = actions.add_parser("remove", help=tr("forget an account; its machines go on"))
    remove.add_argument("name")
    for name, action in (
        ("add", add), ("check", check), ("replace", replace), ("remove", remove),
        ("list", actions.add_parser("list", help=tr("all accounts"))),
        ("providers", actions.add_parser("providers", help=tr("which providers there are"))),
    ):  # fmt: skip
        action.set_defaults(module="accounts", action=name)
        add_json(action)


def _add_credential(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--credential", action="append", default=[], metavar="FIELD=VALUE",
        help=tr(
            "a field and its value; secrets as FIELD=@VARIABLE: the environment variable is referred to, not stored. "
            "Without it, secrets are asked for and go to the keyring"
        ),
    )  # fmt: skip
