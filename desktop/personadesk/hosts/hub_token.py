"""The user's Hugging Face token: among the secrets, or on this computer already; nothing is sent anywhere."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import BadRequest, HostUnfit
from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from personadesk.store.secrets import Secrets

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
LONGEST = 4096
NAME = "hugging face token"
"""What it is called among the secrets."""


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


async def known(secrets: Secrets) -> FoundToken | None:
    """Return the token that a deploy will use: the one that is kept, else one that is on this computer already."""
    kept = await secrets.get(NAME)
    if kept:
        return FoundToken(kept, T("the keyring"))
    return await asyncio.to_thread(find)


async def keep(secrets: Secrets, text: str) -> bool:
    """Keep a token that was typed or pasted.

    Returns:
        Whether it is in the keyring; where there is none it is kept until the program ends.

    Raises:
        BadRequest: That cannot be a token.
        Unreachable: The keyring was not unlocked in time.
    """
    token = _clean(text)
    if not token:
        raise BadRequest(
            T("That is not a Hugging Face token."),
            T("Copy it anew; it is one word that begins with hf_."),
            cause="bad_token",
        )
    try:
        await secrets.put(NAME, token)
    except HostUnfit:
        secrets.hold(NAME, token)
        return False
    return True


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
