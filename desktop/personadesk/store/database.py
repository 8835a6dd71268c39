"""The one SQLite file, and the one thread that touches it.

Nothing here waits on the event loop: work is a function that gets the connection inside a transaction of its own.
A file that cannot be read is set aside, never overwritten; what went wrong is said in a sentence.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from personadesk.domain.errors import BadRequest, HostUnfit, PersonaDeskError, Unreachable
from personadesk.domain.text import T, Text
from personadesk.store.migrations import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    _Result = TypeVar("_Result")
    Migrations = Sequence[Callable[[sqlite3.Connection], None]]

log = logging.getLogger(__name__)

BUSY_SECONDS = 5.0
"""How long a write waits for another PersonaDesk's write; they take milliseconds."""

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNWRITABLE = {
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR,
}  # fmt: skip


class Database:
    """An open database.

    Attributes:
        path: The file.
        notices: What a person should know about the opening, for example that a broken file was set aside.
    """

    def __init__(
        self, path: Path, migrations: Migrations = MIGRATIONS, *, each_commit_synced: bool = True
    ) -> None:
        """Take the file's place; nothing is opened yet.

        Args:
            path: The file.
            migrations: How its tables came to be, a function a version.
            each_commit_synced: Whether a commit waits for the disk. Without it, the last ones may be lost when the
                power fails, but not when the program dies, and the file is whole in any case.
        """
        self.path = path
        self._migrations = migrations
        self._synchronous = "FULL" if each_commit_synced else "NORMAL"
        self.notices: tuple[Text, ...] = ()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> Database:
        """Open or make the file and bring its tables up to date.

        Raises:
            HostUnfit: The disk is full or the folder cannot be written.
            Unreachable: Another program holds the file.
            BadRequest: A newer PersonaDesk made it.
        """
        try:
            await self._submit(self._open)
        except BaseException:
            self._executor.shutdown(wait=False)
            raise
        return self

    async def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `work` in one transaction on the writer thread; committed when this returns.

        Raises:
            PersonaDeskError: The environment's fault (full, locked, read-only, damaged), in words.
        """
        return await self._submit(lambda: self._transact(work))

    async def data_version(self) -> int:
        """Return a number that changes when another process has changed the file."""
        return await self._submit(
            lambda: int(self._live.execute("PRAGMA data_version").fetchone()[0])
        )

    async def close(self) -> None:
        """Close the file; waits for writes that are under way. Harmless when it is closed."""
        if self._connection is None:
            return
        await self._submit(self._close)
        self._executor.shutdown(wait=True)

    async def _submit(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.wrap_future(self._executor.submit(self._told, work))

    def _told(self, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except sqlite3.Error as error:
            known = self._in_words(error)
            if known is None:
                raise
            raise known from error

    @property
    def _live(self) -> sqlite3.Connection:
        if self._connection is None:
            msg = "The database is not open."
            raise RuntimeError(msg)
        return self._connection

    def _transact(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        connection = self._live
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unwritable(self.path, str(error)) from error
        try:
            self._connection = self._connect()
        except sqlite3.DatabaseError as error:
            if _code(error) not in _CORRUPT:
                raise
            aside = self._set_aside()
            log.warning("The database could not be read and was set aside as %s: %s", aside, error)
            self.notices = (
                T(
                    "PersonaDesk's records could not be read. They were kept as {file}, and new ones were begun.",
                    file=aside.name,
                ),
            )
            self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A journal is small and comes before what it speaks of, so each of its commits reaches the disk.
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA foreign_keys = ON")
            _check(connection)
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            self._refuse_newer(version)
            for number, step in enumerate(self._migrations[version:], version + 1):
                log.info("Database version %d: %s", number, step.__doc__)
                step(connection)
            connection.execute(f"PRAGMA user_version = {len(self._migrations):d}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _refuse_newer(self, version: int) -> None:
        if version > len(self._migrations):
            raise BadRequest(
                T("PersonaDesk's records were made by a newer version of PersonaDesk."),
                T("Start the newer version, or set PERSONADESK_HOME to another folder."),
                cause="newer_records",
                details=f"{self.path}: version {version}, this program knows {len(self._migrations)}",
            )

    def _set_aside(self) -> Path:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for number in range(1000):
            tail = f".bak-{stamp}" + (f"-{number}" if number else "")
            aside = self.path.with_name(self.path.name + tail)
            if not aside.exists():
                break
        self.path.replace(aside)
        for suffix in ("-wal", "-shm"):
            beside = self.path.with_name(self.path.name + suffix)
            if beside.exists():
                beside.replace(aside.with_name(aside.name + suffix))
        return aside

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _in_words(self, error: sqlite3.Error) -> PersonaDeskError | None:
        code = _code(error)
        details = f"{self.path}: {error}"
        if code == sqlite3.SQLITE_FULL:
            return HostUnfit(
                T("The disk is full; PersonaDesk cannot write down what it does."),
                T("Free some space, then try again."),
                cause="disk_full",
                details=details,
            )
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return Unreachable(
                T("Another program holds PersonaDesk's records."),
                T("Close the other PersonaDesk or backup program, then try again."),
                cause="locked",
                details=details,
            )
        if code in _UNWRITABLE:
            return _unwritable(self.path, str(error))
        if code in _CORRUPT:
            return HostUnfit(
                T("PersonaDesk's records are damaged."),
                T("Start PersonaDesk again: it keeps the damaged file and begins a new one."),
                cause="corrupt",
                details=details,
            )
        return None


def _check(connection: sqlite3.Connection) -> None:
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        error = sqlite3.DatabaseError(problem)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _code(error: sqlite3.Error) -> int:
    """The primary result code; extended codes carry it in their low byte."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _unwritable(path: Path, details: str) -> HostUnfit:
    return HostUnfit(
        T("PersonaDesk cannot write in the folder {folder}.", folder=str(path.parent)),
        T("Make the folder writable, or set PERSONADESK_HOME to another one."),
        cause="not_writable",
        details=f"{path}: {details}",
    )
