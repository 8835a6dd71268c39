from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from personadesk.hosts import torch_source


def _python(folder: Path, facts: dict[str, object] | None) -> Path:
    """Return a program that answers the probe like a Python with these facts."""
    folder.mkdir()
    program = folder / "python"
    said = f"echo 'FACTS {json.dumps(facts)}'" if facts is not None else "exit 1"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(0o755)
    return program


def _facts(
    version: str | None, *, abi: str = "abi-1", cuda: str | None = None
) -> dict[str, object]:
    return {
        "abi": abi, "python": [3, 11], "torch": version, "cuda": cuda,
        "origin": f"/somewhere/{version}/site-packages/torch/__init__.py",
    }  # fmt: skip


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand in")


async def test_the_first_that_fits_is_taken_and_each_other_has_a_reason(tmp_path: Path) -> None:
    own = _python(tmp_path / "own", _facts(None))
    others = [
        _python(tmp_path / "dumb", None),
        _python(tmp_path / "bare", _facts(None)),
        _python(tmp_path / "other", _facts("2.9.0", abi="abi-2")),
        _python(tmp_path / "old", _facts("2.6.1")),
        _python(tmp_path / "good", _facts("2.13.0+cpu")),
        _python(tmp_path / "late", _facts("2.14.0")),
    ]
    said: list[str] = []
    found = await torch_source.find(own, others, said.append)
    assert found == torch_source.TorchSource(
        "2.13.0+cpu", Path("/somewhere/2.13.0+cpu/site-packages"), None
    )
    assert [word in line for word, line in zip(
        ("did not answer", "no usable torch", "another Python", "too old", "can be used"), said, strict=True
    )] == [True] * 5  # fmt: skip


async def test_none_is_none(tmp_path: Path) -> None:
    own = _python(tmp_path / "own", _facts(None))
    assert await torch_source.find(own, [tmp_path / "missing"], lambda _line: None) is None


@pytest.mark.parametrize(
    ("version", "good"),
    [("2.7.0", True), ("2.13.0+cpu", True), ("3.0.0a0+git1", True), ("2.6.9", False), ("1.13", False),
     ("", False), ("x.y", False)],
)  # fmt: skip
def test_old_versions_are_told_from_new_ones(version: str, good: bool) -> None:
    assert torch_source.new_enough(version) is good


def _report(*requires: str) -> str:
    return json.dumps(
        {"install": [{"metadata": {"name": "torch", "requires_dist": list(requires)}}]}
    )


def test_a_build_with_cuda_is_known_by_what_it_asks_for() -> None:
    assert torch_source.pulls_cuda(
        _report("filelock", 'nvidia-cublas-cu12==12.8; platform_system == "Linux"')
    )
    assert torch_source.pulls_cuda(_report("triton==3.5"))


def test_a_cpu_build_asks_for_none_of_it() -> None:
    assert not torch_source.pulls_cuda(
        _report("filelock", "sympy", 'nvidia-ml-py; extra == "monitor"')
    )
    assert not torch_source.pulls_cuda('{"install": []}')


def test_candidates_are_there_and_named_once() -> None:
    found = torch_source.candidates([Path(sys.executable)])
    assert found[0] == Path(sys.executable)
    assert len(found) == len(set(found))
    assert all(path.exists() for path in found)
