"""Test calls to a real server with the echo engine, and to nobody."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.sample import Absent, Metric, Sample
from personadesk.hosts import local
from personadesk.monitor.heartbeat import TALKING, Heartbeat


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real server that returns what it hears; its port."""
    folder = tmp_path_factory.mktemp("echo")
    ready = folder / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo",
         "--port", "0", "--ready-file", str(ready)],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while not ready.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    yield int(str(json.loads(Path(ready).read_text())["url"]).rpartition(":")[2].split("/")[0])
    process.kill()
    process.wait(10)


async def _beat(port: int, *, busy: bool = False, state: LineState = LineState.UP) -> list:
    line = Line("a", port, Target(f"ws://127.0.0.1:{port}/api/chat", "pd-1"), state)
    got: list[tuple[str, Sample]] = []

    async def is_busy(server_id: str) -> bool:
        assert server_id == "pd-1"
        return busy

    heartbeat = Heartbeat(lambda: (line,), is_busy, lambda *told: got.append(told))
    assert not heartbeat.is_calling("pd-1")
    await heartbeat.beat()
    if got and not busy:
        # The server may still count the call for a moment.
        assert heartbeat.is_calling("pd-1")
        assert not heartbeat.is_calling("pd-2")
    return got


async def test_a_voice_that_answers_is_heard_and_timed(echo: int):
    [(server, sample)] = await _beat(echo)
    assert server == "pd-1"
    assert sample.value(Metric.VOICE_ANSWERS, "pd-1") == 1.0
    for metric in (Metric.VOICE_CONNECT, Metric.VOICE_READY, Metric.VOICE_FIRST_SOUND):
        assert 0 <= sample.value(metric, "pd-1") < 10


async def test_nobody_there_is_told_with_the_reason():
    [(_, sample)] = await _beat(local.pick_port())
    assert sample.value(Metric.VOICE_ANSWERS, "pd-1") == 0.0
    assert isinstance(sample.value(Metric.VOICE_READY, "pd-1"), Absent)


async def test_who_talks_is_not_disturbed():
    [(_, sample)] = await _beat(9, busy=True)
    assert sample.value(Metric.VOICE_ANSWERS, "pd-1") == TALKING


async def test_a_line_that_sleeps_is_not_called():
    assert await _beat(9, state=LineState.STOPPED) == []
