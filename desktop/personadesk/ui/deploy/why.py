"""Why an offer is the best match, or what speaks against it: sentences made from the rule that ranks offers.

The rule itself stands in `personadesk.domain.offer.rank`: what is sold out comes last; then the price, raised for each
of the four answers that the provider lacks, and where stock is low or not told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.offer import Offer, Stock
from personadesk.domain.provider import Answer
from personadesk.ui.i18n import tr
from personadesk.ui.money import dollars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.provider import FourAnswers, ProviderFacts

__all__ = ["why"]

_DOUBTFUL = frozenset({Stock.LOW, Stock.UNKNOWN})
_WORTH = {Answer.NO: 0, Answer.PARTLY: 1, Answer.YES: 2}


def why(choice: Offer, offers: Sequence[Offer], facts: dict[str, ProviderFacts]) -> str:
    """Return why an offer was put first, or how it stands to the one that was.

    Args:
        choice: The offer.
        offers: All that fit and are within the limits, best first.
        facts: The providers of all these, by id.
    """
    if choice.stock is Stock.NONE:
        return tr(
            "It is sold out now. When it stays so, the next best is taken, if you allow that below."
        )
    free = [offer for offer in offers if offer.stock is not Stock.NONE]
    if not free or choice.key == free[0].key:
        return _why_first(choice, free, facts)
    best = free[0]
    parts = [_against(choice, best, facts)]
    gained = _better(facts[choice.provider].answers, facts[best.provider].answers)
    if gained:
        parts.append(tr("In return it {gains}.", gains=gained))
    return " ".join(parts)


def _why_first(choice: Offer, free: Sequence[Offer], facts: dict[str, ProviderFacts]) -> str:
    others = [offer for offer in free if offer.key != choice.key]
    if not others:
        return tr("It is the only one that fits and is within your limits.")
    priced = [offer for offer in others if offer.price is not None]
    cheaper = [o for o in priced if choice.price is not None and (o.price or 0) < choice.price]
    if not cheaper:
        return _why_cheapest(choice, others, facts)
    rival = min(cheaper, key=lambda offer: offer.price or 0.0)
    gained = _better(facts[choice.provider].answers, facts[rival.provider].answers)
    name = tr("{gpu} at {provider}", gpu=rival.gpu, provider=facts[rival.provider].title)
    price = tr("{price} /h", price=dollars((choice.price or 0.0) - (rival.price or 0.0)))
    if gained:
        return tr(
            "It {gains}; the cheapest, {name}, does not. That is worth {price} more.",
            gains=gained, name=name, price=price,
        )  # fmt: skip
    if rival.stock in _DOUBTFUL:
        return tr(
            "The cheapest, {name}, may be gone: its stock is low or not told. That is worth {price} more.",
            name=name, price=price,
        )  # fmt: skip
    return tr(
        "All in all, more can be counted on than with the cheapest, {name}. That is worth {price} more.",
        name=name, price=price,
    )  # fmt: skip


def _why_cheapest(choice: Offer, others: Sequence[Offer], facts: dict[str, ProviderFacts]) -> str:
    mine = facts[choice.provider].answers
    for rival in others:
        gained = _better(facts[rival.provider].answers, mine)
        if gained and rival.price is not None and choice.price is not None:
            return tr(
                "It is the cheapest. {gpu} at {provider} {gains}, but costs {price} more; that weighs heavier.",
                gpu=rival.gpu,
                provider=facts[rival.provider].title,
                gains=gained,
                price=tr("{price} /h", price=dollars(rival.price - choice.price)),
            )
    kept = _better(mine, None)
    if kept:
        return tr("Nothing that fits is cheaper, and it {gains}.", gains=kept)
    return tr("Nothing that fits is cheaper.")


def _against(choice: Offer, best: Offer, facts: dict[str, ProviderFacts]) -> str:
    name = tr("{gpu} at {provider}", gpu=best.gpu, provider=facts[best.provider].title)
    if choice.price is None:
        return tr("{name} comes before it: what this one costs is not told.", name=name)
    lost = _better(facts[best.provider].answers, facts[choice.provider].answers)
    if lost:
        return tr("{name} comes before it: that {gains}.", name=name, gains=lost)
    if best.price is not None and best.price < choice.price:
        price = tr("{price} /h", price=dollars(choice.price - best.price))
        return tr("{name} comes before it: it costs {price} less.", name=name, price=price)
    if choice.stock in _DOUBTFUL and best.stock not in _DOUBTFUL:
        return tr("{name} comes before it: its stock is more certain.", name=name)
    if facts[best.provider].answers.score() > facts[choice.provider].answers.score():
        return tr("{name} comes before it: all in all, more can be counted on there.", name=name)
    return tr("{name} is as good.", name=name)


def _better(mine: FourAnswers, other: FourAnswers | None) -> str:
    """Return what one provider promises and the other does not, at most two things, in words; "" for nothing."""
    names = (
        tr("keeps its GPU"),
        tr("keeps its address"),
        tr("starts and stops simply"),
        tr("starts by itself"),
    )
    my = _answers(mine)
    its = _answers(other) if other is not None else [_WORTH[Answer.NO]] * len(names)
    # Only a plain yes is a promise that can be named.
    whole = _WORTH[Answer.YES]
    told = [name for name, m, i in zip(names, my, its, strict=True) if m == whole > i][:2]
    return tr("{one} and {other}", one=told[0], other=told[1]) if len(told) == 2 else "".join(told)


def _answers(given: FourAnswers) -> list[int]:
    promises = (given.keeps_gpu, given.keeps_address, given.simple, given.starts_itself)
    return [_WORTH[promise.answer] for promise in promises]
