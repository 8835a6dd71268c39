"""`personaplex-server serve`: the command line's options, put together into a server that runs until told to stop."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from personaplex_server import logs
from personaplex_server.supervise import write_whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from personaplex_server.engines.base import Engine
    from personaplex_server.scheduler import Scheduler

EXIT_USAGE: Final = 2
EXIT_PORT_TAKEN: Final = 3
EXIT_BROKEN: Final = 5
AUTO: Final = -1
"""`--rows auto`."""
_SWITCH_INTERVAL_S: Final = 0.0005
"""How long the model thread may hold the interpreter: with the usual 5 ms the sockets' frames came late."""
_LONGEST_S: Final = 86_400
_LIMITS: Final = ("max_wait", "max_call", "max_idle", "resume")

log = logging.getLogger(__name__)


class UsageError(ValueError):
    """The command line cannot be followed; the text is a sentence for the person who wrote it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    add = parser.add_argument
    add("--checkpoint", type=Path, metavar="DIR", help="folder laid out as the model repository")
    add("--engine", choices=("personaplex", "echo"), default="personaplex",
        help="what answers a caller who does not choose; echo needs no model")  # fmt: skip
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8998, help="0 picks a free one (default: %(default)s)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--dtype", choices=("auto", "bfloat16", "float32"), default="auto")
    add("--rows", type=_rows, default=1, metavar="N",
        help="calls at a time; auto measures what this machine can hold (default: %(default)s)")  # fmt: skip
    add("--voices", type=Path, metavar="DIR", help="a folder of further voices, .pt or wav")
    add("--threads", type=int, metavar="N",
        help="CPU threads of the model (default: half of the processors)")  # fmt: skip
    add("--token-file", type=Path, metavar="FILE", help="file with the token callers must bring")
    add("--ready-file", type=Path, metavar="FILE",
        help="file to write the address into once the server listens")  # fmt: skip
    add("--echo-delay", type=float, default=0.4, metavar="SECONDS",
        help="delay of the echo engine (default: %(default)s)")  # fmt: skip
    add("--max-wait", type=float, default=0.0, metavar="SECONDS",
        help="how long a caller may wait in line for a seat (default: told busy at once)")  # fmt: skip
    add("--max-call", type=float, default=0.0, metavar="SECONDS",
        help="how long a call may last (default: no limit)")  # fmt: skip
    add("--max-idle", type=float, default=0.0, metavar="SECONDS",
        help="end a call when nothing was heard from the caller for so long (default: never)")  # fmt: skip
    add("--resume", type=float, default=30.0, metavar="SECONDS",
        help="how long the seat of a broken connection is kept (default: %(default)s)")  # fmt: skip
    add("--verbose", action="store_true", help="log more")


def _rows(given: str) -> int:
    return AUTO if given == "auto" else int(given)


def run(options: argparse.Namespace) -> int:
    """Listen at once, load in the background, and serve until told to stop."""
    token = _token(options)
    _check(options, token)
    logs.setup(verbose=options.verbose, secrets=(token,) if token else ())
    from personaplex_server import chat, serving, web

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
    limits = chat.Limits(**{f"{name}_s": getattr(options, name) for name in _LIMITS})
    service = web.Service(
        engines=engines, default=options.engine, token=token, reception=chat.Reception(limits)
    )
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
    if options.rows != AUTO and options.rows < 1:
        raise UsageError("--rows must be at least 1, or auto.")
    for name in _LIMITS:
        if not 0 <= getattr(options, name) <= _LONGEST_S:
            raise UsageError(f"--{name.replace('_', '-')} must be from 0 to {_LONGEST_S} seconds.")
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
    from personaplex_server import capacity
    from personaplex_server.engines.echo import EchoEngine
    from personaplex_server.scheduler import Scheduler

    def echo(report: Callable[[float, str], None]) -> Engine:
        return EchoEngine(delay_s=options.echo_delay)

    def personaplex(report: Callable[[float, str], None]) -> Engine:
        report(0.0, "loading the libraries")
        from personaplex_server.engines.personaplex import PersonaPlexEngine

        rows = options.rows
        if rows == AUTO:
            rows = capacity.rows_that_fit(options.checkpoint, options.device, options.dtype)
        return PersonaPlexEngine.load(
            options.checkpoint,
            device=options.device,
            dtype=options.dtype,
            rows=rows,
            voices_dir=options.voices,
            threads=_threads(options),
            progress=report,
        )

    engines = {"echo": Scheduler("echo", echo)}
    if options.checkpoint is not None:
        engines["personaplex"] = Scheduler(
            "personaplex",
            personaplex,
            on_broken=on_broken,
            capacity=capacity.measure if options.rows == AUTO else None,
        )
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
