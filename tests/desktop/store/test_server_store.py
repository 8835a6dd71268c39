from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from personadesk.store.database import Database
from personadesk.store.servers import ServerIntent, ServerRecord, ServerStore

SERVER = ServerRecord(
    "pd-1", Path("/state/pd-1"), ("/env/python", "-m", "x y"), "ws://127.0.0.1:5/api/chat", "rehearsal",
    ServerIntent.STARTING, 3.0,
)  # fmt: skip


async def test_a_server_is_known_until_it_is_forgotten(database: Database) -> None:
    store = ServerStore(database)
    await store.put(SERVER)
    assert await store.get("pd-1") == SERVER
    running = replace(SERVER, intent=ServerIntent.RUNNING)
    await store.put(running)
    assert await store.all() == [running]
    await store.forget("pd-1")
    assert await store.all() == []
    assert await store.get("pd-1") is None
