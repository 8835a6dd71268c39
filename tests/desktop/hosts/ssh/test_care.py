from __future__ import annotations

import asyncio
import sys
import time

import pytest

from peers.sshd import free_port
from personadesk.domain.errors import BadRequest, NotFound, ProviderFault
from personadesk.domain.host import HostRecord, RestartProof, SshAddress
from personadesk.domain.text import Text
from personadesk.hosts import health
from personadesk.hosts.remote import install, lock, service
from personadesk.hosts.remote.care import Care
from personadesk.hosts.remote.layout import Layout
from personadesk.hosts.remote.servers import PlacedServers
from personadesk.hosts.remote.service import Keeper
from personadesk.hosts.ssh.connection import show_keys
from personadesk.hosts.ssh.directory import Hosts
from personadesk.store.database import Database
from personadesk.store.hosts import HostStore, Placement
from personadesk.store.secrets import Secrets
from personadesk.store.servers import ServerStore


@pytest.fixture
async def site(own_sshd, tmp_path):
    """A machine with two versions that run and one that does not; `two` is current, `one` came before."""
    database = await Database(tmp_path / "records.db").open()
    hosts = Hosts(HostStore(database), Secrets(), tmp_path / "ssh", tmp_path / "no_config")
    address = SshAddress(own_sshd.address, own_sshd.port, own_sshd.user.name)
    [key] = await show_keys(address)
    record = HostRecord("box", address, key_file=str(own_sshd.key))
    await hosts.add(record, fingerprints=[key.fingerprint])
    folder = own_sshd.user.home / ".personadesk"
    for name in ("one", "two", "bad"):
        program = folder / "versions" / name / "bin" / "python"
        program.parent.mkdir(parents=True)
        ends = "exit 7" if name == "bad" else f'exec {sys.executable} "$@"'
        program.write_text(f"#!/bin/sh\n{ends}\n")
        program.chmod(0o755)
        (folder / "versions" / name / "complete.json").write_text("{}")
    (folder / "current").symlink_to("versions/two")
    (folder / "previous").write_text("one")
    servers = PlacedServers(ServerStore(database), tmp_path / "logs", hosts)
    yield hosts, Care(hosts, servers), Layout(str(folder)), folder
    if folder.exists():
        await service.forget(await hosts.host("box"), Layout(str(folder)), "pd-1")
    await hosts.close()
    await database.close()


async def _run_one(hosts, layout) -> int:
    port = free_port()
    command = (
        layout.python,
        "-m",
        "personaplex_server",
        "serve",
        "--engine",
        "echo",
        "--port",
        str(port),
    )
    await hosts.store.place(Placement("pd-1", "box", layout.server("pd-1"), port))
    await service.start(await hosts.host("box"), layout, "pd-1", command, Keeper.NONE)
    until = time.monotonic() + 30
    while await health.ask(f"http://127.0.0.1:{port}") is None:
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    return port


async def test_a_way_back_restarts_what_runs_on_the_version_before(site):
    hosts, care, layout, folder = site
    port = await _run_one(hosts, layout)
    host = await hosts.host("box")
    before = (await service.status(host, layout, "pd-1")).pid
    told: list[Text | str] = []
    assert await care.rollback("box", told.append) == ("two", "one")
    assert (folder / "current").resolve().name == "one"
    assert (await service.status(host, layout, "pd-1")).pid != before
    assert await health.ask(f"http://127.0.0.1:{port}") is not None
    assert await care.rollback("box", told.append) == ("one", "two")
    assert (await install.look(host, layout)).previous == "one"
    assert "Restarting pd-1." in map(str, told)


async def test_a_version_that_does_not_run_is_taken_back_by_itself(site, monkeypatch):
    hosts, care, layout, folder = site
    port = await _run_one(hosts, layout)
    monkeypatch.setattr(service, "COME_UP_SECONDS", 6.0)
    (folder / "previous").write_text("bad")
    with pytest.raises(ProviderFault, match="could not be started"):
        await care.rollback("box", lambda line: None)
    assert (folder / "current").resolve().name == "two"
    assert await health.ask(f"http://127.0.0.1:{port}") is not None


async def test_old_versions_go_and_the_two_last_stay(site):
    hosts, _, layout, folder = site
    await install.prune(await hosts.host("box"), layout)
    assert sorted(path.name for path in (folder / "versions").iterdir()) == ["one", "two"]


async def test_the_log_is_read_and_followed(site):
    _, care, _, folder = site
    server = folder / "servers" / "pd-1"
    server.mkdir(parents=True)
    (server / "server.log").write_text("a\nb\nc\n")
    seen: list[str] = []
    await care.logs("box", seen.append, lines=2, follow=False)
    assert seen == ["b", "c"]
    work = asyncio.create_task(care.logs("box", seen.append, lines=1, follow=True))
    try:
        async with asyncio.timeout(60):
            while len(seen) < 3:
                await asyncio.sleep(0.05)
            with (server / "server.log").open("a") as file:
                file.write("d\n")
            while "d" not in seen:
                await asyncio.sleep(0.05)
            (server / "server.log").write_text("e\n")
            while "e" not in seen:
                await asyncio.sleep(0.05)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_uninstalling_waits_for_another_personadesk_there(site):
    hosts, care, layout, folder = site
    host = await hosts.host("box")
    told, done = [], []

    async def nobody(server_id):
        done.append(server_id)

    async with lock.held(host, layout.folder):
        work = asyncio.create_task(
            care.uninstall("box", tell=lambda words: told.append(str(words)), on_stopped=nobody)
        )
        async with asyncio.timeout(10):
            while not any("another PersonaDesk" in words for words in told):
                await asyncio.sleep(0.05)
        assert (folder / "versions" / "two").exists()
    await work
    assert not folder.exists()


async def test_uninstalling_removes_all_and_refuses_what_is_not_ours(site, tmp_path):
    hosts, care, layout, folder = site
    port = await _run_one(hosts, layout)
    await hosts.store.prove("box", RestartProof("none", 1.0))
    told, gone = [], []

    async def stopped(server_id):
        gone.append((server_id, folder.exists()))

    said = lambda words: told.append(str(words))  # noqa: E731 - two words for one list
    assert await care.uninstall("box", tell=said, on_stopped=stopped) == ["pd-1"]
    assert gone == [("pd-1", True)], "a line is let go before the long removing begins"
    assert [words.split()[0] for words in told] == ["Connecting", "Stopping", "Removing"]
    assert not folder.exists()
    assert await health.ask(f"http://127.0.0.1:{port}") is None
    assert await hosts.store.placements_on("box") == []
    assert await hosts.store.proof("box") is None
    with pytest.raises(NotFound):
        await care.rollback("box", lambda line: None)
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadRequest):
        await install.remove_everything(await hosts.host("box"), Layout(f"{tmp_path}/mine"))
    assert (tmp_path / "mine").exists()
