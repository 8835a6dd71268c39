"""The console in a real call: real server (the echo), real conversation, real recording, by real clicks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QPushButton

from peers.echo_server import echo_server
from personadesk.store.database import Database
from personadesk.ui.dialogs import Question
from personadesk.ui.talk.call import Call, Partner
from personadesk.ui.talk.foreign import Foreign
from personadesk.ui.talk.kept_calls import KeptCalls
from personadesk.ui.talk.page import TalkPage
from personadesk.ui.talk.personas import Personas
from personadesk.ui.voice_lab.lab import Lab
from personadesk.voice.devices import Devices
from personadesk.voice.talk_view import TalkState


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An echo server; yields its address."""
    with echo_server(tmp_path_factory.mktemp("echo")) as told:
        yield f"ws://127.0.0.1:{told['port']}/api/chat"


def test_without_a_sound_device_one_click_makes_a_call_that_can_be_kept(
    run: Callable[[Awaitable[Any]], Any],
    echo: str,
    tmp_path: Path,
    clicker: Any,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(page: TalkPage, call: Call, kept: KeptCalls) -> None:
        console = page.console
        assert console.foot.talk.text() == "Play the built-in clip"
        clicker.click(console.foot.talk)
        assert clicker.clicks == 1
        await wait_for(lambda: console.call_card.pill.word == "In a call")
        clicker.click(console.foot.record)
        asked = next(each for each in page.findChildren(Question) if each.isVisible())
        clicker.press(asked, "Record")
        await wait_for(lambda: console.call_card.recording.isVisible())
        await wait_for(lambda: call.snapshot().lag.total_ms is not None)  # type: ignore[union-attr] # a call goes on
        await wait_for(lambda: console.lag_card.total.text().isdigit())
        await wait_for(lambda: max(console.call_card.waves._levels[1]) > 0.05, 30)
        await wait_for(lambda: call.snapshot().counts.received > 20)  # type: ignore[union-attr] # a call goes on
        clicker.click(console.foot.hang_up)
        await wait_for(lambda: not call.is_on)
        snapshot = call.snapshot()
        assert snapshot is not None
        assert snapshot.state is TalkState.ENDED
        switch = next(b for b in page.switch.findChildren(QPushButton) if b.text() == "Kept calls")
        clicker.click(switch)
        await wait_for(lambda: kept.found)
        assert kept.found is not None
        (one,) = kept.found
        assert one.line == "Echo"
        assert one.seconds > 0.5
        await wait_for(lambda: max(kept.levels[1], default=0.0) > 0.05)

    async def live() -> None:
        database = Database(tmp_path / "data.db")
        await database.open()
        services = SimpleNamespace(database=database, folders=SimpleNamespace(data=tmp_path))

        async def ready() -> Any:
            return services

        personas, kept = Personas(ready), KeptCalls(ready)
        call = Call(
            None, lambda **_choices: Devices(), lambda: personas.draft, lambda: kept.sessions()
        )
        call.show_partners((Partner("Echo", echo, server=echo),))
        page = TalkPage(call, personas, kept, Foreign(ready), Lab(ready))
        page.resize(1300, 900)
        page.show()
        page.activateWindow()
        page.entered()
        await wait_for(lambda: call.devices is not None and personas.voices is not None)
        try:
            await story(page, call, kept)
        finally:
            page.left()
            await call.close()
            page.hide()
            for each in (page, call, personas, kept):
                each.deleteLater()
            await database.close()

    run(live())
