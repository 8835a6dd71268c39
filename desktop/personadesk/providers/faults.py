"""A provider's failures in the ten types, worded once for all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    OutOfFunds,
    PersonaDeskError,
    ProviderFault,
    QuotaExceeded,
    RateLimited,
    Unreachable,
)
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.domain.offer import Offer
    from personadesk.domain.provider import ProviderFacts

LONGEST_DETAILS = 4000
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as the provider put it.

    Attributes:
        status: HTTP status, None where there is none.
        code: Its own code: `insufficient-capacity`; "" without.
        message: Its own sentence.
        request_id: Its own number for the request.
        retry_after_s: When it wants to be asked again.
        body: The raw answer, secrets removed.
    """

    status: int | None = None
    code: str = ""
    message: str = ""
    request_id: str = ""
    retry_after_s: float | None = None
    body: str = ""

    def mentions(self, *words: str) -> bool:
        """Whether code or message has one of these words, whatever their case."""
        text = f"{self.code} {self.message}".casefold()
        return any(word.casefold() in text for word in words)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets in it, and not too long."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "•••")
    # A provider may quote a request that carried a machine's host key.
    text = _PRIVATE_KEY.sub("•••", text)
    return text[:LONGEST_DETAILS]


def _make(
    kind: type[PersonaDeskError],
    what: Text,
    next_: Text,
    cause: str,
    problem: Problem,
    *,
    money: Text = NOTHING,
    retryable: bool | None = None,
) -> PersonaDeskError:
    head = " ".join(part for part in (problem.code, problem.message) if part)
    details = "\n".join(part for part in (head, problem.body) if part and part != problem.message)
    return kind(
        what, next_, cause=cause, money=money, retryable=retryable,
        details=details or problem.message, provider_status=problem.status,
        request_id=problem.request_id, retry_after_s=problem.retry_after_s,
    )  # fmt: skip


def bad_key(facts: ProviderFacts, account: str, problem: Problem) -> PersonaDeskError:
    """The key is not accepted at all."""
    return _make(
        AuthFailed,
        T(
            "{provider} didn't accept the key of “{account}”.",
            provider=facts.title,
            account=account,
        ),
        T("Paste a new key."),
        "bad_key",
        problem,
    )


def expired_key(facts: ProviderFacts, account: str, problem: Problem) -> PersonaDeskError:
    """The key was right once."""
    return _make(
        AuthFailed,
        T(
            "The key of “{account}” at {provider} has expired.",
            provider=facts.title,
            account=account,
        ),
        T("Make a new one there, then paste it here."),
        "expired_key",
        problem,
    )


def missing_right(
    facts: ProviderFacts, account: str, right: str, problem: Problem
) -> PersonaDeskError:
    """The key is right but too weak; `right` as the provider names it, "" when it does not."""
    next_ = (
        T("Give it the right “{right}” there, or paste another key.", right=right)
        if right
        else T("Give it more rights there, or paste another key.")
    )
    return _make(
        AuthFailed,
        T(
            "The key of “{account}” may not do this at {provider}.",
            provider=facts.title, account=account,
        ),
        next_,
        "missing_right",
        problem,
    )  # fmt: skip


def switched_off(
    facts: ProviderFacts, account: str, service: str, page: str, problem: Problem
) -> PersonaDeskError:
    """A service that we need is off in the account, for every key; `page` is where it is switched on."""
    return _make(
        AuthFailed,
        T(
            "“{service}” is switched off for “{account}” at {provider}.",
            service=service, account=account, provider=facts.title,
        ),
        T("Switch it on there, wait a minute, then try again: {page}", page=page),
        "switched_off",
        problem,
    )  # fmt: skip


def out_of_funds(
    facts: ProviderFacts, problem: Problem, *, balance: float | None = None
) -> PersonaDeskError:
    """The account has too little money, or no valid way to pay."""
    what = (
        T("The balance at {provider} is too low.", provider=facts.title)
        if balance is None
        else T("The balance at {provider} is too low: ${balance}.", provider=facts.title,
               balance=f"{balance:.2f}")
    )  # fmt: skip
    return _make(
        OutOfFunds,
        what,
        T("Add money there, then try again: {page}", page=facts.billing),
        "no_money",
        problem,
        money=T("Nothing was rented."),
    )


def account_closed(facts: ProviderFacts, problem: Problem) -> PersonaDeskError:
    """The account is there but nothing can be billed to it: it is not confirmed or locked, or its card is not valid."""
    return _make(
        OutOfFunds,
        T(
            "{provider} cannot bill your account: {reason}",
            provider=facts.title, reason=problem.message or problem.code,
        ),
        T("Put it right there, then try again: {page}", page=facts.billing),
        "account_closed",
        problem,
        money=T("Nothing was rented."),
    )  # fmt: skip


def no_capacity(
    facts: ProviderFacts, offer: Offer | None, problem: Problem, *, cause: str = "sold_out"
) -> PersonaDeskError:
    """None is free."""
    what = (
        T("{provider} has none free now.", provider=facts.title)
        if offer is None
        else T("{provider} has no {gpu} free in {region} now.", provider=facts.title, gpu=offer.gpu,
               region=offer.place or offer.region or facts.title)
    )  # fmt: skip
    return _make(
        NoCapacity,
        what,
        T("Take the next offer, or try again later."),
        cause,
        problem,
        money=T("Nothing was rented."),
        retryable=True,
    )


