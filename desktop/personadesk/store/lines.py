"""The lines as they are remembered."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from personadesk.domain.errors import BadRequest
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.text import T
from personadesk.store.coding import text_from_json, text_to_json

if TYPE_CHECKING:
    from personadesk.domain.text import Text
    from personadesk.store.database import Database

_COLUMNS = "name, port, target_url, server_id, state, since, reason"


class LineStore:
    """Reads and writes lines; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[Line, ...]:
        """Return the lines by name."""

        def work(connection: sqlite3.Connection) -> tuple[Line, ...]:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM lines ORDER BY name")  # noqa: S608 - a constant
            return tuple(_line(row) for row in rows)

        return await self._database.run(work)

    async def get(self, name: str) -> Line | None:
        """Return one line, or None."""
        return next((line for line in await self.all() if line.name == name), None)

    async def put(self, line: Line) -> None:
        """Write a line down, replacing the one of that name.

        Raises:
            BadRequest: Another line has that port.
        """

        def work(connection: sqlite3.Connection) -> None:
            target = line.target
            connection.execute(
                f"INSERT INTO lines ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - a constant
                "ON CONFLICT (name) DO UPDATE SET port = excluded.port, "
                "target_url = excluded.target_url, server_id = excluded.server_id, "
                "state = excluded.state, since = excluded.since, reason = excluded.reason",
                (
                    line.name, line.port, target.url if target else None,
                    target.server_id if target else None, line.state, line.since,
                    text_to_json(line.reason),
                ),
            )  # fmt: skip

        try:
            await self._database.run(work)
        except sqlite3.IntegrityError as error:
            raise BadRequest(
                T("Port {port} belongs to another line already.", port=line.port),
                T("Choose another port, or put the voice behind that line."),
                cause="port_taken",
                details=str(error),
            ) from error

    async def tell(
        self,
        name: str,
        state: LineState,
        since: float,
        reason: Text,
        *,
        server_id: str | None,
        seen: Line | None = None,
    ) -> bool:
        """Change the state of a line, unless it has meanwhile been led to another server.

        Args:
            name: Its name.
            state: How it stands.
            since: Unix time.
            reason: Why, when it is not up.
            server_id: What it led to when that was found out.
            seen: How it stood before the look that found it; what somebody said during a look counts more than it.

        Returns:
            Whether anything changed.
        """

        def work(connection: sqlite3.Connection) -> bool:
            told = text_to_json(reason)
            before = (seen.state, seen.state, seen.since) if seen is not None else (None,) * 3
            done = connection.execute(
                "UPDATE lines SET state = ?, since = ?, reason = ? WHERE name = ? "
                "AND server_id IS ? AND (state != ? OR reason != ?) "
                "AND (? IS NULL OR (state = ? AND since = ?))",
                (state, since, told, name, server_id, state, told, *before),
            )
            return done.rowcount > 0

        return await self._database.run(work)

    async def remove(self, name: str) -> None:
        """Forget a line; harmless when there is none of that name."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM lines WHERE name = ?", (name,))

        await self._database.run(work)


def _line(row: tuple[Any, ...]) -> Line:
    name, port, url, server_id, state, since, reason = row
    target = Target(url, server_id or "") if url else None
    return Line(name, port, target, LineState(state), since, text_from_json(reason))
