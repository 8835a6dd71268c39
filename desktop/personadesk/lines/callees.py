"""Finds whom a voice test means by a word: a line, the line on a machine, or an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.callee import Callee
from personadesk.domain.errors import NotFound
from personadesk.domain.plan import host_of
from personadesk.domain.text import T
from personadesk.providers import catalog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.domain.line import Line
    from personadesk.lines.service import LineService
    from personadesk.store.journal import Journal
    from personadesk.store.rentals import Rental

    RentalOf = Callable[[str], Awaitable[Rental | None]]


async def find(word: str, lines: LineService, journal: Journal, rental_of: RentalOf) -> Callee:
    """Return whom a word means.

    Args:
        word: The name of a line, the name of a machine that a line's voice is on, or an address.
        lines: All lines.
        journal: Tells where the voice of a line was put.
        rental_of: Returns the rented machine of a deploy.

    Raises:
        NotFound: It is none of these.
    """
    known = await lines.all()
    for line in known:
        if line.name == word:
            return await of_line(line, journal, rental_of)
    for line in known:
        found = await of_line(line, journal, rental_of)
        if found.place == word:
            return found
    if ":" in word or "." in word:
        url = word if "://" in word else f"ws://{word}"
        own = next((line for line in known if line.url == url), None)
        return Callee(_name(word), url) if own is None else await of_line(own, journal, rental_of)
    raise NotFound(
        T("There is no line and no machine called “{name}”.", name=word),
        T("Look at the names with: personadesk line list"),
        cause="no_line",
    )


def _name(address: str) -> str:
    # A query may hold a token, so only what tells two voices of one server apart is kept of it.
    place, _, query = address.partition("?")
    return f"{place} (echo)" if "engine=echo" in query else place


async def of_line(line: Line, journal: Journal, rental_of: RentalOf) -> Callee:
    """Return a line as one that can be called."""
    if line.target is None:
        return Callee(line.name, line.url, own=True)
    tag = line.target.server_id
    rental = await rental_of(tag)
    if rental is not None:
        return Callee(
            line.name,
            line.url,
            own=True,
            place=catalog.facts(rental.provider).title,
            price=rental.price,
        )
    record = await journal.load(tag)
    host = host_of(record.plan) if record is not None else None
    return Callee(line.name, line.url, own=True, place=host or "", price=0.0)
