"""The picture of `personadesk top`: never larger than the terminal, and what keys do to it."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from personadesk.cli.top import View, picture
from personadesk.cli.top_parts import bar, graph
from personadesk.domain.sample import Gpu, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.monitor.ranges import of_values
from personadesk.monitor.state import HostState
from personadesk.monitor.targets import Target
from personadesk.store.history import GroupKey


def _monitor(hosts: int, cards: int) -> SimpleNamespace:
    """Machines whose later cards are busier and cooler."""
    states = {}
    for host in range(hosts):
        name = f"box-{host}"
        state = HostState(Target(name, T("{name}", name=name)))
        readings = [
            Reading(metric, str(card), value)
            for card in range(cards)
            for metric, value in (
                (Metric.GPU_USE, 10.0 * card), (Metric.GPU_TEMPERATURE, 80.0 - card),
                (Metric.GPU_MEMORY_USED, 2e10), (Metric.GPU_MEMORY_TOTAL, 8e10),
                (Metric.GPU_THROTTLE_REASONS, 32.0), (Metric.GPU_PCIE_GENERATION, 4.0),
                (Metric.GPU_PCIE_WIDTH, 16.0), (Metric.GPU_CLOCK, 1980.0),
            )
        ]  # fmt: skip
        readings.append(Reading(Metric.CPU_USE, "", 50.0))
        gpus = tuple(Gpu(str(card), f"u{card}", "NVIDIA L40S") for card in range(cards))
        state.take(GroupKey(name, "host"), Sample(1.0, Source.HOST, tuple(readings), gpus))
        states[name] = state
    return SimpleNamespace(
        hosts=states,
        alarms=SimpleNamespace(active=()),
        series=lambda *_: of_values(np.arange(90.0), np.linspace(0, 100, 90)),
    )


def _lines(monitor: SimpleNamespace, width: int, height: int, view: View | None = None):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(picture(monitor, width, height, view or View()))
    return console.file.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50), (40, 12)])
@pytest.mark.parametrize(("hosts", "cards"), [(1, 0), (1, 1), (1, 4), (2, 8), (30, 8)])
def test_it_fits_whatever_there_is_to_show(hosts: int, cards: int, width: int, height: int):
    lines = _lines(_monitor(hosts, cards), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert lines[-1].startswith("q end")
    assert any("box-0" in line for line in lines)


def test_a_wide_terminal_shows_graphs_and_what_holds_a_card_back():
    lines = _lines(_monitor(1, 2), 160, 50)
    assert sum("█" in line for line in lines) > 5
    assert any("4 x16" in line and "heat" in line for line in lines)


def test_keys_sort_and_scroll_and_stand_still_and_end_it():
    monitor, view = _monitor(1, 30), View()
    first = _lines(monitor, 80, 24, view)
    assert any("GPU 1–" in line and "of 30" in line for line in first)
    assert not view.press(b"\x1b[B")
    assert any("GPU 2–" in line for line in _lines(monitor, 80, 24, view))
    assert not view.press(b"\x1b[A")
    assert not view.press(b"\x1b[A")
    assert not view.press(b"s")
    cards = [line for line in _lines(monitor, 80, 24, view) if "L40S" in line]
    assert "box-0 29" in cards[0]
    assert not view.press(b"p")
    assert any("p go on" in line for line in _lines(monitor, 80, 24, view))
    assert view.press(b"q")
    assert view.press(b"\x1b")


def test_the_end_of_a_list_is_not_scrolled_past():
    view = View(offset=999)
    lines = _lines(_monitor(1, 30), 80, 24, view)
    assert any("box-0 29" in line for line in lines)


def test_a_graph_has_its_newest_at_the_right_and_gaps_at_the_foot():
    lines = [line.plain for line in graph(np.array([np.nan, 50.0, 100.0]), 4, 2)]
    assert lines == ["   █", "··██"]


def test_a_bar_is_as_long_as_it_is_full():
    assert bar(50.0, 12, "50%").plain == "[|||||  50%]"
    assert bar(None, 12, "–").plain == "[         –]"
    assert bar(400.0, 8).plain == "[||||||]"
