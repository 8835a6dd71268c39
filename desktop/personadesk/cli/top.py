"""`personadesk top`: machines, GPUs, voices and money in the terminal, live and in colours; q or Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text as Styled

from personadesk.app import open_services
from personadesk.cli.metrics import settle, watched
from personadesk.cli.running import run_command
from personadesk.domain.alarm import Severity
from personadesk.domain.quantity import size
from personadesk.domain.sample import DASH, Absent, Metric, Source

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from personadesk.cli.running import Stop
    from personadesk.domain.sample import Value
    from personadesk.monitor.monitor import Monitor
    from personadesk.monitor.state import HostState

BAR = 10
WIDE = 120
"""Columns of a terminal that has room for bars."""
FIRST_WIDTH = 14
BAR_HEAD, WIDE_HEAD = "", "Last minute"
SPARK = "▁▂▃▄▅▆▇█"
SPARK_POINTS = 30
TICK_LIMIT_MS = 80.0
WARM, HOT = 75.0, 85.0
HALF, FULL = 70.0, 95.0
ALARMS_SHOWN = 5


def run(arguments: argparse.Namespace) -> int:
    """Show it until ended."""
    return run_command(lambda stop: _top(arguments, stop), as_json=False)


async def _top(arguments: argparse.Namespace, stop: Stop) -> int:
    console = Console()
    services = await open_services(serve_lines=False)
    try:
        async with watched(services) as monitor:
            if arguments.once or not console.is_terminal:
                await settle(monitor, stop)
                monitor.judge()
                console.print(picture(monitor, console.width))
                return 0
            services.fleet.start()
            with _q_ends(stop), Live(console=console, screen=True, auto_refresh=False) as live:
                while stop.signal is None:
                    live.update(picture(monitor, console.width), refresh=True)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(max(0.1, arguments.every)):
                            await stop.wait()
    finally:
        await services.close()
    return 0


@contextlib.contextmanager
def _q_ends(stop: Stop) -> Iterator[None]:
    """Let the key q end it, where there is a terminal of the Unix kind."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import os
    import termios
    import tty

    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()

    def pressed() -> None:
        if os.read(keyboard, 16).lower() in {b"q", b"\x1b"}:
            stop.tell(0)

    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, pressed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def picture(monitor: Monitor, width: int) -> RenderableType:
    """Return all of it, in so many columns; a narrow terminal gets no bars."""
    wide = width >= WIDE
    states = monitor.hosts
    parts: list[RenderableType] = [_head(monitor)]
    parts += _alarms(monitor)
    heads: tuple[str, ...]
    cards = [_cards(monitor, name, state) for name, state in states.items() if state.gpus]
    if cards:
        heads = ("GPU", "Use", BAR_HEAD, "Memory", BAR_HEAD, "Temp", "Power", "Clock", WIDE_HEAD)
        parts.append(_table(heads, (row for rows in cards for row in rows), wide=wide))
    heads = ("Machine", "CPU", BAR_HEAD, "Memory", BAR_HEAD, "Load", "Disk", "In", "Out", "$/h")
    parts.append(_table(heads, map(_machine, states.values()), wide=wide))
    voices = [row for state in states.values() for row in _voices(state)]
    if voices:
        heads = ("Voice", "Calls", "Queue", "Tick p50", "p99", "Lag p99", "Answers", "Up")
        parts.append(_table(heads, voices, wide=wide))
    return Group(*parts)


def _head(monitor: Monitor) -> Styled:
    states = monitor.hosts.values()
    prices = [_number(state.value(Metric.MONEY_PRICE)) for state in states]
    price = sum(each for each in prices if each is not None)
    spent = sum(each for s in states if (each := _number(s.value(Metric.MONEY_SPENT))) is not None)
    gpus = sum(len(state.gpus) for state in states)
    text = Styled.assemble(
        ("PersonaDesk top", "bold"), f"  {time.strftime('%H:%M:%S')}  ",
        f"{len(states)} machines, {gpus} GPUs",
    )  # fmt: skip
    if any(each is not None for each in prices):
        text.append(f"  ${price:.2f}/h, ${spent:.2f} so far", "yellow")
    return text


def _alarms(monitor: Monitor) -> list[RenderableType]:
    styles = {Severity.ERROR: "bold red", Severity.WARNING: "yellow"}
    return [
        Styled(f"! {alarm.text}", styles[alarm.rule.severity])
        for alarm in monitor.alarms.active[-ALARMS_SHOWN:]
    ]


def _cards(monitor: Monitor, name: str, state: HostState) -> Iterator[tuple[Styled, ...]]:
    for index, gpu in sorted(state.gpus.items(), key=lambda each: int(each[0])):
        title = Styled(f"{state.target.label} {index}  {gpu.name.removeprefix('NVIDIA ')}")
        if index in state.lost:
            title.append("  gone", "bold red")
        use = state.value(Metric.GPU_USE, index)
        used, total = (
            state.value(metric, index)
            for metric in (Metric.GPU_MEMORY_USED, Metric.GPU_MEMORY_TOTAL)
        )
        full = _share(used, total)
        power = _text(state.value(Metric.GPU_POWER, index), lambda v: f"{v:.0f}")
        limit = _number(state.value(Metric.GPU_POWER_LIMIT, index))
        power.append(f"/{limit:.0f} W" if limit is not None else " W")
        clock = _text(state.value(Metric.GPU_CLOCK, index), lambda v: f"{v:.0f} MHz")
        if state.value(Metric.GPU_THROTTLED, index) == 1.0:
            clock.stylize("yellow")
            clock.append(" held")
        yield (
            title, _text(use, lambda v: f"{v:.0f} %", (HALF, 101.0)), _bar(_number(use)),
            _text(used, size), _bar(full),
            _text(state.value(Metric.GPU_TEMPERATURE, index), lambda v: f"{v:.0f} °C", (WARM, HOT)),
            power, clock, _spark(monitor, name, index),
        )  # fmt: skip


