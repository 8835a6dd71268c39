"""A line on this computer whose server and supervisor are killed comes back by itself, and who called waits for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.asyncio.client import connect

from personadesk.app import Services
from personadesk.deploy.model_folder import LM_FILE
from personadesk.deploy.recovering import Recovery
from personadesk.domain.errors import BadRequest
from personadesk.domain.guarding import Deed
from personadesk.domain.line import LineState
from personadesk.domain.plan import ModelChoice, ModelKind
from personadesk.domain.progress import DeployState
from personadesk.domain.wish import Rest, Wish
from personadesk.hosts import local
from personadesk.lines import gateway, guardian, service
from personadesk.store.instance import deploy_lock
from personaplex_server import protocol

Open = Callable[..., Awaitable[Services]]


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after the lines ten times as often."""
    monkeypatch.setattr(service, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(service, "PULSE_SECONDS", 0.05)
    monkeypatch.setattr(guardian, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(gateway, "HOLD_TELL_SECONDS", 0.1)


async def _deployed(services: Services, harness: ModuleType, model: Path, port: int) -> None:
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.error is None
    async with asyncio.timeout(20):
        while await services.wishes.get("My line") is None:
            await asyncio.sleep(0.05)


async def _kill(services: Services) -> None:
    """Kill the supervisor first, so that it cannot help its server."""
    status = await services.servers.status("pd-1")
    assert status is not None
    assert status.pid
    assert status.child_pid
    for pid in (status.pid, status.child_pid):
        psutil.Process(pid).kill()
    server = await services.servers.get("pd-1")
    async with asyncio.timeout(10):
        while not local.port_is_free(urlsplit(server.url).port or 0):
            await asyncio.sleep(0.01)


async def _call(port: int) -> list[dict[str, object]]:
    """Call, wait for the voice, and return what was told meanwhile."""
    told = []
    async with asyncio.timeout(60), connect(f"ws://127.0.0.1:{port}/api/chat") as call:
        while True:
            message = protocol.decode(await call.recv())
            if message.kind is protocol.Kind.HANDSHAKE:
                return told
            if message.kind is protocol.Kind.METADATA:
                told.append(json.loads(message.payload))


async def test_a_killed_voice_comes_back_by_itself_and_a_caller_is_held_for_it(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(kind="window")
    await _deployed(services, harness, model, port)
    await _kill(services)
    told = await _call(port)
    assert told, "the caller waited and was told so"
    assert {fact["line"] for fact in told} == {"My line"}
    assert all(fact["reason"] and fact["position"] == 1 for fact in told)
    line = await services.lines.wait_until("My line", LineState.UP, limit_s=20)
    assert (line.state, line.port) == (LineState.UP, port)
    async with asyncio.timeout(20):
        while (log := await services.wishes.log("My line"))[-1].deed is not Deed.NOTHING:
            await asyncio.sleep(0.05)
    deed = next(entry for entry in log if entry.deed is Deed.RESTART_SERVICE)
    assert (deed.worked, str(deed.why)) == (True, "The voice server has ended.")
    assert len(await services.servers.store.all()) == 1


async def test_who_calls_a_sleeping_line_wakes_it_and_a_stopped_one_stays_stopped(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(kind="window")
    await _deployed(services, harness, model, port)
    await services.limits.sleep("My line", Rest.ASLEEP)
    async with asyncio.timeout(20):
        while not services.lines.holds("My line"):
            await asyncio.sleep(0.05)
    assert (await services.lines.need("My line")).state is LineState.STOPPED
    assert await _call(port)
    wish = await services.wishes.get("My line")
    assert wish is not None
    assert wish.rest is Rest.UP

    await services.lines.stop("My line")
    async with asyncio.timeout(20):
        while services.lines.holds("My line"):
            await asyncio.sleep(0.05)
    async with connect(f"ws://127.0.0.1:{port}/api/chat") as call:
        assert protocol.decode(await call.recv()).kind is protocol.Kind.ERROR
    assert (await services.lines.need("My line")).state is LineState.STOPPED


async def test_who_waits_for_a_deploy_is_told_how_far_it_is(
    open_quick: Open, model: Path, port: int
) -> None:
    services = await open_quick(kind="window")
    choice = ModelChoice(ModelKind.FOLDER, str(model))
    await services.wanting.create(Wish("My line", choice, rest=Rest.ASLEEP), port)
    async with asyncio.timeout(20):
        while not services.lines.holds("My line"):
            await asyncio.sleep(0.05)
    told = await _call(port)
    far = [fact["progress"] for fact in told if "progress" in fact]
    assert far, told
    assert all(isinstance(each, dict) and each["of"] == 8 and each["title"] for each in far)
    line = await services.lines.wait_until("My line", LineState.UP, limit_s=20)
    assert line.state is LineState.UP


async def test_the_model_of_a_finished_deploy_is_got_again_and_nothing_else_changes(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(kind="command")
    await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    recovery = Recovery(services.deploys, services.journal, services.folders)
    lost = (model / LM_FILE).read_bytes()
    (model / LM_FILE).unlink()
    with pytest.raises(BadRequest, match="missing"):
        await recovery.fetch_model("pd-1")
    (model / LM_FILE).write_bytes(lost)
    await recovery.fetch_model("pd-1")
    record = await services.journal.load("pd-1")
    assert record is not None
    assert record.state is DeployState.DONE
    assert deploy_lock(services.folders, "pd-1").holder() is None
    assert len(await services.servers.store.all()) == 1
    await services.lines.remove("My line")
