"""`personadesk stop` with machines that are gone: nothing is asked of them, and nothing else is left running."""

from __future__ import annotations

from pathlib import Path

from personadesk.app import Services, open_services
from personadesk.cli import stop as command
from personadesk.domain.errors import Unreachable
from personadesk.domain.host import HostKey, SshAddress
from personadesk.store.hosts import Placement
from personadesk.store.servers import ServerIntent, ServerRecord

KEY = HostKey("ssh-ed25519", "AAAA", "SHA256:x")


async def _voice_on_a_machine(services: Services, tag: str) -> None:
    await services.hosts.know_rented(tag, SshAddress("127.0.0.9", 1), KEY, "acc")
    await services.servers.store.put(
        ServerRecord(tag, Path("x"), (), "http://127.0.0.1:9", "m", ServerIntent.RUNNING, 1.0)
    )
    await services.hosts.store.place(Placement(tag, tag, f"/srv/servers/{tag}", 9001, 1.0))


async def test_a_voice_goes_with_its_rented_machine():
    services = await open_services(serve_lines=False)
    try:
        await _voice_on_a_machine(services, "pd-1")
        assert await services.servers.remove("pd-1"), "its rental has ended: nobody is asked"
        assert await services.servers.store.all() == []
    finally:
        await services.close()


async def test_what_would_not_stop_keeps_nothing_else_from_it(monkeypatch):
    services = await open_services(serve_lines=False)
    try:
        await _voice_on_a_machine(services, "pd-1")
        await _voice_on_a_machine(services, "pd-2")
        first = (await services.servers.store.all())[0].id

        async def going(tag: str) -> bool:
            return tag != first

        monkeypatch.setattr(services.servers.rented, "going", going)
        stopped, removed, failed = await command._stop_all(services)
        assert stopped == []
        assert set(removed) == {"pd-1", "pd-2"} - {first}
        assert [type(error) for error in failed] == [Unreachable]
    finally:
        await services.close()
