from __future__ import annotations

from dataclasses import replace

import pytest

from personadesk.domain.account import KEYRING, Account
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.offer import Offer, Stock
from personadesk.store.accounts import AccountStore
from personadesk.store.rentals import Rental, RentalState, RentalStore

OFFER = Offer(
    "work", "lambda", "gpu_1x_a10", "A10", 24, region="us-west-1", place="California, US", price=0.75,
    stock=Stock.HIGH, asked=5.0, data={"image": "x"},
)  # fmt: skip


async def test_accounts_come_back_by_name_and_a_name_is_taken_once(database):
    store = AccountStore(database)
    work = Account(
        "work", "lambda", {"api_key": KEYRING}, {"region": "us"}, "http://127.0.0.1:1", 3.0
    )
    await store.add(work)
    await store.add(Account("home", "vast", {"api_key": "@VAST_KEY"}))
    assert [account.name for account in await store.all()] == ["home", "work"]
    assert await store.get("work") == work
    with pytest.raises(BadRequest, match="already"):
        await store.add(work)
    await store.replace(replace(work, credentials={"api_key": "@LAMBDA"}))
    assert (await store.get("work")).credentials == {"api_key": "@LAMBDA"}
    await store.remove("work")
    with pytest.raises(NotFound):
        await store.get("work")


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "a\nb"])
async def test_names_that_make_no_sense_are_refused(database, name):
    with pytest.raises(BadRequest):
        await AccountStore(database).add(Account(name, "lambda"))


async def test_what_may_exist_is_open_until_the_provider_says_otherwise(database):
    store = RentalStore(database)
    first = Rental("pd-1", 1, "work", "lambda", OFFER, asked=10.0)
    await store.put(first)
    assert await store.open() == [first]
    await store.put(replace(first, state=RentalState.REFUSED))
    second = Rental(
        "pd-1", 2, "work", "lambda", OFFER, RentalState.MADE, "i-7", 0.75, 11.0, 12.0, None, 99.0
    )
    await store.put(second)
    assert await store.open("work") == [second]
    assert await store.open("home") == []
    assert [each.attempt for each in await store.of("pd-1")] == [1, 2]
    await store.put(replace(second, state=RentalState.ENDED, ended=20.0))
    assert await store.open() == []
    assert len(await store.all()) == 2
