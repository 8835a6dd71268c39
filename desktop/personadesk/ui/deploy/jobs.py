"""The deploys that the window knows, running and ended, and what can be asked of them. Outlives the page.

Engine and services are handed in when they are open; what is asked earlier waits for them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, Signal

from personadesk.domain.progress import DeployState, DeployView
from personadesk.domain.text import Text
from personadesk.ui.deploy import flow
from personadesk.ui.messages import bus
from personadesk.ui.spawn import spawn
from personadesk.ui.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from personadesk.domain.plan import Plan
    from personadesk.domain.progress import LogLine
    from personadesk.domain.report import VoiceReport

    Holder = Callable[[str], Awaitable[None]]
    Tester = Callable[
        [DeployView, Callable[[float, Text], None]], Awaitable[tuple[VoiceReport, str]]
    ]

__all__ = ["Engine", "Job", "Jobs"]

JOINED_MS = 100
ENDED = frozenset({DeployState.DONE, DeployState.FAILED, DeployState.CANCELLED, DeployState.UNDONE})


class Deployment(Protocol):
    """What a job needs of the engine's deploy."""

    @property
    def view(self) -> DeployView:
        """Where it is."""

    @property
    def logged(self) -> int:
        """How many lines were ever logged."""

    def log_since(self, count: int) -> tuple[LogLine, ...]:
        """Return the lines after the first `count`."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call after changes."""

    def cancel(self) -> None:
        """Stop and undo."""


class Engine(Protocol):
    """What the window needs of the deploy engine."""

    def active(self) -> Sequence[Deployment]:
        """Return the deploys of this process."""

    async def refresh(self) -> Sequence[DeployView]:
        """Return the deploys that a dead process left."""

    async def start(self, plan: Plan) -> Deployment:
        """Begin."""

    async def resume(self, plan_id: str) -> Deployment:
        """Go on."""

    async def undo(self, plan_id: str) -> DeployView:
        """Remove what is left."""


