"""Windows that only watch, by real clicks: the look of a wall, the whole screen, and a machine's graphs apart."""

from __future__ import annotations

import pyqtgraph  # noqa: F401 - loaded before, as it is in a window that showed graphs once
import pytest
from PySide6.QtCore import Qt

import monitor_samples
import rented_samples as samples
from monitor_samples import Machine, SampleFeed
from monitor_scenes import watch_of
from personadesk.ui.instances.page import InstancesPage
from personadesk.ui.monitor.window import MachineWindow, MonitorWindow
from personadesk.ui.palettes import load_palette
from personadesk.ui.theme import Look, Role, theme, worn
from rented_scenes import rented_of

LEFT = Qt.MouseButton.LeftButton
HOST = samples.FRONT_DESK.tag


@pytest.fixture
def window(qtbot, preferences) -> MonitorWindow:
    watch = watch_of(monitor_samples.studio())
    made = MonitorWindow(watch, preferences)
    watch.setParent(made)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def ground(widget) -> str:
    """The colour of a widget's upper left pixels."""
    return widget.grab().toImage().pixelColor(3, 3).name().upper()


def test_it_is_dark_by_a_click_whatever_the_look_is_and_remembers(
    qtbot, window, preferences, look: Look
):
    before, role = theme().palette, Role.WINDOW
    dark = load_palette(Look.DARK)
    qtbot.mouseClick(window.dark, LEFT)
    assert preferences.monitor_dark
    qtbot.waitUntil(lambda: window.dark.isChecked() and bool(window.styleSheet()))
    qtbot.waitUntil(lambda: len(window.view.tiles) == 8)
    qtbot.waitUntil(lambda: ground(window.view) == dark.roles[role].upper())
    tile = window.view.tiles[0]
    assert tile.look.palette is dark
    middle = tile.grab().toImage().pixelColor(tile.width() // 2, 6).name().upper()
    assert middle == dark.roles[Role.SURFACE].upper()
    assert theme().palette is before, "the program's own look is not touched"
    assert worn() is None
    qtbot.mouseClick(window.dark, LEFT)
    qtbot.waitUntil(lambda: not window.styleSheet())
    assert not preferences.monitor_dark
    qtbot.waitUntil(lambda: ground(window.view) == before.roles[role].upper())


def test_a_change_of_the_look_leaves_a_dark_window_dark(qtbot, preferences):
    preferences.monitor_dark = True
    watch = watch_of(monitor_samples.studio())
    window = MonitorWindow(watch, preferences)
    watch.setParent(window)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitExposed(window)
    was = theme().look
    try:
        for each in (Look.LIGHT, Look.DARK, Look.LIGHT):
            theme().set_look(each)
            qtbot.waitUntil(
                lambda: ground(window.view) == load_palette(Look.DARK).roles[Role.WINDOW].upper()
            )
    finally:
        theme().set_look(was)


def test_the_screen_stays_on_while_it_is_taken_whole(qtbot, window):
    asked = []
    window.awake.keep = lambda *, wanted: asked.append(wanted)
    qtbot.keyClick(window, Qt.Key.Key_F11)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    qtbot.keyClick(window, Qt.Key.Key_F11)
    window.close()
    assert asked == [True, False, True, False]


def test_a_machines_graphs_leave_for_a_window_of_their_own(qtbot, preferences):
    feed = SampleFeed({HOST: Machine()})
    watch = watch_of(feed)
    page = InstancesPage(rented_of(samples.VIEW, samples.STUDIO), watch)
    watch.setParent(page)
    qtbot.addWidget(page)
    page.resize(1300, 800)
    page.show()
    qtbot.waitExposed(page)
    asked = []
    page.detach_asked.connect(asked.append)
    page.choose(samples.FRONT_DESK.key)
    assert page.details.detach.accessibleName() == "Graphs in a window of their own"
    qtbot.mouseClick(page.details.detach, LEFT)
    assert asked == [samples.FRONT_DESK]
    window = MachineWindow(watch, preferences, HOST, "front-desk-1")
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(
        lambda: bool(window.graphs.charts) and len(window.graphs.charts[0].points()[0]) > 0
    )
    assert window.windowTitle() == "front-desk-1 – PersonaDesk"
    looks = feed.looks[HOST]
    qtbot.mouseClick(window.on_top, LEFT)
    assert window.windowFlags() & Qt.WindowType.WindowStaysOnTopHint
    window.close()
    assert feed.looks[HOST] == looks - 1


def test_in_a_narrow_window_the_switches_are_icons_with_names(qtbot, window):
    window.resize(1400, 800)
    assert window.on_top.text() == "Always on top"
    window.resize(800, 700)
    assert window.on_top.text() == ""
    assert window.on_top.accessibleName() == "Always on top"
    qtbot.waitUntil(lambda: window._full.geometry().right() <= window.view.width())


def test_a_machines_graphs_are_dark_in_a_dark_window(qtbot, preferences):
    preferences.monitor_dark = True
    watch = watch_of(SampleFeed({HOST: Machine()}))
    window = MachineWindow(watch, preferences, HOST, "front-desk-1")
    watch.setParent(window)
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(
        lambda: bool(window.graphs.charts) and len(window.graphs.charts[0].points()[0]) > 0
    )
    chart = window.graphs.charts[0]
    dark = load_palette(Look.DARK)
    assert chart._items[0].pen().color().name().upper() == dark.series[0].upper()
    assert chart._plot.backgroundBrush().color().name().upper() == dark.roles[Role.SURFACE].upper()
