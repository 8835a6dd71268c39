"""What lines shall be, and what was done for them: wishes and the guardian's log."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from personadesk.domain.guarding import Deed, Done
from personadesk.domain.hours import last_edge
from personadesk.domain.wish import Rest, Wish
from personadesk.store.coding import text_from_json, text_to_json

if TYPE_CHECKING:
    import sqlite3

    from personadesk.domain.plan import RentWish
    from personadesk.domain.text import Text
    from personadesk.store.database import Database


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision of the guardian.

    Attributes:
        line: For which line.
        at: Unix time at which the deed ended.
        deed: What.
        place: Key of the place, "" for none.
        why: Its cause.
        worked: Whether the deed did what it should; None while it is under way or was cut off.
        outcome: What came of it, plain words; "" when it worked.
        plan_id: The deploy that it started, "" for none.
        seconds: How long it took.
    """

    line: str
    at: float
    deed: Deed
    place: str
    why: Text
    worked: bool | None = None
    outcome: str = ""
    plan_id: str = ""
    seconds: float = 0.0

    @property
    def done(self) -> Done:
        """The deed as the rules see it; one that was cut off says nothing against its place."""
        return Done(
            self.at, self.deed, self.place, self.worked is not False, self.seconds, self.why
        )


class WishStore:
    """Reads and writes wishes and the log; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, line: str) -> Wish | None:
        """Return a line's wish, or None."""

        def work(connection: sqlite3.Connection) -> Wish | None:
            row = connection.execute("SELECT wish FROM wishes WHERE line = ?", (line,)).fetchone()
            return msgspec.json.decode(row[0], type=Wish) if row else None

        return await self._database.run(work)

    async def put(self, wish: Wish) -> None:
        """Write a wish down, replacing that line's."""
        await self._database.run(lambda connection: _put(connection, wish))

    async def rest(self, line: str, rest: Rest, at: float | None = None) -> None:
        """Say whether a line shall be up; harmless when it has no wish.

        Args:
            line: Its name.
            rest: Whether it shall.
            at: Unix time since when; None for now.
        """
        since = time.time() if at is None else at

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT wish FROM wishes WHERE line = ?", (line,)).fetchone()
            if row:
                known = msgspec.json.decode(row[0], type=Wish)
                _put(connection, replace(known, rest=rest, rest_at=since))

        await self._database.run(work)

    async def personas(self) -> dict[str, str]:
        """Return who lines are, by line, for those that are said to be somebody."""

        def work(connection: sqlite3.Connection) -> dict[str, str]:
            rows = connection.execute("SELECT line, wish FROM wishes")
            found = {line: msgspec.json.decode(text, type=Wish).persona for line, text in rows}
            return {line: persona for line, persona in found.items() if persona}

        return await self._database.run(work)

    async def rent(self, line: str, account: str) -> RentWish | None:
        """Return what a line may rent with an account now, None where its wish does not name that."""
        wish = await self.get(line)
        rents = [place.rent for place in wish.places if place.rent] if wish is not None else []
        return next((rent for rent in rents if rent.account == account), None)

    async def in_hours(self, line: str) -> bool:
        """Whether a line has hours, and they are now."""
        wish = await self.get(line)
        return (
            wish is not None
            and wish.hours is not None
            and last_edge(wish.hours, time.time()).begins
        )

    async def forget(self, line: str) -> None:
        """Forget a line's wish, log and budget; harmless when there is none."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM wishes WHERE line = ?", (line,))
            connection.execute("DELETE FROM guardian_log WHERE line = ?", (line,))
            connection.execute("DELETE FROM budgets WHERE line = ?", (line,))

        await self._database.run(work)

    async def begin(self, entry: Entry) -> int:
        """Write down what is about to be done; returns its number."""

        def work(connection: sqlite3.Connection) -> int:
            row = connection.execute(
                "INSERT INTO guardian_log (line, at, deed, place, why, worked, outcome, plan_id, seconds) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    entry.line, entry.at, entry.deed, entry.place, text_to_json(entry.why),
                    entry.worked, entry.outcome, entry.plan_id, entry.seconds,
                ),
            )  # fmt: skip
            return int(row.lastrowid or 0)

        return await self._database.run(work)

    async def end(
        self,
        number: int,
        *,
        at: float,
        worked: bool,
        outcome: str,
        seconds: float,
        why: Text | None = None,
    ) -> None:
        """Write down what came of it.

        Args:
            number: Which deed.
            at: Unix time at which it ended.
            worked: Whether it did what it should.
            outcome: What came of it, "" when it worked.
            seconds: How long it took.
            why: Its cause with what was found out meanwhile; None where that is as it was.
        """
        cause = text_to_json(why) if why is not None else None

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE guardian_log SET at = ?, worked = ?, outcome = ?, seconds = ?, why = COALESCE(?, why) "
                "WHERE id = ?",
                (at, worked, outcome, seconds, cause, number),
            )

        await self._database.run(work)

    async def log(self, line: str, limit: int = 50) -> list[Entry]:
        """Return a line's last decisions, oldest first."""

        def work(connection: sqlite3.Connection) -> list[Entry]:
            rows = connection.execute(
                "SELECT line, at, deed, place, why, worked, outcome, plan_id, seconds FROM guardian_log "
                "WHERE line = ? ORDER BY id DESC LIMIT ?",
                (line, limit),
            )
            return [_entry(row) for row in rows][::-1]

        return await self._database.run(work)

    async def recent(self, limit: int = 5) -> tuple[Entry, ...]:
        """Return the last decisions for all lines, oldest first."""

        def work(connection: sqlite3.Connection) -> tuple[Entry, ...]:
            rows = connection.execute(
                "SELECT line, at, deed, place, why, worked, outcome, plan_id, seconds FROM guardian_log "
                "ORDER BY id DESC LIMIT ?",
                (limit,),
            )
            return tuple(_entry(row) for row in rows)[::-1]

        return await self._database.run(work)


def _put(connection: sqlite3.Connection, wish: Wish) -> None:
    connection.execute(
        "INSERT INTO wishes (line, wish) VALUES (?, ?) "
        "ON CONFLICT (line) DO UPDATE SET wish = excluded.wish",
        (wish.line, msgspec.json.encode(wish).decode()),
    )


def _entry(row: tuple[Any, ...]) -> Entry:
    line, at, deed, place, why, worked, outcome, plan_id, seconds = row
    return Entry(
        line, at, Deed(deed), place, text_from_json(why),
        None if worked is None else bool(worked), outcome, plan_id, seconds,
    )  # fmt: skip
