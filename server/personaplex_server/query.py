"""What a caller asks for in the address of `/api/chat`: who answers, and how."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from personaplex_server.engines.base import Persona, Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_ROLE: Final = 8_000
"""Characters of a role text; the existing page allows 1000, and the model's memory holds about 10 000."""


class BadQueryError(ValueError):
    """A parameter of the address cannot be used; the text is a sentence for the caller."""


def read_persona(query: Mapping[str, str]) -> Persona:
    """Return the persona that an address asks for; what is missing or empty takes its default.

    Raises:
        BadQueryError: A value makes no sense. Unknown parameters are no matter.
    """
    default = Sampling()
    voice = query.get("voice_prompt", "").strip() or None
    if voice is not None and (
        "/" in voice or "\\" in voice or voice.startswith(".") or not voice.isprintable()
    ):
        raise BadQueryError(
            "The parameter voice_prompt must be the plain name of a voice, without any folder. "
            "The route /api/voices lists the names."
        )
    text = query.get("text_prompt", "").strip()
    if len(text) > LONGEST_ROLE:
        raise BadQueryError(
            f"The role text is {len(text)} characters long. Shorten it to {LONGEST_ROLE} at most."
        )
    seed = _whole(query, "seed", -1, lowest=-1, highest=2**63 - 1)
    return Persona(
        voice=voice,
        text=text,
        sampling=Sampling(
            text_temperature=_number(query, "text_temperature", default.text_temperature),
            text_top_k=_whole(query, "text_topk", default.text_top_k),
            audio_temperature=_number(query, "audio_temperature", default.audio_temperature),
            audio_top_k=_whole(query, "audio_topk", default.audio_top_k),
            seed=None if seed == -1 else seed,
        ),
    )


def _number(query: Mapping[str, str], name: str, default: float, highest: float = 10.0) -> float:
    given = query.get(name, "").strip()
    if not given:
        return default
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= highest:
        raise BadQueryError(
            f"The parameter {name} must be a number from 0 to {highest:g}, not {given[:40]!r}."
        )
    return value


def _whole(
    query: Mapping[str, str], name: str, default: int, lowest: int = 0, highest: int = 100_000
) -> int:
    given = query.get(name, "").strip()
    if not given:
        return default
    try:
        value = int(given)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= highest:
        raise BadQueryError(
            f"The parameter {name} must be a whole number from {lowest} to {highest}, "
            f"not {given[:40]!r}."
        )
    return value
