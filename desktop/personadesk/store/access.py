"""Which lines are reached from other computers, and how; their tokens are in the keyring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from personadesk.domain.access import Access

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database


class AccessStore:
    """Reads and writes accesses; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, Access]:
        """Return the accesses by line."""

        def work(connection: sqlite3.Connection) -> dict[str, Access]:
            rows = connection.execute("SELECT line, access FROM line_access ORDER BY line")
            return {line: msgspec.json.decode(text, type=Access) for line, text in rows}

        return await self._database.run(work)

    async def put(self, line: str, access: Access | None) -> None:
        """Write a line's access down; None forgets it."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM line_access WHERE line = ?", (line,))
            if access is not None:
                connection.execute(
                    "INSERT INTO line_access (line, access) VALUES (?, ?)",
                    (line, msgspec.json.encode(access).decode()),
                )

        await self._database.run(work)
