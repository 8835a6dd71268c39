"""An account's requests stay within what its provider allows."""

from __future__ import annotations

import asyncio

from personadesk.providers.limiter import Limiter


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_requests_are_spread_after_the_first_burst():
    time = Time()
    limiter = Limiter(2.0, burst=3, clock=time, sleep=time.sleep)
    went = []
    for _ in range(6):
        await limiter.turn()
        went.append(round(time.now - 100.0, 3))
    assert went == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]


async def test_a_refusal_makes_everybody_rest():
    time = Time()
    limiter = Limiter(10.0, burst=5, clock=time, sleep=time.sleep)
    limiter.rest(4.0)
    await limiter.turn()
    assert round(time.now - 100.0, 3) == 4.0


async def test_callers_go_in_the_order_in_which_they_came():
    time = Time()
    limiter = Limiter(1.0, burst=1, clock=time, sleep=time.sleep)
    order: list[int] = []

    async def go(number: int) -> None:
        await limiter.turn()
        order.append(number)

    await asyncio.gather(*(go(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_rest_that_is_asked_for_while_somebody_waits_is_kept():
    time = Time()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.now += seconds
        if len(slept) == 1:
            limiter.rest(5.0)

    limiter = Limiter(1.0, burst=1, clock=time, sleep=sleep)
    await limiter.turn()
    await limiter.turn()
    assert (round(time.now - 100.0, 3), len(slept)) == (6.0, 2)


async def test_a_sleep_that_ends_early_is_not_slept_again():
    time = Time()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 2))
        time.now += seconds * 0.99

    limiter = Limiter(1.0, burst=1, clock=time, sleep=sleep)
    for _ in range(3):
        await limiter.turn()
    assert len(slept) == 2
