"""Files on a machine reached by SSH: SFTP, or plain commands where a machine offers none.

A copy goes to `NAME.part` first, goes on from there after a cut, and gets its name only when the hashes agree.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from personadesk.domain.errors import PersonaDeskError, ProviderFault, Unreachable
from personadesk.domain.text import T
from personadesk.hosts.ssh import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import asyncssh

    from personadesk.hosts.commands import Completed
    from personadesk.hosts.ssh.connection import Link

CHUNK = 1 << 20
BLOCK = 1 << 15
"""The largest write that every SFTP server takes."""
SMALL_SECONDS = 30.0
CHUNK_SECONDS = 60.0
"""For one chunk; a line that is slower than 17 kB/s is of no use for a voice."""


class Runner(Protocol):
    """What files need of their host."""

    name: str

    async def script(
        self,
        text: str,
        *arguments: str,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes = b"",
    ) -> Completed:
        """Run a script of POSIX sh."""

    async def capture(self, text: str, *arguments: str, limit_s: float, most: int) -> bytes:
        """Run a script and return what it wrote to standard output, as it is."""


class Files:
    """Reads and writes files there."""

    def __init__(self, link: Link, runner: Runner) -> None:
        self._link = link
        self._runner = runner
        self._without_sftp: object = None

    async def read(self, path: str, most: int) -> bytes:
        """Return a small file's content.

        Raises:
            FileNotFoundError: There is none.
            PersonaDeskError: It may not be read or is too large.
        """
        found = await self._runner.script(
            'if [ -e "$1" ]; then [ -r "$1" ] || exit 5; wc -c < "$1"; else exit 4; fi',
            path, limit_s=SMALL_SECONDS,
        )  # fmt: skip
        if found.code == 4:
            raise FileNotFoundError(path)
        size = found.lines[-1].strip() if found.lines else ""
        if found.code != 0 or not size.isdigit():
            raise errors.files(PermissionError("it may not be read"), self._runner.name, path)
        if int(size) > most:
            raise errors.files(
                ValueError(f"it is larger than {most} bytes"), self._runner.name, path
            )
        return await self._runner.capture('cat < "$1"', path, limit_s=SMALL_SECONDS, most=most + 1)

    async def write(self, path: str, data: bytes, mode: int) -> None:
        """Write a small file whole or not at all; its folder is made."""
        fresh = f"{path}.{secrets.token_hex(4)}.new"
        done = await self._runner.script(
            'umask 077; mkdir -p "$(dirname "$1")" && '
            '{ cat > "$2" && [ "$(wc -c < "$2")" -eq "$4" ] && chmod "$3" "$2" && mv -f "$2" "$1"; } '
            '|| { rm -f "$2"; exit 1; }',
            path, fresh, f"{mode:o}", str(len(data)), limit_s=SMALL_SECONDS, stdin=data,
        )  # fmt: skip
        if done.code != 0:
            raise errors.files(OSError(_said(done)), self._runner.name, path)

    async def put(
        self, source: Path, path: str, on_bytes: Callable[[int, int], None] | None
    ) -> None:
        """Copy a file there."""
        size = (await asyncio.to_thread(source.stat)).st_size
        digest = await asyncio.to_thread(_sha256, source)
        part = f"{path}.part"
        begin = await self._runner.script(
            'mkdir -p "$(dirname "$1")" || exit 1\n'
            'if [ -f "$1" ] && [ "$(wc -c < "$1")" -eq "$3" ]; then echo "there $(sha256sum < "$1")"; fi\n'
            'if [ -f "$2" ]; then echo "part $(wc -c < "$2")"; fi',
            path, part, str(size), limit_s=_hash_seconds(size),
        )  # fmt: skip
        if begin.code != 0:
            raise errors.files(OSError(_said(begin)), self._runner.name, path)
        said = dict(line.split(None, 1) for line in begin.lines if line.count(" "))
        if said.get("there", "").startswith(digest):
            if on_bytes is not None:
                on_bytes(size, size)
            return
        done = int(said.get("part", "0").split()[0])
        if done > size:
            done = 0
        await self._send(source, part, done, size, on_bytes)
        end = await self._runner.script(
            'case "$(sha256sum < "$2")" in "$3"*) mv -f "$2" "$1";; *) rm -f "$2"; exit 3;; esac',
            path, part, digest, limit_s=_hash_seconds(size),
        )  # fmt: skip
        if end.code == 3:
            raise ProviderFault(
                T("The copy of {file} on {name} is not what was sent.", file=source.name, name=self._runner.name),
                T("Try again; it is then copied from the beginning."),
                cause="copy_damaged",
            )  # fmt: skip
        if end.code != 0:
            raise errors.files(OSError(_said(end)), self._runner.name, path)

    async def get(
        self, path: str, target: Path, on_bytes: Callable[[int, int], None] | None
    ) -> None:
        """Copy a file here."""
        found = await self._runner.script(
            '[ -f "$1" ] || exit 4; [ -r "$1" ] || exit 5; echo "$(wc -c < "$1") $(sha256sum < "$1")"',
            path, limit_s=SMALL_SECONDS * 20,
        )  # fmt: skip
        if found.code == 4:
            raise FileNotFoundError(path)
        if found.code != 0 or not found.lines:
            raise errors.files(PermissionError(_said(found)), self._runner.name, path)
        total, digest = found.lines[-1].split()[:2]
        part = target.with_name(f"{target.name}.part")
        await asyncio.to_thread(part.unlink, True)
        done = 0
        with part.open("wb") as file:
            while done < int(total):
                data = await self._fetch(path, done)
                if not data:
                    break
                await asyncio.to_thread(file.write, data)
                done += len(data)
                if on_bytes is not None:
                    on_bytes(done, int(total))
        if await asyncio.to_thread(_sha256, part) != digest:
            await asyncio.to_thread(part.unlink)
            raise ProviderFault(
                T("The copy of {file} is not what {name} has.", file=PurePosixPath(path).name, name=self._runner.name),
                T("Try again."),
                cause="copy_damaged",
            )  # fmt: skip
        await asyncio.to_thread(part.replace, target)

    async def _send(
        self,
        source: Path,
        part: str,
        done: int,
        size: int,
        on_bytes: Callable[[int, int], None] | None,
    ) -> None:
        import asyncssh

        async with self._client() as sftp:
            remote = None
            try:
                if sftp is not None:
                    remote = await sftp.open(part, "r+b" if done else "wb", encoding=None)
                elif not size:
                    await self._append(part, b"", 0)
                with source.open("rb") as file:
                    file.seek(done)
                    while chunk := await asyncio.to_thread(file.read, CHUNK):
                        async with asyncio.timeout(CHUNK_SECONDS):
                            if remote is not None:
                                await _write(remote, chunk, done)
                            else:
                                await self._append(part, chunk, done)
                        done += len(chunk)
                        if on_bytes is not None:
                            on_bytes(done, size)
            except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
                raise errors.lost(self._runner.name, str(error)) from error
            except asyncssh.SFTPError as error:
                raise errors.files(error, self._runner.name, part) from error
            except TimeoutError as error:
                raise _slow(self._runner.name) from error
            except (asyncssh.Error, OSError) as error:
                raise errors.lost(self._runner.name, str(error)) from error
            finally:
                if remote is not None:
                    await _closed(remote)

    async def _append(self, part: str, chunk: bytes, at: int) -> None:
        # A chunk that an interrupted attempt wrote already must not stand twice; then the copy begins anew.
        done = await self._runner.script(
            '[ "$(wc -c < "$1")" -le "$2" ] || exit 3; cat >> "$1"' if at else 'cat > "$1"',
            part, str(at), limit_s=CHUNK_SECONDS, stdin=chunk,
        )  # fmt: skip
        if done.code != 0:
            raise errors.files(OSError(_said(done)), self._runner.name, part)

    async def _fetch(self, path: str, at: int) -> bytes:
        return await self._runner.capture(
            f'tail -c +"$2" < "$1" | head -c {4 * CHUNK}', path, str(at + 1),
            limit_s=CHUNK_SECONDS, most=4 * CHUNK,
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[asyncssh.SFTPClient | None]:
        """Open an SFTP session for one copy, or give None where the machine has no SFTP."""
        import asyncssh

        connection = await self._link.live()
        sftp = None
        if self._without_sftp is not connection:
            try:
                async with asyncio.timeout(10.0):
                    sftp = await connection.start_sftp_client()
            except (asyncssh.SFTPError, asyncssh.ChannelOpenError, TimeoutError):
                # No subsystem, or a start-up file that talks into the protocol.
                self._without_sftp = connection
            except (asyncssh.Error, OSError) as error:
                raise errors.lost(self._runner.name, str(error)) from error
        try:
            yield sftp
        finally:
            if sftp is not None:
                sftp.exit()
                with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
                    async with asyncio.timeout(5.0):
                        await sftp.wait_closed()


async def _write(remote: asyncssh.SFTPClientFile, chunk: bytes, at: int) -> None:
    """Write a chunk as many requests at once; all have ended when this returns or raises."""
    ends = await asyncio.gather(
        *(
            remote.write(chunk[start : start + BLOCK], at + start)
            for start in range(0, len(chunk), BLOCK)
        ),
        return_exceptions=True,
    )
    for each in ends:
        if isinstance(each, BaseException):
            raise each


async def _closed(remote: asyncssh.SFTPClientFile) -> None:
    import asyncssh

    try:
        async with asyncio.timeout(5.0):
            await remote.close()
    except (asyncssh.Error, OSError, TimeoutError):
        # What was written is judged by its hash, not by how the file was closed.
        return


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash_seconds(size: int) -> float:
    return SMALL_SECONDS + size / 50e6


def _said(done: Completed) -> str:
    return done.lines[-1] if done.lines else f"exit status {done.code}"


def _slow(name: str) -> PersonaDeskError:
    return Unreachable(
        T("The copy to {name} does not move on.", name=name),
        T("Check the network, then try again: it goes on where it stopped."),
        cause="copy_stalled",
    )
