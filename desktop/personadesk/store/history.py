"""The file that keeps figures and events: rows of packed numbers in four levels, each coarser and kept for longer.

A row holds all figures of one group (one source of one machine) at one moment, so that a thousand GPUs cost a few
hundred small writes a second and not tens of thousands. What the bytes mean, `monitor.history` knows.

    raw       float32 [series]       each sample
    others    float32 [series, 3]    lowest, mean and highest of a bucket
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from personadesk.domain.event import Event, EventKind
from personadesk.store.coding import text_from_json, text_to_json
from personadesk.store.database import Database
from personadesk.store.gaps import end_gaps, gaps_table, prune_gaps, read_gaps, write_gaps

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from personadesk.domain.gap import Gap

    _Result = TypeVar("_Result")
    Packed = list[tuple[int, bytes]]
    """Unix times in milliseconds and what was packed at each."""
    RollUp = Callable[["Level", Packed, int], Packed]
    """Makes rows of a level of rows of the finer one: (level, rows, number of series) to rows."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution.

    Attributes:
        table: Its table.
        step_s: Seconds of a bucket; 0 for samples as they came.
        keep_s: For how many seconds rows are kept.
    """

    table: str
    step_s: int
    keep_s: int


RAW = Level("raw", 0, 3600)
LEVELS: tuple[Level, ...] = (
    RAW,
    Level("by_10_s", 10, 86_400),
    Level("by_minute", 60, 7 * 86_400),
    Level("by_10_min", 600, 31 * 86_400),
)
SLACK = 1.02
"""Everything is kept a little longer, so that “the last day” is whole while it is being read."""
MOST_BYTES = 512 << 20
"""Of rows; where that is not enough, all levels are kept for a shorter time."""
EVENTS_KEPT = 10_000
_EVENT_SECONDS = 31 * 86_400
_SHORTER, _LONGER = 0.8, 1.1


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Whose figures a row holds.

    Attributes:
        host: The machine.
        source: Who measured.
        origin: Which of several of that source: a server's id; "" where there is one only.
    """

    host: str
    source: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What is to be written.

    Attributes:
        key: Whose figures.
        series: What each number is, in order.
        at_ms: Unix time in milliseconds.
        data: float32 [series], packed in this machine's order.
    """

    key: GroupKey
    series: tuple[str, ...]
    at_ms: int
    data: bytes


def first_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of figures and events."""
    connection.execute(
        "CREATE TABLE groups (id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, source TEXT NOT NULL, "
        "origin TEXT NOT NULL, series TEXT NOT NULL)"
    )
    for level in LEVELS:
        connection.execute(
            f"CREATE TABLE {level.table} (grp INTEGER NOT NULL, at INTEGER NOT NULL, data BLOB NOT NULL, "
            "PRIMARY KEY (grp, at)) WITHOUT ROWID"
        )
    connection.execute("CREATE TABLE rolled (level TEXT PRIMARY KEY, until INTEGER NOT NULL)")
    connection.execute(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, host TEXT NOT NULL, "
        "kind TEXT NOT NULL, text TEXT NOT NULL)"
    )
    connection.execute("CREATE INDEX events_by_time ON events (at)")


