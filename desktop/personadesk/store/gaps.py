"""The table of times in which a source told nothing, in the file of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.gap import Gap
from personadesk.store.coding import text_from_json, text_to_json

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


def gaps_table(connection: sqlite3.Connection) -> None:
    """Keep why figures were missing."""
    connection.execute(
        "CREATE TABLE gaps (host TEXT NOT NULL, source TEXT NOT NULL, origin TEXT NOT NULL, figures TEXT NOT NULL, "
        '"start" REAL NOT NULL, "end" REAL, reason TEXT NOT NULL, '
        'PRIMARY KEY (host, source, origin, figures, "start")) WITHOUT ROWID'
    )


def write_gaps(connection: sqlite3.Connection, gaps: Iterable[Gap]) -> None:
    """Write gaps down; one that is known gets its end."""
    connection.executemany(
        "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (g.host, g.source, g.origin, g.figures, g.start, g.end, text_to_json(g.reason))
            for g in gaps
        ],
    )


def end_gaps(connection: sqlite3.Connection) -> None:
    """End gaps that a program left open which was killed: with the last sample that it wrote."""
    connection.execute(
        'UPDATE gaps SET "end" = MAX("start", COALESCE((SELECT MAX(at) / 1000.0 FROM raw), 0)) '
        'WHERE "end" IS NULL'
    )


def read_gaps(
    connection: sqlite3.Connection, start: float, end: float, host: str | None
) -> list[Gap]:
    """Return gaps that touch a time (Unix seconds, the end not included), oldest first."""
    rows = connection.execute(
        'SELECT "start", "end", host, source, origin, figures, reason FROM gaps '
        'WHERE "start" < ? AND ("end" IS NULL OR "end" > ?) AND (? IS NULL OR host = ?) ORDER BY "start"',
        (end, start, host, host),
    )
    return [
        Gap(since, until, where, source, origin, figures, text_from_json(reason))
        for since, until, where, source, origin, figures, reason in rows
    ]


def prune_gaps(connection: sqlite3.Connection, before: float, most: int) -> None:
    """Remove gaps that ended before a Unix time, and the oldest of more than so many."""
    connection.execute('DELETE FROM gaps WHERE "end" < ?', (before,))
    connection.execute(
        'DELETE FROM gaps WHERE "start" < (SELECT "start" FROM gaps ORDER BY "start" DESC LIMIT 1 OFFSET ?)',
        (most,),
    )
