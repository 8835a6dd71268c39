"""Getting a model from Hugging Face, in values: how far it is, what came of it, and what each refusal means."""

from __future__ import annotations

import string
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from personadesk.domain.errors import (
    AuthFailed,
    HostUnfit,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    RateLimited,
    Unreachable,
)
from personadesk.domain.quantity import size
from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

REPO: Final = "nvidia/personaplex-7b-v1"
TOKENS_PAGE: Final = "https://huggingface.co/settings/tokens"


class FetchPhase(StrEnum):
    """What a fetch is doing."""

    LOOKING = "looking"
    WAITING = "waiting"
    """Another fetch into the same folder is at work."""
    FETCHING = "fetching"
    CHECKING = "checking"
    UNPACKING = "unpacking"


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a fetch is.

    Attributes:
        phase: What it is doing.
        file: The file in hand.
        done: Bytes done: of all files while fetching, of this one while checking.
        total: Bytes in all.
        rate: Bytes a second, None while it cannot be told.
        left_s: Seconds that this phase will still take, None while it cannot be told.
    """

    phase: FetchPhase
    file: str = ""
    done: int = 0
    total: int = 0
    rate: float | None = None
    left_s: float | None = None

    @property
    def fraction(self) -> float | None:
        """How far this phase is, 0..1; None where that cannot be told."""
        return min(1.0, self.done / self.total) if self.total else None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is there now.

    Attributes:
        folder: The model's folder on the host.
        commit: The commit of the repository that all of it is from.
        size: Bytes of the model's files.
        fetched: Bytes that came over the network this time; 0 where all was there and right.
        voices: Voices that came with it.
    """

    folder: str
    commit: str
    size: int
    fetched: int
    voices: int


def progress_of(event: Mapping[str, Any]) -> FetchProgress | None:
    """Read a `progress` event; None for phases that are not known yet."""
    try:
        phase = FetchPhase(event["phase"])
    except (KeyError, ValueError):
        return None
    rate, left = event.get("rate"), event.get("left_s")
    return FetchProgress(
        phase,
        str(event.get("file", "")),
        int(event.get("done", 0)),
        int(event.get("total", 0)),
        None if rate is None else float(rate),
        None if left is None else float(left),
    )


def fault_of(event: Mapping[str, Any]) -> PersonaDeskError:
    """Read an `error` event; a cause that is not known here is told in the server's own words."""
    cause, details = str(event.get("cause", "")), str(event.get("details", ""))
    values: dict[str, Any] = dict(event.get("values") or {})
    values |= {"link": str(event.get("link", "")), "tokens": TOKENS_PAGE}
    for name in {"needed", "free"} & values.keys():
        values[name] = size(values[name])
    known = _FAULTS.get(cause)
    if known is None:
        return ProviderFault(
            str(event.get("message", "")),
            str(event.get("next", "")),
            cause=cause,
            details=details,
        )
    kind, what, next_ = known
    try:
        return kind(_bound(what, values), _bound(next_, values), cause=cause, details=details)
    except KeyError:
        # An older or newer server leaves something out; its own sentence is whole.
        return kind(
            str(event.get("message", "")), str(event.get("next", "")), cause=cause, details=details
        )


def _bound(text: Text, values: Mapping[str, Any]) -> Text:
    names = [name for _, name, _, _ in string.Formatter().parse(text.template) if name]
    return replace(text, values=MappingProxyType({name: values[name] for name in names}))


_FAULTS: Final[Mapping[str, tuple[type[PersonaDeskError], Text, Text]]] = {
    "no_token": (
        AuthFailed,
        T("The model {repo} is given only to people who accepted its licence; that needs a token."),
        T(
            "Accept the licence at {link}, make a token of the kind “Read” at {tokens}, and give it "
            "to PersonaDesk (in a terminal: as HF_TOKEN)."
        ),
    ),
    "gated": (
        AuthFailed,
        T("Your Hugging Face account has not accepted the licence of the model {repo}."),
        T("Open {link} with that account, accept the licence, then try again."),
    ),
    "gated_pending": (
        AuthFailed,
        T("Your request for access to the model {repo} waits for its owners to look at it."),
        T("Wait for their answer (you can see it at {link}), then try again."),
    ),
    "bad_token": (
        AuthFailed,
        T("Hugging Face does not accept this token: it is mistyped, expired or was withdrawn."),
        T("Make a token of the kind “Read” at {tokens}, and give that one."),
    ),
    "weak_token": (
        AuthFailed,
        T("This Hugging Face token was not given the right to read the model {repo}."),
        T(
            "Allow it to read public gated repositories in its settings at {tokens}, or make a token "
            "of the kind “Read”, then try again."
        ),
    ),
    "no_repo": (
        NotFound,
        T("There is no model {repo} on Hugging Face, or you may not see it."),
        T("Check its name, in the form owner/name, then try again."),
    ),
    "no_revision": (
        NotFound,
        T("The model {repo} has no revision “{revision}”."),
        T("Name another one, or none for the newest."),
    ),
    "no_file": (
        NotFound,
        T("The repository {repo} has no file {file}, so it is not a PersonaPlex model."),
        T("Name a repository laid out as nvidia/personaplex-7b-v1."),
    ),
    "offline": (
        Unreachable,
        T("{host} cannot be reached from the machine that the model goes to."),
        T("Check that machine's way to the internet, then try again: it goes on where it stopped."),
    ),
    "timeout": (
        Unreachable,
        T("{host} sent nothing for too long."),
        T("Check that machine's way to the internet, then try again: it goes on where it stopped."),
    ),
    "rate_limited": (
        RateLimited,
        T("{host} was asked too often and refuses for a while."),
        T("Try again in a few minutes: it goes on where it stopped."),
    ),
    "hub_fault": (
        ProviderFault,
        T("{host} answered with an error of its own."),
        T("Try again in a few minutes: it goes on where it stopped."),
    ),
    "hash_mismatch": (
        ProviderFault,
        T("{file} came with wrong content twice, so it was thrown away."),
        T("Try again on another network: something on the way changes what it carries."),
    ),
    "bad_archive": (
        ProviderFault,
        T("{file} of this model cannot be unpacked safely; nothing of it was unpacked."),
        T("Check that the repository is the one you meant."),
    ),
    "disk_full": (
        HostUnfit,
        T("There is too little disk space in {folder}: {needed} more is needed, {free} is free."),
        T("Free some space, then try again: it goes on where it stopped."),
    ),
    "files": (
        HostUnfit,
        T("The model's folder cannot be used: {reason}."),
        T("Look at the details, mend it, then try again."),
    ),
}
