from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from personadesk.hosts import local


def _fake_smi(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


async def test_this_computer_is_described() -> None:
    computer = await local.look()
    assert computer.cores >= 1
    assert 0 < computer.memory_free_bytes <= computer.memory_bytes
    assert computer.python.startswith("3.")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in")
async def test_gpus_are_read_from_the_driver_s_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_smi(tmp_path, "echo 'NVIDIA H100 80GB HBM3, 81559'; echo 'NVIDIA GB10, [N/A]'")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    computer = await local.look()
    assert computer.gpus == (
        local.Gpu("NVIDIA H100 80GB HBM3", 81559 * 1024 * 1024),
        local.Gpu("NVIDIA GB10", None),
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in")
async def test_a_broken_driver_is_no_gpu_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_smi(tmp_path, "echo 'Driver/library version mismatch'; exit 18")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    computer = await local.look()
    assert computer.gpus == ()
    assert "mismatch" in computer.gpu_reason


def test_the_free_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert local.free_bytes(tmp_path / "a" / "b") > 0


def test_a_taken_port_is_told_with_who_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not local.port_is_free(port)
        error = local.port_taken(port)
        assert error.cause == "port_taken"
        if sys.platform == "linux":
            assert f"(pid {os.getpid()})" in str(error.what)
    assert local.port_is_free(port)
    assert local.port_owner(port) == ""
    assert "another program" in str(local.port_taken(port).what)


def test_a_picked_port_is_free() -> None:
    assert local.port_is_free(local.pick_port())
