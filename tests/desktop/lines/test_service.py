"""Lines as programs use them, with real servers behind them and more than one PersonaDesk at work."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from personadesk.app import Services
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.text import T, Text
from personadesk.domain.wish import Wish
from personadesk.hosts import health, local
from personadesk.lines import keeper, service, truth
from personadesk.store.servers import ServerRecord

Open = Callable[..., Awaitable[Services]]


@pytest.fixture
def open_services(opener: Callable[..., Any]) -> Any:
    """Opens services; no deploys are made here."""
    return opener(make_steps=lambda places: ())


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after the lines ten times as often."""
    monkeypatch.setattr(service, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(service, "PULSE_SECONDS", 0.05)


async def _start_echo(services: Services, server_id: str = "pd-1") -> Target:
    port = local.pick_port()
    folder = services.folders.state / "servers" / server_id
    command = (
        sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo", "--port", str(port),
        "--ready-file", str(folder / "ready.json"),
    )  # fmt: skip
    url = f"ws://127.0.0.1:{port}/api/chat"
    await services.servers.start(ServerRecord(server_id, folder, command, url, "echo"))
    async with asyncio.timeout(30):
        while await health.ask(url) is None:
            await asyncio.sleep(0.05)
    return Target(url, server_id)


async def _state(services: Services, name: str, *states: LineState) -> Line:
    line = await services.lines.wait_until(name, *states, limit_s=30)
    assert line.state in states, line
    return line


async def _status(port: int) -> dict[str, Any] | None:
    return await health.get_json(f"http://127.0.0.1:{port}", "/status")


async def test_a_line_is_there_as_soon_as_it_is_put(open_services: Open) -> None:
    services = await open_services()
    heard: list[int] = []
    leave = services.lines.subscribe(lambda: heard.append(len(services.lines.lines())))
    line = Line("a", local.pick_port())
    await services.lines.put(line)
    assert services.lines.lines() == (line,)
    assert (await _status(line.port) or {})["line"] == "a"
    assert await services.lines.serves(line.port)
    assert heard == [1]
    leave()
    await services.lines.remove("a")
    assert heard == [1]
    assert await _status(line.port) is None
    assert local.port_is_free(line.port)


async def test_a_taken_port_is_told_with_who_has_it(open_services: Open) -> None:
    services = await open_services()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadRequest, match=f"Port {port} is taken"):
            await services.lines.put(Line("a", port))
    # And once the other program is gone, the line is there by itself.
    async with asyncio.timeout(10):
        while await _status(port) is None:
            await asyncio.sleep(0.05)


async def test_a_line_may_move_to_another_port(open_services: Open) -> None:
    services = await open_services()
    first, second = local.pick_port(), local.pick_port()
    await services.lines.put(Line("a", first))
    await services.lines.put(Line("a", second))
    assert await _status(first) is None
    assert (await _status(second) or {})["line"] == "a"


async def test_a_line_gets_another_port_and_keeps_its_own_where_that_cannot_be_had(
    open_services: Open,
) -> None:
    first, second = await open_services(kind="window"), await open_services()
    old, new, other = local.pick_port(), local.pick_port(), local.pick_port()
    await first.lines.put(Line("a", old))
    await first.lines.put(Line("b", other))
    await first.lines.tell("a", LineState.FAILED, T("It ran out of memory."))
    # Asked of the process that does not serve the lines, as a terminal beside an open window is.
    assert (await second.wanting.set_port("a", new)).port == new
    assert await _status(old) is None
    assert (await _status(new) or {})["line"] == "a"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for port, cause in (
            (taken.getsockname()[1], "port_taken"), (other, "port_taken"), (80, "bad_port"),
        ):  # fmt: skip
            with pytest.raises(BadRequest) as refused:
                await second.wanting.set_port("a", port)
            assert refused.value.cause == cause
    assert (await _status(new) or {})["line"] == "a"


async def test_names_that_are_not_there_are_told(open_services: Open) -> None:
    services = await open_services()
    for act in (services.lines.stop, services.lines.start, services.lines.remove):
        with pytest.raises(NotFound, match="no line called “b”"):
            await act("b")
    await services.lines.put(Line("a", local.pick_port()))
    with pytest.raises(NotFound, match="no voice behind"):
        await services.lines.start("a")


