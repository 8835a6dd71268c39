"""The body of a pretend machine: a real sshd on a loopback address, a home, and stand-ins for a GPU host's programs.

Its processes carry the machine's folder in their environment, so that every one of them is found and killed again,
whatever became of the process that started them. Its disk is its folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from personadesk.rehearsal import nvidia_smi, pretend_gpu, sshd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from personadesk.rehearsal.things import Kind, Machine

MARK = "PERSONADESK_REHEARSAL_MACHINE"
"""Environment variable that holds a machine's folder in all of its processes."""
KILL_SECONDS = 10.0
MOST_ADDRESSES = 100
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_ENTER = """#!/bin/sh
# Every session begins in the machine's own home instead of the home of whoever rehearses.
cd "$HOME" || exit 1
if [ -z "$SSH_ORIGINAL_COMMAND" ]; then exec /bin/sh -i; fi
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""
_CRONTAB = """#!/bin/sh
# The machine's own table; the computer's is not touched.
table="${MARK}/crontab"
while [ $# -gt 1 ]; do case $1 in -u) shift 2 ;; *) break ;; esac; done
case ${1:--} in
    -l) [ -e "$table" ] || { echo "no crontab for $(id -un)" >&2; exit 1; }; cat "$table" ;;
    -r) rm -f "$table" ;;
    -) cat > "$table" ;;
    *) cat "$1" > "$table" ;;
