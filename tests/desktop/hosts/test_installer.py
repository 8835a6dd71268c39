from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from personadesk.domain.errors import HostUnfit, PersonaDeskError
from personadesk.domain.text import Text
from personadesk.hosts import installer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand in")

CUDA = {"install": [{"metadata": {"name": "torch", "requires_dist": ["nvidia-cublas-cu12"]}}]}
CPU = {"install": [{"metadata": {"name": "torch", "requires_dist": ["filelock"]}}]}


class Told:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def line(self, text: str, *, warning: bool = False) -> None:
        if warning:
            self.warnings.append(text)

    def doing(self, text: Text, fraction: float | None) -> None:
        pass


class Shop:
    """Stand-ins for pip and uv that write down what they were asked for."""

    def __init__(self, folder: Path, answer: dict[str, object], uv_status: int = 0) -> None:
        self._asked = folder / "asked"
        self._asked.touch()
        report = folder / "report.json"
        report.write_text(json.dumps(answer))
        pip = self._script(
            folder / "pip",
            f'case "$*" in *--report*) while [ "$1" != --report ]; do shift; done; cp {report} "$2";; esac',
        )
        uv = self._script(folder / "uv", f"exit {uv_status}")
        self.with_uv = installer.Installer("pip", (pip,), (uv,))

    def _script(self, path: Path, body: str) -> str:
        path.write_text(f'#!/bin/sh\necho "{path.name} $*" >> {self._asked}\n{body}\n')
        path.chmod(0o755)
        return str(path)

    @property
    def installs(self) -> list[str]:
        return [line for line in self._asked.read_text().splitlines() if "--dry-run" not in line]


async def _torch(shop: Shop, *, gpu: bool) -> Told:
    told = Told()
    await installer.install_torch(
        shop.with_uv, Path("/env/python"), gpu=gpu, report=told, limit_s=20
    )
    return told


async def test_a_registry_with_a_cpu_build_is_simply_asked(tmp_path: Path) -> None:
    shop = Shop(tmp_path, CPU)
    told = await _torch(shop, gpu=False)
    (install,) = shop.installs
    assert install.startswith("pip ")
    assert install.endswith("torch==2.13.0")
    assert told.warnings == []


@pytest.mark.skipif(sys.platform != "linux", reason="only there the registry's torch brings CUDA")
async def test_cuda_is_not_pulled_where_there_is_no_gpu(tmp_path: Path) -> None:
    shop = Shop(tmp_path, CUDA)
    told = await _torch(shop, gpu=False)
    (install,) = shop.installs
    assert install.startswith("uv ")
    assert "--torch-backend cpu" in install
    assert told.warnings == []


@pytest.mark.skipif(sys.platform != "linux", reason="only there the registry's torch brings CUDA")
async def test_where_no_cpu_build_can_be_had_the_other_comes_with_a_warning(tmp_path: Path) -> None:
    shop = Shop(tmp_path, CUDA, uv_status=1)
    told = await _torch(shop, gpu=False)
    assert [line.split()[0] for line in shop.installs] == ["uv", "pip"]
    assert any("takes more room" in warning for warning in told.warnings)


async def test_with_a_gpu_the_driver_decides(tmp_path: Path) -> None:
    shop = Shop(tmp_path, CUDA)
    await _torch(shop, gpu=True)
    (install,) = shop.installs
    assert "--torch-backend auto" in install


@pytest.mark.parametrize(
    ("words", "kind", "cause"),
    [
        ("OSError: [Errno 28] No space left on device", HostUnfit, "disk_full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", PersonaDeskError, "hash_mismatch"),
        ("Max retries exceeded: NewConnectionError", PersonaDeskError, "registry"),
        ("something new", PersonaDeskError, "install_failed"),
    ],
)
async def test_failures_are_told_apart(
    tmp_path: Path, words: str, kind: type[PersonaDeskError], cause: str
) -> None:
    pip = tmp_path / "pip"
    pip.write_text(f"#!/bin/sh\necho '{words}'\nexit 1\n")
    pip.chmod(0o755)
    (tmp_path / "needs.txt").write_text("")
    (tmp_path / "a.whl").write_bytes(b"wheel")
    tool = installer.Installer("pip", (str(pip),))
    with pytest.raises(kind) as caught:
        await installer.install_locked(
            tool, Path("/env/python"), tmp_path / "needs.txt", tmp_path / "a.whl", "00",
            lambda _line: None, limit_s=20,
        )  # fmt: skip
    assert caught.value.cause == cause
    assert words in caught.value.details


async def test_everything_but_torch_is_checked_by_hash(tmp_path: Path) -> None:
    pip, kept = tmp_path / "pip", tmp_path / "kept"
    pip.write_text(f'#!/bin/sh\necho "$*" > {kept}\nfor last; do :; done\ncat "$last" >> {kept}\n')
    pip.chmod(0o755)
    (tmp_path / "needs.txt").write_text("numpy==2.0 --hash=sha256:11\n")
    (tmp_path / "a.whl").write_bytes(b"wheel")
    await installer.install_locked(
        installer.Installer("pip", (str(pip),)), Path("/env/python"), tmp_path / "needs.txt",
        tmp_path / "a.whl", "22", lambda _line: None, limit_s=20,
    )  # fmt: skip
    said = kept.read_text()
    assert "--require-hashes --no-deps" in said
    assert "--python /env/python" in said
    assert "numpy==2.0 --hash=sha256:11" in said
    assert "a.whl --hash=sha256:22" in said


def _pip(folder: Path, said: str = "", status: int = 0) -> installer.Installer:
    """A pip that writes down what it was asked for, says something and ends so."""
    pip = folder / "pip"
    pip.write_text(f"#!/bin/sh\necho \"$*\" >> {folder}/asked\necho '{said}'\nexit {status}\n")
    pip.chmod(0o755)
    return installer.Installer("pip", (str(pip),))


async def _for_cpu(tool: installer.Installer) -> bool:
    return await installer.install_for_cpu(
        tool, Path("/env/python"), Path("/lists/cpu.txt"), lambda _line: None, limit_s=20
    )


async def test_the_part_for_processors_is_checked_by_hash_and_never_built(tmp_path: Path) -> None:
    assert await _for_cpu(_pip(tmp_path))
    asked = (tmp_path / "asked").read_text()
    assert "--python /env/python" in asked
    assert "--require-hashes --no-deps --only-binary :all: -r /lists/cpu.txt" in asked


async def test_where_there_is_no_wheel_for_the_processor_it_is_done_without(tmp_path: Path) -> None:
    assert not await _for_cpu(_pip(tmp_path, "No matching distribution found for llvmlite", 1))


@pytest.mark.parametrize(
    ("said", "cause"),
    [("Max retries: NewConnectionError", "registry"), ("DO NOT MATCH THE HASHES", "hash_mismatch")],
)
async def test_a_registry_that_is_away_or_changes_files_is_no_missing_wheel(
    tmp_path: Path, said: str, cause: str
) -> None:
    with pytest.raises(PersonaDeskError) as caught:
        await _for_cpu(_pip(tmp_path, said, 1))
    assert caught.value.cause == cause


def test_this_python_has_something_to_install_with() -> None:
    assert installer.find(Path(sys.executable)).name in {"pip", "uv"}
