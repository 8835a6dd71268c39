from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import replace

import pytest

from peers.sshd import free_port
from personadesk.domain.host import HostFacts, HostRecord, SshAddress
from personadesk.hosts import health
from personadesk.hosts.remote import service
from personadesk.hosts.remote.layout import Layout
from personadesk.hosts.remote.servers import PlacedServers, tunnel_record
from personadesk.hosts.remote.service import Keeper
from personadesk.hosts.ssh.connection import show_keys
from personadesk.hosts.ssh.directory import Hosts
from personadesk.store import paths
from personadesk.store.database import Database
from personadesk.store.hosts import HostStore, Placement
from personadesk.store.secrets import Secrets
from personadesk.store.servers import ServerStore


@pytest.fixture
async def there(shared_sshd, reach, tmp_path):
    """A host whose `current` is the Python that runs the tests; host, layout, command, port."""
    host = await reach.trusted(shared_sshd)
    layout = _with_python(tmp_path)
    port = free_port()
    command = (
        layout.python, "-m", "personaplex_server", "serve", "--engine", "echo", "--port", str(port),
        "--ready-file", f"{layout.server('pd-1')}/ready.json",
    )  # fmt: skip
    yield host, layout, command, port
    await service.forget(host, layout, "pd-1")


def _with_python(tmp_path) -> Layout:
    """An installation whose Python is the one that runs the tests."""
    program = tmp_path / "pd" / "versions" / "one" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    (tmp_path / "pd" / "current").symlink_to("versions/one")
    return Layout(f"{tmp_path}/pd")


