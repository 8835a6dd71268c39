"""What a machine by SSH costs: its check, a deploy to it, what the tunnel adds, the idle connection, and a bad network.

Prints a table on stderr and one JSON object as the last line on stdout. The machine is a real sshd on loopback that has
torch and a model folder, and nothing of ours. In turns with a straight connection, so that both meet the same weather.

    python packaging/bootstrap.py bench hosts [--runs N] [--idle SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pwd
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server"), str(ROOT / "tests")]

from peers.sshd import Sshd, User, free_port, missing  # noqa: E402
from peers.tcp_proxy import TcpProxy  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from personadesk.hosts.ssh.host import SshHost

CHECK_LIMIT_S, DEPLOY_LIMIT_S, TUNNEL_LIMIT_MS, IDLE_LIMIT_PERCENT = 5.0, 30.0, 2.0, 0.5
MESSAGES = 1000
PAUSE_SECONDS = 0.002
DELAY_SECONDS, STALL_SECONDS = 0.1, 2.0
"""A delay counts in each direction, so that a round trip takes 0.2 s longer."""
STALL_AFTER_SECONDS = 4.0
"""From the command on: then the answer is under way."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--idle", type=float, default=60.0)
    arguments = parser.parse_args()
    if why := missing():
        print(why, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="pd-bench-") as folder:
        base = Path(folder)
        (base / "home").mkdir()
        me = User(pwd.getpwuid(os.geteuid()).pw_name, base / "home")
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        with Sshd(base / "sshd", me, path=path) as sshd:
            model = base / "model"
            _make_model(model)
            deploys = [_deploy(sshd, base / f"app{n}", model) for n in range(arguments.runs)]
            told = asyncio.run(_connected(sshd, arguments))
            bad = asyncio.run(_bad_network(sshd, base, model))
    result = _result(deploys, told, bad)
    _table(result)
    print(json.dumps(result))
    return 0


