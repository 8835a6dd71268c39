"""A real sshd with configuration, keys and home of its own: the door of a pretend machine, and of the tests' hosts."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import HostUnfit
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

START_SECONDS = 10.0
CONFIGURATION, LOG = "sshd_config", "sshd.log"
_SFTP_PLACES = (
    "/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server",
    "/usr/lib/ssh/sftp-server",
)  # fmt: skip
"""Debian, Fedora, macOS, Arch and SUSE."""


def program() -> str:
    """Return where sshd is, "" where there is none; it lies outside the PATH of ordinary users."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return found or ""


def sftp_server() -> str:
    """Return the program that serves files."""
    return next((place for place in _SFTP_PLACES if Path(place).exists()), "internal-sftp")


def require() -> str:
    """Return where sshd is.

    Raises:
        HostUnfit: It is not installed, or this system is not one on which it can be started by everybody.
    """
    found = program()
    if sys.platform == "win32" or not found:
        raise HostUnfit(
            T("Pretend machines need OpenSSH's server, and it is not installed here."),
            T(
                "Install it (on Debian: apt-get install openssh-server); it need not be switched on."
            ),
            cause="no_sshd",
        )
    return found


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """Make a key pair with OpenSSH's own tool."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "rehearsal", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path


def configure(
    folder: Path,
    address: str,
    port: int,
    *,
    host_key: Path,
    authorized_keys: Path,
    environment: Mapping[str, str],
    password: bool = False,
    options: Iterable[str] = (),
) -> None:
    """Write a daemon's configuration.

    Args:
        folder: Where it goes, and the log.
        address: Where it listens.
        port: On which port.
        host_key: Private key of the daemon.
        authorized_keys: File with the keys that may log in.
        environment: Variables of every session; `HOME` belongs here, so that nothing touches anybody's real home.
        password: Whether passwords do as well.
        options: Further lines; one for `Subsystem` goes before ours.
    """
    if os.geteuid() == 0:
        # Where it gives up its rights; a package makes it at boot, which containers do not do.
        Path("/run/sshd").mkdir(exist_ok=True, mode=0o755)
    variables = " ".join(f'"{name}={value}"' for name, value in environment.items())
    lines = [
        f"ListenAddress {address}",
        f"Port {port}",
        f"HostKey {host_key}",
        f"AuthorizedKeysFile {authorized_keys}",
        f"PidFile {folder / 'sshd.pid'}",
        f"PasswordAuthentication {'yes' if password else 'no'}",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin yes",
        "UsePAM no",
        "StrictModes no",
        "PrintMotd no",
        "LogLevel VERBOSE",
        "MaxStartups 100",
        f"SetEnv {variables}",
        *options,
    ]
    if not any(line.startswith("Subsystem") for line in lines):
        lines.append(f"Subsystem sftp {sftp_server()}")
    (folder / CONFIGURATION).write_text("\n".join(lines) + "\n")


def launch(
    folder: Path, address: str, port: int, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a configured daemon and wait until it answers.

    Args:
        folder: Where its configuration is.
        address: Where it will listen.
        port: On which port.
        environment: Variables of the daemon itself; None for ours.

    Raises:
        OSError: It did not come up; its words are in the error.
    """
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [program(), "-D", "-e", "-f", str(folder / CONFIGURATION)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            cwd=folder, start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1.0):
            return process
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise OSError(f"sshd did not start: {(folder / LOG).read_text(errors='replace')[-2000:]}")
