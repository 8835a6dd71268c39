"""A real voice server with the echo engine, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_SECONDS = 60.0


@contextmanager
def echo_server(folder: Path, *words: str) -> Iterator[dict[str, Any]]:
    """Run a server until the end of the block.

    Args:
        folder: Where it says that it is ready, and its log is.
        words: More of its command line.

    Yields:
        What it tells when it is ready: `url`, `port` and so on.

    Raises:
        RuntimeError: It did not come up; its log is in the message.
    """
    ready, log = folder / "echo-ready.json", folder / "echo.log"
    command = [
        sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo", "--port", "0",
        "--ready-file", str(ready), *words,
    ]  # fmt: skip
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    try:
        end = time.monotonic() + START_SECONDS
        while not ready.exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        if not ready.exists():
            raise RuntimeError(log.read_text(errors="replace"))
        yield json.loads(ready.read_text())
    finally:
        process.terminate()
        process.wait(20)
