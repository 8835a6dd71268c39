"""What was lived through with rented machines: the memory of bad hosts, offers and regions, over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.reputation import KEPT_SECONDS, Experience, Kind

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database

_COLUMNS = "machine, kind, provider, offer, region, host, gpu, place, at"


class ExperienceStore:
    """Reads and writes experiences; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, *lived: Experience) -> None:
        """Write experiences down; of the same kind with the same machine the first stays. What is too old goes."""
        rows = [
            (e.machine, e.kind, e.provider, e.offer, e.region, e.host, e.gpu, e.place, e.at)
            for e in lived
        ]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"INSERT OR IGNORE INTO experiences ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                rows,
            )
            newest = max((each.at for each in lived), default=0.0)
            connection.execute("DELETE FROM experiences WHERE at < ?", (newest - KEPT_SECONDS,))

        await self._database.run(work)

    async def all(self) -> list[Experience]:
        """Return all experiences, oldest first."""

        def work(connection: sqlite3.Connection) -> list[Experience]:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM experiences ORDER BY at")  # noqa: S608 - a constant
            return [Experience(machine, Kind(kind), *rest) for machine, kind, *rest in rows]

        return await self._database.run(work)

    async def clear(self) -> int:
        """Forget everything; returns how much there was."""

        def work(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM experiences").rowcount

        return await self._database.run(work)
