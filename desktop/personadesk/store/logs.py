"""The application's log: one JSON object a line, in a rotating file, secrets taken out."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import re
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOG_BYTES = 1_000_000
LOG_FILES = 3

_SECRETS = (
    re.compile(r"(?i)\b(authorization\s*[:=]\s*(?:bearer\s+)?)[^\s,;\"']+"),
    re.compile(
        r"(?i)\b((?:[\w-]*(?:token|password|passwd|secret|api[_-]?key))\s*[\"']?\s*[:=]\s*[\"']?)[^\s&,;\"']+"
    ),
    re.compile(r"\b((?:hf|sk|ghp|gho|rpa)_)[A-Za-z0-9]{8,}"),
    re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)(//[^/\s:@]+:)[^@\s/]+(?=@)"),
)


def redact(text: str) -> str:
    """Return `text` with whatever looks like a token or password replaced."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1***", text)
    return text


class LogFile(logging.handlers.RotatingFileHandler):
    """A rotating file which a full or failing disk costs lines and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Pass over a line that the disk did not take; anything else is a mistake of ours, and shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """Close the file; what a full disk did not take until now is lost."""
        with contextlib.suppress(OSError):
            super().close()


class JsonLines(logging.Formatter):
    """Formats a record as one redacted JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def set_up(state: Path, *, name: str = "personadesk") -> logging.Handler:
    """Log everything at INFO and above to `state/logs/NAME.log`.

    Returns:
        The handler, for `take_down`.
    """
    folder = state / "logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handler = LogFile(
        folder / f"{name}.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True
    )  # fmt: skip
    handler.setFormatter(JsonLines())
    handler.setLevel(logging.INFO)
    root = logging.getLogger()
    root.addHandler(handler)
    if root.level > logging.INFO or root.level == logging.NOTSET:
        root.setLevel(logging.INFO)
    # They tell every request and connection; that is noise beside a deploy's log. Qt's loop would tell the arguments
    # of every call to a thread, and some of those are secrets.
    for chatty in ("httpx", "httpcore", "websockets", "asyncio", "asyncssh", "qasync"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return handler


def take_down(handler: logging.Handler) -> None:
    """Stop logging to a handler that `set_up` returned."""
    logging.getLogger().removeHandler(handler)
    handler.close()
