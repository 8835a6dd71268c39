"""Machines to watch without services around them: a world of targets that the test changes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from personadesk.domain.text import T
from personadesk.monitor.feeds import Feed
from personadesk.monitor.history import History
from personadesk.monitor.monitor import Monitor
from personadesk.monitor.sampler import FeedSpec
from personadesk.monitor.targets import Target
from personadesk.store.history import GroupKey, HistoryStore


@dataclass
class Scene:
    """What there is to watch, and what makes its figures."""

    targets: list[Target] = field(default_factory=list)
    makers: dict[GroupKey, Callable[[], Feed]] = field(default_factory=dict)

    def add(self, name: str, *sources: str, make: Callable[[], Feed], **more: object) -> None:
        keys = [GroupKey(name, *source.split(":")) for source in sources]
        self.makers |= dict.fromkeys(keys, make)
        specs = tuple(FeedSpec(key) for key in keys)
        self.targets.append(Target(name, T("{name}", name=name.title()), specs, **more))

    async def look(self) -> tuple[Target, ...]:
        return tuple(self.targets)

    def make(self, spec: FeedSpec) -> Feed:
        return self.makers[spec.key]()


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def monitoring(tmp_path: Path):
    """Makes a monitor of a scene that is closed within the test."""

    @contextlib.asynccontextmanager
    async def make(scene: Scene, *, start: bool = True, **options) -> AsyncIterator[Monitor]:
        store = HistoryStore(tmp_path / "history.db")
        await store.open()
        clock = {"clock": options["clock"]} if "clock" in options else {}
        monitor = Monitor(scene, History(store, **clock), **options)
        if start:
            await monitor.start()
        else:
            await monitor.refresh()
        try:
            yield monitor
        finally:
            await monitor.close()

    return make
