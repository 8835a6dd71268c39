"""Ways in which a voice on a machine fails, played on its real processes (Linux)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil

_MUTE = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.ptrace.argtypes, libc.ptrace.restype = [ctypes.c_long] * 4, ctypes.c_long
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
pid = int(sys.argv[1])
for name in os.listdir(f"/proc/{pid}/task"):
    if int(name) != pid:
        libc.ptrace(SEIZE, int(name), 0, 0)
        libc.ptrace(INTERRUPT, int(name), 0, 0)
print("mute", flush=True)
# Threads that die are reaped here, else their process could not end.
while True:
    try:
        os.waitpid(-1, WALL)
    except ChildProcessError:
        break
"""
"""Stops all threads of a process but the one that answers /health: it runs, and never says a word."""


def of_server(tag: str, but: set[int]) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Return the supervisors and the servers of a deploy, without those of its tunnel."""
    supervisors, servers = [], []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if process.pid in but or not any(tag in word for word in words):
            continue
        if "personaplex_server.supervise" in words:
            supervisors.append(process)
        elif "personaplex_server" in words and "serve" in words:
            servers.append(process)
    return supervisors, servers


def kill(processes: list[psutil.Process]) -> None:
    """Kill them at once."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


class Muted:
    """Processes whose model threads stand still; ends with them."""

    def __init__(self) -> None:
        self._holders: list[subprocess.Popen[str]] = []

    def mute(self, process: psutil.Process) -> None:
        """Let a server go on answering that it is well, and nothing else."""
        holder = subprocess.Popen(
            [sys.executable, "-c", _MUTE, str(process.pid)], stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mute\n"
        self._holders.append(holder)

    def close(self) -> None:
        """End what held them."""
        for holder in self._holders:
            holder.kill()
            holder.wait()
            assert holder.stdout is not None
            holder.stdout.close()


async def slow_down(process: psutil.Process, seconds: float) -> None:
    """Let a process have a third of its time, in pieces longer than a frame, until it ends or the time is over."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while loop.time() < until:
            process.send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(0.12)
            finally:
                process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.06)


def lose_weights(process: psutil.Process) -> None:
    """Remove the model's folder from under a server."""
    words = process.cmdline()
    folder = Path(words[words.index("--checkpoint") + 1])
    assert folder.name.startswith("rehearsal-")
    shutil.rmtree(folder)


def stop(process: psutil.Process) -> None:
    """Stop a process in its tracks."""
    os.kill(process.pid, signal.SIGSTOP)
