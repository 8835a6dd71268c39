"""A machine is emptied: its lines stay without a voice, and a deploy under way is not pulled from below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from personadesk.domain.errors import BadRequest, HostUnfit, NotFound
from personadesk.domain.host import HostRecord, RestartProof, SshAddress
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.plan import Plan, place_on
from personadesk.domain.text import T
from personadesk.hosts import local
from personadesk.lines.uninstall import Uninstalled, uninstall
from personadesk.store.hosts import Placement


class Machine:
    """Stands for what looks after a machine: its servers stop, then perhaps something will not go."""

    def __init__(self, *servers: str, fault: Exception | None = None) -> None:
        self.servers, self.fault = servers, fault
        self.asked: list[str] = []

    async def uninstall(self, host_name: str, *, tell: Any, on_stopped: Any) -> list[str]:
        self.asked.append(host_name)
        for server in self.servers:
            tell(T("Stopping the voices on “{name}”.", name=host_name))
            await on_stopped(server)
        if self.fault is not None:
            raise self.fault
        return list(self.servers)


@pytest.fixture
def open_services(opener: Callable[..., Any]) -> Any:
    """Opens services; no deploys are made here."""
    return opener(make_steps=lambda places: ())


async def _two_lines(services: Any) -> tuple[int, int]:
    ports = local.pick_port(), local.pick_port()
    for name, port, server in (("There", ports[0], "pd-1"), ("Here", ports[1], "pd-2")):
        target = Target("ws://127.0.0.1:9/api/chat", server)
        await services.lines.put(Line(name, port, target, LineState.STOPPED))
    return ports


async def test_lines_that_led_there_stay_without_a_voice(open_services: Any) -> None:
    services = await open_services()
    port, _ = await _two_lines(services)
    machine, told = Machine("pd-1", "pd-9"), []
    done = await uninstall("box", machine, services.lines, running=(), tell=told.append)
    assert done == Uninstalled(("pd-1", "pd-9"), ("There",))
    lines = {line.name: line for line in await services.lines.all()}
    assert (lines["There"].target, lines["There"].port) == (None, port)
    assert lines["There"].state is LineState.STOPPED
    assert lines["Here"].target is not None
    assert await services.lines.serves(port), "its address goes on answering"
    assert [str(each) for each in told] == ["Stopping the voices on “box”."] * 2


async def test_what_had_stopped_is_let_go_even_when_not_all_could_be_removed(
    open_services: Any,
) -> None:
    services = await open_services()
    await _two_lines(services)
    machine = Machine("pd-1", fault=HostUnfit(T("Not everything could be removed.")))
    with pytest.raises(HostUnfit):
        await uninstall("box", machine, services.lines, running=(), tell=lambda text: None)
    line = await services.lines.get("There")
    assert line is not None
    assert line.target is None


async def test_a_deploy_under_way_is_not_pulled_from_below(open_services: Any) -> None:
    services = await open_services()
    machine = Machine()
    plans = [Plan("pd-1", "There", 8998, place=place_on("box")), Plan("pd-2", "Here", 8999)]
    with pytest.raises(BadRequest) as refused:
        await uninstall("box", machine, services.lines, running=plans, tell=lambda text: None)
    assert refused.value.cause == "deploying"
    assert machine.asked == []
    await uninstall("attic", machine, services.lines, running=plans, tell=lambda text: None)
    assert machine.asked == ["attic"]


async def test_a_machine_that_is_gone_is_forgotten_with_its_voices(open_services: Any) -> None:
    services = await open_services()
    port, _ = await _two_lines(services)
    store = services.hosts.store
    # Nothing listens there, and nothing is asked of it.
    await store.add(HostRecord("box", SshAddress("127.0.0.1", local.pick_port())))
    await store.place(Placement("pd-1", "box", "/home/me/.personadesk/servers/pd-1", 9))
    await store.prove("box", RestartProof("cron", 1.0))
    with pytest.raises(BadRequest) as refused:
        await services.hosts.remove("box")
    assert "--force" in str(refused.value.next)
    assert await services.forget("box") == Uninstalled(("pd-1",), ("There",))
    line = await services.lines.get("There")
    assert line is not None
    assert (line.target, line.port) == (None, port)
    assert await store.all() == ()
    assert await store.placement("pd-1") is None
    assert await store.proof("box") is None
    with pytest.raises(NotFound):
        await services.forget("box")
