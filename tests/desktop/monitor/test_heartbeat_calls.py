"""Test calls to a real server with the echo engine, and to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from peers.echo_server import echo_server
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.sample import Absent, Metric, Sample
from personadesk.hosts import local
from personadesk.monitor.heartbeat import TALKING, Heartbeat
from personadesk.voice.proof import FRESH_SECONDS, Proofs


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real server that returns what it hears; its port."""
    with echo_server(tmp_path_factory.mktemp("echo")) as told:
        yield int(told["port"])


def _line(port: int, state: LineState = LineState.UP) -> Line:
    return Line("a", port, Target(f"ws://127.0.0.1:{port}/api/chat", "pd-1"), state)


def _heartbeat(line: Line, got: list, *, busy: bool = False, proofs: Proofs | None = None):
    async def is_busy(server_id: str) -> bool:
        assert server_id == "pd-1"
        return busy

    return Heartbeat(lambda: (line,), is_busy, proofs or Proofs(), lambda *told: got.append(told))


async def _beat(line: Line, **more) -> list[tuple[str, Sample]]:
    got: list[tuple[str, Sample]] = []
    await _heartbeat(line, got, **more).beat()
    return got


async def test_a_voice_that_answers_is_heard_and_timed(echo: int):
    [(server, sample)] = await _beat(_line(echo))
    assert server == "pd-1"
    assert sample.value(Metric.VOICE_ANSWERS, "pd-1") == 1.0
    for metric in (
        Metric.VOICE_CONNECT, Metric.VOICE_READY, Metric.VOICE_FIRST_SOUND, Metric.VOICE_ROUND_TRIP
    ):  # fmt: skip
        assert 0 <= sample.value(metric, "pd-1") < 10


async def test_two_who_want_to_know_are_told_by_one_call_and_both_are_kept(echo: int):
    line, got, now = _line(echo), [], [1_800_000_000.0]
    proofs = Proofs(clock=lambda: now[0])
    heartbeat = _heartbeat(line, got, proofs=proofs)
    url = line.target.url
    assert not proofs.is_calling(url)
    await asyncio.gather(proofs.prove(url), proofs.prove(url), heartbeat.beat())
    # The server may still count the call for a moment.
    assert proofs.is_calling(url)
    assert not proofs.is_calling("ws://127.0.0.1:1/")
    await heartbeat.beat()
    assert len(got) == 1
    now[0] += FRESH_SECONDS + 1
    await heartbeat.beat()
    assert len(got) == 2


async def test_nobody_there_is_told_with_the_reason_and_called_again():
    got: list[tuple[str, Sample]] = []
    heartbeat = _heartbeat(_line(local.pick_port()), got)
    await heartbeat.beat()
    await heartbeat.beat()
    assert len(got) == 2
    assert got[0][1].value(Metric.VOICE_ANSWERS, "pd-1") == 0.0
    assert isinstance(got[0][1].value(Metric.VOICE_READY, "pd-1"), Absent)


async def test_who_talks_is_not_disturbed():
    [(_, sample)] = await _beat(_line(9), busy=True)
    assert sample.value(Metric.VOICE_ANSWERS, "pd-1") == TALKING


async def test_a_line_that_sleeps_is_not_called():
    assert await _beat(_line(9, LineState.STOPPED)) == []
