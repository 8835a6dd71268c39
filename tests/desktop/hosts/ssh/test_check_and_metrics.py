from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from personadesk.domain.fitness import judge
from personadesk.domain.host import Fitness, Reach
from personadesk.domain.plan import ModelKind
from personadesk.domain.sample import Absent, Metric
from personadesk.hosts import check, metrics
from personadesk.rehearsal import nvidia_smi

DATA = Path(__file__).parents[3] / "data" / "nvidia-smi"
SHARED = Path(os.environ.get("PERSONADESK_SHARED") or Path(__file__).parents[5] / "shared")
REAL = sorted((SHARED / "reference" / "nvidia-smi").glob("*.*ml")) + sorted(
    (SHARED / "reference" / "nvidia-smi").glob("*.json")
)
SYSTEM = "/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def gpu_host(make_sshd, reach, tmp_path):
    """Makes a host whose nvidia-smi shows a recording."""

    async def make(recording: Path, **now: str):
        nvidia_smi.install(tmp_path / "bin", recording, **now)
        return await reach.trusted(make_sshd(path=f"{tmp_path / 'bin'}:{SYSTEM}"))

    return make


@pytest.fixture
async def hub():
    """Something that answers in the model hub's place; its address."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_a_check_tells_what_a_machine_is_and_changes_nothing(gpu_host, hub):
    host = await gpu_host(DATA / "rtx-4090.json")
    home = Path(await host.home())
    before = sorted(home.rglob("*"))
    began = time.monotonic()
    facts = await check.look(host, hub=hub)
    assert time.monotonic() - began < 10
    assert sorted(home.rglob("*")) == before
    assert facts.system == "Linux"
    assert facts.machine == os.uname().machine
    assert facts.libc == "glibc"
    assert facts.is_root == (os.geteuid() == 0)
    assert facts.home == str(home)
    assert facts.cores >= 1
    assert facts.memory_bytes > 1 << 28
    assert [gpu.name for gpu in facts.gpus] == ["NVIDIA GeForce RTX 4090"]
    assert facts.gpus[0].memory_bytes == 24564 * 1024 * 1024
    assert facts.gpus[0].capability == "8.9"
    assert (facts.driver, facts.cuda) == ("595.71.05", "13.0")
    assert facts.pythons
    assert facts.places[0].path == f"{home}/.personadesk"
    assert facts.places[0].writable
    assert facts.places[0].free_bytes > 0
    assert facts.busy_ports
    assert abs(facts.skew_s) < 2
    assert facts.hub is Reach.YES
    assert facts.install is None


async def test_a_card_in_parts_is_told_with_its_parts(gpu_host, hub):
    facts = await check.look(await gpu_host(DATA / "h100-parts.json"), hub=hub)
    assert facts.gpus[0].parts == ("3g.40gb", "1g.10gb")


async def test_an_old_driver_does_not_know_every_field_and_is_read_all_the_same(gpu_host, hub):
    facts = await check.look(await gpu_host(DATA / "tesla-k80-old.json"), hub=hub)
    assert facts.gpus[0].name == "Tesla K80"
    assert facts.driver == "470.223.02"
    assert judge(facts, ModelKind.PERSONAPLEX_7B).verdict is Fitness.UNFIT


@pytest.mark.parametrize("fault", ["no-driver", "no-devices", "lost"])
async def test_a_driver_in_trouble_is_told_apart_from_no_gpu(gpu_host, hub, fault):
    facts = await check.look(await gpu_host(DATA / "rtx-4090.json", fault=fault), hub=hub)
    assert facts.gpus == ()
    found = judge(facts, ModelKind.PERSONAPLEX_7B)
    [gpu] = [finding for finding in found.findings if finding.about == "gpu"]
    assert "driver" in str(gpu.what)


async def test_a_machine_without_nvidia_smi(shared_sshd, reach, hub):
    facts = await check.look(await reach.trusted(shared_sshd), hub=hub)
    assert facts.gpus == ()
    assert "not installed" in facts.gpu_reason


async def test_a_hub_that_does_not_answer(shared_sshd, reach):
    facts = await check.look(await reach.trusted(shared_sshd), hub="http://127.0.0.1:9")
    assert facts.hub is Reach.NO


async def test_an_ordinary_user_is_checked_as_well(user_sshd, session_user, reach, hub):
    facts = await check.look(await reach.trusted(user_sshd), hub=hub)
    assert facts.user == session_user.name
    assert not facts.is_root
    unwritable = await check.look(
        await reach.trusted(user_sshd), hub=hub, folder="/etc/personadesk/x"
    )
    assert not unwritable.places[0].writable


async def _samples(host, count, **options):
    found: list = []
    enough = asyncio.Event()

    def take(sample):
        found.append(sample)
        if len(found) >= count:
            enough.set()

    work = asyncio.create_task(metrics.watch(host, take, every_s=0.3, **options))
    try:
        async with asyncio.timeout(20):
            await enough.wait()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    return found


async def test_figures_come_of_every_card_and_of_the_machine(gpu_host):
    host = await gpu_host(DATA / "rtx-4090.json", copies="3", state="load")
    last = (await _samples(host, 6))[-1]
    assert [gpu.index for gpu in last.gpus] == ["0", "1", "2"]
    for gpu in last.gpus:
        assert last.value(Metric.GPU_USE, gpu.index) == 71.0
        assert last.value(Metric.GPU_MEMORY_USED, gpu.index) == 19200 * 1024 * 1024
        assert last.value(Metric.GPU_THROTTLED, gpu.index) == 1.0
    for metric in (Metric.CPU_USE, Metric.MEMORY_USED, Metric.NET_SENT):
        assert isinstance(last.value(metric), float)
    assert isinstance(last.value(Metric.DISK_TOTAL, "/"), float)
    assert len(list(last.numbers())) > 20


async def test_a_machine_without_gpu_gives_its_other_figures_and_the_reason(shared_sshd, reach):
    last = (await _samples(await reach.trusted(shared_sshd), 2))[-1]
    assert last.gpus == ()
    assert "not installed" in str(last.gpu_reason)
    assert isinstance(last.value(Metric.MEMORY_TOTAL), float)


async def test_a_card_that_is_lost_is_told_at_once(gpu_host, tmp_path):
    host = await gpu_host(DATA / "rtx-4090.json")
    reasons: list[str] = []
    seen = asyncio.Event()

    def take(sample):
        if sample.gpus and not reasons:
            nvidia_smi.show(tmp_path / "bin", fault="lost")
            reasons.append("")
        elif reasons and not sample.gpus:
            reasons.append(str(sample.gpu_reason))
            seen.set()

    work = asyncio.create_task(metrics.watch(host, take, every_s=0.3))
    try:
        async with asyncio.timeout(20):
            await seen.wait()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert reasons[-1]


async def test_figures_come_again_after_a_cut_and_the_gap_is_told(own_sshd, reach):
    host = await reach.trusted(own_sshd)
    told: list = []
    count = 0
    again = asyncio.Event()

    def take(sample):
        nonlocal count
        count += 1
        if count == 2:
            own_sshd.cut()
        if told and told[-1] is None:
            again.set()

    work = asyncio.create_task(metrics.watch(host, take, every_s=0.3, on_trouble=told.append))
    try:
        async with asyncio.timeout(20):
            await again.wait()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert told[0] is not None
    assert told[-1] is None


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
async def test_real_recordings_through_the_whole_way(gpu_host, path):
    host = await gpu_host(path, state="load")
    last = (await _samples(host, 5))[-1]
    assert last.gpus
    assert isinstance(last.value(Metric.GPU_MEMORY_TOTAL, "0"), float)
    use = last.value(Metric.GPU_USE, "0")
    assert isinstance(use, Absent) == last.gpus[0].divided
