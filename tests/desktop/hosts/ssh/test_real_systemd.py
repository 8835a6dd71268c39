"""A real systemd, lingering and cron bring the voice back: after a crash, after its supervisor's end, after a reboot.

The lines of a user too: `personadesk line serve --install` there, as that user types it.

It makes a small machine out of namespaces, so it runs when it is asked for, as root:

    PERSONADESK_SYSTEMD=1 pytest tests/desktop/hosts/ssh/test_real_systemd.py
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pwd
import shlex
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

import pytest

from peers import systemd_box
from peers.sshd import Sshd, User, free_port, ordinary_user
from personadesk.hosts import check, health
from personadesk.hosts.remote import service
from personadesk.hosts.remote.layout import Layout
from personadesk.hosts.remote.service import Keeper

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("PERSONADESK_SYSTEMD"),
        reason="set PERSONADESK_SYSTEMD to make a machine",
    ),
    pytest.mark.timeout(180),
]
SECONDS = 40.0


class Machine:
    """A box with an sshd, and an installation whose Python is the one that runs the tests."""

    def __init__(self, base: Path, user: User) -> None:
        home = user.home
        self.sshd = Sshd(base / "sshd", user)
        self.sshd._prepare()
        unit = f"[Service]\nRuntimeDirectory=sshd\nExecStart=/usr/sbin/sshd -D -f {base}/sshd/sshd_config\n"
        units = {"box-sshd.service": unit}
        if Path("/usr/sbin/cron").exists():
            units["box-cron.service"] = "[Service]\nExecStart=/usr/sbin/cron -f\n"
        self.box = systemd_box.SystemdBox(base / "box", units)
        # Inside, an ordinary user may reach the Python of whoever runs the tests.
        for folder in reversed(Path(sys.executable).resolve().parents[:-1]):
            inside = base / "box/upper" / folder.relative_to("/")
            if not folder.stat().st_mode & 0o001:
                inside.mkdir(parents=True, mode=0o755)
        program = home / "pd/versions/one/bin/python"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        program.chmod(0o755)
        (home / "pd/current").symlink_to("versions/one")
        self.layout = Layout(f"{home}/pd")
        self.port = free_port()
        self.command = (
            self.layout.python, "-m", "personaplex_server", "serve", "--engine", "echo",
            "--port", str(self.port), "--ready-file", f"{self.layout.server('pd-1')}/ready.json",
        )  # fmt: skip

    def start(self) -> None:
        self.box.start()
        until = time.monotonic() + SECONDS
        while True:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((self.sshd.address, self.sshd.port), timeout=1),
            ):
                return
            assert time.monotonic() < until, "the machine did not come up"
            time.sleep(0.1)

    def restart(self) -> None:
        self.box.stop()
        self.start()

    async def answers(self) -> bool:
        return await health.ask(f"http://127.0.0.1:{self.port}") is not None


async def _until(condition) -> bool:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        if await condition():
            return True
        await asyncio.sleep(0.1)
    return False


@pytest.fixture
def make_machine():
    if why := systemd_box.missing():
        pytest.skip(why)
    made = []

    def make(user: User | None = None, *, lingers: bool = False) -> Machine:
        base = Path(tempfile.mkdtemp(prefix="pd-box-", dir="/var/tmp"))
        base.chmod(0o755)
        if user is None:
            user = User(pwd.getpwuid(os.geteuid()).pw_name, base / "home")
            user.home.mkdir()
        machine = Machine(base, user)
        made.append((machine, base))
        owner = pwd.getpwnam(user.name)
        for each in user.home.rglob("*"):
            os.chown(each, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        if lingers:
            known = base / "box/upper/var/lib/systemd/linger" / user.name
            known.parent.mkdir(parents=True)
            known.touch()
        machine.start()
        return machine

    yield make
    for machine, base in made:
        machine.box.stop()
        shutil.rmtree(base)


@pytest.fixture
def user():
    # The machine has a /tmp of its own, so this home is elsewhere.
    with ordinary_user(parent="/var/tmp") as made:
        yield made


async def _comes_back(machine: Machine, host, keeper: Keeper, kill: bool) -> None:
    layout = machine.layout
    await service.start(host, layout, "pd-1", machine.command, keeper)
    assert await _until(machine.answers)
    first = await service.status(host, layout, "pd-1")
    await host.run(["kill", "-KILL", str(first.pid)], limit_s=20)

    async def another(than: int | None = first.pid) -> bool:
        now = await service.status(host, layout, "pd-1")
        return now.alive and now.pid not in {None, than} and await machine.answers()

    assert await _until(another), "the supervisor starts a server that crashed"
    if kill:
        second = await service.status(host, layout, "pd-1")
        await host.script(
            'kill -KILL $(cat "/proc/$(sed -n \'s/.*"pid": *\\([0-9]*\\).*/\\1/p\' '
            '"$1/supervisor.json" | head -n 1)/stat" | cut -d " " -f 4)',
            layout.server("pd-1"), limit_s=20,
        )  # fmt: skip
        assert await _until(lambda: another(second.pid)), "systemd starts a service that was killed"

    machine.restart()
    assert await _until(machine.answers), "it is there again after a restart of the machine"
    standing = await service.status(host, layout, "pd-1")
    assert (standing.alive, standing.state) == (True, "running")

    await service.stop(host, layout, "pd-1")
    machine.restart()
    await host.run(["true"], limit_s=20)
    await asyncio.sleep(3)
    assert not await machine.answers(), "what was stopped stays so"
    await service.restart(host, layout, "pd-1", keeper)
    assert await _until(machine.answers)
    await service.forget(host, layout, "pd-1")
    assert not await machine.answers()


async def test_a_system_service_comes_back_and_leaves_nothing(make_machine, reach):
    machine = make_machine()
    host = await reach.trusted(machine.sshd)
    facts = await check.look(host)
    assert (facts.systemd, facts.is_root) == (True, True)
    assert service.keeper_for(facts) is Keeper.SYSTEMD
    await _comes_back(machine, host, Keeper.SYSTEMD, kill=True)
    done = await host.run(["systemctl", "cat", "personadesk-pd-1"], limit_s=20)
    assert done.code != 0


async def test_a_lingering_users_service_comes_back_without_a_login(make_machine, reach, user):
    machine = make_machine(user, lingers=True)
    host = await reach.trusted(machine.sshd)

    async def has_manager() -> bool:
        facts = await check.look(host)
        return facts.user_units and facts.lingers

    assert await _until(has_manager)
    facts = await check.look(host)
    assert (facts.is_root, service.keeper_for(facts)) == (False, Keeper.SYSTEMD_USER)
    await _comes_back(machine, host, Keeper.SYSTEMD_USER, kill=True)


async def test_cron_brings_it_back_after_a_restart(make_machine, reach, user):
    if not Path("/usr/sbin/cron").exists():
        pytest.skip("cron is not installed")
    machine = make_machine(user)
    host = await reach.trusted(machine.sshd)
    assert (await check.look(host)).cron
    await _comes_back(machine, host, Keeper.CRON, kill=False)
    done = await host.run(["crontab", "-l"], limit_s=20)
    assert "personadesk" not in done.text
    assert "start.sh" not in done.text


class Lines:
    """PersonaDesk on such a machine, as its user types it."""

    def __init__(self, host, user: User) -> None:
        self.host = host
        uid = pwd.getpwnam(user.name).pw_uid
        # What a log-in with a session has; over SSH without one it is said.
        self.setting = (
            f"XDG_RUNTIME_DIR=/run/user/{uid}", f"PERSONADESK_HOME={user.home}/desk",
            "PYTHON_KEYRING_BACKEND=keyring.backends.fail.Keyring",
        )  # fmt: skip

    async def type(self, *words: str) -> tuple[int, dict]:
        """Type a command; returns its exit status and its last line as JSON."""
        command = [
            "env",
            *self.setting,
            sys.executable,
            "-P",
            "-m",
            "personadesk",
            *words,
            "--json",
        ]
        # Quoted for the shell there, so that its standard error stays apart.
        done = await self.host.run(
            ["sh", "-c", f"{shlex.join(command)} 2>/dev/null"], limit_s=SECONDS * 3
        )
        assert done.lines, (words, done)
        return done.code, json.loads(done.lines[-1])

    async def served_by(self) -> int | None:
        """Process that serves the lines, None for none."""
        _, told = await self.type("line", "serve", "--status")
        holder = told["served_by"]
        return None if holder is None else int(holder["pid"])

    async def comes_up(self, than: int | None = None) -> int:
        """Wait until another process than that serves them."""
        found: list[int] = []

        async def another() -> bool:
            pid = await self.served_by()
            found[:] = [] if pid in {None, than} else [int(pid or 0)]
            return bool(found)

        assert await _until(another)
        return found[0]


async def test_a_users_lines_start_with_the_computer_and_come_back_when_they_crash(
    make_machine, reach, user
):
    machine = make_machine(user)
    host = await reach.trusted(machine.sshd)
    lines = Lines(host, user)
    # A machine without sessions has no service manager for a user who does not linger; a desktop has one.
    (machine.box.folder / "upper/var/lib/systemd/linger").mkdir(parents=True, exist_ok=True)
    (machine.box.folder / "upper/var/lib/systemd/linger" / user.name).touch()
    machine.restart()
    host = lines.host = await reach.trusted(machine.sshd)

    async def has_manager() -> bool:
        return (await check.look(host)).user_units

    assert await _until(has_manager)
    code, made = await lines.type("line", "create", "a", "--place", "local", "--wake", "off")
    assert code == 0, made
    url = made["url"].replace("ws://", "http://").removesuffix("/api/chat")
    # What the command left behind gives way to the service.
    await lines.type("stop")
    assert await lines.served_by() is None

    code, told = await lines.type("line", "serve", "--install")
    assert code == 0, told
    auto = told["autostart"]
    assert (auto["keeper"], auto["installed"], auto["at_boot"]) == ("systemd", True, True)
    assert auto["file"] == f"{user.home}/.config/systemd/user/personadesk-lines.service"
    assert (await host.run(["test", "-O", auto["file"]], limit_s=20)).code == 0, "the user's own"
    first = await lines.comes_up()
    assert (await health.get_json(url, "/status"))["line"] == "a"

    await host.run(["kill", "-KILL", str(first)], limit_s=20)
    second = await lines.comes_up(first)
    assert (await health.get_json(url, "/status"))["line"] == "a", "it is started again"

    machine.restart()
    host = lines.host = await reach.trusted(machine.sshd)
    third = await lines.comes_up(second)
    assert third
    assert (await health.get_json(url, "/status"))["line"] == "a", "before anybody logged in"

    code, told = await lines.type("line", "serve", "--uninstall")
    assert code == 0
    assert told["autostart"]["installed"] is False
    assert (await host.run(["test", "-e", auto["file"]], limit_s=20)).code == 1
    assert await lines.served_by() is None
    machine.restart()
    host = lines.host = await reach.trusted(machine.sshd)
    assert await _until(has_manager)
    assert await lines.served_by() is None, "what was uninstalled does not come back"
