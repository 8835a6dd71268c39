"""This computer's own figures, with the real stand-in for nvidia-smi where a card is wanted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from personadesk.domain.sample import Absent, Metric, Sample
from personadesk.hosts import computer_metrics
from personadesk.rehearsal import nvidia_smi

DATA = Path(__file__).parents[2] / "data" / "nvidia-smi"


async def _until(wanted, *, every_s: float = 0.1) -> Sample:
    """Watch until a sample is as wanted."""
    found: asyncio.Future[Sample] = asyncio.get_running_loop().create_future()

    def take(sample: Sample) -> None:
        if wanted(sample) and not found.done():
            found.set_result(sample)

    work = asyncio.create_task(computer_metrics.watch(take, every_s=every_s))
    try:
        async with asyncio.timeout(20):
            return await found
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a recording into the place of nvidia-smi."""

    def put(name: str, **now: str) -> None:
        nvidia_smi.install(tmp_path / "bin", DATA / name, **now)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return put


async def test_this_computer_tells_its_figures_and_rates_at_the_second_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    sample = await _until(lambda s: isinstance(s.value(Metric.CPU_USE), float))
    for metric in (Metric.MEMORY_USED, Metric.MEMORY_TOTAL, Metric.LOAD, Metric.NET_SENT):
        assert isinstance(sample.value(metric), float), metric
    assert isinstance(sample.value(Metric.DISK_TOTAL, "/"), float)
    assert sample.gpus == ()
    assert "nvidia-smi" in str(sample.gpu_reason)


async def test_cards_are_told_while_they_work(cards):
    cards("rtx-4090.json", copies="2", state="load")
    sample = await _until(lambda s: len(s.gpus) == 2)
    assert sample.value(Metric.GPU_USE, "1") == 71.0
    assert not sample.gpu_reason


async def test_an_old_driver_that_knows_fewer_fields_is_read_all_the_same(cards):
    cards("tesla-k80-old.json")
    sample = await _until(lambda s: s.gpus)
    assert sample.gpus[0].name == "Tesla K80"
    assert isinstance(sample.value(Metric.GPU_MEMORY_USED, "0"), float)
    assert isinstance(sample.value(Metric.GPU_THROTTLED, "0"), float | Absent)


async def test_a_driver_in_trouble_is_the_reason(cards):
    cards("rtx-4090.json", fault="no-driver")
    sample = await _until(lambda s: "couldn't communicate" in str(s.gpu_reason))
    assert sample.gpus == ()
