"""Machine code, kept from one start to the next: to write it takes seconds, to read it a few thousandths of one.

It lies where Python keeps what it compiles of these very sources, and is as much to be trusted: who can write there
could write the sources. A piece belongs to the sources, the compiler's version and the very processor.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_HERE: Final = Path(__file__).parent
_FOLDER: Final = _HERE / "__pycache__"
_SEAL: Final = hashlib.sha256().digest_size
_AT_MOST: Final = 16
"""Pieces that are kept of one name, as several computers may share these files."""


def place(name: str, *made_for: object) -> Path:
    """Return where a piece of machine code lies, or is to lie.

    Args:
        name: Of the piece.
        made_for: All but the sources that decides what it consists of.
    """
    known = hashlib.sha256(repr(made_for).encode())
    for path in sorted(_HERE.glob("*.py")):
        known.update(path.read_bytes())
    return _FOLDER / f"{name}-{known.hexdigest()[:32]}.code"


def read(path: Path) -> bytes | None:
    """Return the machine code that lies there, or None if there is none that is whole."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    seal, code = data[:_SEAL], data[_SEAL:]
    return code if seal == _sealed(path, code) else None


def write(path: Path, code: bytes) -> None:
    """Keep machine code for the next start, if that can be."""
    try:
        path.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(_sealed(path, code) + code)
        made = Path(file.name)
        made.chmod(0o644)
        made.replace(path)
        name = path.name.rpartition("-")[0]
        pieces = sorted(path.parent.glob(f"{name}-*.code"), key=lambda each: each.stat().st_mtime)
        for old in pieces[:-_AT_MOST]:
            old.unlink(missing_ok=True)
    except OSError as error:
        log.info("machine code is not kept for the next start (%s)", error)


def _sealed(path: Path, code: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + code).digest()
