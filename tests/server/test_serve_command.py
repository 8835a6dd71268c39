"""`personaplex-server serve` as a process: listening, refusing, failing in words, and ending."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from personaplex_server.protocol import Kind
from personaplex_server.serving import BindError, bind, is_loopback

pytestmark = pytest.mark.long

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the very thing that is refused without a token
SERVER = [sys.executable, "-m", "personaplex_server"]


@dataclass
class Process:
    """A server process and its address."""

    popen: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def chat(self) -> str:
        return f"{self.url.replace('http', 'ws')}/api/chat"

    def health(self) -> dict:
        return httpx.get(f"{self.url}/health", trust_env=False).json()

    def until(self, *states: str) -> dict:
        end = time.monotonic() + 60
        while (health := self.health())["state"] not in states:
            assert time.monotonic() < end, health
            time.sleep(0.05)
        return health


Launch = Callable[..., Process]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start `serve` with the given arguments on a free port, and wait until it listens."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str | Path) -> Process:
        ready = tmp_path / f"ready-{len(started)}.json"
        log = tmp_path / f"log-{len(started)}"
        command = [*SERVER, "serve", "--port", "0", "--ready-file", ready, *arguments]
        with log.open("wb") as file:
            popen = subprocess.Popen([str(part) for part in command], stderr=file)
        started.append(popen)
        end = time.monotonic() + 30
        while not ready.exists():
            assert popen.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)
        return Process(popen, json.loads(ready.read_text())["url"], log)

    yield start
    for popen in started:
        if popen.poll() is None:
            popen.kill()
        popen.wait(10)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*SERVER, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rehearsal model, made once."""
    folder = tmp_path_factory.mktemp("models") / "rehearsal"
    made = run("make-checkpoint", "--preset", "rehearsal", folder)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture
def copy(rehearsal: Path, tmp_path: Path) -> Path:
    """A copy of the rehearsal model to spoil."""
    return shutil.copytree(rehearsal, tmp_path / "model")


def test_help_and_version_load_nothing_heavy():
    words = "import sys, personaplex_server.__main__, personaplex_server.protocol; "
    words += "print(not {'torch', 'numpy', 'uvicorn', 'starlette'} & set(sys.modules))"
    checked = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, timeout=30, check=True
    )
    assert checked.stdout == "True\n"
    assert "serve" in run("--help").stdout
    assert run("--version").stdout.startswith("personaplex-server ")


@pytest.mark.parametrize(("given", "kept"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_are_told_to_sleep_before_torch_is_loaded(given, kept, monkeypatch):
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    words = "import argparse, os, sys; from personaplex_server import serve; "
    words += "serve.engines_of(argparse.Namespace(checkpoint=None), print); "
    words += "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    checked = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, timeout=30, check=True
    )
    assert checked.stdout == f"{kept} False\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["serve"], "--checkpoint"),
        (["serve", "--engine", "echo", "--host", EVERYWHERE], "--token-file"),
        (["serve", "--engine", "echo", "--port", "70000"], "--port"),
        (["serve", "--engine", "echo", "--rows", "0"], "--rows"),
        (["serve", "--engine", "echo", "--rows", "many"], "--rows"),
        (["serve", "--engine", "echo", "--echo-delay", "-1"], "--echo-delay"),
        (["serve", "--engine", "echo", "--max-wait", "-1"], "--max-wait"),
        (["serve", "--engine", "echo", "--max-call", "nan"], "--max-call"),
        (["serve", "--engine", "echo", "--token-file", "/nowhere"], "token file"),
        (["serve", "--engine", "echo", "--tls-cert", "a.pem"], "--tls-key"),
        (["serve", "--engine", "echo", "--port", "0", "--tls-cert", "a", "--tls-key", "b"], "key"),
        (["serve", "--engine", "echo", "--allow-origin", "example.org"], "--allow-origin"),
        (["serve", "--engine", "echo", "--allow-origin", "https://a.org/x"], "--allow-origin"),
        (["serve", "--engine", "echo", "--per-minute", "-1"], "--per-minute"),
        (["serve", "--engine", "echo", "--readiness-port", "8999"], "--readiness-path"),
        (["serve", "--engine", "echo", "--readiness-path", "ready"], "--readiness-path"),
        (["serve", "--engine", "echo", "--token-file", os.devnull], "token file"),
        (["serve", "--engine", "echo", "--host", "example.org"], "--token-file"),
        (["serve", "--engine", "echo", "--voices-token-file", "token"], "--voices."),
        (["serve", "--engine", "echo", "--port", "0", "--ready-file", "/dev/null/x"], "ready file"),
        (["serve", "--device", "abacus"], "--device"),
    ],
)
def test_wrong_command_lines_are_explained(arguments, words):
    ended = run(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_libopus_it_is_said_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "opuslib_next.py").write_text("raise Exception('Could not find Opus library.')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = run("serve", "--engine", "echo", "--port", "0")
    assert ended.returncode == 2
    assert "Could not find Opus library" in ended.stderr
    assert "opuslib-next" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_told():
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        ended = run("serve", "--engine", "echo", "--port", str(port))
    assert ended.returncode == 3
    assert f"Port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_address_of_another_computer_cannot_be_bound():
    with pytest.raises(BindError, match="no address of this computer") as caught:
        bind("192.0.2.1", 0)
    assert not caught.value.taken


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.0.0.9", True),
        ("localhost", True),
        ("::1", True),
        (EVERYWHERE, False),
        ("::", False),
        ("example.org", False),
    ],
)
def test_loopback_is_known(host, local):
    assert is_loopback(host) is local


