"""Marks of the journal and the guardian's log: each once, also for what was done while nobody watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from personadesk.domain.event import Event, EventKind
from personadesk.domain.guarding import Deed
from personadesk.domain.line import Line, Target
from personadesk.domain.plan import RENT, Plan
from personadesk.domain.progress import DeployState
from personadesk.domain.text import T
from personadesk.monitor.marks import Marks
from personadesk.store.database import Database
from personadesk.store.history import HistoryStore
from personadesk.store.journal import Journal, Purpose
from personadesk.store.wishes import Entry, WishStore

NOW = 1_800_000_000.0
SILENT = T("It does not answer.")


@dataclass
class World:
    journal: Journal
    wishes: WishStore
    history: HistoryStore
    lines: list[Line] = field(default_factory=list)

    def marks(self) -> Marks:
        """A monitor that begins."""
        return Marks(self.journal, self.wishes, lambda: self.lines, clock=lambda: NOW)

    async def deployed(self, plan: Plan, at: float) -> None:
        await self.journal.begin(plan, Purpose.DEPLOY, at - 60)
        await self.journal.set_state(plan.id, DeployState.DONE, ended=at)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await Database(tmp_path / "records.db").open()
    history = HistoryStore(tmp_path / "history.db")
    await history.open()
    yield World(Journal(database), WishStore(database), history)
    await history.close()
    await database.close()


def _told(events: list[Event]) -> list[tuple[float, str, EventKind]]:
    return [(event.at - NOW, event.host, event.kind) for event in events]


async def test_deploys_of_before_are_marked_once_by_every_program_that_follows(world: World):
    await world.deployed(Plan("pd-1", "a", 8998), NOW - 5000)
    await world.deployed(Plan("pd-2", "b", 8999, place="host:box"), NOW - 9000)
    await world.deployed(Plan("pd-0", "c", 9000), NOW - 40 * 86_400)
    await world.journal.begin(Plan("pd-3", "d", 9001), Purpose.DEPLOY, NOW - 10)
    marks = world.marks()
    found = await marks.look(world.history)
    assert _told(found) == [
        (-9000, "box", EventKind.DEPLOYED),
        (-5000, "local", EventKind.DEPLOYED),
    ]
    assert "“a”" in str(found[1].text)
    await world.history.write((), found)
    assert await marks.look(world.history) == []
    assert await world.marks().look(world.history) == []


async def test_what_the_guardian_deployed_is_one_move_with_its_cause_and_no_deploy(world: World):
    world.lines = [Line("a", target=Target("ws://127.0.0.1:1/", "pd-5"))]
    await world.wishes.begin(Entry("a", NOW - 100, Deed.DEPLOY, "x", SILENT, plan_id="pd-5"))
    await world.deployed(Plan("pd-5", "a", 8998, place=RENT), NOW - 50)
    [move] = await world.marks().look(world.history)
    assert _told([move]) == [(-50, "pd-5", EventKind.FAILED_OVER)]
    assert str(move.text) == "The line “a” moved here. It does not answer."


async def test_a_spare_is_a_mark_only_when_the_line_goes_over_to_it(world: World):
    world.lines = [Line("a", target=Target("ws://127.0.0.1:1/", "pd-5"))]
    await world.wishes.begin(Entry("a", NOW - 900, Deed.MAKE_SPARE, "x", SILENT, plan_id="pd-6"))
    await world.journal.begin(Plan("pd-6", "a", 8998, place=RENT), Purpose.SPARE, NOW - 900)
    await world.journal.set_state("pd-6", DeployState.DONE, ended=NOW - 800)
    marks = world.marks()
    assert await marks.look(world.history) == []
    world.lines = [Line("a", target=Target("ws://127.0.0.1:2/", "pd-6"))]
    await world.journal.set_purpose("pd-6", Purpose.DEPLOY)
    await world.wishes.begin(Entry("a", NOW - 100, Deed.SWITCH, "x", SILENT, worked=True))
    found = await marks.look(world.history)
    assert _told(found) == [(-100, "pd-6", EventKind.FAILED_OVER)]
    assert str(found[0].text) == "The line “a” moved here. It does not answer."
    await world.history.write((), found)
    assert await marks.look(world.history) == []
    assert await world.marks().look(world.history) == []


async def test_a_restart_of_the_guardian_s_has_its_cause_and_others_have_none(world: World):
    world.lines = [Line("a", target=Target("ws://127.0.0.1:1/", "pd-5"))]
    marks = world.marks()
    await marks.look(world.history)
    assert marks.cause("pd-5", NOW) is None
    number = await world.wishes.begin(Entry("a", NOW, Deed.RESTART_SERVICE, "x", SILENT))
    await world.wishes.end(number, at=NOW + 20, worked=True, outcome="", seconds=20.0)
    await marks.look(world.history)
    assert marks.cause("pd-5", NOW + 5) == marks.cause("pd-5", NOW + 40) == SILENT
    assert marks.cause("pd-5", NOW + 5000) is None
    assert marks.cause("pd-4", NOW + 5) is None
