"""A graph's picture in structure: the curve where it must be, a gap as a gap, the limit line, and its files."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication

from personadesk.ui.theme import Look, Role, theme
from personadesk.ui.widgets.time_chart import Curve, Mark, TimeChart

START = 1_700_000_000.0


@pytest.fixture
def chart(qtbot) -> TimeChart:
    made = TimeChart(
        "GPU use", "%", [Curve("", 0)], high=100.0, write=lambda v: f"{v:.0f}", limit=80.0
    )
    qtbot.addWidget(made)
    made.resize(420, 260)
    made.set_span(START, START + 100, live=True)
    made.show()
    qtbot.waitExposed(made)
    return made


def put(chart: TimeChart, values: np.ndarray) -> None:
    at = START + np.arange(len(values), dtype=float) * 100 / (len(values) - 1)
    chart.set_points(0, at, values, values, values)
    QApplication.processEvents()


def area(chart: TimeChart):
    """The plot's place in the chart's picture."""
    box = chart._box.sceneBoundingRect()
    corner = chart._plot.mapTo(chart, QPoint(0, 0))
    return box.translated(QPointF(corner))


def where(chart: TimeChart, at: float, value: float) -> QPoint:
    box = area(chart)
    x = box.left() + (at - START) / 100 * box.width()
    y = box.bottom() - value / chart.high * box.height()
    return QPointF(x, y).toPoint()


def near(image: QImage, point: QPoint, colour: QColor, reach: int = 2) -> bool:
    """Whether a pixel of about that colour lies within some pixels."""
    for dx in range(-reach, reach + 1):
        for dy in range(-reach, reach + 1):
            pixel = image.pixelColor(point.x() + dx, point.y() + dy)
            if all(
                abs(a - b) < 24
                for a, b in zip(pixel.getRgb()[:3], colour.getRgb()[:3], strict=True)
            ):
                return True
    return False


def test_the_curve_runs_where_its_values_are_in_each_look(chart, look: Look):
    put(chart, np.where(np.arange(101) < 50, 20.0, 60.0))
    image, colour = chart.grab().toImage(), theme().series(0)
    for at, value, there in ((25, 20, True), (75, 60, True), (25, 60, False), (75, 20, False)):
        assert near(image, where(chart, START + at, value), colour) is there, (look, at, value)


def test_a_gap_is_a_gap(chart):
    values = np.full(101, 50.0)
    values[40:60] = np.nan
    put(chart, values)
    image, colour = chart.grab().toImage(), theme().series(0)
    assert near(image, where(chart, START + 20, 50), colour)
    assert not near(image, where(chart, START + 50, 50), colour)
    assert near(image, where(chart, START + 80, 50), colour)
    assert chart.value_at(START + 50) is None
    assert chart.value_at(START + 20) == 50


def test_the_limit_is_drawn_and_no_peak_is_lost_in_a_bucket(chart):
    flat = np.full(50, 30.0)
    peak = flat.copy()
    peak[25] = 95.0
    at = START + np.arange(50) * 2.0
    chart.set_points(0, at, flat, flat, peak)
    QApplication.processEvents()
    image = chart.grab().toImage()
    assert near(image, where(chart, START + 51, 90), theme().series(0), 5)
    row = where(chart, START + 10, 80).y()
    box = area(chart)
    red = theme().colour(Role.ERR)
    hits = sum(
        near(image, QPoint(x, row), red, 1)
        for x in range(int(box.left()) + 2, int(box.right()) - 2)
    )
    assert hits > box.width() / 3
    assert len(chart.points()[0]) <= 600


def test_a_value_above_the_axis_makes_it_grow(chart):
    put(chart, np.full(11, 50.0))
    assert chart.high == 100
    put(chart, np.full(11, 250.0))
    assert chart.high > 250
    image = chart.grab().toImage()
    assert near(image, where(chart, START + 50, 250), theme().series(0))


def test_the_cursor_tells_the_values_under_it_and_what_happened_there(chart, qtbot):
    put(chart, np.arange(101.0))
    chart.set_marks([Mark(START + 40, "The voice server was restarted.")])
    heard = []
    chart.hovered.connect(heard.append)
    view = chart._plot.viewport()
    qtbot.mouseMove(view, view.mapFrom(chart, where(chart, START + 40, 50)))
    qtbot.waitUntil(lambda: bool(heard))
    assert heard[-1] == pytest.approx(START + 40, abs=1)
    chart.set_cursor(heard[-1])
    assert "40 %" in chart.accessibleName()
    assert chart._aside.text() == "The voice server was restarted."
    chart.set_cursor(None)
    assert "100 %" in chart.accessibleName()


def test_the_wheel_zooms_a_drag_moves_and_a_double_click_goes_back(chart, qtbot):
    zooms, moves, lives = [], [], []
    chart.zoomed.connect(lambda *each: zooms.append(each))
    chart.moved.connect(moves.append)
    chart.live_asked.connect(lambda: lives.append(True))
    view = chart._plot.viewport()
    place = view.mapFrom(chart, where(chart, START + 50, 50))
    wheel = QWheelEvent(
        QPointF(place), QPointF(view.mapToGlobal(place)), QPoint(), QPoint(0, 120),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view, wheel)
    assert zooms[0][0] < 1
    assert zooms[0][1] == pytest.approx(START + 50, abs=1)
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=place)
    assert lives == [True]


def test_it_leaves_as_png_svg_and_csv(chart, tmp_path):
    put(chart, np.array([10.0, np.nan, 30.0]))
    assert chart.save_png(str(tmp_path / "a.png"))
    image = QImage(str(tmp_path / "a.png"))
    assert image.width() == 2 * chart.width()
    assert chart.save_svg(str(tmp_path / "a.svg"))
    svg = (tmp_path / "a.svg").read_text()
    assert svg.count("<path") + svg.count("<polyline") > 1
    assert theme().series(0).name() in svg
    lines = chart.csv().splitlines()
    assert lines[0] == "Time,GPU use (%)"
    assert [line.split(",")[1] for line in lines[1:]] == ["10", "", "30"]
    assert not chart.save_png(str(tmp_path / "none" / "a.png"))
    assert not chart.save_svg(str(tmp_path / "none" / "a.svg"))
