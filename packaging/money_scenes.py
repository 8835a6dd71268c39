"""The money page in its states, made of sample data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import money_samples as samples
from personadesk.domain.budget import ALL
from personadesk.domain.text import T
from personadesk.ui.spending.model import Places, Purse
from personadesk.ui.spending.page import MoneyPage

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.budget import Budget
    from personadesk.domain.statement import Money
    from personadesk.ui.shell import Page

__all__ = ["MONEY_SCENES", "money_page", "purse_of"]

LINES = ("Front desk", "Museum guide", "Support demo")


async def _never() -> Any:
    raise AssertionError("a picture asks for nothing")


class _Still(Purse):
    """What is known, and nothing is asked."""

    def look(self) -> None:
        """The sums stay as they are."""

    def preview(self, _budget: Budget) -> None:
        """What it would stop stays as it is."""
        self.stops_changed.emit()


def purse_of(found: Money | None) -> Purse:
    """Return what the window knows of money."""
    purse = _Still(_never, clock=lambda: samples.NOW)
    purse.found = found
    return purse


def money_page(found: Money | None, **more: Any) -> MoneyPage:
    """Return the page of these sums."""
    purse = purse_of(found)
    for name, value in more.items():
        setattr(purse, name, value)
    page = MoneyPage(purse, lambda: LINES if found is not None and found.items else ())
    purse.setParent(page)
    return page


def _editing() -> Page:
    stops = (
        T("“{line}” stops, and {name} is ended. {what}", line="Front desk", name="front-desk-1",
          what=T("Its disk is deleted, with all that is on it.")),
    )  # fmt: skip
    page = money_page(samples.busy(), stops=stops)
    page.budgets.edit(ALL)
    return page


MONEY_SCENES: dict[str, Callable[[], Page]] = {
    "money-empty": lambda: money_page(samples.quiet()),
    "money-busy": lambda: money_page(samples.busy(), places=Places("Front desk", samples.PLACES)),
    "money-editing": _editing,
}
