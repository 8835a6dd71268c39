"""`personadesk line sleep|wake|move` as somebody types them, with real voice servers on this computer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from personadesk.__main__ import main
from personadesk.app import Services, open_services
from personadesk.deploy.steps.voice_test import VoiceTestStep
from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T
from personadesk.hosts import health

Open = Callable[..., Awaitable[Services]]
Type = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture
def type_(
    monkeypatch: pytest.MonkeyPatch, harness: ModuleType, capsys: pytest.CaptureFixture[str]
) -> Type:
    """Types a command, whose deploys are quick and leave no process behind that serves the lines."""

    async def stay(services: object) -> int:
        return 0

    monkeypatch.setattr("personadesk.app.Services.hand_over", stay)
    monkeypatch.setattr(
        "personadesk.cli.line.open_services", partial(open_services, make_steps=harness.quick_steps)
    )

    async def type_(*words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = await asyncio.to_thread(_main_here, [*words, "--json"])
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return type_


def _main_here(words: list[str]) -> int:
    return main(words)


async def _deployed(open_quick: Open, harness: ModuleType, model: Path, port: int) -> str:
    """Deploy a voice as another command did; returns where it is."""
    services = await open_quick()
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.error is None
    line = await services.lines.need("My line")
    await services.guardian.wish(line)
    await services.close()
    assert line.target is not None
    return line.target.url


async def test_a_line_sleeps_wakes_and_moves_by_commands(
    type_: Type, open_quick: Open, harness: ModuleType, model: Path, port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    # Signals reach the main thread only; who types here is in another.
    monkeypatch.setattr("personadesk.cli.running._with_signals", _without_signals)
    first = await _deployed(open_quick, harness, model, port)
    code, told = await type_("line", "sleep", "My line")
    assert (code, told["state"], told["wish"]["rest"]) == (0, "stopped", "asleep")
    assert await health.ask(first) is None
    code, told = await type_("line", "wake", "My line")
    assert (code, told["state"], told["wish"]["rest"]) == (0, "up", "up")
    code, told = await type_("line", "move", "My line", "--to", "local")
    assert (code, told["state"], told["port"]) == (0, "up", port)
    second = told["server"]
    assert (second != first, told["server_id"] != "pd-1") == (True, True)
    assert await health.ask(second) is not None
    assert await health.ask(first) is None, "the old one is gone"

    # A new voice that fails its test leaves the old one behind the line.
    async def mute(self: object, context: object) -> None:
        raise HostUnfit(T("It runs, but no voice came back."))

    monkeypatch.setattr(VoiceTestStep, "run", mute)
    code, told = await type_("line", "move", "My line", "--to", "local")
    assert (code, told["error"]["type"]) == (1, "HostUnfit")
    _, shown = await type_("line", "show", "My line")
    assert shown["server"] == second
    assert await health.ask(second) is not None
    code, told = await type_("line", "move", "My line", "--to", "host:nobody")
    assert (code, told["error"]["type"]) == (1, "NotFound")


async def _without_signals(work: Callable[[Any], Awaitable[int]]) -> int:
    from personadesk.cli.running import Stop

    return await work(Stop())