def _make_model(folder: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "personaplex_server", "make-checkpoint", "--preset", "rehearsal", str(folder)],
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _personadesk(home: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "personadesk", *words, "--json"],
        env={**os.environ, "PERSONADESK_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    told: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return told


def _add(home: Path, sshd: Sshd, port: int = 0) -> None:
    words = (
        "host", "add", "box", "--address", sshd.address, "--port", str(port or sshd.port),
        "--user", sshd.user.name, "--key", str(sshd.key),
    )  # fmt: skip
    fingerprint = _personadesk(home, *words)["fingerprint"]
    _personadesk(home, *words, "--fingerprint", fingerprint)


def _deploy(sshd: Sshd, home: Path, model: Path) -> dict[str, Any]:
    """Deploy from a fresh PersonaDesk to the machine as it was at first, and take all away again."""
    _add(home, sshd)
    began = time.monotonic()
    told = _personadesk(
        home, "deploy", "--host", "box", "--model", str(model), "--port", str(free_port())
    )
    wall = round(time.monotonic() - began, 2)
    if "error" in told:
        print(f"The deploy did not work: {told['error']}", file=sys.stderr)
    _personadesk(home, "uninstall", "--host", "box")
    _personadesk(home, "stop")
    return told | {"wall_s": wall}


@asynccontextmanager
async def _host(sshd: Sshd) -> AsyncIterator[SshHost]:
    from personadesk.domain.host import HostKey, SshAddress
    from personadesk.hosts.ssh import keys
    from personadesk.hosts.ssh.config import Resolved
    from personadesk.hosts.ssh.connection import Link, Login, show_keys
    from personadesk.hosts.ssh.host import SshHost

    address = SshAddress(sshd.address, sshd.port, sshd.user.name)
    [known] = await show_keys(address)

    class Pins:
        async def pinned(self, place: str) -> HostKey | None:
            return known if place == address.place else None

    async def login() -> Login:
        return Login(Resolved(address), [await keys.load(sshd.key)])

    host = SshHost("box", Link("box", login, Pins()))
    try:
        yield host
    finally:
        await host.close()


async def _connected(sshd: Sshd, arguments: argparse.Namespace) -> dict[str, float]:
    """Check, tunnel and rest, over one connection."""
    from personadesk.hosts import check

    async with _host(sshd) as host:
        checks = [(await check.look(host)).seconds for _ in range(max(3, arguments.runs))]
        tunnel = await _tunnel(host)
        forward = await host.forward(free_port())
        before, began = time.process_time(), time.monotonic()
        await asyncio.sleep(arguments.idle)
        busy = (time.process_time() - before) / (time.monotonic() - began) * 100
        await forward.close()
    return tunnel | {
        "check_s": round(statistics.median(checks), 2),
        "check_worst_s": round(max(checks), 2),
        "idle_percent_of_a_core": round(busy, 3),
    }


async def _tunnel(host: SshHost) -> dict[str, float]:
    """Round trips of a frame's size through the tunnel and straight, in turns."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(4096):
            writer.write(chunk)
        writer.close()

    async def trip(way: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> float:
        began = time.perf_counter()
        way[1].write(frame)
        await way[0].readexactly(len(frame))
        return (time.perf_counter() - began) * 1000

    frame = b"\x01" + bytes(400)  # 80 ms of Opus in its page
    direct: list[float] = []
    through: list[float] = []
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    forward = await host.forward(port)
    straight = await asyncio.open_connection("127.0.0.1", port)
    over = await asyncio.open_connection("127.0.0.1", forward.port)
    await trip(over)
    for _ in range(MESSAGES):
        direct.append(await trip(straight))
        through.append(await trip(over))
        await asyncio.sleep(PAUSE_SECONDS)
    for _, writer in (straight, over):
        writer.close()
    await forward.close()
    server.close()
    return {
        "tunnel_added_ms_p50": round(_p(through, 50) - _p(direct, 50), 3),
        "tunnel_added_ms_p99": round(_p(through, 99) - _p(direct, 99), 3),
    }


async def _bad_network(sshd: Sshd, base: Path, model: Path) -> dict[str, Any]:
    """Test the voice over 0.2 s of delay, with a stall of 2 s in its midst."""
    home = base / "far"
    async with TcpProxy(sshd.port) as proxy:
        await asyncio.to_thread(_add, home, sshd, proxy.port)
        line = str(free_port())
        words = ("deploy", "--host", "box", "--model", str(model), "--port", line)
        deployed = await asyncio.to_thread(_personadesk, home, *words)
        if "error" in deployed:
            print(f"The deploy did not work: {deployed['error']}", file=sys.stderr)
            await asyncio.to_thread(_personadesk, home, "uninstall", "--host", "box")
            return {}
        proxy.weather.delay_s = DELAY_SECONDS
        testing = asyncio.create_task(
            asyncio.to_thread(_personadesk, home, "voice-test", deployed["line"]["url"])
        )
        await asyncio.sleep(STALL_AFTER_SECONDS)
        await proxy.stall(STALL_SECONDS)
        report = await testing
        proxy.weather.delay_s = 0.0
        await asyncio.to_thread(_personadesk, home, "uninstall", "--host", "box")
        await asyncio.to_thread(_personadesk, home, "stop")
    return report


def _result(
    deploys: list[dict[str, Any]], told: dict[str, float], bad: dict[str, Any]
) -> dict[str, Any]:
    walls = [run["wall_s"] for run in deploys]
    steps = {
        step["name"]: round(statistics.median(run["steps"][i]["seconds"] for run in deploys), 2)
        for i, step in enumerate(deploys[0]["steps"])
    }
    within = {
        "check": told["check_s"] < CHECK_LIMIT_S,
        "deploy": statistics.median(walls) < DEPLOY_LIMIT_S
        and all(run.get("verdict") == "pass" for run in deploys),
        "tunnel": told["tunnel_added_ms_p50"] < TUNNEL_LIMIT_MS,
        "idle": told["idle_percent_of_a_core"] < IDLE_LIMIT_PERCENT,
        "bad_network": bool(bad.get("verdict")) and bool(bad.get("reasons")),
    }
    return {
        "area": "hosts",
        "deploy_s": round(statistics.median(walls), 2),
        "deploy_worst_s": max(walls),
        "verdicts": [run["verdict"] for run in deploys],
        "steps_s": steps,
        **told,
        "bad_network": bad,
        "limits": {
            "check_s": CHECK_LIMIT_S, "deploy_s": DEPLOY_LIMIT_S,
            "tunnel_added_ms_p50": TUNNEL_LIMIT_MS, "idle_percent_of_a_core": IDLE_LIMIT_PERCENT,
        },
        "cores": os.cpu_count(),
        "within": within,
    }  # fmt: skip


def _p(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _table(result: dict[str, Any]) -> None:
    def row(name: str, value: object, limit: str = "") -> None:
        print(f"{name:<36}{value!s:>10}  {limit}", file=sys.stderr)

    row("check, median s", result["check_s"], f"< {CHECK_LIMIT_S:g}")
    row("first deploy, median s", result["deploy_s"], f"< {DEPLOY_LIMIT_S:g}")
    row("first deploy, worst s", result["deploy_worst_s"])
    for name, seconds in result["steps_s"].items():
        row(f"  {name}", f"{seconds:.2f}")
    row("verdicts", " ".join(result["verdicts"]))
    row("tunnel adds, p50 ms", result["tunnel_added_ms_p50"], f"< {TUNNEL_LIMIT_MS:g}")
    row("tunnel adds, p99 ms", result["tunnel_added_ms_p99"])
    row("idle, % of a core", result["idle_percent_of_a_core"], f"< {IDLE_LIMIT_PERCENT:g}")
    row("0.2 s delay and 2 s stall", result["bad_network"].get("verdict", "no verdict"))
    for reason in result["bad_network"].get("reasons", ()):
        print(f"  {reason}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
