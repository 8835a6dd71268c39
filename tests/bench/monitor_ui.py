"""How smooth the live graphs are: eight charts over a table of 1,000 rows, 1,600 GPUs, and opening 30 days.

    python packaging/bootstrap.py bench monitor_ui [--seconds N]

Figures are made up and told as samplers would, spread over each second. What is measured is the window. A table with
the limits beside the figures goes to stderr, one JSON object is the last line on stdout. It needs no display.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server"), str(ROOT / "packaging")]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtWidgets import QWidget

    from monitor_samples import SampleFeed

TICK_MS, FEED_MS, TABLE_MS = 5, 50, 1000
LIMITS = {
    "detail_stall_p99_ms": 8.0, "detail_stall_max_ms": 50.0, "detail_cpu_percent": 10.0,
    "wall_stall_p99_ms": 16.0, "month_open_ms": 200.0,
}  # fmt: skip


def child(case: str, seconds: float) -> None:
    """Measure one case and print it."""
    from PySide6.QtCore import QSize

    from personadesk.ui.application import make_application
    from personadesk.ui.theme import Look

    application = make_application(["bench"], look=Look.DARK, base_pixels=13)
    application.setQuitOnLastWindowClosed(False)
    told = {"detail": _detail, "wall": _wall}[case](QSize(1440, 900), seconds)
    print(
        json.dumps(
            {
                f"{case}_{key}" if key != "month_open_ms" else key: value
                for key, value in told.items()
            }
        )
    )


def _detail(size: Any, seconds: float) -> dict[str, float]:
    """Eight charts of a machine, moved up to ten times a second, below 1,000 rows; each second a tenth change."""
    import pyqtgraph  # noqa: F401 - no loop runs here that would wait for a thread to load it

    import monitor_samples
    import rented_samples
    from monitor_scenes import watch_of
    from personadesk.ui.instances.page import InstancesPage
    from rented_scenes import rented_of

    host = rented_samples.FRONT_DESK.tag
    feed = monitor_samples.SampleFeed({host: monitor_samples.Machine(("A10",) * 8)})
    watch = watch_of(feed)
    view = rented_samples.many(1000)
    page = InstancesPage(rented_of(view), watch)
    page.resize(size)
    page.show()
    page.choose(next(m.key for m in view.machines))
    graphs = page.details.graphs
    if graphs is None:
        raise RuntimeError("a page with a monitor has graphs")
    graphs.build()
    graphs.show_host(host)
    rows = page.model.all()
    turn = iter(range(10**9))

    def change() -> None:
        number = next(turn)
        page.model.show_rows(
            [
                replace(row, today=number / 100) if n % 10 == number % 10 else row
                for n, row in enumerate(rows)
            ]
        )

    told = _measured(page, seconds, _teller(feed), change)
    began = time.perf_counter()
    graphs.choose_span(4)
    page.grab()
    told["month_open_ms"] = (time.perf_counter() - began) * 1000
    return told


def _wall(size: Any, seconds: float) -> dict[str, float]:
    """Two hundred machines of eight GPUs each tell a sample a second."""
    import monitor_samples
    from monitor_scenes import watch_of
    from personadesk.ui.monitor.page import MonitorPage

    feed = monitor_samples.wall()
    page = MonitorPage(watch_of(feed))
    page.resize(size)
    page.show()
    return _measured(page, seconds, _teller(feed), None)


def _teller(feed: SampleFeed) -> Callable[[], None]:
    """Return what tells the samples of a twentieth of a second; they are made before."""
    hosts = list(feed.machines)
    first = {host: feed.sample(host) for host in hosts}
    feed.now += 7
    second = {host: feed.sample(host) for host in hosts}
    at = [0]

    def tell() -> None:
        feed.now += FEED_MS / 1000
        slot = at[0] % 20
        made = first if (at[0] // 20) % 2 else second
        at[0] += 1
        for host in hosts[slot::20]:
            sample = replace(made[host], at=feed.now)
            for callback in tuple(feed._callbacks):
                callback(host, sample)

    return tell


def _measured(
    page: QWidget, seconds: float, tell: Callable[[], None], change: Callable[[], None] | None
) -> dict[str, float]:
    import psutil
    from PySide6.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer

    late: list[float] = []
    clock = QElapsedTimer()

    def tick() -> None:
        late.append(max(0.0, clock.nsecsElapsed() / 1e6 - TICK_MS))
        clock.restart()

    loop = QEventLoop()
    QTimer.singleShot(1500, loop.quit)
    loop.exec()
    exact = Qt.TimerType.PreciseTimer
    timers = [
        QTimer(page, timerType=exact, interval=TICK_MS, timeout=tick),
        QTimer(page, timerType=exact, interval=FEED_MS, timeout=tell),
    ]
    if change is not None:
        timers.append(QTimer(page, timerType=exact, interval=TABLE_MS, timeout=change))
    process = psutil.Process()
    before, began = process.cpu_times(), time.monotonic()
    clock.start()
    for timer in timers:
        timer.start()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()
    after, took = process.cpu_times(), time.monotonic() - began
    for timer in timers:
        timer.stop()
    late.sort()
    return {
        "stall_p50_ms": late[len(late) // 2],
        "stall_p99_ms": late[int(0.99 * len(late))],
        "stall_max_ms": late[-1],
        "cpu_percent": 100 * (after.user + after.system - before.user - before.system) / took,
        "memory_mib": process.memory_info().rss / 2**20,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--case", choices=("detail", "wall"))
    arguments = parser.parse_args()
    if arguments.case:
        child(arguments.case, arguments.seconds)
        return 0
    found: dict[str, float] = {}
    for case in ("detail", "wall"):
        command = [sys.executable, __file__, "--case", case, "--seconds", str(arguments.seconds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found |= json.loads(done.stdout.splitlines()[-1])
    for key, value in found.items():
        limit = f"limit {LIMITS[key]:.0f}" if key in LIMITS else ""
        print(f"{key:<28}{value:>10.1f}   {limit}", file=sys.stderr)
    print(json.dumps({"figures": found, "limits": LIMITS}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
