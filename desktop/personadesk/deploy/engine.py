"""Runs the steps of deploys, writes the journal before and after each, and cleans up whatever happens.

    start ──► steps in order ──► done
                 │  │  └─ killed ──► found by the next start: `interrupted` ──► resume | undo
                 │  └──── cancel ──► undo in reverse ──► cancelled
                 └─────── failure ─► undo in reverse ──► failed (may be resumed: done steps are found done)

A deploy's process holds a lock file as long as it works, so that a dead owner is told from a busy one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from personadesk.deploy.deployment import Deployment
from personadesk.deploy.step import Context
from personadesk.domain.errors import (
    BadRequest,
    HostUnfit,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    Unreachable,
)
from personadesk.domain.progress import DeployState, DeployView, StepState, StepView
from personadesk.domain.text import T, Text
from personadesk.store.instance import deploy_lock
from personadesk.store.journal import DeployRecord, Purpose, StepRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.deploy.step import Lines, Step
    from personadesk.domain.plan import Plan
    from personadesk.domain.progress import StepName
    from personadesk.hosts.servers import Servers
    from personadesk.store.journal import Journal
    from personadesk.store.locks import FileLock
    from personadesk.store.paths import Folders

log = logging.getLogger(__name__)

UNDO_SECONDS = 60.0


class DeployEngine:
    """All deploys of this process, and what earlier ones left."""

    def __init__(
        self,
        folders: Folders,
        journal: Journal,
        servers: Servers,
        lines: Lines,
        steps: Sequence[Step],
    ) -> None:
        self._folders = folders
        self._journal = journal
        self._servers = servers
        self._lines = lines
        self._steps = tuple(steps)
        self._running: dict[str, Deployment] = {}
        self._locks: dict[str, FileLock] = {}
        self._purposes: dict[str, Purpose] = {}
        self._interrupted: dict[str, DeployRecord] = {}

    # -- what there is ----------------------------------------------------------------------------------------

    def active(self) -> list[Deployment]:
        """Return the deploys of this process, oldest first; ended ones stay until the program ends."""
        return list(self._running.values())

    def interrupted(self) -> list[DeployView]:
        """Return the deploys that a dead process left in the middle, as of the last `refresh`."""
        return [
            self._view_of(record)
            for record in self._interrupted.values()
            if record.plan.id not in self._running
        ]

    async def refresh(self) -> list[DeployView]:
        """Look again for deploys whose process died; returns `interrupted()`."""
        records = await self._journal.in_state(DeployState.RUNNING, DeployState.INTERRUPTED)
        self._interrupted = {r.plan.id: r for r in records if self._is_orphan(r)}
        return self.interrupted()

    async def undo_dead_demos(self) -> list[str]:
        """Remove what demos left whose process died; returns their ids."""
        records = await self._journal.in_state(
            DeployState.RUNNING, DeployState.INTERRUPTED, DeployState.DONE
        )
        gone = []
        for record in records:
            if record.purpose is Purpose.DEMO and self._is_orphan(record):
                await self.undo(record.plan.id)
                gone.append(record.plan.id)
        return gone

    def _is_orphan(self, record: DeployRecord) -> bool:
        if record.plan.id in self._locks:
            return False
        return deploy_lock(self._folders, record.plan.id).holder() is None

    # -- what can be done -------------------------------------------------------------------------------------

    async def start(self, plan: Plan, *, purpose: Purpose = Purpose.DEPLOY) -> Deployment:
        """Begin a deploy; returns at once with what can be watched.

        Raises:
            BadRequest: A deploy of that id exists.
            PersonaDeskError: The journal cannot be written; nothing was begun then.
        """
        if await self._journal.load(plan.id) is not None:
            raise BadRequest(
                T("A deploy called {name} exists already.", name=plan.id),
                T("Resume or undo that one, or start a new one."),
                cause="exists",
            )
        return await self._launch(plan, purpose, {})

    async def resume(self, plan_id: str) -> Deployment:
        """Go on with a deploy that was interrupted, failed or cancelled; done steps are found done.

        Raises:
            NotFound: There is no such deploy.
            BadRequest: Another process works on it.
        """
        record = await self._load(plan_id)
        self._refuse_running(plan_id)
        return await self._launch(record.plan, record.purpose, dict(record.facts))

    async def again(self, plan_id: str, name: StepName) -> None:
        """Do one step of a finished deploy again, where what it made is lost; nothing else of it changes.

        Raises:
            NotFound: There is no such deploy.
            BadRequest: Another process works on it.
            PersonaDeskError: It cannot be done.
        """
        record = await self._load(plan_id)
        deployment = Deployment(self._view_of(record))
        self._take_lock(plan_id)
        try:
            context = self._context(deployment, record.plan, dict(record.facts))
            step = next(step for step in self._steps_of(record.plan) if step.name is name)
            try:
                async with asyncio.timeout(step.limit(context)):
                    if await step.done(context) is None:
                        await step.run(context)
            except TimeoutError as error:
                raise _too_long(deployment.step(name), step.limit(context)) from error
            except OSError as error:
                raise _disk(error) from error
        finally:
            self._release(plan_id)

    async def undo(self, plan_id: str) -> DeployView:
        """Remove all of a deploy that must not stay: its process and its line; caches and reports remain.

        A running one is cancelled first.

        Raises:
            NotFound: There is no such deploy.
            BadRequest: Another process works on it.
            PersonaDeskError: Something would not go away; the deploy stays on record as interrupted.
        """
        running = self._running.get(plan_id)
        if running is not None:
            running.cancel()
            view = await running.wait()
            if view.state is DeployState.CANCELLED:
                return view
        record = await self._load(plan_id)
        fresh = self._view_of(record)
        # A spare that took over has a step more than it had while it was made.
        same = running is not None and running.raw.spare is fresh.spare
        deployment = running if running is not None and same else Deployment(fresh)
        self._take_lock(plan_id)
        try:
            context = self._context(deployment, record.plan, dict(record.facts))
            # Until all is gone it counts as interrupted, so that a kill in the middle is found and finished.
            await self._journal.set_state(plan_id, DeployState.INTERRUPTED)
            await self._write(plan_id, await self._undo_steps(deployment, context), context)
            await self._journal.set_state(plan_id, DeployState.UNDONE, ended=time.time())
        finally:
            self._release(plan_id)
        self._interrupted.pop(plan_id, None)
        deployment.set(replace(deployment.raw, state=DeployState.UNDONE, line_url=None))
        return deployment.view

    async def keep(self, plan_id: str) -> None:
        """Let a demo's deploy stay: from now on it is one like any other."""
        record = await self._load(plan_id)
        await self._settle(self._context(self._running[plan_id], record.plan, dict(record.facts)))
        await self._journal.set_purpose(plan_id, Purpose.DEPLOY)
        self._purposes[plan_id] = Purpose.DEPLOY
        self._release(plan_id)

    async def close(self) -> None:
        """Cancel what runs, wait for its undo, and let go of the locks."""
        for deployment in self._running.values():
            deployment.cancel()
        for deployment in self._running.values():
            await deployment.wait()
        for plan_id in tuple(self._locks):
            self._release(plan_id)

    # -- how it is done ---------------------------------------------------------------------------------------

    async def _launch(self, plan: Plan, purpose: Purpose, facts: dict[str, Any]) -> Deployment:
        self._take_lock(plan.id)
        try:
            await self._journal.begin(plan, purpose, time.time())
        except BaseException:
            self._release(plan.id)
            raise
        self._purposes[plan.id] = purpose
        self._interrupted.pop(plan.id, None)
        deployment = Deployment(
            DeployView(
                plan,
                DeployState.RUNNING,
                self._fresh_steps(plan),
                started=time.time(),
                spare=purpose is Purpose.SPARE,
            )
        )
        self._running[plan.id] = deployment
        context = self._context(deployment, plan, facts)
        task = asyncio.create_task(self._work(deployment, context), name=f"deploy {plan.id}")
        deployment.attach(task)
        return deployment

    async def _work(self, deployment: Deployment, context: Context) -> None:
        plan_id = context.plan.id
        try:
            await self._run_steps(deployment, context)
            if self._purposes[plan_id] is not Purpose.DEMO:
                await self._settle(context)
            await self._journal.set_state(plan_id, DeployState.DONE, ended=time.time())
        except asyncio.CancelledError:
            await self._finish(deployment, context, DeployState.CANCELLED, None)
        except PersonaDeskError as error:
            await self._finish(deployment, context, DeployState.FAILED, error)
        except Exception as error:
            log.exception("The deploy %s met an error of our own", plan_id)
            await self._finish(deployment, context, DeployState.FAILED, _our_fault(error))
        else:
            if self._purposes[plan_id] is not Purpose.DEMO:
                self._release(plan_id)
            deployment.set(replace(deployment.raw, state=DeployState.DONE))

    async def _finish(
        self,
        deployment: Deployment,
        context: Context,
        state: DeployState,
        error: PersonaDeskError | None,
    ) -> None:
        """Undo and write down the end; a second cancel does not disturb it."""
        work = asyncio.ensure_future(self._clean_up(deployment, context, state, error))
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                continue
        work.result()

    async def _clean_up(
        self,
        deployment: Deployment,
        context: Context,
        state: DeployState,
        error: PersonaDeskError | None,
    ) -> None:
        plan_id = context.plan.id
        ended = self._end_steps(deployment, context, error)
        context.ending = state
        if error is not None and ended:
            context.failure = (ended[0].name, error)
        try:
            # First of all nothing may be left running; a journal on a full disk must not stand in the way.
            ended += await self._undo_steps(deployment, context)
            await self._write(plan_id, ended, context)
            await self._journal.set_state(plan_id, state, ended=time.time(), error=error)
        except Exception as trouble:
            known = trouble if isinstance(trouble, PersonaDeskError) else _our_fault(trouble)
            log.warning("The deploy %s could not be undone: %s", plan_id, trouble, exc_info=True)
            deployment.add_line(
                "deploy", T("{what} {next}", what=known.what, next=known.next), True
            )
            # On record it stays unfinished, so that the next start tries again.
            state, error = DeployState.INTERRUPTED, error or known
        finally:
            self._release(plan_id)
            deployment.set(replace(deployment.raw, state=state, error=error, line_url=None))

    async def _settle(self, context: Context) -> None:
        for step in self._steps_of(context.plan):
            await step.settle(context)

    async def _run_steps(self, deployment: Deployment, context: Context) -> None:
        for step in self._steps_of(context.plan):
            began = time.time()
            await self._journal.begin_step(context.plan.id, step.name, began)
            view = deployment.set_step(step.name, StepState.RUNNING, fraction=None)
            try:
                async with asyncio.timeout(step.limit(context)):
                    there = await step.done(context)
                    doing = there or await step.run(context)
            except TimeoutError as error:
                raise _too_long(view, step.limit(context)) from error
            except OSError as error:
                raise _disk(error) from error
            state = StepState.SKIPPED if there else StepState.DONE
            view = deployment.set_step(step.name, state, doing=doing, fraction=1.0)
            deployment.set(_with_results(deployment.raw, context))
            self._log_line(deployment, step.name, str(doing), False)
            record = StepRecord(step.name, state, doing, began, view.seconds)
            await self._journal.end_step(context.plan.id, record, context.facts)

    def _end_steps(
        self, deployment: Deployment, context: Context, error: PersonaDeskError | None
    ) -> list[StepView]:
        """End the step that runs; return it as it is to be written down."""
        ended = []
        for step in deployment.raw.steps:
            if step.state is StepState.RUNNING:
                state = StepState.FAILED if error is not None else StepState.CANCELLED
                ended.append(deployment.set_step(step.name, state, error=error))
                deployment.set(_with_results(deployment.raw, context))
        if error is not None:
            source = ended[0].name if ended else "deploy"
            self._log_line(deployment, source, str(error.what), True)
            if error.details:
                self._log_line(deployment, source, error.details, True)
        return ended

    async def _undo_steps(self, deployment: Deployment, context: Context) -> list[StepView]:
        """Undo in reverse; return the steps of which something was undone."""
        undone = []
        for step in reversed(self._steps_of(context.plan)):
            try:
                async with asyncio.timeout(UNDO_SECONDS):
                    if not await step.undo(context):
                        continue
            except TimeoutError as error:
                raise _too_long(deployment.step(step.name), UNDO_SECONDS) from error
            self._log_line(deployment, step.name, "undone", False)
            if deployment.step(step.name).state not in {StepState.FAILED, StepState.CANCELLED}:
                undone.append(deployment.set_step(step.name, StepState.UNDONE))
        return undone

    async def _write(self, plan_id: str, steps: Sequence[StepView], context: Context) -> None:
        for view in steps:
            record = StepRecord(
                view.name, view.state, view.doing, time.time() - view.seconds, view.seconds,
                view.error,
            )  # fmt: skip
            await self._journal.end_step(plan_id, record, context.facts)

    def _context(self, deployment: Deployment, plan: Plan, facts: dict[str, Any]) -> Context:
        def tell(text: Any, fraction: float | None) -> None:
            running = next((s for s in deployment.raw.steps if s.state is StepState.RUNNING), None)
            if running is not None:
                deployment.progress(running.name, doing=text, fraction=fraction)

        def take(source: str, text: Text | str, warning: bool) -> None:
            self._log_line(deployment, source, text, warning)

        return Context(
            plan, self._folders, self._journal, self._servers, self._lines, facts, tell, take
        )

    def _log_line(
        self, deployment: Deployment, source: str, text: Text | str, warning: bool
    ) -> None:
        line = deployment.add_line(source, text, warning)
        # Warnings of a deploy are part of its story; they are not warnings of this program.
        log.info("%s %s: %s", deployment.raw.plan.id, source, line.text)

    def _steps_of(self, plan: Plan) -> tuple[Step, ...]:
        spare = self._purposes.get(plan.id) is Purpose.SPARE
        return tuple(s for s in self._steps if s.applies(plan) and not (spare and s.leads))

    def _fresh_steps(self, plan: Plan) -> tuple[StepView, ...]:
        steps = self._steps_of(plan)
        return tuple(StepView(s.name, s.title, expected=s.expected_s) for s in steps)

    def _view_of(self, record: DeployRecord) -> DeployView:
        self._know(record)
        steps = []
        for view in self._fresh_steps(record.plan):
            if known := record.steps.get(view.name):
                # A step that runs in a deploy that does not is where it was cut off.
                cut = known.state is StepState.RUNNING
                view = replace(
                    view,
                    state=StepState.CANCELLED if cut else known.state,
                    doing=known.doing,
                    seconds=known.seconds,
                    error=known.error,
                )
            steps.append(view)
        cut = record.state is DeployState.RUNNING
        return DeployView(
            record.plan,
            DeployState.INTERRUPTED if cut else record.state,
            tuple(steps),
            started=record.started,
            seconds=sum(step.seconds for step in steps),
            line_url=record.facts.get("line_url") if record.state is DeployState.DONE else None,
            report_dir=record.facts.get("report_dir"),
            error=record.error,
            spare=record.purpose is Purpose.SPARE,
        )

    async def _load(self, plan_id: str) -> DeployRecord:
        record = await self._journal.load(plan_id)
        if record is None:
            raise NotFound(
                T("There is no deploy called {name}.", name=plan_id),
                T("Start a new one."),
                cause="no_deploy",
            )
        self._know(record)
        return record

    def _know(self, record: DeployRecord) -> None:
        """Hold to what the journal says it is for: a spare becomes a line's voice without a deploy, and back."""
        self._purposes[record.plan.id] = record.purpose

    def _refuse_running(self, plan_id: str) -> None:
        running = self._running.get(plan_id)
        if running is not None and running.raw.state is DeployState.RUNNING:
            raise _busy(plan_id)

    def _take_lock(self, plan_id: str) -> None:
        if plan_id in self._locks:
            return
        lock = deploy_lock(self._folders, plan_id)
        if not lock.acquire(plan=plan_id):
            raise _busy(plan_id)
        self._locks[plan_id] = lock

    def _release(self, plan_id: str) -> None:
        lock = self._locks.pop(plan_id, None)
        if lock is not None:
            lock.release()


