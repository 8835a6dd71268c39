from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from personadesk.domain.errors import HostUnfit, PersonaDeskError
from personadesk.domain.text import Text
from personadesk.hosts import commands, torch_source
from personadesk.hosts.bundle import Bundle
from personadesk.hosts.python_env import MARKER, Environments
from personadesk.hosts.torch_source import TorchSource


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.fractions: list[float] = []
        self.doings: list[str] = []

    def line(self, text: str, *, warning: bool = False) -> None:
        self.lines.append(text)

    def doing(self, text: Text, fraction: float | None) -> None:
        self.doings.append(str(text))
        if fraction is not None:
            self.fractions.append(fraction)


async def test_an_environment_is_made_once_with_the_torch_that_is_here(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    environments, told = Environments(tmp_path / "environments"), Told()
    assert environments.find(tiny_bundle) is None
    made = await environments.make(tiny_bundle, gpu=False, report=told)
    assert made.borrows_torch
    assert made.torch_folder.is_relative_to(sys.prefix)
    assert told.fractions == sorted(told.fractions)
    assert any("can be used" in line for line in told.lines)
    done = await commands.run(
        [str(made.python), "-I", "-c", "import personaplex_server as p; print(p.__version__, p.__file__)"],
        limit_s=30,
    )  # fmt: skip
    version, place = done.text.split()
    assert version == "9.9.9"
    assert Path(place).is_relative_to(made.folder)  # not the borrowed Python's own
    assert environments.find(tiny_bundle) == made
    assert environments.existing() == [made]
    again = Told()
    assert await environments.make(tiny_bundle, gpu=False, report=again) == made
    assert again.lines == []


async def test_a_cancelled_attempt_leaves_nothing(tmp_path: Path, tiny_bundle: Bundle) -> None:
    environments, told = Environments(tmp_path / "environments"), Told()
    making = asyncio.create_task(environments.make(tiny_bundle, gpu=False, report=told))
    while "installing what the server needs" not in told.doings:
        await asyncio.sleep(0.01)
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert environments.find(tiny_bundle) is None
    assert list((tmp_path / "environments").iterdir()) == []


async def test_a_torn_attempt_is_removed_a_whole_one_is_kept(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    environments = Environments(tmp_path / "environments")
    folder = environments.root / environments.key(tiny_bundle)
    (folder / "bin").mkdir(parents=True)
    await environments.clear_torn(tiny_bundle)
    assert not folder.exists()
    _whole(folder, tmp_path)
    await environments.clear_torn(tiny_bundle)
    assert environments.find(tiny_bundle) is not None


def test_another_package_or_list_wants_another_environment(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    environments = Environments(tmp_path)
    keys = {
        environments.key(tiny_bundle),
        environments.key(_changed(tiny_bundle, sha256="0" * 64)),
        environments.key(_changed(tiny_bundle, requirements_sha256="0" * 64)),
        Environments(tmp_path, base=Path("/other/python")).key(tiny_bundle),
    }
    assert len(keys) == 4


def _with_a_cpu_part(package: Bundle, folder: Path, *, listed: str = "a-part==1.0") -> Bundle:
    """The same package with a list for processors, whose one wheel lies beside it."""
    wheel = folder / "a_part-1.0-py3-none-any.whl"
    info = "a_part-1.0.dist-info"
    files = {
        "a_part.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: a-part\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in files))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package.cpu_requirements.write_text(
        f"--no-index\n--find-links {folder.as_uri()}\n{listed} --hash=sha256:{digest}\n"
    )
    return package


@pytest.mark.parametrize("gpu", [False, True])
async def test_the_part_for_processors_comes_where_there_is_no_gpu(
    tmp_path: Path, tiny_bundle: Bundle, gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def a_torch_for_any(*_words: object) -> TorchSource:
        return replace(found, cuda="12.8")

    found = await torch_source.find(
        Path(sys.executable), [Path(sys.executable)], lambda _line: None
    )
    assert found is not None
    monkeypatch.setattr(torch_source, "find", a_torch_for_any)
    package = _with_a_cpu_part(tiny_bundle, tmp_path)
    made = await Environments(tmp_path / "made").make(package, gpu=gpu, report=Told())
    assert bool(list(made.folder.rglob("a_part.py"))) is not gpu


async def test_a_processor_that_the_part_has_no_wheel_for_does_without(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    package, told = _with_a_cpu_part(tiny_bundle, tmp_path, listed="a-part==2.0"), Told()
    made = await Environments(tmp_path / "made").make(package, gpu=False, report=told)
    assert made.python.exists()
    assert any("cannot be had here" in line for line in told.lines)


@pytest.mark.parametrize("gone", ["python", "torch", "version", "marker"])
def test_an_environment_that_lost_what_it_leans_on_is_not_used(
    tmp_path: Path, tiny_bundle: Bundle, gone: str
) -> None:
    environments = Environments(tmp_path / "environments")
    folder = environments.root / environments.key(tiny_bundle)
    torch = _whole(folder, tmp_path)
    assert environments.find(tiny_bundle) is not None
    if gone == "python":
        shutil.rmtree(folder / ("Scripts" if sys.platform == "win32" else "bin"))
    elif gone == "torch":
        shutil.rmtree(torch / "torch")
    elif gone == "version":
        (torch / "torch" / "version.py").write_text("__version__ = '2.14.0'\n")
    else:
        (folder / MARKER).write_text("{")
    assert environments.find(tiny_bundle) is None


async def test_a_python_without_venv_is_told_in_words(tmp_path: Path, tiny_bundle: Bundle) -> None:
    base = tmp_path / "python"
    base.write_text("#!/bin/sh\necho 'No module named venv'\nexit 1\n")
    base.chmod(0o755)
    environments = Environments(tmp_path / "environments", base=base)
    with pytest.raises(HostUnfit, match="cannot make virtual environments") as caught:
        await environments.make(tiny_bundle, gpu=False, report=Told())
    assert "python3-venv" in str(caught.value.next)
    assert "No module named venv" in caught.value.details


async def test_a_wheel_that_was_changed_under_way_is_not_installed(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    environments = Environments(tmp_path / "environments")
    wrong = _changed(tiny_bundle, sha256="0" * 64)
    with pytest.raises(PersonaDeskError, match="not the one that was expected") as caught:
        await environments.make(wrong, gpu=False, report=Told())
    assert caught.value.cause == "hash_mismatch"
    assert environments.find(wrong) is None


async def test_what_nobody_needs_any_more_is_removed(tmp_path: Path) -> None:
    environments = Environments(tmp_path / "environments")
    for name in ("old", "fresh", "serving", "lending"):
        (tmp_path / name).mkdir()
        _whole(environments.root / name, tmp_path / name)
    lending = environments.root / "lending"
    (lending / "torch").mkdir()
    for name in ("__init__.py", "version.py"):
        (lending / "torch" / name).write_text("__version__ = '2.13.0+cpu'\n")
    for name, torch in (("lending", lending), ("fresh", lending)):
        marker = json.loads((environments.root / name / MARKER).read_text())
        (environments.root / name / MARKER).write_text(
            json.dumps(marker | {"torch_folder": str(torch)})
        )
    for name in ("old", "serving", "lending"):
        os.utime(environments.root / name / MARKER, (1.0, 1.0))
    serving = next(e.python for e in environments.existing() if e.folder.name == "serving")
    gone = await environments.prune({serving})
    assert [folder.name for folder in gone] == ["old"]
    assert sorted(f.name for f in environments.root.iterdir()) == ["fresh", "lending", "serving"]


def _changed(package: Bundle, **values: str) -> Bundle:
    return replace(package, **values)  # type: ignore[arg-type] # text fields only


def _whole(folder: Path, tmp_path: Path) -> Path:
    """Lay out what a complete environment looks like; return where its torch lies."""
    torch = tmp_path / "elsewhere"
    (torch / "torch").mkdir(parents=True)
    (torch / "torch" / "__init__.py").touch()
    (torch / "torch" / "version.py").write_text("__version__ = '2.13.0+cpu'\n")
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    python.parent.mkdir(parents=True)
    python.touch()
    marker = {"torch": "2.13.0+cpu", "torch_folder": str(torch), "server": "9.9.9"}
    (folder / MARKER).write_text(json.dumps(marker))
    return torch
