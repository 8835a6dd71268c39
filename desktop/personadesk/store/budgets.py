"""What may be spent: a budget for everything together, and one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from personadesk.domain.budget import Act, Budget

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database

_COLUMNS = "line, per_day, per_month, warn, act, day_more, day_until, month_more, month_until"


class BudgetStore:
    """Reads and writes budgets; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Budget]:
        """Return all budgets: that for everything together first, then by line."""

        def work(connection: sqlite3.Connection) -> list[Budget]:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM budgets ORDER BY line")  # noqa: S608 - a constant
            return [_budget(row) for row in rows]

        return await self._database.run(work)

    async def get(self, line: str) -> Budget | None:
        """Return a line's budget, that for everything for `ALL`; None when there is none."""
        return next((each for each in await self.all() if each.line == line), None)

    async def put(self, budget: Budget) -> None:
        """Write a budget down, replacing that line's."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT OR REPLACE INTO budgets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (
                    budget.line, budget.per_day, budget.per_month, budget.warn, str(budget.act),
                    budget.day_more, budget.day_until, budget.month_more, budget.month_until,
                ),
            )  # fmt: skip

        await self._database.run(work)

    async def remove(self, line: str) -> bool:
        """Forget a budget; returns whether there was one."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM budgets WHERE line = ?", (line,)).rowcount > 0

        return await self._database.run(work)


def _budget(row: tuple[Any, ...]) -> Budget:
    line, per_day, per_month, warn, act, *more = row
    return Budget(line, per_day, per_month, warn, Act(act), *more)
