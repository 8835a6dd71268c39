"""A simulated provider in-process: a clock that only tests move, and the way from httpx to a simulator.

clock = Clock()
simulator = catalog.make(catalog.kind("runpod"), clock=clock)
judge = Judge("runpod-api-v2.openapi.json", transport(simulator), base="https://api.runpod.io")
runpod = RunPod(account, simulator.ready.credentials, transport=judge, clock=clock)
clock.pass_s(10)    # machines boot
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from personadesk.rehearsal.http import Dropped

if TYPE_CHECKING:
    from personadesk.rehearsal.http import Simulator


class Clock:
    """Unix time that passes only when told."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait without waiting, for what takes a `sleep`."""
        self.now += seconds


def transport(simulator: Simulator) -> httpx.MockTransport:
    """Return what answers for an `httpx.AsyncClient` as the simulator does."""

    def handle(request: httpx.Request) -> httpx.Response:
        try:
            status, headers, body = simulator.answer(
                request.method,
                request.url.raw_path.decode().partition("?")[0],
                request.url.query.decode(),
                dict(request.headers),
                request.content,
            )
        except Dropped as error:
            raise httpx.ReadError("the connection broke", request=request) from error
        return httpx.Response(status, headers=headers, content=body)

    return httpx.MockTransport(handle)
