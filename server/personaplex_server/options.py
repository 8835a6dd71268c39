"""The options of `personaplex-server serve`: what they are called, what they may be, and what goes together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import argparse

AUTO: Final = -1
"""`--rows auto`."""
_TIMES: Final = ("max_wait", "max_call", "max_idle", "resume", "drain")
LIMITS: Final = ("max_wait", "max_call", "max_idle", "resume")
OWN_FOLDER: Final = "~/.personaplex-server"
"""Where a certificate is kept that the server makes for itself."""
_LONGEST_S: Final = 86_400
_MOST_A_MINUTE: Final = 100_000


class UsageError(ValueError):
    """The command line cannot be followed; the text is a sentence for the person who wrote it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `serve`."""
    _add_model(parser.add_argument_group("model"))
    _add_calls(parser.add_argument_group("calls"))
    _add_network(parser.add_argument_group("network"))
    _add_watching(parser.add_argument_group("for whoever supervises it"))


def _add_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--checkpoint", type=Path, metavar="DIR", help="folder laid out as the model repository")
    add("--engine", choices=("personaplex", "echo"), default="personaplex",
        help="what answers a caller who does not choose; echo needs no model")  # fmt: skip
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--dtype", choices=("auto", "bfloat16", "float32"), default="auto")
    add("--quant", choices=("none", "int8"), default="none",
        help="int8 keeps the language model's matrices in 8 bits (default: %(default)s)")  # fmt: skip
    add("--rows", type=number_or_auto, default=1, metavar="N",
        help="calls at a time; auto measures what this machine can hold (default: %(default)s)")  # fmt: skip
    add("--voices", type=Path, metavar="DIR", help="a folder of further voices, .pt or wav")
    add("--threads", type=int, metavar="N",
        help="CPU threads of the model (default: half of the processors)")  # fmt: skip
    add("--echo-delay", type=float, default=0.4, metavar="SECONDS",
        help="delay of the echo engine (default: %(default)s)")  # fmt: skip


def _add_calls(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--max-wait", type=float, default=0.0, metavar="SECONDS",
        help="how long a caller may wait in line for a seat (default: told busy at once)")  # fmt: skip
    add("--max-call", type=float, default=0.0, metavar="SECONDS",
        help="how long a call may last (default: no limit)")  # fmt: skip
    add("--max-idle", type=float, default=0.0, metavar="SECONDS",
        help="end a call when nothing was heard from the caller for so long (default: never)")  # fmt: skip
    add("--resume", type=float, default=30.0, metavar="SECONDS",
        help="how long the seat of a broken connection is kept (default: %(default)s)")  # fmt: skip
    add("--drain", type=float, default=0.0, metavar="SECONDS",
        help="how long calls may go on when it is told to stop (default: they are ended at once)")  # fmt: skip


def _add_network(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8998, help="0 picks a free one (default: %(default)s)")
    add("--token-file", type=Path, metavar="FILE", help="file with the token callers must bring")
    add("--voices-token-file", type=Path, metavar="FILE",
        help="file for a fresh token at each start, which lets voices be added and nothing else")  # fmt: skip
    add("--insecure", action="store_true",
        help="let other computers call without a token: anybody who reaches the address may")  # fmt: skip
    add("--tls-cert", type=Path, metavar="FILE", help="certificate chain in PEM, to speak https")
    add("--tls-key", type=Path, metavar="FILE", help="the certificate's key")
    add("--tls-self-signed", type=Path, nargs="?", const=Path(OWN_FOLDER), metavar="DIR",
        help=f"speak https with a certificate of our own making, kept in DIR ({OWN_FOLDER})")  # fmt: skip
    add("--allow-origin", action="append", default=[], metavar="ORIGIN",
        help="only pages of this origin (https://example.org) and our own may call; may be repeated")  # fmt: skip
    add("--per-address", type=int, default=64, metavar="N",
        help="connections of one other computer at once; 0 for no limit (default: %(default)s)")  # fmt: skip
    add("--per-minute", type=int, default=1200, metavar="N",
        help="requests of one other computer a minute; 0 for no limit (default: %(default)s)")  # fmt: skip
    add("--chat-path", default="", metavar="PATH", help="a further path of the chat socket")
    add("--readiness-path", default="", metavar="PATH",
        help="a path that answers load balancers without a token: 200, 204 while loading, else 503")  # fmt: skip
    add("--readiness-port", type=int, metavar="N",
        help="a further port that answers nothing but --readiness-path")  # fmt: skip


def _add_watching(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--ready-file", type=Path, metavar="FILE",
        help="file to write the address into once the server listens")  # fmt: skip
    add("--log-format", choices=("text", "json"), default="text",
        help="form of the log's lines (default: %(default)s)")  # fmt: skip
    add("--verbose", action="store_true", help="log more")


def number_or_auto(given: str) -> int:
    """Return a whole number, or AUTO for the word auto."""
    return AUTO if given == "auto" else int(given)


def check(options: argparse.Namespace, token: str | None) -> None:
    """See that the options can be followed, and followed together.

    Raises:
        UsageError: They cannot.
    """
    from personaplex_server.serving import is_loopback

    if options.engine == "personaplex" and options.checkpoint is None:
        raise UsageError("Name the model's folder with --checkpoint, or use --engine echo.")
    if not is_loopback(options.host) and token is None and not options.insecure:
        raise UsageError(
            f"Other computers could reach {options.host}, so callers must bring a token. Name a file "
            "that holds one with --token-file, or listen on 127.0.0.1; --insecure lets anybody call."
        )
    if options.voices_token_file is not None and options.voices is None:
        raise UsageError(
            "--voices-token-file needs a folder for the voices: name one with --voices."
        )
    _check_network(options)
    if options.rows != AUTO and options.rows < 1:
        raise UsageError("--rows must be at least 1, or auto.")
    for name in _TIMES:
        if not 0 <= getattr(options, name) <= _LONGEST_S:
            raise UsageError(f"{_flag(name)} must be from 0 to {_LONGEST_S} seconds.")
    if not 0 <= options.echo_delay <= 10:
        raise UsageError("--echo-delay must be from 0 to 10 seconds.")


def _check_network(options: argparse.Namespace) -> None:
    for name in ("port", "readiness_port"):
        port = getattr(options, name)
        if port is not None and not 0 <= port <= 65535:
            raise UsageError(f"{_flag(name)} must be from 0 to 65535.")
    for name in ("per_address", "per_minute"):
        if not 0 <= getattr(options, name) <= _MOST_A_MINUTE:
            raise UsageError(f"{_flag(name)} must be from 0 to {_MOST_A_MINUTE}.")
    for name in ("chat_path", "readiness_path"):
        path = getattr(options, name)
        if path and (not path.startswith("/") or any(sign in path for sign in " {}?#")):
            raise UsageError(f"{_flag(name)} must be a plain path, such as /ready.")
    if options.readiness_port is not None and not options.readiness_path:
        raise UsageError("--readiness-port needs --readiness-path: what is to be answered there.")
    if (options.tls_cert is None) != (options.tls_key is None):
        raise UsageError("--tls-cert and --tls-key belong together; give both.")
    if options.tls_cert is not None and options.tls_self_signed is not None:
        raise UsageError("Give a certificate or have one made, not both.")
    for origin in options.allow_origin:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}":
            raise UsageError(
                f"--allow-origin takes an origin such as https://example.org, not {origin}."
            )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def read_token(options: argparse.Namespace) -> str | None:
    """Return the token that callers must bring, None where they need none.

    Raises:
        UsageError: The file cannot be used.
    """
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
