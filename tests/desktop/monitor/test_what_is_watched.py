"""Which machines are watched and by what, out of the real stores; and who keeps the history when several could."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from personadesk.app import open_services
from personadesk.domain.host import HostKey, HostRecord, KeySource, SshAddress
from personadesk.domain.machine import Machine, MachineState
from personadesk.domain.provider import YES, no
from personadesk.domain.sample import Absent, Metric, Reading, Source
from personadesk.domain.text import T
from personadesk.hosts.remote.servers import PlacedServers
from personadesk.hosts.ssh.directory import Hosts
from personadesk.lines.service import COMMAND
from personadesk.monitor.alarms import Alarms, measure
from personadesk.monitor.feeds import ComputerFeed, HostFeed, ProviderFeed, ServerFeed
from personadesk.monitor.state import HostState
from personadesk.monitor.targets import NO_LIMIT, MoneyLimits, Targets
from personadesk.store.database import Database
from personadesk.store.hosts import HostStore, Placement
from personadesk.store.paths import folders
from personadesk.store.secrets import Secrets
from personadesk.store.servers import ServerIntent, ServerRecord, ServerStore

KEY = HostKey("ssh-ed25519", "AAAA", "SHA256:x")
URL = "ws://127.0.0.1:9001/api/chat"


@dataclass
class World:
    """Real stores; a provider and a fleet of the test's own."""

    hosts: Hosts
    servers: PlacedServers
    machines: list[Machine] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)
    figures = YES

    @property
    def targets(self) -> Targets:
        async def limits(tag: str) -> MoneyLimits:
            return MoneyLimits(0.9, 10.0) if tag == "pd-1" else MoneyLimits()

        return Targets(self.hosts, self.servers, self, lambda: self, limits)

    async def provider(self, account: str):
        async def figures(machine: Machine):
            return [Reading(Metric.GPU_USE, "0", 33.0)]

        return SimpleNamespace(
            facts=SimpleNamespace(can=SimpleNamespace(figures=self.figures)), figures=figures
        )

    async def server(self, id_: str, host: str = "", intent=ServerIntent.RUNNING) -> None:
        await self.servers.store.put(ServerRecord(id_, Path("x"), (), URL, "m", intent, 1.0))
        if host:
            await self.hosts.store.place(Placement(id_, host, "/servers/x", 9001, 1.0))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await Database(tmp_path / "records.db").open()
    hosts = Hosts(HostStore(database), Secrets(), tmp_path / "ssh")
    yield World(hosts, PlacedServers(ServerStore(database), tmp_path / "logs", hosts))
    await database.close()


def _own(name: str) -> HostRecord:
    return HostRecord(name, SshAddress("192.0.2.1"), KeySource.AGENT)


async def test_this_computer_is_always_watched_with_its_voices_that_should_run(world: World):
    await world.server("pd-9")
    await world.server("pd-8", intent=ServerIntent.STOPPED)
    [here] = await world.targets.look()
    assert (here.name, here.servers, here.wanted) == ("local", frozenset({"pd-9"}), True)
    feeds = [world.targets.make(spec) for spec in here.specs]
    assert [type(feed) for feed in feeds] == [ComputerFeed, ServerFeed]
    assert feeds[1].origin == "pd-9"


async def test_an_own_machine_is_entered_for_its_voice_or_for_who_looks(world: World):
    await world.hosts.store.add(_own("box"))
    await world.hosts.store.add(_own("spare"))
    await world.server("pd-9", "box")
    _, box, spare = await world.targets.look()
    assert (box.wanted, box.address, box.servers) == (True, "192.0.2.1:22", frozenset({"pd-9"}))
    assert not spare.wanted
    assert isinstance(world.targets.make(spare.specs[0]), HostFeed)


