"""The command line: `personaplex-server serve`, `fleet`, `offline`, `make-checkpoint`, `bench`, `fetch-model`.

What a subcommand needs is imported when it runs, so that help and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from typing import TYPE_CHECKING

from personaplex_server import __version__, serve
from personaplex_server.options import UsageError, add_arguments
from personaplex_server.serve import EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code: 2 for a wrong command line, 3 for a port that is taken.

    `serve` returns 5 when the model broke after it had been ready, so that whoever supervises it starts it anew.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="personaplex-server",
        description="A voice server for PersonaPlex 7B, with the released weights and wire protocol.",
    )
    parser.add_argument("--version", action="version", version=f"personaplex-server {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_arguments(commands.add_parser("serve", help="answer callers over a WebSocket"))
    offline = commands.add_parser("offline", help="send a sound file through the model")
    checkpoint = commands.add_parser("make-checkpoint", help="make a small model for rehearsals")
    # A wheel that is pushed to a machine comes without what only developers measure with.
    measures = importlib.util.find_spec("personaplex_server.bench") is not None
    if measures:
        bench = commands.add_parser(
            "bench", help="measure the model's parts, beside the moshi package"
        )
    fleet = commands.add_parser("fleet", help="serve on many GPUs, under Ray Serve")
    fetch = commands.add_parser("fetch-model", help="get the released model from Hugging Face")
    run: Callable[[argparse.Namespace], int] = serve.run
    # The others bring their arguments from modules of their own, most of which load torch.
    if given[:1] == ["offline"]:
        from personaplex_server import offline as offline_module

        offline_module.add_arguments(offline)
        run = offline_module.run
    elif given[:1] == ["make-checkpoint"]:
        from personaplex_server import checkpoint as checkpoint_module

        checkpoint_module.add_arguments(checkpoint)
        run = checkpoint_module.run
    elif given[:1] == ["bench"] and measures:
        from personaplex_server.bench import command as bench_module

        bench_module.add_arguments(bench)
        run = bench_module.run
    elif given[:1] == ["fetch-model"]:
        from personaplex_server.fetch import command as fetch_module

        fetch_module.add_arguments(fetch)
        run = fetch_module.run
    elif given[:1] == ["fleet"]:
        from personaplex_server.fleet import command as fleet_module

        fleet_module.add_arguments(fleet)
        run = fleet_module.run
    options = parser.parse_args(given)
    try:
        return run(options)
    except UsageError as error:
        parser.exit(EXIT_USAGE, f"personaplex-server: {error}\n")


if __name__ == "__main__":
    sys.exit(main())
