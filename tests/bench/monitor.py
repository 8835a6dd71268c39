"""What watching costs: writing and opening the history, sampling 8 GPUs every second, memory at 1,600 groups.

    python packaging/bootstrap.py bench monitor [--seconds N]

Processor times count, not the clock: other programs may keep this computer busy. A table goes to stderr, one JSON
object is the last line on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server"), str(ROOT / "tests")]

OPEN_LIMIT_MS, SAMPLER_LIMIT_PERCENT, GROWTH_LIMIT_MIB = 200.0, 3.0, 8.0
HOSTS, CARDS = 200, 8
FLEET_TICKS = 60
GROUPS = 1600
HOUR_TICKS, SETTLED = 360, 150
"""Of the groups, ten seconds of their clock each; and after how many memory counts: by then all rings are full."""
MONTH = 30 * 86_400


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of sampling")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pd-bench-") as folder:
        base = Path(folder)
        result = {
            "area": "monitor",
            **asyncio.run(_month(base)),
            **asyncio.run(_sampling(base, arguments.seconds)),
            **asyncio.run(_fleet(base)),
            **asyncio.run(_hour(base)),
        }
    result["limits"] = {
        "open_month_ms": OPEN_LIMIT_MS, "sampler_percent_of_a_core": SAMPLER_LIMIT_PERCENT,
        "growth_mib_per_hour": GROWTH_LIMIT_MIB,
    }  # fmt: skip
    result["within"] = {
        "open_month": result["open_month_ms"] < OPEN_LIMIT_MS,
        "sampler": result["sampler_percent_of_a_core"] < SAMPLER_LIMIT_PERCENT,
        "growth": result["growth_mib_per_hour"] < GROWTH_LIMIT_MIB,
    }
    result["cores"] = os.cpu_count()
    for key, value in result.items():
        if isinstance(value, int | float):
            print(f"{key:<36}{value:>12}", file=sys.stderr)
    print(json.dumps(result))
    return 0


def _sample(at: float, cards: int) -> Any:
    """What a machine with so many GPUs tells, in full."""
    from personadesk.domain.sample import Gpu, Metric, Reading, Sample, Source
    from personadesk.hosts.gpu_table import FIGURES

    readings = [
        Reading(metric, str(card), (at * (card + 1)) % 97)
        for card in range(cards)
        for metric in FIGURES.values()
    ]
    readings += [
        Reading(metric, "", at % 89)
        for metric in (Metric.CPU_USE, Metric.LOAD, Metric.MEMORY_USED, Metric.MEMORY_TOTAL)
    ]
    gpus = tuple(Gpu(str(card), f"GPU-{card}", "NVIDIA L40S") for card in range(cards))
    return Sample(at, Source.HOST, tuple(readings), gpus)


class _Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class _Scene:
    """Machines whose samples the benchmark makes."""

    def __init__(self, count: int) -> None:
        from personadesk.domain.text import T
        from personadesk.monitor.sampler import FeedSpec
        from personadesk.monitor.targets import Target
        from personadesk.store.history import GroupKey

        self.keys = [GroupKey(f"h{number}", "host") for number in range(count)]
        self.targets = tuple(Target(key.host, T("x"), (FeedSpec(key),)) for key in self.keys)

    async def look(self) -> Any:
        return self.targets

    def make(self, spec: Any) -> Any:
        from personadesk.domain.sample import Source

        class Still:
            source, origin = Source.HOST, ""

            def pace(self, every_s: float) -> float:
                return every_s

            async def run(self, take: Any, tell: Any, every_s: float) -> None:
                await asyncio.Event().wait()

        return Still()


async def _monitor(path: Path, count: int, clock: Any) -> tuple[Any, Any]:
    from personadesk.monitor.history import History
    from personadesk.monitor.monitor import Monitor
    from personadesk.store.history import HistoryStore

    store = HistoryStore(path)
    await store.open()
    scene = _Scene(count)
    monitor = Monitor(scene, History(store, clock=clock), clock=clock)
    await monitor.refresh()
    return monitor, scene


async def _month(base: Path) -> dict[str, float]:
    """A month of a machine with 8 GPUs, a sample for each bucket of the last level; then open 30 days of it."""
    from personadesk.domain.sample import Metric

    clock = _Clock()
    monitor, scene = await _monitor(base / "month.db", 1, clock)
    for number in range(MONTH // 600):
        clock.now += 600
        monitor.take(scene.keys[0], _sample(clock.now, 8))
        if number % 20 == 0:
            await monitor.history.keep()
    await monitor.history.keep()
    took, processor = [], []
    for card in range(8):
        wall, cpu = time.perf_counter(), time.process_time()
        found = await monitor.range("h0", Metric.GPU_USE, str(card), start=clock.now - MONTH)
        took.append((time.perf_counter() - wall) * 1000)
        processor.append((time.process_time() - cpu) * 1000)
    await monitor.close()
    return {
        "open_month_ms": round(statistics.median(took), 1),
        "open_month_worst_ms": round(max(took), 1),
        "open_month_processor_ms": round(statistics.median(processor), 1),
        "open_month_points": len(found),
    }


async def _sampling(base: Path, seconds: float) -> dict[str, float]:
    """The whole way from nvidia-smi's rows of 8 GPUs into rings, file and alarms, every second.

    Only our own process counts: what nvidia-smi costs, the driver decides.
    """
    from personadesk.domain.sample import Metric
    from personadesk.domain.text import T
    from personadesk.hosts.here import this_computer
    from personadesk.monitor.feeds import HostFeed
    from personadesk.monitor.history import History
    from personadesk.monitor.monitor import Monitor
    from personadesk.monitor.sampler import FeedSpec
    from personadesk.monitor.targets import Target
    from personadesk.rehearsal import nvidia_smi
    from personadesk.store.history import GroupKey, HistoryStore

    recording = ROOT / "tests" / "data" / "nvidia-smi" / "rtx-4090.json"
    nvidia_smi.install(base / "bin", recording, copies="8", state="load")
    os.environ["PATH"] = f"{base / 'bin'}:{os.environ['PATH']}"

    class Here:
        async def look(self) -> Any:
            return (Target("here", T("Here"), (FeedSpec(GroupKey("here", "host")),)),)

        def make(self, spec: Any) -> Any:
            async def reach() -> Any:
                return this_computer()

            return HostFeed(reach)

    store = HistoryStore(base / "live.db")
    await store.open()
    monitor = Monitor(Here(), History(store))
    await monitor.start()
    monitor.look("here")
    while monitor.latest("here", Metric.GPU_USE, "7") is None:
        await asyncio.sleep(0.1)
    wall, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    busy = (time.process_time() - cpu) / (time.monotonic() - wall) * 100
    count = len(monitor.series("here", Metric.GPU_USE, "7"))
    await monitor.close()
    return {"sampler_percent_of_a_core": round(busy, 2), "sampled": count}


async def _fleet(base: Path) -> dict[str, float]:
    """1,600 GPUs of 200 machines by a clock of their own: what a second of all of them costs."""
    clock = _Clock()
    monitor, scene = await _monitor(base / "fleet.db", HOSTS, clock)
    takes, judgements, writes = [], [], []
    for _ in range(FLEET_TICKS):
        clock.now += 1
        sample = _sample(clock.now, CARDS)
        times = [time.process_time()]
        for key in scene.keys:
            monitor.take(key, sample)
        times.append(time.process_time())
        monitor.judge()
        times.append(time.process_time())
        await monitor.history.keep()
        times.append(time.process_time())
        takes.append(times[1] - times[0])
        judgements.append(times[2] - times[1])
        writes.append(times[3] - times[2])
    await monitor.close()
    return {
        "fleet_gpus": HOSTS * CARDS,
        "fleet_take_ms": round(statistics.median(takes) * 1000, 1),
        "fleet_judge_ms": round(statistics.median(judgements) * 1000, 1),
        "fleet_write_and_roll_up_ms": round(statistics.mean(writes) * 1000, 1),
    }


async def _hour(base: Path) -> dict[str, float]:
    """An hour of 1,600 groups at the pace of the background, by a clock of its own: whether memory stays."""
    import psutil

    clock = _Clock()
    monitor, scene = await _monitor(base / "hour.db", GROUPS, clock)
    process = psutil.Process()
    memory = []
    last = SETTLED + HOUR_TICKS
    for tick in range(last + 1):
        clock.now += 10
        sample = _sample(clock.now, 1)
        for key in scene.keys:
            monitor.take(key, sample)
        monitor.judge()
        await monitor.history.keep()
        if tick in {SETTLED, last}:
            gc.collect()
            memory.append(process.memory_info().rss / 2**20)
    kept = await monitor.history.store.bytes_held() / 2**20
    await monitor.close()
    return {
        "memory_groups": len(scene.keys),
        "memory_start_mib": round(memory[0], 1),
        "memory_end_mib": round(memory[1], 1),
        "growth_mib_per_hour": round(memory[1] - memory[0], 1),
        "history_mib": round(kept, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
