"""`personadesk offers`: the GPUs that could be rented now, best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from personadesk.app import open_services
from personadesk.cli.memory import doubt_dict, doubt_words
from personadesk.cli.money_words import price_words
from personadesk.cli.running import print_json, run_command, say_of
from personadesk.cli.words import word
from personadesk.domain.offer import BF16_GB, Need
from personadesk.language import tr

if TYPE_CHECKING:
    import argparse

    from personadesk.cli.running import Stop
    from personadesk.domain.offer import Offer
    from personadesk.domain.reputation import Reputation


def run(arguments: argparse.Namespace) -> int:
    """Do it; an account that could not be asked is told, and is a failure only when no other one offers anything."""
    return run_command(lambda stop: _once(arguments, stop), as_json=arguments.json)


async def _once(arguments: argparse.Namespace, stop: Stop) -> int:
    from personadesk.deploy.rented import market

    memory = BF16_GB if arguments.min_memory_gb is None else arguments.min_memory_gb
    need = Need(memory_gb=memory, max_price=arguments.max_price, spot=arguments.spot)
    services = await open_services(serve_lines=False)
    try:
        if arguments.account is not None:
            await services.accounts.store.get(arguments.account)
        found = await market.look(
            services.accounts, need, (arguments.account,) if arguments.account else (),
            services.rentals.memory,
        )  # fmt: skip
    finally:
        await services.close()
    if found.failures and not found.offers:
        raise next(iter(found.failures.values()))
    for name, failure in found.failures.items():
        say_of(name, failure)
    if arguments.json:
        failures = {name: failure.as_dict() for name, failure in found.failures.items()}
        offers = [_dict(each, found.reputation) for each in found.offers]
        print_json({"offers": offers, "failures": failures})
    else:
        words = [_words(each, found.reputation) for each in found.offers]
        print("\n".join(words) or tr("Nothing that fits is offered now."))
    return 0


def _dict(offer: Offer, reputation: Reputation) -> dict[str, Any]:
    return {
        "key": offer.key,
        "account": offer.account,
        "provider": offer.provider,
        "gpu": offer.gpu,
        "memory_gb": offer.memory_gb,
        "count": offer.count,
        "region": offer.region,
        "place": offer.place,
        "price": offer.price,
        "estimated": offer.estimated,
        "price_date": offer.price_date,
        "stock": str(offer.stock),
        "asked": offer.asked,
        "spot": offer.spot,
        "host": offer.host,
        "held_against": [
            doubt_dict(each, reputation.now) for each in reputation.against(offer)
        ],
    }  # fmt: skip


def _words(offer: Offer, reputation: Reputation) -> str:
    price = price_words(offer.price)
    price = f"≈ {price} ({offer.price_date})" if offer.estimated else price
    spot = f", {tr('may be taken back')}" if offer.spot else ""
    told = tr(
        "{gpu}, {memory:g} GB, {place}: {price}, stock {stock}",
        gpu=offer.gpu, memory=float(offer.memory_gb), place=offer.place or offer.region,
        price=price, stock=word(offer.stock),
    )  # fmt: skip
    line = f"{told}{spot}  [{offer.key}]"
    held = [doubt_words(each, reputation.now) for each in reputation.against(offer)]
    return "\n    ".join([line, *held])
