"""A window's services at the pretend providers: it rents for a line, and looks at what the provider itself says.

Only the voice is an echo that needs no installing; machines, SSH, tunnels and the line are what they are in earnest.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect

from peers.sshd import free_port
from peers.whole import did
from personadesk import resources
from personadesk.deploy.engine import DeployEngine
from personadesk.deploy.rented.renting import Renting
from personadesk.deploy.step import Context, Step
from personadesk.deploy.steps.line import LineStep
from personadesk.deploy.steps.remote.ready import RemoteReadyStep
from personadesk.deploy.steps.remote.site import Site, Sites
from personadesk.deploy.steps.remote.start import RemoteStartStep
from personadesk.deploy.steps.rented import BootStep, RentStep
from personadesk.deploy.steps.voice_test import VoiceTestStep
from personadesk.domain.alarm import Quantity
from personadesk.domain.plan import RENT, Plan, RentWish, new_plan_id
from personadesk.domain.progress import DeployState, StepName
from personadesk.domain.text import T, Text
from personaplex_server import protocol

if TYPE_CHECKING:
    from personadesk.app import Services
    from personadesk.deploy.steps.voice_test import Tester
    from personadesk.domain.line import LineState
    from personadesk.domain.progress import DeployView
    from personadesk.rehearsal.running import Running

LIMIT_SECONDS = 240.0
GPU = "H100"
DEAREST = 4.0
"""Dollars an hour; more than such a GPU costs at any pretend provider."""


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


async def until(what: Callable[[], Awaitable[bool]], tell: Callable[[], object]) -> None:
    """Wait for what must happen; where it doesn't, say how things stand."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await what():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(tell()) from None


async def told(url: str) -> tuple[list[str], str]:
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


class Desk:
    """A window's services, and the pretend providers."""

    def __init__(self, services: Services, cloud: Running) -> None:
        self.services = services
        self.cloud = cloud

    async def rent(self, name: str, account: str) -> str:
        """Deploy the echo behind a line, on an account's dearest GPU; returns the machine's tag."""
        offers = (await asyncio.to_thread(did, "offers", "--account", account))["offers"]
        keys = tuple(each["key"] for each in offers if each["gpu"] == GPU)
        plan = Plan(
            new_plan_id(), name, free_port(), place=RENT,
            rent=RentWish(
                keys, account, max_price=DEAREST, keep_volume=False, idle_stop_minutes=None
            ),
        )  # fmt: skip
        view = await self.deploy(plan)
        assert view.state is DeployState.DONE, (view.error, view.error and view.error.details)
        return plan.id

    async def deploy(self, plan: Plan, tester: Tester | None = None) -> DeployView:
        """Run a deploy of the echo to its end, with a voice test where a tester is given; returns how it ended."""
        services = self.services
        sites = Sites(services.hosts, resources.root() / "server")
        renting = Renting(services.rentals, services.hosts)
        tested = () if tester is None else (VoiceTestStep(tester),)
        steps = (
            RentStep(renting), BootStep(renting), EchoPackage(sites), RemoteStartStep(sites, _echo),
            RemoteReadyStep(sites), *tested, LineStep(),
        )  # fmt: skip
        engine = DeployEngine(
            services.folders, services.journal, services.servers, services.lines, steps
        )
        try:
            return await (await engine.start(plan)).wait()
        finally:
            await engine.close()

    def states(self, account: str) -> list[str]:
        """How the provider itself says that its machines are."""
        told = self.cloud.ask("GET", "/status")["providers"][account]["machines"]
        return [each["state"] for each in told]

    async def stands(self, name: str, state: LineState) -> bool:
        """Look at every account as an open window does, and say whether a line stands so."""
        await self.services.fleet.refresh()
        return (await self.services.lines.need(name)).state is state

    async def alarm(self, tag: str) -> bool:
        """Wait until the monitor's alarm of a budget is on for a machine."""
        monitor = await self.services.monitor(every_s=0.5)

        async def rings() -> bool:
            await monitor.refresh()
            return any(
                each.rule.quantity is Quantity.MONEY and each.host == tag
                for each in monitor.alarms.active
            )

        await until(rings, lambda: (monitor.alarms.active, dict(monitor.hosts)))
        return True
