"""The voice test and a conversation against the real server: its own process, real sockets, real Opus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from personadesk.domain.errors import NoCapacity
from personadesk.domain.report import Verdict
from personadesk.voice.talk import CLIP, NO_SPEAKER, TalkSession, TalkState
from personadesk.voice.test import run_voice_test

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the rehearsal model, which also has the echo; yields its address."""
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "personaplex_server"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, "make-checkpoint", "--preset", "rehearsal", str(folder / "model")],
        check=True, capture_output=True, env=environment, timeout=60,
    )  # fmt: skip
    ready = folder / "ready"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "serve", "--checkpoint", str(folder / "model"), "--port", "0",
             "--threads", "1", "--ready-file", str(ready)],
            stdout=log, stderr=log, env=environment,
        )  # fmt: skip
    try:
        yield _wait_for(ready, process, folder / "log")
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(ready: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    import httpx

    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if ready.exists():
            url = str(json.loads(ready.read_text())["url"])
            health = httpx.get(f"{url}/health", trust_env=False).json()
            if health["state"] == "ready":
                return url
        time.sleep(0.1)
    raise AssertionError(f"the server did not become ready:\n{log.read_text()}")


async def test_the_rehearsal_model_answers_the_bundled_question(server: str) -> None:
    report, recording = await run_voice_test(server)
    assert not recording.failure
    assert report.verdict is not Verdict.FAIL or report.values["stalls"], report.reasons
    assert report.rehearsal is True
    assert report.engine == "personaplex"
    assert report.values["heard_anything"] is True
    assert report.values["clean_close"] is True
    assert report.values["real_time_factor_from"] in ("server", "pace")
    assert float(str(report.values["seconds_heard"])) > 5.0
    assert report.values["bad_pages"] == report.values["skipped_bytes"] == 0
    assert "untrained" in str(report.explanation) or report.verdict is not Verdict.PASS


async def test_the_echo_gives_the_question_back(server: str) -> None:
    report, recording = await run_voice_test(server, query={"engine": "echo"})
    assert report.engine == "echo"
    assert report.rehearsal is False
    said, heard = recording.axis()
    loud = abs(heard).max() / abs(said).max()
    assert 0.7 < loud < 1.4, "the same voice at the same level"
    assert float(str(report.values["first_sound_s"])) > 0.3, "after the echo's delay"


async def test_a_second_caller_is_told_that_the_server_is_busy(server: str) -> None:
    talk = TalkSession(server, source=CLIP, sink=NO_SPEAKER)
    talk.start()
    try:
        _wait_until(talk, TalkState.IN_CALL)
        with pytest.raises(NoCapacity) as caught:
            await run_voice_test(server, handshake_timeout=5)
        assert caught.value.cause == "busy"
    finally:
        talk.hang_up()
        assert talk.join(10)
    assert talk.snapshot().state is TalkState.ENDED


def test_a_conversation_with_the_echo_shows_both_sides(server: str) -> None:
    talk = TalkSession(server, query={"engine": "echo"}, source=CLIP, sink=NO_SPEAKER)
    talk.start()
    try:
        _wait_until(talk, TalkState.IN_CALL)
        time.sleep(2.5)
        view = talk.snapshot()
    finally:
        talk.hang_up()
        assert talk.join(10)
    assert view.frames > 15
    assert max(view.you_wave) > 0.1
    assert max(view.voice_wave) > 0.1
    assert view.lag_ms is not None


def _wait_until(talk: TalkSession, state: TalkState) -> None:
    end = time.monotonic() + 20
    while (view := talk.snapshot()).state is not state:
        assert view.state is not TalkState.FAILED, view.reason
        assert time.monotonic() < end, view.state
        time.sleep(0.05)
