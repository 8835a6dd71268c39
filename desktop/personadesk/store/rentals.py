"""Every machine that was rented or may have been: a row is committed before the provider is asked.

One deploy may try several offers; each try is a row, so that a crash between the request and its answer leaves the
knowledge of where to look for the tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from personadesk.domain.offer import Offer

if TYPE_CHECKING:
    import sqlite3

    from personadesk.store.database import Database

_COLUMNS = "tag, attempt, account, provider, machine_id, offer, state, price, asked, made, ended, hold_until"


class RentalState(StrEnum):
    """What is known of a rental; only the provider's word ends one."""

    ASKED = "asked"
    """Asked for, or about to be; it may or may not exist."""
    MADE = "made"
    """The provider has given it an id."""
    REFUSED = "refused"
    """The provider said no; nothing exists."""
    ENDING = "ending"
    """We asked for its end, or are about to."""
    ENDED = "ended"
    """The provider says that it is gone."""


OPEN_STATES = (RentalState.ASKED, RentalState.MADE, RentalState.ENDING)
"""In these something may exist and be billed."""


@dataclass(frozen=True, slots=True)
class Rental:
    """One try to rent a machine, and the machine that came of it.

    Attributes:
        tag: The deploy that wanted it; put on the machine.
        attempt: Which try of that deploy, from 1.
        account: Name of the account.
        provider: Id of its provider.
        offer: What was asked for.
        state: What is known.
        machine_id: The provider's own id, "" while it is not known.
        price: Dollars per hour while it runs, None when not told.
        asked: Unix time of the request.
        made: Unix time at which the provider said that it exists.
        ended: Unix time at which the provider said that it is gone.
        hold_until: Unix time until which a failed one is kept for a look, None when it is not.
    """

    tag: str
    attempt: int
    account: str
    provider: str
    offer: Offer
    state: RentalState = RentalState.ASKED
    machine_id: str = ""
    price: float | None = None
    asked: float = 0.0
    made: float | None = None
    ended: float | None = None
    hold_until: float | None = None


class RentalStore:
    """Reads and writes rentals; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, rental: Rental) -> None:
        """Write a rental down, replacing what was known of that try."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT OR REPLACE INTO rentals ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (
                    rental.tag, rental.attempt, rental.account, rental.provider, rental.machine_id,
                    msgspec.json.encode(rental.offer).decode(), rental.state, rental.price,
                    rental.asked, rental.made, rental.ended, rental.hold_until,
                ),
            )  # fmt: skip

        await self._database.run(work)

    async def of(self, tag: str) -> list[Rental]:
        """Return all tries of a deploy, first one first."""
        return await self._select("WHERE tag = ? ORDER BY attempt", (tag,))

    async def open(self, account: str | None = None) -> list[Rental]:
        """Return what may exist and be billed, of one account or of all."""
        marks = ", ".join("?" for _ in OPEN_STATES)
        if account is None:
            return await self._select(f"WHERE state IN ({marks}) ORDER BY asked", OPEN_STATES)
        return await self._select(
            f"WHERE state IN ({marks}) AND account = ? ORDER BY asked", (*OPEN_STATES, account)
        )

    async def all(self) -> list[Rental]:
        """Return everything that was ever asked for, oldest first."""
        return await self._select("ORDER BY asked", ())

    async def _select(self, clause: str, values: tuple[Any, ...]) -> list[Rental]:
        def work(connection: sqlite3.Connection) -> list[Rental]:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM rentals {clause}", values)  # noqa: S608 - clauses are ours
            return [_rental(row) for row in rows]

        return await self._database.run(work)


def _rental(row: tuple[Any, ...]) -> Rental:
    tag, attempt, account, provider, machine_id, offer, state, price, *times = row
    return Rental(
        tag, attempt, account, provider, msgspec.json.decode(offer, type=Offer), RentalState(state),
        machine_id, price, *times,
    )  # fmt: skip
