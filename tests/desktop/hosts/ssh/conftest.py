"""A real sshd for the SSH tests, and hosts that reach it."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from peers.sshd import Sshd, User, missing, ordinary_user
from personadesk.domain.host import HostKey, SshAddress
from personadesk.hosts.ssh import keys
from personadesk.hosts.ssh.config import Resolved
from personadesk.hosts.ssh.connection import Link, Login, show_keys
from personadesk.hosts.ssh.host import SshHost


class Pins(dict):
    """Pinned keys in memory."""

    async def pinned(self, place: str) -> HostKey | None:
        return self.get(place)


class Reach:
    """Makes hosts that reach a daemon, and closes them after the test."""

    def __init__(self) -> None:
        self.pins = Pins()
        self.hosts: list[SshHost] = []

    async def trust(self, sshd: Sshd, port: int | None = None) -> HostKey:
        address = self.address(sshd, port)
        key = (await show_keys(address))[0]
        self.pins[address.place] = key
        return key

    def address(self, sshd: Sshd, port: int | None = None) -> SshAddress:
        return SshAddress(sshd.address, port or sshd.port, sshd.user.name)

    def host(self, sshd: Sshd, port: int | None = None, **options: object) -> SshHost:
        """A host for a daemon, perhaps through a proxy's port; its key is not trusted by this."""
        address = self.address(sshd, port)

        async def login() -> Login:
            return Login(Resolved(address), [await keys.load(sshd.key)])

        host = SshHost("box", Link("box", login, self.pins, **options))
        self.hosts.append(host)
        return host

    async def trusted(self, sshd: Sshd, port: int | None = None, **options: object) -> SshHost:
        await self.trust(sshd, port)
        return self.host(sshd, port, **options)


@pytest.fixture
async def reach():
    made = Reach()
    yield made
    for host in made.hosts:
        await host.close()


def _me(home: Path) -> User:
    home.mkdir()
    return User(pwd.getpwuid(os.geteuid()).pw_name, home)


@pytest.fixture(scope="session")
def shared_sshd():
    """One daemon for every test that leaves it as it is; whoever runs the tests logs in."""
    if why := missing():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="pd-sshd-") as folder:
        base = Path(folder)
        with Sshd(base / "sshd", _me(base / "home")) as sshd:
            yield sshd


@pytest.fixture
def own_sshd(tmp_path):
    """A daemon of the test's own, to be frozen, killed and restarted."""
    if why := missing():
        pytest.skip(why)
    with Sshd(tmp_path / "sshd", _me(tmp_path / "home")) as sshd:
        yield sshd


@pytest.fixture
def make_sshd(tmp_path):
    """Makes daemons with options of the test's own."""
    if why := missing():
        pytest.skip(why)
    made: list[Sshd] = []

    def make(*options: str, **more: object) -> Sshd:
        number = len(made)
        user = more.pop("user", None) or _me(tmp_path / f"home{number}")
        sshd = Sshd(tmp_path / f"sshd{number}", user, options=options, **more)
        sshd.start()
        made.append(sshd)
        return sshd

    yield make
    for sshd in made:
        sshd.stop()


@pytest.fixture(scope="session")
def session_user():
    """An ordinary user, made for the run; wants root."""
    if os.geteuid() != 0:
        pytest.skip("making a user takes root")
    with ordinary_user() as user:
        yield user


@pytest.fixture
def user_sshd(make_sshd, session_user):
    """A daemon that an ordinary user logs in to."""
    # The user is there for the whole run, and each daemon has a key of its own.
    (session_user.home / ".ssh" / "authorized_keys").unlink(missing_ok=True)
    return make_sshd(user=session_user)
