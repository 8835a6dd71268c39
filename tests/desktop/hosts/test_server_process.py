from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from personadesk.domain.errors import HostUnfit, ProviderFault
from personadesk.hosts import health, local, server_process
from personadesk.hosts.server_process import ServerStatus, start, status, stop, tail

Command = Callable[..., tuple[str, ...]]


async def _until(found: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not await asyncio.to_thread(found):
        assert time.monotonic() < until, "it did not happen in time"
        await asyncio.sleep(0.03)


async def _answers(port: int) -> None:
    until = time.monotonic() + 20
    while await health.ask(f"http://127.0.0.1:{port}") is None:
        assert time.monotonic() < until
        await asyncio.sleep(0.03)


async def test_a_server_is_started_found_again_and_stopped(
    state_dir: Path, port: int, stand_in: Command
) -> None:
    assert status(state_dir) == ServerStatus(alive=False, state="absent")
    command = stand_in(state_dir, port)
    first = await start(state_dir, command)
    assert first.alive
    await _answers(port)
    # Starting what runs changes nothing.
    assert (await start(state_dir, command)).pid == first.pid
    await stop(state_dir)
    after = status(state_dir)
    assert (after.alive, after.state, after.pid) == (False, "stopped", None)
    assert await health.ask(f"http://127.0.0.1:{port}", limit_s=0.5) is None
    assert any("stand-in on" in line for line in tail(state_dir))
    await stop(state_dir)


async def test_a_server_that_dies_is_started_again(
    state_dir: Path, port: int, stand_in: Command
) -> None:
    await start(state_dir, stand_in(state_dir, port))
    await _answers(port)
    child = status(state_dir).child_pid
    assert child is not None
    os.kill(child, signal.SIGKILL)
    await _until(lambda: status(state_dir).restarts == 1 and status(state_dir).state == "running")
    await _answers(port)
    assert status(state_dir).child_pid != child
    assert "SIGKILL" in status(state_dir).reason


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the child with its supervisor")
async def test_a_killed_supervisor_is_told_from_a_running_one(
    state_dir: Path, port: int, stand_in: Command
) -> None:
    started = await start(state_dir, stand_in(state_dir, port))
    assert started.pid is not None
    os.kill(started.pid, signal.SIGKILL)
    await _until(lambda: not status(state_dir).alive)
    assert status(state_dir).state == "dead"
    # And it can be started again, as after a crash of the computer.
    assert (await start(state_dir, stand_in(state_dir, port))).alive


async def test_a_pid_that_another_program_got_is_not_our_server(
    state_dir: Path, port: int, stand_in: Command
) -> None:
    await start(state_dir, stand_in(state_dir, port))
    await stop(state_dir)
    record = json.loads((state_dir / "supervisor.json").read_text())
    # The record of a killed supervisor whose pid now belongs to this very test.
    record |= {"pid": os.getpid(), "state": "running"}
    (state_dir / "supervisor.json").write_text(json.dumps(record))
    assert not status(state_dir).alive
    assert status(state_dir).state == "dead"
    await stop(state_dir)  # and would have ended us


async def test_one_that_has_written_nothing_yet_is_found_by_its_command_line(
    state_dir: Path, port: int, stand_in: Command
) -> None:
    started = await start(state_dir, stand_in(state_dir, port))
    await _answers(port)
    # As if we had been killed between starting it and its first word.
    (state_dir / "supervisor.json").unlink()
    assert status(state_dir).state == "absent"
    await stop(state_dir)
    assert started.pid is not None
    await _until(lambda: not psutil.pid_exists(started.pid or 0))
    assert local.port_is_free(port)


async def test_a_crash_loop_is_given_up_with_its_last_words(
    state_dir: Path, stand_in: Command
) -> None:
    command = (sys.executable, "-c", "print('no memory left'); raise SystemExit(2)")
    await start(state_dir, command)
    await _until(lambda: status(state_dir).state == "given-up")
    assert "no memory left" in "\n".join(tail(state_dir))
    await _until(lambda: not status(state_dir).alive)


async def test_a_missing_environment_is_told_in_words(state_dir: Path) -> None:
    with pytest.raises(HostUnfit, match="could not be started") as caught:
        await start(state_dir, ("/nowhere/bin/python", "x"))
    assert caught.value.cause == "cannot_start"


async def test_a_supervisor_that_does_not_come_up_is_told_with_its_words(
    state_dir: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'libfoo is missing' >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(ProviderFault, match="did not come up") as caught:
        await start(state_dir, (str(broken), "x"))
    assert "libfoo is missing" in caught.value.details


async def test_logs_are_kept_when_the_folder_goes(
    state_dir: Path, port: int, stand_in: Command, tmp_path: Path
) -> None:
    await start(state_dir, stand_in(state_dir, port))
    await _answers(port)
    await stop(state_dir)
    await server_process.remove(state_dir, tmp_path / "kept")
    assert not state_dir.exists()
    assert "stand-in on" in (tmp_path / "kept" / "server.log").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="kills the POSIX way")
async def test_a_server_outlives_the_program_that_started_it(
    state_dir: Path, port: int, stand_in: Command
) -> None:
    code = (
        "import asyncio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from personadesk.hosts import server_process\n"
        "asyncio.run(server_process.start(Path(sys.argv[1]), tuple(sys.argv[2:])))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    words = [sys.executable, "-c", code, str(state_dir), *stand_in(state_dir, port)]
    done = await asyncio.to_thread(subprocess.run, words, check=False)
    assert done.returncode == -signal.SIGKILL
    await _answers(port)
    assert status(state_dir).alive
