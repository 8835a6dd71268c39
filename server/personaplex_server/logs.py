"""One line a happening, on stderr: time, level, module, message, then `key=value` facts.

Secrets never get here: what callers send in an address is not logged at all, and the access token is
blotted out should another library quote it.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_QUIET: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets")
"""uvicorn logs whole addresses, token included, when a socket is accepted; only its warnings are let through."""


def fields(**values: object) -> str:
    """Return `values` as `key=value` words, quoted where a value holds spaces."""
    return " ".join(f"{key}={_word(value)}" for key, value in values.items())


def _word(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    plain = str(value)
    if plain and plain.isprintable() and not any(c in plain for c in ' "='):
        return plain
    return repr(plain)


class _Line(logging.Formatter):
    """Formats a record as one line, with line breaks made visible and secrets blotted out."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        name = record.name.removeprefix("personaplex_server.")
        line = (
            f"{when}.{int(record.msecs):03d}Z {record.levelname:<7} {name}: "
            f"{record.getMessage()}".replace("\n", " | ")
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line


def setup(*, verbose: bool = False, secrets: tuple[str, ...] = ()) -> None:
    """Send all logs of this process to stderr in our form.

    Args:
        verbose: Show debug lines of this package too.
        secrets: Words that must never appear, such as the access token.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(tuple(secret for secret in secrets if secret)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("personaplex_server").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
