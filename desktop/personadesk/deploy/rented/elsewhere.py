"""Asks what the same would cost elsewhere, over all accounts, and looks it up where there is no account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from personadesk.deploy.rented import market
from personadesk.domain.elsewhere import Alternative, alternatives
from personadesk.domain.money import Kind
from personadesk.domain.offer import need_of
from personadesk.providers import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.money import Item
    from personadesk.domain.plan import ModelKind
    from personadesk.providers.accounts import Accounts


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where the same could run.

    Attributes:
        here: What is paid now, dollars per hour while it runs; None when not told, or nothing is rented.
        places: Cheapest first.
        failures: Why an account could not be asked, by its name.
    """

    here: float | None
    places: tuple[Alternative, ...]
    failures: Mapping[str, PersonaDeskError]


async def look(
    accounts: Accounts, items: tuple[Item, ...], line: str, model: ModelKind
) -> Elsewhere:
    """Ask every account for what a line's model needs.

    Args:
        accounts: All accounts.
        items: What is billed now.
        line: The line; "" for whatever runs, of which the dearest counts.
        model: What it runs.
    """
    prices = [
        item.running_price
        for item in items
        if item.line == line or not line
        if item.running_price is not None and item.kind is not Kind.FORGOTTEN
    ]
    here = max(prices, default=None)
    found = await market.look(accounts, need_of(model))
    have = {account.provider for account in await accounts.all()}
    tables = {
        each: table
        for each in catalog.ids()
        if each not in have and (table := catalog.facts(each).cheapest) is not None
        if not catalog.facts(each).fading
    }
    return Elsewhere(here, tuple(alternatives(found.offers, tables, here)), found.failures)
