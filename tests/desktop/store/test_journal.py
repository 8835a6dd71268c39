from __future__ import annotations

from dataclasses import replace

from personadesk.domain.errors import BadRequest
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.plan import ModelChoice, ModelKind, Plan
from personadesk.domain.progress import DeployState, StepName, StepState
from personadesk.domain.text import T
from personadesk.store.database import Database
from personadesk.store.journal import Journal, Purpose, StepRecord
from personadesk.store.lines import LineStore

PLAN = Plan("pd-1", "Front desk", 9001, ModelChoice(ModelKind.FOLDER, "/models/a"), clip="/a.wav")


async def test_a_deploy_is_read_as_it_was_written(database: Database) -> None:
    journal = Journal(database)
    error = BadRequest(
        T("{file} is cut off.", file="a"), T("Get it again."), cause="cut", details="x"
    )
    await journal.begin(PLAN, Purpose.DEMO, 100.0)
    await journal.begin_step("pd-1", StepName.CHECK, 101.0)
    step = StepRecord(StepName.CHECK, StepState.FAILED, T("{n} cores", n=2), 101.0, 1.5, error)
    await journal.end_step("pd-1", step, {"gpu": False})
    await journal.set_state("pd-1", DeployState.FAILED, ended=102.5, error=error)

    record = await journal.load("pd-1")

    assert record is not None
    assert record.plan == PLAN
    assert (record.purpose, record.state) == (Purpose.DEMO, DeployState.FAILED)
    assert (record.started, record.ended) == (100.0, 102.5)
    assert record.facts == {"gpu": False}
    read = record.steps[StepName.CHECK]
    assert (read.state, read.doing, read.seconds) == (StepState.FAILED, T("{n} cores", n=2), 1.5)
    assert isinstance(record.error, BadRequest)
    assert record.error.what == error.what  # template and values, so that it can be translated
    assert (record.error.cause, record.error.details) == ("cut", "x")


async def test_a_step_that_was_begun_is_known_before_it_ends(database: Database) -> None:
    journal = Journal(database)
    await journal.begin(PLAN, Purpose.DEPLOY, 1.0)
    await journal.begin_step("pd-1", StepName.START, 2.0)
    record = await journal.load("pd-1")
    assert record is not None
    assert record.steps[StepName.START].state is StepState.RUNNING
    assert record.state is DeployState.RUNNING


async def test_beginning_again_keeps_facts_and_forgets_the_failure(database: Database) -> None:
    journal = Journal(database)
    await journal.begin(PLAN, Purpose.DEPLOY, 1.0)
    await journal.set_facts("pd-1", {"server_port": 5})
    await journal.set_state("pd-1", DeployState.FAILED, ended=2.0, error=BadRequest("no"))
    await journal.begin(PLAN, Purpose.DEPLOY, 3.0)
    record = await journal.load("pd-1")
    assert record is not None
    assert (record.state, record.error, record.ended) == (DeployState.RUNNING, None, None)
    assert record.facts == {"server_port": 5}
    assert record.started == 1.0


async def test_deploys_are_found_by_state_and_by_age(database: Database) -> None:
    journal = Journal(database)
    for number, state in enumerate((DeployState.DONE, DeployState.RUNNING, DeployState.UNDONE)):
        await journal.begin(Plan(f"pd-{number}"), Purpose.DEPLOY, float(number))
        await journal.set_state(f"pd-{number}", state)
    running = await journal.in_state(DeployState.RUNNING, DeployState.INTERRUPTED)
    assert [record.plan.id for record in running] == ["pd-1"]
    assert [record.plan.id for record in await journal.recent(2)] == ["pd-2", "pd-1"]
    assert await journal.load("pd-9") is None


async def test_a_demo_may_come_to_stay(database: Database) -> None:
    journal = Journal(database)
    await journal.begin(PLAN, Purpose.DEMO, 1.0)
    await journal.set_purpose("pd-1", Purpose.DEPLOY)
    record = await journal.load("pd-1")
    assert record is not None
    assert record.purpose is Purpose.DEPLOY


async def test_a_line_and_its_spare_change_places_in_one_go_or_not_at_all(
    database: Database,
) -> None:
    journal, lines = Journal(database), LineStore(database)
    old, new = Target("ws://127.0.0.1:1/a", "pd-1"), Target("ws://127.0.0.1:2/a", "pd-2")
    for plan_id, purpose in (("pd-1", Purpose.DEPLOY), ("pd-2", Purpose.SPARE)):
        await journal.begin(replace(PLAN, id=plan_id), purpose, 1.0)
    await lines.put(Line("Front desk", 9001, old, LineState.FAILED, 1.0, T("It is dead.")))

    async def tags() -> list[str]:
        return [record.plan.id for record in await journal.spares("Front desk")]

    assert not await journal.switch("Front desk", "pd-1", new, 2.0), "it is not finished yet"
    await journal.set_state("pd-2", DeployState.DONE, ended=2.0)
    assert not await journal.switch("Front desk", "pd-0", new, 2.0), "it leads elsewhere"
    assert await tags() == ["pd-2"]
    await journal.set_state("pd-1", DeployState.DONE, ended=2.0)

    assert await journal.switch("Front desk", "pd-1", new, 3.0)

    assert await lines.get("Front desk") == Line("Front desk", 9001, new, LineState.UP, 3.0)
    assert await tags() == ["pd-1"]
    assert await journal.spares("Another") == []
    assert not await journal.switch("Front desk", "pd-2", new, 4.0), "it is no spare any more"
    await journal.set_state("pd-1", DeployState.UNDONE, ended=5.0)
    assert await journal.spares() == []
