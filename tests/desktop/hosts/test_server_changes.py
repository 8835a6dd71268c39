"""What lies between two pages of a server: how ticks were spread, and how many frames were passed over."""

from __future__ import annotations

import pytest

from personadesk.domain.sample import Metric
from personadesk.hosts import exposition
from personadesk.hosts.proc_figures import FIRST
from personadesk.hosts.server_changes import NO_TICK
from personadesk.hosts.server_figures import ServerFigures
from personaplex_server.metrics import Histogram, Page


class Server:
    """Writes pages as the real one does."""

    def __init__(self) -> None:
        self.ticks, self.lags = Histogram(), Histogram()
        self.dropped = 0
        self.uptime = 10.0
        self.figures = ServerFigures()

    def look(self):
        page = Page()
        page.add("info", "gauge", "", 1, engine="e", instance="i")
        page.add("uptime_seconds", "gauge", "", self.uptime)
        page.add("sessions", "gauge", "", 1, engine="e")
        page.add("slots", "gauge", "", 4, engine="e")
        page.add("dropped_frames_total", "counter", "", self.dropped, engine="e")
        page.add_histogram("tick_seconds", "", self.ticks, engine="e")
        page.add_histogram("lag_seconds", "", self.lags, engine="e")
        readings, _ = self.figures.take(exposition.parse(page.text()))
        return {each.metric: each.value for each in readings}


def test_quantiles_are_of_the_time_since_the_last_page():
    server = Server()
    for _ in range(1000):
        server.ticks.observe(0.5)
    assert server.look()[Metric.SERVER_TICK_P99] == FIRST
    for _ in range(98):
        server.ticks.observe(0.045)
    for _ in range(2):
        server.ticks.observe(0.12)
    found = server.look()
    assert 40 < found[Metric.SERVER_TICK_P50] < 50
    assert 100 < found[Metric.SERVER_TICK_P99] < 150
    assert found[Metric.SERVER_LAG_P99] == NO_TICK
    assert server.look()[Metric.SERVER_TICK_P99] == NO_TICK


def test_beyond_the_last_bound_the_last_bound_is_told():
    server = Server()
    server.look()
    server.ticks.observe(7.0)
    assert server.look()[Metric.SERVER_TICK_P99] == 1000.0


def test_drops_are_a_rate_by_the_servers_own_clock():
    server = Server()
    assert server.look()[Metric.SERVER_DROPPED] == FIRST
    server.dropped, server.uptime = 6, 12.0
    assert server.look()[Metric.SERVER_DROPPED] == pytest.approx(3.0)


def test_after_a_restart_nothing_is_told_of_the_time_before():
    server = Server()
    server.ticks.observe(0.01)
    server.look()
    server.uptime, server.ticks, server.dropped = 1.0, Histogram(), 0
    assert server.look()[Metric.SERVER_TICK_P99] == FIRST
    server.ticks.observe(0.01)
    server.uptime = 2.0
    assert server.look()[Metric.SERVER_TICK_P99] < 11
    assert server.look()[Metric.SERVER_SLOTS] == 4
