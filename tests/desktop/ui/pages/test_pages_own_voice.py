"""An own voice from the console: a real server that wrote down what opens it, brought a voice by a real click."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QWidget

from peers.echo_server import echo_server
from personadesk.hosts.server_process import VOICES_TOKEN_FILE
from personadesk.hosts.servers import Servers
from personadesk.lines import own_voices
from personadesk.store.database import Database
from personadesk.store.servers import ServerRecord, ServerStore
from personadesk.ui.talk.personas import Personas
from personadesk.ui.talk.questions import ask_voice_name
from personadesk.voice import clips


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerRecord]:
    """An echo server with a folder for voices, and its record as a deploy would leave it."""
    state = tmp_path / "state"
    state.mkdir()
    words = (
        "--voices", str(tmp_path / "voices"),
        "--voices-token-file", str(state / VOICES_TOKEN_FILE),
    )  # fmt: skip
    with echo_server(tmp_path, *words) as told:
        yield ServerRecord("pd-1", state, words, f"ws://127.0.0.1:{told['port']}/api/chat")


def test_an_own_voice_is_brought_from_the_console_and_chosen(
    run: Callable[[Awaitable[Any]], Any],
    server: ServerRecord,
    tmp_path: Path,
    clicker: Any,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def live() -> None:
        database = Database(tmp_path / "data.db")
        await database.open()
        servers = Servers(ServerStore(database), tmp_path / "logs")
        await servers.store.put(server)
        services = SimpleNamespace(
            database=database,
            folders=SimpleNamespace(data=tmp_path),
            add_voice=partial(own_voices.add, servers),
        )

        async def ready() -> Any:
            return services

        personas = Personas(ready)
        window = QWidget()
        window.resize(900, 700)
        window.show()
        try:
            personas.look_for_voices(server.url)
            await wait_for(lambda: personas.voices is not None)
            asked = ask_voice_name(window, personas, clips.bundled())
            clicker.press(asked, "Bring it")
            name = f"{clips.bundled().stem}.wav"
            await wait_for(lambda: personas.draft.voice == name)
            assert [path.name for path in (tmp_path / "voices").iterdir()] == [name]
        finally:
            window.hide()
            for each in (window, personas):
                each.deleteLater()
            await database.close()

    run(live())
