"""How values become JSON and back; sentences keep their template, so that they can be translated later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from personadesk.domain.errors import from_dict
from personadesk.domain.plan import Plan
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError


def plan_to_json(plan: Plan) -> str:
    """Encode a plan."""
    return msgspec.json.encode(plan).decode()


def plan_from_json(text: str) -> Plan:
    """Decode a plan; fields that a later version added are ignored."""
    return msgspec.json.decode(text, type=Plan)


def text_to_json(text: Text) -> str:
    """Encode a sentence; "" for none."""
    return json.dumps(_plain(text)) if text else ""


def text_from_json(text: str) -> Text:
    """Decode a sentence."""
    if not text:
        return NOTHING
    return _sentence(json.loads(text))


def _plain(text: Text) -> list[Any]:
    """Return the sentence as lists: a value that is a list is a sentence of its own."""
    values = {k: _plain(v) if isinstance(v, Text) else v for k, v in text.values.items()}
    return [text.template, values]


def _sentence(plain: list[Any]) -> Text:
    template, values = plain
    return T(template, **{k: _sentence(v) if isinstance(v, list) else v for k, v in values.items()})


def error_to_json(error: PersonaDeskError | None) -> str | None:
    """Encode an error with its sentences."""
    if error is None:
        return None
    return json.dumps(
        {**error.as_dict(), "_what": text_to_json(error.what), "_next": text_to_json(error.next)}
    )


def error_from_json(text: str | None) -> PersonaDeskError | None:
    """Decode an error."""
    if not text:
        return None
    values: dict[str, Any] = json.loads(text)
    error = from_dict(values)
    error.what = text_from_json(values.get("_what", ""))
    error.next = text_from_json(values.get("_next", ""))
    return error
