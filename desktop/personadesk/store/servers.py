"""The servers that were started, or were about to be: a row is committed before the process exists."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database


class ServerIntent(StrEnum):
    """What should be so; what is so, the process itself tells."""

    STARTING = "starting"
    """About to be started; it may or may not exist."""
    RUNNING = "running"
    STOPPED = "stopped"
    LEAVING = "leaving"
    """Another took its place, and its machine was not reached to remove it; that is tried again."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """One voice server on this computer.

    Attributes:
        id: The deploy that made it; also its tag.
        state_dir: Folder of its supervisor: state, lock, logs.
        command: What the supervisor runs.
        url: WebSocket address of the server itself.
        model: What it runs, in a few words.
        intent: What should be so.
        at: Unix time of the last change.
    """

    id: str
    state_dir: Path
    command: tuple[str, ...]
    url: str
    model: str = ""
    intent: ServerIntent = ServerIntent.STARTING
    at: float = 0.0


class ServerStore:
    """Reads and writes servers; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, server: ServerRecord) -> None:
        """Write a server down, replacing what was known of it."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO servers (id, state_dir, command, url, model, state, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    server.id, str(server.state_dir), json.dumps(server.command), server.url,
                    server.model, server.intent, server.at,
                ),
            )  # fmt: skip

        await self._database.run(work)

    async def forget(self, server_id: str) -> None:
        """Remove a server's row; only after its process is known to be gone."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM servers WHERE id = ?", (server_id,))

        await self._database.run(work)

    async def get(self, server_id: str) -> ServerRecord | None:
        """Return one server, or None."""
        found = await self._select("WHERE id = ?", (server_id,))
        return found[0] if found else None

    async def all(self) -> list[ServerRecord]:
        """Return every server that is or may be there, oldest first."""
        return await self._select("ORDER BY at", ())

    async def _select(self, clause: str, values: tuple[Any, ...]) -> list[ServerRecord]:
        def work(connection: sqlite3.Connection) -> list[ServerRecord]:
            rows = connection.execute(
                f"SELECT id, state_dir, command, url, model, state, at FROM servers {clause}",  # noqa: S608 - clauses are ours
                values,
            ).fetchall()
            return [
                ServerRecord(
                    row[0], Path(row[1]), tuple(json.loads(row[2])), row[3], row[4],
                    ServerIntent(row[5]), row[6],
                )
                for row in rows
            ]  # fmt: skip

        return await self._database.run(work)
