"""What a line adds to a call: 50 calls at once, 12.5 messages a second each, in turns straight and through the line.

    python packaging/bootstrap.py bench lines [--calls N] [--seconds N] [--turns N]

The voice (an echo), the line and the callers are a process each, on loopback; the calls are spread over the frame, as
callers are. The best turn counts: other programs only add. A table goes to stderr, one JSON object is the last line on
stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server"), str(ROOT / "tests")]

from websockets.asyncio.client import connect  # noqa: E402
from websockets.asyncio.server import ServerConnection, serve  # noqa: E402

from personadesk.domain.line import Line, LineState, Target  # noqa: E402
from personadesk.hosts import local  # noqa: E402
from personadesk.lines import gateway  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_MS = 1.0
"""Added delay, median, of a message there and back."""
FRAME_SECONDS = 0.08
MESSAGE = b"\x01" + bytes(240)
"""80 ms of Opus, about 24 kbit/s."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--role", choices=("voice", "line"), help=argparse.SUPPRESS)
    parser.add_argument("--ports", type=int, nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role is not None:
        asyncio.run({"voice": _voice, "line": _line}[options.role](*options.ports))
        return 0
    voice, line = local.pick_port(), local.pick_port()
    with _process("voice", voice), _process("line", line, voice, options.calls):
        result = asyncio.run(_measure(voice, line, options))
    print(json.dumps(result), flush=True)
    return 0 if result["within"] else 1


@contextmanager
def _process(role: str, *ports: int) -> Iterator[None]:
    words = [sys.executable, __file__, "--role", role, "--ports", *map(str, ports)]
    process = subprocess.Popen(words)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _voice(port: int) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", port, compression=None):
        await asyncio.Future()


async def _line(port: int, voice: int, calls: int) -> None:
    gateway.MOST_CALLS = max(calls, gateway.MOST_CALLS)  # type: ignore[misc] # as many as are measured
    target = Target(f"ws://127.0.0.1:{voice}/api/chat", "pd-bench")
    await gateway.Gateway(Line("bench", port, target, LineState.UP)).start()
    await asyncio.Future()


async def _measure(voice: int, line: int, options: argparse.Namespace) -> dict[str, Any]:
    for port in (voice, line):
        await _until_open(port)
    turns = []
    for _ in range(options.turns):
        told = {
            name: _figures(await _turn(port, options))
            for name, port in (("straight", voice), ("through", line))
        }
        added = {key: told["through"][key] - told["straight"][key] for key in ("p50", "p99")}
        turns.append(told | {"added": added})
    told = min(turns, key=lambda turn: turn["added"]["p50"])
    added = told["added"]
    print(f"{options.calls} calls at once, {options.turns} turns each", file=sys.stderr)
    for name, figures in told.items():
        print(
            f"  {name:9s} p50 {figures['p50']:7.3f} ms   p99 {figures['p99']:7.3f} ms",
            file=sys.stderr,
        )
    return {
        "area": "lines", "calls": options.calls, **told, "added_p50_of_turns": [turn["added"]["p50"] for turn in turns],
        "limit_ms": LIMIT_MS, "within": added["p50"] < LIMIT_MS,
    }  # fmt: skip


async def _until_open(port: int) -> None:
    async with asyncio.timeout(20):
        while local.port_is_free(port):
            await asyncio.sleep(0.05)


async def _turn(port: int, options: argparse.Namespace) -> list[float]:
    calls = [
        _call(port, options.seconds, FRAME_SECONDS * number / options.calls)
        for number in range(options.calls)
    ]
    return [took for times in await asyncio.gather(*calls) for took in times]


async def _call(port: int, seconds: float, offset: float) -> list[float]:
    """Return how many milliseconds each message took there and back."""
    times = []
    async with connect(f"ws://127.0.0.1:{port}/api/chat", compression=None) as call:
        began = time.monotonic() + 0.5 + offset
        for frame in range(round(seconds / FRAME_SECONDS)):
            await asyncio.sleep(max(0.0, began + frame * FRAME_SECONDS - time.monotonic()))
            sent = time.perf_counter()
            await call.send(MESSAGE)
            await call.recv()
            times.append((time.perf_counter() - sent) * 1000)
    return times


def _figures(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"p50": statistics.median(times), "p99": cuts[98]}


if __name__ == "__main__":
    sys.exit(main())
