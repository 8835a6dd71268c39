"""This computer as a `Host`, so that what works on another machine works here with the same words (Linux and macOS)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import HostUnfit, ProviderFault
from personadesk.domain.text import T
from personadesk.hosts import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from personadesk.hosts.base import Host
    from personadesk.hosts.commands import Completed

_FED = 'exec < "$1"; shift; exec "$@"'
_FED_SCRIPT = 'script=$1; exec < "$2"; shift 2; . "$script"'
_CHUNK = 1 << 20


def this_computer() -> Host:
    """Return this computer as a host."""
    return ThisComputer()


class SamePort:
    """A forward that leads nowhere: here is there.

    Attributes:
        port: The port.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    async def close(self) -> None:
        """Nothing is open."""


class ThisComputer:
    """This computer.

    Attributes:
        name: How it is called in sentences.
    """

    def __init__(self, name: str = "this computer") -> None:
        self.name = name

    async def run(
        self,
        argv: Sequence[str],
        *,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Completed:
        """Run a program to its end; see `Host.run`."""
        folder = Path(cwd) if cwd else None
        if not stdin:
            return await commands.run(argv, limit_s=limit_s, on_line=on_line, env=env, cwd=folder)
        with tempfile.TemporaryDirectory(prefix="personadesk-") as scratch:
            fed = Path(scratch) / "input"
            await asyncio.to_thread(_write, fed, stdin, 0o600)
            return await commands.run(
                ["/bin/sh", "-c", _FED, "sh", str(fed), *argv],
                limit_s=limit_s, on_line=on_line, env=env, cwd=folder,
            )  # fmt: skip

    async def script(
        self,
        text: str,
        *arguments: str,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes = b"",
    ) -> Completed:
        """Run a script of POSIX sh; see `Host.script`."""
        with tempfile.TemporaryDirectory(prefix="personadesk-") as scratch:
            script, fed = Path(scratch) / "script", Path(scratch) / "input"
            await asyncio.to_thread(_write, script, text.encode(), 0o600)
            await asyncio.to_thread(_write, fed, stdin, 0o600)
            return await commands.run(
                ["/bin/sh", "-c", _FED_SCRIPT, "sh", str(script), str(fed), *arguments],
                limit_s=limit_s, on_line=on_line,
            )  # fmt: skip

    async def home(self) -> str:
        """Return the user's home folder."""
        return os.environ.get("HOME") or str(Path.home())

    async def read(self, path: str, *, most: int = 1 << 20) -> bytes:
        """Return a small file's content; see `Host.read`."""
        try:
            data = await asyncio.to_thread(_read, Path(path), most)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._unusable(path, error) from error
        if len(data) > most:
            raise self._unusable(path, OSError(errno.EFBIG, f"it is larger than {most} bytes"))
        return data

    async def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Write a small file whole or not at all; see `Host.write`."""
        try:
            await asyncio.to_thread(_write, Path(path), data, mode)
        except OSError as error:
            raise self._unusable(path, error) from error

    async def put(
        self, source: Path, path: str, *, on_bytes: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy a file; see `Host.put`."""
        await self._copy(source, Path(path), on_bytes)

    async def get(
        self, path: str, target: Path, *, on_bytes: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy a file; see `Host.get`."""
        await self._copy(Path(path), target, on_bytes)

    async def forward(self, port: int, *, local_port: int = 0) -> SamePort:
        """Return the port itself; see `Host.forward`.

        Raises:
            OSError: Another port was asked for, which nothing here leads from.
        """
        if local_port not in {0, port}:
            raise OSError(errno.EINVAL, f"port {local_port} does not lead to port {port} here")
        return SamePort(port)

    async def _copy(
        self, source: Path, target: Path, on_bytes: Callable[[int, int], None] | None
    ) -> None:
        try:
            size = await asyncio.to_thread(_copy, source, target)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._unusable(str(target), error) from error
        if size is None:
            raise ProviderFault(
                T("The copy of {file} is not what was copied.", file=source.name),
                T("Try again; if it stays so, look at the disk."),
                cause="copy_damaged",
            )
        if on_bytes is not None:
            on_bytes(size, size)

    def _unusable(self, path: str, error: OSError) -> HostUnfit:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return HostUnfit(
                T("The disk of {name} is full.", name=self.name),
                T("Free some space there, then try again."),
                cause="disk_full",
                details=f"{path}: {error}",
            )
        reason = error.strerror or str(error)
        return HostUnfit(
            T("{path} on {name} could not be used: {reason}", path=path, name=self.name, reason=reason),
            T("Mend it there, or choose another folder."),
            cause="files",
            details=str(error),
        )  # fmt: skip


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        Path(fresh).chmod(mode)
        Path(fresh).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(fresh).unlink()
        raise


def _copy(source: Path, target: Path) -> int | None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    if _sha256(part) != _sha256(source):
        part.unlink()
        return None
    part.replace(target)
    return target.stat().st_size


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
