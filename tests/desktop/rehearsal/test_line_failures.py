"""Failures of every kind, before, during and after a call, alone and in pairs, with the time to recovery of each.

Real machines behind a real sshd, real servers and tunnels, callers who know nothing of resuming. It takes a quarter of
an hour, so it runs only when it is asked for, whole or one part of it:
PERSONADESK_FAILURES=1 pytest -s tests/desktop/rehearsal/test_line_failures.py
PERSONADESK_FAILURES=own ...  PERSONADESK_FAILURES=rented ...  PERSONADESK_FAILURES=own:12 ... (from that row on)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect

from peers import failing
from peers.sshd import Sshd, User, free_port, missing
from peers.stock_caller import Stock
from peers.whole import did, personadesk
from personadesk.app import Services
from personadesk.domain import guarding, report
from personadesk.domain.guarding import Deed
from personadesk.domain.line import LineState
from personadesk.domain.machine import Action
from personadesk.domain.plan import LOCAL, RENT, ModelChoice, ModelKind, Plan, RentWish, new_plan_id
from personadesk.domain.progress import DeployState
from personadesk.domain.wish import Place
from personadesk.hosts import health
from personadesk.lines import guardian, truth
from personadesk.rehearsal import running
from personadesk.rehearsal.faults import Fault, Rule
from personadesk.store import paths

ASKED, _, FROM = os.environ.get("PERSONADESK_FAILURES", "").partition(":")
LIMIT_SECONDS = 300.0
CARRIED = "goes on"
ANEW = "ends, said why; called again"
HELD = "is held"
SPEND_LIMIT = 50.0

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are stopped in Linux's way"),
    pytest.mark.logs_warnings,
    pytest.mark.timeout(0),
]


def asked(part: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(ASKED not in {"1", part}, reason="takes minutes")


@dataclass
class Rig:
    """One line with everything that can be done to it."""

    services: Services
    name: str
    box: Sshd | None = None
    cloud: running.Running | None = None
    muted: failing.Muted = field(default_factory=failing.Muted)
    rows: list[tuple[str, str, float, str, str]] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def line(self):
        return await self.services.lines.need(self.name)

    async def tag(self) -> str:
        line = await self.line()
        assert line.target is not None
        return line.target.server_id

    async def tunnel(self) -> list[psutil.Process]:
        status = await self.services.servers.status(await self.tag())
        pids = [status.pid, status.child_pid] if status else []
        return [psutil.Process(pid) for pid in pids if pid and psutil.pid_exists(pid)]

    async def processes(self) -> tuple[list[psutil.Process], list[psutil.Process]]:
        tunnel = {each.pid for each in await self.tunnel()} if (await self._far()) else set()
        return failing.of_server(await self.tag(), tunnel)

    async def _far(self) -> bool:
        return await self.services.hosts.store.placement(await self.tag()) is not None

    # -- failures ---------------------------------------------------------------------------------------------

    async def tunnel_down(self) -> None:
        failing.kill(await self.tunnel())

    async def ssh_cut(self) -> None:
        assert self.box is not None
        self.box.cut()

    async def server_killed(self) -> None:
        failing.kill((await self.processes())[1])

    async def server_dead(self) -> None:
        supervisors, servers = await self.processes()
        failing.kill(supervisors)
        failing.kill(servers)

    async def server_stuck(self) -> None:
        for each in (await self.processes())[1]:
            failing.stop(each)

    async def server_silent(self) -> None:
        for each in (await self.processes())[1]:
            self.muted.mute(each)

    async def too_slow(self) -> None:
        for each in (await self.processes())[1]:
            task = asyncio.create_task(failing.slow_down(each, 45.0))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def weights_missing(self) -> None:
        for each in (await self.processes())[1]:
            failing.lose_weights(each)
        await self.server_killed()

    async def reboot(self) -> None:
        assert self.box is not None
        await self.server_dead()
        await asyncio.to_thread(self.box.restart)

    async def away(self) -> None:
        assert self.box is not None
        await self.server_dead()
        await asyncio.to_thread(self.box.stop)

    async def hangs_for_a_while(self) -> None:
        assert self.box is not None
        self.box.freeze()
        asyncio.get_running_loop().call_later(12.0, self.box.thaw)

    async def _ask(self, deed: str) -> None:
        assert self.cloud is not None
        for provider, told in self.cloud.ask("GET", "/status")["providers"].items():
            for machine in told["machines"]:
                if machine["state"] == "running":
                    await asyncio.to_thread(
                        self.cloud.ask, "POST", f"/machines/{provider}/{machine['id']}/{deed}"
                    )

    async def machine_gone(self) -> None:
        await self._ask("lose")

    async def address_changed(self) -> None:
        await self._ask("move")

    async def gpu_vanished(self) -> None:
        # What the driver does to a server on such a machine: it dies, and so does the next one.
        await self._ask("lose-gpu")
        await self.server_dead()

    async def stopped_by_provider(self) -> None:
        rental = await self.services.rentals.current(await self.tag())
        assert rental is not None
        provider = await self.services.accounts.provider(rental.account)
        machine = await self.services.rentals.find(rental)
        assert machine is not None
        await provider.act(machine, Action.STOP)

    async def sold_out_here(self) -> None:
        await self._fault(Rule(Fault.NO_CAPACITY, provider="runpod"))

    async def provider_silent(self) -> None:
        await self._fault(Rule(Fault.FAIL_BEFORE, provider="runpod", times=25))

    async def _fault(self, rule: Rule) -> None:
        assert self.cloud is not None
        await asyncio.to_thread(self.cloud.ask, "POST", "/faults", rule.as_json())

    # -- one row ----------------------------------------------------------------------------------------------

    async def suffers(self, when: str, *failures: str) -> None:
        """Let it fail, wait for the voice, and hold what must hold; the row is printed."""
        first: Stock | None = None
        if when != "before":
            first = await self.called(60.0)
            if when == "after":
                await first.close()
                first = None
        log = await self.services.wishes.log(self.name, 1)
        mark = log[-1].at if log else 0.0
        carried = await self.carried()
        began = time.monotonic()
        for failure in failures:
            await getattr(self, failure)()
        outcome = HELD
        if first is not None:
            outcome = await self.goes_on(first, carried)
        elif when == "after":
            outcome = "-"
            await self.noticed(mark)
        if outcome != CARRIED:
            await (await self.called(LIMIT_SECONDS - (time.monotonic() - began))).close()
        took = time.monotonic() - began
        if first is not None:
            await first.close()
        await self.settled()
        deeds = [
            each.deed for each in await self.services.wishes.log(self.name, 30) if each.at > mark
        ]
        told = ", ".join(dict.fromkeys(d for d in deeds if d not in {Deed.WAIT, Deed.NOTHING}))
        row = (" + ".join(each.replace("_", " ") for each in failures), when, took, outcome, told)
        self.rows.append(row)
        print("| {} | {} | {:.0f} s | {} | {} |".format(*row), flush=True)
        await self.holds()

    async def goes_on(self, caller: Stock, carried: int) -> str:
        """Wait until a call that went on was cut, and how that went on; what was said of an end is a sentence."""
        until = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < until:
            await asyncio.sleep(0.05)
            if caller.over:
                assert caller.errors, (caller.socket.close_code, caller.socket.close_reason)
                assert caller.errors[-1].endswith(".")
                return ANEW
            if await self.carried() > carried:
                with contextlib.suppress(TimeoutError):
                    await caller.hears(0.5, 15.0, own=False)
                    return CARRIED
            if self.tasks and time.monotonic() > until - LIMIT_SECONDS + 15.0:
                # A voice that is too slow is mended when nobody talks.
                await caller.close()
                return "is slow, goes on; mended after it"
        raise AssertionError("the call neither went on nor ended")

    async def carried(self) -> int:
        facts = await health.get_json((await self.line()).url, "/status")
        return int(facts["carried"]) if facts else 0

    async def called(self, limit_s: float) -> Stock:
        """Call until the voice is heard; who is refused meanwhile is told why."""
        until = time.monotonic() + limit_s
        while True:
            try:
                caller = Stock(await connect((await self.line()).url, compression=None))
            except OSError:
                assert time.monotonic() < until
                await asyncio.sleep(0.5)
                continue
            try:
                await caller.hears(0.4, max(1.0, until - time.monotonic()), own=False)
            except AssertionError:
                assert caller.said, "refused without a word"
                await caller.close()
                assert time.monotonic() < until, caller.said[-1].decode()
                await asyncio.sleep(1.0)
            except TimeoutError:
                await caller.close()
                raise
            else:
                return caller

    async def noticed(self, mark: float) -> None:
        """Wait until the guardian has mended something, without anybody calling."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                log = [e for e in await self.services.wishes.log(self.name, 30) if e.at > mark]
                if any(e.deed not in {Deed.WAIT, Deed.NOTHING} for e in log) and (
                    log[-1].deed is Deed.NOTHING
                ):
                    return
                await asyncio.sleep(0.2)

    async def settled(self) -> None:
        """Wait until the line is up and the log says so."""
        for task in tuple(self.tasks):
            task.cancel()
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                log = await self.services.wishes.log(self.name, 1)
                mended = not log or log[-1].deed in {Deed.NOTHING, Deed.WAIT}
                if (await self.line()).state is LineState.UP and mended:
                    return
                await asyncio.sleep(0.2)

    async def holds(self) -> None:
        """No more machines than wished, within the money, nothing forgotten."""
        services = self.services
        leads = {line.target.server_id for line in await services.lines.all() if line.target}
        assert {server.id for server in await services.servers.store.all()} == leads
        unfinished = await services.journal.in_state(DeployState.RUNNING, DeployState.INTERRUPTED)
        assert not unfinished
        assert await services.spending.of_line(self.name) <= SPEND_LIMIT
        if self.cloud is None:
            return
        there = self.there()
        assert len(there) <= 1, there
        known = {each.machine_id for each in await services.rentals.store.open() if each.machine_id}
        assert {machine for _, machine in there} == known

    def there(self) -> list[tuple[str, str]]:
        assert self.cloud is not None
        told = self.cloud.ask("GET", "/status")["providers"]
        return [(name, each["id"]) for name, all_of in told.items() for each in all_of["machines"]]

    def close(self) -> None:
        self.muted.close()
        for task in self.tasks:
            task.cancel()
        busy = os.getloadavg()[1]
        print(f"{len(self.rows)} failures; {os.cpu_count()} cores, load {busy:.1f}", flush=True)


