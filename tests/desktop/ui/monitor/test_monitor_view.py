"""The page of all GPUs by real clicks: tiles and rows, trouble first, the worst news, the window of its own."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

import monitor_samples
from monitor_samples import Machine, SampleFeed
from monitor_scenes import watch_of
from personadesk.domain.alarm import Quantity
from personadesk.domain.sample import Metric
from personadesk.ui.monitor.heat import HEAT_ROLE, HeatTable
from personadesk.ui.monitor.page import MonitorPage
from personadesk.ui.monitor.window import MonitorWindow
from personadesk.ui.theme import theme

LEFT = Qt.MouseButton.LeftButton


def page_of(qtbot, feed: SampleFeed | None) -> MonitorPage:
    watch = watch_of(feed)
    made = MonitorPage(watch)
    watch.setParent(made)
    qtbot.addWidget(made)
    made.resize(1200, 800)
    made.show()
    qtbot.waitExposed(made)
    return made


def names(page: MonitorPage) -> list[str]:
    return [tile.card.title for tile in page.view.tiles]


def test_trouble_comes_first_and_the_foot_tells_the_worst(qtbot):
    page = page_of(qtbot, monitor_samples.studio())
    assert names(page)[:2] == ["kiosk-1", "museum-guide"]
    assert len(names(page)) == 8
    assert "kiosk-1 is too slow" in page.view._news.text()
    assert "7 calls" in page.view._sums.text()
    asked = []
    page.machine_asked.connect(asked.append)
    qtbot.mouseClick(page.view._news_button, LEFT)
    qtbot.mouseClick(page.view.tiles[2], LEFT)
    assert asked == ["kiosk-1", names(page)[2]]


def test_live_tiles_keep_their_place_until_the_user_sorts(qtbot):
    feed = monitor_samples.studio()
    page = page_of(qtbot, feed)
    before = names(page)
    feed.ring("studio-a", Quantity.SERVER_SILENT, 1.0)
    page.view.follow_now()
    assert names(page) == before
    assert "Voice server silent" in page.view.tiles[before.index("studio-a")].accessibleName()
    page.view._sort.setCurrentIndex(1)
    assert names(page) == list(feed.machines)
    page.view._sort.setCurrentIndex(0)
    assert set(names(page)[:2]) == {"studio-a", "kiosk-1"}


def test_a_tile_draws_its_curves_where_the_values_are_and_says_them(qtbot):
    page = page_of(qtbot, SampleFeed({"one": Machine(("L4",), {Metric.GPU_USE: 0.0})}))
    tile = page.view.tiles[0]
    qtbot.waitUntil(lambda: tile.width() > 400)
    assert "GPU use 0 %" in tile.accessibleName()
    image, blue, box = tile.grab().toImage(), theme().series(0), tile.graph_rect(1)

    def columns(top: float, bottom: float) -> int:
        return sum(
            any(
                abs(image.pixelColor(x, y).hue() - blue.hue()) < 12 and image.pixelColor(x, y).saturation() > 120
                for y in range(int(top), int(bottom))
            )
            for x in range(int(box.left()) + 2, int(box.right()) - 2, 5)
        )  # fmt: skip

    assert columns(box.bottom() - 2, box.bottom() + 2) > 20
    assert columns(box.top(), box.center().y()) == 0


def test_a_machine_without_figures_says_why_and_keeps_its_place(qtbot):
    page = page_of(qtbot, SampleFeed({"one": Machine(silent="SSH was refused."), "two": Machine()}))
    tile = page.view.tiles[0]
    assert "SSH was refused." in tile.accessibleName()
    assert "No figures" in tile.accessibleName()


def test_many_gpus_are_rows_with_their_heat(qtbot):
    page = page_of(qtbot, monitor_samples.wall(6))
    assert page.view.shows_table
    model = page.view.table.model()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    assert model.rowCount() == 48
    assert model.index(0, 0).data() == "node-005 · 3, H100"
    assert model.index(0, 5).data(HEAT_ROLE) > 0.9
    assert model.index(0, 1).data() == "GPU too hot"
    asked = []
    page.machine_asked.connect(asked.append)
    page.focus_first()
    page.view.table.selectRow(0)
    qtbot.keyClick(page.view.table, Qt.Key.Key_Return)
    assert asked == ["node-005"]


def test_rows_keep_what_is_chosen_when_they_are_sorted_anew(qapp):
    model = HeatTable()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    from personadesk.ui.monitor.fleet import Fleet

    feed = monitor_samples.wall(2, 2)
    fleet = Fleet()
    fleet.follow(feed.hosts, ())
    cards = list(fleet.cards.values())
    model.show_cards(cards)
    from PySide6.QtCore import QPersistentModelIndex

    kept = QPersistentModelIndex(model.index(0, 0))
    model.show_cards(cards[::-1])
    assert kept.row() == 3
    model.show_cards(cards[:2])
    assert model.rowCount() == 2


def test_it_looks_only_while_it_can_be_seen(qtbot):
    feed = SampleFeed({"one": Machine(), "two": Machine()})
    page = page_of(qtbot, feed)
    assert feed.looks == {"one": 1, "two": 1}
    page.hide()
    assert feed.looks == {"one": 0, "two": 0}


def test_with_nothing_to_watch_it_says_what_to_do(qtbot):
    page = page_of(qtbot, SampleFeed({}))
    assert page.view.is_empty
    asked = []
    page.deploy_asked.connect(lambda: asked.append(True))
    page.focus_first()
    qtbot.keyClick(page.view.begin, Qt.Key.Key_Space)
    assert asked == [True]
    assert not page.view._foot.isVisible()


def test_before_the_first_reading_it_waits(qtbot):
    page = page_of(qtbot, None)
    assert not page.view.is_empty
    assert page.view._stack.currentWidget() is page.view._waiting


def test_new_figures_show_within_a_second(qtbot):
    feed = SampleFeed({"one": Machine()})
    page = page_of(qtbot, feed)
    before = page.view.tiles[0].accessibleName()
    for _ in range(7):
        feed.tick()
    qtbot.waitUntil(lambda: page.view.tiles[0].accessibleName() != before, timeout=3000)


@pytest.fixture
def window(qtbot, preferences) -> MonitorWindow:
    watch = watch_of(monitor_samples.studio())
    made = MonitorWindow(watch, preferences)
    watch.setParent(made)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def test_f11_takes_the_screen_with_a_clock_and_esc_gives_it_back(qtbot, window):
    qtbot.keyClick(window, Qt.Key.Key_F11)
    assert window.isFullScreen()
    assert window._clock.isVisible()
    assert window._clock.text().count(":") == 2
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not window.isFullScreen()
    assert not window._clock.isVisible()


def test_it_stays_on_top_by_a_click_and_remembers_its_place(qtbot, window, preferences):
    assert preferences.monitor_geometry.isEmpty()
    qtbot.mouseClick(window.on_top, LEFT)
    assert window.windowFlags() & Qt.WindowType.WindowStaysOnTopHint
    assert window.isVisible()
    qtbot.mouseClick(window.on_top, LEFT)
    assert not window.windowFlags() & Qt.WindowType.WindowStaysOnTopHint
    window.close()
    assert not preferences.monitor_geometry.isEmpty()
