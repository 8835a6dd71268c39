"""How long the main job takes from the terminal, step by step, the second time; and what a line adds to a message.

Prints a table on stderr and one JSON object as the last line on stdout. No window is involved.

    deploy.py [--runs N] [--home DIR]    DIR keeps what was installed, so that only second times are measured
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 25.0
"""From command to verdict, second time, on 2 cores with torch installed."""
LIMIT_ADDED_MS = 1.0
"""What a line may add to one message, p50, one way and back."""
MESSAGES = 1000
PAUSE_SECONDS = 0.002


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        home = arguments.home or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="pd-bench-"))
        )
        first = _demo(home)
        seconds = [_demo(home) for _ in range(arguments.runs)]
    line = asyncio.run(_line())
    walls = [run["wall_s"] for run in seconds]
    steps = {
        step["name"]: round(statistics.median(run["steps"][i]["seconds"] for run in seconds), 2)
        for i, step in enumerate(seconds[0]["steps"])
    }
    result = {
        "area": "deploy",
        "first_demo_s": first["wall_s"],
        "second_demo_s": round(statistics.median(walls), 2),
        "second_demo_worst_s": max(walls),
        "limit_s": LIMIT_SECONDS,
        "verdicts": [run["verdict"] for run in seconds],
        "steps_s": steps,
        "line_added_ms_p50": line["added_p50"],
        "line_added_ms_p99": line["added_p99"],
        "line_limit_ms": LIMIT_ADDED_MS,
        "cores": os.cpu_count(),
        "within": statistics.median(walls) < LIMIT_SECONDS and line["added_p50"] < LIMIT_ADDED_MS,
    }
    _table(result, line)
    print(json.dumps(result))
    return 0


def _demo(home: Path) -> dict[str, Any]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "personadesk", "demo", "--json"],
        env={**os.environ, "PERSONADESK_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    wall = time.monotonic() - began
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "error" in told:
        print(f"The demo did not work: {told['error']}", file=sys.stderr)
    return told | {"wall_s": round(wall, 2)}


async def _line() -> dict[str, float]:
    """Round trips to an echo over a line and straight, in turn, so that both meet the same weather."""
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.asyncio.server import ServerConnection, serve

    from personadesk.domain.line import Line, LineState, Target
    from personadesk.hosts import local
    from personadesk.lines.gateway import Gateway
    from personadesk.lines.threads import LoopThread

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def trip(call: ClientConnection) -> float:
        began = time.perf_counter()
        await call.send(frame)
        await call.recv()
        return (time.perf_counter() - began) * 1000

    frame = b"\x01" + bytes(400)  # 80 ms of Opus in its page
    direct, through = [], []
    thread = LoopThread("lines")
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        target = Target(f"ws://127.0.0.1:{port}/api/chat", "bench")
        gateway = Gateway(Line("bench", local.pick_port(), target, LineState.UP))
        await thread.run(gateway.start())
        async with (
            connect(target.url, compression=None) as straight,
            connect(gateway.line.url, compression=None) as over,
        ):
            for _ in range(MESSAGES):
                direct.append(await trip(straight))
                through.append(await trip(over))
                await asyncio.sleep(PAUSE_SECONDS)
        await thread.run(gateway.stop())
    await thread.stop()
    return {
        "direct_p50": _p(direct, 50), "direct_p99": _p(direct, 99),
        "through_p50": _p(through, 50), "through_p99": _p(through, 99),
        "added_p50": round(_p(through, 50) - _p(direct, 50), 3),
        "added_p99": round(_p(through, 99) - _p(direct, 99), 3),
    }  # fmt: skip


def _p(values: list[float], percent: int) -> float:
    return round(sorted(values)[min(len(values) - 1, len(values) * percent // 100)], 3)


def _table(result: dict[str, Any], line: dict[str, float]) -> None:
    def row(name: str, value: object, limit: str = "") -> None:
        print(f"{name:<36}{value!s:>10}  {limit}", file=sys.stderr)

    row("first demo, s", result["first_demo_s"])
    row("second demo, median s", result["second_demo_s"], f"< {LIMIT_SECONDS:g}")
    row("second demo, worst s", result["second_demo_worst_s"])
    for name, seconds in result["steps_s"].items():
        row(f"  {name}", f"{seconds:.2f}")
    row("verdicts", " ".join(result["verdicts"]))
    row("message straight, p50 / p99 ms", f"{line['direct_p50']} / {line['direct_p99']}")
    row("message over a line, p50 / p99 ms", f"{line['through_p50']} / {line['through_p99']}")
    row("a line adds, p50 ms", line["added_p50"], f"< {LIMIT_ADDED_MS:g}")


if __name__ == "__main__":
    sys.exit(main())
