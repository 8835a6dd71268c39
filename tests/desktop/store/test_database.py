from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from personadesk.domain.errors import BadRequest, HostUnfit, Unreachable
from personadesk.store import database as module
from personadesk.store.database import Database
from personadesk.store.migrations import MIGRATIONS


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO lines (name, port, state, since) VALUES ('a', 8998, 'stopped', 0)"
    )


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM lines").fetchone()[0])


async def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    first = await Database(tmp_path / "a.db").open()
    await first.run(_fill)
    await first.close()
    second = await Database(tmp_path / "a.db").open()
    assert await second.run(_count) == 1
    assert second.notices == ()
    await second.close()


async def test_a_failing_piece_of_work_leaves_nothing_behind(database: Database) -> None:
    def work(connection: sqlite3.Connection) -> None:
        _fill(connection)
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        await database.run(work)
    assert await database.run(_count) == 0


async def test_work_is_done_in_the_order_in_which_it_was_asked_for(database: Database) -> None:
    seen: list[int] = []
    await asyncio.gather(*(database.run(lambda _c, n=n: seen.append(n)) for n in range(50)))
    assert seen == list(range(50))


@pytest.mark.logs_warnings
@pytest.mark.parametrize("damage", [b"this is no database, nor was it ever one\n" * 40, b"SQLite"])
async def test_a_file_that_is_no_database_is_kept_and_told(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(damage)
    database = await Database(path).open()
    assert await database.run(_count) == 0
    await database.close()
    (aside,) = tmp_path.glob("a.db.bak-*")
    assert aside.read_bytes() == damage
    assert aside.name in str(database.notices[0])


@pytest.mark.logs_warnings
async def test_a_database_with_a_torn_page_is_kept_and_told(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = await Database(path).open()
    await database.run(
        lambda c: c.executemany(
            "INSERT INTO lines (name, port, state, since) VALUES (?, ?, 'stopped', 0)",
            [(f"line {n}" * 20, n) for n in range(500)],
        )
    )
    await database.run(lambda c: None)
    await database.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
    path.write_bytes(data)
    database = await Database(path).open()
    assert await database.run(_count) == 0
    await database.close()
    assert len(list(tmp_path.glob("a.db.bak-*"))) == 1


async def test_records_of_a_newer_program_are_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    raw.close()
    with pytest.raises(BadRequest, match="newer version"):
        await Database(path).open()
    assert not list(tmp_path.glob("*.bak-*"))


async def test_a_held_file_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    database = await Database(tmp_path / "a.db").open()
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unreachable, match="Another program holds") as caught:
        await database.run(_fill)
    assert caught.value.cause == "locked"
    other.execute("ROLLBACK")
    other.close()
    await database.run(_fill)
    await database.close()


async def test_a_full_disk_is_told_as_such(database: Database) -> None:
    pages = await database.run(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
    await database.run(lambda c: None)
    # SQLite's own way to run out of room: no more pages than there are.
    await database._submit(lambda: database._live.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(HostUnfit, match="disk is full") as caught:
        await database.run(
            lambda c: c.execute(
                "INSERT INTO lines (name, port, state, since) VALUES (?, 1, 'x', 0)",
                ("n" * 100_000,),
            )
        )
    assert caught.value.cause == "disk_full"
    assert await database.run(_count) == 0


async def test_a_folder_that_cannot_be_made_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HostUnfit, match="cannot write") as caught:
        await Database(tmp_path / "file" / "deeper" / "a.db").open()
    assert "PERSONADESK_HOME" in str(caught.value.next)


async def test_another_program_s_change_is_noticed(database: Database) -> None:
    before = await database.data_version()
    await database.run(_fill)
    assert await database.data_version() == before
    other = await Database(database.path).open()
    await other.run(lambda c: c.execute("DELETE FROM lines"))
    await other.close()
    assert await database.data_version() != before
