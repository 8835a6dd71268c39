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
    # With a GPU, and so without the part for processors.
    options = argparse.Namespace(folder=folder, key="k", sha256="0", gpu=1, torch="2", look=[])
    install_there.install(target, options)
    assert calls == asked
    assert (target / "complete.json").exists()


@pytest.mark.parametrize(("gpu", "parts"), [(0, ["requirements-cpu.txt"]), (1, [])])
def test_the_part_for_processors_comes_where_there_is_no_gpu(
    folder: Path, monkeypatch: pytest.MonkeyPatch, gpu: int, parts: list[str]
) -> None:
    asked: list[str] = []
    target = folder / "versions" / "k"

    def run(words: list[str]) -> int:
        if "venv" in words:
            target.mkdir(parents=True)
        if "--only-binary" in words:
            asked.append(Path(words[-1]).name)
            assert Path(words[-1]).parent == folder / "package" / "k"
        return 0

    monkeypatch.setattr(install_there, "run", run)
    monkeypatch.setattr(install_there, "run_quietly", lambda words: True)
    monkeypatch.setattr(install_there, "find_uv", lambda pip, folder: "uv")
    monkeypatch.setattr(install_there, "borrow", lambda *words: True)
    monkeypatch.setattr(install_there, "verify", lambda python: {"torch": "2", "server": "1"})
    options = argparse.Namespace(folder=folder, key="k", sha256="0", gpu=gpu, torch="2", look=[])
    install_there.install(target, options)
    assert asked == parts


NO_WHEEL = "ERROR: No matching distribution found for llvmlite"


def _install_for_cpu(tmp_path: Path, said: str, status: int) -> str:
    kept = tmp_path / "asked"
    pip = _program(tmp_path / "pip", f'echo "$*" > {kept}\necho "{said}"\nexit {status}')
    uv = _program(tmp_path / "uv", "exit 1")
    install_there.install_for_cpu([pip], uv, Path("/env/python"), Path("/lists/cpu.txt"))
    return kept.read_text()


def test_pip_has_the_last_word_on_the_part_for_processors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = _install_for_cpu(tmp_path, "Successfully installed", 0)
    assert "--require-hashes --no-deps --only-binary :all: -r /lists/cpu.txt" in asked
    assert "Successfully installed" in capsys.readouterr().out


def test_where_there_is_no_wheel_for_the_processor_it_is_done_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _install_for_cpu(tmp_path, NO_WHEEL, 1)
    said = capsys.readouterr().out
    assert NO_WHEEL in said
    assert "torch's own operators are used" in said


@pytest.mark.parametrize(
    "said", ["No space left on device", f"WARNING: Retrying (Retry(total=0\n{NO_WHEEL}"]
)
def test_a_full_disk_or_a_registry_that_is_away_is_no_missing_wheel(
    tmp_path: Path, said: str
) -> None:
    with pytest.raises(install_there.Failed):
        _install_for_cpu(tmp_path, said, 1)
