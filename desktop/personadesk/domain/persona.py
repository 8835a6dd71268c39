"""A persona: the role, the voice and the sampling that a call begins with; saved under a name and shared as a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T

KIND: Final = "personadesk-persona"
"""Says in a shared file what it is."""
LONGEST_NAME: Final = 40
LONGEST_TEXT: Final = 8000
"""Characters that the server takes, see `text_prompt` in docs/server.md."""
HOTTEST: Final = 10.0
MOST_CHOICES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How freely the model chooses; the defaults are the server's own.

    Attributes:
        seed: The same one gives the same dice; -1 draws a fresh one for each call.
        text_temperature: Of its words, 0 to 10; 0 always takes the likeliest.
        audio_temperature: Of its sound, the same.
        text_topk: Out of how many words it chooses; 0 for all.
        audio_topk: The same for its sound.
    """

    seed: int = -1
    text_temperature: float = 0.7
    audio_temperature: float = 0.8
    text_topk: int = 25
    audio_topk: int = 250


@dataclass(frozen=True, slots=True)
class Persona:
    """Who answers.

    Attributes:
        name: 1 to 40 characters; "" while it is not saved.
        text: The role in words.
        voice: Name of the voice as the server lists it; "" for the server's own choice.
        sampling: How freely the model chooses.
    """

    name: str = ""
    text: str = ""
    voice: str = ""
    sampling: Sampling = field(default_factory=Sampling)

    def query(self) -> dict[str, str]:
        """Return the parameters of a call; what equals the server's default is left out."""
        found = {"text_prompt": self.text}
        if self.voice:
            found["voice_prompt"] = self.voice
        for each in fields(Sampling):
            value = getattr(self.sampling, each.name)
            if value != each.default:
                found[each.name] = f"{value:g}" if isinstance(value, float) else str(value)
        return found

    def as_json(self) -> str:
        """Return the text of a file to share."""
        return (
            json.dumps({"kind": KIND, "version": 1} | asdict(self), indent=2, ensure_ascii=False)
            + "\n"
        )


TEACHER: Final = Persona(
    "Friendly teacher",
    "You are a wise and friendly teacher. "
    "Answer questions or provide advice in a clear and engaging way.",
)
BUILT_IN: Final = (
    TEACHER,
    Persona("Good conversation", "You enjoy having a good conversation."),
    Persona(
        "Museum receptionist",
        "You work for the Harbour Museum, which is a small maritime museum, and your name is Noor. "
        "Information: open 10 to 17, closed on Monday. A ticket costs 12 euros. Dogs may come along.",
    ),
)
"""Always there; the model speaks English, so their words are not translated."""


def checked(persona: Persona) -> Persona:
    """Return a persona that can be saved and called with.

    Raises:
        BadRequest: Its name, text or sampling is out of bounds.
    """
    if not persona.name.strip() or len(persona.name.strip()) > LONGEST_NAME:
        raise _bad(T("A persona needs a name of 1 to {most} characters.", most=LONGEST_NAME))
    if len(persona.text) > LONGEST_TEXT:
        raise _bad(T("The text of a persona may have {most} characters.", most=LONGEST_TEXT))
    sampling = persona.sampling
    if not all(
        0 <= value <= HOTTEST for value in (sampling.text_temperature, sampling.audio_temperature)
    ):
        raise _bad(T("Temperatures go from 0 to {most}.", most=round(HOTTEST)))
    if not all(0 <= value <= MOST_CHOICES for value in (sampling.text_topk, sampling.audio_topk)):
        raise _bad(T("Top-k goes from 0 to {most}.", most=MOST_CHOICES))
    if not -1 <= sampling.seed < 2**63:
        raise _bad(T("A seed is a whole number from 0, or -1 for a fresh one each call."))
    return Persona(persona.name.strip(), persona.text, persona.voice, sampling)


def from_json(text: str) -> Persona:
    """Read a shared file.

    Raises:
        BadRequest: It holds something else, or a value is out of bounds.
    """
    try:
        plain: Any = json.loads(text)
    except ValueError as error:
        raise _no_persona(str(error)) from error
    if not isinstance(plain, dict) or plain.get("kind") != KIND:
        raise _no_persona("kind")
    sampling = plain.get("sampling", {})
    if not isinstance(sampling, dict):
        raise _no_persona("sampling")
    found: dict[str, Any] = asdict(Sampling())
    for key, usual in found.items():
        value = sampling.get(key, usual)
        wanted = (int, float) if isinstance(usual, float) else int
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise _no_persona(key)
        found[key] = type(usual)(value)
    texts = {name: plain.get(name, "") for name in ("name", "text", "voice")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise _no_persona("name, text, voice")
    return checked(Persona(**texts, sampling=Sampling(**found)))


def _bad(what: Any) -> BadRequest:
    return BadRequest(what, T("Change it and save again."), cause="persona")


def _no_persona(details: str) -> BadRequest:
    return BadRequest(
        T("This file holds no persona."),
        T("Choose a file that PersonaDesk has exported."),
        cause="persona",
        details=details,
    )
