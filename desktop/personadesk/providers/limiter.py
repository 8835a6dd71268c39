"""Keeps an account's requests within what its provider allows: a token bucket, and a rest after being refused."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TINY = 1e-6
"""Of a request; sums of seconds are not exact."""


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
            # Again where a rest was asked for meanwhile; not for a sleep that ends a hair too early.
            while self._tokens < 1.0 - TINY:
                begun, wait = self._at, (1.0 - self._tokens) / self._rate
                await self._sleep(wait)
                self._fill(begun + wait)
            self._tokens -= 1.0

    def rest(self, seconds: float) -> None:
        """Let nothing out for a while: the provider said that it was too much."""
        self._fill()
        self._tokens = min(self._tokens, 1.0 - seconds * self._rate)

    def _fill(self, least: float = 0.0) -> None:
        """Count what came in up to now, or to a time that surely has come."""
        now = self._clock()
        passed = max(now, least) - self._at
        self._tokens = min(float(self._burst), self._tokens + passed * self._rate)
        self._at = now
