"""Alarms as the window and the tray tell them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PySide6.QtWidgets import QSystemTrayIcon

from personadesk.domain.alarm import RULES, Alarm, Quantity, Standing, told
from personadesk.ui.alarms import AlarmTeller
from personadesk.ui.messages import Severity, bus
from personadesk.ui.monitor.source import Watch

pytestmark = pytest.mark.logs_warnings
HOT = next(rule for rule in RULES if rule.quantity is Quantity.TEMPERATURE)


def _alarm(*, on: bool) -> Alarm:
    return told(HOT, "box", "0", Standing(on, 1.0, None, 91.0))


class Feed:
    """A monitor with one alarm on, that can ring."""

    def __init__(self) -> None:
        self.alarms = SimpleNamespace(active=(_alarm(on=True),))
        self.hosts = {}
        self.ring = None

    def subscribe(self, callback):
        return lambda: None

    def subscribe_alarms(self, callback):
        self.ring = callback
        return lambda: None


@pytest.fixture
def teller(qtbot, monkeypatch):
    """A teller on a system with a tray; what the tray was asked to show."""
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda _, *words: shown.append(words[:2]))

    async def opener():
        raise AssertionError

    watch = Watch(opener)
    feed = Feed()
    teller = AlarmTeller(watch, watch)
    watch.take(feed)
    yield feed, teller, shown
    for message in bus().messages:
        bus().dismiss(message)
    watch.deleteLater()


def _told() -> list[tuple[Severity, str]]:
    return [(each.severity, str(each.what)) for each in bus().messages if "alarm" in each.key]


def test_what_is_on_already_is_told_and_its_end_takes_its_place(teller):
    feed, _, shown = teller
    assert _told() == [(Severity.WARNING, "GPU 0 of box is 91 °C hot.")]
    feed.ring(_alarm(on=False))
    assert _told() == [(Severity.GOOD, "GPU 0 of box has cooled down.")]
    assert [title for title, _ in shown] == ["GPU too hot"] * 2


def test_a_click_in_the_tray_asks_for_the_monitor(teller, qtbot):
    _, made, _ = teller
    with qtbot.waitSignal(made.clicked):
        made.tray.messageClicked.emit()


def test_without_a_tray_the_window_alone_tells(qtbot, monkeypatch):
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: False))
    watch = Watch(lambda: None)
    made = AlarmTeller(watch, watch)
    made.tell(_alarm(on=True))
    assert made.tray is None
    assert _told()
    for message in bus().messages:
        bus().dismiss(message)
