from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from peers.tcp_proxy import TcpProxy
from personadesk.domain.errors import HostUnfit, PersonaDeskError, Unreachable
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.ssh import host as module
from personadesk.hosts.ssh.connection import LinkState


def _running(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


async def _gone(mark: str) -> bool:
    for _ in range(100):
        if not _running(mark):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_arguments_arrive_as_they_are(shared_sshd, reach):
    host = await reach.trusted(shared_sshd)
    odd = ["a b", "it's", 'say "x"', "$HOME", "`id`", "!!", "back\\slash", "", "ünï", "-n"]
    done = await host.run(
        ["sh", "-c", 'for word; do printf "<%s>\\n" "$word"; done', "sh", *odd], limit_s=10
    )
    assert done.code == 0
    assert list(done.lines) == [f"<{word}>" for word in odd]


async def test_exit_status_environment_folder_and_input(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    done = await host.run(
        ["sh", "-c", 'cat; pwd; echo "$NAME"; exit 7'],
        limit_s=10, stdin=b"from here\n", env={"NAME": "a 'b' $c"}, cwd=str(tmp_path),
    )  # fmt: skip
    assert done.code == 7
    assert done.lines == ("from here", str(tmp_path), "a 'b' $c")


async def test_no_word_of_a_command_is_on_the_shells_command_line(shared_sshd, reach):
    host = await reach.trusted(shared_sshd)
    mark = f"hidden{os.urandom(4).hex()}"
    work = asyncio.create_task(
        host.script(f"# {mark}\ncat; sleep 0.5", limit_s=10, stdin=mark.encode())
    )
    await asyncio.sleep(0.25)
    assert not _running(mark)
    assert (await work).lines == (mark,)


async def test_lines_come_while_the_command_runs(shared_sshd, reach):
    host = await reach.trusted(shared_sshd)
    came = asyncio.Event()
    work = asyncio.create_task(
        host.script(
            "echo first; cat",
            limit_s=10,
            on_line=lambda line: came.set() if line == "first" else None,
        )
    )
    async with asyncio.timeout(5):
        await came.wait()
        await work


async def test_a_limit_ends_the_command_with_all_that_it_started(shared_sshd, reach):
    host = await reach.trusted(shared_sshd)
    nap = f"30.{os.getpid():07d}1"
    with pytest.raises(CommandTimeout):
        await host.run(["sh", "-c", f"sleep {nap} & trap '' TERM; sleep {nap}"], limit_s=0.8)
    assert await _gone(nap)


async def test_a_cancel_ends_the_command_too(shared_sshd, reach):
    host = await reach.trusted(shared_sshd)
    nap = f"30.{os.getpid():07d}2"
    work = asyncio.create_task(host.run(["sleep", nap], limit_s=60))
    while not _running(nap):
        await asyncio.sleep(0.02)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert await _gone(nap)


async def test_a_cancel_ends_also_what_has_only_just_begun(shared_sshd, reach, monkeypatch):
    host = await reach.trusted(shared_sshd)
    nap = f"30.{os.getpid():07d}3"

    async def too_early(self, running, text, take):
        await module._feed(running.process, text)
        while not _running(nap):
            await asyncio.sleep(0.02)
        # Not a word of the command has been read.
        raise asyncio.CancelledError

    monkeypatch.setattr(type(host), "_converse", too_early)
    with pytest.raises(asyncio.CancelledError):
        await host.run(["sleep", nap], limit_s=60)
    monkeypatch.undo()
    assert await _gone(nap)


async def test_an_ordinary_user_gets_the_same(user_sshd, session_user, reach):
    host = await reach.trusted(user_sshd)
    assert (await host.run(["id", "-un"], limit_s=10)).lines == (session_user.name,)
    assert await host.home() == str(session_user.home)
    await host.write(f"{session_user.home}/.personadesk/x", b"1")
    assert (session_user.home / ".personadesk/x").stat().st_mode & 0o777 == 0o600
    with pytest.raises(HostUnfit):
        await host.write("/etc/personadesk-test", b"1")
    nap = f"30.{os.getpid():07d}3"
    with pytest.raises(CommandTimeout):
        await host.run(["sleep", nap], limit_s=0.5)
    assert await _gone(nap)


async def test_a_start_up_file_that_prints_does_no_harm(make_sshd, reach, tmp_path):
    noisy = tmp_path / "noisy.sh"
    noisy.write_text(
        '#!/bin/sh\necho "Welcome!"; echo "and more" >&2\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    noisy.chmod(0o755)
    host = await reach.trusted(make_sshd(f"ForceCommand {noisy}"))
    assert (await host.run(["echo", "mine"], limit_s=10)).lines == ("mine",)
    await host.write(f"{tmp_path}/note", b"abc")
    assert await host.read(f"{tmp_path}/note") == b"abc"
    (tmp_path / "big").write_bytes(os.urandom(300_000))
    await host.put(tmp_path / "big", f"{tmp_path}/copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "big").read_bytes()


@pytest.mark.parametrize(
    "shell",
    ["/usr/sbin/nologin", "echo This account is for mail only", "/bin/bash -r -c '/bin/true'"],
)
async def test_a_login_that_runs_nothing_is_told(make_sshd, reach, shell):
    host = await reach.trusted(make_sshd(f"ForceCommand {shell}"))
    with pytest.raises(HostUnfit) as caught:
        await host.run(["true"], limit_s=10)
    assert caught.value.cause == "restricted_shell"


async def test_bash_restricted_is_told(make_sshd, reach, tmp_path):
    gate = tmp_path / "gate"
    gate.write_text('#!/bin/sh\nexec /bin/bash -r -c "$SSH_ORIGINAL_COMMAND"\n')
    gate.chmod(0o755)
    host = await reach.trusted(make_sshd(f"ForceCommand {gate}"))
    with pytest.raises(HostUnfit) as caught:
        await host.run(["true"], limit_s=10)
    assert caught.value.cause == "restricted_shell"
    assert "restricted" in caught.value.details


async def test_small_files(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    path = f"{tmp_path}/a folder/note.bin"
    content = bytes(range(256)) + b"\x1e\r\n"
    await host.write(path, content, mode=0o640)
    assert Path(path).stat().st_mode & 0o777 == 0o640
    assert await host.read(path) == content
    assert await host.read(path, most=len(content)) == content
    with pytest.raises(HostUnfit):
        await host.read(path, most=10)
    with pytest.raises(FileNotFoundError):
        await host.read(f"{tmp_path}/absent")
    with pytest.raises(HostUnfit):
        await host.write("/proc/personadesk", b"x")
    assert [each.name for each in Path(path).parent.iterdir()] == ["note.bin"]


async def test_a_copy_there_and_back(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_001))
    seen: list[tuple[int, int]] = []
    await host.put(source, f"{tmp_path}/there/copy", on_bytes=lambda *at: seen.append(at))
    assert seen[-1] == (3_000_001, 3_000_001)
    assert sorted(each.name for each in (tmp_path / "there").iterdir()) == ["copy"]
    await host.get(f"{tmp_path}/there/copy", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    with pytest.raises(FileNotFoundError):
        await host.get(f"{tmp_path}/absent", tmp_path / "none")


async def test_a_copy_goes_on_where_it_was_cut(own_sshd, reach, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(12_000_000))
    async with TcpProxy(own_sshd.port) as proxy:
        host = await reach.trusted(own_sshd, proxy.port)
        await host.home()
        cut: list[int] = []

        def on_bytes(done: int, total: int) -> None:
            if done > total / 2 and not cut:
                cut.append(done)
                proxy.cut()

        with pytest.raises(Unreachable):
            await host.put(source, f"{tmp_path}/copy", on_bytes=on_bytes)
        assert not (tmp_path / "copy").exists()
        first: list[int] = []
        await host.put(source, f"{tmp_path}/copy", on_bytes=lambda done, total: first.append(done))
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert first[0] > 4_000_000
    assert not (tmp_path / "copy.part").exists()


async def test_a_copy_that_is_there_already_is_not_sent_again(shared_sshd, reach, tmp_path):
    host = await reach.trusted(shared_sshd)
    source = tmp_path / "source"
    source.write_bytes(b"the same")
    await host.put(source, f"{tmp_path}/copy")
    before = (tmp_path / "copy").stat().st_mtime_ns
    await host.put(source, f"{tmp_path}/copy")
    assert (tmp_path / "copy").stat().st_mtime_ns == before


async def test_one_connection_serves_all(own_sshd, reach, tmp_path):
    host = await reach.trusted(own_sshd)
    before = own_sshd.log.count("Accepted publickey")
    await asyncio.gather(*(host.run(["sleep", "0.05"], limit_s=20) for _ in range(20)))
    await host.write(f"{tmp_path}/x", b"y")
    assert own_sshd.log.count("Accepted publickey") - before == 1


async def test_a_broken_connection_is_made_again_by_the_next_use(own_sshd, reach):
    host = await reach.trusted(own_sshd)
    changes: list[LinkState] = []
    host.link.subscribe(lambda: changes.append(host.link.state))
    await host.home()
    own_sshd.cut()
    async with asyncio.timeout(5):
        while host.link.state is not LinkState.LOST:
            await asyncio.sleep(0.02)
    assert "broke" in str(host.link.reason)
    assert (await host.run(["echo", "again"], limit_s=10)).lines == ("again",)
    assert changes == [
        LinkState.CONNECTING, LinkState.CONNECTED, LinkState.LOST,
        LinkState.CONNECTING, LinkState.CONNECTED,
    ]  # fmt: skip


async def test_a_cut_while_a_command_runs_is_told(own_sshd, reach):
    host = await reach.trusted(own_sshd)
    await host.home()
    work = asyncio.create_task(host.run(["sleep", "20"], limit_s=60))
    await asyncio.sleep(0.3)
    own_sshd.cut()
    with pytest.raises(Unreachable) as caught:
        await work
    assert caught.value.cause == "connection_lost"


async def test_a_host_that_hangs_is_noticed_by_keep_alives(own_sshd, reach):
    host = await reach.trusted(own_sshd, keepalive_s=0.3)
    await host.home()
    own_sshd.freeze()
    with pytest.raises(PersonaDeskError):
        await host.run(["true"], limit_s=3)
    assert host.link.state is not LinkState.CONNECTED
    own_sshd.thaw()
    assert (await host.run(["echo", "back"], limit_s=10)).lines == ("back",)


async def test_waiting_for_a_host_that_reboots(own_sshd, reach):
    host = await reach.trusted(own_sshd)
    await host.home()
    own_sshd.stop()
    async with asyncio.timeout(5):
        while host.link.state is not LinkState.LOST:
            await asyncio.sleep(0.02)
    waiting = asyncio.create_task(host.link.keep_trying())
    await asyncio.sleep(1.0)
    own_sshd.start()
    async with asyncio.timeout(10):
        await waiting
    assert host.link.state is LinkState.CONNECTED


async def test_closing_while_nothing_answers_takes_no_time(shared_sshd, reach):
    async with TcpProxy(shared_sshd.port) as proxy:
        host = await reach.trusted(shared_sshd, proxy.port)
        await host.home()
        proxy.weather.stalled = True
        work = asyncio.create_task(host.run(["true"], limit_s=30))
        await asyncio.sleep(0.1)
        async with asyncio.timeout(6):
            await host.close()
        with pytest.raises(PersonaDeskError):
            await work