def _machine(state: HostState) -> tuple[Styled, ...]:
    cpu = state.value(Metric.CPU_USE)
    used, total = state.value(Metric.MEMORY_USED), state.value(Metric.MEMORY_TOTAL)
    disk = _share(state.value(Metric.DISK_USED, "/"), state.value(Metric.DISK_TOTAL, "/"))
    title = Styled(str(state.target.label))
    reason = next((str(s.gpu_reason) for s in state.of(Source.HOST) if s.gpu_reason), "")
    if reason and _number(used) is None:
        title.append(f"  {reason}", "dim")
    return (
        title,
        _text(cpu, lambda v: f"{v:.0f} %", (HALF, FULL)), _bar(_number(cpu)),
        _text(used, size), _bar(_share(used, total)),
        _text(state.value(Metric.LOAD), lambda v: f"{v:.2f}"),
        Styled(DASH if disk is None else f"{disk:.0f} %", _style(disk, (HALF, FULL))),
        _text(state.value(Metric.NET_RECEIVED), lambda v: f"{size(v)}/s"),
        _text(state.value(Metric.NET_SENT), lambda v: f"{size(v)}/s"),
        _text(state.value(Metric.MONEY_PRICE), lambda v: f"{v:.2f}"),
    )  # fmt: skip


def _voices(state: HostState) -> Iterator[tuple[Styled, ...]]:
    for key, sample in state.samples.items():
        if key.source != Source.SERVER:
            continue
        figures = {m: sample.value(m, key.origin) for m in Metric if m.startswith("server.")}
        slots = _number(figures[Metric.SERVER_SLOTS])
        calls = _text(figures[Metric.SERVER_SESSIONS], lambda v: f"{v:.0f}")
        calls.append(f" of {slots:.0f}" if slots is not None else "")
        limits = (0.9 * TICK_LIMIT_MS, TICK_LIMIT_MS)
        yield (
            Styled(f"{key.origin} on {state.target.label}"), calls,
            _text(figures[Metric.SERVER_QUEUE], lambda v: f"{v:.0f}"),
            _text(figures[Metric.SERVER_TICK_P50], _ms, limits),
            _text(figures[Metric.SERVER_TICK_P99], _ms, limits),
            _text(figures[Metric.SERVER_LAG_P99], _ms),
            _text(figures[Metric.SERVER_ANSWER], _ms),
            _text(figures[Metric.SERVER_UPTIME], lambda v: f"{v / 3600:.1f} h"),
        )  # fmt: skip


def _table(heads: Sequence[str], rows: Iterable[Sequence[Styled]], *, wide: bool) -> Table:
    """Return a table; in a narrow terminal without the columns that only please the eye."""
    shown = [
        number for number, head in enumerate(heads) if wide or head not in {BAR_HEAD, WIDE_HEAD}
    ]
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, header_style="bold")
    for number in shown:
        table.add_column(
            heads[number],
            no_wrap=True,
            justify="left" if number == 0 or heads[number] in {BAR_HEAD, WIDE_HEAD} else "right",
            min_width=FIRST_WIDTH if number == 0 else None,
            ratio=1 if number == 0 else None,
        )
    for row in rows:
        table.add_row(*(row[number] for number in shown))
    return table


def _spark(monitor: Monitor, host: str, index: str) -> Styled:
    values = monitor.series(host, Metric.GPU_USE, index).mean[-60:]
    step = max(1, len(values) // SPARK_POINTS)
    picked = values[::step][-SPARK_POINTS:]
    marks = (
        " " if value != value else SPARK[min(len(SPARK) - 1, int(value / 100 * len(SPARK)))]
        for value in picked
    )
    return Styled("".join(marks), "green")


def _text(
    value: Value | None, show: Callable[[float], str], limits: tuple[float, float] | None = None
) -> Styled:
    number = _number(value)
    if number is None:
        return Styled(DASH, "dim")
    return Styled(show(number), _style(number, limits))


def _style(number: float | None, limits: tuple[float, float] | None) -> str:
    if number is None or limits is None:
        return ""
    return "red" if number >= limits[1] else "yellow" if number >= limits[0] else "green"


def _bar(percent: float | None) -> Styled:
    if percent is None:
        return Styled(" " * BAR)
    filled = round(min(100.0, max(0.0, percent)) / 100 * BAR)
    text = Styled("█" * filled, _style(percent, (HALF, FULL)))
    text.append("░" * (BAR - filled), "dim")
    return text


def _ms(value: float) -> str:
    return f"{value:.0f} ms"


def _number(value: Value | None) -> float | None:
    return None if value is None or isinstance(value, Absent) else value


def _share(used: Value | None, total: Value | None) -> float | None:
    part, whole = _number(used), _number(total)
    return None if part is None or not whole else 100 * part / whole
