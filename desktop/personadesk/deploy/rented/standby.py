"""Tells what a spare would cost, by what its account offers now, before anybody decides for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.deploy.rented import market
from personadesk.domain import sparing
from personadesk.domain.offer import need_of
from personadesk.domain.wish import is_rented, lower

if TYPE_CHECKING:
    from personadesk.domain.wish import Place, Wish
    from personadesk.providers.accounts import Accounts


@dataclass(frozen=True, slots=True)
class Quote:
    """What a spare would cost.

    Attributes:
        place: Where it would stand; None where there is no place for it.
        price: Dollars per hour of the best offer now, 0 for a machine of one's own; None when not known.
        most: Dollars per hour that it may cost by the wish; None where nothing may be rented.
    """

    place: Place | None = None
    price: float | None = None
    most: float | None = None


async def quote(accounts: Accounts, wish: Wish, here: str) -> Quote:
    """Ask what a spare would cost.

    Args:
        accounts: All accounts.
        wish: What the line shall be, the spare included.
        here: Key of the place where the line is, "" for none; it is then taken to be at its first.

    Raises:
        NotFound: An account of the wish is not known here.
    """
    found = sparing.places(wish, here or wish.places[0].key)
    if not found:
        return Quote()
    place = found[0]
    if not is_rented(place) or place.rent is None:
        return Quote(place, 0.0, 0.0)
    if wish.max_price is None:
        return Quote(place)
    most = lower(place.rent.max_price, wish.max_price)
    await accounts.store.get(place.rent.account)
    need = need_of(wish.model.kind, max_price=most)
    offers = market.in_order(
        await market.look(accounts, need, (place.rent.account,)), place.rent
    )  # fmt: skip
    return Quote(place, offers[0].price if offers else None, most)
