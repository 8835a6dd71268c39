"""The container's entry point, run outside of one, and what the Dockerfile must hold."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from websockets.sync.client import connect

HOME = Path(__file__).parents[2] / "packaging" / "container"
TOKEN = "correct-horse-battery"
Launch = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def entrypoint() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("entrypoint", HOME / "entrypoint.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Run the entry point with these arguments and variables."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **env: str) -> subprocess.Popen[bytes]:
        popen = subprocess.Popen(
            [sys.executable, HOME / "entrypoint.py", *arguments],
            env=os.environ | {"STATE_DIR": str(tmp_path / "state"), "ENGINE": "echo"} | env,
            stderr=subprocess.PIPE,
        )
        started.append(popen)
        return popen

    yield start
    for popen in started:
        if popen.poll() is None:
            popen.terminate()
        popen.communicate(timeout=20)


def until_ready(url: str) -> None:
    end = time.monotonic() + 40
    while True:
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        assert time.monotonic() < end
        time.sleep(0.05)


def greeted(url: str) -> int:
    with connect(url, proxy=None) as ws:
        return ws.recv(timeout=20)[0]


def test_a_platform_s_ports_and_path_are_followed(launch: Launch, tmp_path: Path) -> None:
    port, health = free_port(), free_port()
    popen = launch(
        PORT=str(port), PORT_HEALTH=str(health), HEALTH_CHECK_PATH="/alive", PERSONAPLEX_TOKEN=TOKEN
    )
    until_ready(f"http://127.0.0.1:{health}/alive")
    assert httpx.get(f"http://127.0.0.1:{health}/health", trust_env=False).status_code == 404
    assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 401
    assert greeted(f"ws://127.0.0.1:{port}/api/chat?token={TOKEN}") == 0
    if sys.platform == "linux":
        token = tmp_path / "state" / "token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        child = json.loads((tmp_path / "state" / "supervisor.json").read_text())["child_pid"]
        for pid in (popen.pid, child):
            assert TOKEN.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert TOKEN.encode() not in Path(f"/proc/{child}/environ").read_bytes()
    popen.send_signal(signal.SIGTERM)
    _, told = popen.communicate(timeout=20)
    assert popen.returncode == 0
    events = [json.loads(line)["event"] for line in told.splitlines() if line.startswith(b"{")]
    assert events[0] == "listening"
    assert events[-1] == "stopped"


def test_sagemaker_s_way_to_start_it(launch: Launch) -> None:
    port = free_port()
    launch("serve", SAGEMAKER_BIND_TO_PORT=str(port))
    until_ready(f"http://127.0.0.1:{port}/ping")
    assert greeted(f"ws://127.0.0.1:{port}/invocations-bidirectional-stream") == 0


def test_the_image_s_own_check_asks_where_the_server_listens(launch: Launch) -> None:
    lines = (HOME / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    (line,) = (line for line in lines if line.startswith("HEALTHCHECK"))
    program, *words = json.loads(line.partition("CMD")[2])
    assert program == "entrypoint"

    def healthy() -> int:
        asked = launch(*words)
        asked.communicate(timeout=20)
        return asked.returncode

    assert healthy() == 1
    port = free_port()
    server = launch("serve", SAGEMAKER_BIND_TO_PORT=str(port), PORT="1")
    until_ready(f"http://127.0.0.1:{port}/ping")
    assert healthy() == 0
    server.terminate()
    server.communicate(timeout=20)
    assert healthy() == 1


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, "PERSONAPLEX_TOKEN"),
        ({"PORT": "many", "PERSONAPLEX_TOKEN": TOKEN}, "PORT must be"),
        ({"DRAIN": "-1", "PERSONAPLEX_TOKEN": TOKEN}, "DRAIN must be"),
    ],
)
def test_what_cannot_be_followed_is_told(launch: Launch, env: dict[str, str], words: str) -> None:
    popen = launch(**env)
    _, told = popen.communicate(timeout=20)
    assert popen.returncode == 1
    assert words in told.decode()
    assert "Traceback" not in told.decode()


def test_other_subcommands_are_passed_on(launch: Launch) -> None:
    popen = launch("make-checkpoint", "--no-such-option")
    _, told = popen.communicate(timeout=60)
    assert popen.returncode == 2
    assert b"make-checkpoint" in told


def test_every_subcommand_can_be_asked_for(entrypoint: ModuleType) -> None:
    command = [sys.executable, "-m", "personaplex_server", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    known = set(re.findall(r"^    ([a-z-]+)(?: |$)", told, re.MULTILINE))
    assert known == {"serve", *entrypoint.OTHER_COMMANDS}


def test_the_model_s_folder_and_options_are_put_together(entrypoint: ModuleType) -> None:
    options = entrypoint.plan(["--max-wait", "60"], {"PERSONAPLEX_INSECURE": "1"}, None)
    assert options[options.index("--checkpoint") + 1] == "/model"
    assert options[options.index("--rows") + 1] == "auto"
    assert options[-2:] == ["--max-wait", "60"]
    assert "--insecure" in options
    named = entrypoint.plan(["serve"], {"MODEL_DIR": "/weights"}, None)
    assert named[named.index("--checkpoint") + 1] == "/weights"
    assert named[named.index("--port") + 1] == "8080"


def test_the_image_copies_what_is_there_and_runs_without_rights() -> None:
    lines = (HOME / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    said = [line.split() for line in lines if line and not line.startswith("#")]
    for words in said:
        if words[0] == "COPY":
            for source in (word for word in words[1:-1] if not word.startswith("--")):
                assert (HOME.parents[1] / source).exists(), source
    users = [words[1] for words in said if words[0] == "USER"]
    assert users
    assert users[-1] not in {"root", "0"}
    labels = " ".join(" ".join(words) for words in said if words[0] == "LABEL")
    assert 'com.amazonaws.sagemaker.capabilities.bidirectional-streaming="true"' in labels


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    program = shutil.which("hadolint", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("hadolint has no wheel for this system")
    done = subprocess.run(
        [program, "--no-color", HOME / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
