"""How smooth the live graphs are: eight charts over a table of 1,000 rows, 1,600 GPUs, and opening 30 days.

    python packaging/bootstrap.py bench monitor_ui [--seconds N] [--alone]

Figures are made up and told as samplers would, spread over each second. What is measured is the window and then,
without `--alone`, what sampling and the history cost (`bench monitor`), so that one run prints every limit. Work is the
window's thread's own processor time between two ticks of 5 ms, which other programs do not change; a stall is by the
clock, and they do. A table with the limits goes to stderr, one JSON object is the last line on stdout.
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
    "detail_work_p99_ms": 8.0, "detail_work_max_ms": 50.0, "detail_stall_p99_ms": 8.0,
    "detail_stall_max_ms": 50.0, "detail_cpu_percent": 10.0, "month_open_ms": 200.0,
    "tiles_work_p99_ms": 8.0, "wall_work_p99_ms": 16.0, "wall_stall_p99_ms": 16.0,
    "hidden_cpu_percent": 3.0, "hour_growth_mib": 8.0,
}  # fmt: skip
CASES = ("detail", "tiles", "wall", "hidden", "hour")


def child(case: str, seconds: float) -> None:
    """Measure one case and print it."""
    from PySide6.QtCore import QSize

    from personadesk.ui.application import make_application
    from personadesk.ui.theme import Look

    application = make_application(["bench"], look=Look.DARK, base_pixels=13)
    application.setQuitOnLastWindowClosed(False)
    doers = {
        "detail": _detail, "tiles": _tiles, "wall": _wall, "hidden": _hidden, "hour": _hour,
    }  # fmt: skip
    told = doers[case](QSize(1440, 900), seconds)
    print(
        json.dumps(
            {
                f"{case}_{key}" if key != "month_open_ms" else key: value
                for key, value in told.items()
            }
        )
    )


def _detail(size: Any, seconds: float) -> dict[str, float]:
    """All charts of a minute of a machine of eight GPUs, moved ten times a second, below 1,000 rows.

    Each second a tenth of the rows change.
    """
    import pyqtgraph  # noqa: F401 - no loop runs here that would wait for a thread to load it

    import monitor_samples
    import rented_samples
    from monitor_scenes import watch_of
    from personadesk.ui.instances.page import InstancesPage
    from personadesk.ui.monitor.figures import SPANS
    from rented_scenes import rented_of

    host = rented_samples.FRONT_DESK.tag
    feed = _quick(monitor_samples.SampleFeed({host: monitor_samples.Machine(("A10",) * 8)}))
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
    graphs.choose_span(0)
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
    began = time.thread_time()
    graphs.choose_span(len(SPANS) - 1)
    graphs.finish()
    page.grab()
    told["month_open_ms"] = (time.thread_time() - began) * 1000
    return told


def _tiles(size: Any, seconds: float) -> dict[str, float]:
    """Four machines of eight GPUs: as many tiles as there are at most."""
    import monitor_samples

    return _monitor_page(monitor_samples.wall(4), size, seconds)


def _hidden(size: Any, seconds: float) -> dict[str, float]:
    """The same while another page shows."""
    import monitor_samples

    return _monitor_page(monitor_samples.wall(4), size, seconds, hidden=True)


def _wall(size: Any, seconds: float) -> dict[str, float]:
    """Two hundred machines of eight GPUs each tell a sample a second."""
    import monitor_samples

    return _monitor_page(monitor_samples.wall(), size, seconds)


def _hour(size: Any, _seconds: float) -> dict[str, float]:
    """An hour of 1,600 GPUs on a clock that runs ahead: the second half may not take more memory than the first."""
    import psutil
    from PySide6.QtWidgets import QApplication

    import monitor_samples

    feed = monitor_samples.wall()
    page = _page_of(feed, size)
    tell = _teller(feed, 10.0)
    process = psutil.Process()
    sizes = []
    for _ in range(360):
        for _slot in range(20):
            tell()
        page.view.follow_now()
        QApplication.processEvents()
        sizes.append(process.memory_info().rss / 2**20)
    return {"memory_mib": sizes[-1], "growth_mib": sizes[-1] - sizes[len(sizes) // 2]}


def _page_of(feed: SampleFeed, size: Any) -> Any:
    from monitor_scenes import watch_of
    from personadesk.ui.monitor.page import MonitorPage

    page = MonitorPage(watch_of(_quick(feed)))
    page.resize(size)
    page.show()
    return page


def _monitor_page(
    feed: SampleFeed, size: Any, seconds: float, *, hidden: bool = False
) -> dict[str, float]:
    page = _page_of(feed, size)
    page.setHidden(hidden)
    return _measured(page, seconds, _teller(feed), None)


def _quick(feed: SampleFeed) -> SampleFeed:
    """Let a feed hand out series as quickly as rings do: their waves are made once, and move with the clock."""
    import numpy as np

    from personadesk.monitor.ranges import of_values

    make, kept = feed.series, {}

    def series(*wanted: Any) -> Any:
        if wanted not in kept:
            kept[wanted] = make(*wanted).mean
        values = kept[wanted].copy()
        return of_values(feed.now - np.arange(len(values) - 1, -1, -1.0), values)

    feed.series = series  # type: ignore[method-assign] # of this one feed
    return feed


def _teller(feed: SampleFeed, faster: float = 1.0) -> Callable[[], None]:
    """Return what tells the samples of a twentieth of a second of a clock that may run faster; they are made before."""
    hosts = list(feed.machines)
    first = {host: feed.sample(host) for host in hosts}
    feed.now += 7
    second = {host: feed.sample(host) for host in hosts}
    at = [0]

    def tell() -> None:
        feed.now += faster * FEED_MS / 1000
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
    work: list[float] = []
    clock = QElapsedTimer()
    worked = [time.thread_time()]

    def tick() -> None:
        late.append(max(0.0, clock.nsecsElapsed() / 1e6 - TICK_MS))
        clock.restart()
        now = time.thread_time()
        work.append((now - worked[0]) * 1000)
        worked[0] = now

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
    worked[0] = time.thread_time()
    for timer in timers:
        timer.start()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()
    after, took = process.cpu_times(), time.monotonic() - began
    for timer in timers:
        timer.stop()
    late.sort()
    work.sort()
    return {
        "work_p99_ms": work[int(0.99 * len(work))],
        "work_max_ms": work[-1],
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
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--alone", action="store_true", help="leave sampling and history out")
    arguments = parser.parse_args()
    if arguments.case:
        child(arguments.case, arguments.seconds)
        return 0
    found: dict[str, float] = {}
    for case in CASES:
        found |= _told_by(__file__, "--case", case, "--seconds", str(arguments.seconds))
    for key, value in found.items():
        limit = f"limit {LIMITS[key]:.0f}" if key in LIMITS else ""
        print(f"{key:<28}{value:>10.1f}   {limit}", file=sys.stderr)
    below = {} if arguments.alone else _told_by(str(Path(__file__).with_name("monitor.py")))
    print(json.dumps({"area": "monitor_ui", "figures": found, "limits": LIMITS, "monitor": below}))
    return 0


def _told_by(*command: str) -> dict[str, Any]:
    """Run a part in a process of its own; returns the figures in its last line."""
    done = subprocess.run([sys.executable, *command], check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.exit(main())
