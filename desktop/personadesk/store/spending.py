"""What rented machines cost, a row a machine and day, so that it can be summed by line, account, day and month."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from personadesk.store.database import Database


@dataclass(frozen=True, slots=True)
class Cost:
    """What a machine cost in some time.

    Attributes:
        tag: The deploy that made it.
        account: Who pays.
        machine_id: The provider's own.
        line: The line it stood behind, "" for none.
        day: ISO date, in this computer's time zone.
        seconds: For how long it was billed.
        dollars: What that cost, by the price at that time.
    """

    tag: str
    account: str
    machine_id: str
    line: str
    day: str
    seconds: float
    dollars: float


@dataclass(frozen=True, slots=True)
class Bill:
    """What is to be added for a machine.

    Attributes:
        tag: The deploy that made it.
        account: Who pays.
        machine_id: The provider's own.
        line: The line it stands behind, "" for none.
        made: Unix time of its making.
        now: Unix time until which it was billed.
        price: Dollars per hour.
    """

    tag: str
    account: str
    machine_id: str
    line: str
    made: float
    now: float
    price: float


class SpendingStore:
    """Adds up costs; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bill(self, bills: Iterable[Bill]) -> None:
        """Add what each machine has cost since it was last added up, whoever did that and whenever.

        What is added up so far is told by the seconds that are written down, so that two programs that look at the
        same time add nothing twice and hours in which none looked are not lost.
        """
        wanted = list(bills)

        def work(connection: sqlite3.Connection) -> None:
            for bill in wanted:
                row = connection.execute(
                    "SELECT COALESCE(SUM(seconds), 0) FROM spending WHERE account = ? AND machine_id = ?",
                    (bill.account, bill.machine_id),
                ).fetchone()
                for day, seconds in by_day(bill.made + float(row[0]), bill.now):
                    connection.execute(
                        "INSERT INTO spending (tag, account, machine_id, line, day, seconds, dollars) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, machine_id, day) DO UPDATE SET "
                        "line = CASE WHEN excluded.line != '' THEN excluded.line ELSE line END, "
                        "seconds = seconds + excluded.seconds, dollars = dollars + excluded.dollars",
                        (
                            bill.tag, bill.account, bill.machine_id, bill.line, day, seconds,
                            seconds / 3600.0 * bill.price,
                        ),
                    )  # fmt: skip

        if wanted:
            await self._database.run(work)

    async def since(self, day: str) -> list[Cost]:
        """Return all costs from a day on (ISO date), oldest first."""

        def work(connection: sqlite3.Connection) -> list[Cost]:
            rows = connection.execute(
                "SELECT tag, account, machine_id, line, day, seconds, dollars FROM spending "
                "WHERE day >= ? ORDER BY day",
                (day,),
            )
            return [Cost(*row) for row in rows]

        return await self._database.run(work)

    async def of(self, tag: str) -> float:
        """Return what all machines of a deploy have cost, in dollars."""

        def work(connection: sqlite3.Connection) -> float:
            row = connection.execute(
                "SELECT COALESCE(SUM(dollars), 0) FROM spending WHERE tag = ?", (tag,)
            ).fetchone()
            return float(row[0])

        return await self._database.run(work)

    async def of_line(self, line: str) -> float:
        """Return what all machines that ever stood behind a line, or were rented for it, have cost, in dollars."""

        def work(connection: sqlite3.Connection) -> float:
            row = connection.execute(
                "SELECT COALESCE(SUM(dollars), 0) FROM spending WHERE line = ? OR tag IN "
                "(SELECT id FROM deploys WHERE json_extract(plan, '$.line') = ?)",
                (line, line),
            ).fetchone()
            return float(row[0])

        return await self._database.run(work)


def by_day(since: float, until: float) -> list[tuple[str, float]]:
    """Split a time into the days of this computer's time zone: ISO date and seconds of each."""
    parts = []
    while since < until:
        at = time.localtime(since)
        midnight = time.mktime((at.tm_year, at.tm_mon, at.tm_mday + 1, 0, 0, 0, 0, 0, -1))
        end = min(until, midnight)
        parts.append((time.strftime("%Y-%m-%d", at), end - since))
        since = end
    return parts
