"""The server's package as it ships with PersonaDesk: a wheel with its hash, and the locked lists of what it needs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is installed on a host.

    Attributes:
        wheel: The server's wheel.
        sha256: Its hash, checked.
        version: Its version.
        requirements: Locked, hashed requirements, torch left out.
        cpu_requirements: The same for what it also has where it computes on the processor.
        requirements_sha256: Hash of both files.
    """

    wheel: Path
    sha256: str
    version: str
    requirements: Path
    cpu_requirements: Path
    requirements_sha256: str


def load(folder: Path) -> Bundle:
    """Read `manifest.json` and check the wheel against it.

    Raises:
        HostUnfit: The package is missing or damaged.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        wheel = folder / manifest["wheel"]
        requirements = folder / manifest["requirements"]
        cpu_requirements = folder / manifest["cpu_requirements"]
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lists = requirements.read_bytes() + cpu_requirements.read_bytes()
        wanted, version = str(manifest["sha256"]), str(manifest["version"])
    except FileNotFoundError as error:
        raise HostUnfit(
            T("The voice server's package is missing."),
            T(
                "Install PersonaDesk again; in a source tree run: python packaging/bootstrap.py setup"
            ),
            cause="no_bundle",
            details=str(error),
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(repr(error)) from error
    if found != wanted:
        raise _damaged(f"{wheel.name}: sha256 is {found}, should be {wanted}")
    listed = hashlib.sha256(lists).hexdigest()
    return Bundle(wheel, found, version, requirements, cpu_requirements, listed)


def _damaged(details: str) -> HostUnfit:
    return HostUnfit(
        T("The voice server's package is damaged."),
        T("Install PersonaDesk again; in a source tree run: python packaging/bootstrap.py setup"),
        cause="damaged_bundle",
        details=details,
    )
