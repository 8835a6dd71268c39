"""A small cloud to try the rules on, and a clock that only the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from peers.nimbus import Nimbus
from peers.simulated import Clock
from peers.whole import personadesk
from personadesk.rehearsal import catalog, running
from personadesk.rehearsal.running import Running
from personadesk.store import paths


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


@pytest.fixture
async def played(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """All pretend providers in their own process, twenty times as fast as they are."""
    monkeypatch.setenv(paths.REHEARSAL_VARIABLE, "1")
    yield await running.ensure(paths.folders(), words=("--speed", "20"))
    code, answer = personadesk("stop")
    await running.stop(paths.folders())
    assert code == 0, answer


@pytest.fixture
def window(played: Running, opener: Callable[..., Any]) -> Any:
    """Opens a window's services, and closes them before the pretend providers end."""
    del played
    return opener(kind="window")
