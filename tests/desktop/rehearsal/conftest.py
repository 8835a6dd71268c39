"""A small cloud to try the rules on, and a clock that only the test moves."""

from __future__ import annotations

import pytest

from peers.nimbus import Nimbus
from peers.simulated import Clock
from personadesk.rehearsal import catalog


@pytest.fixture
def clock() -> Clock:
    """Time that passes only when told."""
    return Clock()


@pytest.fixture
def nimbus(clock: Clock) -> Nimbus:
    """A cloud without bodies."""
    made = catalog.make(Nimbus, clock=clock)
    assert isinstance(made, Nimbus)
    return made
