"""Machines of a rehearsal are real: one logs in, works there, and everything is gone when they are."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import asyncssh
import psutil
import pytest

from peers.nimbus import Nimbus
from peers.sshd import missing
from personadesk.domain.host import SshAddress
from personadesk.hosts.check import look
from personadesk.hosts.ssh import keys
from personadesk.hosts.ssh.config import Resolved
from personadesk.hosts.ssh.connection import Link, Login, show_keys
from personadesk.hosts.ssh.host import SshHost
from personadesk.rehearsal import catalog, machines
from personadesk.rehearsal.machines import MARK, Machines
from personadesk.rehearsal.things import State

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def key():
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def bodies(tmp_path):
    return Machines(
        tmp_path / "machines", {each.ref: each for each in Nimbus.kinds}, cache=tmp_path / "pip"
    )


@pytest.fixture
def world(bodies, clock):
    world = catalog.make(Nimbus, clock=clock, bodies=bodies).world
    yield world
    world.clear()


@pytest.fixture
def rent(world, clock, key):
    """Rents machines and waits until they run."""

    def rent(number: int = 1, **options):
        machine = world.create(
            world.account("rehearsal-nimbus"), "n1-h100", machine_id=f"m{number}",
            keys=[key.export_public_key().decode()], **options,
        )  # fmt: skip
        clock.pass_s(5)
        world.settle()
        assert machine.state is State.RUNNING, machine.reason
        return machine

    return rent


@pytest.fixture
async def enter(key):
    """Logs in to machines."""
    hosts = []

    async def enter(machine) -> SshHost:
        address = SshAddress(machine.host, machine.port, machines.user())
        seen = {address.place: (await show_keys(address))[0]}

        class Pins:
            async def pinned(self, place):
                return seen.get(place)

        async def login():
            return Login(Resolved(address), [key])

        host = SshHost("m1", Link("m1", login, Pins()))
        hosts.append(host)
        return host

    yield enter
    for host in hosts:
        await host.close()


def marked(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(folder)):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


async def test_one_logs_in_and_finds_a_home_a_gpu_and_nothing_of_the_computer(rent, enter, bodies):
    machine = rent()
    host = await enter(machine)
    disk = bodies.disk(machine)
    done = await host.run(["sh", "-c", 'pwd; echo "$HOME"; command -v crontab'], limit_s=10)
    assert done.lines == (*[str(disk / "home")] * 2, str(disk / "bin" / "crontab"))
    facts = await look(host, hub="http://127.0.0.1:9")
    (gpu,) = facts.gpus
    assert (gpu.name, gpu.memory_bytes // 2**30) == ("NVIDIA H100", 79)
    assert not facts.systemd


async def test_files_are_copied_there_and_back(rent, enter, bodies, tmp_path):
    machine = rent()
    host = await enter(machine)
    (tmp_path / "letter").write_text("hello")
    await host.put(tmp_path / "letter", "post/letter")
    assert await host.read("post/letter") == b"hello"
    assert (bodies.disk(machine) / "home" / "post" / "letter").read_text() == "hello"


async def test_stopping_kills_all_that_runs_and_keeps_the_disk(rent, enter, bodies, world, clock):
    machine = rent()
    host = await enter(machine)
    await host.run(["sh", "-c", "echo kept > note; setsid sleep 600 >/dev/null 2>&1 &"], limit_s=10)
    disk = bodies.disk(machine)
    assert marked(disk)
    world.stop(machine)
    clock.pass_s(2)
    world.settle()
    assert machine.state is State.STOPPED
    assert marked(disk) == []
    before = machine.host
    world.start(machine)
    clock.pass_s(3)
    world.settle()
    assert machine.host != before
    host = await enter(machine)
    assert await host.read("note") == b"kept\n"


async def test_ending_leaves_not_a_byte(rent, bodies, world, clock):
    machine = rent()
    disk = bodies.disk(machine)
    assert disk.exists()
    world.end(machine)
    clock.pass_s(2)
    world.settle()
    assert machine.state is State.ENDED
    assert not disk.exists()
    assert marked(disk) == []


async def test_the_host_key_is_the_one_that_was_given(rent):
    identity = await keys.make_identity()
    machine = rent(host_key=identity.private)
    shown = await show_keys(SshAddress(machine.host, machine.port))
    assert shown == (identity.key,)


async def test_a_lost_gpu_is_gone_from_within(rent, enter, world):
    machine = rent()
    host = await enter(machine)
    world.lose_gpu(machine)
    done = await host.run(["nvidia-smi", "-L"], limit_s=10)
    assert done.code == 15
    assert "GPU is lost" in done.text


@pytest.mark.parametrize(
    ("words", "off_ends", "state"),
    [
        (["poweroff"], False, State.STOPPING),
        (["shutdown", "-h", "now"], True, State.ENDING),
        (["shutdown", "-r", "now"], False, State.RESTARTING),
    ],
)
async def test_a_machine_switches_itself_off_and_never_the_computer(
    rent, enter, world, words, off_ends, state
):
    machine = rent()
    machine.off_ends = off_ends
    host = await enter(machine)
    await host.run(words, limit_s=10)
    world.settle()
    assert machine.state is state


async def test_what_its_crontab_says_runs_at_each_boot(rent, enter, bodies, world, clock):
    machine = rent()
    host = await enter(machine)
    told = "@reboot touch booted; sleep 600"
    await host.run(["sh", "-c", f"echo '{told}' | crontab -; crontab -l"], limit_s=10)
    world.restart(machine)
    clock.pass_s(3)
    world.settle()
    booted = bodies.disk(machine) / "home" / "booted"
    until = time.monotonic() + 5
    while not booted.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert booted.exists()


async def test_machines_are_found_and_ended_by_who_did_not_start_them(
    rent, enter, bodies, tmp_path
):
    machine = rent()
    host = await enter(machine)
    await host.run(["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 &"], limit_s=10)
    disk = bodies.disk(machine)
    code = (
        "import pathlib, sys\nfrom personadesk.rehearsal import machines\n"
        "disk = pathlib.Path(sys.argv[1])\nmachines.kill_all(disk)\nmachines.remove(disk)"
    )
    subprocess.run([sys.executable, "-c", code, str(disk)], check=True)
    assert marked(disk) == []
    assert not disk.exists()


def test_leftovers_of_a_killed_rehearsal_are_swept_away(rent, bodies, tmp_path):
    machine = rent()
    disk = bodies.disk(machine)
    other = Machines(tmp_path / "machines", {}, cache=tmp_path / "pip")
    other.sweep({disk})
    assert disk.exists()
    other.sweep(set())
    assert not disk.exists()
    assert marked(disk) == []
