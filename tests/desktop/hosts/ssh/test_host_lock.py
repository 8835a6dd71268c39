from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time

import pytest

from personadesk.domain.errors import RateLimited
from personadesk.hosts.remote import lock


async def test_only_one_works_on_a_host_at_a_time(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    folder = f"{tmp_path}/pd"
    order: list[str] = []

    async def work(name: str) -> None:
        async with lock.held(host, folder, wait_s=20):
            order.append(f"{name} in")
            await asyncio.sleep(0.2)
            order.append(f"{name} out")

    await asyncio.gather(work("a"), work("b"))
    assert [word.split()[1] for word in order] == ["in", "out", "in", "out"]
    assert not (tmp_path / "pd" / "lock").exists()


async def test_who_holds_it_is_told(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    told: list[str] = []
    async with lock.held(host, f"{tmp_path}/pd"):
        with pytest.raises(RateLimited) as caught:
            async with lock.held(host, f"{tmp_path}/pd", wait_s=0.2, on_wait=told.append):
                pass
    assert caught.value.cause == "host_busy"
    assert str(lock.owner()["user"]) in str(caught.value.what)
    assert told


async def test_a_lock_of_the_dead_is_taken_over(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    left = tmp_path / "pd" / "lock"
    left.mkdir(parents=True)
    (left / "owner").write_text("dead\n" + json.dumps({"user": "x", "computer": "y"}) + "\n")
    old = time.time() - 100
    os.utime(left / "owner", (old, old))
    async with lock.held(host, f"{tmp_path}/pd", wait_s=5):
        assert (left / "owner").read_text().splitlines()[0] != "dead"
    assert not left.exists()


async def test_a_lock_without_an_owner_file_yet_is_respected_then_taken(
    shared_sshd, reach, tmp_path
):
    host = await reach.trusted(shared_sshd)
    (tmp_path / "pd" / "lock").mkdir(parents=True)
    with pytest.raises(RateLimited):
        async with lock.held(host, f"{tmp_path}/pd", wait_s=0.1):
            pass
    async with lock.held(host, f"{tmp_path}/pd", wait_s=0.1, stale_s=0):
        pass


async def test_a_cancel_lets_go_of_it(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)

    async def work() -> None:
        async with lock.held(host, f"{tmp_path}/pd"):
            await asyncio.sleep(30)

    task = asyncio.create_task(work())
    while not (tmp_path / "pd" / "lock" / "owner").exists():
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (tmp_path / "pd" / "lock").exists()


async def test_a_lock_of_our_own_killed_program_is_not_waited_for(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / "pd" / "lock"
    left.mkdir(parents=True)
    (left / "owner").write_text(f"dead\n{json.dumps({**lock.owner(), 'pid': gone.pid})}\n")
    async with lock.held(host, f"{tmp_path}/pd", wait_s=0.1):
        assert (left / "owner").read_text().splitlines()[0] != "dead"
