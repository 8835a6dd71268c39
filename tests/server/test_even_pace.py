"""When frames leave: the scheduler itself, in a time that tests let pass, so that no busy computer changes it.

The clock stands still while anything is worked out. It moves when the model thread sleeps, to the next frame's arrival
or the end of the sleep, and during a tick, by what the tick is said to take.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest

from personaplex_server import session as session_module
from personaplex_server.engines.base import FrameOut, Persona
from personaplex_server.opus import OpusWriter
from personaplex_server.scheduler import Scheduler
from personaplex_server.session import QUEUE_FRAMES, Ended, Session

FRAME = 0.08
LEAST_STEP_S = 0.06
"""The shortest step that a caller can play: written out here, since it is a promise."""
MARGIN_S = 0.015
"""What the schedule keeps between the frames' arrival and the tick."""
PIECE_S = 0.007
"""Time of one piece of a prompt."""
TINY = 1e-6
SOUND = (0.3 * np.sin(np.arange(1920) / 9)).astype(np.float32)


class Time(threading.Condition):
    """A clock, and what the model thread sleeps on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.coming: deque[tuple[float, Callable[[], None]]] = deque()
        self.begun, self.over = threading.Event(), threading.Event()
        self._told = False
        self._runs = False

    def __call__(self) -> float:
        return self.now

    def run(self, coming: list[tuple[float, Callable[[], None]]]) -> None:
        """Let time pass from here on; things come when said, seconds from now."""
        with self:
            in_order = sorted(coming, key=lambda each: each[0])
            self.coming = deque((self.now + at, come) for at, come in in_order)
            self._runs = True
            self.begun.set()
            super().notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep: until somebody is told something, or the time is over."""
        if not self._runs:
            return super().wait(timeout)
        self._told = False
        end = None if timeout is None else self.now + timeout
        while self.coming and (end is None or self.coming[0][0] <= end):
            self._next()
            if self._told:
                return True
        if end is not None:
            self.now = end
            return False
        # Nobody has anything to say any more, and no tick is due.
        self._runs = False
        self.over.set()
        return super().wait()

    def notify_all(self) -> None:
        self._told = True
        super().notify_all()

    def pass_by(self, seconds: float) -> None:
        """Let time pass in the model thread, which notices nothing of it."""
        end = self.now + seconds
        while self.coming and self.coming[0][0] <= end:
            self._next()
        self.now = end

    def _next(self) -> None:
        self.now, come = self.coming.popleft()
        come()


@dataclass
class Ticks:
    """An engine whose ticks take as long as is said."""

    time: Time
    took: dict[int, float] = field(default_factory=dict)
    usual: float = 0.01
    pieces: int = 1
    started: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    rows: int = 16
    name: str = "ticks"
    running: int = 0
    asked: threading.Event = field(default_factory=threading.Event)

    def voices(self):
        return []

    def describe(self):
        return {}

    def opening(self, row, persona):
        if persona.text:
            self.asked.set()
            assert self.time.begun.wait(20)
        for piece in range(self.pieces if persona.text else 0):
            self.time.pass_by(PIECE_S)
            yield piece / self.pieces

    def tick(self, frames):
        self.running += 1
        assert self.running == 1
        self.started.append(self.time.now)
        self.time.pass_by(self.took.get(len(self.started) - 1, self.usual))
        self.ended.append(self.time.now)
        self.running -= 1
        return {row: FrameOut(pcm) for row, pcm in frames.items()}

    def close(self, row):
        pass

    @property
    def steps(self):
        return [b - a for a, b in pairwise(self.started)]


@dataclass
class Call:
    """What one caller got, in the order in which it left."""

    left: list[float]
    arrived: list[float]
    lag: list[float]
    queue: list[int]
    dropped: int


class Speaker:
    """Says a frame at each call."""

    def __init__(self, session: Session) -> None:
        self._session, self._writer = session, OpusWriter()

    def __call__(self) -> None:
        self._session.hear(self._writer.encode(SOUND))


class Rig:
    """A scheduler in a time of its own."""

    def __init__(self) -> None:
        self.time = Time()
        self.engine = Ticks(self.time)
        self.scheduler = Scheduler(
            "ticks", lambda report: self.engine, clock=self.time, news=self.time
        )

    async def seat(self) -> Session:
        session = self.scheduler.session()
        await self.scheduler.open(session, Persona())
        session.start()
        return session

    async def hold(
        self, *times: list[float], before: Callable[[], Awaitable[None]] | None = None
    ) -> list[Call]:
        """Hold one call for each list of arrivals (seconds from now), and return what each caller got."""
        sessions = [await self.seat() for _ in times]
        if before is not None:
            await before()
        begin, coming = self.time.now, []
        for session, arrivals in zip(sessions, times, strict=True):
            speak = Speaker(session)
            coming += [(at, speak) for at in arrivals]
        self.time.run(coming)
        await asyncio.to_thread(self.time.over.wait, 60)
        assert self.time.over.is_set()
        assert not any(session.ready() for session in sessions), "a frame was never taken"
        calls = []
        for session in sessions:
            session.end("That is all.")
            got = []
            while not isinstance(spoken := await session.answer(), Ended):
                got.append(spoken)
            calls.append(
                Call(
                    [each.at - begin for each in got],
                    [each.at - each.lag_ms / 1000 - begin for each in got],
                    [each.lag_ms / 1000 for each in got],
                    [each.queue for each in got],
                    session.dropped,
                )
            )
        return calls


