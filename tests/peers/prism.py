"""Prism, which plays a provider from its contract: it refuses what breaks the contract, and answers with examples.

As a proxy it stands between a provider's file and something that plays the provider, and judges both.

It is not ours and not installed with the tests: `npm install --no-save @stoplight/prism-cli@5.14.2` (90 MB), then its
`node_modules/.bin` on PATH, or `PRISM` as the program's path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from peers.contracts import SPECS
from peers.sshd import free_port

READY_SECONDS = 60


@contextmanager
def prism(contract: str, log: Path, upstream: str = "") -> Iterator[str]:
    """Let Prism answer for a contract; gives its address.

    Args:
        contract: A contract's file name, or the path of one.
        log: Where it writes what it does.
        upstream: Address of what answers behind it as a proxy; "" for examples of the contract.
    """
    program = os.environ.get("PRISM") or shutil.which("prism")
    if program is None:
        pytest.skip("Prism is not on PATH")
    if not (SPECS / contract).exists():
        pytest.skip(f"the contract {contract} is not beside this checkout")
    port = free_port()
    # As a proxy it refuses what breaks the contract; examples of the contracts break their own.
    what = ["proxy", "--errors"] if upstream else ["mock"]
    words = ["-h", "127.0.0.1", "-p", str(port), str(SPECS / contract)]
    with log.open("wb") as out:
        running = subprocess.Popen(
            [program, *what, *words, *([upstream] if upstream else [])],
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


def part_of(contract: Mapping[str, Any], kinds: tuple[str, ...], folder: Path) -> str:
    """Write a contract with only the paths of these kinds of things; of Azure's, Prism reads the whole for minutes.

    Returns:
        Its path.
    """
    paths = {
        path: each
        for path, each in contract["paths"].items()
        if any(f"/{kind}" in path for kind in kinds) and "Scale" not in path
    }
    there = folder / "contract.json"
    there.write_text(json.dumps({**contract, "paths": paths}), encoding="utf-8")
    return str(there)


class ToPrism(httpx.AsyncBaseTransport):
    """Leads a provider's requests to Prism, wherever they were for.

    Attributes:
        prefer: What Prism is asked for: `dynamic=true`, `code=429`; "" for its examples.
        only: Method and path, without the query, of the requests for which it is asked; None for all.
        broken: What Prism found wrong with requests.
        seen: Method and path of every request.
        answers: Method, path without the query, and status of every answer that the contract has.
    """

    def __init__(self, address: str, strip: str = "") -> None:
        """Take Prism's address, and what it leaves out of paths: it ignores the base path of `servers:`."""
        self._address = address
        self._strip = strip
        self._inner = httpx.AsyncHTTPTransport()
        self.prefer = ""
        self.only: tuple[str, str] | None = None
        self.broken: list[str] = []
        self.seen: list[tuple[str, str]] = []
        self.answers: list[tuple[str, str, int]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix(self._strip)
        self.seen.append((request.method, path))
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        place = request.method, path.partition("?")[0]
        if self.prefer and self.only in {None, place}:
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
        own_words = "stoplight.io/prism/errors#" in response.text
        if own_words and (response.status_code < 500 or "errors#VIOLATIONS" in response.text):
            # A refusal that the contract has no words for is told in Prism's own; so is what the proxy finds wrong.
            self.broken.append(f"{request.method} {path}: {response.text}")
        if not own_words:
            self.answers.append((*place, response.status_code))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class Ways(httpx.AsyncBaseTransport):
    """Leads what a contract has to Prism, and the rest to who knows it.

    Attributes:
        judged: The way to Prism.
        rest: What answers the rest.
    """

    def __init__(
        self,
        inside: Callable[[str], bool],
        judged: ToPrism,
        rest: httpx.AsyncBaseTransport,
    ) -> None:
        """Take both, and what says of a path whether the contract has it."""
        self._inside = inside
        self.judged, self.rest = judged, rest

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        way = self.judged if self._inside(request.url.path) else self.rest
        return await way.handle_async_request(request)

    async def aclose(self) -> None:
        await self.judged.aclose()
        await self.rest.aclose()
