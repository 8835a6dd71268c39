"""The page of all GPUs by real clicks: tiles and rows, trouble first, the worst news, the window of its own."""

from __future__ import annotations

import csv

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QImage, QMouseEvent
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QPushButton

import monitor_samples
from monitor_samples import Machine, SampleFeed
from monitor_scenes import watch_of
from personadesk.domain.alarm import Quantity
from personadesk.domain.event import EventKind
from personadesk.domain.sample import Metric
from personadesk.ui.monitor.heat import HEAT_ROLE, HeatTable
from personadesk.ui.monitor.page import MonitorPage
from personadesk.ui.monitor.window import MonitorWindow
from personadesk.ui.theme import Role, theme
from personadesk.ui.widgets.spark import SPARK_ROLE

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
    assert "kiosk-1 is too slow" in page.view._foot.news.text()
    assert "7 calls" in page.view._foot.sums.text()
    asked = []
    page.machine_asked.connect(asked.append)
    qtbot.mouseClick(page.view._foot.button, LEFT)
    qtbot.mouseClick(page.view.tiles[2], LEFT)
    assert asked == ["kiosk-1", names(page)[2]]


def test_live_tiles_keep_their_place_until_the_user_sorts(qtbot):
    feed = monitor_samples.studio()
    page = page_of(qtbot, feed)
    before = names(page)
    feed.ring("studio-a", Quantity.SERVER_SILENT, 1.0)
    page.view.follow_now()
    assert names(page) == before
    tile = page.view.tiles[before.index("studio-a")]
    qtbot.waitUntil(lambda: "Voice server silent" in tile.accessibleName())
    page.view.order.setCurrentIndex(1)
    assert names(page) == list(feed.machines)
    page.view.order.setCurrentIndex(0)
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
    for column in (2, 3, 4, 5):
        spark = model.index(0, column).data(SPARK_ROLE)
        assert 30 < len(spark.at) <= 49
        assert spark.at[-1] <= 1.01
    assert model.index(0, 1).data(SPARK_ROLE) is None
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


def press(qtbot, page: MonitorPage, text: str) -> None:
    buttons = page.findChildren(QPushButton)
    qtbot.mouseClick(next(b for b in buttons if b.text() == text and b.isVisible()), LEFT)


def test_tiles_are_grouped_by_line_provider_and_state(qtbot):
    page = page_of(qtbot, monitor_samples.studio())
    page.view.order.setCurrentIndex(2)
    assert page.view.grid.headings[0] == "Kiosk"
    assert "Without a line" in page.view.grid.headings
    tiles = names(page)
    assert abs(tiles.index("night-line-1") - tiles.index("night-line-2")) == 1
    page.view.order.setCurrentIndex(3)
    assert set(page.view.grid.headings) == {
        "RunPod",
        "Modal",
        "Lambda",
        "AWS",
        "My servers",
        "Vast.ai",
    }
    page.view.order.setCurrentIndex(4)
    assert page.view.grid.headings == ("Voice too slow", "No figures", "Fine")
    page.view.order.setCurrentIndex(0)
    assert page.view.grid.headings == ()


def test_what_is_typed_filters_by_name_line_provider_and_state(qtbot):
    page = page_of(qtbot, monitor_samples.studio())
    qtbot.keyClicks(page.view.search, "lambda front")
    assert set(names(page)) == {"front-desk-1", "front-desk-2"}
    page.view.search.clear()
    qtbot.keyClicks(page.view.search, "too slow")
    assert names(page) == ["kiosk-1"]
    qtbot.keyClicks(page.view.search, "zzz")
    assert page.view._stack.currentWidget() is page.view._nothing
    page.view.search.clear()
    assert len(names(page)) == 8


def test_rows_are_grouped_and_filtered_too(qtbot):
    page = page_of(qtbot, monitor_samples.wall(6))
    page.view.order.setCurrentIndex(4)
    model = page.view.table.model()
    last = model.columnCount() - 1
    assert model.headerData(last, Qt.Orientation.Horizontal) == "Group"
    assert model.index(0, last).data() == "GPU too hot"
    page.view.search.setText("node-003")
    assert len(names(page)) == 8


def test_rows_show_a_day_and_only_those_in_sight_are_read(qtbot):
    feed = monitor_samples.wall(40)
    page = page_of(qtbot, feed)
    press(qtbot, page, "24 h")
    model = page.view.table.model()
    qtbot.waitUntil(lambda: len(feed.asked) > 20)
    qtbot.wait(100)
    assert len(feed.asked) < 40 * 8 * 4 / 3, "most rows are out of sight"
    spark = model.index(0, 3).data(SPARK_ROLE)
    assert spark.at[0] < 0.05
    assert all(end - start == 86_400 for start, end in feed.asked)


