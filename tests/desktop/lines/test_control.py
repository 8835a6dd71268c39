"""A window and a `personadesk line serve` beside it: two real processes, one of which serves the lines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from personadesk.domain.line import Line, LineState
from personadesk.hosts import local
from personadesk.lines import control
from personadesk.store import paths
from personadesk.store.instance import lines_lock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such sockets there")


@pytest.fixture
def open_window(opener: Any) -> Any:
    """Opens the services of a window; no deploys are made here."""
    return opener(make_steps=lambda places: (), kind="window")


@asynccontextmanager
async def background() -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `personadesk line serve` as its user does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "personadesk", "line", "serve",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        await asyncio.wait_for(process.stderr.readline(), 30)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.05)


async def state() -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            told = await control.ask(control.socket_path(paths.folders()), "state")
            if told is not None:
                return told
            await asyncio.sleep(0.05)


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


async def test_a_window_sees_and_steers_the_lines_of_another_process_and_takes_over_when_it_is_killed(
    open_window: Any, voice: Any
) -> None:
    async with background() as other, voice(echo) as there:
        window = await open_window()
        assert (await state())["pid"] == other.pid
        assert not window.lines.serving
        # What the window makes, the other one serves: one gateway on the port.
        line = Line("a", local.pick_port(), there.target, LineState.UP, time.time())
        await window.lines.put(line)
        async with connect(line.url) as call:
            await call.send(b"\x01a")
            assert await call.recv() == b"\x01a"
            told = (await state())["lines"]["a"]
            assert told == {"calls": 1, "waiting": 0, "held": False}
            assert window.lines.calls == 0
        other.kill()
        await until(lambda: window.lines.serving)
        assert (await state())["pid"] == os.getpid()
        async with connect(line.url) as call:
            await call.send(b"\x01b")
            assert await call.recv() == b"\x01b"
            assert window.lines.calls == 1


async def test_a_window_ends_the_other_process_and_is_not_ended_itself(open_window: Any) -> None:
    async with background() as other:
        window = await open_window()
        path = control.socket_path(window.folders)
        await state()
        assert await control.ask(path, "end") == {"ok": True}
        assert await asyncio.wait_for(other.wait(), 20) == 0
        await until(lambda: window.lines.serving)
        assert (await state())["kind"] == "window"
        assert await control.ask(path, "end") is None
        # One that starts now waits for its turn.
        async with background() as late:
            holder = lines_lock(window.folders).holder()
            assert holder is not None
            assert holder["pid"] == os.getpid()
            assert late.returncode is None


async def test_the_socket_is_its_owners_alone(open_window: Any) -> None:
    window = await open_window()
    await state()
    path = control.socket_path(window.folders)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as raw:
        raw.connect(str(path))
        raw.sendall(b"nonsense\n")
        assert await asyncio.to_thread(raw.recv, 100) == b""
    await window.close()
    assert not path.exists()
    assert await control.ask(path, "state") is None


def test_a_folder_that_others_may_enter_holds_no_socket(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with pytest.raises(PermissionError):
        control._bound(folder / "lines.sock")


def test_a_path_that_is_too_long_for_a_socket_is_another_one(tmp_path: Path) -> None:
    deep = paths.Folders(*[tmp_path / ("x" * 120)] * 4)
    other = paths.Folders(*[tmp_path / ("y" * 120)] * 4)
    assert len(os.fsencode(control.socket_path(deep))) < control.LONGEST_PATH
    assert control.socket_path(deep) != control.socket_path(other)


class Holder:
    """Serves the lines, of which there are none."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.serving = True

    def lines(self) -> tuple[Line, ...]:
        return ()


async def test_who_gives_the_lines_away_leaves_the_next_one_s_socket_alone(tmp_path: Path) -> None:
    folder = tmp_path / "owner"
    folder.mkdir(mode=0o700)
    path = folder / "lines.sock"
    before, after = Holder("window"), Holder("background")
    old, new = control.Control(before, path), control.Control(after, path)  # type: ignore[arg-type]
    old.start()
    await until(path.exists)
    before.serving = False
    new.start()
    # By now the old one has seen that it serves no more.
    await asyncio.sleep(2 * control.LOOK_SECONDS)
    assert (await control.ask(path, "state") or {})["kind"] == "background"
    await old.stop()
    # A socket that was taken away is put there again.
    path.unlink()
    await until(path.exists)
    assert (await control.ask(path, "state") or {})["kind"] == "background"
    await new.stop()
    assert not path.exists()
