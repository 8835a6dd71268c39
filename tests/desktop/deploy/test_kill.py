"""The program is killed with SIGKILL at each step; the next one goes on, or removes all that was left."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from personadesk.app import Services
from personadesk.domain.line import LineState
from personadesk.domain.progress import RENTED_STEPS, DeployState, StepName, StepState
from personadesk.hosts import local
from personadesk.store.paths import Folders

Open = Callable[..., Awaitable[Services]]
STEPS = [str(name) for name in StepName if name not in RENTED_STEPS]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills the POSIX way")


async def _killed_at(
    harness: ModuleType, model: Path, port: int, step: str, moment: str, *more: str
) -> None:
    """Run a deploy in a program of its own, and kill that once it has reached a moment."""
    words = [sys.executable, harness.__file__, "pd-1", str(port), str(model), step, moment, *more]

    def work() -> None:
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as program:
            alarm = threading.Timer(90, program.kill)
            alarm.start()
            assert program.stdout is not None
            said = []
            for line in program.stdout:
                said.append(line)
                if line.startswith("PAUSED"):
                    break
            program.send_signal(signal.SIGKILL)
            program.wait()
            alarm.cancel()
            alarm.join()
            assert said[-1:] == ["PAUSED\n"], "".join(said)

    await asyncio.to_thread(work)


@pytest.mark.parametrize(
    ("step", "moment"),
    [
        *((step, "after") for step in STEPS),
        ("start", "before"),
        ("start", "inside"),
        ("line", "before"),
    ],
)
async def test_after_a_kill_the_next_start_goes_on(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any,
    step: str, moment: str,
) -> None:  # fmt: skip
    await _killed_at(harness, model, port, step, moment)
    before = servers_running()
    services = await open_quick()
    (view,) = services.deploys.interrupted()
    assert view.state is DeployState.INTERRUPTED
    assert view.steps[STEPS.index(step)].state is StepState.CANCELLED

    view = await (await services.deploys.resume("pd-1")).wait()

    assert view.error is None
    assert view.state is DeployState.DONE
    assert services.deploys.interrupted() == []
    (line,) = services.lines.lines()
    assert (line.state, line.url) == (LineState.UP, view.line_url)
    running = servers_running()
    assert len(running) == 1
    if before:
        # What was there and right is used, not started a second time.
        assert running == before
        assert view.steps[4].state is StepState.SKIPPED
    await services.deploys.undo("pd-1")
    assert servers_running() == []
    assert local.port_is_free(port)


@pytest.mark.parametrize(
    ("step", "moment"),
    [("install", "after"), ("start", "before"), ("start", "inside"), ("start", "after"),
     ("voice-test", "after"), ("line", "after")],
)  # fmt: skip
async def test_after_a_kill_all_that_was_left_can_be_removed(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any,
    places: Folders, step: str, moment: str,
) -> None:  # fmt: skip
    await _killed_at(harness, model, port, step, moment)
    services = await open_quick()
    view = await services.deploys.undo("pd-1")
    assert view.state is DeployState.UNDONE
    assert services.deploys.interrupted() == []
    assert servers_running() == []
    assert services.lines.lines() == ()
    assert await services.servers.store.all() == []
    assert list((places.state / "servers").iterdir()) == []
    assert local.port_is_free(port)


async def test_what_a_dead_demo_left_goes_by_itself(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    await _killed_at(harness, model, port, "line", "after", "demo")
    assert len(servers_running()) == 1
    services = await open_quick()
    assert await services.deploys.undo_dead_demos() == ["pd-1"]
    assert servers_running() == []
    assert services.lines.lines() == ()
    assert await services.deploys.undo_dead_demos() == []


async def test_a_kill_in_the_middle_of_an_undo_is_made_good(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    await _killed_at(harness, model, port, "voice-test", "after")
    services = await open_quick()
    # The first thing an undo does is to write this down; here the power goes.
    await services.journal.set_state("pd-1", DeployState.INTERRUPTED)
    await services.close()
    again = await open_quick()
    assert [view.plan.id for view in again.deploys.interrupted()] == ["pd-1"]
    await again.deploys.undo("pd-1")
    assert servers_running() == []


@pytest.mark.parametrize(("step", "moment"), [("start", "inside"), ("voice-test", "after")])
async def test_a_spare_whose_making_was_killed_is_gone_after_the_next_start(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any,
    step: str, moment: str,
) -> None:  # fmt: skip
    await _killed_at(harness, model, port, step, moment, "spare")
    services = await open_quick(kind="window")
    async with asyncio.timeout(60):
        while await services.journal.spares():
            await asyncio.sleep(0.05)
    assert servers_running() == []
    record = await services.journal.load("pd-1")
    assert record is not None
    assert record.state is DeployState.UNDONE
