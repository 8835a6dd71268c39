"""The voice server's own package with another version on it: what an upgrade is tried with."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from personadesk.hosts.bundle import Bundle


def newer(bundle: Bundle, version: str, folder: Path) -> Bundle:
    """Build the package anew as another version, whole and with a record of its own.

    Args:
        bundle: The real package.
        version: The version that it shall have.
        folder: Where the wheel is put.
    """
    old, new = (f"personaplex_server-{each}" for each in (bundle.version, version))
    wheel = folder / bundle.wheel.name.replace(old, new, 1)
    lines = []
    with zipfile.ZipFile(bundle.wheel) as source, zipfile.ZipFile(wheel, "w") as target:
        for item in source.infolist():
            name = item.filename.replace(old, new, 1)
            if name.endswith("/RECORD"):
                continue
            data = source.read(item)
            if name == "personaplex_server/__init__.py" or name.endswith("/METADATA"):
                assert bundle.version.encode() in data
                data = data.replace(bundle.version.encode(), version.encode())
            target.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(data)}")
        record = f"{new}.dist-info/RECORD"
        target.writestr(record, "\n".join([*lines, f"{record},,"]) + "\n")
    return replace(
        bundle, wheel=wheel, version=version, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest()
    )
