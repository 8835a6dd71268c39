"""The screen stays on while that is wanted: asked for on a real D-Bus, and taken back with the connection."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusServiceWatcher, QDBusVirtualObject

from personadesk.ui.awake import PATH, SERVICE, Awake

pytestmark = pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="there is no D-Bus here")


class Saver(QDBusVirtualObject):
    """Stands where a desktop's screen saver stands: it agrees, and forgets who leaves the bus."""

    def __init__(self, bus: QDBusConnection) -> None:
        super().__init__()
        self.asked: list[list[object]] = []
        self.holders: set[str] = set()
        self.watcher = QDBusServiceWatcher()
        self.watcher.setConnection(bus)
        self.watcher.setWatchMode(QDBusServiceWatcher.WatchModeFlag.WatchForUnregistration)
        self.watcher.serviceUnregistered.connect(self.holders.discard)

    def introspect(self, _path: str) -> str:
        return ""

    def handleMessage(self, message: QDBusMessage, bus: QDBusConnection) -> bool:  # noqa: N802 - Qt's
        if message.member() != "Inhibit":
            return False
        self.asked.append(message.arguments())
        self.holders.add(message.service())
        self.watcher.addWatchedService(message.service())
        return bus.send(message.createReply([7]))


@pytest.fixture
def address():
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield daemon.stdout.readline().strip()
    finally:
        daemon.terminate()
        daemon.wait()
        daemon.stdout.close()


@pytest.fixture
def saver(qapp, address):
    bus = QDBusConnection.connectToBus(address, "test-saver")
    made = Saver(bus)
    assert bus.registerVirtualObject(PATH, made)
    assert bus.registerService(SERVICE)
    yield made
    QDBusConnection.disconnectFromBus("test-saver")


def test_it_is_asked_for_and_taken_back(qtbot, saver, address):
    awake = Awake(platform="linux", bus=address)
    awake.keep(wanted=True)
    qtbot.waitUntil(lambda: awake.is_held)
    assert saver.asked == [["PersonaDesk", "The monitor is shown on the whole screen"]]
    assert len(saver.holders) == 1
    awake.keep(wanted=True)
    awake.keep(wanted=False)
    assert not awake.is_held
    qtbot.waitUntil(lambda: not saver.holders)
    awake.keep(wanted=True)
    qtbot.waitUntil(lambda: awake.is_held)
    assert len(saver.asked) == 2
    awake.keep(wanted=False)


def test_where_nobody_answers_nothing_happens(qtbot, address):
    awake = Awake(platform="linux", bus=address)
    awake.keep(wanted=True)
    qtbot.waitUntil(lambda: awake._asking is None)
    assert not awake.is_held
    awake.keep(wanted=False)


def test_without_a_bus_nothing_happens(qapp):
    awake = Awake(platform="linux", bus="unix:path=/nowhere/at/all")
    awake.keep(wanted=True)
    assert not awake.is_held
    awake.keep(wanted=False)
