"""What the page of accounts says: how an account stands, where its key is, what it may do, and how an offer fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.account import Right
from personadesk.domain.errors import AuthFailed, OutOfFunds, Unreachable
from personadesk.domain.offer import BF16_GB, INT8_GB, SOLD_AS
from personadesk.store.secrets import Place
from personadesk.ui.i18n import mark, show, tr
from personadesk.ui.money import dollars
from personadesk.ui.rented import offer_words
from personadesk.ui.widgets.state import Shape

if TYPE_CHECKING:
    from personadesk.domain.account import AccountInfo
    from personadesk.domain.provider import FourAnswers, ProviderFacts
    from personadesk.providers.accounts import Kept
    from personadesk.ui.rented.model import AccountState

__all__ = ["balance", "count_on", "fit", "key", "rights", "state", "worst"]

ROOMY_GB = 40.0
"""With so much memory several calls at once have room."""
_REFUSED = {
    "bad_key": mark("Key refused"),
    "expired_key": mark("Key expired"),
    "missing_right": mark("Right missing"),
    "no_secret": mark("Key not found"),
    "vault_locked": mark("Locked"),
}
_RIGHTS = {Right.SEE: mark("See"), Right.RENT: mark("Rent"), Right.END: mark("End")}
_ORDER = (Shape.ERR, Shape.WARN, Shape.BUSY, Shape.OK, Shape.UNKNOWN)


def state(account: AccountState) -> tuple[Shape, str]:
    """Return shape and word of how an account stands."""
    error, info = account.error, account.info
    if account.checking and info is None:
        return Shape.BUSY, tr("Being checked")
    if isinstance(error, AuthFailed):
        return Shape.ERR, tr(_REFUSED.get(error.cause, mark("Key refused")))
    if isinstance(error, OutOfFunds):
        return Shape.WARN, tr("Balance empty")
    if isinstance(error, Unreachable):
        return Shape.WARN, tr("No answer")
    if error is not None:
        return Shape.ERR, tr("Failed")
    if info is None:
        return Shape.UNKNOWN, tr("Not checked yet")
    if info.missing:
        return Shape.WARN, tr("Right missing")
    if info.balance is not None and info.balance <= 0.0:
        return Shape.WARN, tr("Balance empty")
    return Shape.OK, tr("Connected")


def worst(accounts: tuple[AccountState, ...]) -> tuple[Shape, str]:
    """Return shape and word of a provider's tab: what needs the user first."""
    if not accounts:
        return Shape.EMPTY, tr("Not connected")
    return min((state(each) for each in accounts), key=lambda found: _ORDER.index(found[0]))


def key(kept: Kept) -> str:
    """Return how a secret ends and where it is."""
    where = {
        Place.KEYRING: tr("in the system keyring"),
        Place.FILE: tr("in the file with a passphrase"),
        Place.MEMORY: tr("in memory until you quit"),
        Place.VARIABLE: f"@{kept.variable}" if kept.variable else tr("in an environment variable"),
        Place.NOWHERE: tr("not found on this computer"),
    }[kept.place]
    if not kept.ending:
        return where
    return tr("ends in {end} · {where}", end=kept.ending, where=where)


def rights(info: AccountInfo) -> str:
    """Return the rights one by one: `See ✓  Rent ✓  End ✗`; a question mark where it was not told."""
    lacking = "✗" if info.missing else "?"
    return "   ".join(
        f"{tr(word)} {'✓' if right in info.rights else lacking}" for right, word in _RIGHTS.items()
    )


def balance(facts: ProviderFacts, info: AccountInfo | None) -> str:
    """Return the money left, or that it is not told."""
    if info is not None and info.balance is not None:
        return dollars(info.balance)
    return tr("not told by {provider}", provider=facts.title)


def count_on(answers: FourAnswers) -> list[tuple[str, Shape, str, str]]:
    """Return the four answers of a provider: question, shape, word, sentence."""
    return [
        (question, *offer_words.answer(promise.answer), show(promise.reason))
        for question, promise in offer_words.four(answers)
    ]


def fit(memory_gb: float) -> tuple[Shape, str]:
    """Return whether PersonaPlex fits into a GPU's memory."""
    if memory_gb >= ROOMY_GB * SOLD_AS:
        return Shape.OK, tr("Fits well")
    if memory_gb >= BF16_GB * SOLD_AS:
        return Shape.OK, tr("Fits")
    if memory_gb >= INT8_GB * SOLD_AS:
        return Shape.PARTLY, tr("Only in 8 bits")
    return Shape.STOPPED, tr("Too small")
