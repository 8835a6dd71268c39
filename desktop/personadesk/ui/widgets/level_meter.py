"""How loud a microphone or a speaker is: blocks with zones, and a mark that holds the peak."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtWidgets import QSizePolicy, QWidget

from personadesk.ui.i18n import mark, tr
from personadesk.ui.theme import Role
from personadesk.ui.widgets.base import Painted

if TYPE_CHECKING:
    from collections.abc import Callable

    from PySide6.QtGui import QPaintEvent

__all__ = ["LevelMeter", "Zone"]

FLOOR_DB = -60.0
LOUD_DB = -12.0
TOO_LOUD_DB = -3.0
RELEASE_DB_PER_S = 26.0
HOLD_S = 1.5
BLOCKS = 40


class Zone(StrEnum):
    """How the level is to be judged."""

    QUIET = "quiet"
    GOOD = "good"
    LOUD = "loud"
    TOO_LOUD = "too loud"


_WORDS = {
    Zone.QUIET: mark("quiet"),
    Zone.GOOD: mark("good"),
    Zone.LOUD: mark("loud"),
    Zone.TOO_LOUD: mark("too loud"),
}


class LevelMeter(Painted):
    """A level in decibels below full scale, meant to be fed about 20 times a second.

    It rises at once and falls slowly, as people are used to from meters.

    Signals:
        zone_changed: The held peak came into another zone (its word in the user's language).
    """

    zone_changed = Signal(str)

    def __init__(
        self,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        parent: QWidget | None = None,
    ) -> None:
        """Make a silent meter.

        Args:
            name: What is measured, for assistive technology.
            clock: Seconds, ever growing.
        """
        super().__init__(parent)
        self._name = name
        self._clock = clock
        self._level = self._peak = FLOOR_DB
        self._level_at = self._peak_at = clock()
        self._zone = Zone.QUIET
        self._lit = (0, -1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._tell()

    @property
    def level(self) -> float:
        """Level shown, dBFS."""
        return self._level

    @property
    def peak(self) -> float:
        """Peak held, dBFS."""
        return self._peak

    @property
    def zone(self) -> Zone:
        """How the held peak is to be judged."""
        return self._zone

    def set_level(self, level: float) -> None:
        """Take in a reading in dBFS; silence may be minus infinity."""
        now = self._clock()
        fallen = RELEASE_DB_PER_S * max(0.0, now - self._level_at)
        heard = min(0.0, max(FLOOR_DB, level))
        self._level = max(heard, self._level - fallen, FLOOR_DB)
        if heard >= self._peak:
            self._peak, self._peak_at = heard, now
        elif now - self._peak_at > HOLD_S:
            self._peak = max(self._level, self._peak - fallen)
        self._level_at = now
        zone = _zone(self._peak)
        if zone is not self._zone:
            self._zone = zone
            self._tell()
            self.zone_changed.emit(tr(_WORDS[zone]))
        lit = (_blocks(self._level), _blocks(self._peak) - 1)
        if lit != self._lit:
            self._lit = lit
            self.update()

    def reset(self) -> None:
        """Fall silent at once, for example when a device is closed."""
        self._level = self._peak = FLOOR_DB
        self.set_level(FLOOR_DB)

    def sizeHint(self) -> QSize:
        return QSize(self.look.px(200), self.look.px(10))

    def minimumSizeHint(self) -> QSize:
        return QSize(self.look.px(96), self.look.px(10))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = self.start_painting()
        painter.setPen(Qt.PenStyle.NoPen)
        pitch = self.width() / BLOCKS
        level, peak = self._lit
        for index in range(BLOCKS):
            lit = index < level or (index == peak and peak >= 0)
            role = _role(index) if lit else Role.OFF_SOFT
            painter.setBrush(self.look.colour(role))
            painter.drawRect(QRectF(index * pitch, 0, pitch - 1.6, self.height()))
        painter.end()

    def _tell(self) -> None:
        self.setAccessibleName(f"{self._name}: {tr(_WORDS[self._zone])}")


def _zone(level: float) -> Zone:
    if level > TOO_LOUD_DB:
        return Zone.TOO_LOUD
    if level > LOUD_DB:
        return Zone.LOUD
    return Zone.GOOD if level > -45.0 else Zone.QUIET


def _blocks(level: float) -> int:
    return round((level - FLOOR_DB) / -FLOOR_DB * BLOCKS)


def _role(block: int) -> Role:
    level = FLOOR_DB + (block + 0.5) / BLOCKS * -FLOOR_DB
    if level > TOO_LOUD_DB:
        return Role.ERR
    return Role.WARN if level > LOUD_DB else Role.OK
