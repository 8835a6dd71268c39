"""The command line: `personaplex-server serve`, `offline` and `make-checkpoint`.

What a subcommand needs is imported when it runs, so that help and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from personaplex_server import __version__, logs
from personaplex_server.supervise import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personaplex_server.engines.base import Engine
    from personaplex_server.scheduler import Scheduler

EXIT_USAGE: Final = 2
EXIT_PORT_TAKEN: Final = 3
EXIT_BROKEN: Final = 5
_SWITCH_INTERVAL_S: Final = 0.0005
"""How long the model thread may hold the interpreter: with the usual 5 ms the sockets' frames came late."""

log = logging.getLogger("personaplex_server.main")


class UsageError(ValueError):
    """The command line cannot be followed; the text is a sentence for the person who wrote it."""


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
    _add_serve(commands.add_parser("serve", help="answer callers over a WebSocket"))
    offline = commands.add_parser("offline", help="send a sound file through the model")
    checkpoint = commands.add_parser("make-checkpoint", help="make a small model for rehearsals")
    run: Callable[[argparse.Namespace], int] = serve
    # The two others bring their arguments from modules that load torch.
    if given[:1] == ["offline"]:
        from personaplex_server import offline as offline_module

        offline_module.add_arguments(offline)
        run = offline_module.run
    elif given[:1] == ["make-checkpoint"]:
        from personaplex_server import checkpoint as checkpoint_module

        checkpoint_module.add_arguments(checkpoint)
        run = checkpoint_module.run
    options = parser.parse_args(given)
    try:
        return run(options)
    except UsageError as error:
        parser.exit(EXIT_USAGE, f"personaplex-server: {error}\n")


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--checkpoint", type=Path, metavar="DIR", help="folder laid out as the model repository")
    add("--engine", choices=("personaplex", "echo"), default="personaplex",
        help="what answers a caller who does not choose; echo needs no model")  # fmt: skip
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8998, help="0 picks a free one (default: %(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--dtype", choices=("auto", "bfloat16", "float32"), default="auto")
    add("--rows", type=int, default=1, metavar="N", help="calls at a time (default: %(default)s)")
    add("--voices", type=Path, metavar="DIR", help="a folder of further voices, .pt or wav")
    add("--threads", type=int, metavar="N",
        help="CPU threads of the model (default: half of the processors)")  # fmt: skip
    add("--token-file", type=Path, metavar="FILE", help="file with the token callers must bring")
    add("--ready-file", type=Path, metavar="FILE",
        help="file to write the address into once the server listens")  # fmt: skip
    add("--echo-delay", type=float, default=0.4, metavar="SECONDS",
        help="delay of the echo engine (default: %(default)s)")  # fmt: skip
    add("--verbose", action="store_true", help="log more")


def serve(options: argparse.Namespace) -> int:
    """Listen at once, load in the background, and serve until told to stop."""
    token = _token(options)
    _check(options, token)
    logs.setup(verbose=options.verbose, secrets=(token,) if token else ())
    from personaplex_server import serving, web

    if options.ready_file is not None:
        _withdraw(options.ready_file)
    try:
        sock = serving.bind(options.host, options.port)
    except serving.BindError as error:
        print(f"personaplex-server: {error}", file=sys.stderr)
        return EXIT_PORT_TAKEN if error.taken else EXIT_USAGE
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    stopper = serving.Stopper()
    engines = _engines(options, stopper.stop)
    service = web.Service(engines=engines, default=options.engine, token=token)
    host, port = sock.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    log.info("listening %s", logs.fields(url=url, engine=options.engine, instance=service.instance))
    if options.ready_file is not None:
        here = {"url": url, "host": host, "port": port}
        _announce(options.ready_file, here | {"pid": os.getpid(), "instance": service.instance})
    for scheduler in engines.values():
        scheduler.start()

    def ending() -> None:
        for scheduler in engines.values():
            scheduler.stop()

    try:
        serving.run(web.create_app(service), sock, ending, stopper)
    finally:
        for scheduler in engines.values():
            scheduler.stop()
            scheduler.join()
        log.info("stopped")
    if options.ready_file is not None:
        _withdraw(options.ready_file)
    return EXIT_BROKEN if stopper.asked else 0


def _check(options: argparse.Namespace, token: str | None) -> None:
    from personaplex_server.serving import is_loopback

    if options.engine == "personaplex" and options.checkpoint is None:
        raise UsageError("Name the model's folder with --checkpoint, or use --engine echo.")
    if not is_loopback(options.host) and token is None:
        raise UsageError(
            f"Other computers could reach {options.host}, so callers must bring a token. Name a file "
            "that holds one with --token-file, or listen on 127.0.0.1."
        )
    if not 0 <= options.port <= 65535:
        raise UsageError("--port must be from 0 to 65535.")
    if options.rows < 1:
        raise UsageError("--rows must be at least 1.")
    if not 0 <= options.echo_delay <= 10:
        raise UsageError("--echo-delay must be from 0 to 10 seconds.")


def _token(options: argparse.Namespace) -> str | None:
    if options.token_file is None:
        return None
    try:
        token: str = options.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The token file cannot be read: {error}.") from error
    if len(token) < 8 or not token.isascii() or any(c.isspace() for c in token):
        raise UsageError(
            "The token file must hold one line of at least 8 plain characters without spaces."
        )
    return token


def _engines(options: argparse.Namespace, on_broken: Callable[[], None]) -> dict[str, Scheduler]:
    from personaplex_server.engines.echo import EchoEngine
    from personaplex_server.scheduler import Scheduler

    def echo(report: Callable[[float, str], None]) -> Engine:
        return EchoEngine(delay_s=options.echo_delay)

    def personaplex(report: Callable[[float, str], None]) -> Engine:
        report(0.0, "loading the libraries")
        from personaplex_server.engines.personaplex import PersonaPlexEngine

        return PersonaPlexEngine.load(
            options.checkpoint,
            device=options.device,
            dtype=options.dtype,
            rows=options.rows,
            voices_dir=options.voices,
            threads=_threads(options),
            progress=report,
        )

    engines = {"echo": Scheduler("echo", echo)}
    if options.checkpoint is not None:
        engines["personaplex"] = Scheduler("personaplex", personaplex, on_broken=on_broken)
    return engines


def _threads(options: argparse.Namespace) -> int:
    """Half of the processors unless told: with all of them each operation waits for the busiest one.

    Measured with two, both also used by others: a tick takes 15 ms in one thread, and 200 to 800 in two.
    """
    if options.threads is not None:
        return int(options.threads)
    return max(1, (os.cpu_count() or 2) // 2)


def _withdraw(path: Path) -> None:
    """Remove the ready file, ours or the one of a server that was killed: it names a port that is not ours."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"The ready file cannot be removed: {error}.") from error


def _announce(path: Path, facts: dict[str, object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(facts))
    except OSError as error:
        raise UsageError(f"The ready file cannot be written: {error}.") from error


if __name__ == "__main__":
    sys.exit(main())
