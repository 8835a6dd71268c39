"""The window watches by itself, whatever page is open, and says over every page what rings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from personadesk.domain.alarm import RULES, Quantity, Standing, told
from personadesk.ui import desk
from personadesk.ui.messages import bus
from personadesk.ui.places import HOME, MONITOR
from personadesk.ui.session import WindowSession

HOT = next(rule for rule in RULES if rule.quantity is Quantity.TEMPERATURE)


class Monitor:
    """One without machines, in which an alarm is on."""

    def __init__(self) -> None:
        self.hosts: dict[str, Any] = {}
        self.alarms = SimpleNamespace(
            active=(told(HOT, "box", "0", Standing(True, 1.0, None, 90.0)),)
        )
        self.ring: Callable[[Any], None] = lambda _: None

    def subscribe(self, _callback: Any) -> Callable[[], None]:
        return lambda: None

    async def events(self, _start: float, _end: float) -> list[Any]:
        return []

    def subscribe_alarms(self, callback: Any) -> Callable[[], None]:
        self.ring = callback
        return lambda: None


@pytest.mark.logs_warnings
def test_alarms_ring_while_another_page_is_open_and_a_click_leads_to_the_monitor(
    live_window: Callable[..., None],
    fake_services: Any,
    wait_for: Callable[..., Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The fixture puts it off for stories that are not about it.
    monkeypatch.setattr(desk, "WATCH_SECONDS", 0.2)
    monitor = Monitor()
    asked: list[Monitor] = []

    async def story(session: WindowSession) -> None:
        await wait_for(lambda: asked)
        assert session.is_painted
        assert session.window.current_id == HOME
        assert len(asked) == 1
        await wait_for(lambda: bus().messages)
        assert str(bus().messages[0].what) == "GPU 0 of box is 90 °C hot."
        monitor.ring(told(HOT, "box", "0", Standing(False, 2.0, None, 70.0)))
        await wait_for(lambda: "cooled" in str(bus().messages[0].what))
        assert len(bus().messages) == 1
        session.desk.alarm_clicked.emit()
        assert session.window.current_id == MONITOR

    async def opened() -> Monitor:
        asked.append(monitor)
        return monitor

    fake_services.monitor = opened
    live_window(story)
