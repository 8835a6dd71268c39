from __future__ import annotations

import asyncio
import gc
import sys
import threading

import pytest

from personadesk.voice import realtime


async def test_a_job_runs_on_a_loop_and_thread_of_its_own() -> None:
    async def job() -> tuple[int, asyncio.AbstractEventLoop]:
        await asyncio.sleep(0)
        return threading.get_ident(), asyncio.get_running_loop()

    thread, loop = await realtime.run(job, "voice-job")
    assert thread != threading.get_ident()
    assert loop is not asyncio.get_running_loop()


async def test_a_jobs_error_reaches_whoever_waits() -> None:
    async def job() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        await realtime.run(job, "voice-job")


async def test_cancelling_the_caller_ends_the_job_first() -> None:
    began, ended = threading.Event(), threading.Event()

    async def job() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ended.set()

    task = asyncio.create_task(realtime.run(job, "voice-job"))
    while not began.is_set():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


def test_a_job_cancelled_before_it_ran_never_runs_to_its_end() -> None:
    ran = []

    async def job() -> None:
        await asyncio.sleep(0)
        ran.append(1)

    thread = realtime.RealtimeThread(job, "voice-job")
    thread.cancel()
    thread.start()
    assert thread.join(5)
    assert thread.future.cancelled()
    assert ran == []
    thread.cancel()
    thread.call_soon(lambda: ran.append(2))
    assert ran == []


def test_collections_are_short_and_turns_quick_while_any_call_lasts() -> None:
    before, usual = gc.get_freeze_count(), sys.getswitchinterval()
    with realtime.undisturbed():
        assert gc.get_freeze_count() > before
        assert sys.getswitchinterval() < usual
        with realtime.undisturbed():
            pass
        assert gc.get_freeze_count() > before, "another call goes on"
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == usual
