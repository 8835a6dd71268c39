"""An account at a provider: how it is called, where its credentials are, and what the provider says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYRING = "keyring"
"""Where a credential is when the system's keyring has it."""
ENVIRONMENT = "@"
"""Before the name of an environment variable that has a credential: it is referred to, never stored."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account.

    Attributes:
        name: What the user calls it, 1 to 40 characters, unique over all providers.
        provider: Id of its provider, for example `runpod`.
        credentials: Where each credential field is: `KEYRING`, or `@NAME` for an environment variable. Never its value.
        settings: Fields that are no secret, such as a project or a region.
        base_url: Where its API is instead of the provider's own place; "" for that. For proxies, tests and rehearsal.
        added: Unix time.
        changed: Unix time at which its key or fields were last replaced; whoever holds an older one reads it anew.
    """

    name: str
    provider: str
    credentials: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    added: float = 0.0
    changed: float = 0.0


class Right(StrEnum):
    """What an account's key must be allowed to do."""

    SEE = "see"
    """List offers and machines."""
    RENT = "rent"
    """Make, start and restart machines."""
    END = "end"
    """Stop and end machines."""


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What a provider says of an account.

    Attributes:
        who: An email address, a team or an id, for people.
        rights: What the key may do as far as it can be told without doing it.
        missing: What it may not do, as the provider names it; a sentence each.
        balance: Dollars left, None when not told.
        balance_reason: Why not.
        spend_per_hour: Dollars that the account spends per hour now, None when not told.
        limits: What the account may rent at most, a sentence each.
        checked: Unix time.
    """

    who: str = ""
    rights: frozenset[Right] = frozenset()
    missing: tuple[Text, ...] = ()
    balance: float | None = None
    balance_reason: Text = NOTHING
    spend_per_hour: float | None = None
    limits: tuple[Text, ...] = ()
    checked: float = 0.0


@dataclass(frozen=True, slots=True)
class Pretend:
    """Where a provider is played, in a rehearsal.

    Attributes:
        base_url: Its API.
        settings: Fields that have another value there than by default.
    """

    base_url: str
    settings: Mapping[str, str]
