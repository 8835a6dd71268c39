"""The terminal's commands: what can be said, and which module does it. Imports nothing that is not asked for."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from personadesk import __version__
from personadesk.cli import (
    chosen_language,
    line_words,
    monitoring,
    rehearsing,
    rented,
    spending,
    talking,
    voice_words,
)
from personadesk.cli.parsing import OPTION, Command, Parser
from personadesk.language import LANGUAGES, mark, tr
from personadesk.store.paths import REHEARSAL_VARIABLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

DESCRIPTION = mark(
    "Put NVIDIA's PersonaPlex voice model where you want it, keep it under one address, and talk to it."
)
EPILOG = mark(
    "Without a command, the window opens. PERSONADESK_HOME moves all of PersonaDesk's folders to one place."
)


def run(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit status: 0 done (or passed), 1 failed, 2 not understood."""
    chosen_language.choose(words)
    try:
        arguments = parser().parse_args(words)
    except SystemExit as ended:
        if ended.code == 2 and "--json" in words:
            _tell_not_understood()
        raise
    if arguments.rehearsal:
        # However it was written: what is meant as a rehearsal never touches a real account.
        os.environ[REHEARSAL_VARIABLE] = "1"
    module = importlib.import_module(f"personadesk.cli.{arguments.module}")
    return int(module.run(arguments))


def _tell_not_understood() -> None:
    """Tell programs in their form; what exactly was wrong stands on stderr."""
    from personadesk.cli.running import tell_error
    from personadesk.domain.errors import BadRequest
    from personadesk.domain.text import T

    error = BadRequest(
        T("The command was not understood."),
        T("Look at its words with: personadesk COMMAND --help"),
        cause="usage",
    )
    tell_error(error, as_json=True)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = Parser("personadesk", description=tr(DESCRIPTION), epilog=tr(EPILOG))
    top.add_argument("--version", action="version", version=f"PersonaDesk {__version__}")
    top.add_argument(
        "--rehearsal", action="store_true",
        help=tr("first word: everything with pretend providers; nothing real happens, nothing costs money"),
    )  # fmt: skip
    top.add_argument(
        OPTION, choices=tuple(LANGUAGES),
        help=tr(
            "speak this language (that of PERSONADESK_LANGUAGE, else of the app, else of the computer)"
        ),
    )  # fmt: skip
    kind: type[argparse.ArgumentParser] = Command
    commands = top.add_subparsers(metavar="command", required=True, parser_class=kind)

    demo = commands.add_parser(
        "demo", help=tr("the whole job: install, start, voice test, address; then clean up")
    )
    demo.set_defaults(module="demo")
    demo.add_argument("--keep", action="store_true", help=tr("leave the voice and its address up"))
    _add_plan(demo)
    _add_json(demo)

    deploy = commands.add_parser("deploy", help=tr("the same, to stay"))
    deploy.set_defaults(module="deploy")
    deploy.add_argument(
        "--line", default=None, metavar="NAME", help=tr("name of the line (My line)")
    )
    deploy.add_argument(
        "--host", metavar="NAME", help=tr("on this machine of “personadesk host list” (else here)")
    )
    deploy.add_argument(
        "--account", metavar="NAME", help=tr("on a machine rented with this account")
    )
    deploy.add_argument(
        "--max-price", type=float, metavar="X", help=tr("with --account: most dollars per hour")
    )
    deploy.add_argument(
        "--offer", action="append", default=[], metavar="KEY",
        help=tr("with --account: this offer of “personadesk offers” first"),
    )  # fmt: skip
    deploy.add_argument(
        "--only", action="store_true", help=tr("with --offer: take no other when it is sold out")
    )
    deploy.add_argument(
        "--spot", action="store_true", help=tr("one that may be taken back will do")
    )
    deploy.add_argument(
        "--keep-address",
        action="store_true",
        help=tr("keep an address for it, where one can be had"),
    )
    deploy.add_argument(
        "--idle-stop", type=float, metavar="MINUTES",
        help=tr("with --account: without a call for so long it goes to sleep (20); 0 for never"),
    )  # fmt: skip
    deploy.add_argument(
        "--spend-limit", type=float, metavar="X",
        help=tr("with --account: after so many dollars it goes to sleep"),
    )  # fmt: skip
    deploy.add_argument(
        "--no-volume", action="store_true",
        help=tr("keep no disk for the model when the machine has ended; it is billed where a provider has one"),
    )  # fmt: skip
    deploy.add_argument(
        "--hold-failed", action="store_true",
        help=tr("keep the machine of a failed deploy for 30 minutes, for a look; no other offer is tried then"),
    )  # fmt: skip
    deploy.add_argument(
        "--lease", type=float, metavar="HOURS",
        help=tr("elsewhere: let it stop by itself when this computer is gone for so long"),
    )  # fmt: skip
    deploy.add_argument(
        "--resume", metavar="ID", help=tr("go on with a deploy that was interrupted")
    )
    deploy.add_argument("--undo", metavar="ID", help=tr("remove what an interrupted deploy left"))
    _add_plan(deploy)
    _add_json(deploy)

    devices = commands.add_parser(
        "audio-devices", help=tr("microphones and loudspeakers of this computer")
    )
    devices.set_defaults(module="audio_devices")
    _add_json(devices)

    status = commands.add_parser("status", help=tr("what is up, what runs, what was interrupted"))
    status.set_defaults(module="status")
    _add_json(status)

    for name, words in (
        ("logs", tr("the log of a voice server on a machine")),
        ("upgrade", tr("install this PersonaDesk's server there and restart what runs")),
        ("rollback", tr("go back to the server version before")),
        ("uninstall", tr("stop and remove everything of PersonaDesk there, to the last byte")),
    ):
        command = commands.add_parser(name, help=words)
        command.set_defaults(module="remote", action=name)
        command.add_argument(
            "--host", required=True, metavar="NAME", help=tr("a machine of “personadesk host list”")
        )
        if name == "logs":
            command.add_argument("--follow", action="store_true", help=tr("go on until stopped"))
            command.add_argument("--lines", type=int, default=200, metavar="N")
        else:
            _add_json(command)

    stop = commands.add_parser(
        "stop", help=tr("stop a line's voice, a rented machine, or everything")
    )
    stop.set_defaults(module="stop")
    stop.add_argument(
        "name", nargs="?", help=tr("the line or machine; without it, all lines and the background")
    )
    _add_json(stop)

    voice_words.add_commands(commands, _add_json)
    _add_hosts(commands)
    rented.add_commands(commands, _add_json)
    rehearsing.add_commands(commands, _add_json)
    monitoring.add_commands(commands, _add_json)
    spending.add_commands(commands, _add_json)
    talking.add_commands(commands, _add_json)

    line_words.add_commands(commands, _add_json)
    return top


