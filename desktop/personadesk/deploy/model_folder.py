"""Looks at a model folder without loading it: are the files there, readable, whole, and safetensors?

A few milliseconds here save minutes of starting a server that will say the same later.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, BinaryIO

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from pathlib import Path

LM_FILE = "model.safetensors"
CODEC_FILE = "tokenizer-e351c8d8-checkpoint125.safetensors"
TEXT_FILE = "tokenizer_spm_32k_3.model"
FILES = (LM_FILE, CODEC_FILE, TEXT_FILE)

LONGEST_HEADER = 100_000_000
"""The format's own limit."""


def check(folder: Path) -> int:
    """Check a model folder; return the bytes of its files.

    Raises:
        BadRequest: Something is missing or broken; the sentence says what.
    """
    if not folder.exists():
        raise _bad(
            T("The model folder {folder} does not exist.", folder=str(folder)), "model_missing"
        )
    if not folder.is_dir():
        raise _bad(
            T("{folder} is a file; a model is a folder.", folder=str(folder)), "model_missing"
        )
    total = 0
    for name in FILES:
        path = folder / name
        if not path.is_file():
            raise _bad(
                T(
                    "{file} is missing from the model folder {folder}.",
                    file=name,
                    folder=str(folder),
                ),
                "model_incomplete",
            )
        try:
            total += path.stat().st_size
            with path.open("rb") as file:
                if name.endswith(".safetensors"):
                    _check_safetensors(name, file, path.stat().st_size)
                else:
                    file.read(1)
        except OSError as error:
            raise BadRequest(
                T("{file} in the model folder cannot be read.", file=name),
                T("Allow PersonaDesk to read it, then try again."),
                cause="model_unreadable",
                details=str(error),
            ) from error
    return total


def _check_safetensors(name: str, file: BinaryIO, size: int) -> None:
    wrong = T("{file} is not a safetensors file.", file=name)
    first = file.read(8)
    if len(first) < 8:
        raise _bad(wrong, "model_not_safetensors")
    (length,) = struct.unpack("<Q", first)
    if length > LONGEST_HEADER:
        raise _bad(wrong, "model_not_safetensors")
    header = file.read(length)
    if len(header) < length:
        raise _cut(name)
    try:
        entries = json.loads(header)
        ends = [v["data_offsets"][1] for k, v in entries.items() if k != "__metadata__"]
    except (ValueError, AttributeError, KeyError, TypeError, IndexError):
        raise _bad(wrong, "model_not_safetensors") from None
    if size < 8 + length + max(ends, default=0):
        raise _cut(name)


def _cut(name: str) -> BadRequest:
    return _bad(T("{file} is cut off: its end is missing.", file=name), "model_truncated")


def _bad(what: Text, cause: str) -> BadRequest:
    return BadRequest(
        what,
        T("Name a folder laid out as the model repository, or get the model again."),
        cause=cause,
    )
