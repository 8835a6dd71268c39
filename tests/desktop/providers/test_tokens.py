"""A token is fetched once for all who want one, and replaced before it ends."""

from __future__ import annotations

import asyncio

import pytest

from peers.simulated import Clock
from personadesk.domain.errors import Unreachable
from personadesk.providers.tokens import EARLY_SECONDS, Token, TokenKeeper


async def test_a_token_is_fetched_once_for_all_and_replaced_before_it_ends():
    clock, fetched = Clock(), 0

    async def fetch() -> Token:
        nonlocal fetched
        fetched += 1
        await asyncio.sleep(0)
        return Token(f"t{fetched}", 3600)

    keeper = TokenKeeper(fetch, clock=clock)
    assert await asyncio.gather(keeper.get(), keeper.get(), keeper.get()) == ["t1"] * 3
    clock.pass_s(3600 - EARLY_SECONDS - 1)
    assert await keeper.get() == "t1"
    clock.pass_s(1)
    assert await keeper.get() == "t2"
    keeper.forget()
    assert await keeper.get() == "t3"


async def test_a_failure_is_told_and_not_kept():
    answers = [Unreachable("no answer"), Token("t1", 3600)]

    async def fetch() -> Token:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    keeper = TokenKeeper(fetch)
    with pytest.raises(Unreachable):
        await keeper.get()
    assert await keeper.get() == "t1"
    assert "t1" not in repr(Token("t1", 1))