def _add_hosts(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    host = commands.add_parser("host", help=tr("my servers: machines that are reached by SSH"))
    actions = host.add_subparsers(metavar="action", required=True)
    add = actions.add_parser("add", help=tr("add a machine"))
    add.add_argument("name", help=tr("how it shall be called"))
    add.add_argument(
        "--address",
        required=True,
        metavar="HOST",
        help=tr("name, address or alias of ~/.ssh/config"),
    )
    add.add_argument("--port", type=int, default=22, metavar="N")
    add.add_argument("--user", default="", metavar="NAME", help=tr("login name there"))
    add.add_argument("--key", metavar="FILE", help=tr("private key file"))
    add.add_argument("--agent", action="store_true", help=tr("use the keys of the SSH agent"))
    add.add_argument(
        "--install-key", action="store_true",
        help=tr("ask for the password once and install a key that PersonaDesk makes"),
    )  # fmt: skip
    add.add_argument(
        "--jump", action="append", default=[], metavar="HOST", help=tr("a machine in between")
    )
    add.add_argument(
        "--fingerprint", action="append", default=[], metavar="SHA256:…",
        help=tr("the machine's key as you know it; may be given again for machines in between"),
    )  # fmt: skip
    add.add_argument(
        "--passphrase-env", metavar="NAME", help=tr("variable that holds the key's passphrase")
    )
    add.add_argument(
        "--folder",
        default="",
        metavar="DIR",
        help=tr("where all of ours goes there (~/.personadesk)"),
    )
    check = actions.add_parser("check", help=tr("look whether a machine can run the voice"))
    check.add_argument("name")
    check.add_argument(
        "--model", metavar="MODEL", help=tr("judge for this model: rehearsal or personaplex-7b")
    )
    remove = actions.add_parser("remove", help=tr("forget a machine; nothing is changed there"))
    remove.add_argument("name")
    remove.add_argument(
        "--force", action="store_true",
        help=tr("also one that has a voice of yours and is gone: what is on it stays there and may go on running"),
    )  # fmt: skip
    for name, action in (
        ("add", add), ("check", check), ("remove", remove),
        ("list", actions.add_parser("list", help=tr("all machines"))),
    ):  # fmt: skip
        action.set_defaults(module="host", action=name)
        _add_json(action)


def _add_plan(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port", type=int, metavar="N", help=tr("the line's port (8998, or the next free)")
    )
    command.add_argument(
        "--model", default="rehearsal", metavar="MODEL",
        help=tr("rehearsal (small, untrained, made here), personaplex-7b, or a model folder"),
    )  # fmt: skip
    command.add_argument(
        "--clip", metavar="WAV", help=tr("voice test clip instead of the bundled question")
    )


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json", action="store_true", help=tr("print one JSON object as the last line on stdout")
    )
