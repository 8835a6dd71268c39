"""Deploys that nobody watches: the guardian's, one at a time for each line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.errors import ProviderFault
from personadesk.domain.progress import DeployState, StepName
from personadesk.domain.text import T
from personadesk.store.instance import deploy_lock
from personadesk.store.journal import Purpose

if TYPE_CHECKING:
    from personadesk.deploy.engine import DeployEngine
    from personadesk.domain.plan import Plan
    from personadesk.store.journal import Journal
    from personadesk.store.paths import Folders


class Recovery:
    """What the guardian asks of deploys."""

    def __init__(self, engine: DeployEngine, journal: Journal, folders: Folders) -> None:
        self._engine = engine
        self._journal = journal
        self._folders = folders

    async def unfinished(self, line: str) -> dict[str, bool]:
        """Return the deploys for a line that are not finished: their ids, and whether somebody works on each."""
        return await self._unfinished(line, spares=False)

    async def unfinished_spares(self, line: str) -> dict[str, bool]:
        """Return the same for spares, to which no line leads."""
        return await self._unfinished(line, spares=True)

    async def _unfinished(self, line: str, *, spares: bool) -> dict[str, bool]:
        records = await self._journal.in_state(DeployState.RUNNING, DeployState.INTERRUPTED)
        return {
            record.plan.id: deploy_lock(self._folders, record.plan.id).holder() is not None
            for record in records
            if record.plan.line == line and (record.purpose is Purpose.SPARE) is spares
        }

    async def run(self, plan: Plan) -> None:
        """Run a deploy to its end, voice test and undo included.

        Raises:
            PersonaDeskError: It failed, and what it had begun is gone again or on record.
        """
        await self._run(plan, Purpose.DEPLOY)

    async def make_spare(self, plan: Plan) -> None:
        """Run a deploy to its end to which no line is led.

        Raises:
            PersonaDeskError: It failed, and what it had begun is gone again or on record.
        """
        await self._run(plan, Purpose.SPARE)

    async def _run(self, plan: Plan, purpose: Purpose) -> None:
        view = await (await self._engine.start(plan, purpose=purpose)).wait()
        if view.state is DeployState.DONE:
            return
        raise view.error or ProviderFault(
            T("The deploy was stopped before its end."), T("Start it again."), cause="stopped"
        )

    async def fetch_model(self, plan_id: str) -> None:
        """Get what is missing of a deploy's model, where it runs.

        Raises:
            PersonaDeskError: It could not be had.
        """
        await self._engine.again(plan_id, StepName.MODEL)

    async def undo(self, plan_id: str) -> None:
        """Remove what a deploy left.

        Raises:
            PersonaDeskError: Something would not go; it stays on record.
        """
        await self._engine.undo(plan_id)