async def test_a_line_follows_the_truth_about_its_server(open_services: Open) -> None:
    services = await open_services()
    target = await _start_echo(services)
    await services.lines.put(Line("a", local.pick_port(), target, LineState.UP, time.time()))
    status = await services.servers.status("pd-1")
    assert status is not None
    # The server dies: it is starting again, then up, proven by a handshake.
    os.kill(status.child_pid or 0, signal.SIGKILL)
    line = await _state(services, "a", LineState.STARTING)
    assert line.reason
    await _state(services, "a", LineState.UP)
    # Its supervisor is killed too: nobody will start it again.
    os.kill(status.pid or 0, signal.SIGKILL)
    line = await _state(services, "a", LineState.FAILED)
    assert "does not run any more" in str(line.reason)
    # Starting the line again makes it good.
    await services.lines.start("a")
    await _state(services, "a", LineState.UP)


async def test_a_stopped_line_says_so_and_can_be_started_again(open_services: Open) -> None:
    services = await open_services()
    target = await _start_echo(services)
    await services.lines.put(Line("a", local.pick_port(), target, LineState.UP, time.time()))
    await services.lines.stop("a")
    assert (await services.lines.need("a")).state is LineState.STOPPED
    assert await health.ask(target.url) is None
    await asyncio.sleep(0.5)
    assert (await services.lines.need("a")).state is LineState.STOPPED
    # Meanwhile another program takes the server's port; only the line's own port is a promise.
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(target.url.split(":")[2].split("/")[0])))
        taken.listen()
        await services.lines.start("a")
        line = await _state(services, "a", LineState.UP)
    assert line.target is not None
    assert line.target.url != target.url


async def test_a_removed_line_takes_its_server_along(open_services: Open) -> None:
    services = await open_services()
    target = await _start_echo(services)
    await services.lines.put(Line("a", local.pick_port(), target, LineState.UP, time.time()))
    await services.lines.remove("a")
    assert await health.ask(target.url) is None
    assert await services.servers.store.all() == []
    assert not (services.folders.state / "servers" / "pd-1").exists()


async def test_a_server_that_gives_up_is_a_failed_line_with_the_reason(open_services: Open) -> None:
    services = await open_services()
    folder = services.folders.state / "servers" / "pd-1"
    command = (sys.executable, "-c", "raise SystemExit(2)", str(folder))
    await services.servers.start(ServerRecord("pd-1", folder, command, "ws://127.0.0.1:9/api/chat"))
    target = Target("ws://127.0.0.1:9/api/chat", "pd-1")
    await services.lines.put(Line("a", local.pick_port(), target, LineState.UP, time.time()))
    line = await _state(services, "a", LineState.FAILED)
    assert "exit code 2" in str(line.reason)