@pytest.fixture
async def rig(monkeypatch):
    # Who reads here does so when all is over.
    monkeypatch.setattr(session_module, "SPOKEN_FRAMES", 10_000)
    here = Rig()
    here.scheduler.start()
    async with asyncio.timeout(20):
        while here.scheduler.status().state != "ready":
            await asyncio.sleep(0.002)
    yield here
    here.scheduler.stop()
    here.scheduler.join()


def steady(count: int, start: float = 1.0) -> list[float]:
    return [start + n * FRAME for n in range(count)]


async def test_each_frame_of_a_steady_caller_leaves_80_ms_after_the_one_before(rig):
    (call,) = await rig.hold(steady(200))
    assert call.arrived == pytest.approx(steady(200))
    assert call.lag == pytest.approx([0.01] * 200)
    assert rig.engine.steps == pytest.approx([FRAME] * 199)
    assert call.dropped == 0


async def test_frames_that_come_early_or_late_leave_evenly_all_the_same(rig):
    dice = random.Random(1)
    arrivals = [at + dice.uniform(0.0, 0.03) for at in steady(600)]
    (call,) = await rig.hold(arrivals)
    assert len(call.left) == 600
    assert call.dropped == 0
    # What was late moved the schedule behind it at most; then it lies behind the latest, and hardly moves.
    assert max(abs(step - FRAME) for step in rig.engine.steps[100:]) < 0.005
    assert max(call.lag) < 0.03 + MARGIN_S + 0.01 + 0.005


@pytest.mark.parametrize("stall", [0.12, 0.3, 0.5, 2.0])
async def test_a_stall_is_followed_by_no_burst_and_costs_the_oldest_frames(rig, stall):
    rig.engine.took = {20: stall}
    sent = steady(500)
    (call,) = await rig.hold(sent)
    assert rig.engine.steps[20] == pytest.approx(max(stall, FRAME))
    # Never two at once, and never closer than a caller can play them.
    assert all(
        b >= a - TINY for a, b in zip(rig.engine.ended, rig.engine.started[1:], strict=False)
    )
    assert min(rig.engine.steps) >= LEAST_STEP_S - TINY
    # Those that came while the model stood still, but for the newest.
    stood = [at for at in sent if 20 * FRAME + 1 + TINY < at < 20 * FRAME + 1 + stall - TINY]
    lost = sorted(set(np.round(sent, 4)) - set(np.round(call.arrived, 4)))
    at_once = max(0, len(stood) - QUEUE_FRAMES)
    assert lost[:at_once] == pytest.approx(stood[:at_once])
    assert call.arrived == sorted(call.arrived)
    assert call.dropped == len(lost) == rig.scheduler.status().dropped
    # The delay is told as it is, and does not stay.
    assert max(call.lag) <= stall + FRAME + 0.01 + TINY
    assert max(call.queue) <= QUEUE_FRAMES
    assert call.lag[-1] <= FRAME + 0.01 + TINY


async def test_a_model_slower_than_speech_keeps_its_delay_within_the_queue(rig):
    rig.engine.usual = 0.1
    (call,) = await rig.hold(steady(500))
    # Four of five frames are answered, the oldest of those that wait are not.
    assert call.dropped == 500 - len(call.left)
    assert call.dropped == pytest.approx(100, abs=8)
    assert max(call.lag) <= (QUEUE_FRAMES + 1) * FRAME + 0.1 + TINY
    assert rig.engine.steps == pytest.approx([0.1] * (len(call.left) - 1))


async def test_callers_of_any_phase_share_one_tick_in_80_ms(rig):
    calls = await rig.hold(*(steady(300, 1.0 + phase * FRAME / 8) for phase in range(8)))
    for call in calls:
        assert len(call.left) == 300
        assert call.dropped == 0
        assert max(call.lag[100:]) <= FRAME + MARGIN_S + 0.01 + 0.005
    assert len(rig.engine.started) <= 302
    assert min(rig.engine.steps) >= LEAST_STEP_S - TINY


async def test_after_one_late_frame_the_schedule_draws_near_again(rig):
    arrivals = steady(400)
    arrivals[50] += 0.07
    (call,) = await rig.hold(arrivals)
    assert call.lag[51] > 0.07
    assert call.lag[-1] <= MARGIN_S + 0.01 + TINY
    assert min(rig.engine.steps) >= FRAME - 0.004 - TINY


async def test_a_prompt_that_is_filled_in_makes_no_tick_later_than_one_of_its_pieces(rig):
    rig.engine.pieces = 400
    opening: list[asyncio.Task[None]] = []

    async def newcomer() -> None:
        session = rig.scheduler.session()
        role = Persona(text="A long role.")
        opening.append(asyncio.create_task(rig.scheduler.open(session, role)))
        assert await asyncio.to_thread(rig.engine.asked.wait, 20)

    (call,) = await rig.hold(steady(100), before=newcomer)
    await opening[0]
    assert (len(call.left), call.dropped) == (100, 0)
    # The first frame may wait for a piece, and later ones behind it for another.
    assert max(rig.engine.steps) <= FRAME + PIECE_S + TINY
    assert max(call.lag) <= 2 * PIECE_S + 0.01 + TINY
