"""A Hugging Face token that is on this computer already, and where it was found; nothing is asked, nothing is sent."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LONGEST = 4096


@dataclass(frozen=True, slots=True)
class FoundToken:
    """A token and its origin.

    Attributes:
        token: The token itself; it is in no printed form of this.
        source: Where it was found, to be shown to its owner.
    """

    token: str = field(repr=False)
    source: Text


def find(
    environment: Mapping[str, str] | None = None, home: Path | None = None
) -> FoundToken | None:
    """Return the first token in the order in which Hugging Face's own programs look.

    Args:
        environment: Variables; our own if None.
        home: The user's home folder; our own if None.
    """
    variables = os.environ if environment is None else environment
    for name in VARIABLES:
        if token := _clean(variables.get(name, "")):
            return FoundToken(token, T("the variable {name}", name=name))
    for path in _files(variables, home or Path.home()):
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(LONGEST)
        except (OSError, UnicodeDecodeError):
            continue  # not there, or not ours to read: then it is not the one in use either
        if token := _clean(text):
            return FoundToken(token, T("the file {file}", file=str(path)))
    return None


def _files(variables: Mapping[str, str], home: Path) -> Iterator[Path]:
    def path(text: str) -> Path:
        return Path(text.replace("~", str(home), 1) if text.startswith("~") else text)

    if told := variables.get("HF_TOKEN_PATH"):
        yield path(told)
    if told := variables.get("HF_HOME"):
        yield path(told) / "token"
    elif told := variables.get("XDG_CACHE_HOME"):
        yield path(told) / "huggingface" / "token"
    else:
        yield home / ".cache" / "huggingface" / "token"
    # Where programs before 2023 kept it.
    yield home / ".huggingface" / "token"


def _clean(text: str) -> str:
    token = text.replace("\r", "").replace("\n", "").strip()
    return token if token.isascii() and token.isprintable() and " " not in token else ""
