"""Facts about this computer: processor, memory, disk, NVIDIA GPUs, and who holds a port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.errors import BadRequest
from personadesk.domain.plan import DEFAULT_LINE_PORT
from personadesk.domain.text import T
from personadesk.hosts import commands

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

NVIDIA_SMI_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU.

    Attributes:
        name: As the driver calls it.
        memory_bytes: Its memory, None where the driver does not tell.
    """

    name: str
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Computer:
    """What this computer is.

    Attributes:
        system: `Linux`, `Darwin` or `Windows`.
        machine: Processor architecture, for example `x86_64`.
        python: Version of the Python that runs PersonaDesk.
        cores: Processor cores that we may use.
        memory_bytes: Memory in all.
        memory_free_bytes: Memory that a new program can have.
        gpus: NVIDIA GPUs.
        gpu_reason: Why there are none, for the log.
    """

    system: str
    machine: str
    python: str
    cores: int
    memory_bytes: int
    memory_free_bytes: int
    gpus: tuple[Gpu, ...] = ()
    gpu_reason: str = ""


async def look() -> Computer:
    """Look at this computer; takes milliseconds where there is no NVIDIA driver."""
    gpus, reason = await _gpus()
    return await asyncio.to_thread(_facts, gpus, reason)


def _facts(gpus: tuple[Gpu, ...], reason: str) -> Computer:
    import psutil

    memory = psutil.virtual_memory()
    return Computer(
        system=platform.system(),
        machine=platform.machine(),
        python=platform.python_version(),
        cores=_cores(),
        memory_bytes=int(memory.total),
        memory_free_bytes=int(memory.available),
        gpus=gpus,
        gpu_reason=reason,
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


async def _gpus() -> tuple[tuple[Gpu, ...], str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return (), "nvidia-smi is not installed"
    try:
        done = await commands.run(
            [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"],
            limit_s=NVIDIA_SMI_SECONDS,
        )
    except (commands.CommandTimeout, OSError) as error:
        return (), str(error)
    if done.code != 0:
        return (), done.text
    return tuple(read_gpu(line) for line in done.lines if "," in line), ""


def read_gpu(line: str) -> Gpu:
    """Read one line of `nvidia-smi`: name and MiB, `[N/A]` where it does not know."""
    name, _, memory = line.rpartition(",")
    try:
        return Gpu(name.strip(), int(float(memory)) * 1024 * 1024)
    except ValueError:
        return Gpu(name.strip(), None)


def free_bytes(folder: Path) -> int:
    """Return the free disk space where `folder` is or will be made."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free


def time_zone() -> str:
    """Return the IANA name of this computer's time zone; UTC where the system does not tell one."""
    import tzlocal

    try:
        return tzlocal.get_localzone_name() or "UTC"
    except (LookupError, ValueError, OSError):
        return "UTC"


def next_free_port(taken: Collection[int], first: int = DEFAULT_LINE_PORT) -> int:
    """Return the first loopback port from `first` on that neither `taken` names nor a program has."""
    port = first
    while port in taken or not port_is_free(port):
        port += 1
    return port


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server can listen on this loopback port now."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            # A port in TIME_WAIT is free to a server; without this the probe would say it is not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def pick_port(host: str = "127.0.0.1") -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def port_owner(port: int) -> str:
    """Return who listens on a port, such as `python3 (pid 4711)`; "" when the system does not tell."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="inet"):
            address = connection.laddr
            if address and address.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    return ""
                with contextlib.suppress(psutil.Error):
                    return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
                return f"pid {connection.pid}"
    return ""


def port_taken(port: int) -> BadRequest:
    """Return the error for a port that another program holds, naming that program if it can be told."""
    owner = port_owner(port)
    if owner:
        what = T("Port {port} is taken by {owner}.", port=port, owner=owner)
    else:
        what = T("Port {port} is taken by another program.", port=port)
    return BadRequest(what, T("Choose another port, or close that program."), cause="port_taken")
