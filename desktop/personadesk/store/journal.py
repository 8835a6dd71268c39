"""What every deploy was asked, where it is, and what it has learnt: written before each deed and after it.

The journal never decides; the engine reads it after a crash and knows what may exist in the world.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from personadesk.domain.line import LineState
from personadesk.domain.progress import DeployState, StepName, StepState
from personadesk.domain.text import NOTHING, Text
from personadesk.store import coding

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.line import Target
    from personadesk.domain.plan import Plan
    from personadesk.store.database import Database


class Purpose(StrEnum):
    """Why a deploy was made; it decides what becomes of its remains when its process dies."""

    DEPLOY = "deploy"
    """To stay. An interrupted one waits for a person's choice."""
    DEMO = "demo"
    """To be gone when the command returns; remains are removed by the next start."""
    SPARE = "spare"
    """To stand by for its line, which does not lead to it; the guardian makes it and looks after it."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as the journal has it.

    Attributes:
        name: Which step.
        state: Where it is; `RUNNING` with a dead owner means interrupted.
        doing: What it did, one line.
        started: Unix time.
        seconds: Time taken.
        error: Why it failed.
    """

    name: StepName
    state: StepState
    doing: Text = NOTHING
    started: float = 0.0
    seconds: float = 0.0
    error: PersonaDeskError | None = None


@dataclass(frozen=True, slots=True)
class DeployRecord:
    """One deploy as the journal has it.

    Attributes:
        plan: What was asked.
        purpose: Whether it is to stay.
        state: Where it is.
        started: Unix time.
        ended: Unix time, None while it runs.
        steps: Steps that were begun, by name.
        facts: What steps found out and later steps need (JSON values).
        error: Why it failed.
    """

    plan: Plan
    purpose: Purpose
    state: DeployState
    started: float
    ended: float | None = None
    steps: Mapping[StepName, StepRecord] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: PersonaDeskError | None = None

    @property
    def worked_s(self) -> float:
        """Seconds that its steps took together, from the request to the voice where it is done."""
        return sum(step.seconds for step in self.steps.values())


