"""What is owed outlives the process that owes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from personadesk.domain.text import T
from personadesk.domain.wish import Rest
from personadesk.store.database import Database
from personadesk.store.owed import Debt, OwedStore


async def test_a_debt_is_there_after_a_restart_until_it_is_forgotten(tmp_path: Path) -> None:
    why = T("Nobody called for {time}.", time="20 min")
    debt = Debt("pd-1", "a", why, Rest.ASLEEP, False, 10.0, 10.0)
    first = await Database(tmp_path / "a.db").open()
    await OwedStore(first).put(debt)
    await OwedStore(first).put(replace(debt, asked=20.0, tries=2))
    await OwedStore(first).put(Debt("pd-2", "b", why, Rest.STOPPED, True, 5.0, 5.0))
    await OwedStore(first).take("pd-1")
    await OwedStore(first).take("pd-3")
    await first.close()
    second = await Database(tmp_path / "a.db").open()
    store = OwedStore(second)
    older, newer = await store.all()
    assert newer == replace(debt, asked=20.0, tries=2, taken=True)
    assert (older.tag, older.rest, older.ends, older.taken) == ("pd-2", Rest.STOPPED, True, False)
    await store.forget("pd-2")
    await store.forget("pd-2")
    assert await store.all() == (newer,)
    await second.close()
