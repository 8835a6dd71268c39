"""Prism, which plays a provider from its contract: it refuses what breaks the contract, and answers with examples.

It is not ours and not installed with the tests: `npm install --no-save @stoplight/prism-cli@5.14.2` (90 MB), then its
`node_modules/.bin` on PATH, or `PRISM` as the program's path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from peers.contracts import SPECS
from peers.sshd import free_port

READY_SECONDS = 60


@contextmanager
def prism(contract: str, log: Path) -> Iterator[str]:
    """Let Prism answer for a contract; gives its address."""
    program = os.environ.get("PRISM") or shutil.which("prism")
    if program is None:
        pytest.skip("Prism is not on PATH")
    if not (SPECS / contract).exists():
        pytest.skip(f"the contract {contract} is not beside this checkout")
    port = free_port()
    with log.open("wb") as out:
        running = subprocess.Popen(
            [program, "mock", "-h", "127.0.0.1", "-p", str(port), str(SPECS / contract)],
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        end = time.monotonic() + READY_SECONDS
        while "Prism is listening" not in log.read_text(errors="replace"):
            if running.poll() is not None or time.monotonic() > end:
                raise AssertionError(log.read_text(errors="replace"))
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(10)


class ToPrism(httpx.AsyncBaseTransport):
    """Leads a provider's requests to Prism, wherever they were for.

    Attributes:
        prefer: What Prism is asked for: `dynamic=true`, `code=429`; "" for its examples.
        broken: What Prism found wrong with requests.
        seen: Method and path of every request.
    """

    def __init__(self, address: str, strip: str = "") -> None:
        """Take Prism's address, and what it leaves out of paths: it ignores the base path of `servers:`."""
        self._address = address
        self._strip = strip
        self._inner = httpx.AsyncHTTPTransport()
        self.prefer = ""
        self.broken: list[str] = []
        self.seen: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix(self._strip)
        self.seen.append((request.method, path))
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        if self.prefer:
            headers["prefer"] = self.prefer
        body = await request.aread()
        led = httpx.Request(request.method, self._address + path, headers=headers, content=body)
        response = await self._inner.handle_async_request(led)
        await response.aread()
        told = response.headers.get("sl-violations", "[]")
        # Of many it tells only the first ones, cut off: examples of a large contract can be that wrong.
        for each in json.loads(told) if told.startswith("[") else ():
            if str((each.get("location") or [""])[0]) == "request":
                self.broken.append(f"{request.method} {path}: {each.get('message')}")
        if not told.startswith("[") and '"location":["request"' in told:
            self.broken.append(f"{request.method} {path}: {told}")
        if response.status_code < 500 and "stoplight.io/prism/errors#" in response.text:
            # A refusal that the contract has no words for is told in Prism's own.
            self.broken.append(f"{request.method} {path}: {response.text}")
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
