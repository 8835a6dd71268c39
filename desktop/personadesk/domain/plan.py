"""What a deploy is asked to do: which model, where, behind which line."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_LINE_PORT = 8998
"""The port that existing clients of this voice server try first."""

DEFAULT_PERSONA = "You are a wise and friendly teacher. Answer questions or provide advice in a clear and engaging way."


class ModelKind(StrEnum):
    """Which weights the server shall run."""

    REHEARSAL = "rehearsal"
    PERSONAPLEX_7B = "personaplex-7b"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model and, for `FOLDER`, where it lies.

    Attributes:
        kind: Rehearsal (made here, untrained), the released 7B, or a folder laid out as the model repository.
        folder: Path on the host; only for `FOLDER`.
    """

    kind: ModelKind = ModelKind.REHEARSAL
    folder: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelChoice:
        """Read `rehearsal`, `personaplex-7b` or a folder's path, as the terminal takes it."""
        if text in {ModelKind.REHEARSAL, ModelKind.PERSONAPLEX_7B}:
            return cls(ModelKind(text))
        return cls(ModelKind.FOLDER, text)


@dataclass(frozen=True, slots=True)
class Plan:
    """One deploy.

    Attributes:
        id: Unique tag; it is put on everything the deploy makes, so that nothing made is ever forgotten.
        line: Name of the line that the voice is put behind, 1 to 40 characters.
        port: The line's loopback port.
        model: What to run.
        place: `local` for this computer.
        clip: Voice test clip (a path), or None for the bundled question.
        any_port: Whether another port will do when a program takes this one meanwhile; nobody asked for it then.
    """

    id: str
    line: str = "My line"
    port: int = DEFAULT_LINE_PORT
    model: ModelChoice = ModelChoice()
    place: str = "local"
    clip: str | None = None
    any_port: bool = False


def new_plan_id() -> str:
    """Return a fresh tag such as `pd-7c41a09e`."""
    return f"pd-{secrets.token_hex(4)}"
