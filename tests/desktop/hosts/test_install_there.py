"""What runs on a host to install there: uv where it can be had, pip where uv cannot do it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from personadesk.hosts.remote import install_there


def _program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pushed package; nothing of it is ever really installed."""
    package = tmp_path / "pd" / "package" / "k"
    package.mkdir(parents=True)
    (package / "personaplex_server-1-py3-none-any.whl").write_bytes(b"")
    (package / "requirements.txt").write_text("numpy==1 --hash=sha256:0\n")
    for name in ("UV_DEFAULT_INDEX", "SSL_CERT_FILE", "ALL_PROXY", "UV_HTTP_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    # What the module tells uv stays in this test.
    monkeypatch.setattr(install_there.os, "environ", dict(install_there.os.environ))
    return tmp_path / "pd"


def test_uv_asks_where_pip_asks_and_no_password_is_on_a_command_line(
    folder: Path, tmp_path: Path
) -> None:
    said = "global.index-url='https://me:secret@registry.example/simple'\\n:env:.cert='/etc/ca.pem'"
    pip = _program(tmp_path / "pip", f'[ "$1" = config ] && printf "{said}\\nglobal.timeout=9\\n"')
    install_there.follow_pip([pip])
    told = install_there.os.environ
    assert told["UV_DEFAULT_INDEX"] == "https://me:secret@registry.example/simple"
    assert told["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert "ALL_PROXY" not in told


def test_uv_is_fetched_by_pip_where_there_is_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install_there.shutil, "which", lambda name: None)
    uv = folder / "package" / "tools" / "bin" / "uv"
    pip = _program(
        tmp_path / "pip", f'[ "$1" = install ] && mkdir -p {uv.parent} && touch {uv}; exit 0'
    )
    assert install_there.find_uv([pip], folder) == str(uv)
    broken = _program(tmp_path / "broken", "exit 1")
    uv.unlink()
    assert install_there.find_uv([broken], folder) == ""


@pytest.mark.parametrize(("status", "asked"), [(0, ["uv"]), (2, ["uv", "pip"])])
def test_pip_installs_what_uv_cannot(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, asked: list[str]
) -> None:
    calls: list[str] = []
    target = folder / "versions" / "k"

    def run(words: list[str]) -> int:
        kind = "uv" if words[0] == "uv" else "pip" if "install" in words else "other"
        if "venv" in words:
            target.mkdir(parents=True)
        if kind != "other":
            calls.append(kind)
            assert "--require-hashes" in words
        return status if kind == "uv" else 0

    monkeypatch.setattr(install_there, "run", run)
    monkeypatch.setattr(install_there, "run_quietly", lambda words: True)
    monkeypatch.setattr(install_there, "find_uv", lambda pip, folder: "uv")
    monkeypatch.setattr(install_there, "borrow", lambda *words: True)
    monkeypatch.setattr(install_there, "verify", lambda python: {"torch": "2", "server": "1"})
    options = argparse.Namespace(folder=folder, key="k", sha256="0", gpu=0, torch="2", look=[])
    install_there.install(target, options)
    assert calls == asked
    assert (target / "complete.json").exists()
