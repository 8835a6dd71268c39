"""What rented things cost: spans of time with their price, so that it can be summed by line, account, day and month.

Times are Unix times; which day or month they belong to is told by whoever reads them, in the time zone of then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from personadesk.domain.money import Kind, Span, by_day, day_start

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from personadesk.store.database import Database

LOOKED_SECONDS = 900.0
"""A longer time in which nobody looked is an estimate: the price may have been another one, the machine stopped."""
_LINE = (
    "CASE WHEN line != '' THEN line ELSE COALESCE("
    "(SELECT json_extract(plan, '$.line') FROM deploys WHERE id = tag), '') END"
)
"""The line that a thing stood behind, or else the one that it was rented for."""
_DOLLARS = "COALESCE(SUM((ended - began) / 3600.0 * price), 0)"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a machine cost in a day.

    Attributes:
        tag: The deploy that made it.
        account: Who pays.
        machine_id: The provider's own; `kind:id` for what is no machine.
        line: The line it stood behind, or was rented for; "" for none.
        day: ISO date, in this computer's time zone.
        seconds: For how long it was billed.
        dollars: What that cost, by the price at that time, as far as it was told.
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
    """What is to be added for a thing.

    Attributes:
        tag: The deploy that made it; "" for none.
        account: Who pays.
        machine_id: The provider's own; `kind:id` for what is no machine.
        line: The line it stands behind, "" for none.
        made: Unix time of its making, or of the first look that found it.
        now: Unix time until which it was billed.
        price: Dollars per hour, None when not told.
        kind: Why it costs.
        guessed: Whether the price is from a table of ours.
    """

    tag: str
    account: str
    machine_id: str
    line: str
    made: float
    now: float
    price: float | None
    kind: Kind = Kind.RUNNING
    guessed: bool = False


class SpendingStore:
    """Adds up costs; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bill(self, bills: Iterable[Bill]) -> None:
        """Add what each thing has cost since it was last added up, whoever did that and whenever.

        A span goes on where the last one ended, so that two programs that look at the same time add nothing twice and
        hours in which none looked are not lost.
        """
        wanted = list(bills)

        def work(connection: sqlite3.Connection) -> None:
            for bill in wanted:
                _add(connection, bill)

        if wanted:
            await self._database.run(work)

    async def spans(self, since: float, until: float) -> list[Span]:
        """Return the spans that reach into a time, by their beginning."""

        def work(connection: sqlite3.Connection) -> list[Span]:
            rows = connection.execute(
                f"SELECT account, machine_id, tag, {_LINE}, kind, began, ended, price, guessed "  # noqa: S608 - a constant
                "FROM spending WHERE ended > ? AND began < ? ORDER BY began, account, machine_id",
                (since, until),
            )
            return [_span(row) for row in rows]

        return await self._database.run(work)

    async def since(self, day: str) -> list[Cost]:
        """Return all costs from a day on (ISO date, this computer's time zone), oldest first."""
        found: dict[tuple[str, str, str], Cost] = {}
        start = day_start(date.fromisoformat(day))
        for span in await self.spans(start, float("inf")):
            for each, seconds in by_day(max(span.began, start), span.ended):
                key = (each.isoformat(), span.account, span.thing)
                known = found.get(key)
                found[key] = Cost(
                    span.tag, span.account, span.thing,
                    span.line or (known.line if known else ""), key[0],
                    seconds + (known.seconds if known else 0.0),
                    seconds / 3600.0 * (span.price or 0.0) + (known.dollars if known else 0.0),
                )  # fmt: skip
        return [found[key] for key in sorted(found)]

    async def of(self, tag: str) -> float:
        """Return what all machines of a deploy have cost, in dollars, as far as it was told."""
        return await self._sum("tag = ?", tag)

    async def of_line(self, line: str) -> float:
        """Return what all machines that ever stood behind a line, or were rented for it, have cost, in dollars."""
        return await self._sum(f"{_LINE} = ?", line)

    async def _sum(self, clause: str, value: str) -> float:
        def work(connection: sqlite3.Connection) -> float:
            row = connection.execute(
                f"SELECT {_DOLLARS} FROM spending WHERE {clause}",  # noqa: S608 - clauses are ours
                (value,),
            ).fetchone()
            return float(row[0])

        return await self._database.run(work)


def _add(connection: sqlite3.Connection, bill: Bill) -> None:
    last = connection.execute(
        "SELECT began, ended, tag, line, kind, price, guessed FROM spending "
        "WHERE account = ? AND machine_id = ? ORDER BY began DESC LIMIT 1",
        (bill.account, bill.machine_id),
    ).fetchone()
    since = bill.made if last is None else float(last[1])
    if bill.now < since or (bill.now == since and last is not None):
        return
    guessed = bill.guessed or bill.now - since > LOOKED_SECONDS
    line = bill.line or (str(last[3]) if last is not None else "")
    alike = (bill.tag, line, str(bill.kind), bill.price, int(guessed))
    if last is not None and tuple(last[2:]) == alike:
        connection.execute(
            "UPDATE spending SET ended = ? WHERE account = ? AND machine_id = ? AND began = ?",
            (bill.now, bill.account, bill.machine_id, last[0]),
        )
        return
    # A span without length marks since when a thing is known whose age nobody tells; the next one takes its place.
    connection.execute(
        "INSERT OR REPLACE INTO spending (account, machine_id, began, ended, tag, line, kind, price, guessed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (bill.account, bill.machine_id, since, bill.now, *alike),
    )


def _span(row: tuple[Any, ...]) -> Span:
    account, thing, tag, line, kind, began, ended, price, guessed = row
    return Span(account, thing, tag, line, Kind(kind), began, ended, price, bool(guessed))
