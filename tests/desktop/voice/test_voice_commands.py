"""The terminal's voice commands against a voice that speaks the real frames."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personadesk.app import open_services
from personadesk.cli import main
from personadesk.domain.line import Line, LineState, Target

if TYPE_CHECKING:
    from pathlib import Path


def _start(fake_voice: Any, **how: Any) -> str:
    async def start() -> Any:
        return await fake_voice(**how)

    return str(asyncio.run(start()).url)


def _run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    status = main.run([*words, "--json"])
    return status, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_script_is_played_and_saved(
    fake_voice: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = _start(fake_voice, level=0.0)
    (tmp_path / "it.toml").write_text("[[turn]]\nsilence = 1\n")
    words = [
        "voice-test",
        url,
        "--script",
        str(tmp_path / "it.toml"),
        "--save",
        str(tmp_path / "r"),
    ]
    status, told = _run(words, capsys)
    assert status == 1, "silence is no voice"
    assert told["turns"][0]["figure"]["verdict"] == "pass"
    assert told["clip"] == "it"
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        "report.html", "report.json", "call.wav",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["--line", "nobody"], "NotFound"),
        (["ws://127.0.0.1:9", "--script", "none.toml"], "NotFound"),
    ],
)
def test_what_cannot_be_tested_is_told_as_an_object(
    words: list[str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = _run(["voice-test", *words], capsys)
    assert status == 1
    assert told["error"]["type"] == kind


@pytest.mark.parametrize(
    "words",
    [["ws://127.0.0.1:9", "--line", "x"], ["--line", "x", "--clip", "noise", "--script", "y"]],
)
def test_an_address_and_a_line_or_a_clip_and_a_script_do_not_go_together(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(["voice-test", *words])
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_two_addresses_are_compared(
    fake_voice: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], make_wav: Any
) -> None:
    one, other = _start(fake_voice), _start(fake_voice)
    clip = make_wav(np.full(12_000, 9000, "<i2").tobytes())
    words = ["voice-compare", one, other, "--clip", str(clip), "--save", str(tmp_path / "r")]
    status, told = _run(words, capsys)
    assert status == 0
    assert [side["name"] for side in told["sides"]] == [one, other]
    assert (tmp_path / "r" / "comparison.html").exists()


def test_a_comparison_of_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = _run(["voice-compare", "ws://127.0.0.1:9"], capsys)
    assert status == 1
    assert told["error"]["type"] == "BadRequest"


async def _make_line(url: str, port: int) -> None:
    services = await open_services(serve_lines=False)
    try:
        target = Target(f"{url}/api/chat", "pd-00000001")
        await services.lines.put(Line("Mine", port, target, LineState.UP))
    finally:
        await services.close()


def test_a_line_of_ones_own_is_loaded_through_its_address(
    fake_voice: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asyncio.run(_make_line(_start(fake_voice), port))
    words = ["voice-load", "Mine", "--max", "1", "--save", str(tmp_path / "r")]
    status, told = _run(words, capsys)
    assert told["line"] == "Mine"
    assert told["outcome"] in {"limit", "late", "computer"}, "a busy machine is late itself"
    assert status == (0 if told["capacity"] else 1)
    assert told["steps"][0]["frames"] > 0
    assert (tmp_path / "r" / "load.html").exists()


def test_an_address_is_not_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = _run(["voice-load", "ws://127.0.0.1:9"], capsys)
    assert status == 1
    assert "is no line of yours" in told["error"]["message"]
