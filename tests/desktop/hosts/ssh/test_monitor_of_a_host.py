"""The monitor over a real sshd, with the stand-in for nvidia-smi: figures, a lost card, its alarm and its mark."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from personadesk.domain.alarm import RULES, Quantity
from personadesk.domain.event import EventKind
from personadesk.domain.sample import Metric
from personadesk.domain.text import T
from personadesk.monitor.alarms import Alarms
from personadesk.monitor.feeds import HostFeed
from personadesk.monitor.history import History
from personadesk.monitor.monitor import Monitor
from personadesk.monitor.sampler import FeedSpec
from personadesk.monitor.targets import Target
from personadesk.rehearsal import nvidia_smi
from personadesk.store.history import GroupKey, HistoryStore

DATA = Path(__file__).parents[3] / "data" / "nvidia-smi"


async def _until(wanted, limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not wanted():
            await asyncio.sleep(0.05)


async def test_a_card_that_is_lost_is_a_mark_and_an_alarm_and_a_gap(make_sshd, reach, tmp_path):
    nvidia_smi.install(tmp_path / "bin", DATA / "rtx-4090.json", copies="2", state="load")
    host = await reach.trusted(make_sshd(path=f"{tmp_path / 'bin'}:/usr/local/bin:/usr/bin:/bin"))

    class Scene:
        async def look(self):
            return (Target("box", T("Box"), (FeedSpec(GroupKey("box", "host")),)),)

        def make(self, spec):
            async def there():
                return host

            return HostFeed(there)

    store = HistoryStore(tmp_path / "history.db")
    await store.open()
    quick = [replace(rule, for_s=0.0) for rule in RULES if rule.quantity is Quantity.GPU_GONE]
    monitor = Monitor(Scene(), History(store), alarms=Alarms(quick))
    told = []
    monitor.subscribe_alarms(told.append)
    await monitor.start()
    began = time.time()
    try:
        monitor.look("box")
        await _until(lambda: monitor.latest("box", Metric.GPU_USE, "1") == 71.0)
        assert set(monitor.parts("box", Metric.GPU_USE)) == {"0", "1"}
        await _until(lambda: len(monitor.series("box", Metric.GPU_POWER, "0")) >= 3)
        assert monitor.alarms.active == ()
        nvidia_smi.show(tmp_path / "bin", fault="lost")
        await _until(lambda: told)
        assert told[0].on
        assert "Box" in str(told[0].text)
        drawn = await monitor.range("box", Metric.GPU_USE, "1", start=began - 60)
        assert np.isnan(drawn.mean[-1])
        assert 71.0 in drawn.high
        kinds = [event.kind for event in await monitor.events(began - 1, time.time() + 1, "box")]
        assert kinds.count(EventKind.GPU_LOST) == 2
        assert EventKind.ALARM_ON in kinds
    finally:
        await monitor.close()