def named(facts: ProviderFacts, offer: Offer, error: PersonaDeskError) -> PersonaDeskError:
    """Return a lack of capacity that says of what and where; a refusal alone does not know."""
    told = no_capacity(facts, offer, Problem(status=error.provider_status), cause=error.cause)
    told.details, told.request_id = error.details, error.request_id
    return told


def gpu_taken(facts: ProviderFacts, problem: Problem) -> PersonaDeskError:
    """A stopped machine cannot have its GPU back."""
    return _make(
        NoCapacity,
        T(
            "The GPU of this {unit} was given to somebody else at {provider} while it was stopped.",
            unit=facts.unit, provider=facts.title,
        ),
        T("End it and rent another, or try to start it again later."),
        "gpu_taken",
        problem,
        retryable=True,
    )  # fmt: skip


def quota(facts: ProviderFacts, problem: Problem, *, page: str = "") -> PersonaDeskError:
    """The account may not rent that many."""
    page = page or facts.quota
    return _make(
        QuotaExceeded,
        T("Your account at {provider} may not rent this many GPUs.", provider=facts.title),
        T(
            "Ask {provider} for more (often takes a day), or use another provider: {page}",
            provider=facts.title, page=page,
        )
        if page
        else T(
            "Ask {provider} for more (often takes a day), or use another provider.",
            provider=facts.title,
        ),
        "quota",
        problem,
        money=T("Nothing was rented."),
    )  # fmt: skip


def rate_limited(facts: ProviderFacts, problem: Problem) -> PersonaDeskError:
    """Asked too often, also after waiting."""
    return _make(
        RateLimited,
        T("{provider} wants us to ask less often.", provider=facts.title),
        T("Wait a minute, then try again."),
        "rate",
        problem,
    )


def gone(facts: ProviderFacts, name: str, problem: Problem | None = None) -> PersonaDeskError:
    """There is no such thing."""
    return _make(
        NotFound,
        T("“{name}” no longer exists at {provider}.", name=name, provider=facts.title),
        T("Nothing is billed for it. Start a new one behind the same line."),
        "gone",
        problem or Problem(),
    )


def unreachable(facts: ProviderFacts, reason: str, *, sent: bool) -> PersonaDeskError:
    """No answer; `sent` tells whether the request may have arrived and taken effect."""
    return _make(
        Unreachable,
        T("{provider} didn't answer.", provider=facts.title),
        T("Check your own network, then try again."),
        "maybe_done" if sent else "not_sent",
        Problem(message=reason),
    )


def bad_request(
    facts: ProviderFacts, problem: Problem, *, cause: str = "refused"
) -> PersonaDeskError:
    """It did not understand us, or refuses what was asked."""
    return _make(
        BadRequest,
        T(
            "{provider} refused what we asked: {reason}",
            provider=facts.title, reason=problem.message or problem.code or str(problem.status),
        ),
        T("Try another offer. If it stays so, send us the details."),
        cause,
        problem,
    )  # fmt: skip


def wrong_state(facts: ProviderFacts, problem: Problem) -> PersonaDeskError:
    """The machine is not in a state in which that can be done."""
    return _make(
        BadRequest,
        T("{provider} cannot do that to the machine now.", provider=facts.title),
        T("Wait until its state has changed, then try again."),
        "wrong_state",
        problem,
        retryable=True,
    )


def unsupported(facts: ProviderFacts, what: str) -> PersonaDeskError:
    """The provider has no such thing."""
    return _make(
        BadRequest,
        T("{provider} cannot do that.", provider=facts.title),
        T("Look at what it can do in its tab."),
        "unsupported",
        Problem(message=what),
    )


def provider_fault(facts: ProviderFacts, problem: Problem) -> PersonaDeskError:
    """It has a fault of its own, or answers what nobody can read."""
    return _make(
        ProviderFault,
        T("{provider} has a fault of its own.", provider=facts.title),
        T("Try again later; your other lines are not affected."),
        "fault",
        problem,
    )


def hopeless(facts: ProviderFacts, reason: str) -> PersonaDeskError:
    """The machine was made but will never come up."""
    return _make(
        ProviderFault,
        T(
            "{provider} could not bring the machine up: {reason}",
            provider=facts.title,
            reason=reason,
        ),
        T("Take the next offer; this machine is ended."),
        "hopeless",
        Problem(message=reason),
    )


def by_status(facts: ProviderFacts, account: str, problem: Problem) -> PersonaDeskError:
    """Return the error for a refusal by its HTTP status alone: what is left when a provider's own codes say nothing."""
    status = problem.status or 0
    if status == 401:
        return bad_key(facts, account, problem)
    if status == 402:
        return out_of_funds(facts, problem)
    if status == 403:
        return missing_right(facts, account, "", problem)
    if status in {404, 410}:
        return gone(facts, problem.message or facts.unit, problem)
    if status == 429:
        return rate_limited(facts, problem)
    if 400 <= status < 500:
        return bad_request(facts, problem)
    return provider_fault(facts, problem)
