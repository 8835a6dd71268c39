"""From a budget to a machine that is stopped or ended: warned first, then acted, proven, told, and woken by more money.

Pretend providers, their machines behind a real sshd, and all services as the window has them; only the voice there is
an echo that needs no installing. Time and prices are real: the machines are dear, and the budget is for some seconds.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import connect

from peers.sshd import free_port, missing
from peers.whole import did, personadesk
from personadesk import resources
from personadesk.app import Services
from personadesk.deploy.engine import DeployEngine
from personadesk.deploy.rented.renting import Renting
from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.line import LineStep
from personadesk.deploy.steps.remote.ready import RemoteReadyStep
from personadesk.deploy.steps.remote.site import Site, Sites
from personadesk.deploy.steps.remote.start import RemoteStartStep
from personadesk.deploy.steps.rented import BootStep, RentStep
from personadesk.domain.alarm import Quantity
from personadesk.domain.budget import Act, Budget, Level
from personadesk.domain.line import LineState
from personadesk.domain.money import Kind
from personadesk.domain.plan import RENT, Plan, RentWish, new_plan_id
from personadesk.domain.progress import DeployState, StepName
from personadesk.domain.proof import Left
from personadesk.domain.text import T, Text
from personadesk.domain.wish import Rest
from personadesk.lines import gateway, guardian, limits
from personadesk.rehearsal import running
from personadesk.rehearsal.running import Running
from personadesk.store import paths
from personaplex_server import protocol

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.long,
    pytest.mark.timeout(600),
]
LIMIT_SECONDS = 120.0
SOON_SECONDS = 12.0
"""So long the money lasts once the budget is set: time to see the warning on a computer that is busy."""


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at money and lines more often; what is done about them is what is done in earnest."""
    monkeypatch.setattr(limits, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(guardian, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(gateway, "HOLD_TELL_SECONDS", 0.2)


class EchoPackage(Step):
    """Lays the Python that runs the tests where an installed server would be."""

    name = StepName.INSTALL
    title = T("Install the voice server")

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    async def run(self, context: Context) -> Text:
        site = await self._sites.look(context)
        wrapper = f'#!/bin/sh\nexec {sys.executable} "$@"\n'.encode()
        await site.host.write(site.layout.python, wrapper, mode=0o755)
        return T("an echo")


def _echo(context: Context, site: Site, port: int) -> tuple[str, ...]:
    folder = site.layout.server(context.plan.id)
    return (
        site.layout.python, "-m", "personaplex_server", "serve", "--engine", "echo",
        "--host", "127.0.0.1", "--port", str(port), "--ready-file", f"{folder}/ready.json",
    )  # fmt: skip


async def _until(what: Callable[[], Awaitable[bool]], tell: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await what():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(tell()) from None


class Desk:
    """A window's services, and the pretend providers."""

    def __init__(self, services: Services, cloud: Running) -> None:
        self.services = services
        self.cloud = cloud

    async def rent(self, account: str, gpu: str) -> str:
        """Deploy the echo behind the line “a”, on the GPU of that name; returns the machine's tag."""
        services = self.services
        sites = Sites(services.hosts, resources.root() / "server")
        renting = Renting(services.rentals, services.hosts)
        steps = (
            RentStep(renting), BootStep(renting), EchoPackage(sites), RemoteStartStep(sites, _echo),
            RemoteReadyStep(sites), LineStep(),
        )  # fmt: skip
        engine = DeployEngine(
            services.folders, services.journal, services.servers, services.lines, steps
        )
        offers = (await asyncio.to_thread(did, "offers", "--account", account))["offers"]
        keys = tuple(each["key"] for each in offers if each["gpu"] == gpu)
        plan = Plan(
            new_plan_id(), "a", free_port(), place=RENT,
            rent=RentWish(keys, account, max_price=9.0, idle_stop_minutes=None),
        )  # fmt: skip
        try:
            view = await (await engine.start(plan)).wait()
        finally:
            await engine.close()
        assert view.state is DeployState.DONE, (view.error, view.error and view.error.details)
        return plan.id

    def states(self, account: str) -> list[str]:
        """How the provider itself says that its machines are."""
        told = self.cloud.ask("GET", "/status")["providers"][account]["machines"]
        return [each["state"] for each in told]

    async def seen(self) -> bool:
        """Look at every account, as the window does while it is open."""
        await self.services.fleet.refresh()
        return True

    async def stands(self, state: LineState) -> bool:
        await self.seen()
        return (await self.services.lines.need("a")).state is state

    async def alarms(self) -> list[str]:
        """The budget's alarms that are on; monitoring is as the window opens it."""
        monitor = await self.services.monitor(every_s=0.5)
        await monitor.refresh()
        active = monitor.alarms.active
        return [str(each.text) for each in active if each.rule.quantity is Quantity.MONEY]


@pytest.fixture
async def desk(monkeypatch: pytest.MonkeyPatch, opener: Callable[..., object]):
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    cloud = await running.ensure(paths.folders(), words=("--speed", "20"))
    from personadesk.app import open_services

    services = await open_services(paths.folders(), kind="window")
    services.fleet.start()
    yield Desk(services, cloud)
    await services.close()
    code, answer = await asyncio.to_thread(personadesk, "stop")
    await running.stop(paths.folders())
    assert code == 0, answer


async def _told(url: str) -> tuple[list[str], str]:
    """Call; returns the reasons that were told while waiting, and the last word."""
    reasons = []
    async with asyncio.timeout(LIMIT_SECONDS), connect(url) as call:
        async for raw in call:
            message = protocol.decode(raw)
            if message.kind is protocol.Kind.METADATA:
                reasons.append(json.loads(message.payload)["reason"])
            if message.kind in {protocol.Kind.ERROR, protocol.Kind.HANDSHAKE}:
                return reasons, bytes(message.payload).decode()
    raise AssertionError("the call ended without a word")


@pytest.mark.parametrize(
    ("account", "gpu", "stops"), [("runpod", "H100", True), ("lambda", "H100", False)]
)
async def test_a_budget_warns_then_stops_the_machine_and_everybody_is_told(
    desk: Desk, account: str, gpu: str, stops: bool
) -> None:
    services, money = desk.services, desk.services.money
    tag = await desk.rent(account, gpu)
    await _until(lambda: desk.stands(LineState.UP), services.lines.lines)
    [runs] = [each for each in (await money.look(ask=True)).items if each.kind is Kind.RUNNING]
    assert (runs.line, runs.account, runs.tag) == ("a", account, tag)
    assert runs.price

    # What was spent and some seconds more, in whole cents; the warning is due at once.
    spent = (await money.look(ask=True)).all.today.dollars
    limit = math.ceil((spent + runs.price * SOON_SECONDS / 3600) * 100) / 100
    await money.set_budget(Budget("a", per_day=limit, warn=0.9 * spent / limit, act=Act.STOP))
    near = await money.standing("a")
    assert near is not None
    assert near.level is Level.NEAR
    assert (await services.lines.need("a")).state is LineState.UP, "warned, and nothing more"
    alarms = await desk.alarms()
    assert len(alarms) <= 1

    await _until(lambda: desk.stands(LineState.STOPPED), services.lines.lines)
    line = await services.lines.need("a")
    assert str(line.reason) == f"The budget of ${limit:.2f} a day for “a” is used up."
    assert (line.target is not None) is stops, "what was ended leaves an address alone"
    wish = await services.wishes.get("a")
    assert wish is not None
    assert wish.rest is Rest.ASLEEP, "a caller may wake it when there is money again"
    reached = await money.standing("a")
    assert reached is not None
    assert reached.level is Level.REACHED

    # The provider itself says so, and that is what is believed.
    gone = ["stopped"] if stops else []

    async def is_so() -> bool:
        return await asyncio.to_thread(desk.states, account) == gone

    await _until(is_so, lambda: desk.states(account))
    [proof] = [each for each in await money.prove((account,)) if each.account == account]
    assert proof.left is (Left.KEPT if stops else Left.NOTHING)
    assert "the provider confirms that nothing of ours is running" in str(proof.text)
    assert proof.seen

    # Window and terminal show the same sums, and what was overrun is what seconds cost.
    page = await money.look(ask=True)
    code, typed = await asyncio.to_thread(personadesk, "money")
    assert code == 0
    assert typed["all"]["today"]["dollars"] == pytest.approx(page.all.today.dollars, abs=1e-3)
    assert typed["lines"]["a"]["today"]["dollars"] == pytest.approx(
        page.all.today.dollars, abs=1e-3
    )
    [share] = typed["budgets"]
    assert (share["line"], share["state"], share["act"]) == ("a", "reached", "stop")
    [left] = [each for each in typed["left"] if each["account"] == account]
    assert left["left"] == str(proof.left)
    assert page.all.rate.dollars < 0.1 * runs.price
    assert page.all.today.dollars < limit + runs.price * LIMIT_SECONDS / 3600

    # Who calls is told why, and starts nothing.
    _, last = await _told(line.url)
    assert f"The budget of ${limit:.2f} a day for “a” is used up." in last
    assert await asyncio.to_thread(desk.states, account) == gone
    if not stops:
        return

    # With more money the next caller wakes it.
    await money.lift("a", 20.0)
    held, hello = await _told(line.url)
    assert (held[-1] if held else "woken") != ""
    assert "budget" not in hello
    await _until(lambda: desk.stands(LineState.UP), services.lines.lines)
    assert await asyncio.to_thread(desk.states, account) == ["running"]
