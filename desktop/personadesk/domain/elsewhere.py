"""What the same would cost elsewhere: the best offer of each account beside what is paid now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.domain.money import MONTH_HOURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from personadesk.domain.offer import Offer
    from personadesk.domain.provider import Estimate


@dataclass(frozen=True, slots=True)
class Alternative:
    """One place where the same could run.

    Attributes:
        account: Name of the account; "" where there is none at that provider yet.
        provider: Id of the provider.
        gpu: Usual name of the GPU.
        place: Where; "" when not told.
        price: Dollars per hour.
        estimated: Whether the price is from a table of ours.
        date: ISO date of that table; "" for a live price.
        asked: Unix time at which the provider told it; 0 for a table.
        here: What is paid now, dollars per hour while it runs; None when not told, or nothing is rented.
        stock: How many are free, in the offer's word; "" where nobody was asked.
    """

    account: str
    provider: str
    gpu: str
    place: str
    price: float
    estimated: bool
    date: str = ""
    asked: float = 0.0
    here: float | None = None
    stock: str = ""

    @property
    def per_hour(self) -> float | None:
        """How many dollars more it is an hour; less than 0 saves."""
        return None if self.here is None else self.price - self.here

    @property
    def per_month(self) -> float | None:
        """The same for a month in which it runs day and night."""
        return None if self.per_hour is None else self.per_hour * MONTH_HOURS


def alternatives(
    offers: Iterable[Offer], tables: Mapping[str, Estimate], here: float | None
) -> list[Alternative]:
    """Return the cheapest that could be had at each account, cheapest first.

    Args:
        offers: What fits, of all accounts; sold out ones are left out here.
        tables: What the providers without an account cost at least, by their id.
        here: What is paid now, dollars per hour.
    """
    best: dict[str, Alternative] = {}
    for offer in offers:
        if offer.price is None or offer.stock == "none":
            continue
        # A disk that is billed apart is a part of what running there costs.
        price = offer.price + offer.disk_price
        if offer.account not in best or price < best[offer.account].price:
            best[offer.account] = Alternative(
                offer.account, offer.provider, offer.gpu, offer.place or offer.region, price,
                offer.estimated, offer.price_date, offer.asked, here, str(offer.stock),
            )  # fmt: skip
    found = [
        *best.values(),
        *(
            Alternative("", provider, each.gpu, "", each.price, True, each.date, here=here)
            for provider, each in tables.items()
        ),
    ]
    return sorted(found, key=lambda each: (each.price, each.provider))