def test_it_ends_when_told_and_says_good_bye(launch, dial):
    server = launch("--engine", "echo")
    caller = dial(server.chat)
    caller.handshake()
    server.popen.send_signal(signal.SIGTERM)
    code, _ = caller.closed()
    assert code == 1012
    assert caller.of(Kind.ERROR) == [b"The voice server is stopping."]
    assert server.popen.wait(10) == 0
    assert not list(server.log.parent.glob("ready-*"))


def test_calls_may_go_on_when_it_is_told_to_stop(launch, dial, tone):
    server = launch("--engine", "echo", "--drain", "30")
    caller = dial(server.chat)
    caller.handshake()
    server.popen.send_signal(signal.SIGTERM)
    server.until("stopped")
    late = dial(server.chat)
    assert late.closed()[0] == 1012
    assert "stopping" in late.of(Kind.ERROR)[0].decode()
    caller.say(tone(0.4))
    caller.until(lambda c: len(c.pcm) == 5)
    assert server.popen.poll() is None
    caller.hang_up()
    assert server.popen.wait(10) == 0


@pytest.mark.parametrize("how", ["time", "signal"])
def test_the_going_on_has_an_end(launch, dial, how):
    server = launch("--engine", "echo", "--drain", "0.5" if how == "time" else "60")
    caller = dial(server.chat)
    caller.handshake()
    server.popen.send_signal(signal.SIGINT)
    if how == "signal":
        server.until("stopped")
        server.popen.send_signal(signal.SIGINT)
    assert caller.closed()[0] == 1012
    assert caller.of(Kind.ERROR) == [b"The voice server is stopping."]
    assert server.popen.wait(10) == 0


def test_a_token_for_voices_is_written_afresh_at_each_start_for_its_owner_alone(launch, tmp_path):
    file = tmp_path / "state" / "voices.token"
    words = ("--engine", "echo", "--voices", tmp_path / "voices", "--voices-token-file", file)
    server = launch(*words, "--verbose")
    first = file.read_text()
    assert len(first) >= 40
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # One that finds the port taken ends without a trace.
    port = server.url.rpartition(":")[2]
    assert run("serve", "--port", port, *words).returncode == 3
    assert file.read_text() == first
    server.until("ready")
    url, headers = f"{server.url}/api/voices?name=anna", {"Authorization": f"Bearer {first}"}
    sound = httpx.post(url, content=b"no sound", headers=headers, trust_env=False)
    assert sound.status_code == 422
    assert httpx.post(url, content=b"no sound", trust_env=False).status_code == 401
    assert first not in server.log.read_text()
    launch(*words)
    assert file.read_text() != first


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_token_never_reaches_the_log(launch, dial, tmp_path, raw_socket, form):
    token = tmp_path / "token"
    token.write_text("very-secret-token\n")
    server = launch(
        *("--engine", "echo", "--token-file", token, "--verbose", "--host", EVERYWHERE),
        *("--log-format", form),
    )
    url = server.chat.replace(EVERYWHERE, "127.0.0.1")
    caller = dial(f"{url}?token=very-secret-token&resume=1")
    caller.handshake()
    caller.until(lambda c: bool(c.figures()))
    assert dial(f"{url}?token=very-secret-tokem").closed()[0] == 1008
    assert dial(f"{url}?token=very-secret-token&seed=very-secret-token").closed()[0] == 1008
    for request in (
        b"GET /health?token=very-secret-token FTP/9\r\n\r\n",
        b"very-secret-token\r\n\r\n",
    ):
        sock = raw_socket(server.url.replace(EVERYWHERE, "127.0.0.1"))
        sock.sendall(request)
        sock.recv(64)
    server.popen.terminate()
    server.popen.wait(10)
    log = server.log.read_text()
    assert "caller seated" in log
    assert "very-secret" not in log
    assert caller.figures()[0]["resume"] not in log
    assert "/api/chat" not in log


def test_whoever_wants_it_open_says_so(launch, dial):
    server = launch("--engine", "echo", "--host", EVERYWHERE, "--insecure")
    dial(server.chat.replace(EVERYWHERE, "127.0.0.1")).handshake()


