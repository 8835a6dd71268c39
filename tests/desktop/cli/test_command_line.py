from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from personadesk import __main__ as program
from personadesk.cli.main import parser, run
from personadesk.cli.running import error_dict
from personadesk.domain.errors import BadRequest


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for command in ("demo", "deploy", "status", "stop", "voice-test", "line", "top", "metrics"):
        assert command in said


def test_every_action_leads_to_a_module_that_runs() -> None:
    import importlib

    for words in (
        ["demo"], ["deploy"], ["status"], ["stop"], ["voice-test", "ws://x"], ["line", "list"],
        ["line", "show", "a"], ["line", "start", "a"], ["line", "stop", "a"], ["line", "remove", "a"],
        ["line", "serve"], ["line", "create", "a", "--place", "local"], ["line", "wish", "a"],
        ["line", "move", "a", "--to", "local"], ["line", "wake", "a"], ["line", "sleep", "a"],
        ["line", "delete", "a"],
        ["metrics"], ["metrics", "serve"], ["metrics", "webhook"],
    ):  # fmt: skip
        arguments = parser().parse_args(words)
        assert callable(importlib.import_module(f"personadesk.cli.{arguments.module}").run)
        assert arguments.json is False


@pytest.mark.parametrize(
    "words",
    [["fly"], ["demo", "--port", "x"], ["voice-test"], ["line"], ["line", "show"], ["--what"]],
)
def test_what_is_not_understood_ends_with_status_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(words)
    assert ended.value.code == 2
    assert "usage: personadesk" in capsys.readouterr().err


def test_what_is_not_understood_is_told_to_programs_in_their_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["offers", "--min-memory-gb", "many", "--json"])
    assert ended.value.code == 2
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert (error["type"], error["cause"]) == ("BadRequest", "usage")
    assert "many" in told.err


def test_without_a_display_the_window_is_not_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform in {"win32", "darwin"}:
        assert program.has_display()
        return
    assert program.main([]) == 2
    assert "personadesk demo" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["line", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from personadesk.__main__ import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'rich', 'websockets', 'httpx', 'asyncio', 'PySide6', 'sqlite3', 'msgspec', 'psutil'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_status_loads_no_sound_and_no_window() -> None:
    code = (
        "import sys\n"
        "from personadesk.__main__ import main\n"
        "assert main(['status', '--json']) == 0\n"
        "heavy = {'numpy', 'rich', 'websockets', 'httpx', 'PySide6', 'sounddevice', 'torch'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_an_error_is_told_with_what_programs_need() -> None:
    told = error_dict(BadRequest("Port 1 is taken.", "Choose another.", cause="port_taken"))
    assert told == {
        "type": "BadRequest", "message": "Port 1 is taken.", "next": "Choose another.",
        "cause": "port_taken", "provider_status": None, "request_id": "",
    }  # fmt: skip
    always = {"type", "message", "next", "provider_status", "request_id"}
    assert set(error_dict(BadRequest("No."))) == always


def _personadesk(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "personadesk", *words],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **env},
    )  # fmt: skip


def test_a_fresh_home_has_no_lines() -> None:
    done = _personadesk("status")
    assert (done.returncode, done.stdout) == (0, "No lines yet. To make one: personadesk deploy\n")
    assert json.loads(_personadesk("line", "list", "--json").stdout) == {
        "lines": [],
        "served_by": None,
    }
    assert _personadesk("stop").stdout == "Nothing was running.\n"


@pytest.mark.parametrize("action", ["show", "start", "stop", "remove"])
def test_a_line_that_is_not_there_is_told(action: str) -> None:
    done = _personadesk("line", action, "nobody", "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout.splitlines()[-1])["error"]
    assert error["type"] == "NotFound"
    assert "nobody" in error["message"]
    assert "There is no line called “nobody”." in done.stderr


def test_a_deploy_that_is_not_there_is_told() -> None:
    for choice in ("--resume", "--undo"):
        done = _personadesk("deploy", choice, "pd-0", "--json")
        assert done.returncode == 1
        said = json.loads(done.stdout.splitlines()[-1])
        assert said["error"]["type"] == "NotFound"
        assert said["verdict"] == "fail"


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["--model", "/nowhere/at/all"], "BadRequest", "does not exist"),
        (["--model", "personaplex-7b"], "HostUnfit", "PersonaPlex 7B"),
        (["--clip", "/nowhere/a.wav"], "NotFound", "a.wav"),
        (["--port", "80"], "BadRequest", "Port 80"),
    ],
)
def test_a_demo_that_makes_no_sense_ends_at_once_with_the_same_object(
    words: list[str], kind: str, message: str
) -> None:
    done = _personadesk("demo", "--json", *words, PATH="/usr/bin:/bin")
    assert done.returncode == 1
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["verdict"] == "fail"
    assert said["error"]["type"] == kind
    assert message in said["error"]["message"]
    assert said["error"]["next"]
    assert said["line"] == {"url": None}
    assert said["report"] is None
    assert said["voice"] == {}
    assert [step["outcome"] for step in said["steps"]] == ["failed", *["waiting"] * 7]
    assert message in done.stderr


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _personadesk("demo", "--json", PERSONADESK_HOME=str(tmp_path / "file"))
    assert done.returncode == 1
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["error"]["type"] == "HostUnfit"
    assert "cannot write" in said["error"]["message"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["ws://127.0.0.1:9/api/chat"], "Unreachable"),
        (["nonsense://x"], "BadRequest"),
        (["ws://127.0.0.1:9", "--clip", "/nowhere/a.wav"], "NotFound"),
        (["ws://127.0.0.1:9", "--token-env", "NOT_SET_ANYWHERE"], "BadRequest"),
    ],
)
def test_a_voice_test_without_a_call_is_told_in_the_same_object(
    words: list[str], kind: str
) -> None:
    done = _personadesk("voice-test", *words, "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["verdict"], said["voice"], said["report"]) == ("fail", {}, None)
    assert said["error"]["type"] == kind


def test_a_reader_that_has_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "personadesk", "accounts", "providers", "--json"]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")
