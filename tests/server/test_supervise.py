"""The supervisor: restarts, gives up, stops, rotates, and dies with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from personaplex_server.serving import bind
from personaplex_server.supervise import LOG_FILE, STATE_FILE, RotatingLog, locked, start_ticks

SUPERVISE = [sys.executable, "-m", "personaplex_server.supervise"]
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]

Supervise = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def supervise(folder: Path) -> Iterator[Supervise]:
    """Start supervisors of a command; whatever still runs at the end is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str]) -> subprocess.Popen[bytes]:
        line = [*SUPERVISE, "--state", str(folder), "--", *command]
        started.append(subprocess.Popen(line, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for popen in started:
        popen.terminate()
        popen.wait(15)
        popen.stderr.close()


def state(folder: Path) -> dict:
    with contextlib.suppress(FileNotFoundError):
        return json.loads((folder / STATE_FILE).read_text())
    return {"state": None, "child_pid": None, "restarts": 0}


def until(folder: Path, wanted: Callable[[dict], bool], seconds: float = 30.0) -> dict:
    end = time.monotonic() + seconds
    while not wanted(record := state(folder)):
        assert time.monotonic() < end, record
        time.sleep(0.02)
    return record


def running(record: dict) -> bool:
    return record["state"] == "running" and record["child_pid"] is not None


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_gone(pid: int) -> None:
    end = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_writes_down_who_runs_what(supervise, folder):
    popen = supervise(SLEEPER)
    record = until(folder, running)
    assert record["pid"] == popen.pid
    assert record["start_ticks"] == start_ticks(popen.pid)
    assert abs(record["started"] - time.time()) < 30
    assert record["command"] == SLEEPER
    assert record["restarts"] == 0
    assert record["reason"] is None
    assert alive(record["child_pid"])
    assert os.getsid(record["child_pid"]) == record["child_pid"]


def test_what_dies_is_started_again(supervise, folder):
    supervise(SLEEPER)
    first = until(folder, running)
    os.kill(first["child_pid"], signal.SIGKILL)
    second = until(folder, lambda r: running(r) and r["child_pid"] != first["child_pid"])
    assert second["restarts"] == 1
    assert "SIGKILL" in second["reason"]


def test_a_call_is_cut_when_the_server_is_killed_and_the_next_one_is_answered(
    supervise, folder, dial, tone
):
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    server = [sys.executable, "-m", "personaplex_server", "serve", "--engine", "echo"]
    supervise([*server, "--port", str(port)])
    url = f"127.0.0.1:{port}"

    def instance() -> str | None:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://{url}/health", trust_env=False).json()["instance"]
        return None

    def new_instance(old: str | None) -> str:
        end = time.monotonic() + 30
        while (now := instance()) in {None, old}:
            assert time.monotonic() < end, (folder / LOG_FILE).read_text()
            time.sleep(0.05)
        return now

    before = new_instance(None)
    caller = dial(f"ws://{url}/api/chat")
    caller.handshake()
    caller.say(tone(0.24))
    os.kill(until(folder, running)["child_pid"], signal.SIGKILL)
    assert caller.closed()[0] == 1006
    new_instance(before)
    again = dial(f"ws://{url}/api/chat")
    again.handshake()
    again.say(tone(0.24))
    again.until(lambda c: len(c.pcm) == 3)


def test_it_gives_up_after_five_deaths_and_says_why(supervise, folder, monkeypatch):
    popen = supervise([sys.executable, "-c", "print('no such card'); raise SystemExit(9)"])
    assert popen.wait(40) == 1
    record = state(folder)
    assert record["state"] == "given-up"
    assert record["restarts"] == 4
    assert record["child_pid"] is None
    assert "exit code 9" in record["reason"]
    assert "no such card" in record["reason"]


@pytest.mark.parametrize(("code", "why"), [(2, "command line"), (3, "port")])
def test_what_starting_again_does_not_change_is_not_tried(supervise, folder, code, why):
    popen = supervise([sys.executable, "-c", f"raise SystemExit({code})"])
    assert popen.wait(10) == 1
    record = state(folder)
    assert (record["state"], record["restarts"]) == ("given-up", 0)
    assert why in record["reason"]


def test_a_program_that_is_not_there_is_told(supervise, folder):
    popen = supervise(["/nowhere/personaplex-server"])
    assert popen.wait(10) == 1
    assert "missing" in state(folder)["reason"]


def test_it_stops_what_it_runs_when_told(supervise, folder):
    popen = supervise(SLEEPER)
    record = until(folder, running)
    popen.terminate()
    assert popen.wait(10) == 0
    assert state(folder)["state"] == "stopped"
    assert not alive(record["child_pid"])


def test_a_stop_file_stops_it_too(supervise, folder):
    popen = supervise(SLEEPER)
    record = until(folder, running)
    (folder / "stop").touch()
    assert popen.wait(10) == 0
    assert not alive(record["child_pid"])
    assert not (folder / "stop").exists()


def test_what_will_not_end_is_killed_with_all_it_started(supervise, folder):
    stubborn = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('child', child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    popen = supervise([sys.executable, "-c", stubborn])
    record = until(folder, running)
    end = time.monotonic() + 10
    while "child" not in (log := (folder / LOG_FILE).read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    grandchild = int(log.partition("child ")[2].split()[0])
    popen.terminate()
    assert popen.wait(15) == 0
    wait_gone(record["child_pid"])
    wait_gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system cannot do it")
def test_a_killed_supervisor_takes_its_server_along(supervise, folder):
    popen = supervise(SLEEPER)
    record = until(folder, running)
    popen.kill()
    popen.wait(10)
    wait_gone(record["child_pid"])
    with locked(folder / "lock") as mine:
        assert mine


def test_two_never_run(supervise, folder):
    supervise(SLEEPER)
    record = until(folder, running)
    second = supervise(SLEEPER)
    assert second.wait(10) == 4
    assert b"already" in second.stderr.read()
    assert state(folder)["pid"] == record["pid"]
    with locked(folder / "lock") as mine:
        assert not mine


def test_it_needs_a_command(folder):
    ended = subprocess.run(
        [*SUPERVISE, "--state", str(folder)], capture_output=True, timeout=20, check=False
    )
    assert ended.returncode == 2
    assert b"after --" in ended.stderr


def test_it_loads_nothing_but_the_standard_library():
    words = "import sys, personaplex_server.supervise; "
    words += "print({'numpy', 'starlette', 'uvicorn', 'torch', 'opuslib_next'} & set(sys.modules))"
    checked = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, timeout=20, check=True
    )
    assert checked.stdout == "set()\n"


def test_logs_move_on_when_full(tmp_path):
    log = RotatingLog(tmp_path / "server.log", size=100, files=3)
    for number in range(50):
        log.write(f"line {number:03d}\n".encode())
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["server.log", "server.log.1", "server.log.2"]
    kept = "".join((tmp_path / name).read_text() for name in reversed(names))
    assert kept.splitlines() == [f"line {number:03d}" for number in range(50)][-len(kept) // 9 :]
    assert all((tmp_path / name).stat().st_size <= 100 for name in names)


def test_a_log_goes_on_where_it_was(tmp_path):
    for number in range(2):
        log = RotatingLog(tmp_path / "server.log", size=100)
        log.write(f"{number}\n".encode())
        log.close()
    assert (tmp_path / "server.log").read_text() == "0\n1\n"


def test_a_disk_that_is_full_costs_lines_only(tmp_path, monkeypatch):
    log = RotatingLog(tmp_path / "missing" / "server.log")
    log.write(b"one\n")
    log.write(b"two\n")
    assert log.lost == 2
    (tmp_path / "missing").mkdir()
    log.write(b"three\n")
    log.close()
    kept = (tmp_path / "missing" / "server.log").read_text()
    assert kept == "(2 lines could not be written)\nthree\n"


def processor_ticks(pid: int) -> int:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(words[11]) + int(words[12])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_server_goes_on_when_the_disk_is_full(supervise, folder):
    chatty = "import time\nwhile True: print('x' * 10000, flush=True); time.sleep(0.001)"
    folder.mkdir()
    (folder / LOG_FILE).symlink_to("/dev/full")
    supervise([sys.executable, "-c", chatty])
    record = until(folder, running)
    time.sleep(0.5)
    assert alive(record["child_pid"])
    before = processor_ticks(record["child_pid"])
    # Not stuck in a write to us: it still uses the processor, be it little on a busy computer.
    latest = time.monotonic() + 20.0
    while processor_ticks(record["child_pid"]) <= before + 1:
        assert time.monotonic() < latest
        time.sleep(0.1)
