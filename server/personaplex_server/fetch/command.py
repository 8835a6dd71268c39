"""`personaplex-server fetch-model`: get the released model from Hugging Face, or go on getting it.

The token comes by standard input, or by a file that is removed once it was read, so that it stands on no command
line and in no environment.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import faults
from .folder import Asked, Outcome, bring
from .pieces import Manner
from .report import ListenerGone, Reporter

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from .hub import Hub

REPO: Final = "nvidia/personaplex-7b-v1"
_LONGEST_TOKEN: Final = 4096
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    add = parser.add_argument
    add("--to", type=Path, required=True, metavar="DIR", help="folder to put the model into")
    add("--repo", default=REPO, metavar="OWNER/NAME",
        help="repository on Hugging Face (default: %(default)s)")  # fmt: skip
    add("--revision", default="", metavar="R", help="branch, tag or commit (default: the newest)")
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--token-stdin", action="store_true",
        help="read a Hugging Face token from standard input")  # fmt: skip
    given.add_argument("--token-file", type=Path, metavar="FILE",
        help="read it from a file, and remove that file")  # fmt: skip
    add("--verify", action="store_true", help="read again every byte that lies there")
    add("--connections", type=int, default=4, metavar="N",
        help="connections at a time (default: %(default)s)")  # fmt: skip
    add("--stall", type=float, default=20.0, metavar="SECONDS",
        help="make a connection anew that is silent for so long (default: %(default)s)")  # fmt: skip
    add("--patience", type=float, default=120.0, metavar="SECONDS",
        help="give up when nothing at all came for so long (default: %(default)s)")  # fmt: skip
    add("--json", action="store_true", help="tell progress and end as a JSON object a line")


def run(options: argparse.Namespace) -> int:
    """Get the model; returns 0, or the exit code of the fault (see `faults.Exit`)."""
    if not 1 <= options.connections <= 32:
        print("personaplex-server: --connections must be from 1 to 32.", file=sys.stderr)
        return int(faults.Exit.USAGE)
    signal.signal(signal.SIGTERM, _end)
    try:
        token = _token(options)
    except (OSError, UnicodeDecodeError) as error:
        print(f"personaplex-server: The token cannot be read: {error}.", file=sys.stderr)
        return int(faults.Exit.USAGE)
    report = Reporter(as_json=options.json, secret=token)
    try:
        outcome = _bring(options, token, report)
        report.done(
            folder=str(options.to.absolute()), repo=options.repo, commit=outcome.commit,
            size=outcome.size, fetched=outcome.fetched, voices=outcome.voices,
        )  # fmt: skip
    except faults.FetchError as fault:
        report.error(fault)
        return int(fault.exit)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on where this one was.", file=sys.stderr)
        return _INTERRUPTED
    except ListenerGone:
        # Nobody listens any more; the interpreter must not stumble over that as it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _TERMINATED
    return 0


def _bring(options: argparse.Namespace, token: str | None, report: Reporter) -> Outcome:
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise faults.bad_token("it holds signs that no token has")
    asked = Asked(options.repo, options.revision, options.to.absolute(), options.verify)
    manner = Manner(options.connections, options.stall, options.patience)

    def connect() -> Hub:
        from .hub import Hub

        return Hub(options.repo, options.revision or None, token)

    return bring(asked, connect, manner, report)


def _token(options: argparse.Namespace) -> str | None:
    line = ""
    if options.token_stdin:
        line = sys.stdin.readline(_LONGEST_TOKEN)
    elif options.token_file is not None:
        with options.token_file.open(encoding="utf-8") as file:
            line = file.readline(_LONGEST_TOKEN)
        options.token_file.unlink()
    return line.strip() or None


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)
