"""One line with everything that can be done to it, and what must hold after it: the table of failures plays on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psutil
from websockets.asyncio.client import connect

from peers import failing
from peers.stock_caller import Stock
from personadesk.domain.guarding import Deed
from personadesk.domain.line import LineState
from personadesk.domain.machine import Action
from personadesk.domain.progress import DeployState
from personadesk.hosts import health
from personadesk.rehearsal.faults import Fault, Rule
from personadesk.store.servers import ServerIntent

if TYPE_CHECKING:
    from peers.sshd import Sshd
    from personadesk.app import Services
    from personadesk.domain.line import Line
    from personadesk.rehearsal.running import Running

LIMIT_SECONDS = 480.0
"""A deploy to a computer that never had one takes minutes where others want its cores too."""
GAP_SECONDS = 4.0
"""What a busy computer alone does not make."""
CARRIED = "goes on"
ANEW = "ends, said why; called again"
SLOW = "is slow, goes on; mended after it"
HELD = "is held"
DOWN = "ends, said why; refused, said why"
SPEND_LIMIT = 50.0


@dataclass(frozen=True)
class Row:
    """What became of one row.

    Attributes:
        number: Which, as it is asked for.
        failure: What failed.
        when: Before, during or after a call.
        took: Seconds until a caller heard the voice again.
        call: How the call went.
        deeds: What the guardian did.
        wrong: Why it does not hold, "" where it does.
    """

    number: str
    failure: str
    when: str
    took: float = 0.0
    call: str = ""
    deeds: str = ""
    wrong: str = ""

    def __str__(self) -> str:
        took = f"{self.took:.0f} s" if not self.wrong else "-"
        words = (self.number, self.failure, self.when, took, self.wrong or self.call, self.deeds)
        return f"| {' | '.join(words)} |"


HEADER = "| row | failure | call | voice after | the call | deeds |\n| --- | --- | --- | --- | --- | --- |"


@dataclass
class Rig:
    """One line with everything that can be done to it."""

    services: Services
    name: str
    box: Sshd | None = None
    cloud: Running | None = None
    muted: failing.Muted = field(default_factory=failing.Muted)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def line(self) -> Line:
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
        tunnel = {each.pid for each in await self.tunnel()} if (await self.is_far()) else set()
        return failing.of_server(await self.tag(), tunnel)

    async def is_far(self) -> bool:
        """Whether its voice is at a machine, and not on this computer."""
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
            task = asyncio.create_task(failing.slow_down(each, LIMIT_SECONDS))
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

    async def suffers(self, number: str, when: str, *failures: str) -> Row:
        """Let it fail, wait for the voice, and hold what must hold."""
        first: Stock | None = None
        if when != "before":
            first = await self.called(60.0)
        try:
            if when == "after" and first is not None:
                await first.close()
                first = None
            return await self._suffers(number, when, failures, first)
        finally:
            if first is not None:
                await first.close()

    async def _suffers(
        self, number: str, when: str, failures: tuple[str, ...], first: Stock | None
    ) -> Row:
        log = await self.services.wishes.log(self.name, 1)
        mark = log[-1].at if log else 0.0
        carried = await self.carried()
        began = time.monotonic()
        for failure in failures:
            await getattr(self, failure)()
        outcome = HELD
        if first is not None:
            outcome = await self.goes_on(first, carried, mark)
        elif when == "after":
            outcome = "-"
        if when == "after" or outcome == SLOW:
            await self.noticed(mark)
        if outcome != CARRIED:
            await (await self.called(LIMIT_SECONDS - (time.monotonic() - began))).close()
        took = time.monotonic() - began
        if first is not None:
            await first.close()
        await self.settled()
        deeds = await self.deeds(mark)
        await self.holds()
        return Row(number, named(failures), when, took, outcome, deeds)

    async def spends_no_more(self, number: str, *failures: str) -> Row:
        """With nothing left to spend it stays down and says so; nothing is rented."""
        services = self.services
        caller = await self.called(60.0)
        log = await services.wishes.log(self.name, 1)
        mark = log[-1].at if log else 0.0
        wish = await services.wishes.get(self.name)
        assert wish is not None
        async with asyncio.timeout(LIMIT_SECONDS):
            while (spent := await services.spending.of_line(self.name)) <= 0.0:
                services.fleet.look_now()
                await asyncio.sleep(0.5)
        await services.wanting.change(replace(wish, spend_limit=spent))
        began = time.monotonic()
        for failure in failures:
            await getattr(self, failure)()
        await caller.ended(LIMIT_SECONDS)
        assert caller.errors[-1].endswith("."), caller.errors
        await caller.close()
        async with asyncio.timeout(LIMIT_SECONDS):
            while services.lines.holds(self.name):
                await asyncio.sleep(0.2)
        took = time.monotonic() - began
        whys = [str(e.why) for e in await services.wishes.log(self.name, 9) if e.at > mark]
        whys.append(str((await self.line()).reason))
        assert any("is reached" in why for why in whys), whys
        refused = Stock(await connect((await self.line()).url, compression=None))
        await refused.ended()
        assert refused.said
        await refused.close()
        assert self.cloud is not None
        told = self.cloud.ask("GET", "/status")["providers"].values()
        assert not [m for each in told for m in each["machines"] if m["state"] == "running"]
        return Row(number, named(failures), "spent", took, DOWN, await self.deeds(mark))

    async def deeds(self, mark: float) -> str:
        """Return what the guardian did since, each once."""
        deeds = [e.deed for e in await self.services.wishes.log(self.name, 30) if e.at > mark]
        return ", ".join(dict.fromkeys(d for d in deeds if d not in {Deed.WAIT, Deed.NOTHING}))

    async def goes_on(self, caller: Stock, carried: int, mark: float) -> str:
        """Wait until a call that went on was cut, and how that went on; what was said of an end is a sentence."""
        until = time.monotonic() + LIMIT_SECONDS
        fell_silent = False
        while time.monotonic() < until:
            await asyncio.sleep(0.05)
            silent_s = time.monotonic() - caller.heard_at
            fell_silent = fell_silent or silent_s > GAP_SECONDS
            if fell_silent and silent_s < 0.5:
                return CARRIED
            if caller.over:
                assert caller.errors, (caller.socket.close_code, caller.socket.close_reason)
                assert caller.errors[-1].endswith(".")
                return ANEW
            if await self.carried() > carried:
                with contextlib.suppress(TimeoutError):
                    await caller.hears(0.5, 15.0, own=False)
                    return CARRIED
            if self.tasks and await self._is_seen_to_be_slow(mark):
                # A voice that is too slow is mended when nobody talks.
                await caller.close()
                return SLOW
        raise AssertionError("the call neither went on nor ended")

    async def _is_seen_to_be_slow(self, mark: float) -> bool:
        log = await self.services.wishes.log(self.name, 3)
        return any(each.at > mark and "too slow" in str(each.why) for each in log)

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
                deeds = [e.deed for e in await self.services.wishes.log(self.name, 30)]
                deeds = [deed for deed in deeds if deed is not Deed.WAIT]
                mended = not deeds or deeds[-1] is Deed.NOTHING
                if (await self.line()).state is LineState.UP and mended:
                    return
                await asyncio.sleep(0.2)

    async def holds(self) -> None:
        """No more machines than wished, within the money, nothing forgotten."""
        services = self.services
        leads = {line.target.server_id for line in await services.lines.all() if line.target}
        servers = await services.servers.store.all()
        left = {server.id for server in servers if server.intent is ServerIntent.LEAVING}
        assert {server.id for server in servers} - left == leads
        if left:
            # What a machine keeps that was not reached goes as soon as that is.
            assert self.box is not None
            await asyncio.to_thread(self.box.here_again)
            async with asyncio.timeout(LIMIT_SECONDS):
                while set(await services.leaving.remove()) != left:
                    await asyncio.sleep(1.0)
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


def named(failures: tuple[str, ...]) -> str:
    return " + ".join(each.replace("_", " ") for each in failures)
