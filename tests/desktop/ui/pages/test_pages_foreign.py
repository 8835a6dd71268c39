"""A server of somebody else in the console: refused, given its token by real clicks, and talked to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit

import talk_scenes
from peers.echo_server import echo_server
from personadesk.store.database import Database
from personadesk.store.foreign import ForeignStore
from personadesk.store.secrets import Secrets
from personadesk.ui.dialogs import Question
from personadesk.ui.spawn import drain
from personadesk.ui.talk.call import Call
from personadesk.ui.talk.foreign import Foreign
from personadesk.ui.talk.foreign_dialog import ForeignDialog
from personadesk.ui.talk.page import TalkPage
from personadesk.ui.talk.personas import Personas
from personadesk.voice.devices import Devices
from personadesk.voice.foreign import ForeignServers

TOKEN = "for-tests-only"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """An echo server that asks for a token; yields host and port."""
    (tmp_path / "token").write_text(TOKEN)
    with echo_server(tmp_path, "--token-file", str(tmp_path / "token")) as told:
        yield f"127.0.0.1:{told['port']}"


class Desk:
    """The console on real services, as far as it needs them here."""

    def __init__(self, home: Path) -> None:
        self.database = Database(home / "data.db")
        self.secrets = Secrets()
        self.secrets.keep_in_memory()
        self.servers = ForeignServers(ForeignStore(self.database), self.secrets, list)
        services = SimpleNamespace(database=self.database, foreign=self.servers)

        async def ready() -> Any:
            return services

        self.foreign = Foreign(ready)
        self.personas = Personas(ready, token=self.foreign.token_for)
        self.call = Call(
            None, lambda **_choices: Devices(), lambda: self.personas.draft,
            token=self.foreign.token_for,
        )  # fmt: skip
        self.foreign.changed.connect(lambda _name: self.call.show_partners(self.foreign.partners))
        self.page = TalkPage(
            self.call, self.personas, talk_scenes.kept_of(), self.foreign, talk_scenes.lab_of()
        )

    @property
    def card(self) -> Any:
        return self.page.console.partner_card

    def dialog(self) -> ForeignDialog:
        """Return the dialog that is open."""
        (found,) = [each for each in self.page.findChildren(ForeignDialog) if each.isVisible()]
        return found


@pytest.fixture
def with_desk(
    run: Callable[[Awaitable[Any]], Any], tmp_path: Path, wait_for: Callable[..., Awaitable[None]]
) -> Callable[..., None]:
    def use(story: Callable[[Desk], Awaitable[None]]) -> None:
        async def live() -> None:
            desk = Desk(tmp_path)
            await desk.database.open()
            desk.page.resize(1300, 900)
            desk.page.show()
            desk.page.activateWindow()
            desk.page.entered()
            await wait_for(lambda: desk.call.devices is not None and desk.page.isActiveWindow())
            try:
                await story(desk)
            finally:
                desk.page.left()
                await drain()
                await desk.call.close()
                desk.page.hide()
                for each in (desk.page, desk.call, desk.personas, desk.foreign):
                    each.deleteLater()
                await desk.database.close()

        run(live())

    return use


def test_a_server_that_asks_for_a_token_gets_it_from_its_field_and_is_talked_to(
    with_desk: Callable[..., None],
    server: str,
    clicker: Any,
    wait_for: Callable[..., Awaitable[None]],
) -> None:
    async def story(desk: Desk) -> None:
        desk.card.line_menu.actions()[0].trigger()
        asked = desk.dialog()
        assert asked.address is not None
        assert asked.token.edit.echoMode() is QLineEdit.EchoMode.Password
        QTest.keyClicks(asked.address.edit, server)
        clicker.click(asked.keep)
        await wait_for(lambda: desk.card.lines.currentText() == server)
        clicker.click(desk.page.console.foot.talk)
        give = "Give its token…"
        await wait_for(lambda: any(b.text() == give for b in _buttons(desk.page)), 60)
        clicker.press(desk.page, give)
        asked = desk.dialog()
        assert asked.address is None
        QTest.keyClicks(asked.token.edit, TOKEN)
        clicker.click(asked.keep)
        await wait_for(lambda: desk.personas.voices is not None)
        assert desk.personas.fault is None
        clicker.click(desk.page.console.foot.talk)
        await wait_for(lambda: desk.page.console.call_card.pill.word == "In a call", 60)
        assert TOKEN not in "".join(each.read_text("latin1") for each in _files(desk))

    with_desk(story)


def test_a_wrong_address_is_told_below_its_field_and_nothing_is_kept(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        desk.card.line_menu.actions()[0].trigger()
        asked = desk.dialog()
        assert asked.address is not None
        QTest.keyClicks(asked.address.edit, "gopher://old")
        clicker.click(asked.keep)
        address = asked.address
        await wait_for(lambda: address.fault)
        assert "gopher://old" in address.fault
        assert asked.keep.isEnabled()
        assert await desk.servers.all() == ()
        clicker.click(asked.cancel)

    with_desk(story)


def test_a_server_is_forgotten_after_a_question_and_its_token_with_it(
    with_desk: Callable[..., None], clicker: Any, wait_for: Callable[..., Awaitable[None]]
) -> None:
    async def story(desk: Desk) -> None:
        await desk.servers.add("ws://127.0.0.1:9", "Work", TOKEN)
        desk.foreign.load()
        await wait_for(lambda: desk.card.lines.currentText() == "Work")
        desk.card.forget.trigger()
        (question,) = desk.page.findChildren(Question)
        clicker.press(question, "Forget")
        await wait_for(lambda: desk.card.lines.count() == 0)
        assert await desk.secrets.get("server-token Work") is None
        assert not desk.card.forget.isEnabled()

    with_desk(story)


def _buttons(page: TalkPage) -> list[Any]:
    from PySide6.QtWidgets import QPushButton

    return [each for each in page.findChildren(QPushButton) if each.isVisible()]


def _files(desk: Desk) -> list[Path]:
    folder = desk.database.path.parent
    return [each for each in folder.rglob("*") if each.is_file() and each.name != "token"]
