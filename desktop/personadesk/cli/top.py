"""`personadesk top`: machines, GPUs, voices and money in the terminal, live and in colours; q or Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text as Styled

from personadesk.app import open_services
from personadesk.cli.metrics import settle, watched
from personadesk.cli.running import run_command
from personadesk.cli.top_parts import BUSY, PERCENT, bar, graph, number, share, style, table, text
from personadesk.domain.alarm import Severity
from personadesk.domain.quantity import size
from personadesk.domain.sample import DASH, Metric, Source
from personadesk.domain.throttle import reasons
from personadesk.language import mark, show, tr, trn
from personadesk.language import number as amount

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from personadesk.cli.running import Stop
    from personadesk.monitor.monitor import Monitor
    from personadesk.monitor.state import HostState

WIDE = 120
"""Columns of a terminal that has room for everything."""
GRAPH_LINES = 6
MOST_GRAPHS = 4
"""GPUs that get graphs of their own; more are rows alone."""
LEAST_GRAPH = 16
"""Columns of a graph."""
TICK_LIMIT_MS = 80.0
WARM, HOT = 75.0, 85.0
ALARMS_SHOWN = 3
KEYS = mark("q end   s sort: {order}   p {pause}   ↑ ↓ scroll")


@dataclass(slots=True)
class View:
    """What the user has chosen.

    Attributes:
        order: By what cards are sorted, an index of `ORDERS`.
        offset: Rows that are scrolled past.
        paused: Whether the picture stands still.
    """

    order: int = 0
    offset: int = 0
    paused: bool = False

    def press(self, keys: bytes) -> bool:
        """Take what was pressed; returns whether that ends it."""
        if keys in {b"q", b"Q", b"\x1b"}:
            return True
        if keys in {b"s", b"S"}:
            self.order = (self.order + 1) % len(ORDERS)
        elif keys in {b"p", b"P", b" "}:
            self.paused = not self.paused
        elif keys in {b"\x1b[A", b"\x1bOA", b"k"}:
            self.offset = max(0, self.offset - 1)
        elif keys in {b"\x1b[B", b"\x1bOB", b"j"}:
            self.offset += 1
        return False


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU in the list."""

    host: str
    state: HostState
    index: str

    def figure(self, metric: Metric) -> float | None:
        """Return a figure, None when there is none."""
        return number(self.state.value(metric, self.index))


ORDERS: tuple[tuple[str, Callable[[Card], float] | None], ...] = (
    (mark("machine"), None),
    (mark("use"), lambda card: card.figure(Metric.GPU_USE) or 0.0),
    (mark("memory"), lambda card: card.figure(Metric.GPU_MEMORY_USED) or 0.0),
    (mark("temperature"), lambda card: card.figure(Metric.GPU_TEMPERATURE) or 0.0),
)


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
            view = View()
            pressed = asyncio.Event()
            with (
                _keys_go_to(view, stop, pressed),
                Live(console=console, screen=True, auto_refresh=False) as live,
            ):
                while stop.signal is None:
                    if not view.paused or pressed.is_set():
                        live.update(
                            picture(monitor, console.width, console.height, view), refresh=True
                        )
                    pressed.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(max(0.1, arguments.every)):
                            await pressed.wait()
    finally:
        await services.close()
    return 0


