"""The line in front of a full engine: first come, first seated, and everybody knows their place.

The reference lets a second caller wait without a word; here one is either told at once that there is no seat, or
waits for as long as the server allows, and hears how many are before.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from personaplex_server.status import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from personaplex_server.scheduler import Scheduler
    from personaplex_server.session import Session

LONGEST: Final = 64
"""Callers in one line; each costs a connection and the decoding of what it sends."""
_REDIAL_S: Final = 1.0
"""Where nobody may wait, a caller is still not refused before this: who hangs up and calls again at once, as
programs do, arrives before the row is free."""
_SIGN_OF_LIFE_S: Final = 5.0
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands.

    Attributes:
        position: 1 is next.
        waiting: Callers in the line.
        waited_s: Since when, in seconds.
        max_wait_s: After how many seconds the waiting is given up.
    """

    position: int
    waiting: int
    waited_s: float
    max_wait_s: float

    @property
    def words(self) -> str:
        """The place as a sentence for the caller."""
        if self.position <= len(_ORDINALS):
            return f"All lines are taken. You are {_ORDINALS[self.position - 1]} in line. "
        return f"All lines are taken. There are {self.position - 1} callers before you. "


@dataclass(eq=False, slots=True)
class _Waiter:
    since: float
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Line:
    """The callers who wait for one engine; belongs to the event loop."""

    def __init__(self, scheduler: Scheduler, *, max_wait_s: float = 0.0) -> None:
        """Stand in front of `scheduler`.

        Args:
            scheduler: Whose seats are waited for.
            max_wait_s: How long a caller may wait; 0 lets nobody wait longer than a row takes to be freed.
        """
        self.max_wait_s = max_wait_s
        self._scheduler = scheduler
        self._waiting: deque[_Waiter] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        scheduler.on_news = self._from_model

    def __len__(self) -> int:
        return len(self._waiting)

    async def seat(self, session: Session, tell: Callable[[Place], Awaitable[None]]) -> int:
        """Wait for a seat and return its row; nobody who came later is seated before.

        Args:
            session: Who wants to sit.
            tell: Told the place at once, when it changes, and every few seconds as a sign of life.

        Raises:
            UnavailableError: There is none, and waiting is off or was too long, or there never will be one.
        """
        if not self._waiting:
            try:
                return self._scheduler.seat(session)
            except UnavailableError as error:
                if not error.later:
                    raise
        if len(self._waiting) >= LONGEST:
            raise UnavailableError(
                "The voice server is busy, and its waiting line is full. Try again in a few minutes.",
                later=True,
            )
        self._loop = asyncio.get_running_loop()
        waiter = _Waiter(time.monotonic())
        self._waiting.append(waiter)
        try:
            return await self._wait(waiter, session, tell)
        finally:
            self._waiting.remove(waiter)
            self._spread()

    async def _wait(
        self, waiter: _Waiter, session: Session, tell: Callable[[Place], Awaitable[None]]
    ) -> int:
        patience = self.max_wait_s or _REDIAL_S
        while True:
            waiter.news.clear()
            if self._waiting[0] is waiter:
                try:
                    return self._scheduler.seat(session)
                except UnavailableError as error:
                    if not error.later:
                        raise
            waited = time.monotonic() - waiter.since
            if waited >= patience:
                if self.max_wait_s <= 0:
                    return self._scheduler.seat(session)
                raise UnavailableError(
                    f"No call has ended within {self.max_wait_s:g} seconds, so the waiting is over. "
                    "Try again later.",
                    later=True,
                )
            if self.max_wait_s > 0:
                position = self._waiting.index(waiter) + 1
                await tell(Place(position, len(self._waiting), waited, self.max_wait_s))
            try:
                async with asyncio.timeout(min(_SIGN_OF_LIFE_S, patience - waited)):
                    await waiter.news.wait()
            except TimeoutError:
                continue

    def _from_model(self) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(self._spread)
        except RuntimeError:
            # The loop is closed: the server is going down, and nobody waits any more.
            if not loop.is_closed():
                raise

    def _spread(self) -> None:
        for waiter in self._waiting:
            waiter.news.set()