async def test_a_rented_machine_is_entered_only_while_it_runs_and_tells_its_money_always(
    world: World,
):
    targets = world.targets
    await world.hosts.know_rented("pd-1", SshAddress("192.0.2.7", 2222), KEY, "acc")
    await world.server("pd-1", "pd-1")
    machine = Machine("m1", "acc", "runpod", "nice", "pd-1", MachineState.RUNNING, price=0.7)
    world.machines = [machine]
    world.spent = {"pd-1": 2.5}
    _, rented = await targets.look()
    assert [spec.key.source for spec in rented.specs] == [
        Source.HOST,
        Source.SERVER,
        Source.PROVIDER,
    ]
    assert (str(rented.label), rented.limit) == ("nice", 10.0)
    feed = targets.make(rented.specs[2])
    assert isinstance(feed, ProviderFeed)
    told = await _first(feed)
    assert told[Metric.MONEY_PRICE] == 0.7
    assert told[Metric.MONEY_SPENT] == 2.5
    assert (told[Metric.MONEY_PRICE_LIMIT], told[Metric.MONEY_SPEND_LIMIT]) == (0.9, 10.0)
    assert told[Metric.GPU_USE] == 33.0

    world.machines = [replace(machine, state=MachineState.STOPPED, price=None)]
    _, asleep = await targets.look()
    assert [spec.key.source for spec in asleep.specs] == [Source.PROVIDER]
    told = await _first(targets.make(asleep.specs[0]))
    assert isinstance(told[Metric.MONEY_PRICE], Absent)
    assert Metric.GPU_USE not in told


async def test_a_provider_without_figures_is_not_asked(world: World):
    targets = world.targets
    world.figures = no(T("It has none."))
    world.machines = [
        Machine("m1", "acc", "x", tag="pd-2", state=MachineState.RUNNING, price=1.0),
        Machine("m2", "acc", "x", tag="", state=MachineState.RUNNING, price=1.0),
        Machine("m3", "acc", "x", tag="pd-3", state=MachineState.ENDED, price=0.0),
    ]
    _, only = await targets.look()
    assert (only.name, only.limit) == ("pd-2", None)
    told = await _first(targets.make(only.specs[0]))
    assert Metric.GPU_USE not in told
    assert told[Metric.MONEY_SPEND_LIMIT] == NO_LIMIT


async def _first(feed) -> dict:
    got = asyncio.get_running_loop().create_future()
    work = asyncio.create_task(feed.run(lambda s: got.done() or got.set_result(s), print, 1.0))
    sample = await asyncio.wait_for(got, 5)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    return {each.metric: each.value for each in sample.readings}


async def test_one_process_keeps_the_history_and_the_next_takes_over(monkeypatch):
    first = await open_services(folders(), kind="terminal", serve_lines=False)
    second = await open_services(folders(), kind="terminal", serve_lines=False)
    command = await open_services(folders(), kind=COMMAND, serve_lines=False)
    try:
        assert first.opened_monitor is None
        keeper, same = await asyncio.gather(first.monitor(), first.monitor())
        assert keeper is same
        waiting = await second.monitor()
        assert (keeper.history.writes, waiting.history.writes) == (True, False)
        assert not (await command.monitor()).history.writes
        await first.close()
        await waiting.refresh()
        await command.opened_monitor.refresh()
        assert waiting.history.writes
        assert not command.opened_monitor.history.writes
    finally:
        for services in (first, second, command):
            await services.close()


async def test_a_budget_that_is_near_is_an_alarm_of_each_machine_that_counts_for_it(
    world: World,
) -> None:
    shares: dict[str, float | None] = {"pd-1": 0.9, "pd-2": None}

    async def near(tag: str) -> float | None:
        return shares[tag]

    async def limits(tag: str) -> MoneyLimits:
        return MoneyLimits()

    world.machines = [
        Machine(f"m-{tag}", "acc", "toy", tag, tag, MachineState.RUNNING, price=0.5)
        for tag in shares
    ]
    targets = Targets(world.hosts, world.servers, world, lambda: world, limits, near)
    alarms = Alarms()

    async def rung() -> list[str]:
        told = []
        for target in await targets.look():
            state = HostState(target)
            told += alarms.judge(target.name, measure(state, 0.0, lambda key: 10.0), 0.0)
        return [str(alarm.text) for alarm in told]

    assert await rung() == ["pd-1 counts for a budget of which 90 % is used."]
    assert await rung() == []
    shares["pd-1"] = None
    assert await rung() == ["The budget that pd-1 counts for has room again."]
