"""The commands that test voices, as the parser knows them; the modules that do them are loaded when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.language import mark, tr

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_CLIP = mark(
    "what to say: a sound file, or question, long-question, interruption, silence, noise (question)"
)


def add_commands(commands: Commands, add_json: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add `voice-test`, `voice-compare` and `voice-load`."""
    test = commands.add_parser("voice-test", help=tr("test any PersonaPlex or Moshi server"))
    test.set_defaults(module="voice_test")
    where = test.add_mutually_exclusive_group(required=True)
    where.add_argument("url", nargs="?", help=tr("for example ws://127.0.0.1:8998/api/chat"))
    where.add_argument(
        "--line", metavar="NAME", help=tr("a line, or a machine with one, in its place")
    )
    what = test.add_mutually_exclusive_group()
    what.add_argument("--clip", metavar="CLIP", help=tr(_CLIP))
    what.add_argument(
        "--script", metavar="FILE", help=tr("turns to play: a TOML file, or conversation")
    )
    test.add_argument(
        "--token-env", metavar="NAME", help=tr("variable that holds the access token")
    )
    test.add_argument(
        "--save", "--report", metavar="DIR", dest="save", help=tr("where to save the report")
    )
    add_json(test)

    pair = commands.add_parser(
        "voice-compare", help=tr("say the same to two or more voices in turn, side by side")
    )
    pair.set_defaults(module="voice_compare")
    pair.add_argument(
        "voice", nargs="+", metavar="VOICE", help=tr("a line, a machine with one, or an address")
    )
    pair.add_argument("--clip", default="question", metavar="CLIP", help=tr(_CLIP))
    pair.add_argument("--rounds", type=int, default=1, metavar="N", help=tr("calls to each (1)"))
    pair.add_argument(
        "--token-env", metavar="NAME", help=tr("variable that holds the access token")
    )
    pair.add_argument(
        "--save", metavar="DIR", help=tr("where to save the report with its pictures")
    )
    add_json(pair)

    load = commands.add_parser(
        "voice-load", help=tr("how many calls at once a line of yours serves in time")
    )
    load.set_defaults(module="voice_load")
    load.add_argument("line", metavar="LINE", help=tr("a line of yours, or a machine with one"))
    load.add_argument(
        "--max", type=int, default=8, metavar="N", help=tr("calls at most (8; up to 32)")
    )
    load.add_argument("--save", metavar="DIR", help=tr("where to save the report with its graph"))
    add_json(load)
