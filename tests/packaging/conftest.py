"""A checkout that tests of the setting up may break, and stand-ins for the system's programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from _setup.layout import Layout

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root() -> Path:
    """The real checkout."""
    return ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Layout:
    """A copy of what bootstrap works on, in a folder whose name has spaces; without an environment."""
    copy = tmp_path / "a folder with spaces"
    unwanted = shutil.ignore_patterns("__pycache__", ".*_cache")
    for name in ("packaging", "server", "desktop"):
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    (copy / "resources").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, copy / name)
    return Layout(copy)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the front of PATH for stand-ins of the system's programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder
