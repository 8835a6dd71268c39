"""The voice servers of others that a person calls: their names and addresses; never their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database


@dataclass(frozen=True, slots=True)
class ForeignServer:
    """One server that PersonaDesk did not start.

    Attributes:
        name: Unique; what the person calls it.
        url: WebSocket address of its calls, without a token.
        has_token: Whether a token was given for it; the token itself is among the secrets.
    """

    name: str
    url: str
    has_token: bool = False


class ForeignStore:
    """Reads and writes them; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[ForeignServer, ...]:
        """Return them by name."""

        def work(connection: sqlite3.Connection) -> tuple[ForeignServer, ...]:
            rows = connection.execute(
                "SELECT name, url, has_token FROM foreign_servers ORDER BY name COLLATE NOCASE"
            )
            return tuple(ForeignServer(name, url, bool(has)) for name, url, has in rows)

        return await self._database.run(work)

    async def put(self, server: ForeignServer) -> None:
        """Write one down, in place of any of the same name."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO foreign_servers (name, url, has_token) VALUES (?, ?, ?)",
                (server.name, server.url, server.has_token),
            )

        await self._database.run(work)

    async def remove(self, name: str) -> None:
        """Forget one; harmless when there is none."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM foreign_servers WHERE name = ?", (name,))

        await self._database.run(work)