async def _until(condition, seconds=30.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if await condition():
            return True
        await asyncio.sleep(0.1)
    return False


async def _answers(port):
    return await health.ask(f"http://127.0.0.1:{port}") is not None


async def test_a_server_starts_survives_its_crash_stops_and_is_forgotten(there, tmp_path):
    host, layout, command, port = there
    assert (await service.status(host, layout, "pd-1")).state == "absent"
    await service.start(host, layout, "pd-1", command, Keeper.NONE)
    assert await _until(lambda: _answers(port))
    standing = await service.status(host, layout, "pd-1")
    assert (standing.alive, standing.state) == (True, "running")
    await service.start(host, layout, "pd-1", command, Keeper.NONE)
    assert (await service.status(host, layout, "pd-1")).pid == standing.pid

    os.kill(standing.pid, signal.SIGKILL)

    async def came_back():
        now = await service.status(host, layout, "pd-1")
        return now.restarts == 1 and await _answers(port)

    assert await _until(came_back)
    assert "SIGKILL" in (await service.status(host, layout, "pd-1")).reason
    assert any("supervisor" in line for line in await service.tail(host, layout, "pd-1"))

    await service.stop(host, layout, "pd-1")
    assert not (await service.status(host, layout, "pd-1")).alive
    assert not await _answers(port)
    await service.stop(host, layout, "pd-1")
    await service.forget(host, layout, "pd-1")
    assert not (tmp_path / "pd" / "servers" / "pd-1").exists()


async def test_what_a_provider_calls_at_start_brings_back_only_what_should_run(there, tmp_path):
    host, layout, command, port = there
    await service.start(host, layout, "pd-1", command, Keeper.NONE)
    assert await _until(lambda: _answers(port))
    standing = await service.status(host, layout, "pd-1")
    record = (tmp_path / "pd/servers/pd-1/supervisor.json").read_text()
    supervisor = int(record.split('"pid":')[1].split(",")[0])
    os.kill(supervisor, signal.SIGKILL)
    os.kill(standing.pid, signal.SIGKILL)
    assert await _until(lambda: _gone(host, layout))
    assert (await service.status(host, layout, "pd-1")).state == "dead"
    await host.run(["/bin/sh", f"{layout.folder}/onstart.sh"], limit_s=20)
    assert await _until(lambda: _answers(port))
    await service.stop(host, layout, "pd-1")
    await host.run(["/bin/sh", f"{layout.folder}/onstart.sh"], limit_s=20)
    await asyncio.sleep(0.5)
    assert not (await service.status(host, layout, "pd-1")).alive


async def _gone(host, layout):
    return not (await service.status(host, layout, "pd-1")).alive


async def test_a_restart_is_another_process(there):
    host, layout, command, port = there
    await service.start(host, layout, "pd-1", command, Keeper.NONE)
    assert await _until(lambda: _answers(port))
    before = (await service.status(host, layout, "pd-1")).pid
    await service.restart(host, layout, "pd-1", Keeper.NONE)
    assert await _until(lambda: _answers(port))
    assert (await service.status(host, layout, "pd-1")).pid != before


async def test_a_lease_that_runs_out_stops_the_server_and_a_renewed_one_does_not(
    there, tmp_path, monkeypatch
):
    host, layout, command, port = there
    monkeypatch.setattr(service, "LEASE_LOOK_SECONDS", 1)
    await service.start(host, layout, "pd-1", command, Keeper.NONE, lease_hours=2)
    folder = tmp_path / "pd/servers/pd-1"
    assert await _until(lambda: _answers(port))
    assert abs(int((folder / "lease").read_text()) - time.time() - 7200) < 60
    would_end = int(time.time()) + 6
    (folder / "lease").write_text(str(would_end))
    await service.renew_if_leased(host, layout, "pd-1")
    await asyncio.sleep(would_end + 1.5 - time.time())
    assert await _answers(port)
    (folder / "at-end").write_text(f"echo gone > {tmp_path}/told\n")
    (folder / "lease").write_text(str(int(time.time()) - 1))
    assert await _until(lambda: _gone(host, layout))
    assert not await _answers(port)
    assert "run out" in (folder / "lease.log").read_text()
    assert (tmp_path / "told").read_text() == "gone\n"
    assert not (folder / "wanted").exists()


async def test_an_unleased_server_has_nothing_to_renew(there, tmp_path):
    host, layout, command, _ = there
    await service.start(host, layout, "pd-1", command, Keeper.NONE)
    await service.renew_if_leased(host, layout, "pd-1")
    assert not (tmp_path / "pd/servers/pd-1/lease").exists()


@pytest.mark.parametrize(
    ("facts", "keeper"),
    [
        ({"systemd": True, "is_root": True}, Keeper.SYSTEMD),
        ({"systemd": True, "user_units": True}, Keeper.SYSTEMD_USER),
        ({"systemd": True, "cron": True}, Keeper.CRON),
        ({"cron": True}, Keeper.CRON),
        ({}, Keeper.NONE),
    ],
)
def test_what_brings_a_server_back_is_chosen_by_what_the_host_has(facts, keeper):
    assert service.keeper_for(replace(HostFacts("Linux"), **facts)) is keeper


async def test_the_unit_and_the_crontab_are_written_and_taken_back(make_sshd, reach, tmp_path):
    """Stand-ins for systemctl and crontab write down what they are asked."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/systemctl.log\n'
        f'case "$*" in "--user restart "*) exec sh {tmp_path}/pd/servers/pd-1/start.sh;; esac\n'
    )
    (tools / "loginctl").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/loginctl.log\n')
    (tools / "crontab").write_text(
        f"#!/bin/sh\ncase $1 in -l) cat {tmp_path}/cron 2>/dev/null;; -) cat > {tmp_path}/cron.new; "
        f"mv {tmp_path}/cron.new {tmp_path}/cron;; esac\n"
    )
    for each in tools.iterdir():
        each.chmod(0o755)
    sshd = make_sshd(path=f"{tools}:/usr/bin:/bin")
    host = await reach.trusted(sshd)
    layout = _with_python(tmp_path)
    await service.start(host, layout, "pd-1", ("sleep", "60"), Keeper.SYSTEMD_USER)
    unit = sshd.user.home / ".config/systemd/user/personadesk-pd-1.service"
    assert f"ExecStart=/bin/sh {layout.server('pd-1')}/run.sh" in unit.read_text()
    assert "enable-linger" in (tmp_path / "loginctl.log").read_text()
    assert "--user enable personadesk-pd-1" in (tmp_path / "systemctl.log").read_text()
    assert await service.keeper_of(host, layout, "pd-1") is Keeper.SYSTEMD_USER
    await service.forget(host, layout, "pd-1")
    assert not unit.exists()

    (tmp_path / "cron").write_text("5 4 * * * own-job\n")
    for _ in range(2):
        await service.start(host, layout, "pd-2", ("sleep", "60"), Keeper.CRON)
    line = f"@reboot /bin/sh {layout.server('pd-2')}/start.sh"
    assert (tmp_path / "cron").read_text().splitlines() == ["5 4 * * * own-job", line]
    await service.forget(host, layout, "pd-2")
    assert (tmp_path / "cron").read_text().splitlines() == ["5 4 * * * own-job"]


@pytest.fixture
async def placed(there, shared_sshd, tmp_path):
    """A server on a host and the tunnel that leads to it, as a deploy leaves them; servers, record."""
    host, layout, command, port = there
    folders = paths.folders()
    folders.make()
    database = await Database(folders.data / "personadesk.db").open()
    hosts = Hosts(HostStore(database), Secrets(), folders.data / "ssh", tmp_path / "no_config")
    address = SshAddress(shared_sshd.address, shared_sshd.port, shared_sshd.user.name)
    [key] = await show_keys(address)
    record = HostRecord("box", address, key_file=str(shared_sshd.key))
    await hosts.add(record, fingerprints=[key.fingerprint])
    await hosts.store.place(Placement("pd-1", "box", layout.server("pd-1"), port, 0.0))
    await service.start(host, layout, "pd-1", command, Keeper.NONE)
    servers = PlacedServers(ServerStore(database), tmp_path / "logs", hosts)
    tunnel = tunnel_record("pd-1", folders.state / "servers" / "pd-1", free_port(), "echo")
    try:
        await servers.start(tunnel)
        yield servers, tunnel
    finally:
        await servers.remove("pd-1")
        await hosts.close()
        await database.close()


async def test_a_server_that_is_started_again_gets_a_new_tunnel_and_one_that_answers_keeps_its_own(
    placed, there
):
    """A tunnel that outlived its machine knocks there every half minute only."""
    host, layout, _, _ = there
    servers, tunnel = placed

    async def answers():
        return await health.ask(tunnel.url) is not None

    assert await _until(answers)
    first = (await servers.status("pd-1")).pid
    await servers.start(tunnel)
    assert (await servers.status("pd-1")).pid == first
    await service.stop(host, layout, "pd-1")
    await servers.start(tunnel)
    assert (await servers.status("pd-1")).pid != first
    assert await _until(answers)
