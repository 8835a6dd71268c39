#!/usr/bin/env python3
"""What the container starts: the voice server under its supervisor, told by environment variables where to listen.

Platforms have their own ways to say it: a port and a port for health (RunPod), the bare word `serve` (SageMaker).
Anything else on the command line goes to `personaplex-server serve`, or is another of its subcommands.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVERYWHERE = "0.0.0.0"  # noqa: S104 - a container is reached from outside, and asks for a token
SAGEMAKER_MODEL = Path("/opt/ml/model")
SAGEMAKER_CHAT = "/invocations-bidirectional-stream"
FAREWELL_S = 5
"""What the server may take to end beyond that."""
HEALTHY = "healthy"
"""The word by which the image's own check asks, beside the server, whether it is up."""
HEALTH_FILE = "health"
OTHER_COMMANDS = frozenset({"offline", "make-checkpoint", "bench", "fetch-model", "fleet"})


class SettingError(ValueError):
    """A variable cannot be followed; the text is a sentence for the person who set it."""


def plan(arguments: Sequence[str], env: Mapping[str, str], token_file: Path | None) -> list[str]:
    """Return the options of `personaplex-server serve` that the platform asks for.

    Args:
        arguments: What the container was started with; `serve` alone is SageMaker's way.
        env: The environment.
        token_file: Where the token was put, None where there is none.

    Raises:
        SettingError: Something is missing or no number.
    """
    sagemaker = list(arguments) == ["serve"]
    rest = list(arguments[1:] if arguments[:1] == ["serve"] else arguments)
    port = _port(env, "SAGEMAKER_BIND_TO_PORT", 8080) if sagemaker else _port(env, "PORT", 8998)
    options = ["--host", EVERYWHERE, "--port", str(port)]
    options += ["--readiness-path", env.get("HEALTH_CHECK_PATH") or "/ping"]
    health = _port(env, "PORT_HEALTH", port)
    if health != port and not sagemaker:
        options += ["--readiness-port", str(health)]
    if sagemaker:
        options += ["--chat-path", SAGEMAKER_CHAT]
    if token_file is not None:
        options += ["--token-file", str(token_file)]
    elif sagemaker or env.get("PERSONAPLEX_INSECURE") == "1":
        # SageMaker lets nobody in but its own signed requests, and has no way to bring a token.
        options += ["--insecure"]
    elif "--insecure" not in rest and "--token-file" not in rest:
        raise SettingError(
            "Set PERSONAPLEX_TOKEN to what callers must bring, or PERSONAPLEX_INSECURE=1 to let anybody call."
        )
    engine = env.get("ENGINE") or "personaplex"
    options += ["--engine", engine, "--rows", env.get("ROWS") or "auto"]
    if engine != "echo":
        options += ["--checkpoint", str(_model(env, sagemaker=sagemaker))]
    if env.get("VOICES_DIR"):
        options += ["--voices", env["VOICES_DIR"]]
    options += ["--drain", str(drain_s(env))]
    return [*options, "--log-format", env.get("LOG_FORMAT") or "json", *rest]


def health_address(options: Sequence[str]) -> str:
    """Return where a server with these options says that it is up."""
    told = dict(itertools.pairwise(options))
    port = told.get("--readiness-port", told["--port"])
    return f"http://127.0.0.1:{port}{told['--readiness-path']}"


def check(state: Path) -> None:
    """Ask the server that was started with this state folder.

    Raises:
        OSError: It does not answer, or says that it is not ready, or none was started.
    """
    address = (state / HEALTH_FILE).read_text(encoding="utf-8")
    with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - our own address
        return


def drain_s(env: Mapping[str, str]) -> int:
    """Return how long calls may go on when the container is told to stop.

    Raises:
        SettingError: It is no number.
    """
    given = env.get("DRAIN") or "0"
    if not given.isascii() or not given.isdigit() or int(given) > 86_400:
        raise SettingError(f"DRAIN must be a number of seconds, not {given!r}.")
    return int(given)


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    given = env.get(name, "").strip()
    if not given:
        return default
    if not given.isascii() or not given.isdigit() or not 0 < int(given) < 65536:
        raise SettingError(f"{name} must be a port from 1 to 65535, not {given!r}.")
    return int(given)


def _model(env: Mapping[str, str], *, sagemaker: bool) -> Path:
    if env.get("MODEL_DIR"):
        return Path(env["MODEL_DIR"])
    return SAGEMAKER_MODEL if sagemaker and SAGEMAKER_MODEL.is_dir() else Path("/model")


def keep_token(token: str, folder: Path) -> Path | None:
    """Put the token into a file that nobody else can read, since arguments can be read by all."""
    if not token:
        return None
    path = folder / "token"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(token)
    return path


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the server's supervisor, or the subcommand that was asked for."""
    server = [sys.executable, "-m", "personaplex_server"]
    if arguments and arguments[0] in OTHER_COMMANDS:
        os.execv(sys.executable, [*server, *arguments])  # noqa: S606 - becoming it is the purpose
    state = Path(os.environ.get("STATE_DIR") or tempfile.mkdtemp(prefix="personaplex-"))
    state.mkdir(parents=True, exist_ok=True)
    if list(arguments) == [HEALTHY]:
        try:
            check(state)
        except OSError as error:
            sys.exit(f"entrypoint: the server is not up: {error}")
        sys.exit(0)
    # Whoever starts a program from here must not find the token in its environment.
    token = os.environ.pop("PERSONAPLEX_TOKEN", "").strip()
    try:
        options = plan(arguments, os.environ, keep_token(token, state))
    except SettingError as error:
        sys.exit(f"entrypoint: {error}")
    (state / HEALTH_FILE).write_text(health_address(options), encoding="utf-8")
    grace = str(drain_s(os.environ) + FAREWELL_S)
    supervisor = [sys.executable, "-m", "personaplex_server.supervise", "--state", str(state)]
    os.execv(  # noqa: S606 - becoming it is the purpose
        sys.executable, [*supervisor, "--show", "--grace", grace, "--", *server, "serve", *options]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
