"""The graphs of a machine by real clicks: one cursor over all, ranges from the history, pause and back to live."""

from __future__ import annotations

import pyqtgraph  # noqa: F401 - loaded before, as it is in a window that showed graphs once
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QScrollArea

import monitor_samples
from monitor_samples import NOW, Machine, SampleFeed
from monitor_scenes import watch_of
from personadesk.domain.event import EventKind
from personadesk.domain.sample import Absent, Metric, Reading, Sample, Source
from personadesk.domain.text import T
from personadesk.store.history import GroupKey
from personadesk.ui.messages import bus
from personadesk.ui.moments import since
from personadesk.ui.monitor.chart_menu import save_chart, show_table
from personadesk.ui.monitor.figures import PANELS
from personadesk.ui.monitor.graphs import GraphsPane
from personadesk.ui.monitor.value_table import ValueTable

HOST = "front-desk"
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def feed() -> SampleFeed:
    made = SampleFeed({HOST: Machine(("A10", "A10")), "other": Machine()})
    made.happen(HOST, EventKind.RESTARTED, 300, "The voice server was restarted.")
    return made


@pytest.fixture
def pane(qtbot, feed) -> GraphsPane:
    watch = watch_of(feed)
    made = GraphsPane(watch)
    watch.setParent(made)
    qtbot.addWidget(made)
    made.bar.setParent(made)
    made.resize(1200, 500)
    made.show_host(HOST)
    made.show()
    qtbot.waitUntil(lambda: len(made.charts) == len(PANELS))
    made.bar.show()
    settle(qtbot, made)
    return made


def settle(qtbot, pane: GraphsPane) -> None:
    """Let every graph have its turn."""
    qtbot.waitUntil(lambda: not pane._turns._waiting and len(pane.charts[0].points()[0]) > 0)


def press(qtbot, pane: GraphsPane, text: str) -> None:
    button = next(b for b in pane.bar.findChildren(QPushButton) if b.text() == text)
    qtbot.mouseClick(button, LEFT)
    settle(qtbot, pane)


def test_eight_graphs_show_what_was_measured(pane):
    use, memory, frame, calls, _power, _hot, _net, cost = pane.charts[:8]
    assert use.span == (NOW - 900, NOW)
    assert 20 < use.value_at(NOW - 10) < 100
    assert memory.value_at(NOW - 10) == pytest.approx(18.1, abs=0.4)
    assert frame.value_at(NOW - 10, 1) == pytest.approx(47, abs=9)
    assert calls.value_at(NOW) == 1
    assert cost.value_at(NOW) == pytest.approx(3.86, abs=0.01)
    assert all(len(chart.points(0)[0]) <= 600 for chart in pane.charts)
    assert [chart.isHidden() for chart in pane.charts[:8]] == [False] * 8
    assert len(use._marks) == 1


def test_another_machine_shows_its_own_whole_at_once(qtbot, pane):
    pane.show_host("other")
    settle(qtbot, pane)
    assert pane.charts[1]._after.text() == "of 24.0 GB"


def test_it_looks_only_while_it_can_be_seen(pane, feed):
    assert feed.looks == {HOST: 1}
    pane.show_host("other")
    assert feed.looks == {HOST: 0, "other": 1}
    pane.hide()
    assert feed.looks == {HOST: 0, "other": 0}


def test_one_cursor_over_all_graphs(pane):
    pane.charts[0].hovered.emit(NOW - 100)
    assert {chart._cursor for chart in pane.charts} == {NOW - 100}
    pane.charts[0].hovered.emit(None)
    assert {chart._cursor for chart in pane.charts} == {None}


def test_a_long_range_is_read_from_the_history(qtbot, pane, feed):
    assert not feed.asked
    press(qtbot, pane, "30 days")
    assert feed.asked[-1] == (NOW - 30 * 86400, NOW)
    at, _ = pane.charts[0].points()
    assert at[0] < NOW - 29 * 86400
    assert len(at) <= 600


def test_a_click_on_pause_holds_the_picture_and_follow_goes_on(qtbot, pane, feed):
    press(qtbot, pane, "Pause")
    assert not pane.is_live
    before = pane.charts[0].span
    feed.tick(5)
    pane._follow()
    assert pane.charts[0].span == before
    press(qtbot, pane, "Follow")
    assert pane.is_live
    assert pane.charts[0].span[1] == feed.now


def test_zooming_keeps_the_moment_and_a_double_click_goes_back_to_now(qtbot, pane):
    pane.charts[0].zoomed.emit(0.5, NOW - 450)
    assert pane.charts[0].span == (NOW - 675, NOW - 225)
    assert not pane.is_live
    pane.charts[3].live_asked.emit()
    assert pane.is_live
    assert pane.charts[0].span == (NOW - 900, NOW)


