"""One engine in one thread: it loads there, seats callers in its rows and serves all that are due in one tick.

The tick never waits for a caller: who has no frame at hand is left out of it, and what is said is handed over
to the event loop, where each caller's socket is somebody else's business.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, TypeVar

from personaplex_server.engines.base import Engine, EngineError, Persona
from personaplex_server.logs import fields
from personaplex_server.metrics import Histogram
from personaplex_server.pace import Pace
from personaplex_server.protocol import CLOSE_FAILED, CLOSE_RESTART
from personaplex_server.session import Session, Spoken
from personaplex_server.status import BrokenEngineError, State, Status, UnavailableError
from personaplex_server.work import Command, Opening, Seat, attempt, pieces, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from personaplex_server.capacity import Capacity

log = logging.getLogger(__name__)

_FAILURES_IN_A_ROW: Final = 3
"""Failed ticks after which the engine is given up: a GPU that is gone fails every one."""
_STOPPING: Final = "The voice server is stopping."
STILL_S: Final = 30.0
"""A model thread that has something to do and does nothing for so long hangs, in a driver that lost its GPU for one."""
OPENING_STILL_S: Final = 300.0
"""The same while a prompt is filled in: a piece of one may take a slow processor long."""
_LOOKED_S: Final = 15.0
"""Looks further apart prove nothing: the whole computer may have been paused between them."""
_FIGURES: Final = 750
"""Ticks of which times are kept: a minute."""
_T = TypeVar("_T")


class Scheduler:
    """Seats callers and runs the ticks of one engine.

    Attributes:
        name: Name of the engine in addresses and logs.
        on_news: Called in the model thread when a seat may be had that could not be had before, or never will.
        tick_s: Times of all ticks.
        lag_s: For each frame, from its arrival to the end of its tick.
        stage_s: Times of a tick's parts, if the engine tells them (`stage_s`, from part to seconds, after a tick).
        engine_figures: Further figures, if the engine tells them (`figures()`, from name to number), of this second.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[Callable[[float, str], None]], Engine],
        *,
        on_broken: Callable[[], None] | None = None,
        capacity: Callable[[Engine], Capacity] | None = None,
        clock: Callable[[], float] = time.monotonic,
        news: threading.Condition | None = None,
    ) -> None:
        """Make a scheduler; `start` begins the loading.

        Args:
            name: Name of the engine in addresses and logs.
            build: Makes the engine, in the model thread; is given a function to report progress (0..1) and
                stage by. What it raises becomes the reason of the failure.
            on_broken: Called in the model thread when an engine that once was ready has failed for good; one
                that could not be loaded would fail again and stays, to say why.
            capacity: Finds out how many rows to use, in the model thread; None uses all.
            clock: Seconds, monotonic.
            news: What the model thread sleeps on; another than the usual one passes the time of another `clock`.
        """
        self.name = name
        self._capacity = capacity
        self._on_broken = on_broken
        self._build = build
        self._clock = clock
        self._news = news or threading.Condition()
        self._commands: deque[Command] = deque()
        self._seats: dict[Session, Seat] = {}
        self._openings: deque[Opening] = deque()
        self._free: list[int] = []
        self._slots = 0
        self._state = State.LOADING
        self._progress = 0.0
        self._stage = "starting"
        self._reason: str | None = None
        self._cause: str | None = None
        self._facts: dict[str, object] = {}
        self._numbers = itertools.count(1)
        self._served = 0
        self._dropped = 0
        self._ticks: deque[float] = deque(maxlen=_FIGURES)
        self.tick_s, self.lag_s = Histogram(), Histogram()
        self.stage_s: dict[str, Histogram] = {}
        self.engine_figures: dict[str, float] = {}
        self._figures_at = float("-inf")
        self._failures = 0
        self._turns = 0
        self._working = False
        self._still: tuple[int, float] | None = None
        self._looked_at = float("-inf")
        self._hungry = False
        self._stopping = False
        self._draining = False
        self.on_news: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"model-{name}", daemon=True)

    # For the event loop.

    def start(self) -> None:
        """Begin loading the engine in its thread."""
        self._thread.start()

    def drain(self) -> bool:
        """Seat nobody any more, and tell whether calls still go on."""
        with self._news:
            first, self._draining = not self._draining, True
            going_on = bool(self._seats)
        if first:
            self._tell_news()
        return going_on

    def stop(self) -> None:
        """End all conversations, and the thread after its tick; returns at once."""
        with self._news:
            self._stopping = True
            self._news.notify_all()

    def join(self, timeout: float = 3.0) -> None:
        """Wait for the end of the thread; one that is deep in loading is left to die with the process."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def status(self) -> Status:
        """Return what the engine is doing now; one whose thread hangs counts as failed until it moves again."""
        with self._news:
            state, reason, cause = self._state, self._reason, self._cause
            if state is State.READY and self._hangs():
                state, cause = State.FAILED, "hangs"
                reason = "The voice model stands still although somebody talks to it."
            elif state is State.READY and self._draining:
                state = State.STOPPED
            elif state is State.READY and not self._free:
                state = State.BUSY
            ticks = sorted(self._ticks)
            dropped = self._dropped + sum(session.dropped for session in self._seats)
            return Status(
                state=state,
                progress=self._progress,
                stage=self._stage,
                reason=reason,
                cause=cause,
                facts=dict(self._facts),
                slots=self._slots,
                free=len(self._free),
                served=self._served,
                dropped=dropped,
                tick_p50_ms=ticks[len(ticks) // 2] if ticks else None,
                tick_p99_ms=ticks[min(len(ticks) - 1, len(ticks) * 99 // 100)] if ticks else None,
            )

    def _hangs(self) -> bool:
        """Whether the model thread has left its work undone for long, by what earlier looks saw of it."""
        now, looked_at = self._clock(), self._looked_at
        self._looked_at = now
        work = (
            self._working
            or bool(self._commands or self._openings)
            or any(seat.open and seat.session.ready() for seat in self._seats.values())
        )
        if not work:
            self._still = None
            return False
        if self._still is None or self._still[0] != self._turns or now - looked_at > _LOOKED_S:
            self._still = (self._turns, now)
        return now - self._still[1] >= (OPENING_STILL_S if self._openings else STILL_S)

    def newcomer(self) -> Session:
        """Return a session without a seat: it hears already, and `seat` may follow."""
        return Session(next(self._numbers), self._wake, self._clock)

    def session(self) -> Session:
        """Return a seat's session at once; `open` must follow, and `leave` in the end.

        Raises:
            UnavailableError: As `seat`.
        """
        session = self.newcomer()
        self.seat(session)
        return session

    def seat(self, session: Session) -> int:
        """Give a newcomer a row at once and return its number; `open` must follow, and `leave` in the end.

        Raises:
            UnavailableError: The engine is loading, failed, stopped, or all rows are taken.
        """
        with self._news:
            if self._draining:
                raise UnavailableError(self._reason or _STOPPING, later=False)
            if self._state is State.LOADING:
                raise UnavailableError(
                    f"The voice model is still loading ({self._progress:.0%}). Try again in a moment.",
                    later=True,
                )
            if self._state is not State.READY:
                raise UnavailableError(self._reason or _STOPPING, later=False)
            if not self._free:
                calls = "one call" if self._slots == 1 else f"{self._slots} calls"
                raise UnavailableError(
                    f"The voice server is busy: it holds {calls} at a time and is full. "
                    "Try again when a call has ended.",
                    later=True,
                )
            seat = Seat(session, self._free.pop(0))
            self._seats[session] = seat
            self._served += 1
        return seat.row

    async def open(self, session: Session, persona: Persona) -> None:
        """Prompt the session's row; when this returns, the caller may be told to talk.

        Raises:
            EngineError: The persona cannot be had; the text is a sentence for the caller.
        """
        with self._news:
            seat = self._seats.get(session)
            if seat is None:
                # The engine broke since the session was made.
                raise BrokenEngineError(self._reason or _STOPPING)
        done: Future[None] = Future()
        self._command(Command(lambda engine: self._begin(engine, seat, persona, done), done))
        await asyncio.wrap_future(done)

    def leave(self, session: Session) -> None:
        """Free the session's row, whatever it is at; more than once does no harm."""
        with self._news:
            seat = self._seats.get(session)
            if seat is None or seat.left:
                return
            seat.left = True
        self._command(Command(lambda engine: self._close(engine, seat)))

    async def voices(self) -> list[str]:
        """Return the names of the voices as the engine sees them now; none while there is no engine."""
        with self._news:
            if self._state is not State.READY:
                return []
        done: Future[list[str]] = Future()
        self._command(Command(lambda engine: attempt(done, engine.voices), done))
        return await asyncio.wrap_future(done)

    def _wake(self) -> None:
        # Before the next tick is due a frame is no news, and waking the thread for each costs both threads time.
        if self._hungry:
            with self._news:
                self._news.notify_all()

    def _command(self, command: Command) -> None:
        with self._news:
            gone = self._state in {State.FAILED, State.STOPPED}
            if not gone:
                self._commands.append(command)
                self._news.notify_all()
        if gone:
            command.refuse(self._reason or _STOPPING)

    # In the model thread.

    def _run(self) -> None:
        try:
            engine = self._build(self._report)
            facts, slots = engine.describe(), engine.rows
            if self._capacity is not None:
                self._report(0.97, "measuring how many calls it can hold")
                capacity = self._capacity(engine)
                facts, slots = facts | {"capacity": capacity.facts()}, capacity.seats
        except Exception as error:
            self._fail(f"The voice model could not be loaded: {sentence(error)}", error)
            return
        with self._news:
            self._facts = facts
            self._slots, self._free = slots, list(range(slots))
            self._state, self._progress, self._stage = State.READY, 1.0, "ready"
        log.info("engine ready %s", fields(engine=self.name, slots=slots))
        self._tell_news()
        try:
            self._serve(engine)
        except Exception as error:
            self._fail(f"The voice model stopped: {sentence(error)}", error)
            if self._on_broken is not None:
                self._on_broken()

    def _report(self, progress: float, stage: str) -> None:
        with self._news:
            self._progress, self._stage = min(max(progress, 0.0), 1.0), stage

    def _fail(self, reason: str, error: Exception) -> None:
        log.error("engine failed %s", fields(engine=self.name, reason=reason), exc_info=error)
        self._cause = getattr(error, "cause", None)
        self._finish(State.FAILED, "failed", reason)

    def _tell_news(self) -> None:
        if self.on_news is not None:
            self.on_news()

    def _finish(self, state: State, stage: str, reason: str) -> None:
        """Leave nobody waiting: neither callers nor commands nor those who come later."""
        with self._news:
            self._state, self._stage, self._reason = state, stage, reason
            sessions, commands = list(self._seats), list(self._commands)
            self._dropped += sum(session.dropped for session in sessions)
            self._seats.clear()
            self._commands.clear()
            self._free = []
        code = CLOSE_RESTART if state is State.STOPPED else CLOSE_FAILED
        for session in sessions:
            session.end(reason, code)
        for opening in self._openings:
            opening.settle(BrokenEngineError(reason))
        self._openings.clear()
        for command in commands:
            command.refuse(reason)
        self._tell_news()

    def _serve(self, engine: Engine) -> None:
        pace = Pace()
        while True:
            self._working = False
            due = self._wait(pace)
            self._turns, self._working = self._turns + 1, True
            if self._stopping:
                break
            if due is not None:
                self._tick(engine, pace, was_ready=due)
            elif self._commands:
                self._commands.popleft().work(engine)
            else:
                self._go_on_opening()
        self._finish(State.STOPPED, "stopped", _STOPPING)

    def _wait(self, pace: Pace) -> bool | None:
        """Wait until there is something to do.

        Returns:
            For a tick, whether a frame was there when it was due; None for anything else.
        """
        was_ready: bool | None = None
        with self._news:
            while True:
                if self._stopping or self._commands:
                    return None
                if not any(seat.open for seat in self._seats.values()):
                    pace.idle()
                left = pace.due - self._clock()
                # Set before the callers are looked at: a frame that comes after the look finds it set, and wakes.
                self._hungry = left <= 0
                ready = any(seat.open and seat.session.ready() for seat in self._seats.values())
                if left <= 0:
                    was_ready = ready if was_ready is None else was_ready
                    if ready:
                        return was_ready
                if self._openings:
                    return None
                self._news.wait(left if left > 0 else None)

    def _tick(self, engine: Engine, pace: Pace, *, was_ready: bool) -> None:
        started = self._clock()
        with self._news:
            seats = [seat for seat in self._seats.values() if seat.open]
        due: list[Seat] = []
        frames: dict[int, NDArray[np.float32]] = {}
        waits: dict[int, float] = {}
        for seat in seats:
            if (taken := seat.session.take()) is not None:
                frames[seat.row], waits[seat.row] = taken
                due.append(seat)
        if not due:
            return
        try:
            answers = engine.tick(frames)
        except Exception as error:
            self._tick_failed(engine, due, error)
            return
        self._failures = 0
        took = self._clock() - started
        said: list[tuple[Session, Spoken]] = []
        for seat in due:
            answer, session = answers[seat.row], seat.session
            spoken = Spoken(
                pcm=answer.pcm,
                text=answer.text,
                frame=session.taken - 1,
                tick_ms=took * 1000,
                lag_ms=(waits[seat.row] + took) * 1000,
                queue=session.queue,
                at=started + took,
            )
            said.append((session, spoken))
            self.lag_s.observe(waits[seat.row] + took)
        Session.say_all(said)
        with self._news:
            self._ticks.append(took * 1000)
        self.tick_s.observe(took)
        self._ask(engine, started)
        pace.ticked(started, min(waits.values()), was_ready=was_ready)

    def _ask(self, engine: Engine, now: float) -> None:
        """Take over what an engine tells of itself; none has to."""
        stages: Mapping[str, float] = getattr(engine, "stage_s", {})
        for part, took in stages.items():
            self.stage_s.setdefault(part, Histogram()).observe(took)
        figures: Callable[[], Mapping[str, float]] | None = getattr(engine, "figures", None)
        if figures is not None and now - self._figures_at >= 1.0:
            self._figures_at, self.engine_figures = now, dict(figures())

    def _tick_failed(self, engine: Engine, due: list[Seat], error: Exception) -> None:
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW:
            raise error
        log.error("tick failed %s", fields(engine=self.name, rows=len(due)), exc_info=error)
        for seat in due:
            seat.session.end(f"The voice model made an error: {sentence(error)} Call again.")

    def _begin(self, engine: Engine, seat: Seat, persona: Persona, done: Future[None]) -> None:
        if seat.left or not done.set_running_or_notify_cancel():
            return
        work = pieces(engine, seat.row, persona)
        self._openings.append(Opening(seat, work, done, self._clock()))

    def _go_on_opening(self) -> None:
        """Do one piece of the oldest prompt that is being filled in; ticks come between pieces."""
        opening = self._openings[0]
        seat = opening.seat
        try:
            if not seat.left:
                next(opening.pieces)
                return
            error: Exception | None = None
        except StopIteration:
            seat.open, error = True, None
        except EngineError as refused:
            error = refused
        except Exception as broken:
            log.exception("prompt failed %s", fields(engine=self.name))
            error = BrokenEngineError(
                f"The voice model could not take the prompt: {sentence(broken)}"
            )
        self._openings.popleft()
        opening.settle(error)
        if seat.open:
            spent = round((self._clock() - opening.began) * 1000)
            log.info(
                "caller seated %s",
                fields(engine=self.name, call=seat.session.number, row=seat.row, prompt_ms=spent),
            )

    def _close(self, engine: Engine, seat: Seat) -> None:
        try:
            engine.close(seat.row)
        finally:
            with self._news:
                self._seats.pop(seat.session, None)
                self._dropped += seat.session.dropped
                self._free.append(seat.row)
                self._free.sort()
            self._tell_news()
