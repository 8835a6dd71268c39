"""Keeps the spares of lines, second voices that stand by: looks, asks the rules (`domain/sparing.py`), and does it.

A spare is a deploy like any other, with its own record (purpose `spare`), to which no line leads. What is done for it
runs beside the guardian's own work, so that nobody waits for it but the spare. What it does is in the log before it
is done.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from personadesk.domain import sparing
from personadesk.domain.errors import BadRequest, NoCapacity, PersonaDeskError, Unreachable
from personadesk.domain.guarding import OF_SPARES, Box, Deed, Voice, Work
from personadesk.domain.line import Target
from personadesk.domain.plan import RENT, new_plan_id
from personadesk.domain.progress import DeployState
from personadesk.domain.reputation import BOX_TROUBLE
from personadesk.domain.sparing import SpareSeen
from personadesk.domain.text import T
from personadesk.domain.wish import Place, plan_for
from personadesk.hosts import health
from personadesk.lines import causes
from personadesk.store.wishes import Entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from personadesk.domain.guarding import Decision, Done, Observed
    from personadesk.domain.line import Line
    from personadesk.domain.plan import Plan
    from personadesk.domain.reputation import Kind
    from personadesk.domain.text import Text
    from personadesk.domain.wish import Wish
    from personadesk.hosts.servers import Servers
    from personadesk.lines.service import LineService
    from personadesk.store.journal import DeployRecord, Journal
    from personadesk.store.wishes import WishStore

log = logging.getLogger(__name__)

PROVE_SECONDS = 300.0
"""A spare is called so often, as a voice that nobody calls is."""
BLINK_SECONDS = 10.0
"""A spare that has not answered for less than this is late, not down."""
BOX_SECONDS = 10.0
"""So often a provider is asked at most for the machine of a spare that does not answer."""
MOVED = T("You moved the line to its spare, and the voice before stands by.")
LINE_REMOVED = T("The line is not there any more.")


class Machines(Protocol):
    """What is needed of rented machines; they live beside this."""

    async def box(self, tag: str) -> Box:
        """Return how a deploy's machine stands."""

    async def blame(self, tag: str, kind: Kind | None) -> None:
        """Remember what was wrong with a deploy's machine."""

    async def end(self, tag: str) -> None:
        """End whatever is rented for a deploy; returns when the provider has taken it.

        Raises:
            PersonaDeskError: It did not take it; the record says that it must end.
        """

    async def gone(self, tag: str) -> None:
        """Wait until the provider says that an ended machine is gone.

        Raises:
            PersonaDeskError: It does not say so.
        """


class Deploys(Protocol):
    """What is needed of deploys; they live beside this."""

    async def unfinished_spares(self, line: str) -> dict[str, bool]:
        """Return unfinished spares of a line, and whether somebody works on each."""

    async def make_spare(self, plan: Plan) -> None:
        """Deploy one to its end.

        Raises:
            PersonaDeskError: It failed.
        """

    async def undo(self, plan_id: str) -> None:
        """Remove what a deploy made or left; one that runs is stopped first.

        Raises:
            PersonaDeskError: Something would not go.
        """


@dataclass(frozen=True, slots=True)
class Standing:
    """A spare as people are told of it.

    Attributes:
        tag: Its deploy.
        place: Key of the place where it stands.
        making: Whether it is not finished yet.
        answers: Whether it says now that it takes calls.
    """

    tag: str
    place: str
    making: bool
    answers: bool


@dataclass(slots=True)
class _Known:
    """What is remembered of a spare between looks.

    Attributes:
        well: Unix time at which it answered last.
        proven: Unix time of its last proof call.
        missed: Proof calls in a row that it missed.
        box: How its machine stood when it was asked last.
        asked: Unix time of that.
        calling: The proof call under way.
    """

    well: float
    proven: float = 0.0
    missed: int = 0
    box: Box = Box.RUNNING
    asked: float = 0.0
    calling: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Work:
    """What is being done for a line's spare.

    Attributes:
        task: It.
        deed: What.
        ended: Whether it was ended on purpose, which is no failure.
    """

    task: asyncio.Task[None]
    deed: Deed
    ended: bool = False


