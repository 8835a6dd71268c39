from __future__ import annotations

from personadesk.domain.guarding import Deed, Done
from personadesk.domain.plan import RENT, ModelChoice, ModelKind, RentWish
from personadesk.domain.text import T
from personadesk.domain.wish import Place, Rest, Wish
from personadesk.store.database import Database
from personadesk.store.wishes import Entry, WishStore

WISH = Wish(
    "a", ModelChoice(ModelKind.FOLDER, "/m"),
    (Place(RENT, RentWish(account="cloud", offers=("x",))), Place("host:box")),
    "pd-1", max_price=0.5, spend_limit=9.0, wake_on_connect=False,
)  # fmt: skip


async def test_wishes_come_back_as_they_were_put(database: Database) -> None:
    store = WishStore(database)
    assert await store.get("a") is None
    await store.put(WISH)
    assert await store.get("a") == WISH
    await store.rest("a", Rest.ASLEEP)
    await store.rest("nobody", Rest.ASLEEP)
    found = await store.get("a")
    assert found is not None
    assert (found.rest, found.places) == (Rest.ASLEEP, WISH.places)
    assert await store.get("nobody") is None


async def test_the_log_tells_what_is_under_way_and_what_came_of_it(database: Database) -> None:
    store = WishStore(database)
    why = T("The limit of ${limit} is reached.", limit="5.00")
    number = await store.begin(Entry("a", 1.0, Deed.DEPLOY, "local", why, plan_id="pd-2"))
    (entry,) = await store.log("a")
    assert (entry.worked, entry.why, entry.plan_id) == (None, why, "pd-2")
    assert entry.done == Done(1.0, Deed.DEPLOY, "local", True, why=why), "cut off is not failed"
    await store.end(number, at=2.0, worked=False, outcome="It broke.", seconds=1.0)
    (entry,) = await store.log("a")
    assert entry.done == Done(2.0, Deed.DEPLOY, "local", False, 1.0, why)
    assert (entry.outcome, entry.seconds) == ("It broke.", 1.0)
    for at in range(3, 9):
        await store.begin(Entry("a", float(at), Deed.WAIT, "", why, worked=True))
    assert [entry.at for entry in await store.log("a", 2)] == [7.0, 8.0]
    await store.forget("a")
    assert await store.log("a") == []
