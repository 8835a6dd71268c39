"""What could be rented now, over all accounts: asked at once, filtered to what is needed, ranked by the one rule."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError, Unreachable
from personadesk.domain.offer import Stock, rank
from personadesk.domain.text import T
from personadesk.providers import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.plan import RentWish
    from personadesk.providers.accounts import Accounts

ASK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Market:
    """Offers, and the accounts that could not be asked.

    Attributes:
        offers: What fits, best first.
        failures: Why an account could not be asked, by its name.
    """

    offers: tuple[Offer, ...]
    failures: Mapping[str, PersonaDeskError]


async def look(accounts: Accounts, need: Need, only: Sequence[str] = ()) -> Market:
    """Ask accounts for their offers.

    Args:
        accounts: All accounts.
        need: What is looked for.
        only: Names of the accounts to ask; empty for all.
    """
    names = [each.name for each in await accounts.all() if not only or each.name in only]
    found: list[Offer] = []
    failures: dict[str, PersonaDeskError] = {}
    answers = await asyncio.gather(
        *(_of(accounts, name, need) for name in names), return_exceptions=True
    )
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, PersonaDeskError):
            failures[name] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found += [offer for offer in answer if need.allows(offer)]
    scores = {
        provider: catalog.facts(provider).answers.score()
        for provider in {offer.provider for offer in found}
    }
    return Market(tuple(rank(found, scores)), failures)


async def _of(accounts: Accounts, name: str, need: Need) -> Sequence[Offer]:
    provider = await accounts.provider(name)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await provider.offers(need)
    except TimeoutError as error:
        raise Unreachable(
            T("{provider} didn't answer.", provider=provider.facts.title),
            T("Check your own network, then try again."),
            cause="slow",
        ) from error


def in_order(market: Market, wish: RentWish) -> list[Offer]:
    """Return the offers to try for a wish: the chosen ones as they were chosen, then the rest if that is wanted.

    One that is said to be sold out is tried only where nothing else is left: that word may be minutes old, but asking
    for it costs time while another one is free.
    """
    by_key = {offer.key: offer for offer in market.offers}
    chosen = [by_key[key] for key in wish.offers if key in by_key]
    picked = {offer.key for offer in chosen}
    rest = [offer for offer in market.offers if offer.key not in picked]
    wanted = chosen if wish.offers and not wish.next_best else chosen + rest
    return sorted(wanted, key=lambda offer: offer.stock is Stock.NONE)