@dataclass(slots=True)
class Spares:
    """All spares.

    Attributes:
        lines: The lines.
        wishes: What they shall be, and the log.
        servers: The voice servers.
        journal: The deploys that were made.
        machines: Rented machines.
        deploys: Makes and removes deploys.
        prove: Calls a voice, hears a frame of it and hangs up.
        clock: Unix time.
    """

    lines: LineService
    wishes: WishStore
    servers: Servers
    journal: Journal
    machines: Machines
    deploys: Deploys
    prove: Callable[[str], Awaitable[None]]
    clock: Callable[[], float] = time.time
    _known: dict[str, _Known] = field(default_factory=dict)
    _work: dict[str, _Work] = field(default_factory=dict)
    _ending: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def stop(self) -> None:
        """End what is under way; the log says so, and the next start goes on from the record."""
        calls = [each.calling for each in self._known.values() if each.calling is not None]
        tasks = [*(each.task for each in self._work.values()), *self._ending.values(), *calls]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._work.clear()
        self._ending.clear()

    # -- looking ----------------------------------------------------------------------------------------------

    async def standing(self, line: Line) -> Standing | None:
        """Return a line's spare for people to see, None where there is none; nothing is done and no provider asked."""
        record = await self._record(line)
        if record is None:
            return None
        key = Place(record.plan.place, record.plan.rent).key
        if record.state is not DeployState.DONE:
            return Standing(record.plan.id, key, making=True, answers=False)
        server = await self.servers.store.get(record.plan.id)
        answer = await health.ask(server.url) if server is not None else None
        answers = answer is not None and answer.takes_calls
        return Standing(record.plan.id, key, making=False, answers=answers)

    async def _record(self, line: Line) -> DeployRecord | None:
        here = line.target.server_id if line.target is not None else ""
        found = (r for r in await self.journal.spares(line.name) if r.plan.id != here)
        # There is one; after a crash the others are seen to when it is gone.
        return next(found, None)

    async def find(self, line: Line) -> SpareSeen:
        """Return a line's spare as it is now; nothing is found where there is none."""
        record = await self._record(line)
        if record is None:
            return SpareSeen()
        plan = record.plan
        rented = plan.place == RENT
        key = Place(plan.place, plan.rent).key
        unfinished = await self.deploys.unfinished_spares(line.name)
        if plan.id in unfinished:
            work = Work.RUNNING if unfinished[plan.id] else Work.OURS_LEFT
            box = Box.CHANGING if rented else Box.OURS
            return SpareSeen(plan.id, key, Voice.ABSENT, record.started, box, work, plan.model)
        if self._is_ending(line.name):
            # Nothing goes over to what will not be there in a moment.
            box = Box.CHANGING if rented else Box.OURS
            return SpareSeen(plan.id, key, Voice.STOPPED, self.clock(), box, model=plan.model)
        known = self._known.setdefault(plan.id, _Known(self.clock()))
        voice = await self._voice(plan.id, known)
        if voice is Voice.UP:
            known.well, known.box = self.clock(), Box.RUNNING
        box = await self._box(plan.id, known) if rented else Box.OURS
        if voice is not Voice.UP and self.clock() - known.well < BLINK_SECONDS:
            voice = Voice.STARTING
        return SpareSeen(plan.id, key, voice, known.well, box, Work.NONE, plan.model)

    async def _voice(self, tag: str, known: _Known) -> Voice:
        server = await self.servers.store.get(tag)
        if server is None:
            return Voice.DEAD
        found = await health.ask(server.url)
        if found is None:
            status = await self.servers.status(tag)
            return Voice.SILENT if status is not None and status.alive else Voice.DEAD
        if not found.takes_calls:
            return Voice.FAILED if found.state == "failed" else Voice.STARTING
        due = known.missed or self.clock() - known.proven >= PROVE_SECONDS
        if due and (known.calling is None or known.calling.done()):
            # Beside everything else: the guardian's next look at the line must not wait for it.
            known.calling = asyncio.create_task(
                self._call(tag, server.url, known), name=f"prove spare {tag}"
            )
        return Voice.MUTE if known.missed > 1 else Voice.UP

    async def _call(self, tag: str, url: str, known: _Known) -> None:
        known.proven = self.clock()
        try:
            await self.prove(url)
        except NoCapacity:
            # Somebody talks to it still: it was the line's voice a moment ago.
            return
        except PersonaDeskError as error:
            known.missed += 1
            log.info("The spare %s was called and did not answer: %s", tag, error.what)
        else:
            known.missed = 0

    async def _box(self, tag: str, known: _Known) -> Box:
        """Return how the machine stands; that it is gone is believed when it is seen twice."""
        if known.well == self.clock() or self.clock() - known.asked < BOX_SECONDS:
            return known.box
        before, known.asked = known.box, self.clock()
        known.box = await self.machines.box(tag)
        if known.box is Box.GONE and before not in {Box.GONE, Box.CHANGING}:
            known.box = Box.CHANGING
        return known.box

    # -- doing ------------------------------------------------------------------------------------------------

    async def tend(
        self, line: Line, wish: Wish, seen: Observed, found: SpareSeen, past: Sequence[Done]
    ) -> Decision | None:
        """Do the next thing for a line's spare, beside whatever else is done; returns what was decided."""
        decision = sparing.decide(wish, seen, found, past, self.clock())
        if decision is None or self._is_ending(line.name):
            return None
        if decision.deed in {Deed.NO_SPARE, Deed.SPARE_READY}:
            await self._note(line.name, decision, found.place)
            return decision
        work = self._work.get(line.name)
        if work is not None and not work.task.done():
            if work.deed is Deed.MAKE_SPARE and decision.deed is Deed.END_SPARE and not work.ended:
                work.ended = True
                await self._begin_end(line.name, found, decision.why)
            return decision
        if decision.deed is Deed.END_SPARE:
            await self._begin_end(line.name, found, decision.why)
            return decision
        plan = None
        if decision.deed is Deed.MAKE_SPARE and decision.place is not None:
            plan = plan_for(wish, decision.place, new_plan_id(), line.port, spent=seen.spent)
        task = asyncio.create_task(
            self._do(line.name, decision, plan, found), name=f"spare of {line.name}"
        )
        self._work[line.name] = _Work(task, decision.deed)
        return decision

    async def take_over(self, line: Line, found: SpareSeen) -> None:
        """Lead a line to its spare; what was behind it is the spare from then on.

        Raises:
            Unreachable: The spare does not answer.
            BadRequest: The line leads elsewhere meanwhile.
        """
        server = await self.servers.get(found.tag)
        answer = await health.ask(server.url)
        if answer is None or not answer.takes_calls:
            raise Unreachable(T("The spare does not answer."), T("Wait until it is mended."))
        old = line.target.server_id if line.target is not None else None
        target = Target(server.url, found.tag)
        if not await self.journal.switch(line.name, old, target, self.clock()):
            raise BadRequest(
                T("The line leads elsewhere meanwhile."), T("Nothing needs to be done."),
                cause="led_elsewhere",
            )  # fmt: skip
        if old is not None:
            # How long it has been down counts from here; it gets its time to be mended.
            self._known[old] = _Known(self.clock(), self.clock())
        await self.lines.refresh()

    async def move(self, line: Line, place: str) -> bool:
        """Lead a line to its spare because a person wants it there; the voice before stands by then, as it is.

        Returns:
            Whether the spare stands there and answers; else nothing was done.

        Raises:
            PersonaDeskError: It fell silent at this moment, or the line leads elsewhere meanwhile.
        """
        there = await self.standing(line)
        if there is None or there.place != place or not there.answers:
            return False
        await self.take_over(line, SpareSeen(there.tag, there.place))
        await self.wishes.begin(
            Entry(line.name, self.clock(), Deed.SPARE_READY, "", MOVED, worked=True)
        )  # fmt: skip
        return True

    async def end_all(self, name: str, why: Text) -> None:
        """End every spare of a line; returns when their providers have taken it, and the record has the rest.

        Raises:
            PersonaDeskError: Something would not go; the record says that it must end.
        """
        for record in await self.journal.spares(name):
            work = self._work.get(name)
            if work is not None:
                work.ended = True
            await self._end(name, record, why, wait=False)

    async def sweep(self) -> None:
        """End the spares of lines that are not there any more, as after a crash while one was removed."""
        names = {line.name for line in await self.lines.all()}
        for record in await self.journal.spares():
            name = record.plan.line
            if name not in names and name not in self._ending:
                await self._begin_end(name, SpareSeen(record.plan.id), LINE_REMOVED)

    def _is_ending(self, name: str) -> bool:
        lock, task = self._locks.get(name), self._ending.get(name)
        return (lock is not None and lock.locked()) or (task is not None and not task.done())

    async def _begin_end(self, name: str, found: SpareSeen, why: Text) -> None:
        running = self._ending.get(name)
        if running is not None and not running.done():
            return
        record = await self.journal.load(found.tag)
        if record is None:
            return
        if found.box in BOX_TROUBLE:
            # Before it ends: what was wrong with it counts when the next one is chosen.
            await self.machines.blame(found.tag, BOX_TROUBLE[found.box])
        self._ending[name] = asyncio.create_task(
            self._ended(name, record, why), name=f"end spare of {name}"
        )

    async def _ended(self, name: str, record: DeployRecord, why: Text) -> None:
        try:
            await self._end(name, record, why, wait=True)
        except PersonaDeskError as error:
            # It is in the line's log; the next look tries again after a pause.
            log.info("The spare %s does not go yet: %s", record.plan.id, error.what)

    async def _end(self, name: str, record: DeployRecord, why: Text, *, wait: bool) -> None:
        async with self._locks.setdefault(name, asyncio.Lock()):
            tag = record.plan.id
            if tag not in {each.plan.id for each in await self.journal.spares(name)}:
                return
            key = Place(record.plan.place, record.plan.rent).key
            began = time.monotonic()
            number = await self.wishes.begin(
                Entry(name, self.clock(), Deed.END_SPARE, key, why)
            )  # fmt: skip
            log.info("The spare %s of the line %s is ended. %s", tag, name, why)
            outcome = ""
            try:
                await self._remove(name, tag, wait=wait)
            except PersonaDeskError as error:
                outcome = f"{error.what} {error.next}"
                raise
            finally:
                await self.wishes.end(
                    number, at=self.clock(), worked=not outcome, outcome=outcome,
                    seconds=time.monotonic() - began,
                )  # fmt: skip
            self._known.pop(tag, None)

    async def _remove(self, name: str, tag: str, *, wait: bool) -> None:
        unfinished = await self.deploys.unfinished_spares(name)
        if not unfinished.get(tag):
            # The machine first: one that is not reached can be ended by its provider all the same. One that is being
            # made is stopped first instead, or it would take the next offer.
            await self.servers.dispose(tag)
            if wait:
                await self.machines.gone(tag)
            elif tag not in unfinished:
                # Whoever stops a line does not wait for its spare; the record of rentals has it until it is gone.
                await self.machines.end(tag)
                await self.journal.set_state(tag, DeployState.UNDONE, ended=self.clock())
                return
        try:
            await self.deploys.undo(tag)
        except BadRequest as error:
            # Another process of ours is at it, which sees the same wish.
            if error.cause != "busy":
                raise

    async def _note(self, name: str, decision: Decision, place: str) -> None:
        entries = [each for each in await self.wishes.log(name) if each.deed in OF_SPARES]
        last = entries[-1] if entries else None
        same = last is not None and last.deed is decision.deed and last.why == decision.why
        if same and decision.deed is Deed.NO_SPARE:
            return
        log.info("The spare of the line %s: %s. %s", name, decision.deed, decision.why)
        await self.wishes.begin(
            Entry(name, self.clock(), decision.deed, place, decision.why, worked=True)
        )

    async def _do(self, name: str, decision: Decision, plan: Plan | None, found: SpareSeen) -> None:
        place = decision.place.key if decision.place is not None else found.place
        log.info("The spare of the line %s: %s at %s. %s", name, decision.deed, place, decision.why)
        began = time.monotonic()
        number = await self.wishes.begin(
            Entry(
                name, self.clock(), decision.deed, place, decision.why,
                plan_id=plan.id if plan is not None else "",
            )
        )  # fmt: skip
        outcome, worked = "", True
        try:
            if plan is not None:
                await self.deploys.make_spare(plan)
                self._known[plan.id] = _Known(self.clock(), self.clock())
            else:
                await self._mend(found.tag)
        except PersonaDeskError as error:
            outcome = f"{error.what} {error.next}"
            work = self._work.get(name)
            worked = work is not None and work.ended
        await self.wishes.end(
            number,
            at=self.clock(),
            worked=worked,
            outcome=outcome,
            seconds=time.monotonic() - began,
            why=await causes.told(self.journal, plan, decision.why),
        )
        log.info("The spare of the line %s: %s %s", name, decision.deed, outcome or "done")

    async def _mend(self, tag: str) -> None:
        server = await self.servers.get(tag)
        status = await self.servers.status(tag)
        if status is not None and status.alive:
            await self.servers.restart(tag)
        else:
            # This also starts a machine that was stopped, and makes the way to it anew.
            await self.servers.start(server)
        self._known[tag] = _Known(self.clock(), self.clock())
