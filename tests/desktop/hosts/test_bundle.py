from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from personadesk import resources
from personadesk.domain.errors import HostUnfit
from personadesk.hosts import bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.whl").write_bytes(b"wheel")
    (tmp_path / "server.txt").write_text("numpy==2.0 --hash=sha256:00\n")
    (tmp_path / "server-cpu.txt").write_text("llvmlite==0.50 --hash=sha256:00\n")
    manifest = {
        "wheel": "a.whl",
        "sha256": hashlib.sha256(b"wheel").hexdigest(),
        "version": "0.1.0",
        "requirements": "server.txt",
        "cpu_requirements": "server-cpu.txt",
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_a_whole_package_is_read(folder: Path) -> None:
    package = bundle.load(folder)
    assert package.wheel == folder / "a.whl"
    assert (package.version, package.sha256) == ("0.1.0", hashlib.sha256(b"wheel").hexdigest())
    assert package.requirements == folder / "server.txt"
    assert package.cpu_requirements == folder / "server-cpu.txt"


@pytest.mark.parametrize("name", ["server.txt", "server-cpu.txt"])
def test_a_change_in_either_list_is_another_package(folder: Path, name: str) -> None:
    before = bundle.load(folder).requirements_sha256
    (folder / name).write_text("other==1.0 --hash=sha256:00\n")
    assert bundle.load(folder).requirements_sha256 != before


def test_a_changed_wheel_is_refused(folder: Path) -> None:
    (folder / "a.whl").write_bytes(b"other")
    with pytest.raises(HostUnfit, match="damaged") as caught:
        bundle.load(folder)
    assert caught.value.cause == "damaged_bundle"


@pytest.mark.parametrize("name", ["manifest.json", "a.whl", "server.txt", "server-cpu.txt"])
def test_a_missing_file_is_told_with_what_to_do(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(HostUnfit, match="missing") as caught:
        bundle.load(folder)
    assert "bootstrap.py setup" in str(caught.value.next)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"wheel": 1}',
        '{"wheel": "a.whl"}',
        '{"wheel": "a.whl", "requirements": "server.txt"}',
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(HostUnfit, match="damaged"):
        bundle.load(folder)


def test_the_package_that_ships_is_whole() -> None:
    package = bundle.load(resources.root() / "server")
    assert package.wheel.stat().st_size < 200_000
    assert "llvmlite==" in package.cpu_requirements.read_text(encoding="utf-8")
    assert "llvmlite" not in package.requirements.read_text(encoding="utf-8")
