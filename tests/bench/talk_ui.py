"""How smooth the voice console is while a real call runs: how late a 5 ms timer is, and what drawing costs.

    python tests/bench/talk_ui.py [--seconds 20]

The call goes to the echo of a real server in another process, speaks the built-in clip again and again, and plays to no
device. A table goes to stderr, one JSON object is the last line on stdout. It needs no display.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
STALL_LIMIT_MS, TICK_MS, CLIP_SECONDS = 8.0, 5, 5.0


async def hold(url: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Show the console, hold a call, and return what was measured."""
    import psutil
    from PySide6.QtCore import QElapsedTimer, Qt, QTimer

    from personadesk.store.database import Database
    from personadesk.ui.talk.call import Call, Partner
    from personadesk.ui.talk.foreign import Foreign
    from personadesk.ui.talk.kept_calls import KeptCalls
    from personadesk.ui.talk.page import TalkPage
    from personadesk.ui.talk.personas import Personas
    from personadesk.ui.voice_lab.lab import Lab
    from personadesk.voice.devices import Devices

    database = Database(folder / "data.db")
    await database.open()
    services: Any = SimpleNamespace(database=database, folders=SimpleNamespace(data=folder))

    async def ready() -> Any:
        return services

    personas, kept = Personas(ready), KeptCalls(ready)
    call = Call(None, lambda **_choices: Devices(), lambda: personas.draft, kept.sessions)
    call.show_partners((Partner("Echo", url, server=url),))
    page = TalkPage(call, personas, kept, Foreign(ready), Lab(ready))
    page.resize(1240, 840)
    page.show()
    page.entered()
    while call.devices is None or personas.voices is None:
        await asyncio.sleep(0.05)
    call.start()
    while (moment := call.snapshot()) is None or moment.lag.total_ms is None:
        await asyncio.sleep(0.05)
    call.keep(True)
    await asyncio.sleep(1.0)
    late: list[float] = []
    clock = QElapsedTimer()

    def tick() -> None:
        late.append(max(0.0, clock.nsecsElapsed() / 1e6 - TICK_MS))
        clock.restart()

    timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=TICK_MS, timeout=tick)
    process = psutil.Process()
    cpu, began = sum(process.cpu_times()[:2]), time.monotonic()
    clock.start()
    timer.start()
    while time.monotonic() - began < seconds:
        call.say_clip()
        await asyncio.sleep(CLIP_SECONDS)
    timer.stop()
    gone = time.monotonic() - began
    spent = sum(process.cpu_times()[:2]) - cpu
    drawing = []
    for _ in range(100):
        start = time.perf_counter()
        page.console._draw()
        page.console.call_card.waves.repaint()
        drawing.append(1000 * (time.perf_counter() - start))
    last = call.snapshot()
    await call.close()
    page.left()
    page.deleteLater()
    await database.close()
    ordered = sorted(late)
    return {
        "seconds": round(gone, 1),
        "ticks": len(ordered),
        "stall_p50_ms": _share(ordered, 0.5),
        "stall_p99_ms": _share(ordered, 0.99),
        "stall_max_ms": ordered[-1],
        "draw_p50_ms": _share(sorted(drawing), 0.5),
        "draw_p99_ms": _share(sorted(drawing), 0.99),
        "cpu_of_a_core": round(spent / gone, 3),
        "sent_late_p99_ms": last.counts.sent_late_p99_ms if last is not None else None,
        "frames": last.counts.received if last is not None else 0,
    }


def _share(ordered: list[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)


def main() -> int:
    """Measure and print; 1 when the limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    import qasync

    from personadesk.ui.application import make_application

    with tempfile.TemporaryDirectory(prefix="personadesk-bench-") as name:
        folder = Path(name)
        ready = folder / "ready"
        server = subprocess.Popen(
            [sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo", "--port", "0",
             "--ready-file", str(ready)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not ready.exists() and server.poll() is None:
                time.sleep(0.05)
            port = json.loads(ready.read_text())["port"]
            application = make_application(["personadesk"])
            application.setQuitOnLastWindowClosed(False)
            loop = qasync.QEventLoop(application)
            asyncio.set_event_loop(loop)
            url = f"ws://127.0.0.1:{port}/api/chat"
            with loop:
                figures = loop.run_until_complete(hold(url, arguments.seconds, folder))
        finally:
            server.terminate()
            server.wait(10)
    for key, value in figures.items():
        print(f"{key:>18}  {value}", file=sys.stderr)
    print(json.dumps(figures))
    return int(figures["stall_p99_ms"] > STALL_LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
