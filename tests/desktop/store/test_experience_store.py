"""What was lived through outlives the program, and is forgotten when it is old."""

from __future__ import annotations

from dataclasses import replace

from personadesk.domain.reputation import DAY, Experience, Kind
from personadesk.store.database import Database
from personadesk.store.experiences import ExperienceStore

LOST = Experience(
    "pd-1/1", Kind.GPU_LOST, "vast", "7|SE|own", "SE", "h1", "A10", "Sweden", 100 * DAY
)


async def test_it_is_there_after_a_restart(tmp_path):
    database = await Database(tmp_path / "a.db").open()
    await ExperienceStore(database).add(LOST, replace(LOST, kind=Kind.VANISHED))
    await database.close()
    database = await Database(tmp_path / "a.db").open()
    assert await ExperienceStore(database).all() == [LOST, replace(LOST, kind=Kind.VANISHED)]
    await database.close()


async def test_the_same_of_the_same_machine_stays_as_it_was_and_what_is_old_goes(tmp_path):
    database = await Database(tmp_path / "a.db").open()
    store = ExperienceStore(database)
    await store.add(LOST)
    await store.add(replace(LOST, at=101 * DAY))
    assert await store.all() == [LOST]
    late = replace(LOST, machine="pd-2/1", at=200 * DAY)
    await store.add(late)
    assert await store.all() == [late]
    assert await store.clear() == 1
    assert await store.all() == []
    await database.close()
