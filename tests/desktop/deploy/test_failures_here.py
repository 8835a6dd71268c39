"""The quick part of the table of failures (test_line_failures.py has the rest): a voice here fails in a call."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from websockets.asyncio.client import connect

from peers.stock_caller import Stock
from personadesk.app import Services
from personadesk.domain.guarding import Deed
from personadesk.domain.line import LineState
from personadesk.domain.progress import DeployState
from personadesk.hosts import health
from personadesk.lines import call, gateway, guardian, service, truth

Open = Callable[..., Awaitable[Services]]

FAILURES = [
    # name, signal to the server, whether its supervisor is killed first
    ("server killed", signal.SIGKILL, False),
    ("server and supervisor killed", signal.SIGKILL, True),
    ("server stuck", signal.SIGSTOP, False),
]


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after lines and calls ten times as often."""
    monkeypatch.setattr(service, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(service, "PULSE_SECONDS", 0.05)
    monkeypatch.setattr(guardian, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(gateway, "HOLD_TELL_SECONDS", 0.1)
    monkeypatch.setattr(truth, "STUCK_SECONDS", 0.5)
    monkeypatch.setattr(truth, "FRESH_SECONDS", 0.2)
    monkeypatch.setattr(call, "CARRY_SECONDS", 3.0)
    monkeypatch.setattr(call, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(call, "TRY_SECONDS", 0.5)
    monkeypatch.setitem(health.ask.__kwdefaults__, "limit_s", 0.5)


@pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by signals")
async def test_a_voice_that_fails_in_a_call_says_so_and_is_back_for_the_next(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    services = await open_quick(kind="window")
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.error is None
    async with asyncio.timeout(20):
        while await services.wishes.get("My line") is None:
            await asyncio.sleep(0.05)
    url = f"ws://127.0.0.1:{port}/api/chat"
    loop = asyncio.get_running_loop()
    for name, number, alone in FAILURES:
        caller = Stock(await connect(url, compression=None))
        await caller.hears(0.2)
        status = await services.servers.status("pd-1")
        assert status is not None
        assert status.pid
        assert status.child_pid
        began = loop.time()
        if alone:
            psutil.Process(status.pid).kill()
        psutil.Process(status.child_pid).send_signal(number)
        code, _ = await caller.ended(60.0)
        assert code == 1011, name
        assert caller.said[-1].decode().endswith("."), name
        again = Stock(await connect(url, compression=None))
        await again.hears(0.2, 60.0)
        print(f"{name}: {loop.time() - began:.1f} s", flush=True)
        await again.close()
        await caller.close()
        assert len(await services.servers.store.all()) == 1
        assert not await services.journal.in_state(DeployState.RUNNING, DeployState.INTERRUPTED)
        line = await services.lines.wait_until("My line", LineState.UP, limit_s=20)
        assert (line.state, line.port) == (LineState.UP, port)
    deeds = {entry.deed for entry in await services.wishes.log("My line")}
    assert Deed.RESTART_SERVICE in deeds
    assert not deeds & {Deed.DEPLOY, Deed.END_MACHINE}
