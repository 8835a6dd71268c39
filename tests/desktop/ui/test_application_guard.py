"""The start-up guard against a Qt build that loses references to None."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import QObject, Signal

from personadesk.ui.application import lost_references, require_sound_qt


class Counter(QObject):
    """Counts what it is told."""

    ticked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.ticked.connect(self.tick)

    def tick(self) -> None:
        self.count += 1


def test_fifty_calls_lose_no_reference() -> None:
    assert abs(lost_references(50)) < 10


def test_fifty_emissions_lose_no_reference_to_true_or_none() -> None:
    counter = Counter()
    before = sys.getrefcount(None), sys.getrefcount(True)
    for _ in range(50):
        counter.ticked.emit()
    after = sys.getrefcount(None), sys.getrefcount(True)
    assert counter.count == 50
    assert all(abs(b - a) < 10 for b, a in zip(before, after, strict=True))


@pytest.mark.usefixtures("qapp")
def test_this_build_is_accepted() -> None:
    require_sound_qt()