esac
"""
_OFF = """#!/bin/sh
# Switches the pretend machine off, never the computer.
case ${0##*/}:$* in reboot:* | *-r*) word=reboot ;; *:*-c*) exit 0 ;; *) word=off ;; esac
echo "$word" > "${MARK}/wish"
"""
_NOT_HERE = """#!/bin/sh
echo "${0##*/}: a rehearsal's machine has none; the computer's own is not touched" >&2
exit 1
"""
_PROGRAMS = {
    "crontab": _CRONTAB,
    **dict.fromkeys(("shutdown", "poweroff", "halt", "reboot"), _OFF),
    **dict.fromkeys(
        ("systemctl", "loginctl", "systemd-run", "sudo", "at", "batch", "apt-get", "apt", "dnf"),
        _NOT_HERE,
    ),
}


class Machines:
    """The bodies of one cloud's machines (`bodies.Bodies`)."""

    def __init__(
        self, folder: Path, kinds: Mapping[str, Kind], *, cache: Path, port: int | None = None
    ) -> None:
        """Take what is needed; nothing is started.

        Args:
            folder: Where the machines' disks are, one folder each.
            kinds: What is for rent, by ref, for the GPU that a machine shows.
            cache: Where they keep what pip and uv downloaded, together, so that the second deploy is quick.
            port: On which port a machine's sshd listens where each has an address of its own; None for `ssh_port()`.
        """
        self._folder = folder.absolute()
        self._kinds = kinds
        self._cache = cache.absolute()
        self._port = port or ssh_port()
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}

    def place(self, machine: Machine, number: int) -> tuple[str, int]:
        """Return an address of its own out of 127/8 on Linux; elsewhere loopback has one, and a port is its own."""
        if sys.platform != "linux":
            return "127.0.0.1", sshd.free_port()
        host = ""
        for _ in range(MOST_ADDRESSES):
            parts = (random.randint(16, 250), random.randint(0, 255), random.randint(1, 254))  # noqa: S311
            host = "127.{}.{}.{}".format(*parts)
            if _can_listen(host, self._port):
                break
        # Where somebody took the port everywhere, the boot fails, and the machine says why.
        return host, self._port

    def boot(self, machine: Machine) -> None:
        """Start its sshd, and what its crontab says about reboots; harmless when it runs."""
        with self._of(machine):
            here = self.disk(machine)
            if self._alive(here, machine.host):
                return
            self._prepare(machine, here)
            environment = {**_inherited(), MARK: str(here)}
            daemon = sshd.launch(here, machine.host, machine.port, environment)
            self._daemons[machine.id] = daemon
            self._run_at_boot(here, environment)

    def halt(self, machine: Machine) -> None:
        """Kill all its processes."""
        with self._of(machine):
            kill_all(self.disk(machine), machine.host)
            daemon = self._daemons.pop(machine.id, None)
            if daemon is not None:
                daemon.wait()

    def destroy(self, machine: Machine) -> None:
        """Kill all its processes and remove its disk."""
        with self._of(machine):
            self.halt(machine)
            remove(self.disk(machine))
        with self._lock:
            self._locks.pop(machine.id, None)

    def lose_gpu(self, machine: Machine) -> None:
        """Let its `nvidia-smi` say that the GPU is lost."""
        with self._of(machine):
            folder = self.disk(machine) / "bin"
            if folder.exists():
                nvidia_smi.show(folder, fault="lost")

    def wish(self, machine: Machine) -> str:
        """Return what it asked for from within: `off`, `reboot` or nothing."""
        asked = self.disk(machine) / "wish"
        try:
            word = asked.read_text().strip()
        except FileNotFoundError:
            return ""
        asked.unlink(missing_ok=True)
        return word

    def disk(self, machine: Machine) -> Path:
        """Return a machine's folder."""
        return self._folder / re.sub(r"[^\w-]", "_", machine.id)

    def sweep(self, known: set[Path]) -> None:
        """Remove machines that no cloud knows: what is left when a rehearsal was killed between two thoughts."""
        if self._folder.exists():
            for left in self._folder.iterdir():
                if left not in known:
                    kill_all(left)
                    remove(left)

    # -- how it is done ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _of(self, machine: Machine) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(machine.id, threading.RLock())
        with lock:
            yield

    def _alive(self, here: Path, host: str) -> bool:
        configuration = here / sshd.CONFIGURATION
        if not configuration.exists() or f"ListenAddress {host}\n" not in configuration.read_text():
            return False
        return any(True for _ in _daemons(here))

    def _prepare(self, machine: Machine, here: Path) -> None:
        home, programs, host_key = here / "home", here / "bin", here / "host_ed25519"
        for folder in (here, home, home / ".ssh", programs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not host_key.exists():
            if machine.host_key:
                host_key.touch(mode=0o600)
                host_key.write_text(machine.host_key)
            else:
                sshd.make_key(host_key)
        # What was added there by hand stays, as on a real disk.
        authorized = home / ".ssh" / "authorized_keys"
        there = authorized.read_text().splitlines() if authorized.exists() else []
        lines = list(dict.fromkeys([*there, *(key.strip() for key in machine.keys)]))
        authorized.write_text("".join(f"{line}\n" for line in lines))
        for name, text in {**_PROGRAMS, "enter": _ENTER}.items():
            _write_program(programs / name, text.replace("MARK", MARK))
        kind = self._kinds[machine.kind]
        recording = here / "gpu.json"
        recording.write_text(json.dumps(pretend_gpu.recording(machine, kind)))
        fault = "" if machine.gpus else "lost"
        nvidia_smi.install(programs, recording, fault=fault, state="idle")
        # The app's own environment comes first, since its torch is what a deploy borrows.
        path = f"{programs}:{Path(sys.executable).parent}:{SYSTEM_PATH}"
        sshd.configure(
            here, machine.host, machine.port, host_key=host_key, authorized_keys=authorized,
            environment={
                "HOME": str(home), "PATH": path, MARK: str(here),
                "PIP_CACHE_DIR": str(self._cache / "pip"),
                "UV_CACHE_DIR": str(self._cache / "uv"),
            },
            options=(f"ForceCommand {shlex.quote(str(programs / 'enter'))}",)
            if sshd.sftp_server().startswith("/")
            else (),
        )  # fmt: skip

    def _run_at_boot(self, here: Path, environment: Mapping[str, str]) -> None:
        table = here / "crontab"
        if not table.exists():
            return
        path = f"{here / 'bin'}:{Path(sys.executable).parent}:{SYSTEM_PATH}"
        for line in table.read_text().splitlines():
            if line.startswith("@reboot "):
                process = subprocess.Popen(
                    ["/bin/sh", "-c", line.removeprefix("@reboot ")],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env={**environment, "HOME": str(here / "home"), "PATH": path},
                    cwd=here / "home", start_new_session=True,
                )  # fmt: skip
                threading.Thread(target=process.wait, name="reap @reboot", daemon=True).start()


def ssh_port() -> int:
    """Return the port on which pretend machines can listen: 22 where we may, else the first that is free from 2222."""
    ports: tuple[int, ...] = (22, *range(2222, 2322))
    for port in ports:
        if _can_listen("127.0.0.1" if sys.platform != "linux" else "127.16.0.1", port):
            return port
    return sshd.free_port()


def user() -> str:
    """Return who logs in to pretend machines: whoever rehearses, since sshd lets ordinary users in as themselves."""
    import pwd  # not on Windows, where there are no pretend machines

    name: str = pwd.getpwuid(os.geteuid()).pw_name
    return name


def kill_all(here: Path, host: str = "") -> None:
    """Kill every process of a machine.

    Args:
        here: Its folder.
        host: Its address, where it has one of its own: connections that outlived their daemon are found by it.

    Raises:
        OSError: Something would not end.
    """
    until = time.monotonic() + KILL_SECONDS
    while found := list(_processes(here, host)):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        for process in found:
            # Only our own children leave zombies that somebody must look at.
            with contextlib.suppress(psutil.Error):
                process.wait(0.05)
        if time.monotonic() > until:
            raise OSError(f"these processes of {here} would not end: {found}")


def remove(here: Path) -> None:
    """Remove a machine's disk, to the last byte.

    Raises:
        OSError: Something could not be removed.
    """
    for again in (True, True, False):
        shutil.rmtree(here, ignore_errors=again)
        if not here.exists():
            return


def _processes(here: Path, host: str) -> Iterator[psutil.Process]:
    daemons = list(_daemons(here))
    yield from daemons
    below = set()
    for daemon in daemons:
        with contextlib.suppress(psutil.Error):
            for child in daemon.children(recursive=True):
                below.add(child.pid)
                yield child
    own_address = host if sys.platform == "linux" else ""
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.pid in below or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.info["cmdline"] or [])
            if process.environ().get(MARK) == str(here) or (
                own_address and _is_session(title) and _has_end_at(process, own_address)
            ):
                yield process


def _is_session(title: str) -> bool:
    return title.startswith(("sshd: ", "sshd-session: ")) and "listener" not in title


def _has_end_at(process: psutil.Process, address: str) -> bool:
    # Slow (all of the system's connections are read), so only sessions are asked, and only those of no living daemon.
    parent = process.parent()
    if parent is not None and parent.name().startswith("sshd"):
        return False
    ends = [each.laddr for each in process.net_connections("tcp") if each.laddr]
    return any(end.ip == address for end in ends)


def _daemons(here: Path) -> Iterator[psutil.Process]:
    configuration = str(here / sshd.CONFIGURATION)
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if (
            configuration in " ".join(words).split()
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ):
            yield process


def _inherited() -> dict[str, str]:
    # A machine knows nothing of the folders and secrets of whoever rehearses.
    return {
        name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ", "TMPDIR") if name in os.environ
    }


def _can_listen(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
