"""`personadesk line create|wish|show|delete` as somebody types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from personadesk.__main__ import main
from personadesk.hosts import local

Type = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def type_(capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command; returns its exit status and its last line as JSON."""

    def type_(*words: str) -> tuple[int, dict[str, Any]]:
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return type_


@pytest.fixture
def no_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these commands do is told without a process that serves the lines afterwards."""

    async def stay(services: object) -> int:
        return 0

    monkeypatch.setattr("personadesk.app.Services.hand_over", stay)


def test_a_line_is_made_asleep_changed_told_and_deleted(
    type_: Type, no_background: None, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(local.pick_port())
    code, made = type_("line", "create", "a", "--port", port, "--place", "local")
    assert (code, made["state"], made["wish"]["rest"]) == (0, "stopped", "asleep")
    assert (made["wish"]["places"], made["wish"]["max_price"]) == (["local"], None)
    code, again = type_("line", "create", "a", "--port", port)
    assert (code, again["error"]["cause"]) == (1, "exists")
    code, changed = type_("line", "wish", "a", "--max-price", "0.5", "--guard", "off")
    assert (code, changed["wish"]["max_price"], changed["wish"]["guarded"]) == (0, 0.5, False)
    assert changed["wish"]["wake_on_connect"] is True
    code, spared = type_("line", "wish", "a", "--spare", "on")
    assert (code, spared["wish"]["spare"], spared["spare"]) == (0, "on", None)
    code, nowhere = type_("line", "wish", "a", "--spare", "account:nobody")
    assert (code, nowhere["error"]["cause"]) == (1, "bad_spare")
    main(["line", "wish", "a", "--max-price", "0.5"])
    assert "with a spare: there is none now" in capsys.readouterr().out
    code, alone = type_("line", "wish", "a", "--spare", "off")
    assert (code, alone["wish"]["spare"]) == (0, "")
    other = local.pick_port()
    code, moved = type_("line", "port", "a", str(other))
    assert (code, moved["url"]) == (0, f"ws://127.0.0.1:{other}/api/chat")
    code, same = type_("line", "port", "a", "80")
    assert (code, same["error"]["cause"]) == (1, "bad_port")
    main(["line", "show", "a"])
    assert "shall be asleep at local, up to $0.50 an hour; not guarded" in capsys.readouterr().out
    assert type_("line", "delete", "a") == (0, {"removed": "a"})
    code, gone = type_("line", "show", "a")
    assert (code, gone["error"]["cause"]) == (1, "no_line")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--place", "moon"), "BadRequest"),
        (("--place", "host:"), "BadRequest"),
        (("--place", "host:nobody"), "NotFound"),
        (("--place", "account:nobody"), "NotFound"),
        (("--max-price", "0"), "BadRequest"),
    ],
)
def test_what_makes_no_sense_makes_no_line(
    type_: Type, no_background: None, words: tuple[str, ...], error: str
) -> None:
    code, answer = type_("line", "create", "a", *words)
    assert (code, answer["error"]["type"]) == (1, error)
    assert type_("line", "list")[1]["lines"] == []


def test_hours_are_typed_changed_and_told(
    type_: Type, no_background: None, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(local.pick_port())
    week = ("--hours", "mon-fri 8:30-18:00", "--zone", "Europe/Amsterdam")
    code, made = type_("line", "create", "a", "--port", port, "--place", "local", *week)
    assert (code, made["wish"]["hours"]) == (0, "mon-fri 08:30-18:00")
    _, changed = type_("line", "wish", "a", "--zone", "America/New_York")
    assert (changed["wish"]["hours"], changed["wish"]["zone"]) == (
        "mon-fri 08:30-18:00", "America/New_York",
    )  # fmt: skip
    main(["line", "show", "a"])
    assert "hours: mon-fri 08:30-18:00 (America/New_York)" in capsys.readouterr().out
    code, wrong = type_("line", "wish", "a", "--hours", "some day")
    assert (code, wrong["error"]["cause"]) == (1, "bad_hours")
    assert type_("line", "wish", "a", "--hours", "never")[1]["wish"]["hours"] == "never"


def test_who_a_line_is_and_when_it_idles_is_typed(type_: Type, no_background: None) -> None:
    port = str(local.pick_port())
    said = ("--persona", "You are Eva.", "--idle-stop", "15")
    code, made = type_("line", "create", "a", "--port", port, "--place", "local", *said)
    assert (code, made["wish"]["persona"]) == (0, "You are Eva.")
    code, wrong = type_("line", "wish", "a", "--idle-stop", "soon")
    assert (code, wrong["error"]["cause"]) == (1, "bad_idle")
