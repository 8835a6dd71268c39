"""The model thread: who is seated, what happens between ticks, and that nobody is left waiting."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from personaplex_server.engines.base import EngineError, Persona
from personaplex_server.opus import OpusWriter
from personaplex_server.scheduler import Scheduler
from personaplex_server.session import Ended, Session, Spoken
from personaplex_server.status import BrokenEngineError, State, UnavailableError


@pytest.fixture
def schedule() -> Iterator[Callable[..., Scheduler]]:
    """Run engines: `schedule(engine)` returns once it is ready."""
    started: list[Scheduler] = []

    def start(engine, **options) -> Scheduler:
        scheduler = Scheduler("scripted", lambda report: engine, **options)
        started.append(scheduler)
        scheduler.start()
        until(lambda: scheduler.status().state is not State.LOADING)
        return scheduler

    yield start
    for scheduler in started:
        scheduler.stop()
        scheduler.join()


def until(wanted: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.002)


async def soon(wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not wanted():
            await asyncio.sleep(0.002)


def speak(session: Session, sound: np.ndarray) -> None:
    writer = OpusWriter()
    for begin in range(0, len(sound), 1920):
        session.hear(writer.encode(sound[begin : begin + 1920]))


async def seated(scheduler: Scheduler, persona: Persona | None = None) -> Session:
    session = scheduler.session()
    await scheduler.open(session, persona or Persona())
    session.start()
    return session


async def test_callers_get_rows_of_their_own_and_leave_them(schedule, scripted, tone):
    engine = scripted(rows=2)
    scheduler = schedule(engine)
    first, second = await seated(scheduler), await seated(scheduler)
    assert scheduler.status().state is State.BUSY
    with pytest.raises(UnavailableError, match="2 calls at a time") as caught:
        scheduler.session()
    assert caught.value.later
    speak(first, tone(0.16, level=0.2))
    speak(second, tone(0.08, level=0.6))
    answers = [await first.answer(), await first.answer(), await second.answer()]
    loudest = [float(np.abs(answer.pcm).max()) for answer in answers]
    assert loudest[0] < 0.35
    assert loudest[1] < 0.35
    assert loudest[2] > 0.4
    scheduler.leave(first)
    scheduler.leave(first)
    await soon(lambda: scheduler.status().free == 1)
    assert engine.closed == [0]
    third = await seated(scheduler)
    speak(third, tone(0.08))
    assert isinstance(await third.answer(), Spoken)
    assert scheduler.status().served == 3


async def test_a_caller_without_a_frame_holds_up_nobody(schedule, scripted, tone):
    scheduler = schedule(scripted(rows=2))
    await seated(scheduler)
    talker = await seated(scheduler)
    speak(talker, tone(0.4))
    frames = [(await asyncio.wait_for(talker.answer(), 5)).frame for _ in range(5)]
    assert frames == [0, 1, 2, 3, 4]


async def test_a_prompt_is_filled_in_between_the_ticks_of_others(schedule, scripted, tone):
    happened: list[str] = []

    class Piecewise(scripted):
        def opening(self, row, persona):
            for share in range(60 if persona.text else 1):
                time.sleep(0.01)
                happened.append("piece")
                yield share / 60
            self.open(row, persona)

        def tick(self, frames):
            happened.append("tick")
            return super().tick(frames)

    scheduler = schedule(Piecewise(rows=2))
    talker = await seated(scheduler)
    speak(talker, tone(0.4))
    newcomer = await seated(scheduler, Persona(text="A long role."))
    speak(newcomer, tone(0.08))
    assert isinstance(await newcomer.answer(), Spoken)
    during = happened[happened.index("piece", 1) : len(happened) - happened[::-1].index("piece")]
    assert during.count("tick") >= 4


async def test_one_who_leaves_a_half_filled_prompt_frees_the_row(schedule, scripted):
    gate = threading.Event()

    class Endless(scripted):
        def opening(self, row, persona):
            while not gate.is_set():
                time.sleep(0.002)
                yield 0.5
            self.open(row, persona)

    scheduler = schedule(Endless())
    session = scheduler.session()
    opening = asyncio.create_task(scheduler.open(session, Persona()))
    await asyncio.sleep(0.02)
    opening.cancel()
    scheduler.leave(session)
    await soon(lambda: scheduler.status().free == 1)
    gate.set()
    await seated(scheduler)


async def test_a_refused_persona_leaves_the_engine_as_it_was(schedule, scripted):
    scheduler = schedule(scripted())
    session = scheduler.session()
    with pytest.raises(EngineError, match="nobody") as caught:
        await scheduler.open(session, Persona(voice="nobody.pt"))
    assert not isinstance(caught.value, BrokenEngineError)
    scheduler.leave(session)
    await soon(lambda: scheduler.status().free == 1)
    await seated(scheduler)


async def test_an_engine_that_breaks_leaves_nobody_waiting(schedule, scripted):
    class Breaking(scripted):
        def close(self, row):
            raise RuntimeError("row lost")

    broken = threading.Event()
    scheduler = schedule(Breaking(rows=2), on_broken=broken.set)
    first, second = await seated(scheduler), await seated(scheduler)
    scheduler.leave(first)
    ended = await second.answer()
    assert isinstance(ended, Ended)
    assert broken.wait(20)
    assert "row lost" in ended.reason
    assert scheduler.status().state is State.FAILED
    with pytest.raises(UnavailableError, match="row lost") as caught:
        scheduler.session()
    assert not caught.value.later
    assert await scheduler.voices() == []
    with pytest.raises(BrokenEngineError, match="row lost"):
        await scheduler.open(second, Persona())
    scheduler.leave(second)


async def test_stopping_ends_calls_and_prompts(schedule, scripted):
    class Endless(scripted):
        def opening(self, row, persona):
            while persona.text:
                time.sleep(0.002)
                yield 0.5

    scheduler = schedule(Endless(rows=2))
    talker, waiter = await seated(scheduler), scheduler.session()
    opening = asyncio.create_task(scheduler.open(waiter, Persona(text="Endless.")))
    await asyncio.sleep(0.02)
    scheduler.stop()
    ended = await talker.answer()
    assert (ended.reason, ended.code) == ("The voice server is stopping.", 1012)
    with pytest.raises(BrokenEngineError, match="stopping"):
        await opening
    scheduler.join()
    assert scheduler.status().state is State.STOPPED
    with pytest.raises(UnavailableError, match="stopping"):
        scheduler.session()


async def test_a_model_slower_than_speech_drops_frames_instead_of_falling_behind(
    schedule, scripted, tone
):
    class Slow(scripted):
        def tick(self, frames):
            time.sleep(0.16)
            return super().tick(frames)

    scheduler = schedule(Slow())
    session = await seated(scheduler)
    writer, sound = OpusWriter(), tone(2.4)
    for begin in range(0, len(sound), 1920):
        session.hear(writer.encode(sound[begin : begin + 1920]))
        await asyncio.sleep(0.08)
    assert session.dropped >= 5
    lags = []
    while session.queue:
        lags.append((await session.answer()).lag_ms)
    assert max(lags) < 1500


async def test_a_folder_of_voices_that_fails_costs_one_call_only(schedule, scripted):
    class Unlisted(scripted):
        def voices(self):
            raise OSError("the folder is gone")

    scheduler = schedule(Unlisted())
    session = scheduler.session()
    with pytest.raises(BrokenEngineError, match="the folder is gone"):
        await scheduler.open(session, Persona(voice="NATF2.pt"))
    with pytest.raises(OSError, match="the folder is gone"):
        await scheduler.voices()
    scheduler.leave(session)
    await soon(lambda: scheduler.status().free == 1)
    await seated(scheduler)


async def test_a_caller_who_comes_back_as_the_tick_begins_harms_nobody(
    schedule, scripted, tone, monkeypatch
):
    """The frame that was seen a moment ago is gone then; this once ended the model for everybody."""
    engine = scripted(2)
    scheduler = schedule(engine)
    first, second = await seated(scheduler), await seated(scheduler)
    take, came_back = Session.take, []

    def late(session: Session):
        if session is first and session.queue and not came_back:
            came_back.append(True)
            session.rejoin()
        return take(session)

    monkeypatch.setattr(Session, "take", late)
    for _ in range(3):
        speak(first, tone(0.08))
        speak(second, tone(0.08))
        await asyncio.sleep(0.09)
    await soon(lambda: bool(came_back) and len(engine.heard[1]) >= 2)
    assert scheduler.status().state is State.BUSY
    for session in (first, second):
        scheduler.leave(session)


async def test_a_model_that_stands_still_counts_as_failed_until_it_moves_again(
    schedule, scripted, tone
):
    now = [100.0]
    engine = scripted()
    scheduler = schedule(engine, clock=lambda: now[0])
    session = await seated(scheduler)
    ticking, go_on = threading.Event(), threading.Event()
    answers = engine.tick

    def stands_still(frames):
        ticking.set()
        assert go_on.wait(20)
        return answers(frames)

    def looks(seconds: float) -> list[State]:
        """Look once a second."""
        seen = []
        for _ in range(round(seconds)):
            now[0] += 1.0
            seen.append(scheduler.status().state)
        return seen

    # Nobody speaks: once the prompt is done it may stand still as long as it likes.
    await soon(lambda: set(looks(100)) == {State.BUSY})
    engine.tick = stands_still
    speak(session, tone(0.08))
    assert await asyncio.to_thread(ticking.wait, 20)
    assert set(looks(29)) == {State.BUSY}
    # The computer was asleep in between: what was seen before proves nothing.
    now[0] += 1000.0
    assert set(looks(30)) == {State.BUSY}
    assert looks(1) == [State.FAILED]
    told = scheduler.status()
    assert told.cause == "hangs"
    assert told.reason == "The voice model stands still although somebody talks to it."
    go_on.set()
    await session.answer()
    await soon(lambda: scheduler.status().state is State.BUSY)


async def test_a_model_that_never_lets_go_of_who_hung_up_counts_as_failed(schedule, scripted):
    now = [100.0]
    engine = scripted()
    scheduler = schedule(engine, clock=lambda: now[0])
    session = await seated(scheduler)
    closing, go_on = threading.Event(), threading.Event()
    close = engine.close

    def hangs(row: int) -> None:
        closing.set()
        assert go_on.wait(20)
        close(row)

    engine.close = hangs
    scheduler.leave(session)
    assert await asyncio.to_thread(closing.wait, 20)
    states = []
    for _ in range(40):
        now[0] += 1.0
        states.append(scheduler.status().state)
    assert states[0] is State.BUSY
    assert states[-1] is State.FAILED
    go_on.set()
    await soon(lambda: scheduler.status().state is State.READY)
