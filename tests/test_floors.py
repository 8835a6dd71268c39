"""The floors hold at run time: everything below the window loads without Qt, and PersonaDesk without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

LOADER = """
import importlib, importlib.abc, json, pkgutil, sys

blocked = set(json.loads(sys.argv[2]))

class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ImportError(f"{name} is not allowed here")

sys.meta_path.insert(0, Wall())

left_out = set(json.loads(sys.argv[3]))
broken, seen = {}, []

def load(name):
    seen.append(name)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        broken[name] = str(error)

def load_all(name):
    package = load(name)
    for found in pkgutil.iter_modules(getattr(package, "__path__", ())):
        inner = f"{name}.{found.name}"
        if inner in left_out or found.name == "__main__":
            continue
        (load_all if found.ispkg else load)(inner)

load_all(sys.argv[1])
print(json.dumps({"seen": seen, "broken": broken, "loaded": sorted(sys.modules)}))
"""


def load(
    package: str, *, blocked: tuple[str, ...] = (), left_out: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Import a package and all below it in a fresh Python, with other packages blocked."""
    done = subprocess.run(
        [sys.executable, "-c", LOADER, package, json.dumps(blocked), json.dumps(left_out)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_everything_below_the_window_loads_without_qt_and_torch() -> None:
    blocked = ("PySide6", "shiboken6", "qasync", "pyqtgraph", "torch", "transformers")
    found = load("personadesk", blocked=blocked, left_out=("personadesk.ui",))
    assert found["broken"] == {}
    for floor in ("app", "cli", "deploy", "lines", "hosts", "voice", "store", "domain"):
        assert f"personadesk.{floor}" in found["seen"]


def test_the_window_loads_without_torch() -> None:
    found = load("personadesk.ui", blocked=("torch", "transformers"))
    assert found["broken"] == {}
    assert "PySide6.QtWidgets" in found["loaded"]


def test_the_wall_stands() -> None:
    broken = load("personadesk.ui", blocked=("PySide6",))["broken"]
    assert any("PySide6 is not allowed here" in reason for reason in broken.values())


def test_the_server_loads_without_personadesk_and_qt() -> None:
    # Ray is an extra of its own; only the fleet's command loads without it.
    ray = ("personaplex_server.fleet.replica", "personaplex_server.fleet.router")
    found = load("personaplex_server", blocked=("personadesk", "PySide6", "qasync"), left_out=ray)
    assert found["broken"] == {}


def test_the_wire_protocol_brings_nothing_heavy_along() -> None:
    loaded = set(load("personaplex_server.protocol")["loaded"])
    assert not {"torch", "numpy", "starlette", "uvicorn", "opuslib_next"} & loaded


def test_starting_the_terminal_brings_nothing_heavy_along() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "personadesk", "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"PySide6", "numpy", "httpx", "torch", "sounddevice"} & names
