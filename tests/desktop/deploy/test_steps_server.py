"""Starting, waiting and the voice test, when the server misbehaves."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from personadesk.app import Services
from personadesk.deploy.step import Context
from personadesk.deploy.steps.line import LineStep
from personadesk.deploy.steps.start import StartStep, serve_command
from personadesk.deploy.steps.voice_test import VoiceTestStep
from personadesk.domain.errors import (
    BadRequest,
    HostUnfit,
    NoCapacity,
    PersonaDeskError,
    ProviderFault,
    Unreachable,
)
from personadesk.domain.line import Line, Target
from personadesk.domain.plan import ModelChoice, ModelKind, Plan
from personadesk.domain.progress import DeployState, DeployView
from personadesk.domain.report import Verdict
from personadesk.hosts import local
from personadesk.store.servers import ServerIntent, ServerRecord

Open = Callable[..., Awaitable[Services]]

TELLS = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = sys.argv[2].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
print("WARNING about to tell", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


async def _run(
    open_quick: Open, harness: ModuleType, model: Path, port: int, at: int, step: Any
) -> tuple[DeployView, list[str]]:
    def steps(places: object) -> list[Any]:
        made: list[Any] = harness.quick_steps(places)
        made[at] = step
        return made

    services = await open_quick(make_steps=steps)
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    view = await deployment.wait()
    return view, [line.text for line in deployment.log]


def _telling(**facts: object) -> Callable[[Context, int], tuple[str, ...]]:
    return lambda context, port: (
        sys.executable, "-c", TELLS, str(port), json.dumps(facts), str(context.state_dir),
    )  # fmt: skip


async def test_a_server_that_dies_at_once_is_told_with_its_last_words(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    words = (sys.executable, "-c", "print('libgomp is missing'); raise SystemExit(2)")
    view, _ = await _run(open_quick, harness, model, port, 4, StartStep(lambda _c, _p: words))
    assert isinstance(view.error, ProviderFault)
    assert "does not stay up" in str(view.error.what)
    assert "libgomp is missing" in view.error.details


async def test_a_snatched_port_is_not_the_end(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    tried: list[int] = []

    def command(context: Context, chosen: int) -> tuple[str, ...]:
        tried.append(chosen)
        if len(set(tried)) == 1:
            return (sys.executable, "-c", "raise SystemExit(3)")  # what the server ends with then
        words: tuple[str, ...] = harness.echo_command(context, chosen)
        return words

    view, _ = await _run(open_quick, harness, model, port, 4, StartStep(command))
    assert view.state is DeployState.DONE
    assert len(set(tried)) == 2


async def test_a_model_that_does_not_load_is_told_in_the_server_s_words(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    command = _telling(state="failed", reason="model.safetensors lacks “emb.0”.")
    view, _log = await _run(open_quick, harness, model, port, 4, StartStep(command))
    assert isinstance(view.error, BadRequest)  # the folder was chosen by a person
    assert "lacks “emb.0”" in str(view.error.what)
    assert "about to tell" in view.error.details


async def test_the_server_s_log_is_part_of_the_story(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    _view, log = await _run(
        open_quick, harness, model, port, 4, StartStep(_telling(state="failed", reason="no"))
    )
    assert any("about to tell" in line for line in log)


async def test_loading_is_shown_with_its_stage_and_progress(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    command = _telling(state="loading", progress=0.4, stage="reading weights")

    def steps(places: object) -> list[Any]:
        made: list[Any] = harness.quick_steps(places)
        made[4] = StartStep(command)
        return made

    services = await open_quick(make_steps=steps)
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    async with asyncio.timeout(60):
        while str(deployment.view.steps[5].doing) != "reading weights":
            await asyncio.sleep(0.02)
    assert deployment.view.steps[5].fraction == 0.4
    deployment.cancel()
    await deployment.wait()


def _testing(harness: ModuleType, *verdicts: Verdict, heard: bool = True) -> VoiceTestStep:
    left = list(verdicts)

    async def test(url: str, clip: str | None, folder: Path, on_progress: Any) -> Any:
        values = harness.GOOD | {"heard_anything": heard, "round": len(left)}
        return harness.report_of(values, left.pop(0))

    return VoiceTestStep(test)


async def test_a_warning_lets_the_deploy_go_on(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    testing = _testing(harness, Verdict.WARN, Verdict.WARN)
    view, _ = await _run(open_quick, harness, model, port, 6, testing)
    assert view.state is DeployState.DONE
    assert view.report is not None
    assert view.report.verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        (Verdict.FAIL, Verdict.PASS, 2),
        (Verdict.FAIL, Verdict.WARN, 2),
        (Verdict.WARN, Verdict.PASS, 2),
        (Verdict.WARN, Verdict.FAIL, 1),
    ],
)
async def test_one_bad_moment_of_a_busy_computer_is_tested_again(
    open_quick: Open,
    harness: ModuleType,
    model: Path,
    port: int,
    first: Verdict,
    second: Verdict,
    taken: int,
) -> None:
    view, log = await _run(open_quick, harness, model, port, 6, _testing(harness, first, second))
    assert view.state is DeployState.DONE
    assert view.report is not None
    assert view.report.verdict is (first, second)[taken - 1]
    assert view.report_dir is not None
    assert view.report_dir.endswith("-2") is (taken == 2)
    assert any("once more" in line for line in log)


async def test_a_voice_too_slow_ends_the_deploy_and_leaves_no_server(
    open_quick: Open, harness: ModuleType, model: Path, port: int, servers_running: Any
) -> None:
    view, _ = await _run(
        open_quick, harness, model, port, 6, _testing(harness, Verdict.FAIL, Verdict.FAIL)
    )
    assert isinstance(view.error, HostUnfit)
    assert view.report is not None
    assert view.report_dir is not None
    assert view.line_url is None
    assert servers_running() == []


async def test_silence_is_not_tested_twice(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    view, _ = await _run(
        open_quick, harness, model, port, 6, _testing(harness, Verdict.FAIL, heard=False)
    )
    assert isinstance(view.error, ProviderFault)
    assert view.error.cause == "no_voice"


async def test_a_voice_still_busy_with_its_test_is_called_again(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    answers: list[BaseException | None] = [NoCapacity("busy"), Unreachable("slow"), None]

    async def prove(url: str) -> None:
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    view, _ = await _run(open_quick, harness, model, port, 7, LineStep(prove))
    assert view.state is DeployState.DONE
    assert answers == []


@pytest.mark.parametrize("any_port", [True, False])
async def test_a_port_that_is_snatched_before_the_end_is_gone_round_unless_it_was_asked_for(
    open_quick: Open, harness: ModuleType, model: Path, port: int, any_port: bool
) -> None:
    taken: list[socket.socket] = []

    async def test(url: str, clip: str | None, folder: Path, on_progress: Any) -> Any:
        snatcher = socket.socket()
        snatcher.bind(("127.0.0.1", port))
        snatcher.listen()
        taken.append(snatcher)
        return harness.report_of(harness.GOOD)

    def steps(places: object) -> list[Any]:
        made: list[Any] = harness.quick_steps(places)
        made[6] = VoiceTestStep(test)
        return made

    services = await open_quick(make_steps=steps)
    plan = replace(harness.make_plan("pd-1", port, model), any_port=any_port)
    deployment = await services.deploys.start(plan)
    view = await deployment.wait()
    taken[0].close()
    if any_port:
        assert view.state is DeployState.DONE
        (line,) = services.lines.lines()
        assert line.url == view.line_url
        assert line.port != port
        assert any("tried instead" in entry.text for entry in deployment.log if entry.warning)
    else:
        assert view.error is not None
        assert view.error.cause == "port_taken"
        assert services.lines.lines() == ()


async def test_a_line_that_leads_nowhere_is_taken_away_again(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    async def prove(url: str) -> None:
        raise BadRequest("This is no voice.", "Look elsewhere.")

    view, _ = await _run(open_quick, harness, model, port, 7, LineStep(prove))
    assert str(view.error.what) == "This is no voice."  # type: ignore[union-attr] # it failed
    assert local.port_is_free(port)


async def test_an_address_that_was_there_before_outlives_a_voice_that_does_not_work(
    open_quick: Open, harness: ModuleType, model: Path, port: int
) -> None:
    async def prove(url: str) -> None:
        raise BadRequest("This is no voice.", "Look elsewhere.")

    services = await open_quick(
        make_steps=lambda places: [*harness.quick_steps(places)[:7], LineStep(prove)]
    )
    await services.lines.put(Line("My line", port))
    view = await (await services.deploys.start(harness.make_plan("pd-1", port, model))).wait()
    assert view.state is DeployState.FAILED
    (line,) = services.lines.lines()
    assert (line.name, line.port, line.target) == ("My line", port, None)


@pytest.mark.parametrize(
    "failure", [Unreachable("It is not reached."), ProviderFault("It refuses.")], ids=["away", "no"]
)
async def test_an_old_machine_that_does_not_go_does_not_take_the_new_voice_down_and_is_not_forgotten(
    open_quick: Open, harness: ModuleType, model: Path, port: int, monkeypatch: pytest.MonkeyPatch,
    failure: PersonaDeskError,
) -> None:  # fmt: skip
    services = await open_quick()
    url = "ws://127.0.0.1:9/api/chat"
    old = ServerRecord("pd-0", services.folders.state / "servers" / "pd-0", (sys.executable,), url)
    await services.servers.store.put(replace(old, intent=ServerIntent.RUNNING))
    await services.lines.put(Line("My line", port, Target(url, "pd-0")))
    dispose = services.servers.dispose

    async def unreached(server_id: str) -> bool:
        if server_id == "pd-0":
            raise failure
        return await dispose(server_id)

    monkeypatch.setattr(services.servers, "dispose", unreached)
    deployment = await services.deploys.start(harness.make_plan("pd-1", port, model))
    assert (await deployment.wait()).state is DeployState.DONE
    told = [entry.text for entry in deployment.log if entry.warning]
    assert any(
        "pd-0, which this one replaces, is not gone yet and is removed later" in text
        for text in told
    )
    (line,) = services.lines.lines()
    assert line.target is not None
    assert line.target.server_id == "pd-1"
    kept = await services.servers.store.get("pd-0")
    assert kept is not None
    assert kept.intent is ServerIntent.LEAVING
    remove, reached = services.servers.remove, False

    async def when_reached(server_id: str) -> bool:
        if not reached:
            raise Unreachable("It is not reached.")
        return await remove(server_id)

    monkeypatch.setattr(services.servers, "remove", when_reached)
    assert await services.leaving.remove() == ()
    reached = True
    assert await services.leaving.remove() == ("pd-0",)
    assert [server.id for server in await services.servers.store.all()] == ["pd-1"]


def test_the_command_line_carries_the_mark_by_which_strays_are_found(tmp_path: Path) -> None:
    nobody: Any = None
    places: Any = type("Places", (), {"state": tmp_path, "data": tmp_path})
    for kind, threads in ((ModelKind.REHEARSAL, True), (ModelKind.FOLDER, False)):
        plan = Plan("pd-1", model=ModelChoice(kind, "/models/a"))
        context = Context(
            plan, places, nobody, nobody, nobody, {"python": "/env/python", "model": "/models/a"},
            nobody, nobody,
        )  # fmt: skip
        words = serve_command(context, 5000)
        assert words[:4] == ("/env/python", "-m", "personaplex_server", "serve")
        assert any(word.startswith(str(context.state_dir)) for word in words)
        assert ("--threads" in words) is threads
