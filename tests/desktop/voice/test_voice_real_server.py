"""The voice test and a conversation against the real server: its own process, real sockets, real Opus."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from peers.tcp_proxy import TcpProxy
from personadesk.domain.errors import NoCapacity
from personadesk.domain.report import Verdict
from personadesk.voice.figures import Stage
from personadesk.voice.sessions import Ending, Sessions
from personadesk.voice.talk import CLIP, NO_SPEAKER, TalkSession, TalkState
from personadesk.voice.test import run_voice_test
from personadesk.voice.transcript_files import read_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from personadesk.voice.talk import TalkSnapshot


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


@pytest.mark.parametrize("stage", [Stage.UPLINK, Stage.DOWNLINK])
async def test_the_way_that_became_slow_is_the_one_that_is_named(server: str, stage: Stage) -> None:
    async with TcpProxy(int(server.rsplit(":", 1)[1])) as proxy:
        talk = _echo_call(f"ws://127.0.0.1:{proxy.port}")
        try:
            before = await _until(talk, lambda v: v.lag.total_ms is not None and v.seconds > 2)
            way = before.lag.of(stage).ms
            assert way is not None
            if stage is Stage.UPLINK:
                proxy.weather.up_s = 0.4
            else:
                proxy.weather.down_s = 0.4
            after = await _until(talk, lambda v: v.lag.culprit is stage)
            slow = after.lag.of(stage).ms
            assert slow is not None
            assert slow - way > 250
            assert "The network" in str(after.lag.blame)
        finally:
            talk.hang_up()
            assert await asyncio.to_thread(talk.join, 10)


async def test_a_stall_passes_without_a_break_and_leaves_no_lag_behind(server: str) -> None:
    async with TcpProxy(int(server.rsplit(":", 1)[1])) as proxy:
        talk = _echo_call(f"ws://127.0.0.1:{proxy.port}")
        try:
            before = await _until(talk, lambda v: v.lag.total_ms is not None and v.frames > 15)
            await proxy.stall(0.8)
            stalled = await _until(
                talk, lambda v: v.buffer.underruns > before.buffer.underruns and v.buffer.ms > 0
            )
            assert stalled.counts.late >= 0
            after = await _until(
                talk,
                lambda v: (
                    v.frames > stalled.frames + 25
                    and v.lag.of(Stage.JITTER_BUFFER).ms is not None
                    and v.lag.of(Stage.JITTER_BUFFER).ms < 120
                ),
            )
            assert not after.link.breaks
            assert after.state is TalkState.IN_CALL
        finally:
            talk.hang_up()
            assert await asyncio.to_thread(talk.join, 10)


async def test_a_call_whose_connection_breaks_is_taken_up_again(
    server: str, tmp_path: Path
) -> None:
    async with TcpProxy(int(server.rsplit(":", 1)[1])) as proxy:
        talk = _echo_call(f"ws://127.0.0.1:{proxy.port}")
        try:
            before = await _until(talk, lambda v: v.frames > 10 and v.link.resumable)
            talk.record(Sessions(tmp_path), "echo")
            await _until(talk, lambda v: v.keeping.on)
            proxy.weather.refusing = True
            proxy.cut()
            gone = await _until(talk, lambda v: v.link.reconnecting)
            assert gone.state is TalkState.IN_CALL
            assert gone.link.gives_up_in is not None
            assert 20 < gone.link.gives_up_in <= 30
            await asyncio.sleep(0.5)
            proxy.weather.refusing = False
            again = await _until(talk, lambda v: not v.link.reconnecting)
            (gap,) = again.link.breaks
            assert gap.resumed
            assert 0.4 < gap.seconds < 8
            assert "line went dead" in str(gap.reason)
            later = await _until(
                talk, lambda v: v.frames > before.frames + 20 and v.lag.total_ms is not None
            )
            network = later.lag.of(Stage.UPLINK).ms
            assert network is not None
            assert network < 60, "the frames are still told apart rightly after the break"
            assert later.counts.lost >= 0
        finally:
            talk.hang_up()
            assert await asyncio.to_thread(talk.join, 10)
    [kept] = Sessions(tmp_path).all()
    assert kept.ending is Ending.WHOLE
    kinds = {event["what"] for event in read_events(kept.folder)}
    assert {"recording", "broke", "resumed"} <= kinds


async def test_a_server_that_is_gone_for_good_is_given_up_with_a_reason(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personadesk.voice.talk._GIVE_UP_SECONDS", 1.0)
    async with TcpProxy(int(server.rsplit(":", 1)[1])) as proxy:
        talk = _echo_call(f"ws://127.0.0.1:{proxy.port}")
        try:
            await _until(talk, lambda v: v.link.resumable and v.frames > 3)
            await proxy.stop()
            end = await _until(talk, lambda v: v.state is TalkState.FAILED)
            assert "could not be taken up again within 1 seconds" in str(end.reason)
            assert "Nothing listens" in end.details or "went dead" in end.details
            assert not end.link.breaks[-1].resumed
        finally:
            talk.hang_up()
            assert await asyncio.to_thread(talk.join, 10)


def _echo_call(url: str) -> TalkSession:
    talk = TalkSession(url, query={"engine": "echo"}, source=CLIP, sink=NO_SPEAKER)
    talk.start()
    return talk


async def _until(talk: TalkSession, fits: Callable[[TalkSnapshot], bool]) -> TalkSnapshot:
    async with asyncio.timeout(20):
        while not fits(view := talk.snapshot()):
            await asyncio.sleep(0.05)
    return view


def _wait_until(talk: TalkSession, state: TalkState) -> None:
    end = time.monotonic() + 20
    while (view := talk.snapshot()).state is not state:
        assert view.state is not TalkState.FAILED, view.reason
        assert time.monotonic() < end, view.state
        time.sleep(0.05)
