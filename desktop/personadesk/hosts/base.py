"""What this computer and a machine reached by SSH both offer, so that a step need not know on which it works.

Paths are text: the machine may write them in another way than this one does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from personadesk.hosts.commands import Completed


class Forward(Protocol):
    """A loopback port here that leads to a loopback port there.

    Attributes:
        port: The port here; it stays the same as long as the forward is open.
    """

    port: int

    async def close(self) -> None:
        """Stop listening and end what runs through it."""


class Host(Protocol):
    """One machine that commands can be run on.

    Attributes:
        name: What the user calls it.
    """

    name: str

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
        """Run a program to its end.

        Args:
            argv: The program and its arguments; never a secret among them.
            limit_s: How long it may take; then it is ended with all that it started.
            on_line: Called on the loop's thread with each line, standard output and error together.
            stdin: What it reads; the way for secrets.
            env: Variables to set in addition to the session's own.
            cwd: Where it runs.

        Raises:
            CommandTimeout: The limit was reached.
            PersonaDeskError: The machine cannot be reached, or lets nothing be run.
        """

    async def script(
        self,
        text: str,
        *arguments: str,
        limit_s: float,
        on_line: Callable[[str], None] | None = None,
        stdin: bytes = b"",
    ) -> Completed:
        """Run a script of POSIX sh; its text is on no command line. Arguments and errors as for `run`."""

    async def home(self) -> str:
        """Return the user's home folder there."""

    async def read(self, path: str, *, most: int = 1 << 20) -> bytes:
        """Return a small file's content.

        Raises:
            FileNotFoundError: There is none.
            PersonaDeskError: It may not be read, is larger than `most`, or the machine cannot be reached.
        """

    async def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """Write a small file whole or not at all; its folder is made.

        Raises:
            PersonaDeskError: The disk is full, it may not be written, or the machine cannot be reached.
        """

    async def put(
        self, source: Path, path: str, *, on_bytes: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy a file there; goes on where an earlier attempt was cut off, and compares hashes at the end.

        Args:
            source: The file here.
            path: Its name there; its folder is made.
            on_bytes: Called with bytes done and bytes in all.

        Raises:
            PersonaDeskError: The disk is full, it may not be written, or the machine cannot be reached.
        """

    async def get(
        self, path: str, target: Path, *, on_bytes: Callable[[int, int], None] | None = None
    ) -> None:
        """Copy a file here. Errors as for `read`."""

    async def forward(self, port: int, *, local_port: int = 0) -> Forward:
        """Open a loopback port here that leads to a loopback port there.

        Args:
            port: The port there.
            local_port: The port here; 0 for a free one.

        Raises:
            OSError: The port here is taken.
        """
