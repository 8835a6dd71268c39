"""A machine reached by SSH, as a `Host`: commands, scripts, files and tunnels over one shared connection."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from personadesk.domain.errors import ProviderFault, Unreachable
from personadesk.domain.text import T
from personadesk.hosts.commands import KEPT_LINES, CommandTimeout, Completed
from personadesk.hosts.ssh import errors, framing
from personadesk.hosts.ssh.files import Files
from personadesk.hosts.ssh.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    import asyncssh

    from personadesk.hosts.ssh.connection import Link
    from personadesk.hosts.ssh.framing import Framed

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

MOST_AT_ONCE = 6
"""Daemons allow ten sessions on a connection unless told otherwise; the figures and a log need some too."""
HOME_SECONDS = 15.0
_END_SECONDS = 5.0
_TEXT = 500
"""How much of what a silent login said is kept for the details, in lines."""


class SshHost:
    """One machine.

    Attributes:
        name: What the user calls it.
        link: Its connection.
    """

    def __init__(self, name: str, link: Link) -> None:
        self.name = name
        self.link = link
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._files = Files(link, self)
        self._home = ""
        self._tunnels: list[Tunnel] = []

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
        framed = framing.program(argv, env, cwd)
        return await self._lines(framed, str(argv[0]), limit_s, on_line, stdin)

    async def script(
        self,
        text: str,
        *arguments: str,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes = b"",
    ) -> Completed:
        """Run a script of POSIX sh; see `Host.script`."""
        framed = framing.script(text, arguments)
        return await self._lines(framed, "sh", limit_s, on_line, stdin)

    async def capture(self, text: str, *arguments: str, limit_s: float, most: int) -> bytes:
        """Run a script and return what it wrote to standard output, as it is.

        Raises:
            CommandTimeout: The limit was reached.
            PersonaDeskError: It failed, wrote more than `most` bytes, or the machine cannot be reached.
        """
        framed = framing.script(text, arguments)
        content = bytearray()

        def take(chunk: bytes) -> None:
            content.extend(chunk)
            if len(content) > most + len(framed.mark) + 4096:
                msg = "it wrote more than was expected"
                raise errors.files(OSError(msg), self.name, arguments[0] if arguments else "")

        code = await self._exchange(framed, "sh", limit_s, take, b"", merged=False)
        head, found, body = bytes(content).partition(framed.mark.encode())
        body = body.partition(b"\n")[2]
        if not found:
            raise errors.no_commands(self.name, head.decode("utf-8", "replace"))
        if code != 0:
            raise errors.files(
                OSError(f"exit status {code}"), self.name, arguments[0] if arguments else ""
            )
        return body

    async def home(self) -> str:
        """Return the user's home folder there."""
        if not self._home:
            done = await self.script('printf "%s\\n" "${HOME:-$(cd && pwd)}"', limit_s=HOME_SECONDS)
            path = done.lines[-1] if done.lines else ""
            if not path.startswith("/"):
                raise errors.files(OSError("the user has no home folder"), self.name, "~")
            self._home = path
        return self._home

    async def read(self, path: str, *, most: int = 1 << 20) -> bytes:
        """Return a small file's content; see `Host.read`."""
        return await self._timed(self._files.read(path, most))

    async def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Write a small file whole or not at all; see `Host.write`."""
        await self._timed(self._files.write(path, data, mode))

    async def put(
        self, source: Path, path: str, *, on_bytes: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy a file there; see `Host.put`."""
        await self._timed(self._files.put(source, path, on_bytes))

    async def get(
        self, path: str, target: Path, *, on_bytes: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy a file here; see `Host.get`."""
        await self._timed(self._files.get(path, target, on_bytes))

    async def forward(self, port: int, *, local_port: int = 0) -> Tunnel:
        """Open a loopback port here that leads to one there; see `Host.forward`."""
        tunnel = await Tunnel(self.link, port).open(local_port)
        self._tunnels.append(tunnel)
        return tunnel

    async def close(self) -> None:
        """Close its tunnels and its connection."""
        for tunnel in self._tunnels:
            await tunnel.close()
        self._tunnels.clear()
        await self.link.close()

    async def _timed(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        try:
            return await work
        except CommandTimeout as error:
            raise Unreachable(
                T("{name} takes too long to answer.", name=self.name),
                T("Check the network and how busy the machine is, then try again."),
                cause="slow",
                details=str(error),
            ) from error

    async def _lines(
        self,
        framed: Framed,
        what: str,
        limit_s: float,
        on_line: Callable[[str], None] | None,
        stdin: bytes,
    ) -> Completed:
        splitter = framing.Lines()
        kept: deque[str] = deque(maxlen=KEPT_LINES)
        noise: deque[str] = deque(maxlen=_TEXT)
        begun = False

        def each(lines: list[str]) -> None:
            nonlocal begun
            for line in lines:
                if not begun:
                    begun = framing.group_in(line, framed.mark) is not None
                    if not begun:
                        noise.append(line)
                elif text := line.rstrip():
                    kept.append(text)
                    if on_line is not None:
                        on_line(text)

        code = await self._exchange(
            framed, what, limit_s, lambda chunk: each(splitter.feed(chunk)), stdin, merged=True
        )
        each(splitter.end())
        if not begun:
            raise errors.no_commands(self.name, "\n".join(noise))
        return Completed(code, tuple(kept))

    async def _exchange(
        self,
        framed: Framed,
        what: str,
        limit_s: float,
        take: Callable[[bytes], None],
        stdin: bytes,
        *,
        merged: bool,
    ) -> int:
        """Run what is framed, hand on what it writes, and return its exit status."""
        import asyncssh

        try:
            async with asyncio.timeout(limit_s), self._slots:
                connection, process = await self._begin(framed.line, merged)
                running = _Running(process, framed.mark)
                try:
                    return await self._converse(running, framed.script + stdin, take)
                except BaseException:
                    await self._end(connection, running)
                    raise
        except TimeoutError:
            if self.link.reason is not None:
                # Not the command was slow: there was no machine to run it on.
                raise self.link.reason from None
            raise CommandTimeout([what], limit_s) from None
        except (asyncssh.Error, OSError) as error:
            raise errors.lost(self.name, f"{type(error).__name__}: {error}") from error

    async def _begin(
        self, line: str, merged: bool
    ) -> tuple[asyncssh.SSHClientConnection, asyncssh.SSHClientProcess[bytes]]:
        import asyncssh

        second = False
        while True:
            connection = await self.link.live()
            try:
                process = await connection.create_process(
                    line, encoding=None, stderr=asyncssh.STDOUT if merged else asyncssh.DEVNULL
                )
            except asyncssh.ChannelOpenError as error:
                if connection is not self.link.connection and not second:
                    # It was broken without our knowing; nothing was begun there, so it may be asked again.
                    second = True
                    continue
                raise ProviderFault(
                    T("{name} opens no further session.", name=self.name),
                    T("Close other logins to it, then try again."),
                    cause="no_session",
                    details=str(error),
                ) from error
            return connection, process

    async def _converse(
        self,
        running: _Running,
        text: bytes,
        take: Callable[[bytes], None],
    ) -> int:
        process = running.process
        sender = asyncio.ensure_future(_feed(process, text))
        try:
            while chunk := await process.stdout.read(65536):
                running.look(chunk)
                take(chunk)
            await process.wait_closed()
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        if process.exit_status is None and process.exit_signal is None:
            # Neither status nor signal: it was not the command that ended, but the connection.
            raise errors.lost(self.name, "the connection broke while a command ran")
        if process.exit_signal is not None:
            return -1
        return int(process.exit_status or 0)

    async def _end(self, connection: asyncssh.SSHClientConnection, running: _Running) -> None:
        """End a command and all of its group there, kindly first; never waits long, and a cancel waits with it."""
        if connection is self.link.connection:
            ending = asyncio.ensure_future(_stop(connection, running))
            while not ending.done():
                try:
                    await asyncio.shield(ending)
                except asyncio.CancelledError:
                    continue
        running.process.close()


class _Running:
    """A command that runs, and its process group as soon as that is known."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], mark: str) -> None:
        self.process = process
        self.group: str | None = None
        self._mark = mark
        self._seen = b""

    def look(self, chunk: bytes) -> None:
        if self.group is not None:
            return
        self._seen = (self._seen + chunk)[-65536:]
        for line in self._seen.split(b"\n")[:-1]:
            self.group = self.group or framing.group_in(line.decode("latin-1"), self._mark)


async def _stop(connection: asyncssh.SSHClientConnection, running: _Running) -> None:
    """End a command's group, which may have begun a moment ago, so that it has not been read yet which one that is."""
    import asyncssh

    try:
        async with asyncio.timeout(_END_SECONDS):
            while running.group is None and (chunk := await running.process.stdout.read(65536)):
                running.look(chunk)
    except (asyncssh.Error, OSError, TimeoutError) as error:
        log.info("A command did not tell its group: %s", error)
    if running.group is not None:
        await _tell(connection, framing.script(framing.ENDING, [running.group]))


async def _tell(connection: asyncssh.SSHClientConnection, framed: Framed) -> None:
    import asyncssh

    try:
        async with asyncio.timeout(_END_SECONDS):
            await connection.run(
                framed.line, input=framed.script, encoding=None, stderr=asyncssh.DEVNULL
            )
    except (asyncssh.Error, OSError, TimeoutError) as error:
        # What cannot be ended now is at its end when it next writes into the closed channel.
        log.info("A command could not be ended: %s", error)


async def _feed(process: asyncssh.SSHClientProcess[bytes], text: bytes) -> None:
    import asyncssh

    try:
        for start in range(0, len(text), 1 << 17):
            process.stdin.write(text[start : start + (1 << 17)])
            await process.stdin.drain()
        process.stdin.write_eof()
    except (asyncssh.Error, OSError):
        # A command may end without reading all; how it ended is what counts.
        return
