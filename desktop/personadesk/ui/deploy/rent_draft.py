"""What the wizard keeps of renting: the offer, the limits, and rules for both. No Qt, and nothing is asked here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from personadesk.domain.offer import Offer, Stock
from personadesk.domain.plan import RentWish
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "ASK_ABOVE",
    "RentDraft",
    "chain",
    "choice_fault",
    "choosing",
    "hourly",
    "idle_fault",
    "number",
    "price_fault",
    "rent_draft_of",
    "spend_fault",
    "suits",
    "wish_of",
    "without",
]

ASK_ABOVE = 5.0
"""Dollars an hour above which renting is asked about once more."""
LONGEST_CHAIN = 8
"""So many offers are named in a plan; the engine tries no more for one deploy."""


@dataclass(frozen=True, slots=True)
class RentDraft:
    """What was chosen and typed of renting, as it was typed.

    Attributes:
        asks_account: Whether the way passes the page that connects an account: none was when it began.
        choice: The offer, None before one was chosen.
        offers: Keys of the offers to try, the choice first.
        account: Only offers of this account; "" for all.
        max_price: Most dollars per hour; "" for any.
        next_best: Whether the next one may be taken when the choice is sold out.
        idle: Whether it goes to sleep when nobody calls.
        idle_minutes: After how long.
        spend: Whether it goes to sleep when so much was spent.
        spend_limit: How much, in dollars.
        hold_failed: Whether a machine whose deploy failed is kept half an hour for a look.
        static_address: Whether to keep an address, where the provider can.
        insist: Whether a person chose the offer itself, so that it comes first though it did badly before.
    """

    asks_account: bool = False
    choice: Offer | None = None
    offers: tuple[str, ...] = ()
    account: str = ""
    max_price: str = "2.00"
    next_best: bool = True
    idle: bool = True
    idle_minutes: str = "20"
    spend: bool = True
    spend_limit: str = "10.00"
    hold_failed: bool = False
    static_address: bool = False
    insist: bool = False


def hourly(offer: Offer) -> float | None:
    """Return what an offer costs an hour, its disk with it; None when the provider does not tell."""
    return None if offer.price is None else offer.price + offer.disk_price


def suits(offer: Offer, draft: RentDraft) -> bool:
    """Whether an offer is within what was chosen; one without a price is not within a price limit."""
    if draft.account and offer.account != draft.account:
        return False
    most = number(draft.max_price)
    return most is None or (offer.price is not None and offer.price <= most)


def choosing(draft: RentDraft, offer: Offer) -> RentDraft:
    """Return a draft for an offer that was chosen elsewhere; its account is kept to, its price allowed."""
    price, most = hourly(offer), number(draft.max_price)
    allowed = draft.max_price
    if most is not None and (price is None or price > most):
        # Rounded up: a price has more digits than the field.
        allowed = f"{ceil(price * 100) / 100:.2f}" if price is not None else ""
    return replace(
        draft, choice=offer, offers=(offer.key,), account=offer.account, max_price=allowed,
        insist=True,
    )  # fmt: skip


def chain(choice: Offer, offers: Iterable[Offer], draft: RentDraft) -> tuple[str, ...]:
    """Return the keys of the offers to try, the choice first and then the best ones within the limits.

    Args:
        choice: The offer that was chosen.
        offers: All that fit, best first.
        draft: The limits, and whether others may be taken.
    """
    keys = [choice.key]
    if draft.next_best:
        keys += [
            offer.key
            for offer in offers
            if offer.key != choice.key and offer.stock is not Stock.NONE and suits(offer, draft)
        ]
    return tuple(keys[:LONGEST_CHAIN])


def number(typed: str) -> float | None:
    """Return a number above 0 as people type it, with a point or a comma; None when it is none."""
    try:
        value = float(typed.strip().replace(",", "."))
    except ValueError:
        return None
    return value if 0 < value < 1e6 else None


def choice_fault(draft: RentDraft) -> Text:
    """Return why the choice cannot be rented, or nothing."""
    choice = draft.choice
    if choice is None:
        return T("Choose a GPU.")
    if choice.stock is Stock.NONE and len(draft.offers) < 2:
        return T("This one is sold out, and no other may be taken. Choose another one.")
    return NOTHING


def price_fault(draft: RentDraft) -> Text:
    """Return why the highest price cannot be, or nothing; empty is no limit."""
    if not draft.max_price.strip():
        return NOTHING
    most = number(draft.max_price)
    if most is None:
        return T("A price is a number of dollars above 0.")
    choice = draft.choice
    if choice is not None and choice.price is not None and choice.price > most:
        return T(
            "The GPU that you chose costs ${price} an hour. Raise the limit, or choose another one.",
            price=f"{choice.price:.2f}",
        )
    return NOTHING


def idle_fault(draft: RentDraft) -> Text:
    """Return why the time without a call cannot be, or nothing."""
    if draft.idle and number(draft.idle_minutes) is None:
        return T("A time is a number of minutes above 0.")
    return NOTHING


def spend_fault(draft: RentDraft) -> Text:
    """Return why the amount cannot be, or nothing."""
    if draft.spend and number(draft.spend_limit) is None:
        return T("An amount is a number of dollars above 0.")
    return NOTHING


def wish_of(draft: RentDraft) -> RentWish:
    """Return what a draft without faults wishes to rent."""
    return RentWish(
        offers=draft.offers,
        account=draft.account,
        max_price=number(draft.max_price),
        next_best=draft.next_best,
        insist=draft.insist,
        static_address=draft.static_address,
        hold_failed=draft.hold_failed,
        idle_stop_minutes=number(draft.idle_minutes) if draft.idle else None,
        spend_limit=number(draft.spend_limit) if draft.spend else None,
    )


def rent_draft_of(wish: RentWish) -> RentDraft:
    """Return the draft that leads to a wish; the choice is found again when offers are asked for."""
    usual = RentDraft()
    idle, spend = wish.idle_stop_minutes, wish.spend_limit
    return RentDraft(
        offers=wish.offers,
        account=wish.account,
        max_price="" if wish.max_price is None else f"{wish.max_price:.2f}",
        next_best=wish.next_best,
        idle=idle is not None,
        idle_minutes=usual.idle_minutes if idle is None else f"{idle:g}",
        spend=spend is not None,
        spend_limit=usual.spend_limit if spend is None else f"{spend:.2f}",
        hold_failed=wish.hold_failed,
        static_address=wish.static_address,
    )


def without(wish: RentWish, refused: Sequence[str], others: Sequence[str]) -> RentWish | None:
    """Return the wish for the next offer, None when there is none.

    Args:
        wish: What was wished.
        refused: Keys of offers that were tried.
        others: Keys of all offers within the limits, best first.
    """
    named = [key for key in wish.offers if key not in refused]
    named += [key for key in others if key not in refused and key not in named]
    if not named:
        return None
    # The rest of the market begins with what was tried; only what is named may be taken.
    return replace(wish, offers=tuple(named[:LONGEST_CHAIN]), next_best=False)
