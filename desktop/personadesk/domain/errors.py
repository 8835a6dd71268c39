"""The ten ways in which a job can fail for a user.

    PersonaDeskError
    ├── AuthFailed      the credentials are wrong, expired or too weak          (the user)
    ├── OutOfFunds      the account has too little money                        (the user)
    ├── QuotaExceeded   the account may not have this much                      (the user, with the provider)
    ├── BadRequest      what was asked makes no sense; here: input or settings  (the user, or us)
    ├── HostUnfit       this machine cannot run the voice                       (the user: choose another)
    ├── NotFound        the thing is no longer there                            (nobody; make it again)
    ├── NoCapacity      no such GPU is free now                                 (the provider)
    ├── RateLimited     we asked too often                                      (time)
    ├── ProviderFault   the other side is broken                                (the provider)
    └── Unreachable     no answer in time                                       (the network)

Finer causes are fields, not more types. Each says what happened, what to do next, and keeps the raw answer apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from personadesk.domain.text import NOTHING, Text

if TYPE_CHECKING:
    from collections.abc import Mapping


class PersonaDeskError(Exception):
    """A failure that a person is told about.

    Attributes:
        what: What happened, one sentence.
        next: What to do now, one sentence.
        money: What it means for the bill; empty when nothing can cost money.
        cause: A short machine-readable word for finer causes, for example `port_taken`.
        details: The raw answer with secrets removed, for the fold.
        retryable: Whether trying the same thing again may help without the user changing anything.
        provider_status: What a provider's API answered (an HTTP status), None where none did.
        request_id: The provider's own number for the request, for its support; "" when not told.
        retry_after_s: After how many seconds the provider wants to be asked again, None when not told.
    """

    retryable: bool = False

    def __init__(
        self,
        what: Text | str,
        next_: Text | str = NOTHING,
        *,
        money: Text | str = NOTHING,
        cause: str = "",
        details: str = "",
        retryable: bool | None = None,
        provider_status: int | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        self.what = Text(what) if isinstance(what, str) else what
        self.next = Text(next_) if isinstance(next_, str) else next_
        self.money = Text(money) if isinstance(money, str) else money
        self.cause = cause
        self.details = details
        self.provider_status = provider_status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        if retryable is not None:
            self.retryable = retryable
        super().__init__(str(self.what))

    @property
    def type_name(self) -> str:
        """One of the ten names."""
        return type(self).__name__

    def as_dict(self) -> dict[str, Any]:
        """Return the form that `--json` prints and the journal keeps (English)."""
        return {
            "type": self.type_name,
            "message": str(self.what),
            "next": str(self.next),
            "money": str(self.money),
            "cause": self.cause,
            "details": self.details,
            "provider_status": self.provider_status,
            "request_id": self.request_id,
        }


class AuthFailed(PersonaDeskError):
    """The credentials were not accepted or lack a right."""


class OutOfFunds(PersonaDeskError):
    """The account's balance is too low."""


class QuotaExceeded(PersonaDeskError):
    """The account's limit is reached."""


class BadRequest(PersonaDeskError):
    """What was asked cannot be done as asked."""


class HostUnfit(PersonaDeskError):
    """This machine cannot run what was asked."""


class NotFound(PersonaDeskError):
    """It does not exist, or no longer."""


class NoCapacity(PersonaDeskError):
    """Nothing of the kind is free now."""


class RateLimited(PersonaDeskError):
    """Asked too often."""

    retryable = True


class ProviderFault(PersonaDeskError):
    """The other side failed by itself."""

    retryable = True


class Unreachable(PersonaDeskError):
    """No answer within the limit."""

    retryable = True


ERROR_TYPES: Mapping[str, type[PersonaDeskError]] = {
    kind.__name__: kind
    for kind in (
        AuthFailed, OutOfFunds, QuotaExceeded, BadRequest, HostUnfit,
        NotFound, NoCapacity, RateLimited, ProviderFault, Unreachable,
    )
}  # fmt: skip


def from_dict(values: Mapping[str, Any]) -> PersonaDeskError:
    """Rebuild an error that the journal kept."""
    kind = ERROR_TYPES.get(values.get("type", ""), ProviderFault)
    return kind(
        values.get("message", ""),
        values.get("next", ""),
        money=values.get("money", ""),
        cause=values.get("cause", ""),
        details=values.get("details", ""),
        provider_status=values.get("provider_status"),
        request_id=values.get("request_id", ""),
    )