class HistoryStore:
    """Reads and writes figures and events; each method is one committed transaction on the file's own thread.

    Args:
        path: The file.
        most_bytes: How much it may hold.
    """

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._database = Database(path, (first_tables, gaps_table), each_commit_synced=False)
        self._most_bytes = most_bytes
        self._kept = 1.0
        self._groups: dict[int, tuple[GroupKey, tuple[str, ...]]] = {}
        self._ids: dict[tuple[GroupKey, tuple[str, ...]], int] = {}

    async def open(self) -> None:
        """Open or make the file.

        Raises:
            PersonaDeskError: It cannot be used.
        """
        await self._database.open()

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

    # -- writing ----------------------------------------------------------------------------------------------

    async def write(
        self, rows: Sequence[Row], events: Sequence[Event] = (), gaps: Sequence[Gap] = ()
    ) -> None:
        """Write samples, events and gaps down."""

        def work(connection: sqlite3.Connection) -> None:
            packed = [
                (self._id(connection, row.key, row.series), row.at_ms, row.data) for row in rows
            ]
            connection.executemany("INSERT OR REPLACE INTO raw VALUES (?, ?, ?)", packed)
            connection.executemany(
                "INSERT INTO events (at, host, kind, text) VALUES (?, ?, ?, ?)",
                [(each.at, each.host, each.kind, text_to_json(each.text)) for each in events],
            )
            write_gaps(connection, gaps)

        await self._run(work)

    async def end_gaps(self) -> None:
        """End gaps that a program left open which was killed."""
        await self._run(end_gaps)

    async def roll_up(self, until_ms: int, make: RollUp) -> None:
        """Make the coarser levels' rows of all whole buckets that ended by a time and were not made yet.

        Args:
            until_ms: Unix time in milliseconds; nothing older is still to come.
            make: Makes a level's rows of the finer one's.
        """

        def work(connection: sqlite3.Connection) -> None:
            self._load(connection)
            for finer, level in itertools.pairwise(LEVELS):
                self._roll_level(connection, finer, level, until_ms, make)

        await self._run(work)

    async def prune(self, now_ms: int) -> None:
        """Remove what is old, and keep the file within its size by keeping everything for a shorter time."""

        def work(connection: sqlite3.Connection) -> None:
            self._load(connection)
            self._fit(connection)
            rolled = self._rolled(connection)
            for number, level in enumerate(LEVELS):
                before = now_ms - int(level.keep_s * self._kept * SLACK) * 1000
                if number + 1 < len(LEVELS):
                    # What no coarser level has seen yet stays.
                    before = min(before, rolled.get(LEVELS[number + 1].table, 0))
                connection.executemany(
                    f"DELETE FROM {level.table} WHERE grp = ? AND at < ?",  # noqa: S608 - a constant
                    [(group, before) for group in self._groups],
                )
            self._drop_empty_groups(connection)
            connection.execute("DELETE FROM events WHERE at < ?", (now_ms / 1000 - _EVENT_SECONDS,))
            connection.execute(
                "DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - ?", (EVENTS_KEPT,)
            )
            prune_gaps(connection, now_ms / 1000 - _EVENT_SECONDS, EVENTS_KEPT)

        await self._run(work)

    # -- reading ----------------------------------------------------------------------------------------------

    async def read(
        self, keys: Iterable[GroupKey], series: str, level: Level, start_ms: int, end_ms: int
    ) -> tuple[int, Packed]:
        """Return a series' rows, oldest first, finer ones where the level has none yet.

        Args:
            keys: The groups that may hold it, the preferred one last.
            series: Its name.
            level: The finest level to read.
            start_ms: From this time on.
            end_ms: Until this time, not included.

        Returns:
            The number of the last row that is of a coarse level, and rows (time, bytes): float32 [3] up to that number,
            float32 [1] from there on.
        """
        wanted = tuple(keys)

        def work(connection: sqlite3.Connection) -> tuple[int, Packed]:
            self._load(connection)
            rolled = self._rolled(connection)
            coarse: Packed = []
            since = start_ms
            for each in reversed(LEVELS[1 : LEVELS.index(level) + 1]):
                until = min(end_ms, rolled.get(each.table, 0))
                if until > since:
                    coarse += self._rows(connection, wanted, series, each, since, until)
                    since = until
            fine = self._rows(connection, wanted, series, RAW, since, end_ms)
            return len(coarse), coarse + fine

        return await self._run(work)

    async def groups(self, host: str) -> dict[GroupKey, frozenset[str]]:
        """Return what is kept of a machine: its groups and all series that each ever had."""

        def work(connection: sqlite3.Connection) -> dict[GroupKey, frozenset[str]]:
            self._load(connection)
            found: dict[GroupKey, frozenset[str]] = {}
            for key, series in self._groups.values():
                if key.host == host:
                    found[key] = found.get(key, frozenset()) | frozenset(series)
            return found

        return await self._run(work)

    async def events(self, start: float, end: float, host: str | None = None) -> list[Event]:
        """Return what happened in a time (Unix seconds, the end not included), to one machine or to all."""

        def work(connection: sqlite3.Connection) -> list[Event]:
            rows = connection.execute(
                "SELECT at, host, kind, text FROM events WHERE at >= ? AND at < ? AND (? IS NULL OR host = ?) "
                "ORDER BY at",
                (start, end, host, host),
            )
            return [
                Event(at, where, EventKind(kind), text_from_json(text))
                for at, where, kind, text in rows
            ]

        return await self._run(work)

    async def gaps(self, start: float, end: float, host: str | None = None) -> list[Gap]:
        """Return times without figures that touch a time (Unix seconds, the end not included), with why."""
        return await self._run(lambda connection: read_gaps(connection, start, end, host))

    async def bytes_held(self) -> int:
        """Return how many bytes the file's rows take."""
        return await self._run(_bytes_held)

    # -- how it is done ---------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return await self._database.run(work)
        except BaseException:
            # A group that was made in a transaction that did not come about is not there.
            self._ids.clear()
            raise

    def _id(self, connection: sqlite3.Connection, key: GroupKey, series: tuple[str, ...]) -> int:
        if not self._ids:
            self._load(connection)
        known = self._ids.get((key, series))
        if known is None:
            done = connection.execute(
                "INSERT INTO groups (host, source, origin, series) VALUES (?, ?, ?, ?)",
                (key.host, key.source, key.origin, json.dumps(series)),
            )
            known = self._ids[key, series] = int(done.lastrowid or 0)
        return known

    def _load(self, connection: sqlite3.Connection) -> None:
        """Read the groups anew: another process may write them."""
        rows = connection.execute("SELECT id, host, source, origin, series FROM groups")
        known = self._groups
        self._groups = {
            number: known.get(number) or (GroupKey(host, source, origin), tuple(json.loads(series)))
            for number, host, source, origin, series in rows
        }
        self._ids = {group: number for number, group in self._groups.items()}

    @staticmethod
    def _rolled(connection: sqlite3.Connection) -> dict[str, int]:
        return dict(connection.execute("SELECT level, until FROM rolled"))

    def _roll_level(
        self,
        connection: sqlite3.Connection,
        finer: Level,
        level: Level,
        until_ms: int,
        make: RollUp,
    ) -> None:
        rolled = self._rolled(connection)
        step = level.step_s * 1000
        until = until_ms // step * step
        if finer is not RAW:
            until = min(until, rolled.get(finer.table, 0) // step * step)
        since = rolled.get(level.table, 0)
        if until <= since:
            return
        for group, (_, series) in self._groups.items():
            rows = connection.execute(
                f"SELECT at, data FROM {finer.table} WHERE grp = ? AND at >= ? AND at < ? ORDER BY at",  # noqa: S608 - a constant
                (group, since, until),
            ).fetchall()
            if rows:
                connection.executemany(
                    f"INSERT OR REPLACE INTO {level.table} VALUES ({group:d}, ?, ?)",  # noqa: S608 - a number of ours
                    make(level, rows, len(series)),
                )
        connection.execute("INSERT OR REPLACE INTO rolled VALUES (?, ?)", (level.table, until))

    def _rows(
        self,
        connection: sqlite3.Connection,
        keys: Sequence[GroupKey],
        series: str,
        level: Level,
        start_ms: int,
        end_ms: int,
    ) -> Packed:
        size = 4 if level is RAW else 12
        found: dict[int, bytes] = {}
        for key in keys:
            for group, (owner, names) in self._groups.items():
                if owner != key or series not in names:
                    continue
                found.update(
                    connection.execute(
                        f"SELECT at, substr(data, ?, ?) FROM {level.table} WHERE grp = ? AND at >= ? AND at < ?",  # noqa: S608 - a constant
                        (size * names.index(series) + 1, size, group, start_ms, end_ms),
                    )
                )
        return sorted(found.items())

    def _fit(self, connection: sqlite3.Connection) -> None:
        held = _bytes_held(connection)
        if held > self._most_bytes:
            self._kept *= _SHORTER
        elif held < self._most_bytes / 2:
            self._kept = min(1.0, self._kept * _LONGER)

    def _drop_empty_groups(self, connection: sqlite3.Connection) -> None:
        held = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {level.table} WHERE grp = groups.id)"  # noqa: S608 - constants
            for level in LEVELS
        )
        connection.execute(f"DELETE FROM groups WHERE {held}")  # noqa: S608 - constants
        self._load(connection)


def _bytes_held(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
