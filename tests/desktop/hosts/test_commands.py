from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from personadesk.hosts import commands

PYTHON = sys.executable


async def test_lines_come_as_they_are_printed_and_the_status_at_the_end() -> None:
    seen: list[str] = []
    code = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    done = await commands.run([PYTHON, "-c", code], limit_s=20, on_line=seen.append)
    assert done.code == 3
    assert sorted(seen) == ["one", "two"]
    assert sorted(done.lines) == ["one", "two"]


async def test_a_redrawn_progress_line_counts_as_lines() -> None:
    code = r"print('10 %\r50 %\r100 %', end='')"
    done = await commands.run([PYTHON, "-c", code], limit_s=20)
    assert done.lines == ("10 %", "50 %", "100 %")


async def test_bytes_that_are_no_text_do_no_harm() -> None:
    code = r"import sys; sys.stdout.buffer.write(b'caf\xff\n')"
    done = await commands.run([PYTHON, "-c", code], limit_s=20)
    assert done.lines == ("caf�",)


async def test_a_missing_program_is_told_by_its_status() -> None:
    done = await commands.run(["/nowhere/to/be/found"], limit_s=20)
    assert done.code != 0
    assert "No such file" in done.text


async def test_a_command_over_its_limit_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(commands.CommandTimeout, match=r"longer than 0\.3 s"):
        await commands.run([PYTHON, "-c", "import time; time.sleep(60)"], limit_s=0.3)
    assert time.monotonic() - began < 15


async def test_a_cancel_ends_the_command_and_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.replace({str(pids)!r} + '.new', {str(pids)!r})\n"
        "time.sleep(60)\n"
    )
    running = asyncio.create_task(commands.run([PYTHON, "-c", code], limit_s=60))
    while not pids.exists():
        await asyncio.sleep(0.02)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    _until(lambda: not any(map(_lives, map(int, pids.read_text().split()))))


@pytest.mark.skipif(sys.platform == "win32", reason="kills the POSIX way")
def test_a_killed_caller_takes_its_command_along(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    inner = (
        f"import os, time; open({str(pid_file)!r} + '.new', 'w').write(str(os.getpid())); "
        f"os.replace({str(pid_file)!r} + '.new', {str(pid_file)!r}); time.sleep(60)"
    )
    outer = (
        "import asyncio, sys\n"
        "from personadesk.hosts import commands\n"
        f"asyncio.run(commands.run([sys.executable, '-c', {inner!r}], limit_s=60))\n"
    )
    with subprocess.Popen([PYTHON, "-c", outer]) as caller:
        _until(pid_file.exists)
        pid = int(pid_file.read_text())
        assert _lives(pid)
        caller.send_signal(signal.SIGKILL)
        caller.wait()
    _until(lambda: not _lives(pid))


async def test_our_own_python_settings_do_not_reach_another_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("LEFT", "alone")
    code = "import os; print(os.environ.get('PYTHONPATH'), os.environ.get('LEFT'), os.environ.get('NEW'))"
    done = await commands.run([PYTHON, "-c", code], limit_s=20, env={"NEW": "1", "LEFT": ""})
    assert done.lines == ("None None 1",)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _until(happened: object, seconds: float = 20) -> None:
    assert callable(happened)
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
