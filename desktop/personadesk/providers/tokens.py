"""Keeps a token that is good for an hour, for providers that give one in exchange for a key."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EARLY_SECONDS = 300.0
"""So long before its end a token is replaced: clocks differ, and a request takes its time."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token.

    Attributes:
        value: Itself; a secret.
        good_for_s: How long from now.
    """

    value: str = field(repr=False)
    good_for_s: float


class TokenKeeper:
    """Fetches a token when there is none that is good; callers at the same time wait for one fetch."""

    def __init__(
        self, fetch: Callable[[], Awaitable[Token]], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Take how a token is had; nothing is asked yet.

        Args:
            fetch: Gets a new one.
            clock: Unix time; one that stands still while a laptop sleeps would keep what is no longer good.
        """
        self._fetch = fetch
        self._clock = clock
        self._token: Token | None = None
        self._until = 0.0
        self._fetching = asyncio.Lock()

    async def get(self) -> str:
        """Return a good token.

        Raises:
            PersonaDeskError: None could be had.
        """
        async with self._fetching:
            if self._token is None or self._clock() >= self._until:
                self._token = await self._fetch()
                self._until = self._clock() + max(0.0, self._token.good_for_s - EARLY_SECONDS)
            return self._token.value

    def forget(self) -> None:
        """Fetch another at the next call: this one was refused."""
        self._token = None
