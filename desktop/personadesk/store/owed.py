"""Which rented machines must still stop or end: written down before their voice goes, forgotten by the provider's word.

A line that rests does not tell it: `line stop` leaves the machine running on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.wish import Rest
from personadesk.store.coding import text_from_json, text_to_json

if TYPE_CHECKING:
    import sqlite3

    from personadesk.domain.text import Text
    from personadesk.store.database import Database


@dataclass(frozen=True, slots=True)
class Debt:
    """A stop that is owed for a machine.

    Attributes:
        tag: The deploy whose machine it is.
        line: The line that was put to sleep.
        why: The reason, a sentence.
        rest: How the line shall rest.
        ends: Whether the machine is to end, not only to stop.
        since: Unix time of the decision.
        asked: Unix time at which it was last begun.
        tries: How often it was begun.
        taken: Whether the provider took the last try; that it has stopped is another matter.
    """

    tag: str
    line: str
    why: Text
    rest: Rest
    ends: bool
    since: float
    asked: float
    tries: int = 1
    taken: bool = False


class OwedStore:
    """Reads and writes what is owed; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[Debt, ...]:
        """Return what is owed, oldest first."""

        def work(connection: sqlite3.Connection) -> tuple[Debt, ...]:
            rows = connection.execute(
                "SELECT tag, line, why, rest, ends, since, asked, tries, taken "
                "FROM owed_stops ORDER BY since"
            )
            return tuple(
                Debt(
                    tag,
                    line,
                    text_from_json(why),
                    Rest(rest),
                    bool(ends),
                    since,
                    asked,
                    tries,
                    bool(taken),
                )
                for tag, line, why, rest, ends, since, asked, tries, taken in rows
            )

        return await self._database.run(work)

    async def put(self, debt: Debt) -> None:
        """Write a debt down, replacing what was owed for that machine."""
        await self._database.run(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO owed_stops (tag, line, why, rest, ends, since, asked, tries, "
                "taken) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    debt.tag, debt.line, text_to_json(debt.why), debt.rest, debt.ends, debt.since,
                    debt.asked, debt.tries, debt.taken,
                ),
            )
        )  # fmt: skip

    async def take(self, tag: str) -> None:
        """Say that the provider took the stop; harmless when nothing is owed any more."""
        await self._database.run(
            lambda connection: connection.execute(
                "UPDATE owed_stops SET taken = 1 WHERE tag = ?", (tag,)
            )
        )

    async def forget(self, tag: str) -> None:
        """Owe nothing for a machine any more; harmless when nothing was."""
        await self._database.run(
            lambda connection: connection.execute("DELETE FROM owed_stops WHERE tag = ?", (tag,))
        )
