"""The built server wheel and its manifest in `resources/server/`, which the app pushes to a GPU host.

Made again only when the server's sources or its locked requirements changed: first the files' sizes and
times are compared (no reading), then their content.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from _setup.console import Trouble, say
from _setup.layout import Layout, project
from _setup.lean import lean
from _setup.wheels import Facts, sources, write_wheel

REQUIREMENTS = "server.txt"
CPU_REQUIREMENTS = "server-cpu.txt"
MANIFEST = "manifest.json"
NOT_PUSHED = "personaplex_server/bench/"
"""What a machine with a voice on it has no use for: the wheel is sent there, often over a slow line."""
SIZE_LIMIT = 200_000
"""Bytes of the wheel: a host on a slow line must have it in a second or two."""


def is_current(layout: Layout) -> bool:
    """Tell, without reading the sources, whether the bundle is known to hold them as they are."""
    known = _json(_note(layout)).get("seen")
    return known == _seen(layout) and _whole(layout.bundle / MANIFEST)


def ensure_bundle(layout: Layout) -> Path:
    """Build the server wheel if need be and return the manifest's path.

    Raises:
        Trouble: The wheel came out too large to push.
        OSError: The folder cannot be written to.
    """
    manifest = layout.bundle / MANIFEST
    if is_current(layout):
        return manifest
    seen = _seen(layout)
    source = _source_hash(layout)
    if _json(manifest).get("source") != source or not _whole(manifest):
        _build(layout, source)
    layout.scratch.mkdir(exist_ok=True)
    _write(_note(layout), json.dumps({"seen": seen}).encode())
    return manifest


def _note(layout: Layout) -> Path:
    return layout.scratch / "server-bundle.json"


def _inputs(layout: Layout) -> list[tuple[str, Path]]:
    return [
        *sources(layout.server / "personaplex_server"),
        ("pyproject.toml", layout.server / "pyproject.toml"),
        *((name, layout.locks / name) for name in (REQUIREMENTS, CPU_REQUIREMENTS)),
    ]


def _seen(layout: Layout) -> str:
    digest = hashlib.sha256()
    for name, path in _inputs(layout):
        stat = path.stat()
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _source_hash(layout: Layout) -> str:
    digest = hashlib.sha256(b"2\n")
    for name, path in _inputs(layout):
        data = path.read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _build(layout: Layout, source: str) -> None:
    facts = Facts.of(project(layout.server))
    files = {
        name: lean(path.read_bytes()) if name.endswith(".py") else path.read_bytes()
        for name, path in sources(layout.server / "personaplex_server")
        if not name.startswith(NOT_PUSHED)
    }
    layout.bundle.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=layout.bundle, prefix=".build-") as folder:
        wheel = Path(folder) / facts.file_name
        write_wheel(wheel, facts, files)
        data = wheel.read_bytes()
        if len(data) >= SIZE_LIMIT:
            raise Trouble(
                f"The server wheel is {len(data)} bytes, above its limit of {SIZE_LIMIT}. "
                "Take large files out of server/personaplex_server."
            )
        # The manifest goes first and comes back last: whoever finds one finds a whole bundle.
        (layout.bundle / MANIFEST).unlink(missing_ok=True)
        for old in layout.bundle.glob("*.whl"):
            old.unlink()
        wheel.replace(layout.bundle / facts.file_name)
    for name in (REQUIREMENTS, CPU_REQUIREMENTS):
        shutil.copyfile(layout.locks / name, layout.bundle / name)
    manifest = {
        "wheel": facts.file_name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "version": facts.version,
        "requirements": REQUIREMENTS,
        "cpu_requirements": CPU_REQUIREMENTS,
        "source": source,
    }
    _write(layout.bundle / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
    say(f"Built the server wheel: {facts.file_name}, {len(data) / 1000:.0f} kB.")


def _whole(manifest: Path) -> bool:
    known = _json(manifest)
    names = [known.get(key) for key in ("wheel", "requirements", "cpu_requirements")]
    return all(isinstance(name, str) and (manifest.parent / name).is_file() for name in names)


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.replace(path)
