"""Where things are in this checkout, and where its environment keeps its programs on each system."""

from __future__ import annotations

import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _setup.console import Trouble

WINDOWS = os.name == "nt"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and files of one checkout.

    Attributes:
        root: The top folder, absolute.
    """

    root: Path

    @property
    def venv(self) -> Path:
        """The environment that everything is installed into."""
        return self.root / ".venv"

    @property
    def scripts(self) -> Path:
        """The environment's folder of programs."""
        return self.venv / ("Scripts" if WINDOWS else "bin")

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.scripts / ("python.exe" if WINDOWS else "python")

    @property
    def stamp(self) -> Path:
        """Says what was installed completely; absent while an installation is under way."""
        return self.venv / "personadesk-setup.json"

    @property
    def locks(self) -> Path:
        """The folder of locked, hashed requirements."""
        return self.root / "packaging" / "locks"

    @property
    def scratch(self) -> Path:
        """What bootstrap notes for itself; git ignores it."""
        return self.root / "build"

    @property
    def log(self) -> Path:
        """All that pip said while setting up."""
        return self.scratch / "setup.log"

    @property
    def server(self) -> Path:
        """The voice server's folder, with its own pyproject.toml."""
        return self.root / "server"

    @property
    def bundle(self) -> Path:
        """Where the built server wheel lies for the app to push."""
        return self.root / "resources" / "server"

    @property
    def benches(self) -> Path:
        """The folder of benchmarks, one file or folder an area."""
        return self.root / "tests" / "bench"

    def program(self, name: str) -> Path:
        """Return the path of one of the environment's programs."""
        return self.scripts / (f"{name}.exe" if WINDOWS else name)

    def site_packages(self) -> Path:
        """Return the folder that the environment imports from."""
        if WINDOWS:
            return self.venv / "Lib" / "site-packages"
        found = sorted((self.venv / "lib").glob("python3.*/site-packages"))
        if not found:
            raise Trouble(
                f"The environment in {self.venv} is damaged: it has no place for packages. "
                "Delete that folder and run the same command again."
            )
        return found[-1]


def here() -> Layout:
    """Return the layout of the checkout that this file belongs to."""
    return Layout(Path(__file__).resolve().parents[2])


def project(folder: Path) -> dict[str, Any]:
    """Return what a folder's pyproject.toml holds."""
    with (folder / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def has_display() -> bool:
    """Tell whether a window can be shown: always assumed where the system brings its own."""
    if WINDOWS or sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