@pytest.fixture(autouse=True)
def shorter_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a table of failures cannot afford; what they do is what they do at full length."""
    monkeypatch.setattr(guardian, "PROVE_SECONDS", 10.0)
    monkeypatch.setattr(guardian, "SLOW_SECONDS", 5.0)
    monkeypatch.setattr(guardian, "SLOW_LOOK_SECONDS", 1.0)
    monkeypatch.setattr(guarding, "GRACE_SECONDS", 20.0)
    monkeypatch.setattr(truth, "FRESH_SECONDS", 2.0)
    monkeypatch.setattr(guarding, "MOST_RENTED_A_DAY", 1000)
    # A busy box is too slow to talk with, which is not what is asked here.
    lenient = tuple(replace(each, most=None, least=None, hard=None) for each in report.LIMITS)
    monkeypatch.setattr(report.judge, "__defaults__", (lenient,))


async def deployed(services: Services, plan: Plan) -> None:
    view = await (await services.deploys.start(plan)).wait()
    assert view.state is DeployState.DONE, (view.error, view.error and view.error.details)
    async with asyncio.timeout(30):
        while await services.wishes.get(plan.line) is None:
            await asyncio.sleep(0.1)


@pytest.fixture
async def own(opener: Callable[..., object], tmp_path: Path) -> AsyncIterator[Rig]:
    """A line at a machine of the user's, with this computer as the next place."""
    home = tmp_path / "home"
    home.mkdir()
    python = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    box = Sshd(tmp_path / "sshd", User(psutil.Process().username(), home), path=python)
    box.start()
    words = (
        "host", "add", "box", "--address", box.address, "--port", str(box.port),
        "--user", box.user.name, "--key", str(box.key),
    )  # fmt: skip
    _, answer = await asyncio.to_thread(personadesk, *words)
    await asyncio.to_thread(did, *words, "--fingerprint", answer["fingerprint"])
    services = await open_window()
    rig = Rig(services, "b", box)
    try:
        model = ModelChoice(ModelKind.REHEARSAL)
        await deployed(services, Plan(new_plan_id(), "b", free_port(), model, "host:box"))
        wish = await services.wishes.get("b")
        assert wish is not None
        await services.wanting.change(replace(wish, places=(Place("host:box"), Place(LOCAL))))
        yield rig
    finally:
        rig.close()
        await services.close()
        await asyncio.to_thread(personadesk, "uninstall", "--host", "box")
        await asyncio.to_thread(personadesk, "stop")
        box.stop()


