"""Asks a voice server how it is, over plain HTTP on loopback.

Not httpx: its import alone would stall a window for 80 ms, and two lines of HTTP are all that is needed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from personaplex_server.protocol import HEALTH_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_SECONDS = 2.0
MOST_BYTES = 1 << 18
STATUS_PATH = "/api/status"


@dataclass(frozen=True, slots=True)
class Health:
    """What a server says of itself.

    Attributes:
        state: `loading`, `ready`, `busy` or `failed`.
        progress: 0..1 while loading.
        stage: What it is loading, English.
        reason: Why it failed, a sentence.
        cause: What kind of trouble that is: `model` where the model's folder cannot be used, `hangs` where the
            model stands still; "" for others.
        facts: Everything it said.
    """

    state: str
    progress: float | None
    stage: str
    reason: str
    cause: str
    facts: dict[str, Any]

    @property
    def takes_calls(self) -> bool:
        """Whether the model is there; a busy server is as good as a ready one."""
        return self.state in {"ready", "busy"}


async def ask(url: str, *, limit_s: float = LIMIT_SECONDS) -> Health | None:
    """Return the health of the server at a WebSocket or HTTP address, or None when it does not answer.

    Args:
        url: Any address of the server; only host and port count.
        limit_s: How long to wait.
    """
    facts = await get_json(url, HEALTH_PATH, limit_s=limit_s)
    if facts is None or not isinstance(facts.get("state"), str):
        return None
    progress = facts.get("progress")
    return Health(
        state=facts["state"],
        progress=float(progress) if isinstance(progress, (int, float)) else None,
        stage=str(facts.get("stage") or ""),
        reason=str(facts.get("reason") or ""),
        cause=str(facts.get("cause") or ""),
        facts=facts,
    )


async def tick_p99(url: str) -> float | None:
    """Return what a server's ticks took at most in the last minute of talk, but for 1 % (ms); None when unknown."""
    facts = await get_json(url, STATUS_PATH)
    told = facts.get("tick_p99_ms") if facts is not None else None
    return float(told) if isinstance(told, (int, float)) else None


def is_busy(facts: Mapping[str, object]) -> bool:
    """Whether somebody talks or waits, by what a voice server says of itself (docs/server.md)."""
    slots, free, queue = (facts.get(name) for name in ("slots", "free", "queue"))
    talking = isinstance(slots, int) and isinstance(free, int) and free < slots
    return talking or bool(queue)


async def get_json(url: str, path: str, *, limit_s: float = LIMIT_SECONDS) -> dict[str, Any] | None:
    """Return the JSON object at a path of a loopback server, or None when there is none to be had."""
    try:
        async with asyncio.timeout(limit_s):
            status, body = await _get(url, path)
        facts = json.loads(body)
    except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError, TimeoutError):
        return None
    return facts if status == 200 and isinstance(facts, dict) else None


async def _get(url: str, path: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    reader, writer = await asyncio.open_connection(host, port, limit=MOST_BYTES)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status_line, *headers = head.decode("latin-1").split("\r\n")
        status = int(status_line.split()[1])
        length = next(
            (int(h.split(":")[1]) for h in headers if h.lower().startswith("content-length:")), None
        )
        if length is not None:
            return status, await reader.readexactly(min(length, MOST_BYTES))
        return status, await reader.read(MOST_BYTES)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
