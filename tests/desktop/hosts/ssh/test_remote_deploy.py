"""The whole way to a machine and back, by the terminal, against a real daemon, a real install and a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from peers.newer_wheel import newer
from peers.sshd import free_port
from personadesk import resources
from personadesk.app import open_services
from personadesk.hosts import bundle, health
from personadesk.hosts.remote.care import Care
from personadesk.voice.client import VoiceClient
from personadesk.voice.clips import bundled

SYSTEM = "/usr/local/bin:/usr/bin:/bin"
SECONDS = 170
PATIENCE = 4


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "personadesk", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _personadesk(*words: str) -> tuple[int, dict, str]:
    child = _start(*words, "--json")
    out, told = child.communicate(timeout=SECONDS)
    last = out.strip().splitlines()[-1] if out.strip() else "{}"
    return child.returncode, json.loads(last), told


def _processes_of(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in words and "sshd" not in words:
            found.append(words)
    return found


async def _upgraded(server_id: str, folder: Path) -> tuple[str, str, str]:
    """Upgrade to the same server with another version on it: version before, now, and of what answers."""
    services = await open_services(serve_lines=False)
    try:
        package = newer(bundle.load(resources.root() / "server"), "99.0.0", folder)
        care = Care(services.hosts, services.servers)
        before, now = await care.upgrade("box", package, lambda line: None)
    finally:
        await services.close()
    return before, now, await _version(server_id)


async def _version(server_id: str) -> str:
    """Version of the server that answers through its tunnel."""
    services = await open_services(serve_lines=False)
    try:
        found = await health.ask((await services.servers.get(server_id)).url)
    finally:
        await services.close()
    assert found is not None
    assert found.takes_calls
    return str(found.facts["version"])


async def _calls(url: str, voice: str) -> None:
    async with VoiceClient.connect(url, query={"voice_prompt": voice}) as call:
        await call.handshake()
        assert (await call.hang_up()).code == 1000


@pytest.fixture
def machine(make_sshd):
    """A machine that has a Python with torch, known to PersonaDesk as “box”."""
    sshd = make_sshd(path=f"{Path(sys.executable).parent}:{SYSTEM}")
    words = (
        "host", "add", "box", "--address", sshd.address, "--port", str(sshd.port),
        "--user", sshd.user.name, "--key", str(sshd.key),
    )  # fmt: skip
    _, answer, _ = _personadesk(*words)
    assert _personadesk(*words, "--fingerprint", answer["fingerprint"])[0] == 0
    yield sshd
    _personadesk("uninstall", "--host", "box")
    _personadesk("stop")
    assert not _processes_of(sshd.user.home)


@pytest.mark.real_time
@pytest.mark.timeout(500)
def test_a_voice_is_deployed_to_a_machine_talks_and_is_removed_to_the_last_byte(
    machine, tmp_path, personadesk_home
):
    home = machine.user.home
    port = str(free_port())
    code, answer, told = _personadesk(
        "deploy", "--host", "box", "--model", "rehearsal", "--port", port, "--lease", "5"
    )
    assert answer["line"]["url"] == f"ws://127.0.0.1:{port}/api/chat", told
    assert answer["verdict"] in {"pass", "warn"}, answer
    assert code == (0 if answer["verdict"] == "pass" else 1)
    assert [step["name"] for step in answer["steps"]][:3] == ["check", "room", "install"]
    ours = home / ".personadesk"
    assert (ours / "current").is_symlink()
    [server] = (ours / "servers").iterdir()
    assert int((server / "lease").read_text()) > time.time() + 4 * 3600

    # A voice of one's own is brought through the connection, listed, and answers; its key is in that folder alone.
    code, answer, told = _personadesk(
        "voices", "My line", "--add", str(bundled()), "--name", "Anna"
    )
    assert (code, answer) == (0, {"added": {"name": "Anna.wav", "label": "Anna"}}), told
    assert "Anna.wav" in [each["name"] for each in _personadesk("voices", "My line")[1]["voices"]]
    asyncio.run(_calls(f"ws://127.0.0.1:{port}", "Anna.wav"))
    assert (ours / "voices" / "Anna.wav").is_file()
    assert stat.S_IMODE((server / "voices.token").stat().st_mode) == 0o600
    key = (server / "voices.token").read_bytes()
    for path in (*personadesk_home.rglob("*"), *server.iterdir()):
        assert path.name == "voices.token" or not path.is_file() or key not in path.read_bytes()

    # A log, a stop and a start reach through to the machine.
    logs = _start("logs", "--host", "box", "--lines", "5")
    assert "call over" in logs.communicate(timeout=60)[0]
    assert _personadesk("line", "stop", "My line")[1]["state"] == "stopped"
    assert not any("personaplex_server" in words for words in _processes_of(ours))
    code, line, told = _personadesk("line", "start", "My line")
    assert (code, line["state"]) == (0, "up"), (line, told)

    # What is installed is found, and an upgrade to the same changes nothing.
    code, answer, _ = _personadesk("upgrade", "--host", "box")
    assert (code, answer["changed"]) == (0, False)
    code, answer, _ = _personadesk("rollback", "--host", "box")
    assert (code, answer["error"]["cause"]) == (1, "no_previous")

    # A truly newer server is put beside it and runs; the way back leads to the one before.
    before, after, running = asyncio.run(_upgraded(server.name, tmp_path))
    assert (before.split("-")[0], after.split("-")[0], running) == ("0.1.0", "99.0.0", "99.0.0")
    assert sorted(path.name for path in (ours / "versions").iterdir()) == sorted([before, after])
    code, answer, told = _personadesk("rollback", "--host", "box")
    assert (code, answer["before"], answer["version"]) == (0, after, before), told
    assert asyncio.run(_version(server.name)) == "0.1.0"

    # The machine cannot be forgotten while something of ours is on it.
    code, answer, _ = _personadesk("host", "remove", "box")
    assert (code, answer["error"]["cause"]) == (1, "in_use")
    code, answer, told = _personadesk("uninstall", "--host", "box")
    assert (code, answer["lines"]) == (0, ["My line"]), told
    assert answer["stopped"] == [server.name]
    [line] = _personadesk("line", "list")[1]["lines"]
    assert (line["name"], line["state"], line["server_id"]) == ("My line", "stopped", None)
    assert not ours.exists()
    assert sorted(path.name for path in home.iterdir()) == [".ssh"]
    assert not _processes_of(ours)


@pytest.mark.real_time
@pytest.mark.timeout(400)
def test_a_killed_deploy_is_resumed_and_goes_on_with_what_runs_there(machine):
    home = machine.user.home
    port = str(free_port())
    killed = _start("deploy", "--host", "box", "--model", "rehearsal", "--port", port, "--json")
    job = home / ".personadesk" / "jobs"
    until = time.monotonic() + 60
    while not list(job.glob("install-*/pid")) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    [folder] = job.glob("install-*")
    first = (folder / "pid").read_text()
    found = _personadesk("status")[1]
    [interrupted] = found["interrupted"]
    for _ in range(PATIENCE):
        code, answer, told = _personadesk("deploy", "--resume", interrupted["id"])
        # A test machine that is busy with other things is too slow to talk with, and that is then the truth.
        if (answer.get("error") or {}).get("cause") != "voice_slow":
            break
    assert answer["verdict"] in {"pass", "warn"}, told
    # The installation that ran on was joined, not begun again.
    assert (folder / "pid").read_text() == first
    assert code == (0 if answer["verdict"] == "pass" else 1)


def test_a_machine_that_is_not_there_is_a_sentence_and_leaves_nothing(machine):
    machine.stop()
    code, answer, told = _personadesk("deploy", "--host", "box", "--port", str(free_port()))
    assert code == 1
    assert answer["error"]["type"] == "Unreachable"
    assert "Traceback" not in told
    machine.start()


def test_a_lease_without_a_machine_is_refused():
    code, answer, _ = _personadesk("deploy", "--lease", "5")
    assert (code, answer["error"]["cause"]) == (1, "bad_lease")


def test_an_unknown_machine_is_a_sentence():
    code, answer, _ = _personadesk("deploy", "--host", "nobody")
    assert (code, answer["error"]["cause"]) == (1, "no_host")
