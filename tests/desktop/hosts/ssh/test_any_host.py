"""What every host must do alike, run on this computer and on a machine reached by SSH."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from personadesk.domain.errors import HostUnfit
from personadesk.hosts import check
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.here import ThisComputer
from personadesk.hosts.remote import jobs


@pytest.fixture(params=["here", "ssh"])
async def host(request, reach, shared_sshd):
    if request.param == "here":
        return ThisComputer()
    return await reach.trusted(shared_sshd)


async def test_programs(host, tmp_path):
    seen: list[str] = []
    done = await host.run(
        ["sh", "-c", 'cat; pwd; echo "$A"; exit 4'],
        limit_s=20, on_line=seen.append, stdin=b"fed\n", env={"A": "b c"}, cwd=str(tmp_path),
    )  # fmt: skip
    assert done.code == 4
    assert list(done.lines) == seen == ["fed", str(tmp_path), "b c"]
    assert (await host.run(["cat"], limit_s=20)).lines == ()
    with pytest.raises(CommandTimeout):
        await host.run(["sleep", "30"], limit_s=0.5)


async def test_scripts(host):
    done = await host.script('echo "$1|$2"; cat; exit 2', "a b", "$c", limit_s=20, stdin=b"in\n")
    assert (done.code, done.lines) == (2, ("a b|$c", "in"))


async def test_files(host, tmp_path):
    path = f"{tmp_path}/deep/er/file"
    await host.write(path, b"\0\1", mode=0o640)
    assert await host.read(path) == b"\0\1"
    assert Path(path).stat().st_mode & 0o777 == 0o640
    with pytest.raises(FileNotFoundError):
        await host.read(f"{tmp_path}/none")
    with pytest.raises(HostUnfit):
        await host.read(path, most=1)
    with pytest.raises(HostUnfit):
        await host.write("/proc/none", b"")
    source = tmp_path / "source"
    source.write_bytes(os.urandom(200_000))
    told: list[tuple[int, int]] = []
    await host.put(source, f"{tmp_path}/new/copy", on_bytes=lambda *at: told.append(at))
    await host.get(f"{tmp_path}/new/copy", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert told[-1] == (200_000, 200_000)
    with pytest.raises(FileNotFoundError):
        await host.get(f"{tmp_path}/none", tmp_path / "x")


async def test_a_check_and_a_job(host, tmp_path):
    facts = await check.look(host, hub="http://127.0.0.1:9")
    assert facts.machine == os.uname().machine
    done = await jobs.run(host, f"{tmp_path}/job", "echo did\n", limit_s=20)
    assert (done.code, done.lines) == (0, ("did",))


async def test_home_and_ports(host):
    assert (await host.home()).startswith("/")
    forward = await host.forward(9)
    assert forward.port > 0
    await forward.close()
