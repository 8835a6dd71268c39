"""The commands for watching, as the parser knows them; the modules that do them are loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.language import tr

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_commands(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `top` and `metrics`."""
    top = commands.add_parser("top", help=tr("machines, GPUs, voices and money, live"))
    top.set_defaults(module="top")
    top.add_argument(
        "--every", type=float, default=1.0, metavar="S", help=tr("seconds between pictures (1)")
    )
    top.add_argument("--once", action="store_true", help=tr("print one picture and end"))

    metrics = commands.add_parser("metrics", help=tr("one sample of everything, for programs"))
    metrics.set_defaults(module="metrics", action="once")
    add_json(metrics)
    actions = metrics.add_subparsers(metavar="action")
    serve = actions.add_parser(
        "serve", help=tr("serve all figures to Prometheus, on this computer")
    )
    serve.add_argument(
        "--port", type=int, default=9464, metavar="N", help=tr("loopback port (9464)")
    )
    webhook = actions.add_parser("webhook", help=tr("where alarms are told, besides in the window"))
    webhook.add_argument(
        "url", nargs="?", help=tr("an https:// address; without it, tell whether there is one")
    )
    webhook.add_argument(
        "--remove", action="store_true", help=tr("tell them nowhere else any more")
    )
    for name, action in (("serve", serve), ("webhook", webhook)):
        action.set_defaults(module="metrics", action=name)
        add_json(action)
