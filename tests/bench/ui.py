"""How quick and how smooth the window is: first paint, stalls while a real deploy runs, memory.

    python packaging/bootstrap.py bench ui [--runs N] [--no-deploy]

A table goes to stderr, one JSON object is the last line on stdout. It needs no display.
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server")]
PAINT_LIMIT_MS, STALL_LIMIT_MS, TICK_MS = 400.0, 16.0, 5
DEPLOY_SECONDS = 300.0


def child_paint() -> None:
    """Open the window, note when its first page is on the screen, and close it again."""
    from PySide6.QtCore import QTimer

    from personadesk.ui import start

    began = float(os.environ["BENCH_BEGAN"])

    def painted() -> None:
        print(json.dumps({"paint_ms": (time.monotonic() - began) * 1000}), flush=True)
        QTimer.singleShot(0, lambda: os.kill(os.getpid(), 15))

    sys.exit(start.run(["personadesk"], on_first_paint=painted))


def child_deploy() -> None:
    """Open the window, press Try it here, and measure how late a 5 ms timer is until the end."""
    import psutil
    from PySide6.QtCore import QElapsedTimer, Qt, QTimer
    from PySide6.QtTest import QTest

    from personadesk.ui import session as sessions
    from personadesk.ui import start

    told: dict[str, Any] = {}
    late: list[float] = []
    whole = sessions.WindowSession.run

    async def measured(self: sessions.WindowSession) -> None:
        clock = QElapsedTimer()

        def tick() -> None:
            late.append(max(0.0, clock.nsecsElapsed() / 1e6 - TICK_MS))
            clock.restart()

        async def drive() -> None:
            while self.desk.services is None or self.desk.computer is None:
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.0)
            told["memory_idle_mib"] = psutil.Process().memory_info().rss / 2**20
            timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=TICK_MS, timeout=tick)
            clock.start()
            timer.start()
            began = time.monotonic()
            card = self.window.current_page.first_start.card  # type: ignore[attr-defined] # Home's first start
            QTest.mouseClick(card.button, Qt.MouseButton.LeftButton)
            while not self.desk.jobs.shown or self.desk.jobs.shown.is_running:
                await asyncio.sleep(0.1)
                if time.monotonic() - began > DEPLOY_SECONDS:
                    break
            timer.stop()
            job = self.desk.jobs.shown
            told["deploy_s"] = time.monotonic() - began
            told["state"] = str(job.view.state) if job else "never began"
            told["error"] = str(job.view.error) if job and job.view.error else ""
            told["memory_mib"] = psutil.Process().memory_info().rss / 2**20
            if self.desk.services is not None:
                for line in self.desk.lines:
                    await self.desk.services.lines.remove(line.name)
            self.quit_now()

        task = asyncio.ensure_future(drive())
        await whole(self)
        await task

    sessions.WindowSession.run = measured  # type: ignore[method-assign] # measured from within
    start.run(["personadesk"])
    ordered = sorted(late)
    told |= {
        "ticks": len(ordered),
        "stall_p50_ms": _share(ordered, 0.50),
        "stall_p95_ms": _share(ordered, 0.95),
        "stall_p99_ms": _share(ordered, 0.99),
        "stall_max_ms": ordered[-1] if ordered else None,
        "stalls_over_50_ms": sum(value > 50 for value in ordered),
    }
    print(json.dumps(told), flush=True)


def _share(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def run_child(part: str, home: Path) -> dict[str, Any]:
    """Run one part in a fresh process and return what it printed."""
    environment = os.environ | {
        "PERSONADESK_HOME": str(home),
        "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen"),
        "BENCH_BEGAN": str(time.monotonic()),
        "OMP_NUM_THREADS": "1",
        # Warm means: with the compiled modules that every start after the first one finds.
        "PYTHONPYCACHEPREFIX": str(home / "compiled"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--part", part],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"The part {part} measured nothing (exit status {done.returncode}).")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--no-deploy", action="store_true", help="only the first paint")
    parser.add_argument("--part", choices=["paint", "deploy"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        {"paint": child_paint, "deploy": child_deploy}[arguments.part]()
        return 0
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="personadesk-bench-") as folder:
        home = Path(folder)
        run_child("paint", home)  # the first one fills the disk cache
        paints = [run_child("paint", home)["paint_ms"] for _ in range(arguments.runs)]
        figures["first_paint_ms"] = {
            "median": round(statistics.median(paints), 1),
            "best": round(min(paints), 1),
            "worst": round(max(paints), 1),
            "limit": PAINT_LIMIT_MS,
            "runs": len(paints),
        }
        if not arguments.no_deploy:
            measured = run_child("deploy", home)
            figures["deploy"] = {
                key: round(value, 2) if isinstance(value, float) else value
                for key, value in measured.items()
            }
            figures["deploy"]["stall_limit_ms"] = STALL_LIMIT_MS
    show(figures)
    figures["within_limits"] = figures["first_paint_ms"]["median"] < PAINT_LIMIT_MS and (
        arguments.no_deploy
        or (
            figures["deploy"]["state"] == "done"
            and figures["deploy"]["stall_p99_ms"] < STALL_LIMIT_MS
        )
    )
    print(json.dumps(figures))
    return 0 if figures["within_limits"] else 1


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    paint = figures["first_paint_ms"]
    rows = [
        ("first paint, warm, median", f"{paint['median']:.0f} ms", f"{PAINT_LIMIT_MS:.0f} ms"),
        ("first paint, best / worst", f"{paint['best']:.0f} / {paint['worst']:.0f} ms", ""),
    ]
    if "deploy" in figures:
        deploy = figures["deploy"]
        rows += [
            ("deploy through the window", f"{deploy['deploy_s']:.1f} s, {deploy['state']}", ""),
            ("UI stall p50", f"{deploy['stall_p50_ms']:.1f} ms", ""),
            ("UI stall p95", f"{deploy['stall_p95_ms']:.1f} ms", ""),
            ("UI stall p99", f"{deploy['stall_p99_ms']:.1f} ms", f"{STALL_LIMIT_MS:.0f} ms"),
            ("UI stall max", f"{deploy['stall_max_ms']:.1f} ms", ""),
            ("memory idle / after", f"{deploy['memory_idle_mib']:.0f} / {deploy['memory_mib']:.0f} MiB", ""),
        ]  # fmt: skip
    for name, value, limit in rows:
        print(f"{name:<28} {value:>22}   {limit and 'limit ' + limit}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
