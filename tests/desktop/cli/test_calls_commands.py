"""`personadesk calls …` as somebody types it, on calls that were really written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from personadesk.__main__ import main
from personadesk.store import paths
from personadesk.voice.recorder import Form
from personadesk.voice.sessions import CALLS, Sessions


@pytest.fixture
def type_(capsys, personadesk_home):
    """Types a command; returns its exit status and its last line as JSON."""
    sessions = Sessions(paths.folders().data / CALLS)
    recorder = sessions.begin("Front desk", "ws://127.0.0.1:8998/api/chat", Form.WAV)
    recorder.voice(0.0, np.full(24_000, 0.25, np.float32))
    recorder.event(0.2, "words", text="We are open until five.")
    assert recorder.close()
    sessions.finish(recorder.folder)

    def type_(*words: str):
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return type_


def test_kept_calls_are_found_read_noted_exported_and_deleted(type_, tmp_path):
    (one,) = type_("calls", "list", "FIVE", "open")[1]["calls"]
    assert one["line"] == "Front desk"
    assert type_("calls", "list", "six")[1] == {"calls": []}
    name = one["name"]
    assert (
        type_("calls", "show", name)[1]["call"]["transcript"][0]["text"]
        == "We are open until five."
    )
    assert type_("calls", "note", name, "slow")[0] == 0
    assert type_("calls", "list", "slow")[1]["calls"][0]["notes"] == "slow"
    srt, plain = tmp_path / "call.srt", tmp_path / "call.json"
    type_("calls", "export", name, str(srt))
    type_("calls", "export", name, str(plain))
    assert "-->" in srt.read_text()
    assert json.loads(plain.read_text())[0]["who"] == "voice"
    assert type_("calls", "delete", name) == (0, {"deleted": name})
    code, told = type_("calls", "show", name)
    assert (code, told["error"]["type"]) == (1, "BadRequest")
