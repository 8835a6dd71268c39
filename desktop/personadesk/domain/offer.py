"""Offers of GPUs to rent, what a model needs, and the rule by which offers are ranked."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read at run time where offers are decoded
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.plan import ModelKind

if TYPE_CHECKING:
    from collections.abc import Iterable

BF16_GB = 24.0
"""GPU memory that PersonaPlex 7B needs in bfloat16: 14.8 GB of weights, the caches of its calls, and room to work."""
INT8_GB = 12.0
"""With its weights in 8 bits."""
SOLD_AS = 0.92
"""Cards are sold by a rounded number: a "24 GB" one may tell 22.5 GiB."""


class Stock(StrEnum):
    """Whether a GPU is free now, as the provider tells it."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"
    UNKNOWN = "unknown"
    """The provider does not tell."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One kind of machine in one region of one account, as it could be rented.

    Attributes:
        account: Name of the account.
        provider: Id of its provider.
        ref: The provider's own word for it (a GPU type, an instance type, an ask's number), unique with `region`.
        gpu: Usual name of the GPU: "RTX 4090", "A10", "H100".
        memory_gb: Memory of one GPU, in GB as sold.
        count: How many GPUs.
        region: The provider's own word; "" where it chooses.
        place: For people: "Texas, US".
        price: Dollars per hour for the whole machine while it runs, None when not told.
        estimated: Whether the price is from a table of ours, because the API has none; shown with `≈`.
        price_date: ISO date of that table; "" for a live price.
        disk_price: Dollars per hour that its disk costs, 0 when it is in the price.
        stock: Whether one is free.
        asked: Unix time at which the provider told all this.
        spot: Whether it may be taken back.
        data: What the provider's file needs to rent it; nobody else looks.
        host: The provider's own word for the computer that it is on; "" where it does not tell.
    """

    account: str
    provider: str
    ref: str
    gpu: str
    memory_gb: float
    count: int = 1
    region: str = ""
    place: str = ""
    price: float | None = None
    estimated: bool = False
    price_date: str = ""
    disk_price: float = 0.0
    stock: Stock = Stock.UNKNOWN
    asked: float = 0.0
    spot: bool = False
    data: Mapping[str, str] = field(default_factory=dict)
    host: str = ""

    @property
    def key(self) -> str:
        """What stays the same when offers are asked for again, so that a selection stays."""
        kind = "spot" if self.spot else "own"
        return f"{self.account}|{self.ref}|{self.region}|{kind}"


@dataclass(frozen=True, slots=True)
class Need:
    """What is looked for.

    Attributes:
        memory_gb: Least memory of one GPU.
        count: GPUs.
        max_price: Most dollars per hour, None for any.
        spot: Whether machines that may be taken back will do.
        disk_gb: Disk for the install and the model.
    """

    memory_gb: float = BF16_GB
    count: int = 1
    max_price: float | None = None
    spot: bool = False
    disk_gb: int = 60

    def allows(self, offer: Offer) -> bool:
        """Whether an offer fits; one without a price does not fit under a price limit."""
        if offer.memory_gb < self.memory_gb * SOLD_AS or offer.count != self.count:
            return False
        if offer.spot and not self.spot:
            return False
        return self.max_price is None or (offer.price is not None and offer.price <= self.max_price)


def need_of(model: ModelKind, *, int8: bool = False, max_price: float | None = None) -> Need:
    """Return what a model needs; the rehearsal model runs anywhere."""
    if model is ModelKind.REHEARSAL:
        return Need(memory_gb=0.0, max_price=max_price, disk_gb=20)
    return Need(memory_gb=INT8_GB if int8 else BF16_GB, max_price=max_price)


_STOCK_WORTH = {
    Stock.HIGH: 0, Stock.MEDIUM: 1, Stock.UNKNOWN: 2, Stock.LOW: 2, Stock.NONE: 3,
}  # fmt: skip
PAIN_PRICE = 0.15
"""What one of the four answers is worth, as a part of the price: a machine that keeps its GPU, its address, starts
simply and by itself may cost 60 % more than one that does none of it, and still be the better choice."""


def rank(offers: Iterable[Offer], answers: Mapping[str, float]) -> list[Offer]:
    """Return offers, best first.

    The rule: what is known to be sold out comes last; then the price per hour, raised by `PAIN_PRICE` for each of the
    four answers that the provider lacks and by a tenth where stock is low or not told; offers without a price come
    after those with one; memory and name decide what is left.

    Args:
        offers: All that fit.
        answers: 0 to 4 for each provider id: `FourAnswers.score`.
    """

    def key(offer: Offer) -> tuple[object, ...]:
        lacking = 4.0 - answers.get(offer.provider, 0.0)
        doubt = 0.1 if _STOCK_WORTH[offer.stock] == 2 else 0.0
        worth = (offer.price or 0.0) * (1.0 + PAIN_PRICE * lacking + doubt)
        return (
            offer.stock is Stock.NONE, offer.price is None, worth, _STOCK_WORTH[offer.stock],
            -offer.memory_gb, offer.gpu, offer.key,
        )  # fmt: skip

    return sorted(offers, key=key)
