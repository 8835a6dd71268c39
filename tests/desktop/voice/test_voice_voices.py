"""The voices of a real server: listed, and an own one brought to it or refused in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from peers.echo_server import echo_server
from personadesk.domain.errors import AuthFailed, BadRequest, Unreachable
from personadesk.voice import clips, voices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "for-tests-only"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An echo server with a token and a folder for voices; yields its address."""
    folder = tmp_path_factory.mktemp("voices")
    (folder / "token").write_text(TOKEN)
    words = ("--voices", str(folder / "own"), "--token-file", str(folder / "token"))
    with echo_server(folder, *words) as told:
        yield str(told["url"])


async def test_the_token_is_asked_for(server: str) -> None:
    with pytest.raises(AuthFailed):
        await voices.of_server(server)
    with pytest.raises(AuthFailed):
        await voices.add(server, "anna", clips.bundled())
    assert await voices.of_server(server, TOKEN) == voices.Voices()


async def test_a_voice_is_brought_once(server: str) -> None:
    made = await voices.add(server, "anna", clips.bundled(), TOKEN)
    assert made.name == "anna.wav"
    with pytest.raises(BadRequest) as refused:
        await voices.add(server, "anna", clips.bundled(), TOKEN)
    assert refused.value.cause == "name_taken"
    with pytest.raises(BadRequest) as refused:
        await voices.add(server, "../anna", clips.bundled(), TOKEN)
    assert refused.value.cause == "voice"


async def test_files_that_cannot_be_a_voice_are_refused_before_anything_is_sent(
    tmp_path: Path, make_wav: Callable[..., Path]
) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    for path, cause in ((text, "not_wav"), (tmp_path / "none.wav", "unreadable")):
        with pytest.raises(BadRequest) as refused:
            await voices.add("ws://127.0.0.1:9", "anna", path)
        assert refused.value.cause == cause


async def test_nobody_there_is_told() -> None:
    with pytest.raises(Unreachable):
        await voices.of_server("ws://127.0.0.1:9")
