"""The environment in `.venv`: made once, filled from a lock with hashes, and stamped when it is whole.

The stamp is taken away before anything changes and written last, so an installation that was cut off is
never taken for a finished one. A start that finds its stamp right touches nothing and needs no network.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _setup import system
from _setup.console import Trouble, call, call_quietly, say
from _setup.layout import Layout, project
from _setup.torch_build import TORCH_LOCK, ensure_torch
from _setup.wheels import Facts, write_wheel

_FORMAT = 1
_CORE = (
    "import httpx, msgspec, numpy, platformdirs, rich, soxr, sphn, tomlkit, websockets, personadesk"
)
_WINDOW = "import PySide6.QtNetwork, PySide6.QtSvg, PySide6.QtWidgets"


def lock_name(*, dev: bool) -> str:
    """Return the lock that a set is installed from."""
    return "dev.txt" if dev else "desktop.txt"


def is_ready(layout: Layout, *, dev: bool) -> bool:
    """Tell whether all that is wanted is installed, by the stamp alone.

    The development set holds the application's at the same versions, so it serves both.
    """
    stamp = read_stamp(layout)
    if stamp.get("format") != _FORMAT or stamp.get("root") != str(layout.root):
        return False
    if not os.access(layout.python, os.X_OK):
        return False
    sets = (True,) if dev else (True, False)
    return any(stamp.get("content") == content_hash(layout, dev=each) for each in sets)


def install(layout: Layout, *, dev: bool) -> None:
    """Make the environment hold what is wanted, and stamp it.

    Raises:
        Trouble: A step failed; the next start takes it up again.
    """
    layout.log.unlink(missing_ok=True)
    moved = read_stamp(layout).get("root", str(layout.root)) != str(layout.root)
    layout.stamp.unlink(missing_ok=True)
    if moved or not _runs(layout):
        make(layout)
    _install_lock(layout, dev=dev)
    if dev:
        ensure_torch(layout, pip_of(layout))
    install_projects(layout, dev=dev)
    _verify(layout)
    write_stamp(layout, dev=dev, window=not _load_qt(layout))


def window_trouble(layout: Layout) -> str:
    """Return why Qt cannot be loaded, as the system put it; "" when it can.

    Loading it takes 0.1 s, so what was seen while setting up is believed as long as it was good.
    """
    return "" if read_stamp(layout).get("window") is True else _load_qt(layout)


def pip_of(layout: Layout) -> list[str]:
    """Return the start of a pip command for the environment.

    Where the system has no `ensurepip`, the environment has no pip, and the pip that came with our own
    Python works on it from outside.
    """
    inside = (layout.site_packages() / "pip").is_dir()
    head = [str(layout.python)] if inside else [sys.executable]
    aim = [] if inside else ["--python", str(layout.python)]
    return [*head, "-m", "pip", *aim, "--disable-pip-version-check", "--no-input"]


def read_stamp(layout: Layout) -> dict[str, object]:
    """Return what the stamp says; nothing when there is none or it is broken."""
    try:
        found = json.loads(layout.stamp.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_stamp(layout: Layout, *, dev: bool, window: bool) -> None:
    """Say that a set is installed completely, and whether Qt loads; all at once or not at all."""
    stamp = {
        "format": _FORMAT,
        "root": str(layout.root),
        "content": content_hash(layout, dev=dev),
        "window": window,
    }
    temporary = layout.stamp.with_suffix(".new")
    temporary.write_text(json.dumps(stamp), encoding="utf-8")
    temporary.replace(layout.stamp)


def content_hash(layout: Layout, *, dev: bool) -> str:
    """Return what a set's stamp must say: a hash over its lock and both projects' facts."""
    digest = hashlib.sha256(b"dev\n" if dev else b"desktop\n")
    files = [layout.locks / lock_name(dev=dev), *_pyprojects(layout)]
    if dev:
        files.append(layout.locks / TORCH_LOCK)
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _pyprojects(layout: Layout) -> tuple[Path, Path]:
    return layout.root / "pyproject.toml", layout.server / "pyproject.toml"


def _runs(layout: Layout) -> bool:
    if not os.access(layout.python, os.X_OK):
        return False
    asked = subprocess.run(
        [layout.python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
        check=False,
        capture_output=True,
    )
    return asked.returncode == 0


def make(layout: Layout) -> None:
    """Make an empty environment, in place of what may be there.

    Raises:
        Trouble: This Python cannot make environments, or it failed.
    """
    say(f"Making the environment in {layout.venv} (Python {sys.version.split()[0]}) …")
    command = [sys.executable, "-m", "venv", "--clear"]
    if not _has("ensurepip"):
        _get_ensurepip()
    if not _has("ensurepip"):
        command.append("--without-pip")
    if call([*command, layout.venv]) != 0:
        raise Trouble(
            f"The environment in {layout.venv} could not be made; the lines above say why. "
            "Delete that folder if it is there, and run the same command again."
        )


def _has(module: str) -> bool:
    importlib.invalidate_caches()
    found = importlib.util.find_spec(module)
    return found is not None and found.origin is not None


def _get_ensurepip() -> None:
    """Debian keeps it in a package of its own."""
    name = f"python3.{sys.version_info.minor}-venv"
    if system.is_debian() and system.is_root() and system.install_packages([name]):
        return
    if _has("pip"):
        return
    command = system.install_command([name]) if system.is_debian() else "python3 -m ensurepip"
    raise Trouble(
        "This Python cannot make environments: its venv and pip parts are missing. "
        f"Install them, then run the same command again: {command}"
    )


def _install_lock(layout: Layout, *, dev: bool) -> None:
    lock = layout.locks / lock_name(dev=dev)
    amount = "260 MB, and then torch" if dev else "130 MB"
    say(f"Installing what is locked (the first time about {amount} are fetched) …")
    command = [*pip_of(layout), "install", "--no-deps", "--require-hashes", "-r", str(lock)]
    if call_quietly(command, layout.log) != 0:
        raise Trouble(
            "Not everything could be installed; the lines above say what failed. Check the internet "
            "connection (or the proxy) and the free disk space, then run the same command again: "
            "it goes on with what it has."
        )


def install_projects(layout: Layout, *, dev: bool) -> None:
    """Put both packages in as they lie in the tree: a `.pth` line each, and their commands."""
    with tempfile.TemporaryDirectory(prefix="personadesk-") as folder:
        wheels = []
        for home, source, commands in (
            (layout.root, layout.root / "desktop", True),
            # The server's command needs torch, which only the development set has.
            (layout.server, layout.server, dev),
        ):
            facts = Facts.of(project(home))
            if not commands:
                facts = dataclasses.replace(facts, scripts={})
            wheel = Path(folder) / facts.file_name
            line = f"{source}{os.linesep}".encode()
            write_wheel(wheel, facts, {f"_editable_{facts.stem}.pth": line})
            wheels.append(str(wheel))
        command = [*pip_of(layout), "install", "--no-deps", "--no-index", "--force-reinstall"]
        if call_quietly([*command, *wheels], layout.log) != 0:
            raise Trouble(
                "PersonaDesk itself could not be put into its environment; the lines above say why. "
                f"Delete {layout.venv} and run the same command again."
            )


def _load_qt(layout: Layout) -> str:
    tried = subprocess.run(
        [layout.python, "-c", _WINDOW], check=False, capture_output=True, text=True
    )
    lines = tried.stderr.strip().splitlines()
    return "" if tried.returncode == 0 else (lines[-1] if lines else "no reason was given")


def _verify(layout: Layout) -> None:
    tried = subprocess.run(
        [layout.python, "-c", _CORE], check=False, capture_output=True, text=True
    )
    if tried.returncode != 0:
        say(tried.stderr.strip())
        raise Trouble(
            f"The environment in {layout.venv} is damaged: what was installed cannot be loaded. "
            "Delete that folder and run the same command again."
        )
