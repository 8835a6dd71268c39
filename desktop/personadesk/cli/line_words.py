"""The words of `personadesk line …`."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING

from personadesk.cli.parsing import RawFormatter
from personadesk.language import mark, tr

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE = mark("local, host:NAME or account:NAME")
EXIT = mark("Ends with 0 when it is done, 1 when it failed, 2 when the words were not understood.")
_EXAMPLES = {
    "list": ("list", "list --json"),
    "show": ('show "My line"', "show desk --json"),
    "create": (
        "create desk --model personaplex-7b --place account:runpod --max-price 0.60",
        'create desk --place host:box --hours "mon-fri 08:30-18:00" --zone Europe/Amsterdam',
    ),
    "wish": (
        "wish desk --place host:box --place account:runpod --max-price 0.60",
        'wish desk --persona "You are Eva, and you help with orders." --idle-stop 15',
        "wish desk --hours never --guard off",
    ),
    "port": ("port desk 9123",),
    "start": ("start desk",),
    "wake": ("wake desk",),
    "stop": ("stop desk",),
    "sleep": ("sleep desk", "sleep desk --json"),
    "move": ("move desk --to host:box", "move desk --to account:runpod --json"),
    "remove": ("remove desk",),
    "delete": ("delete desk --json",),
    "open": (
        "open desk",
        "open desk --bind 192.168.1.5 --tls-cert cert.pem --tls-key key.pem",
    ),
    "close": ("close desk",),
    "token": ("token desk --show", "token desk --new"),
    "serve": ("serve", "serve --install", "serve --status --json"),
}
_MORE = {
    "start": mark("1 also where the voice is not up within a minute; it may come up later."),
    "wake": mark("1 also where the voice is not up within a minute; it may come up later."),
    "sleep": mark(
        "Says first what that costs or destroys, and how long waking takes where a provider can only end a machine. "
        "1 also where the provider does not confirm that the machine runs no more."
    ),
    "move": mark(
        "When the new voice fails its test, the old one stays behind the line, and it ends with 1."
    ),
    "delete": mark(
        "A machine that was rented for it is ended. 1 also where the provider does not confirm that."
    ),
    "serve": mark(
        "To be told to end (Ctrl-C, SIGTERM) is no failure. With --status it is 1 where nobody serves the lines."
    ),
}
_MORE["remove"] = _MORE["delete"]


def add_commands(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    add_json: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Add the commands for lines."""
    line = commands.add_parser("line", help=tr("the addresses"))
    actions = line.add_subparsers(metavar="action", required=True)
    for name, words, wants_name in (
        ("list", tr("all lines"), False),
        ("show", tr("one line: its state, its wish, and what the guardian did last"), True),
        ("create", tr("make a line that the first caller wakes"), True),
        ("wish", tr("change what a line shall be"), True),
        ("port", tr("give a line another port; programs that call it must follow"), True),
        ("start", tr("start the voice behind a line again"), True),
        ("wake", tr("start its voice again; where nothing is behind it, deploy at its first place"), True),
        ("stop", tr("stop the voice behind a line; its address stays, only a person starts it"), True),
        ("sleep", tr("stop the voice, and its machine where that saves money; a caller wakes it"), True),
        ("move", tr("put the voice elsewhere: new one up and tested, then switched, then the old one gone"), True),
        ("remove", tr("stop the voice and forget the line"), True),
        ("delete", tr("the same as remove"), True),
        ("open", tr("let other computers reach it, with a token and a certificate"), True),
        ("close", tr("let only this computer reach it"), True),
        ("token", tr("the address and token for other computers"), True),
        ("serve", tr("serve the addresses until told to end"), False),
    ):  # fmt: skip
        action = actions.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}.", epilog=_epilog(name),
            formatter_class=RawFormatter,
        )  # fmt: skip
        action.set_defaults(module="line", action=name)
        if wants_name:
            action.add_argument("name", help=tr("the line’s name"))
        if name == "serve":
            action.add_argument("--background", action="store_true", help=argparse.SUPPRESS)
            ways = action.add_mutually_exclusive_group()
            for way, meaning in (
                ("install", tr("let this computer start the lines by itself")),
                ("uninstall", tr("let it do so no more")),
                (
                    "status",
                    tr(
                        "who serves them, and whether the computer starts them; 1 where nobody serves"
                    ),
                ),
            ):
                ways.add_argument(
                    f"--{way}", dest="service", action="store_const", const=way, help=meaning
                )
        if name == "open":
            _add_open(action)
        if name == "token":
            action.add_argument("--show", action="store_true", help=tr("print it in full"))
            action.add_argument("--new", action="store_true", help=tr("make a new one"))
        if name == "move":
            action.add_argument("--to", required=True, metavar="PLACE", help=tr(PLACE))
        if name == "port":
            action.add_argument("port", type=int, metavar="N", help=tr("its new port"))
        if name == "create":
            action.add_argument(
                "--port", type=int, metavar="N", help=tr("its port (the next free)")
            )
            action.add_argument(
                "--model", default="rehearsal", metavar="MODEL",
                help=tr("rehearsal (small, untrained, made where it runs), personaplex-7b, or a model folder"),
            )  # fmt: skip
        if name in {"create", "wish"}:
            _add_wish(action)
        if name in {"create", "move"}:
            action.set_defaults(clip=None)
        add_json(action)