@contextlib.contextmanager
def _keys_go_to(view: View, stop: Stop, pressed: asyncio.Event) -> Iterator[None]:
    """Let keys work, where there is a terminal of the Unix kind; elsewhere Ctrl-C ends it."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import os
    import termios
    import tty

    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        if view.press(os.read(keyboard, 16)):
            stop.tell(0)
        pressed.set()

    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, read)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def picture(
    monitor: Monitor, width: int, height: int | None = None, view: View | None = None
) -> RenderableType:
    """Return all of it.

    Args:
        monitor: Has the figures.
        width: Columns; a narrow terminal gets fewer figures.
        height: Lines, so that lists are cut and scrolled; None for as many as it takes.
        view: What the user chose; None for the usual, without the foot that tells the keys.
    """
    chosen = view or View()
    states = monitor.hosts
    cards = _sorted(
        [Card(name, s, i) for name, s in states.items() for i in sorted(s.gpus, key=int)], chosen
    )
    voices = [row for state in states.values() for row in _voices(state, width)]
    machines = [_machine(state, width) for state in states.values()]
    parts: list[RenderableType] = [_head(monitor), *_alarms(monitor)]
    lists = [len(each) + 1 for each in (cards, voices, machines) if each]
    left = None if height is None else height - len(parts) - (view is not None)
    graphs = 0 < len(cards) <= MOST_GRAPHS and _graph_width(width, len(cards)) >= LEAST_GRAPH
    if left is not None and graphs and left - sum(lists) >= GRAPH_LINES + 1:
        lines = min(2 * GRAPH_LINES, left - sum(lists) - 1)
        parts.append(_graphs(monitor, cards, width, lines))
        left -= lines + 1
    rooms = _rooms([len(cards), len(voices), len(machines)], left)
    wide = width >= WIDE
    heads: tuple[tuple[str, ...], ...] = (
        (
            "GPU",
            tr("Use"),
            tr("Memory"),
            tr("Temp"),
            tr("Power"),
            *((tr("Clock"), "PCIe") if wide else ()),
        ),
        (
            tr("Voice"),
            tr("Calls"),
            tr("Queue"),
            "p50",
            "p99",
            *((tr("Lag p99"), tr("Answers"), tr("Up")) if wide else ()),
        ),
        (
            tr("Machine"),
            "CPU",
            tr("Memory"),
            tr("Load"),
            tr("Disk"),
            *((tr("In"), tr("Out")) if wide else ()),
            tr("$/h"),
        ),
    )
    rows = ([_card(each, width) for each in cards], voices, machines)
    for titles, each, room in zip(heads, rows, rooms, strict=True):
        if each:
            parts += _cut(titles, each, room, chosen)
    if view is not None:
        parts.append(_foot(chosen))
    return Group(*parts)


def _sorted(cards: list[Card], view: View) -> list[Card]:
    by = ORDERS[view.order][1]
    return cards if by is None else sorted(cards, key=by, reverse=True)


def _rooms(counts: Sequence[int], lines: int | None) -> list[int]:
    """Share lines among lists, each with a line of heads: who needs less leaves the rest to the others."""
    if lines is None:
        return list(counts)
    rooms = [0] * len(counts)
    waiting = sorted((count, number) for number, count in enumerate(counts) if count)
    left = lines - len(waiting)
    for position, (count, index) in enumerate(waiting):
        rooms[index] = max(1, min(count, left // (len(waiting) - position)))
        left -= rooms[index]
    return rooms


def _cut(
    heads: Sequence[str], rows: Sequence[Sequence[Styled]], room: int, view: View
) -> list[RenderableType]:
    if len(rows) <= room:
        return [table(heads, rows, 14)]
    first = min(view.offset, len(rows) - room)
    shown = tr(
        "{title} {first}–{last} of {count}",
        title=heads[0], first=first + 1, last=first + room, count=len(rows),
    )  # fmt: skip
    return [table((shown, *heads[1:]), rows[first : first + room], 14)]


def _head(monitor: Monitor) -> Styled:
    states = monitor.hosts.values()
    prices = [number(state.value(Metric.MONEY_PRICE)) for state in states]
    price = sum(each for each in prices if each is not None)
    spent = sum(each for s in states if (each := number(s.value(Metric.MONEY_SPENT))) is not None)
    gpus = sum(len(state.gpus) for state in states)
    head = Styled.assemble(
        ("PersonaDesk top", "bold cyan"), f"  {time.strftime('%H:%M:%S')}  ",
        trn("{n} machine", "{n} machines", len(states)), ", ", trn("{n} GPU", "{n} GPUs", gpus),
        no_wrap=True,
    )  # fmt: skip
    if any(each is not None for each in prices):
        told = tr("${price:.2f}/h, ${spent:.2f} so far", price=float(price), spent=float(spent))
        head.append(f"  {told}", "yellow")
    return head


def _alarms(monitor: Monitor) -> list[Styled]:
    styles = {Severity.ERROR: "bold white on red", Severity.WARNING: "yellow"}
    return [
        Styled(
            f"! {show(alarm.text)}", styles[alarm.rule.severity], no_wrap=True, overflow="ellipsis"
        )
        for alarm in monitor.alarms.active[-ALARMS_SHOWN:]
    ]


def _foot(view: View) -> Styled:
    pause = tr("go on") if view.paused else tr("pause")
    words = tr(KEYS, order=tr(ORDERS[view.order][0]), pause=pause)
    return Styled(words, "black on white" if view.paused else "dim", no_wrap=True)


def _graphs(monitor: Monitor, cards: Sequence[Card], width: int, lines: int) -> RenderableType:
    """Return a graph a card: its use as blocks over the last minutes."""
    each = _graph_width(width, len(cards))
    grid = Table.grid(padding=(0, 2, 0, 0))
    drawn = []
    for card in cards:
        use = monitor.series(card.host, Metric.GPU_USE, card.index).mean
        label = tr("{machine} {index}, use", machine=card.state.target.label, index=card.index)
        head = Styled(label, "bold", no_wrap=True, overflow="ellipsis")
        drawn.append(Group(head, *graph(use, each, lines, BUSY)))
        grid.add_column(width=each)
    grid.add_row(*drawn)
    return grid


def _graph_width(width: int, count: int) -> int:
    return (width - 2 * count) // count


def _card(card: Card, width: int) -> tuple[Styled, ...]:
    state, index = card.state, card.index
    gpu = state.gpus[index]
    wide = width >= WIDE
    room = 30 if wide else 13
    title = Styled(f"{show(state.target.label)} {index}  {gpu.name.removeprefix('NVIDIA ')}")
    if index in state.lost:
        title = Styled.assemble((f"{tr('GONE')}  {title.plain}", "bold white on red"))
    use = state.value(Metric.GPU_USE, index)
    used, total = (
        state.value(metric, index) for metric in (Metric.GPU_MEMORY_USED, Metric.GPU_MEMORY_TOTAL)
    )
    known, whole = number(used), number(total)
    filled = DASH if known is None else show(size(known))
    if wide and known is not None and whole is not None:
        filled = tr("{used} of {total}", used=filled, total=size(whole))
    busy = number(use)
    power = text(state.value(Metric.GPU_POWER, index), lambda v: f"{v:.0f}")
    limit = card.figure(Metric.GPU_POWER_LIMIT)
    power.append(f"/{limit:.0f} W" if limit is not None else " W")
    row = (
        title,
        bar(busy, room, DASH if busy is None else f"{busy:.0f}%", BUSY),
        bar(share(used, total), room, filled),
        text(state.value(Metric.GPU_TEMPERATURE, index), lambda v: f"{v:.0f}°C", (WARM, HOT)),
        power,
    )
    return (*row, _clock(card), _pcie(card)) if wide else row


def _clock(card: Card) -> Styled:
    clock = text(card.state.value(Metric.GPU_CLOCK, card.index), lambda v: f"{v:.0f} MHz")
    held = reasons(card.figure(Metric.GPU_THROTTLE_REASONS) or 0.0)
    if held:
        clock.stylize("yellow")
        clock.append(f" {show(held[0]).lower()}", "yellow")
    return clock


def _pcie(card: Card) -> Styled:
    generation, lanes = (
        card.figure(metric) for metric in (Metric.GPU_PCIE_GENERATION, Metric.GPU_PCIE_WIDTH)
    )
    if generation is None or lanes is None:
        return Styled(DASH, "dim")
    return Styled(f"{generation:.0f} x{lanes:.0f}")


def _machine(state: HostState, width: int) -> tuple[Styled, ...]:
    wide = width >= WIDE
    room = 30 if wide else 13
    cpu = number(state.value(Metric.CPU_USE))
    used, total = state.value(Metric.MEMORY_USED), state.value(Metric.MEMORY_TOTAL)
    known = number(used)
    disk = share(state.value(Metric.DISK_USED, "/"), state.value(Metric.DISK_TOTAL, "/"))
    title = Styled(show(state.target.label))
    reason = next((show(s.gpu_reason) for s in state.of(Source.HOST) if s.gpu_reason), "")
    if reason and known is None:
        title.append(f"  {reason}", "dim")
    net = (
        text(state.value(metric), lambda v: f"{show(size(v))}/s")
        for metric in (Metric.NET_RECEIVED, Metric.NET_SENT)
    )
    return (
        title,
        bar(cpu, room, DASH if cpu is None else f"{cpu:.0f}%"),
        bar(share(used, total), room, DASH if known is None else show(size(known))),
        text(state.value(Metric.LOAD), lambda v: amount(v, ".2f")),
        Styled(DASH if disk is None else f"{disk:.0f}%", style(disk, PERCENT)),
        *(net if wide else ()),
        text(state.value(Metric.MONEY_PRICE), lambda v: amount(v, ".2f")),
    )


def _voices(state: HostState, width: int) -> Iterator[tuple[Styled, ...]]:
    limits = (0.9 * TICK_LIMIT_MS, TICK_LIMIT_MS)
    for key, sample in state.samples.items():
        if key.source != Source.SERVER:
            continue
        figures = {m: sample.value(m, key.origin) for m in Metric if m.startswith("server.")}
        slots = number(figures[Metric.SERVER_SLOTS])
        calls = text(figures[Metric.SERVER_SESSIONS], lambda v: f"{v:.0f}")
        calls.append(f" {tr('of {count:.0f}', count=float(slots))}" if slots is not None else "")
        row = (
            Styled(tr("{voice} on {machine}", voice=key.origin, machine=state.target.label)), calls,
            text(figures[Metric.SERVER_QUEUE], lambda v: f"{v:.0f}"),
            text(figures[Metric.SERVER_TICK_P50], _ms, limits),
            text(figures[Metric.SERVER_TICK_P99], _ms, limits),
        )  # fmt: skip
        more = (
            text(figures[Metric.SERVER_LAG_P99], _ms),
            text(figures[Metric.SERVER_ANSWER], _ms),
            text(
                figures[Metric.SERVER_UPTIME], lambda v: tr("{hours:.1f} h", hours=float(v / 3600))
            ),
        )
        yield (*row, *more) if width >= WIDE else row


def _ms(value: float) -> str:
    return f"{value:.0f} ms"