def test_each_gpu_has_its_own_graphs(qtbot, pane):
    first = pane.charts[0].value_at(NOW)
    assert pane._gpus.count() == 2
    pane._gpus.setCurrentIndex(1)
    settle(qtbot, pane)
    assert pane.charts[0].value_at(NOW) != first


@pytest.mark.logs_warnings
def test_values_show_as_a_table_and_files_that_cannot_be_written_are_told(pane, tmp_path):
    window = show_table(pane, pane.charts[0])
    assert isinstance(window, ValueTable)
    model = window.table.model()
    assert model.columnCount() == 2
    assert model.rowCount() > 100
    assert model.index(0, 0).data() > model.index(1, 0).data()
    for kind in ("csv", "svg", "png"):
        assert save_chart(pane.charts[0], str(tmp_path / f"graph.{kind}"))
        assert (tmp_path / f"graph.{kind}").stat().st_size > 500
    assert not bus().messages
    assert not save_chart(pane.charts[0], str(tmp_path / "none" / "graph.csv"))
    assert "cannot be written" in str(bus().messages[0])


def test_a_machine_that_nothing_measures_says_so(pane):
    pane.show_host("unheard-of")
    assert pane._waiting.isVisible()
    assert "Nothing is measured" in pane._waiting.text()
    assert not pane._field.isVisible()


def test_sample_data_has_gaps():
    feed = monitor_samples.studio()
    values = feed.series("front-desk-1", Metric.GPU_USE, "0").mean
    assert 55 <= sum(value != value for value in values) <= 65


def test_a_graph_says_since_when_and_why_there_is_nothing(qtbot, pane, feed):
    away = Absent(T("The tunnel is down."))
    state = feed.hosts[HOST]
    state.take(
        GroupKey(HOST, Source.HOST), Sample(NOW, Source.HOST, (Reading(Metric.GPU_USE, "0", away),))
    )
    feed.miss(HOST, 60, None, "The tunnel is down.")
    pane.go_live()
    settle(qtbot, pane)
    said = f"none since {since(NOW - 60, NOW)}: The tunnel is down."
    assert pane.charts[0]._aside.text() == said
    feed.machines[HOST] = Machine(("A10",), gap=(NOW - 60, NOW - 30))
    feed.holes[:] = []
    feed.miss(HOST, 60, 30, "The tunnel was down.")
    feed._put(HOST, feed.machines[HOST])
    pane.go_live()
    settle(qtbot, pane)
    assert pane.charts[0]._aside.text() == f"gap at {since(NOW - 60, NOW)}: The tunnel was down."
    pane.charts[0].hovered.emit(NOW - 45)
    assert "The tunnel was down." in pane.charts[0]._aside.text()
    assert "The tunnel was down." not in pane.charts[2]._aside.text(), "the voice server answered"


def test_what_else_is_known_stands_beside_the_figure(pane):
    titles = {chart.title: chart for chart in pane.charts}
    cost = titles["Cost"]
    assert cost.limit == 10.0
    assert cost.high > 10.0
    assert cost._aside.text() == "limit 10.00"
    assert cost._limit_line.isVisible()
    assert titles["GPU memory"]._aside.text() == "model 14.3 · calls 1.6"
    assert titles["PCIe"].value_at(NOW) == pytest.approx(42, abs=10)


def test_what_nobody_tells_takes_no_place_and_throttling_is_shaded(qtbot, pane, feed):
    clock = {chart.title: chart for chart in pane.charts}["Clock"]
    assert clock.isHidden()
    feed.tell_clock(HOST, held=True)
    pane._draw()
    qtbot.waitUntil(lambda: bool(clock.shade_words()))
    assert clock._aside.text() == "held back: Its power limit, Heat"
    held = next(at for at in range(int(NOW) - 900, int(NOW)) if at % 600 > 560)
    pane.charts[0].hovered.emit(float(held))
    assert clock._aside.text() == "Its power limit, Heat"
    pane.charts[0].hovered.emit(held - 300.0)
    assert "Heat" not in clock._aside.text()


def test_only_graphs_in_sight_are_drawn(qtbot, pane, feed):
    area = QScrollArea()
    qtbot.addWidget(area)
    pane.setMinimumHeight(900)
    area.setWidgetResizable(True)
    area.setWidget(pane)
    area.resize(1250, 150)
    area.show()
    qtbot.waitUntil(lambda: pane.isVisible() and pane.charts[4].visibleRegion().isEmpty())
    drawn = []
    for number, chart in enumerate(pane.charts):
        chart.set_points = lambda *_each, number=number: drawn.append(number)
    pane._turns.finish()
    drawn.clear()
    pane._draw()
    qtbot.waitUntil(lambda: 3 in drawn and not pane._turns._waiting)
    assert set(drawn) == {0, 1, 2, 3}
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    last = max(number for number, chart in enumerate(pane.charts) if not chart.isHidden())
    qtbot.waitUntil(lambda: last in drawn)
    area.takeWidget()
