from __future__ import annotations

import pytest

from personadesk.domain.errors import BadRequest
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.text import Text
from personadesk.store.database import Database
from personadesk.store.lines import LineStore

LINE = Line("a", 9001, Target("ws://127.0.0.1:5/api/chat", "pd-1"), LineState.UP, 10.0)


async def test_lines_come_back_as_they_were_put(database: Database) -> None:
    store = LineStore(database)
    empty = Line("b", 9002)
    await store.put(empty)
    await store.put(LINE)
    assert await store.all() == (LINE, empty)
    assert await store.get("a") == LINE
    assert await store.get("c") is None


async def test_two_lines_cannot_have_one_port(database: Database) -> None:
    store = LineStore(database)
    await store.put(LINE)
    with pytest.raises(BadRequest, match="Port 9001 belongs to another line"):
        await store.put(Line("b", 9001))
    assert await store.all() == (LINE,)


async def test_a_state_is_told_only_to_the_server_it_is_about(database: Database) -> None:
    store = LineStore(database)
    await store.put(LINE)
    assert not await store.tell("a", LineState.FAILED, 20.0, Text("gone"), server_id="pd-0")
    assert await store.get("a") == LINE
    assert await store.tell("a", LineState.FAILED, 20.0, Text("gone"), server_id="pd-1")
    assert not await store.tell("a", LineState.FAILED, 30.0, Text("gone"), server_id="pd-1")
    line = await store.get("a")
    assert line is not None
    assert (line.state, line.since, line.reason) == (LineState.FAILED, 20.0, Text("gone"))


async def test_what_was_said_during_a_look_counts_more_than_what_the_look_found(
    database: Database,
) -> None:
    store = LineStore(database)
    await store.put(LINE)
    why = Text("The limit is reached.")
    assert await store.tell("a", LineState.STOPPED, 20.0, why, server_id="pd-1")
    late = Text("The voice server is starting.")
    found = ("a", LineState.STARTING, 21.0, late)
    assert not await store.tell(*found, server_id="pd-1", seen=LINE)
    line = await store.get("a")
    assert line is not None
    assert (line.state, line.reason) == (LineState.STOPPED, why)
    assert await store.tell(*found, server_id="pd-1", seen=line)


async def test_a_removed_line_is_gone_and_its_port_free(database: Database) -> None:
    store = LineStore(database)
    await store.put(LINE)
    await store.remove("a")
    await store.remove("a")
    await store.put(Line("b", 9001))
    assert [line.name for line in await store.all()] == ["b"]
