"""Live cells in the table of machines: number and curve, of rows in sight alone."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, QRectF, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtTest import QAbstractItemModelTester

import rented_samples as samples
from monitor_samples import Machine, SampleFeed
from monitor_scenes import watch_of
from personadesk.domain.sample import Metric
from personadesk.ui.instances.page import InstancesPage
from personadesk.ui.instances.rows import MEASURED, Column
from personadesk.ui.theme import theme
from personadesk.ui.widgets.data_table import CELL_ROLE
from personadesk.ui.widgets.spark import SPARK_ROLE, Spark, paint_spark
from rented_scenes import rented_of

HOST = samples.FRONT_DESK.tag


def page_of(qtbot, feed: SampleFeed, view=samples.VIEW) -> InstancesPage:
    watch = watch_of(feed)
    page = InstancesPage(rented_of(view, samples.STUDIO), watch)
    watch.setParent(page)
    qtbot.addWidget(page)
    page.resize(1300, 700)
    page.show()
    qtbot.waitExposed(page)
    return page


def index_of(page: InstancesPage, host: str, column: Column) -> QModelIndex:
    place = next(n for n, row in enumerate(page.model.shown()) if row.machine.tag == host)
    return page.model.index(place, page.model.columns.index(column))


def test_a_machine_shows_its_figures_with_their_curves(qtbot):
    page = page_of(qtbot, SampleFeed({HOST: Machine(("A10",))}))
    QAbstractItemModelTester(page.model, QAbstractItemModelTester.FailureReportingMode.Fatal, page)
    for column, unit in ((Column.USE, " %"), (Column.MEMORY, " GB"), (Column.FRAME, " ms")):
        index = index_of(page, HOST, column)
        assert index.data().endswith(unit)
        spark = index.data(SPARK_ROLE)
        assert isinstance(spark, Spark)
        assert 30 < len(spark.at) <= 61
        assert -0.02 < spark.at[0] < spark.at[-1] <= 1
    assert index_of(page, HOST, Column.CALLS).data() == "1 of 4"
    other = index_of(page, samples.SUPPORT.tag, Column.USE)
    assert other.data() == "–"
    assert other.data(SPARK_ROLE) is None


def test_of_several_gpus_the_busiest_stands_for_its_machine(qtbot):
    feed = SampleFeed({HOST: Machine(("A10", "A10", "A10"))})
    page = page_of(qtbot, feed)
    uses = {n: feed.latest(HOST, Metric.GPU_USE, n) for n in ("0", "1", "2")}
    index = index_of(page, HOST, Column.USE)
    assert index.data() == f"{max(uses.values()):.0f} %"
    assert index.data(CELL_ROLE).tip == f"GPU {max(uses, key=uses.get)}, the busiest of 3"


def test_only_machines_in_sight_are_looked_at_and_told(qtbot):
    view = samples.many(300)
    tags = [machine.tag for machine in view.machines if machine.tag]
    feed = SampleFeed({tag: Machine() for tag in tags})
    page = page_of(qtbot, feed, view)
    looked = {host for host, count in feed.looks.items() if count}
    assert 5 < len(looked) < 30
    told = []
    page.model.dataChanged.connect(lambda a, b, _roles: told.append((a.row(), b.row(), a.column())))
    feed.tick()
    page._sight.follow()
    assert told[-1][1] - told[-1][0] < 30
    assert page.model.columns[told[-1][2]] in MEASURED
    page.table.scrollToBottom()
    after = {host for host, count in feed.looks.items() if count}
    assert after
    assert not after & looked
    page.hide()
    assert not any(feed.looks.values())


def test_they_sort_and_unknown_comes_last(qtbot):
    feed = SampleFeed({HOST: Machine(factor={Metric.GPU_USE: 0.2}), samples.SUPPORT.tag: Machine()})
    page = page_of(qtbot, feed)
    use = page.model.columns.index(Column.USE)
    page.model.sort(use, Qt.SortOrder.DescendingOrder)
    assert [row.machine.tag for row in page.model.shown()][:2] == [samples.SUPPORT.tag, HOST]
    page.model.sort(use, Qt.SortOrder.AscendingOrder)
    assert [row.machine.tag for row in page.model.shown()][:2] == [HOST, samples.SUPPORT.tag]


@pytest.mark.parametrize("gap", [False, True])
def test_a_curve_is_drawn_where_its_values_are_with_gaps_as_gaps(qapp, gap):

    at = np.linspace(0, 1, 50)
    values = np.full(50, 50.0)
    if gap:
        values[20:30] = np.nan
    image = QImage(100, 40, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.black)
    painter = QPainter(image)
    paint_spark(painter, QRectF(0, 0, 99, 39), Spark(at, values, 100.0, 0))
    painter.end()
    colour = theme().series(0)

    def drawn(x: int) -> bool:
        return any(image.pixelColor(x, y) == colour for y in range(17, 23))

    assert drawn(10)
    assert drawn(90)
    assert drawn(50) is not gap


def test_what_happened_is_a_dotted_line_across_a_small_curve(qapp):
    def painted(*marks: tuple[float, bool]) -> QImage:
        image = QImage(100, 40, QImage.Format.Format_RGB32)
        image.fill(Qt.GlobalColor.white)
        painter = QPainter(image)
        flat = np.array([0.0, 1.0]), np.array([0.0, 0.0])
        paint_spark(painter, QRectF(0, 0, 99, 39), Spark(*flat, 100.0, 0, marks=marks))
        painter.end()
        return image

    plain, marked, bad = painted(), painted((0.5, False)), painted((0.5, True))
    changed = {x for x in range(100) for y in range(40) if plain.pixel(x, y) != marked.pixel(x, y)}
    assert changed
    assert changed <= {49, 50}, "only where it happened"
    assert bad != marked, "trouble has its own colour"
