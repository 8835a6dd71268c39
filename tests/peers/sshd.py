"""A real sshd on loopback, with a configuration, keys and a home of its own; it can be frozen, killed and restarted.

Where the tests run as root it can also serve an ordinary user that is made for the run. `HOME` is set by the
daemon's configuration, so that nothing ever touches the home of whoever runs the tests.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.rehearsal import sshd
from personadesk.rehearsal.sshd import free_port, make_key

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Sshd", "User", "free_port", "make_key", "missing", "ordinary_user"]


def missing() -> str:
    """Return why no sshd can be started here; "" when one can."""
    if not sshd.program():
        return "sshd is not installed (on Debian: apt-get install openssh-server)"
    return ""


@dataclass(frozen=True)
class User:
    """Who logs in.

    Attributes:
        name: Login name.
        home: What `HOME` is for the session.
        password: Its password; "" where it has none.
    """

    name: str
    home: Path
    password: str = ""


@dataclass
class Sshd:
    """One daemon.

    Attributes:
        folder: Everything of it: configuration, keys, log.
        user: Who may log in.
        address: Where it listens.
        options: Further lines of its configuration.
        path: What `PATH` is for the session; put a folder of stand-ins first.
    """

    folder: Path
    user: User
    address: str = "127.0.0.1"
    options: tuple[str, ...] = ()
    path: str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> Path:
        """The private key that may log in."""
        return self.folder / "client_ed25519"

    @property
    def host_key(self) -> str:
        """The daemon's public key: type and base64."""
        return " ".join((self.folder / "host_ed25519.pub").read_text().split()[:2])

    @property
    def authorized_keys(self) -> Path:
        """Where the keys that may log in are listed."""
        return self.user.home / ".ssh" / "authorized_keys"

    @property
    def log(self) -> str:
        """What the daemon has said so far."""
        return (self.folder / "sshd.log").read_text(errors="replace")

    def __enter__(self) -> Sshd:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers; the same port again after a stop."""
        self._prepare()
        self._process = sshd.launch(self.folder, self.address, self.port)

    def stop(self) -> None:
        """End the daemon, its sessions, and what they started."""
        if self._process is None:
            return
        self.thaw()
        # Sessions are children with process groups of their own; what ran in them goes as in a reboot.
        for pid in reversed(self.processes()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Reboot: everything ends, then the daemon comes back on the same port."""
        self.stop()
        self.start()

    def here_again(self) -> None:
        """Let a daemon that is frozen or was stopped answer again; harmless when it does."""
        self.thaw()
        if self._process is None:
            self.start()

    def cut(self) -> None:
        """Kill the sessions and leave the daemon: a network that breaks and comes back."""
        for pid in self.sessions():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop the daemon and its sessions in their tracks: the host hangs, and its sockets stay open."""
        self._tell_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen daemon go on."""
        self._tell_all(signal.SIGCONT)

    def sessions(self) -> list[int]:
        """The daemon's own processes for open connections."""
        return [pid for pid in self.processes() if _program(pid) == "sshd"][1:]

    def processes(self) -> list[int]:
        """The daemon and everything below it, parents first."""
        if self._process is None or self._process.poll() is not None:
            return []
        found = [self._process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                for path in Path(f"/proc/{pid}/task").glob("*/children"):
                    found += [int(word) for word in path.read_text().split()]
        return found

    def _tell_all(self, number: int) -> None:
        for pid in self.processes():
            if _program(pid) == "sshd":
                with contextlib.suppress(OSError):
                    os.kill(pid, number)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("host_ed25519", "client_ed25519"):
            if not (self.folder / name).exists():
                make_key(self.folder / name)
        self.authorized_keys.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.authorized_keys.exists():
            self.authorized_keys.write_text((self.folder / "client_ed25519.pub").read_text())
            self.authorized_keys.chmod(0o600)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self.user.name)
            for each in (self.user.home, self.authorized_keys.parent, self.authorized_keys):
                os.chown(each, owner.pw_uid, owner.pw_gid)
        if not self.port:
            self.port = free_port(self.address)
        sshd.configure(
            self.folder, self.address, self.port,
            host_key=self.folder / "host_ed25519", authorized_keys=self.authorized_keys,
            environment={"HOME": str(self.user.home), "PATH": self.path, **self.environment},
            password=bool(self.user.password), options=self.options,
        )  # fmt: skip


@contextlib.contextmanager
def ordinary_user(shell: str = "/bin/sh", parent: str = "/tmp") -> Iterator[User]:
    """Make a user with a password and a home below `parent` for the duration; wants root."""
    name, password = f"pdtest{secrets.token_hex(3)}", secrets.token_hex(8)
    home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    with _accounts():
        subprocess.run(["useradd", "-M", "-d", str(home), "-s", shell, name], check=True)
        subprocess.run(["chpasswd"], input=f"{name}:{password}".encode(), check=True)
    try:
        owner = pwd.getpwnam(name)
        os.chown(home, owner.pw_uid, owner.pw_gid)
        yield User(name, home, password)
    finally:
        for pid in _of_user(name):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with _accounts():
            subprocess.run(["userdel", "-f", name], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _accounts() -> Iterator[None]:
    """Take turns: of two programs that change the system's accounts at once, one gives up."""
    with (Path(tempfile.gettempdir()) / "personadesk-tests-accounts.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _of_user(name: str) -> list[int]:
    uid = pwd.getpwnam(name).pw_uid
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == uid:
                found.append(int(path.name))
    return found


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
