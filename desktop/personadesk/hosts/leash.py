"""Runs one command that dies with its caller: when standard input ends, the command's whole group is ended.

Started as a file of its own by any Python, so it may import only the standard library. A caller that is killed
cannot clean up after itself; the closing of its end of the pipe is the one thing it cannot fail to do.
`--give COUNT` hands that many bytes of standard input on to the command first: a secret, for one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 2.0


def end(child: subprocess.Popen[bytes]) -> None:
    """End the child and all that it started."""
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(child.pid)], check=False, capture_output=True
        )
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until:
            if child.poll() is not None:
                break
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGKILL)


def receive(count: int) -> bytes:
    """Read so many bytes of standard input, or fewer where it ends."""
    given = b""
    while len(given) < count and (chunk := os.read(0, count - len(given))):
        given += chunk
    return given


def main(argv: list[str]) -> int:
    """Run `argv` until it ends or standard input does; returns its exit status."""
    given = b""
    if argv[0] == "--give":
        given = receive(int(argv[1]))
        argv = argv[2:]
    stdin = subprocess.PIPE if given else subprocess.DEVNULL
    child = subprocess.Popen(argv, stdin=stdin, start_new_session=True)

    def watch() -> None:
        while os.read(0, 1):
            pass
        end(child)

    threading.Thread(target=watch, daemon=True).start()
    if child.stdin is not None:
        with contextlib.suppress(OSError):  # it may not care to read
            child.stdin.write(given)
            child.stdin.close()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end(child))
    return child.wait()


if __name__ == "__main__":
    status = main(sys.argv[1:])
    # The watcher may sit in a read; leaving the ordinary way would wait for its lock.
    os._exit(status & 0xFF)
