"""`personadesk persona …` and `personadesk voices …` as somebody types them."""

from __future__ import annotations

import json

import pytest

from personadesk.__main__ import main


@pytest.fixture
def type_(capsys, personadesk_home):
    """Types a command; returns its exit status and its last line as JSON."""

    def type_(*words: str):
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return type_


def test_a_persona_is_saved_shared_and_forgotten(type_, tmp_path):
    code, saved = type_("persona", "save", "Noor", "--text", "You work here.", "--seed", "3")
    assert (code, saved["persona"]["sampling"]["seed"]) == (0, 3)
    file = str(tmp_path / "noor.json")
    assert type_("persona", "export", "noor", file)[0] == 0
    assert (
        type_("persona", "import", file, "--name", "Two")[1]["persona"]["text"] == "You work here."
    )
    names = [each["name"] for each in type_("persona", "list")[1]["personas"]]
    assert names[:2] == ["Noor", "Two"]
    assert "Friendly teacher" in names
    assert type_("persona", "remove", "Two") == (0, {"removed": "Two"})
    code, told = type_("persona", "show", "Two")
    assert (code, told["error"]["cause"]) == (1, "no_persona")


def test_a_temperature_that_cannot_be_is_refused(type_):
    code, told = type_("persona", "save", "Hot", "--text-temperature", "11")
    assert (code, told["error"]["type"]) == (1, "BadRequest")


def test_voices_of_nobody_are_told_as_unreachable(type_):
    code, told = type_("voices", "ws://127.0.0.1:9/api/chat")
    assert (code, told["error"]["type"], told["error"]["cause"]) == (1, "Unreachable", "voices")
