"""Personas: what they ask of a server, and what may come in from a shared file."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from personadesk.domain.errors import BadRequest
from personadesk.domain.persona import BUILT_IN, Persona, Sampling, checked, from_json

NOOR = Persona("Noor", "You work for a museum.", "NATF2.pt", Sampling(7, 0.5, 0.8, 40, 250))


def test_only_what_differs_from_the_servers_own_is_asked_for() -> None:
    assert Persona(text="Hello").query() == {"text_prompt": "Hello"}
    assert NOOR.query() == {
        "text_prompt": "You work for a museum.", "voice_prompt": "NATF2.pt", "seed": "7",
        "text_temperature": "0.5", "text_topk": "40",
    }  # fmt: skip


def test_a_shared_file_gives_the_same_persona_back() -> None:
    for persona in (NOOR, *BUILT_IN):
        assert from_json(persona.as_json()) == persona


def test_a_whole_number_is_a_temperature_too() -> None:
    plain = json.loads(NOOR.as_json())
    plain["sampling"]["text_temperature"] = 1
    assert from_json(json.dumps(plain)).sampling.text_temperature == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"kind": "something else"}',
        '{"kind": "personadesk-persona", "name": "a", "text": 3}',
        '{"kind": "personadesk-persona", "name": "a", "sampling": {"seed": true}}',
        '{"kind": "personadesk-persona", "name": "a", "sampling": {"text_topk": 1.5}}',
        '{"kind": "personadesk-persona", "name": "a", "sampling": []}',
        '{"kind": "personadesk-persona", "name": ""}',
    ],
)
def test_other_files_are_refused_in_words(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        from_json(text)
    assert str(refused.value.next)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": " "},
        {"name": "n" * 41},
        {"text": "t" * 8001},
        {"sampling": Sampling(audio_temperature=10.1)},
        {"sampling": Sampling(text_topk=-1)},
        {"sampling": Sampling(seed=-2)},
    ],
)
def test_what_the_server_would_refuse_is_not_saved(changes: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        checked(replace(NOOR, **changes))  # type: ignore[arg-type] # as the case has it


def test_a_name_is_trimmed() -> None:
    assert checked(replace(NOOR, name="  Noor ")).name == "Noor"
