"""The personas that a person saved; those that come with PersonaDesk are not in here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.domain.persona import Persona, from_json
from personadesk.domain.text import T

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from personadesk.store.database import Database

LARGEST: Final = 1024 * 1024
"""Bytes of a shared file that are read; a persona has 8,000 characters at most."""


class PersonaStore:
    """Reads and writes personas; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[Persona, ...]:
        """Return them by name."""

        def work(connection: sqlite3.Connection) -> tuple[Persona, ...]:
            rows = connection.execute("SELECT persona FROM personas ORDER BY name COLLATE NOCASE")
            return tuple(msgspec.json.decode(text, type=Persona) for (text,) in rows)

        return await self._database.run(work)

    async def put(self, persona: Persona) -> None:
        """Save one, in place of any of the same name."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO personas (name, persona) VALUES (?, ?)",
                (persona.name, msgspec.json.encode(persona).decode()),
            )

        await self._database.run(work)

    async def remove(self, name: str) -> bool:
        """Forget one; return whether there was one."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM personas WHERE name = ?", (name,)).rowcount > 0

        return await self._database.run(work)


def read_shared(path: Path) -> Persona:
    """Read a persona that somebody shared; for a worker thread.

    Raises:
        BadRequest: The file cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            return from_json(file.read(LARGEST).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(
            T("{path} cannot be read.", path=str(path)),
            T("Choose a file that PersonaDesk has exported."),
            cause="unreadable",
            details=str(error),
        ) from error


def write_shared(path: Path, persona: Persona) -> None:
    """Write a persona as a file to share; for a worker thread.

    Raises:
        HostUnfit: It cannot be written there.
    """
    try:
        path.write_text(persona.as_json(), encoding="utf-8")
    except OSError as error:
        raise HostUnfit(
            T("The persona could not be written to {file}.", file=str(path)),
            T("Choose another folder, or make room there."),
            cause="not_writable",
            details=str(error),
        ) from error
