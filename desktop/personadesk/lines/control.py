"""The socket by which a window sees and steers the process that serves the lines; open to its owner alone.

One JSON object a line, one answer to each. It carries what the database does not: calls and callers who wait, and the
wish that the process ends. Windows has no such sockets for this; there a window goes by the
database and the lock file, as terminal commands do.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import socket
import stat
import struct
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.lines.service import LineService
    from personadesk.store.paths import Folders

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.3
ANSWER_SECONDS = 3.0
LONGEST_PATH = 100
"""Systems take 104 to 108 bytes for a socket's path."""


def socket_path(folders: Folders) -> Path:
    """Return where the socket is: with the state, or in a folder of ours where that path is too long."""
    plain = folders.state / "lines.sock"
    if len(os.fsencode(plain)) < LONGEST_PATH:
        return plain
    mark = hashlib.sha256(os.fsencode(folders.state.absolute())).hexdigest()[:16]
    user = os.getuid() if sys.platform != "win32" else 0
    return Path(tempfile.gettempdir()) / f"personadesk-{user}-{mark}" / "lines.sock"


class Control:
    """Listens as long as this process serves the lines.

    Attributes:
        on_end: Called when the window wants this process to end; None where it may not be told so (a window).
    """

    def __init__(self, lines: LineService, path: Path) -> None:
        self._lines = lines
        self._path = path
        self._server: asyncio.Server | None = None
        self._made: tuple[int, int] | None = None
        self._task: asyncio.Task[None] | None = None
        self.on_end: Callable[[], None] | None = None

    def start(self) -> None:
        """Follow whether this process serves, until `stop`."""
        if self._task is None and sys.platform != "win32":
            self._task = asyncio.create_task(self._follow(), name="line control")

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._close()

    async def _follow(self) -> None:
        while True:
            if self._lines.serving and not self._is_there():
                await self._close()
                try:
                    await self._open()
                except OSError as error:
                    # The lines are served all the same; a window only cannot see their calls.
                    log.warning("No socket for a window: %s", error)
                    return
            elif not self._lines.serving:
                await self._close()
            await asyncio.sleep(LOOK_SECONDS)

    async def _open(self) -> None:
        # Some tenths of a millisecond: not worth a thread, in which a cancel would leave it behind.
        made = _bound(self._path)
        self._made = _mark(self._path)
        try:
            self._server = await asyncio.start_unix_server(self._connected, sock=made)
        except BaseException:
            made.close()
            raise

    async def _close(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        ours = self._is_at_path()
        server.close()
        # Who took over may have put a socket of its own there already.
        if ours:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def _is_there(self) -> bool:
        return self._server is not None and self._is_at_path()

    def _is_at_path(self) -> bool:
        return self._made is not None and _mark(self._path) == self._made

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not _is_ours(writer):
                return
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:
            log.info("A window was not understood: %s", error)
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        asked = json.loads(line)
        match asked.get("do"):
            case "state":
                return self._state()
            case "end" if self.on_end is not None:
                # After the answer, so that it arrives.
                asyncio.get_running_loop().call_later(0.05, self.on_end)
                return {"ok": True}
            case _:
                return {"ok": False}

    def _state(self) -> dict[str, Any]:
        lines = self._lines
        return {
            "ok": True,
            "pid": os.getpid(),
            "kind": lines.kind,
            "lines": {
                line.name: {
                    "calls": lines.calls_of(line.name),
                    "waiting": lines.waiting(line.name),
                    "held": lines.holds(line.name),
                }
                for line in lines.lines()
            },
        }


async def ask(path: Path, do: str) -> dict[str, Any] | None:
    """Ask the process that serves the lines; None when there is none, or it does not answer.

    Args:
        path: Its socket.
        do: `state` or `end`.
    """
    if sys.platform == "win32":
        return None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(json.dumps({"do": do}).encode() + b"\n")
                await writer.drain()
                answer = json.loads(await reader.readline() or b"{}")
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return None
    return answer if isinstance(answer, dict) and answer.get("ok") is True else None


def _bound(path: Path) -> socket.socket:
    """Return a socket that only its owner can open, in a folder that only its owner can enter."""
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if sys.platform != "win32" and (
        found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise PermissionError(f"{folder} is not this user's alone")
    with contextlib.suppress(FileNotFoundError):
        # We hold the lock, so a socket of that name was left by one that died.
        path.unlink()
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    path.chmod(0o600)
    return made


def _mark(path: Path) -> tuple[int, int] | None:
    """Return what tells one file from another of the same name, None where there is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """Whether it is this user's process at the other end; the folder's rights say so too."""
    if sys.platform != "linux":
        return True
    peer = writer.get_extra_info("socket")
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return bool(uid == os.getuid())
