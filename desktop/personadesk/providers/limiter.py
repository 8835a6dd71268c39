"""Keeps an account's requests within what its provider allows: a token bucket, and a rest after being refused."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Limiter:
    """One for all calls of an account. Waiting callers go in the order in which they came."""

    def __init__(
        self,
        per_second: float,
        burst: int = 1,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take the limits.

        Args:
            per_second: Requests a second in the long run.
            burst: How many may follow each other at once after a rest.
            clock: Seconds.
            sleep: Waits.
        """
        self._rate = per_second
        self._burst = burst
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(burst)
        self._at = clock()
        self._line = asyncio.Lock()

    async def turn(self) -> None:
        """Wait until a request may go out."""
        async with self._line:
            self._fill()
            if self._tokens < 1.0:
                await self._sleep((1.0 - self._tokens) / self._rate)
                self._fill()
            self._tokens -= 1.0

    def rest(self, seconds: float) -> None:
        """Let nothing out for a while: the provider said that it was too much."""
        self._fill()
        self._tokens = min(self._tokens, 1.0 - seconds * self._rate)

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._rate)
        self._at = now