def test_https_is_spoken_with_a_certificate_of_its_own(launch, tmp_path):
    server = launch("--engine", "echo", "--tls-self-signed", tmp_path / "tls")
    assert server.url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "tls" / "certificate.pem"))
    health = httpx.get(f"{server.url}/health", verify=trusting, trust_env=False).json()
    assert health["engine"] == "echo"
    assert "sha256=" in server.log.read_text()


def test_load_balancers_have_a_door_and_a_path_of_their_own(launch, dial):
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
    server = launch(
        *("--engine", "echo", "--chat-path", "/invocations", "--readiness-path", "/ping"),
        *("--readiness-port", str(port)),
    )
    door = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 10
    while (answer := httpx.get(f"{door}/ping", trust_env=False)).status_code == 204:
        assert time.monotonic() < end
    assert (answer.status_code, answer.text) == (200, "ready")
    assert httpx.get(f"{door}/health", trust_env=False).status_code == 404
    assert httpx.get(f"{server.url}/ping", trust_env=False).text == "ready"
    dial(server.chat.replace("/api/chat", "/invocations")).handshake()


def test_the_rehearsal_model_answers_a_caller(launch, dial, tone, rehearsal):
    server = launch("--checkpoint", rehearsal, "--threads", "1")
    assert server.health()["state"] in {"loading", "ready"}
    health = server.until("ready", "failed")
    assert health["rehearsal"] is True, health
    voices = httpx.get(f"{server.url}/api/voices", trust_env=False).json()
    assert voices["default"] in {voice["name"] for voice in voices["voices"]}
    caller = dial(f"{server.chat}?text_prompt=You%20are%20kind.&seed=5")
    # Whether it keeps pace is asked elsewhere: other programs may take the processor here.
    talking = caller.elsewhere.start(caller.saying(tone(40)))
    caller.until(lambda c: len(c.pcm) >= 22)
    talking.cancel()
    assert caller.messages[0][0] is Kind.HANDSHAKE
    assert caller.of(Kind.TEXT)
    for words in caller.of(Kind.TEXT):
        assert "�" not in words.decode("utf-8")
    assert max(abs(pcm).max() for pcm in caller.pcm) > 0.01
    second = dial(server.chat)
    assert second.closed()[0] == 1013


def test_the_number_of_calls_is_measured(launch, rehearsal):
    server = launch("--checkpoint", rehearsal, "--threads", "1", "--rows", "auto")
    health = server.until("ready", "failed")
    assert health["slots"] >= 1, health
    status = httpx.get(f"{server.url}/api/status", trust_env=False).json()
    assert status["facts"]["capacity"]["seats"] == health["slots"] == health["free"]
    assert status["facts"]["capacity"]["tick_ms"]["1"] > 0


def test_the_model_reads_no_voice_but_its_own(launch, dial, copy):
    (copy / "voices" / "evil.pt").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    server = launch("--checkpoint", copy, "--threads", "1")
    server.until("ready")
    for voice in (
        "..%2Fconfig.json",
        "..",
        "%2Fetc%2Fpasswd",
        "config.json",
        "nobody.wav",
        "evil.pt",
    ):
        caller = dial(f"{server.chat}?voice_prompt={voice}")
        code, _ = caller.closed()
        assert code == 1008, voice
        assert caller.of(Kind.ERROR)[0].decode().endswith(".")
        assert server.until("ready")["free"] == 1


def spoil_cut(model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


def spoil_kind(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(1000))


def spoil_shape(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["lm"]["dim"] *= 2
    (model / "config.json").write_text(json.dumps(config))


def spoil_all(model: Path) -> None:
    shutil.rmtree(model)


@pytest.mark.parametrize(
    "spoil",
    [spoil_cut, spoil_kind, spoil_shape, spoil_all],
    ids=lambda f: f.__name__,
)
def test_a_spoilt_model_is_told_and_the_process_stays(launch, dial, copy, spoil):
    spoil(copy)
    server = launch("--checkpoint", copy, "--threads", "1")
    health = server.until("failed", "ready")
    assert (health["state"], health["cause"]) == ("failed", "model")
    assert health["reason"].endswith(".")
    assert "Traceback" not in health["reason"]
    assert "\n" not in health["reason"]
    caller = dial(server.chat)
    assert caller.closed()[0] == 1011
    dial(f"{server.chat}?engine=echo").handshake()
    assert server.popen.poll() is None


def test_a_server_whose_model_broke_ends_so_that_it_is_started_anew():
    words = """
import threading
from personaplex_server import serving, web
stopper = serving.Stopper()
sock = serving.bind("127.0.0.1", 0)
threading.Timer(0.3, stopper.stop).start()
app = web.create_app(web.Service(engines={}, default="none"))
serving.run(serving.server(app, lambda: None), [sock], stopper)
print("ended", stopper.asked)
"""
    ended = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout.strip() == "ended True", ended.stderr
