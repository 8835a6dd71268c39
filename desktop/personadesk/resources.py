"""Finds the files that travel with PersonaDesk: icons, palettes, faces, translations, clips.

Installed, they lie inside the package; in a checkout they lie at its top, so that they are edited once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["ResourceMissingError", "path", "read_bytes", "read_text", "root"]


class ResourceMissingError(FileNotFoundError):
    """A file that belongs to PersonaDesk itself is not there: the installation is damaged."""


@cache
def root() -> Path:
    """Return the folder that holds the resources.

    Raises:
        ResourceMissingError: when neither the installed nor the checkout's folder exists.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_resources", package.parents[1] / "resources"):
        if candidate.is_dir():
            return candidate
    raise ResourceMissingError(
        f"PersonaDesk's own files are missing beside {package}. Install PersonaDesk again."
    )


def path(*parts: str) -> Path:
    """Return where a resource lies, for example ``path("icons", "home.svg")``.

    Raises:
        ResourceMissingError: when there is no such file or folder.
    """
    found = root().joinpath(*parts)
    if not found.exists():
        name = "/".join(parts)
        raise ResourceMissingError(
            f"PersonaDesk's own file {name} is missing in {root()}. Install PersonaDesk again."
        )
    return found


def document(name: str) -> Path:
    """Return a page of the documentation: beside the sources, or shipped among the resources."""
    shipped = root() / "docs" / name
    return shipped if shipped.exists() else root().parent / "docs" / name


def read_text(*parts: str) -> str:
    """Return a resource as text (UTF-8)."""
    return path(*parts).read_text(encoding="utf-8")


def read_bytes(*parts: str) -> bytes:
    """Return a resource as it is."""
    return path(*parts).read_bytes()