def _with_results(view: DeployView, context: Context) -> DeployView:
    return replace(
        view,
        report=context.report,
        report_dir=context.facts.get("report_dir"),
        line_url=context.facts.get("line_url"),
    )


def _busy(plan_id: str) -> BadRequest:
    return BadRequest(
        T("The deploy {name} is being worked on already.", name=plan_id),
        T("Wait until it has ended."),
        cause="busy",
    )


def _too_long(step: StepView, limit_s: float) -> Unreachable:
    return Unreachable(
        T(
            "The step “{step}” took longer than {seconds} seconds.",
            step=str(step.title), seconds=round(limit_s),
        ),
        T("Try again; if it stays so, look at what it did last in the details."),
        cause="step_timeout",
        details=str(step.doing),
    )  # fmt: skip


def _disk(error: OSError) -> PersonaDeskError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return HostUnfit(
            T("The disk is full."),
            T("Free some space, then try again."),
            cause="disk_full",
            details=str(error),
        )
    return HostUnfit(
        T("A file or folder could not be used: {reason}", reason=error.strerror or str(error)),
        T("Look at the details, mend it, then try again."),
        cause="files",
        details=str(error),
    )


def _our_fault(error: BaseException) -> ProviderFault:
    return ProviderFault(
        T("PersonaDesk met an error of its own."),
        T("Try again; if it stays so, send us the details."),
        cause="bug",
        details="".join(traceback.format_exception(error))[-4000:],
        retryable=False,
    )