def _epilog(name: str) -> str:
    """Return examples, and what the exit status means."""
    more = tr(_MORE[name]) if name in _MORE else ""
    told = "\n".join(textwrap.wrap(f"{tr(EXIT)} {more}".strip(), 79))
    shown = "\n".join(f"  personadesk line {each}" for each in _EXAMPLES[name])
    return f"{tr('examples:')}\n{shown}\n\n{told}"


def _add_open(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--bind", default="0.0.0.0", metavar="ADDRESS",  # noqa: S104 - with a token, and said so
        help=tr("IP address to listen on (0.0.0.0: all of this computer's)"),
    )  # fmt: skip
    action.add_argument(
        "--outside-port",
        type=int,
        metavar="N",
        help=tr("port for other computers (its own + 1000)"),
    )
    action.add_argument(
        "--tls", choices=("own", "off"), default="own",
        help=tr("a certificate that this computer makes (own), or none: then all can be read on the way"),
    )  # fmt: skip
    action.add_argument("--tls-cert", metavar="FILE", help=tr("a certificate of yours, PEM"))
    action.add_argument("--tls-key", metavar="FILE", help=tr("its key, PEM"))
    action.add_argument(
        "--allow-origin", action="append", default=[], metavar="ORIGIN",
        help=tr("pages of this web site may call; may be given again"),
    )  # fmt: skip


def _add_wish(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--place", action="append", default=[], metavar="PLACE",
        help=tr("local, host:NAME or account:NAME; may be given again, best first"),
    )  # fmt: skip
    action.add_argument(
        "--max-price", type=float, metavar="X",
        help=tr("most dollars per hour of a machine that is rented unasked; without it none is"),
    )  # fmt: skip
    action.add_argument(
        "--spend-limit", type=float, metavar="X", help=tr("dollars in all after which it stops")
    )
    action.add_argument(
        "--persona",
        metavar="TEXT",
        help=tr("who it is for callers who name no persona (the server's)"),
    )
    action.add_argument(
        "--idle-stop", metavar="MINUTES",
        help=tr("a rented machine sleeps after so many minutes without a call; never for never"),
    )  # fmt: skip
    action.add_argument(
        "--hours", metavar="WEEK",
        help=tr('when it is up by the calendar: "mon-fri 08:30-18:00; sat 10:00-14:00", always, or never'),
    )  # fmt: skip
    action.add_argument(
        "--zone", metavar="ZONE", help=tr("whose clock counts: Europe/Amsterdam (this computer's)")
    )
    action.add_argument(
        "--wake", choices=("on", "off"), help=tr("whether a caller wakes it when it sleeps (on)")
    )
    action.add_argument(
        "--guard", choices=("on", "off"), help=tr("whether it is kept up without being asked (on)")
    )
    action.add_argument(
        "--spare", metavar="on|off|PLACE",
        help=tr("whether a second voice stands by, which costs as much as the first; at one of its places (off)"),
    )  # fmt: skip