async def test_one_late_answer_does_not_bring_a_line_down(
    open_services: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from personadesk.lines.truth import Truth

    services = await open_services(serve_lines=False)
    await services.lines._store.put(
        Line("a", 9000, Target("ws://127.0.0.1:9/x", "pd-1"), LineState.UP, 1.0)
    )
    (line,) = await services.lines.all()
    answers: list[Truth | None] = [Truth(LineState.STARTING, Text("late")), None] * 3

    async def look(line: Line, servers: object) -> Truth | None:
        return answers.pop(0)

    monkeypatch.setattr(keeper.truth, "look", look)
    looker = keeper.LineKeeper(services.lines._store, services.servers)
    looker._gateways["a"] = object()  # type: ignore[assignment] # only its presence counts here
    while answers:
        assert not await looker.check((line,))
    answers = [Truth(LineState.STARTING, Text("late"))] * 2
    assert [await looker.check((line,)) for _ in range(2)] == [False, True]


async def test_a_start_that_takes_long_is_not_taken_for_a_failure(open_services: Open) -> None:
    services = await open_services(serve_lines=False)
    folder = services.folders.state / "servers" / "pd-1"
    server = ServerRecord("pd-1", folder, (), "ws://127.0.0.1:9/x", at=time.time())
    await services.servers.store.put(server)
    line = Line("a", 9000, Target(server.url, "pd-1"), LineState.STARTING, time.time(), "soon")
    found = await truth.look(line, services.servers)
    assert found is not None
    assert found.state is LineState.STARTING
    # One that was killed in the middle of it does not start for ever, and one look does not settle it.
    old = time.time() - truth.STARTING_SECONDS - 1
    await services.servers.store.put(replace(server, at=old))
    found = await truth.look(line, services.servers)
    assert found is not None
    assert (found.state, found.sure) == (LineState.FAILED, False)


async def test_a_tunnel_that_waits_for_its_machine_to_start_is_no_server_that_hangs(
    open_services: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waking a machine takes minutes; the tunnel to it runs on meanwhile, and nothing answers through it."""
    monkeypatch.setattr(truth, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(truth, "FRESH_SECONDS", 0.0)
    services = await open_services(serve_lines=False)
    folder = services.folders.state / "servers" / "pd-1"
    command = (sys.executable, "-c", "import time; time.sleep(600)", str(folder))
    server = ServerRecord("pd-1", folder, command, "ws://127.0.0.1:9/x")
    await services.servers.start(server)
    async with asyncio.timeout(20):
        while (status := await services.servers.status("pd-1")) and status.child_pid is None:
            await asyncio.sleep(0.02)
    line = Line("a", 9000, Target(server.url, "pd-1"), LineState.STARTING, time.time())
    await services.servers.store.put(replace(server, at=time.time()))
    found = await truth.look(line, services.servers)
    assert found == truth.Truth(LineState.STARTING, truth.STARTING)
    # A start that failed before the line was seen to start again says nothing of it.
    await services.servers.store.put(replace(server, at=line.since - 1.0))
    found = await truth.look(line, services.servers)
    assert found == truth.Truth(LineState.FAILED, truth.STUCK, sure=False)


async def test_the_time_that_a_server_gets_to_come_up_begins_when_its_machine_was_woken(
    open_services: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = await open_services(serve_lines=False)
    target = await _start_echo(services)
    await services.lines.put(Line("a", local.pick_port(), target, LineState.STOPPED, 1.0))
    woken = 0.0

    async def start(server: ServerRecord) -> None:
        nonlocal woken
        # While the machine was woken, somebody saw what still stood there.
        await services.lines.tell("a", LineState.FAILED, truth.STUCK)
        woken = time.time()

    monkeypatch.setattr(services.servers, "start", start)
    await services.lines.start("a")
    line = await services.lines.need("a")
    assert (line.state, line.reason, line.target) == (LineState.STARTING, truth.STARTING, target)
    assert line.since >= woken


async def test_two_programs_share_the_lines(open_services: Open) -> None:
    first = await open_services(kind="window")
    second = await open_services()
    assert first.lines.serving
    assert not second.lines.serving
    assert (second.lines.owner() or {})["kind"] == "window"
    line = Line("a", local.pick_port())
    await second.lines.put(line)
    assert (await _status(line.port) or {})["line"] == "a"
    assert await second.lines.serves(line.port)
    async with asyncio.timeout(5):
        while first.lines.lines() != (line,):
            await asyncio.sleep(0.02)
    # A third one comes by: nobody but the owner touches the address or what is known of it.
    third = await open_services()
    assert third.lines.lines() == (line,)
    await third.close()
    # The first one ends: the second takes over, and the address stays.
    await first.close()
    async with asyncio.timeout(10):
        while not (second.lines.serving and await _status(line.port)):
            await asyncio.sleep(0.02)
    await second.lines.remove("a")
    assert local.port_is_free(line.port)


async def test_a_taken_port_is_told_to_the_program_that_does_not_serve(open_services: Open) -> None:
    first, second = await open_services(kind="window"), await open_services()
    assert first.lines.serving
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadRequest, match="is taken"):
            await second.lines.put(Line("a", taken.getsockname()[1]))


async def test_handing_over_keeps_the_address_and_ending_frees_it(open_services: Open) -> None:
    services = await open_services()
    target = await _start_echo(services)
    line = Line("a", local.pick_port(), target, LineState.UP, time.time())
    await services.lines.put(line)
    pid = await services.hand_over()
    assert pid != os.getpid()
    assert not services.lines.serving
    assert (await _status(line.port) or {})["server"] == target.url
    assert await services.hand_over() == pid
    await services.close()
    after = await open_services(serve_lines=False)
    assert (after.lines.owner() or {})["pid"] == pid
    assert await after.end_background()
    assert not await after.end_background()
    assert local.port_is_free(line.port)


async def test_a_line_whose_rented_machine_has_ended_says_so_and_goes_on_saying_it(
    open_services: Open,
) -> None:
    services = await open_services()
    target = await _start_echo(services)
    await services.lines.put(Line("a", local.pick_port(), target, LineState.UP, time.time()))
    await services.lines.put(Line("b", local.pick_port(), Target(target.url, "pd-2")))
    assert services.rentals.on_gone is not None
    await services.rentals.on_gone("pd-1")
    # Several looks of the keeper later it is still told.
    await asyncio.sleep(0.5)
    line = await services.lines.need("a")
    assert (line.target, line.state, line.reason) == (None, LineState.STOPPED, truth.ENDED)
    assert await services.servers.store.get("pd-1") is None
    assert (await services.lines.need("b")).target == Target(target.url, "pd-2")
    # One that shall be up keeps what the guardian has to see, to rent another machine.
    await services.wishes.put(Wish("b"))
    await services.rentals.on_gone("pd-2")
    assert (await services.lines.need("b")).target == Target(target.url, "pd-2")
