"""Two processes' monitors: one samples, the other follows, and takes over when the first has gone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from personadesk.app import open_services
from personadesk.domain.sample import Absent, Gpu, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.lines.service import COMMAND
from personadesk.monitor.sharing import Following, Sharing, decode, encode
from personadesk.store.history import GroupKey
from personadesk.store.paths import folders

KEY = GroupKey("box", "host", "x")
SAMPLE = Sample(
    1_800_000_000.5, Source.HOST,
    (
        Reading(Metric.GPU_USE, "0", 41.5),
        Reading(Metric.GPU_FAN, "0", Absent(T("It says: {text}", text=T("no {n}", n=3)))),
    ),
    (Gpu("0", "GPU-1", "L4", divided=True),), T("There is none."),
)  # fmt: skip


async def _until(true, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def test_a_sample_arrives_as_it_was_with_every_reason():
    assert decode(encode(KEY, SAMPLE, 10.0)) == (KEY, SAMPLE, 10.0)
    with pytest.raises(ValueError):
        decode(b"[1, 2]")
    with pytest.raises(ValueError):
        decode(b"{")


async def test_who_does_not_know_the_token_is_told_nothing():
    looks: list[str] = []
    sharing = Sharing(lambda: [(KEY, SAMPLE, 1.0)], looks.append, looks.remove)
    facts = await sharing.open()
    try:
        stranger = await Following.open(facts | {"token": "0" * 32})
        stranger.look(["box"])
        assert [each async for each in stranger.samples()] == []
        assert looks == []
        await stranger.close()
        friend = await Following.open(facts)
        stream = friend.samples()
        assert await anext(stream) == (KEY, SAMPLE, 1.0)
        friend.look(["box"])
        await _until(lambda: looks == ["box"])
        later = replace(SAMPLE, at=SAMPLE.at + 1)
        sharing.tell(KEY, later, 1.0)
        assert (await anext(stream))[1] == later
        await friend.close()
        # Who has gone looks no more.
        await _until(lambda: looks == [])
    finally:
        await sharing.close()
    assert await Following.open(facts) is None


async def test_two_processes_sample_a_machine_once_and_the_second_goes_on_alone():
    keeper = await open_services(folders(), kind="terminal", serve_lines=False)
    window = await open_services(folders(), kind="window", serve_lines=False)
    command = await open_services(folders(), kind=COMMAND, serve_lines=False)
    try:
        first = await keeper.monitor()
        second, third = await window.monitor(), await command.monitor()
        assert first.samples_itself
        assert not second.samples_itself
        assert not third.samples_itself
        assert second._samplers == third._samplers == {}
        # A figure that needs two looks comes within seconds only if the keeper hurries for who looks elsewhere.
        second.look("local")
        await _until(lambda: isinstance(second.latest("local", Metric.CPU_USE), float), 5.0)
        assert first._samplers["local"].every_s == 1.0
        assert second.latest("local", Metric.CPU_USE) == first.latest("local", Metric.CPU_USE)
        assert second.judge() == []
        await keeper.close()
        await _until(lambda: second.samples_itself)
        await second.refresh()
        assert second.history.writes
        await third.refresh()
        assert not third.samples_itself
        await _until(lambda: second._samplers["local"].running)
    finally:
        for services in (keeper, window, command):
            await services.close()