@pytest.fixture
async def rented(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    """A line at a rented machine, with the next account behind it."""
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    cloud = await running.ensure(paths.folders(), words=("--speed", "20"))
    services = await open_window()
    rig = Rig(services, "a", cloud=cloud)
    try:
        rent = RentWish(account="runpod", max_price=2.0, spend_limit=SPEND_LIMIT)
        model = ModelChoice(ModelKind.REHEARSAL)
        await deployed(services, Plan(new_plan_id(), "a", free_port(), model, RENT, rent=rent))
        wish = await services.wishes.get("a")
        assert wish is not None
        places = (*wish.places, Place(RENT, RentWish(account="vast")))
        await services.wanting.change(replace(wish, places=places))
        yield rig
    finally:
        rig.close()
        await services.close()
        await asyncio.to_thread(personadesk, "stop")
        await running.stop(paths.folders())


async def open_window() -> Services:
    from personadesk.app import open_services

    return await open_services(paths.folders(), kind="window")


OWN = [
    ("before", "tunnel_down"), ("during", "tunnel_down"), ("after", "tunnel_down"),
    ("during", "ssh_cut"), ("during", "server_killed"),
    ("before", "server_dead"), ("during", "server_dead"), ("after", "server_dead"),
    ("before", "server_stuck"), ("during", "server_stuck"), ("after", "server_stuck"),
    ("during", "server_silent"), ("after", "server_silent"),
    ("during", "too_slow"),
    ("before", "weights_missing"), ("during", "weights_missing"), ("after", "weights_missing"),
    ("during", "reboot"), ("after", "reboot"),
    ("during", "hangs_for_a_while"),
    ("during", "tunnel_down", "server_dead"), ("before", "weights_missing", "tunnel_down"),
    ("during", "ssh_cut", "server_stuck"), ("after", "server_silent", "tunnel_down"),
    ("during", "away"),
]  # fmt: skip
RENTED = [
    ("during", "address_changed"), ("during", "machine_gone"), ("during", "gpu_vanished"),
    ("before", "stopped_by_provider"), ("during", "stopped_by_provider"),
    ("after", "address_changed"), ("during", "tunnel_down"),
    ("before", "machine_gone"), ("after", "machine_gone"), ("after", "gpu_vanished"),
    ("during", "address_changed", "server_dead"),
    ("after", "provider_silent", "machine_gone"),
    ("during", "sold_out_here", "gpu_vanished"),
]  # fmt: skip


async def played(rig: Rig, rows: list[tuple[str, ...]]) -> None:
    print("\n| failure | call | voice after | the call | deeds |\n| --- | --- | --- | --- | --- |")
    wrong = []
    for when, *failures in rows[int(FROM or 0) :]:
        try:
            await rig.suffers(when, *failures)
        except (AssertionError, TimeoutError) as error:
            wrong.append((when, failures, repr(error)))
            log = await rig.services.wishes.log(rig.name, 8)
            print(f"WRONG {when} {failures}: {error!r}", flush=True)
            for entry in log:
                print("    ", entry.deed, entry.place, str(entry.why), entry.outcome, flush=True)
            await rig.settled()
    assert not wrong


@asked("own")
async def test_a_line_at_a_machine_of_ones_own_outlives_its_failures(own: Rig) -> None:
    await played(own, OWN)


@asked("rented")
async def test_a_line_at_a_rented_machine_outlives_its_failures(rented: Rig) -> None:
    await played(rented, RENTED)
    # With nothing left to spend it stays down and says so; nothing is rented.
    wish = await rented.services.wishes.get("a")
    assert wish is not None
    await rented.services.wanting.change(replace(wish, spend_limit=0.01))
    await rented.machine_gone()
    async with asyncio.timeout(60):
        while rented.services.lines.holds("a"):
            await asyncio.sleep(0.2)
    last = (await rented.services.wishes.log("a", 1))[-1]
    assert "limit of $0.01 is reached" in str(last.why)
    caller = Stock(await connect((await rented.line()).url, compression=None))
    await caller.ended()
    assert caller.said
    await caller.close()