class Journal:
    """Reads and writes the deploys in a database; each method is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, plan: Plan, purpose: Purpose, at: float) -> None:
        """Write down that a deploy begins, or begins again."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO deploys (id, purpose, plan, state, started) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended = NULL, error = NULL",
                (plan.id, purpose, coding.plan_to_json(plan), DeployState.RUNNING, at),
            )

        await self._database.run(work)

    async def begin_step(self, plan_id: str, name: StepName, at: float) -> None:
        """Write down that a step is about to change something."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO steps (deploy_id, name, state, started) VALUES (?, ?, ?, ?)",
                (plan_id, name, StepState.RUNNING, at),
            )

        await self._database.run(work)

    async def end_step(
        self, plan_id: str, step: StepRecord, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Write down how a step came out, with all facts known by now."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO steps (deploy_id, name, state, doing, started, seconds, error) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    plan_id, step.name, step.state, coding.text_to_json(step.doing),
                    step.started, step.seconds, coding.error_to_json(step.error),
                ),
            )  # fmt: skip
            if facts is not None:
                _write_facts(connection, plan_id, facts)

        await self._database.run(work)

    async def set_facts(self, plan_id: str, facts: Mapping[str, Any]) -> None:
        """Write down facts in the middle of a step, before it acts on them."""
        await self._database.run(lambda connection: _write_facts(connection, plan_id, facts))

    async def set_state(
        self,
        plan_id: str,
        state: DeployState,
        *,
        ended: float | None = None,
        error: PersonaDeskError | None = None,
    ) -> None:
        """Write down where the whole deploy is."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE deploys SET state = ?, ended = ?, error = ? WHERE id = ?",
                (state, ended, coding.error_to_json(error), plan_id),
            )

        await self._database.run(work)

    async def set_purpose(self, plan_id: str, purpose: Purpose) -> None:
        """Write down that a deploy is meant otherwise from now on."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE deploys SET purpose = ? WHERE id = ?", (purpose, plan_id))

        await self._database.run(work)

    async def load(self, plan_id: str) -> DeployRecord | None:
        """Return one deploy, or None when there is none of that id."""
        found = await self._select("WHERE id = ?", (plan_id,))
        return found[0] if found else None

    async def in_state(self, *states: DeployState) -> list[DeployRecord]:
        """Return the deploys in any of these states, oldest first."""
        marks = ", ".join("?" for _ in states)
        return await self._select(f"WHERE state IN ({marks}) ORDER BY started", tuple(states))

    async def spares(self, line: str | None = None) -> list[DeployRecord]:
        """Return the spares of a line (None: of all) that are or may be there, oldest first."""
        states = (DeployState.RUNNING, DeployState.INTERRUPTED, DeployState.DONE)
        own = "" if line is None else "AND json_extract(plan, '$.line') = ? "
        return await self._select(
            f"WHERE purpose = ? AND state IN (?, ?, ?) {own}ORDER BY started",
            (Purpose.SPARE, *states, *(() if line is None else (line,))),
        )

    async def switch(self, line: str, old: str | None, new: Target, at: float) -> bool:
        """Lead a line to its spare; what was behind it becomes the spare, so that neither is ever forgotten.

        Args:
            line: Its name.
            old: The server that it led to, None for none.
            new: The spare.
            at: Unix time.

        Returns:
            Whether it was so: not where the line leads elsewhere meanwhile, or that deploy is no spare any more.
        """

        def work(connection: sqlite3.Connection) -> bool:
            spare = connection.execute(
                "SELECT 1 FROM deploys WHERE id = ? AND purpose = ? AND state = ?",
                (new.server_id, Purpose.SPARE, DeployState.DONE),
            ).fetchone()
            led = spare is not None and connection.execute(
                "UPDATE lines SET target_url = ?, server_id = ?, state = ?, since = ?, reason = '' "
                "WHERE name = ? AND server_id IS ?",
                (new.url, new.server_id, LineState.UP, at, line, old),
            ).rowcount  # fmt: skip
            if not led:
                return False
            connection.execute("UPDATE deploys SET purpose = ? WHERE id = ?", (Purpose.SPARE, old))
            connection.execute(
                "UPDATE deploys SET purpose = ? WHERE id = ?", (Purpose.DEPLOY, new.server_id)
            )
            return True

        return await self._database.run(work)

    async def recent(self, limit: int = 20) -> list[DeployRecord]:
        """Return the latest deploys, newest first."""
        return await self._select("ORDER BY started DESC LIMIT ?", (limit,))

    async def _select(self, clause: str, values: tuple[Any, ...]) -> list[DeployRecord]:
        def work(connection: sqlite3.Connection) -> list[DeployRecord]:
            rows = connection.execute(
                f"SELECT id, purpose, plan, state, started, ended, facts, error FROM deploys {clause}",  # noqa: S608 - clauses are ours
                values,
            ).fetchall()
            return [_record(connection, row) for row in rows]

        return await self._database.run(work)


def _write_facts(connection: sqlite3.Connection, plan_id: str, facts: Mapping[str, Any]) -> None:
    connection.execute(
        "UPDATE deploys SET facts = ? WHERE id = ?", (json.dumps(dict(facts)), plan_id)
    )


def _record(connection: sqlite3.Connection, row: tuple[Any, ...]) -> DeployRecord:
    plan_id, purpose, plan, state, started, ended, facts, error = row
    steps = {}
    for name, step_state, doing, at, seconds, step_error in connection.execute(
        "SELECT name, state, doing, started, seconds, error FROM steps WHERE deploy_id = ?",
        (plan_id,),
    ):
        steps[StepName(name)] = StepRecord(
            StepName(name), StepState(step_state), coding.text_from_json(doing),
            at, seconds, coding.error_from_json(step_error),
        )  # fmt: skip
    return DeployRecord(
        plan=coding.plan_from_json(plan),
        purpose=Purpose(purpose),
        state=DeployState(state),
        started=started,
        ended=ended,
        steps=steps,
        facts=json.loads(facts),
        error=coding.error_from_json(error),
    )
