"""Deploys that take a second, and a way to see what of them is still running."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from personadesk.hosts import local
from personadesk.store.paths import Folders, folders

HARNESS = Path(__file__).with_name("harness.py")


@pytest.fixture(scope="session")
def harness() -> ModuleType:
    """The module that makes deploys quick; it is also the script that is killed."""
    spec = importlib.util.spec_from_file_location("deploy_harness", HARNESS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(tmp_path: Path, harness: ModuleType) -> Path:
    made: Path = harness.make_model(tmp_path / "model")
    return made


@pytest.fixture
def port() -> int:
    return local.pick_port()


@pytest.fixture
def places() -> Folders:
    return folders()


@pytest.fixture
def open_quick(harness: ModuleType, opener: Callable[..., Any]) -> Any:
    """Opens services with quick steps."""
    return opener(make_steps=harness.quick_steps)


@pytest.fixture
def servers_running(personadesk_home: Path) -> Callable[[], list[int]]:
    """Return a function that finds every server process of this test's home, recorded or not."""

    def look() -> list[int]:
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            words = process.info["cmdline"] or []
            lives = process.info["status"] != psutil.STATUS_ZOMBIE
            serves = "serve" in words and "personaplex_server.supervise" not in words
            if lives and serves and any(str(personadesk_home) in word for word in words):
                found.append(process.pid)
        return found

    return look
