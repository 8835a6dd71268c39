"""Writes down what a cloud holds, so that it is the same after its process was killed."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import msgspec

from personadesk.rehearsal.things import Holdings

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


def write(path: Path, held: Holdings) -> bytes:
    """Write it, whole or not at all; returns what was written."""
    content = msgspec.json.encode(held)
    fresh = path.with_name(f"{path.name}.new")
    # Host keys are in it.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
    return content


def read(path: Path) -> Holdings | None:
    """Return what was held, None when there is nothing, or nothing that can be understood."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holdings)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        log.warning("%s is of another version and is left out: %s", path.name, error)
        return None
