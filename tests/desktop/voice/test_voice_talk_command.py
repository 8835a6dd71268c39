"""A conversation and the kept calls in the terminal, without any sound device."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personadesk.cli import main, talk
from personadesk.domain.text import T
from personadesk.voice.figures import Break, Link, Stage, Turn
from personadesk.voice.talk_view import TalkSnapshot, TalkState
from personaplex_server import protocol


@pytest.fixture
def personadesk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in a home of its own: `personadesk("calls", "list")` gives status and stdout."""
    monkeypatch.setenv("PERSONADESK_HOME", str(tmp_path / "home"))

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main.run(words)
        return status, capsys.readouterr().out

    return run


def voice(fake_voice: Callable[..., Any], **script: Any) -> str:
    async def start() -> str:
        return str((await fake_voice(**script)).url)

    return asyncio.run(start())


def test_a_call_is_held_kept_and_exported_without_a_sound_device(
    fake_voice: Callable[..., Any], personadesk: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    url = voice(fake_voice, extra={8: [protocol.text(" Good day.")]})
    status, out = personadesk(
        "talk", url, "--microphone", "clip", "--loudspeaker", "none", "--seconds", "1.6", "--keep",
        "--json",
    )  # fmt: skip
    told = json.loads(out)
    assert status == 0
    assert told["state"] == "ended"
    assert told["frames"]["received"] > 10
    assert told["transcript"][0]["text"] == "Good day."
    name = Path(told["kept"]).name

    _, out = personadesk("calls", "list", "good", "day", "--json")
    assert name in out
    assert personadesk("calls", "export", name, str(tmp_path / "out.wav"))[0] == 0
    with wave.open(str(tmp_path / "out.wav")) as both:
        assert both.getnchannels() == 2
        assert both.getnframes() > 24_000


def test_a_call_that_fails_says_why(
    fake_voice: Callable[..., Any],
    personadesk: Callable[..., tuple[int, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = voice(fake_voice, close_at=(-1, 1013, "", "Somebody is talking."))
    status, out = personadesk(
        "talk", url, "--microphone", "clip", "--loudspeaker", "none", "--json"
    )
    assert status == 1
    told = json.loads(out)
    assert (told["state"], told["reason"]) == ("failed", "Somebody is talking.")


def test_a_break_and_everything_else_is_told_to_programs() -> None:
    broke = Break(1.0, 2.0, resumed=True, reason=T("The line went dead."))
    view = TalkSnapshot(
        TalkState.IN_CALL, link=Link(breaks=(broke,)), turns=(Turn("you", 0.5, 1.5),)
    )
    told = json.loads(json.dumps(talk.told(view)))
    assert told["breaks"] == [
        {"at": 1.0, "seconds": 2.0, "resumed": True, "reason": "The line went dead."}
    ]
    assert told["turns"][0]["who"] == "you"
    assert set(told["stages_ms"]) == {str(stage) for stage in Stage}


def test_devices_are_listed_for_programs(personadesk: Callable[..., tuple[int, str]]) -> None:
    status, out = personadesk("audio-devices", "--json")
    assert status == 0
    assert set(json.loads(out)) == {"inputs", "outputs", "reason"}
