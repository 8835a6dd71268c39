"""A voice server's stand-in under the real supervisor: the standard library alone, up in a tenth of a second."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from personadesk.hosts import bundle, local, server_process
from personadesk.hosts.bundle import Bundle

SCRIPT = """
import json, sys, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer

port, answer, die_after = int(sys.argv[1]), json.loads(sys.argv[2]), float(sys.argv[3])

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(answer).encode()
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

print("stand-in on", port, flush=True)
if die_after >= 0:
    threading.Timer(die_after, lambda: __import__("os")._exit(9)).start()
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """Return a function that gives the command line of a stand-in for a state folder."""
    script = tmp_path / "personaplex_server_stand_in.py"
    script.write_text(SCRIPT)

    def command(
        state_dir: Path, port: int, answer: str = '{"state": "ready"}', die_after: float = -1
    ) -> tuple[str, ...]:
        return (
            sys.executable, str(script), str(port), answer, str(die_after),
            str(state_dir / "ready.json"),
        )  # fmt: skip

    return command


@pytest.fixture
def port() -> int:
    return local.pick_port()


@pytest.fixture
async def state_dir(tmp_path: Path) -> AsyncIterator[Path]:
    """A server's state folder; whatever runs for it is stopped afterwards."""
    folder = tmp_path / "servers" / "pd-test"
    yield folder
    with contextlib.suppress(asyncio.CancelledError):
        await server_process.stop(folder)


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Bundle:
    """A server package that installs in a second and needs nothing but what a borrowed torch brings along."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    wheel = folder / "personaplex_server-9.9.9-py3-none-any.whl"
    info = "personaplex_server-9.9.9.dist-info"
    files = {
        "personaplex_server/__init__.py": '__version__ = "9.9.9"\n',
        "personaplex_server/web.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: personaplex-server\nVersion: 9.9.9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(
            f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
        )
    for name in ("server.txt", "server-cpu.txt"):
        (folder / name).write_text("# nothing\n")
    manifest = {
        "wheel": wheel.name, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "version": "9.9.9", "requirements": "server.txt",
        "cpu_requirements": "server-cpu.txt",
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return bundle.load(folder)
