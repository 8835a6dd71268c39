from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.remote import jobs

COUNT = "n=0; while [ $n -lt 12 ]; do n=$((n+1)); echo line $n; sleep 0.2; done; echo 'no end' | tr -d '\\n'; exit 3\n"


async def test_a_job_streams_its_lines_and_its_status(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    seen: list[str] = []
    done = await jobs.run(
        host, f"{tmp_path}/job", "echo one; echo; echo two >&2; exit 7\n",
        limit_s=20, on_line=seen.append,
    )  # fmt: skip
    assert done.code == 7
    assert seen == ["one", "two"]


async def test_a_cut_loses_no_line_and_the_job_goes_on(own_sshd, reach, tmp_path):
    host = await reach.trusted(own_sshd)
    seen: list[str] = []

    def take(line: str) -> None:
        seen.append(line)
        if line in {"line 3", "line 7"}:
            own_sshd.cut()

    done = await jobs.run(host, f"{tmp_path}/job", COUNT, limit_s=40, on_line=take)
    assert done.code == 3
    assert seen[:12] == [f"line {number}" for number in range(1, 13)]


async def test_a_second_run_joins_the_first_instead_of_starting_anew(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    script = f"echo ran >> {tmp_path}/count; sleep 0.8; echo done\n"
    first, second = await asyncio.gather(
        jobs.run(host, f"{tmp_path}/job", script, limit_s=20),
        _soon(lambda: jobs.run(host, f"{tmp_path}/job", script, limit_s=20)),
    )
    assert first.lines[-1] == second.lines[-1] == "done"
    assert (tmp_path / "count").read_text() == "ran\n"
    third = await jobs.run(host, f"{tmp_path}/job", script, limit_s=20, join=True)
    assert third.code == 0
    assert (tmp_path / "count").read_text() == "ran\n"


async def _soon(work):
    await asyncio.sleep(0.3)
    return await work()


@pytest.mark.parametrize("how", ["limit", "cancel"])
async def test_a_job_is_ended_with_all_that_it_started(shared_sshd, reach, tmp_path, how):
    host = await reach.trusted(shared_sshd)
    script = f"sleep 60 & echo $! > {tmp_path}/child; sleep 60\n"
    work = asyncio.create_task(
        jobs.run(host, f"{tmp_path}/job", script, limit_s=1.5 if how == "limit" else 60)
    )
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        await asyncio.sleep(0.05)
    if how == "cancel":
        work.cancel()
    with pytest.raises(CommandTimeout if how == "limit" else asyncio.CancelledError):
        await work
    child = int((tmp_path / "child").read_text())
    for _ in range(60):
        if not Path(f"/proc/{child}").exists():
            break
        await asyncio.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


async def test_a_job_that_was_killed_is_told_as_such(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    done = await jobs.run(host, f"{tmp_path}/job", "echo begun; kill -9 $PPID $$\n", limit_s=20)
    assert done.code == 137
    assert done.lines == ("begun",)
