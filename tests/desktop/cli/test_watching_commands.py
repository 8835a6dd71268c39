"""`top` and `metrics` in a fresh home, with the stand-in for nvidia-smi as this computer's cards."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from personadesk.cli.main import run
from personadesk.hosts import exposition, local
from personadesk.rehearsal import nvidia_smi

DATA = Path(__file__).parents[2] / "data" / "nvidia-smi"


@pytest.fixture(autouse=True)
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cards at work."""
    nvidia_smi.install(tmp_path / "bin", DATA / "rtx-4090.json", copies="2", state="load")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "160")


def test_one_sample_of_everything_with_a_value_or_a_reason(capsys: pytest.CaptureFixture[str]):
    assert run(["metrics", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    [here] = told["hosts"]
    assert here["name"] == "local"
    figures = {(each["metric"], each["part"]): each for each in here["figures"]}
    for each in figures.values():
        assert (each["value"] is None) == bool(each["reason"])
    assert figures["memory.used", ""]["unit"] == "B"
    assert figures["cpu.use", ""]["value"] is not None
    assert [gpu["index"] for gpu in here["gpus"]] == ["0", "1"]
    assert figures["gpu.use", "1"]["value"] == 71.0
    assert told["alarms"] == []


def test_a_picture_of_it_for_people(capsys: pytest.CaptureFixture[str]):
    assert run(["top", "--once"]) == 0
    said = capsys.readouterr().out
    assert "GeForce RTX 4090" in said
    assert "71%]" in said
    assert "This computer" in said
    assert "[||||" in said


def test_prometheus_is_served_until_told_to_end():
    port = local.pick_port()
    serving = subprocess.Popen(
        [sys.executable, "-m", "personadesk", "metrics", "serve", "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert serving.stderr is not None
        assert f"127.0.0.1:{port}/metrics" in serving.stderr.readline()
        url = f"http://127.0.0.1:{port}/metrics"
        with urllib.request.urlopen(url, timeout=20) as answer:
            points = exposition.parse(answer.read().decode())
        assert all(point.name.startswith("personadesk_") for point in points)
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) == 0
    finally:
        serving.kill()
        serving.wait(10)
        serving.stderr.close()


def test_a_webhook_that_is_not_safe_is_refused(capsys: pytest.CaptureFixture[str]):
    assert run(["metrics", "webhook", "http://example.org/x", "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["type"] == "BadRequest"
    assert run(["metrics", "webhook", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"webhook": False}


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of the Unix kind")
def test_the_live_picture_ends_with_q():
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "personadesk", "top", "--every", "0.2"]
    env = {**os.environ, "TERM": "xterm"}
    top = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    try:
        end = time.monotonic() + 30
        while b"71%" not in shown and time.monotonic() < end:
            shown += os.read(ours, 65536)
        os.write(ours, b"q")
        # What it still draws must be read, or it waits.
        with contextlib.suppress(OSError):
            while os.read(ours, 65536):
                pass
        assert top.wait(20) == 0
    finally:
        top.kill()
        top.wait(10)
        os.close(ours)
    assert b"PersonaDesk top" in shown
    assert b"\x1b[3" in shown  # colours
