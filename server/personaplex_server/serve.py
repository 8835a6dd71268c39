"""`personaplex-server serve`: the command line's options, put together into a server that runs until told to stop."""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
from typing import TYPE_CHECKING, Final

from personaplex_server import logs
from personaplex_server.options import AUTO, LIMITS, UsageError, check, read_token
from personaplex_server.supervise import write_whole

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from personaplex_server.doorman import Rules
    from personaplex_server.engines.base import Engine
    from personaplex_server.scheduler import Scheduler
    from personaplex_server.web import Service

EXIT_USAGE: Final = 2
EXIT_PORT_TAKEN: Final = 3
EXIT_BROKEN: Final = 5
SWITCH_INTERVAL_S: Final = 0.0005
"""How long the model thread may hold the interpreter: with the usual 5 ms the sockets' frames came late."""

log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Listen at once, load in the background, and serve until told to stop."""
    token = read_token(options)
    check(options, token)
    voices_token = None if options.voices_token_file is None else secrets.token_urlsafe(32)
    logs.setup(
        verbose=options.verbose,
        as_json=options.log_format == "json",
        secrets=tuple(each for each in (token, voices_token) if each),
    )
    from personaplex_server import serving

    if options.ready_file is not None:
        _withdraw(options.ready_file)
    sockets: list[socket.socket] = []
    try:
        sockets.append(serving.bind(options.host, options.port))
        if options.readiness_port is not None:
            sockets.append(serving.bind(options.host, options.readiness_port))
        return _serve(options, token, voices_token, sockets)
    except serving.BindError as error:
        print(f"personaplex-server: {error}", file=sys.stderr)
        return EXIT_PORT_TAKEN if error.taken else EXIT_USAGE
    finally:
        for sock in sockets:
            sock.close()


def _serve(
    options: argparse.Namespace,
    token: str | None,
    voices_token: str | None,
    sockets: list[socket.socket],
) -> int:
    try:
        from personaplex_server import serving, web
    except ImportError as error:
        # No restart mends what is not installed.
        raise UsageError(str(error)) from error

    stopper = serving.Stopper()
    engines = engines_of(options, stopper.stop)
    service = service_of(options, token, engines, voices_token)

    def ending() -> None:
        for scheduler in engines.values():
            scheduler.stop()

    def going_on() -> bool:
        # Of each, also when the first says yes already.
        return True in {scheduler.drain() for scheduler in engines.values()}

    certificate = _certificate(options)
    app = web.create_app(service, _rules(options, sockets))
    drain = serving.Drain(options.drain, going_on)
    try:
        server = serving.server(app, ending, certificate, drain)
    except serving.CertificateError as error:
        raise UsageError(str(error)) from error
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    host, port = sockets[0].getsockname()[:2]
    scheme = "http" if certificate is None else "https"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    log.info("listening %s", logs.fields(url=url, engine=options.engine, instance=service.instance))
    if voices_token is not None:
        # Only now that the port is ours: one that finds it taken must not spoil the token of one that runs.
        _announce(options.voices_token_file, voices_token, "file for the voices' token")
    if options.ready_file is not None:
        here = {"url": url, "host": host, "port": port}
        here |= {"pid": os.getpid(), "instance": service.instance}
        _announce(options.ready_file, json.dumps(here), "ready file")
    for scheduler in engines.values():
        scheduler.start()
    try:
        serving.run(server, sockets, stopper)
    finally:
        for scheduler in engines.values():
            scheduler.stop()
            scheduler.join()
        log.info("stopped")
    if options.ready_file is not None:
        _withdraw(options.ready_file)
    return EXIT_BROKEN if stopper.asked else 0


def service_of(
    options: argparse.Namespace,
    token: str | None,
    engines: dict[str, Scheduler],
    voices_token: str | None = None,
) -> Service:
    """Return what the routes answer from; of the tokens see `web.Service`."""
    from personaplex_server import chat, voices, web

    limits = chat.Limits(**{f"{name}_s": getattr(options, name) for name in LIMITS})
    return web.Service(
        engines=engines,
        default=options.engine,
        token=token,
        voices_token=voices_token,
        reception=chat.Reception(limits),
        voices=None if options.voices is None else voices.VoiceFolder(options.voices),
        readiness_path=options.readiness_path,
        chat_path=options.chat_path,
    )


def _rules(options: argparse.Namespace, sockets: list[socket.socket]) -> Rules:
    from personaplex_server import doorman

    return doorman.Rules(
        origins=frozenset(options.allow_origin),
        per_address=options.per_address,
        per_minute=options.per_minute,
        health_port=sockets[1].getsockname()[1] if len(sockets) > 1 else None,
        health_path=options.readiness_path,
    )


def _certificate(options: argparse.Namespace) -> tuple[Path, Path] | None:
    if options.tls_cert is not None:
        return options.tls_cert, options.tls_key
    if options.tls_self_signed is None:
        return None
    from personaplex_server import tls

    try:
        folder = options.tls_self_signed.expanduser()
        certificate, key, fingerprint = tls.self_signed(folder, options.host)
    except (tls.TlsError, RuntimeError) as error:
        raise UsageError(str(error)) from error
    log.info("certificate %s", logs.fields(file=certificate, sha256=fingerprint))
    return certificate, key


def engines_of(options: argparse.Namespace, on_broken: Callable[[], None]) -> dict[str, Scheduler]:
    """Return the engines by name, none of them started; `on_broken` is told when the model breaks for good."""
    wait_asleep()
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
            quant=options.quant,
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


def wait_asleep() -> None:
    """Have the threads that share an operation sleep between two of them; before torch is loaded, which looks once.

    They would spin, which gains a quarter on an idle machine and, where other programs want the processors, takes ten
    times as long (docs/performance.md). Who has set another policy keeps it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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


def _announce(path: Path, words: str, what: str) -> None:
    """Write a file that our owner alone can read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, words)
    except OSError as error:
        raise UsageError(f"The {what} cannot be written: {error}.") from error
