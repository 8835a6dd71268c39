"""What people want of lines, for window and terminal alike: make one, say what it shall be, put it elsewhere."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.domain.errors import BadRequest, PersonaDeskError
from personadesk.domain.line import FIRST_PORT, LAST_PORT, Line
from personadesk.domain.plan import LOCAL, RENT, RentWish, new_plan_id
from personadesk.domain.sparing import NOT_WISHED
from personadesk.domain.text import T
from personadesk.domain.wish import ANY_SPARE, Place, Wish, plan_for
from personadesk.hosts import local

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personadesk.domain.plan import Plan
    from personadesk.hosts.ssh.directory import Hosts
    from personadesk.lines.guardian import Guardian
    from personadesk.lines.service import LineService
    from personadesk.providers.accounts import Accounts
    from personadesk.store.wishes import WishStore


class Wanting:
    """Checks what is wanted and writes it down; the process that serves the lines does it."""

    def __init__(
        self,
        lines: LineService,
        wishes: WishStore,
        guardian: Guardian,
        hosts: Hosts,
        accounts: Accounts,
        spent: Callable[[str], Awaitable[float]],
    ) -> None:
        """Take what is needed.

        Args:
            lines: The lines.
            wishes: What they shall be.
            guardian: Reads a wish from a newer deploy.
            hosts: The user's own machines.
            accounts: Accounts at providers.
            spent: Returns the dollars that a line has cost.
        """
        self._lines = lines
        self._wishes = wishes
        self._guardian = guardian
        self._hosts = hosts
        self._accounts = accounts
        self._spent = spent

    async def wish(self, name: str) -> Wish:
        """Return what a line shall be.

        Raises:
            NotFound: There is no such line.
            BadRequest: It has no wish yet.
        """
        wish = await self._guardian.wish(await self._lines.need(name))
        if wish is None:
            raise BadRequest(
                T("The line “{name}” has no wish yet.", name=name),
                T("Deploy a voice to it; that says what it shall be."),
                cause="no_wish",
            )
        return wish

    async def create(self, wish: Wish, port: int | None = None) -> Line:
        """Make a line that sleeps until somebody calls; `port` None takes the next free one.

        Raises:
            BadRequest: There is one of that name, its port is taken, or the wish makes no sense.
            NotFound: A machine or account of it is not known here.
        """
        name = wish.line
        if not 1 <= len(name) <= 40:
            raise BadRequest(T("A line's name has 1 to 40 characters."), T("Give another name."))
        if await self._lines.get(name) is not None:
            raise BadRequest(
                T("There is a line called “{name}” already.", name=name),
                T("Change it with: personadesk line wish"),
                cause="exists",
            )
        await self._check(wish)
        taken = {line.port for line in await self._lines.all()}
        if port is None:
            port = await asyncio.to_thread(local.next_free_port, taken)
        line = Line(name, port, since=time.time())
        await self._lines.put(line)
        await self._wishes.put(wish)
        return line

    async def change(self, wish: Wish) -> None:
        """Say what a line shall be from now on; other hours count at once, whatever was said before.

        Raises:
            BadRequest: A figure makes no sense.
            NotFound: A machine or account is not known here.
        """
        await self._check(wish)
        known = await self.wish(wish.line)
        fresh = replace(wish, rest=known.rest, rest_at=known.rest_at, made_of=known.made_of)
        if fresh.hours != known.hours:
            fresh = replace(fresh, rest_at=0.0)
        await self._wishes.put(fresh)
        if known.spare and not fresh.spare:
            # At once, also where nobody serves the lines now: it is billed.
            await self._lines.end_spares(wish.line, NOT_WISHED)

    async def set_port(self, name: str, port: int) -> Line:
        """Give a line another port of its own; programs that call it must follow, calls that go on end.

        Where the new one cannot be had the line keeps what it has.

        Raises:
            NotFound: There is no such line.
            BadRequest: The port cannot be used or is taken, or a deploy of the line is not finished.
        """
        line = await self._lines.need(name)
        if line.port == port:
            return line
        if not FIRST_PORT <= port <= LAST_PORT:
            raise BadRequest(
                T("Port {port} cannot be used; ports from 1024 to 65535 can.", port=port),
                T("Choose another port."),
                cause="bad_port",
            )
        if await self._guardian.is_deployed_to(name):
            raise BadRequest(
                T("A deploy of the line “{name}” is not finished.", name=name),
                T("Let it finish or undo it, then change the port."),
                cause="deploying",
            )
        if not await asyncio.to_thread(local.port_is_free, port):
            raise await asyncio.to_thread(local.port_taken, port)
        try:
            await self._lines.put(replace(line, port=port))
        except PersonaDeskError:
            # Somebody was quicker. An address that works is better than one that does not.
            await self._lines.put(line)
            raise
        return await self._lines.need(name)

    async def plan(self, name: str, place: Place | None = None) -> Plan:
        """Return the deploy that puts a line's voice at a place: tested first, then switched, then the old one gone.

        Args:
            name: The line's.
            place: Where; None for its first place.

        Raises:
            NotFound: There is no such line, machine or account.
            BadRequest: The line has no wish yet.
        """
        line, wish = await self._lines.need(name), await self.wish(name)
        if place is not None:
            await self._check_place(place)
        spent = await self._spent(name)
        return plan_for(wish, place or wish.places[0], new_plan_id(), line.port, spent=spent)

    async def places(self) -> list[Place]:
        """Return where a voice may be put: here, the user's machines, accounts that are connected."""
        hosts = [Place(f"host:{record.name}") for record in await self._hosts.store.own()]
        accounts = [
            Place(RENT, RentWish(account=each.name)) for each in await self._accounts.store.all()
        ]
        return [Place(LOCAL), *hosts, *accounts]

    async def _check(self, wish: Wish) -> None:
        if any(x is not None and x <= 0 for x in (wish.max_price, wish.spend_limit)):
            raise BadRequest(
                T("A limit is a number of dollars above 0."), T("Give another."), cause="bad_price"
            )
        if not wish.places:
            raise BadRequest(
                T("A line needs a place where its voice may run."), T("Choose at least one."),
                cause="no_place",
            )  # fmt: skip
        for place in wish.places:
            await self._check_place(place)
        if wish.spare not in {"", ANY_SPARE, *(place.key for place in wish.places)}:
            raise BadRequest(
                T(
                    "“{place}” is no place of this line, so no spare can stand there.",
                    place=wish.spare,
                ),
                T("Say on, off, or one of its places."),
                cause="bad_spare",
            )

    async def _check_place(self, place: Place) -> None:
        if place.rent is not None:
            await self._accounts.store.get(place.rent.account)
        elif place.place != LOCAL:
            await self._hosts.store.get(place.place.partition(":")[2])


def place_of(word: str, wish: Wish) -> Place:
    """Return the place that a key names; one that the wish has keeps what may be rented there.

    Raises:
        BadRequest: It names none.
    """
    known = next((place for place in wish.places if place.key == word), None)
    if known is not None:
        return known
    kind, _, name = word.partition(":")
    if word == LOCAL or (kind == "host" and name):
        return Place(word)
    if kind == "account" and name:
        return Place(RENT, RentWish(account=name))
    raise BadRequest(
        T("“{place}” is not a place.", place=word),
        T("Say local, host:NAME or account:NAME."),
        cause="bad_place",
    )
