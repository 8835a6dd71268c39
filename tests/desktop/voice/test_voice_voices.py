"""The voices of a real server: listed, and an own one brought to it or refused in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

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
    ready = folder / "ready"
    process = subprocess.Popen(
        [sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo", "--port", "0",
         "--voices", str(folder / "own"), "--token-file", str(folder / "token"),
         "--ready-file", str(ready)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        yield str(json.loads(ready.read_text())["url"])
    finally:
        process.terminate()
        process.wait(20)


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