class Job(QObject):
    """One deploy.

    Signals:
        changed: It is somewhere else now; at most ten times a second.
        ended: It came to an end.
    """

    changed = Signal()
    ended = Signal()

    def __init__(self, view: DeployView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._view = view
        self._deployment: Deployment | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._announce = Throttle(self.changed.emit, JOINED_MS, self)
        self.testing: Text | None = None

    @property
    def id(self) -> str:
        """The plan's tag."""
        return self._view.plan.id

    @property
    def view(self) -> DeployView:
        """Where it is at this moment."""
        if self._deployment is not None and self._view.state is DeployState.RUNNING:
            return self._deployment.view
        return self._view

    @property
    def is_running(self) -> bool:
        """Whether it is under way."""
        return self.view.state is DeployState.RUNNING

    @property
    def logged(self) -> int:
        """How many lines were ever logged."""
        return self._deployment.logged if self._deployment is not None else 0

    def log_since(self, count: int) -> tuple[LogLine, ...]:
        """Return the lines after the first `count`."""
        return self._deployment.log_since(count) if self._deployment is not None else ()

    def follow(self, deployment: Deployment) -> None:
        """Show what the engine does with it from now on."""
        self.let_go()
        self._deployment = deployment
        self._view = deployment.view
        self._unsubscribe = deployment.subscribe(self._moved)
        self.changed.emit()

    def let_go(self) -> None:
        """Listen to the engine no more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._announce.stop()

    def show_view(self, view: DeployView) -> None:
        """Show another state, for example with a newer report."""
        self._view = view
        self.changed.emit()

    def cancel(self) -> None:
        """Stop it and undo what was begun."""
        if self._deployment is not None:
            self._deployment.cancel()

    def _moved(self) -> None:
        if self._deployment is None:
            return
        before, self._view = self._view.state, self._deployment.view
        self._announce()
        if before is DeployState.RUNNING and self._view.state is not DeployState.RUNNING:
            self._announce.flush()
            self.ended.emit()


class Jobs(QObject):
    """All deploys of the window, the draft of the next one, and which of them is shown.

    Signals:
        changed: Others are known, or another one is shown.
        progressed: One of them is somewhere else now.
        redrafted: The wizard is wanted, with another draft.
        ended: A deploy came to an end (the job).
    """

    changed = Signal()
    progressed = Signal()
    redrafted = Signal()
    ended = Signal(object)

    def __init__(
        self,
        engine: Callable[[], Awaitable[Engine]],
        world: flow.World,
        tester: Tester,
        parent: QObject | None = None,
        *,
        holder: Holder | None = None,
        next_plan: Callable[[Plan], Awaitable[Plan]] | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            engine: Waits until the services are open.
            world: What the wizard's rules have to know.
            tester: Tests a finished deploy's voice again and saves the report.
            holder: Keeps the rented machine of a deploy (its tag) for half an hour, whatever becomes of the deploy.
            next_plan: Returns the plan with the next offer for one whose machine did not do.
        """
        super().__init__(parent)
        self._engine = engine
        self.world = world
        self._tester = tester
        self._holder = holder
        self._next_plan = next_plan
        self._jobs: list[Job] = []
        self._shown: Job | None = None
        self.draft: flow.Draft | None = None
        self.page = flow.Page.WHERE

    @property
    def all(self) -> tuple[Job, ...]:
        """All that are known, oldest first."""
        return tuple(self._jobs)

    @property
    def running(self) -> tuple[Job, ...]:
        """Those under way."""
        return tuple(job for job in self._jobs if job.is_running)

    @property
    def interrupted(self) -> tuple[Job, ...]:
        """Those that a dead process left in the middle."""
        return tuple(job for job in self._jobs if job.view.state is DeployState.INTERRUPTED)

    @property
    def shown(self) -> Job | None:
        """The one that the page shows; None shows the wizard."""
        return self._shown

    def of_line(self, name: str) -> Job | None:
        """Return the newest deploy of a line."""
        return next((job for job in reversed(self._jobs) if job.view.plan.line == name), None)

    def find(self, plan_id: str) -> Job | None:
        """Return the deploy of that tag."""
        return next((job for job in self._jobs if job.id == plan_id), None)

    def show(self, job: Job | None) -> None:
        """Show one, or the wizard."""
        if job is not self._shown:
            self._shown = job
            self.changed.emit()

    def start(self, plan: Plan) -> None:
        """Begin a deploy and show it."""
        spawn(self.begin(plan), f"start {plan.id}", owner=self)

    def retry(self, job: Job) -> None:
        """Go on with one that failed, was stopped or was cut off."""
        spawn(self._resume(job), f"resume {job.id}", owner=self)

    def undo(self, job: Job) -> None:
        """Remove what one left behind."""
        spawn(self._undo(job), f"undo {job.id}", owner=self)

    def change(self, job: Job) -> None:
        """Back to the wizard with the choices of one."""
        plan = job.view.plan
        self.redraft(flow.draft_of(plan), flow.Page.MODEL if plan.rent is None else flow.Page.GPU)

    def stop_and_keep(self, job: Job) -> None:
        """Stop one, and keep its rented machine for half an hour; it is ended afterwards."""
        spawn(self._stop_and_keep(job), f"stop {job.id}, keep its machine", owner=self)

    def take_next_offer(self, job: Job) -> None:
        """Begin again with another offer than those that one tried."""
        spawn(self._take_next_offer(job), f"next offer for {job.id}", owner=self)

    def redraft(self, draft: flow.Draft, page: flow.Page) -> None:
        """Show the wizard with other choices than it has."""
        self.draft, self.page = draft, page
        self._shown = None
        self.redrafted.emit()

    def test_again(self, job: Job) -> None:
        """Test the voice of a finished one again; its report is replaced."""
        if job.testing is not None:
            return
        job.testing = Text("")

        def failed(error: Exception) -> None:
            job.testing = None
            job.changed.emit()
            bus().error(error)

        spawn(self._test(job), f"test {job.id}", owner=self, failed=failed)

    def add(self, view: DeployView) -> Job:
        """Know another deploy."""
        job = Job(view, self)
        job.changed.connect(self.progressed)
        job.ended.connect(lambda: self._has_ended(job))
        self._jobs.append(job)
        return job

    def add_tested(self, plan: Plan, line_url: str, started: float) -> Job:
        """Know a deploy of an earlier day, whose voice is about to be tested."""
        return self.add(DeployView(plan, DeployState.DONE, (), started=started, line_url=line_url))

    def forget(self, job: Job) -> None:
        """Show an ended one no more."""
        if job in self._jobs and not job.is_running:
            self._jobs.remove(job)
            job.let_go()
            job.deleteLater()
            if job is self._shown:
                self._shown = None
            self.changed.emit()

    async def look(self) -> None:
        """Find the deploys of this process, and those a dead one left."""
        engine = await self._engine()
        for deployment in engine.active():
            view = deployment.view
            # What is made to stand by is the guardian's, and tells of itself in the line's log.
            if not view.spare and self.find(view.plan.id) is None:
                self.add(deployment.view).follow(deployment)
        for view in await engine.refresh():
            if not view.spare and self.find(view.plan.id) is None:
                self.add(view)
        self.changed.emit()

    async def begin(self, plan: Plan) -> None:
        """Begin a deploy and show it; returns when it has begun.

        Raises:
            PersonaDeskError: It could not even begin.
        """
        engine = await self._engine()
        deployment = await engine.start(plan)
        job = self.add(deployment.view)
        job.follow(deployment)
        self.draft, self.page = None, flow.Page.WHERE
        self._shown = job
        self.changed.emit()

    async def _stop_and_keep(self, job: Job) -> None:
        if self._holder is not None:
            await self._holder(job.id)
        job.cancel()

    async def _take_next_offer(self, job: Job) -> None:
        if self._next_plan is not None:
            await self.begin(await self._next_plan(job.view.plan))
            self.forget(job)

    async def _resume(self, job: Job) -> None:
        engine = await self._engine()
        job.follow(await engine.resume(job.id))
        self.changed.emit()

    async def _undo(self, job: Job) -> None:
        engine = await self._engine()
        view = await engine.undo(job.id)
        job.let_go()
        job.show_view(view)
        self.changed.emit()

    async def _test(self, job: Job) -> None:
        def told(_fraction: float, doing: Text) -> None:
            job.testing = doing
            job.changed.emit()

        job.changed.emit()
        report, folder = await self._tester(job.view, told)
        job.testing = None
        job.show_view(replace(job.view, report=report, report_dir=folder))

    def _has_ended(self, job: Job) -> None:
        self.ended.emit(job)
        self.changed.emit()