def test_a_day_is_read_from_the_history_and_drawn(qtbot):
    feed = SampleFeed({"one": Machine(("L4",))})
    page = page_of(qtbot, feed)
    press(qtbot, page, "24 h")
    tile = page.view.tiles[0]
    qtbot.waitUntil(
        lambda: all(len(each) and each.at[0] < feed.now - 3600 for each in tile._ranges)
    )
    assert feed.asked
    assert all(end - start == 86_400 for start, end in feed.asked)
    assert tile._ranges[0].at[0] < feed.now - 86_000
    assert len(tile._ranges[0]) <= 160
    asked = len(feed.asked)
    feed.tick()
    page.view.follow_now()
    qtbot.wait(50)
    assert len(feed.asked) == asked, "a day does not change within a second"


def test_a_click_on_pause_holds_the_tiles_and_follow_goes_on(qtbot):
    feed = SampleFeed({"one": Machine(("L4",))})
    page = page_of(qtbot, feed)
    press(qtbot, page, "Pause")
    assert page.view._mode.text() == "paused"
    held = page.view.curves.edges
    feed.tick(9)
    page.view.follow_now()
    assert page.view.curves.edges == held
    press(qtbot, page, "Follow")
    assert page.view.curves.edges[1] == feed.now
    assert page.view._mode.text() == "live, once a second"


def test_one_cursor_over_all_tiles_tells_the_values_there(qtbot):
    feed = SampleFeed(
        {"one": Machine(("L4",)), "two": Machine(("L4",), gap=(0, monitor_samples.NOW - 100))}
    )
    page = page_of(qtbot, feed)
    first, second = sorted(page.view.tiles, key=lambda tile: tile.card.host)
    qtbot.waitUntil(lambda: first.width() > 300)
    box = first.graph_rect(1)
    place, none = box.center(), Qt.MouseButton.NoButton
    move = QMouseEvent(
        QEvent.Type.MouseMove,
        place,
        first.mapToGlobal(place),
        none,
        none,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(first, move)
    at = feed.now - 150
    assert first.cursor_at == pytest.approx(at, abs=3)
    assert second.cursor_at == first.cursor_at
    shown = first.value_of(Metric.GPU_USE)
    curve = feed.series("one", Metric.GPU_USE, "0")
    near = curve.mean[(curve.at > at - 5) & (curve.at < at + 5)]
    assert near.min() - 1 <= shown <= near.max() + 1
    assert second.value_of(Metric.GPU_USE) is None
    page.view.grid._point(None)
    assert first.value_of(Metric.GPU_USE) == feed.latest("one", Metric.GPU_USE, "0")


def test_what_happened_is_marked_on_the_tiles(qtbot):
    feed = SampleFeed({"one": Machine(("L4",)), "two": Machine(("L4",))})
    feed.happen("one", EventKind.GPU_LOST, 100, "GPU 0 is gone.")
    page = page_of(qtbot, feed)
    marked = {tile.card.host: tile._marks for tile in page.view.tiles}
    qtbot.waitUntil(
        lambda: all(
            "GPU 0 is gone." in t.toolTip() for t in page.view.tiles if t.card.host == "one"
        )
    )
    marked = {tile.card.host: tile._marks for tile in page.view.tiles}
    assert marked == {"one": ((feed.now - 100, "GPU 0 is gone.", True),), "two": ()}
    tile = next(t for t in page.view.tiles if t.card.host == "one")
    image, box = tile.grab().toImage(), tile.graph_rect(0)
    x = round(box.left() + 200 / 300 * box.width())
    red = theme().colour(Role.ERR)
    hits = sum(
        any(abs(image.pixelColor(x + dx, y).red() - red.red()) < 40 and image.pixelColor(x + dx, y).green() < 190
            for dx in (-1, 0, 1))
        for y in range(int(box.bottom()) + 2, int(tile.graph_rect(1).top()))
    )  # fmt: skip
    assert hits >= 1


def test_what_is_shown_leaves_as_png_svg_and_csv(qtbot, tmp_path):
    page = page_of(qtbot, monitor_samples.studio())
    assert [action.text() for action in page.view.export_menu().actions()] == [
        "Save as PNG…", "Save as SVG…", "Save as CSV…",
    ]  # fmt: skip
    for kind in ("png", "svg", "csv"):
        assert page.view.save(str(tmp_path / f"all.{kind}"))
    assert QImage(str(tmp_path / "all.png")).width() > 1000
    assert "<svg" in (tmp_path / "all.svg").read_text()
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 8
    assert rows[0]["Machine"] == "kiosk-1"
    assert rows[0]["Where"] == "RunPod"
    assert float(rows[0]["Frame p99 (ms)"]) > 80


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


def test_in_a_narrow_window_stretches_of_time_are_a_list(qtbot):
    page = page_of(qtbot, SampleFeed({"one": Machine(("L4",))}))
    page.resize(1400, 700)
    qtbot.waitUntil(lambda: page.view._spans.isVisible())
    page.resize(860, 700)
    qtbot.waitUntil(lambda: page.view._span_box.isVisible() and not page.view._spans.isVisible())
    assert page.view._span_box.currentText() == "5 min"
    qtbot.keyClick(page.view._span_box, Qt.Key.Key_Up)
    assert page.view._span_s == 60
    assert page.view._spans.current == 0
