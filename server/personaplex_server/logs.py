"""One line a happening, on stderr: time, level, module, message, then `key=value` facts; or all that as JSON.

Secrets never get here: what callers send in an address is not logged at all, and the access token is
blotted out should another library quote it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final

_QUIET: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets")
"""uvicorn logs whole addresses, token included, when a socket is accepted; only its warnings are let through."""


class Fields(str):
    """Facts as words, which remember what they are made of.

    Attributes:
        values: The facts.
    """

    __slots__ = ("values",)
    values: dict[str, object]


def fields(**values: object) -> Fields:
    """Return `values` as `key=value` words, quoted where a value holds spaces."""
    words = Fields(" ".join(f"{key}={_word(value)}" for key, value in values.items()))
    words.values = values
    return words


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


class _Json(logging.Formatter):
    """Formats a record as one JSON object, its facts as members, with secrets blotted out."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, object] = {}
        event = record.getMessage()
        arguments = record.args if isinstance(record.args, tuple) else ()
        for argument in arguments:
            if isinstance(argument, Fields):
                told |= argument.values
                event = event.replace(argument, "").strip()
        line = {
            "time": f"{when}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "module": record.name.removeprefix("personaplex_server."),
            "event": event,
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        # The line's own words stand; a fact of the same name gives way.
        text = json.dumps(told | line, default=str, ensure_ascii=False)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def setup(*, verbose: bool = False, as_json: bool = False, secrets: tuple[str, ...] = ()) -> None:
    """Send all logs of this process to stderr in our form.

    Args:
        verbose: Show debug lines of this package too.
        as_json: One JSON object a line, for programs that collect logs.
        secrets: Words that must never appear, such as the access token.
    """
    handler = logging.StreamHandler(sys.stderr)
    hidden = tuple(secret for secret in secrets if secret)
    handler.setFormatter(_Json(hidden) if as_json else _Line(hidden))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("personaplex_server").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
