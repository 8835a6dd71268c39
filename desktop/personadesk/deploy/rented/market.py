"""What could be rented now, over all accounts: asked at once, filtered to what is needed, ranked by the one rule."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError, Unreachable
from personadesk.domain.offer import Stock, rank
from personadesk.domain.reputation import Reputation
from personadesk.domain.text import NOTHING, T
from personadesk.providers import catalog

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from personadesk.deploy.rented.memory import Memory
    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.plan import RentWish
    from personadesk.domain.text import Text
    from personadesk.providers.accounts import Accounts

ASK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Market:
    """Offers, and the accounts that could not be asked.

    Attributes:
        offers: What fits, best first; what did badly before comes after the rest.
        failures: Why an account could not be asked, by its name.
        reputation: What is held against offers.
        plain: What fits, as if nothing were held against anything.
    """

    offers: tuple[Offer, ...]
    failures: Mapping[str, PersonaDeskError]
    reputation: Reputation = field(default_factory=Reputation)
    plain: tuple[Offer, ...] = ()


async def look(
    accounts: Accounts, need: Need, only: Sequence[str] = (), memory: Memory | None = None
) -> Market:
    """Ask accounts for their offers.

    Args:
        accounts: All accounts.
        need: What is looked for.
        only: Names of the accounts to ask; empty for all.
        memory: What was lived through before; None where that does not matter.
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
    reputation = await memory.reputation() if memory is not None else Reputation()
    ranked = rank(found, scores)
    return Market(tuple(reputation.sort(ranked)), failures, reputation, tuple(ranked))


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

    What did badly before comes after what did not, and a host that is left alone last: there is always something to
    try. Only one that a person chose all the same comes first. One that is said to be sold out is tried only where
    nothing else is left: that word may be minutes old, but asking for it costs time while another one is free.
    """
    by_key = {offer.key: offer for offer in market.offers}
    chosen = [by_key[key] for key in wish.offers if key in by_key]
    picked = {offer.key for offer in chosen}
    rest = [offer for offer in market.offers if offer.key not in picked]
    wanted = chosen if wish.offers and not wish.next_best else chosen + rest
    ordered = market.reputation.sort(wanted)
    first = chosen[0] if chosen and wish.insist else None
    if first is None or first.key != wish.offers[0] or first.stock is Stock.NONE:
        return ordered
    return [first, *(offer for offer in ordered if offer.key != first.key)]


def passed_over(market: Market, wish: RentWish, taken: Offer, tried: Collection[str]) -> Text:
    """Return why another offer was taken than the one that would have come first; nothing where none was passed over.

    Args:
        market: What was offered.
        wish: What was wished.
        taken: What was rented.
        tried: Keys of offers that were asked for before it.
    """
    reputation = market.reputation
    mine = reputation.level(taken)
    if mine and not (wish.insist and wish.offers and wish.offers[0] == taken.key):
        return T(
            "Only what did badly before could be had: {offer}. {why}",
            offer=named(taken), why=reputation.against(taken)[0].why(reputation.now),
        )  # fmt: skip
    unaware = replace(market, offers=market.plain, reputation=Reputation())
    for offer in in_order(unaware, wish):
        if offer.key == taken.key:
            break
        if offer.key not in tried and reputation.level(offer) > mine:
            why = reputation.against(offer)[0].why(reputation.now)
            return T("{offer} was passed over. {why}", offer=named(offer), why=why)
    return NOTHING


def named(offer: Offer) -> str:
    """Return what an offer is called in a log: `Vast.ai, RTX 4090, Sweden, SE`."""
    place = offer.place or offer.region
    return f"{catalog.facts(offer.provider).title}, {offer.gpu}{f', {place}' if place else ''}"
