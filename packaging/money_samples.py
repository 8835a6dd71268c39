"""Made-up but honest sums of money, made of spans by the rules that the window's own are made of."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import rented_samples as samples
from personadesk.deploy.rented.elsewhere import Elsewhere
from personadesk.domain import money
from personadesk.domain.budget import ALL, Act, Budget
from personadesk.domain.elsewhere import Alternative
from personadesk.domain.money import Item, Kind, Span
from personadesk.domain.proof import Left, Proof
from personadesk.domain.statement import Money, Outlook, add_up
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BUDGETS", "NOW", "PLACES", "busy", "quiet"]

NOW = samples.NOW
HOUR = 3600.0
ITEMS = (
    Item("Studio", samples.FRONT_DESK.id, "front-desk-1", "pd-7c41a09e", "Front desk", Kind.RUNNING, 0.75,
         running_price=0.75),
    Item("Market", "7011223", "support-demo-4", "pd-0b2f6d11", "Support demo", Kind.RUNNING, 0.38, running_price=0.38),
    Item("Pods", "k3x9a7c2", "museum-2", "pd-11f0c2aa", "Museum guide", Kind.KEPT, 0.01, running_price=0.69),
    Item("Pods", "volume:agv6w2qcg7", "personaplex-weights", kind=Kind.KEPT, price=None),
    Item("Market", "7011300", "pd-5e5e0007", "pd-5e5e0007", kind=Kind.FORGOTTEN, price=0.36, guessed=True),
)  # fmt: skip
BUDGETS = (
    Budget(ALL, per_day=12.0, per_month=180.0),
    Budget("Front desk", per_day=10.0, act=Act.STOP),
    Budget("Museum guide", per_month=20.0, act=Act.WARN),
)
PLACES = Elsewhere(
    0.75,
    (
        Alternative("Market", "vast", "RTX 4090", "Norway", 0.38, estimated=False, asked=NOW - 40, here=0.75),
        Alternative("", "paperspace", "RTX A5000", "", 0.55, estimated=True, date="2026-09-20", here=0.75),
        Alternative("Pods", "runpod", "RTX 4090", "Netherlands", 0.69, estimated=False, asked=NOW - 40, here=0.75),
        Alternative("Studio", "lambda", "A10", "Virginia, US", 0.75, estimated=False, asked=NOW - 40, here=0.75),
        Alternative("", "google", "L4", "", 0.85, estimated=True, date="2026-11-23", here=0.75),
    ),
    {},
)  # fmt: skip


def _spans() -> list[Span]:
    """Return a month of a front desk by day, a support line at times, and a disk."""
    found = []
    first = money.day_of(NOW, UTC) - timedelta(days=29)
    for number in range(30):
        start = money.day_start(first + timedelta(days=number), UTC)
        if number > 3 and (number + 1) % 7 not in {0, 6}:
            end = min(NOW, start + (17 + number % 4) * HOUR)
            found.append(
                Span("Studio", "m-1", "pd-7c41a09e", "Front desk", Kind.RUNNING, start + 8 * HOUR, end, 0.75)
            )  # fmt: skip
        if number % 3 == 0 and number > 8:
            found.append(
                Span(
                    "Market", "m-2", "pd-0b2f6d11", "Support demo", Kind.RUNNING, start + 9 * HOUR,
                    min(NOW, start + 15 * HOUR), 0.38, guessed=number == 18,
                )
            )  # fmt: skip
        if number > 14:
            found.append(
                Span(
                    "Pods", "k3x9a7c2", "pd-11f0c2aa", "Museum guide", Kind.KEPT, start,
                    min(NOW, start + 24 * HOUR), 0.01,
                )
            )  # fmt: skip
    found.append(
        Span("Market", "7011300", "pd-5e5e0007", "", Kind.FORGOTTEN, NOW - 3 * HOUR, NOW, 0.36, guessed=True)
    )  # fmt: skip
    found.append(
        Span("Pods", "volume:agv6w2qcg7", "", "", Kind.KEPT, NOW - 30 * HOUR, NOW, None)
    )  # fmt: skip
    return [span for span in found if span.ended > span.began]


def busy(budgets: Sequence[Budget] = BUDGETS) -> Money:
    """Return money of a busy month."""
    proofs = (
        Proof("Market", Left.RUNNING, tuple(x for x in ITEMS if x.account == "Market"), NOW - 4),
        Proof("Pods", Left.KEPT, tuple(x for x in ITEMS if x.account == "Pods"), NOW - 4),
        Proof("Studio", Left.UNCONFIRMED, ITEMS[:1], NOW - 780, T("“Studio” didn't answer within 60 seconds.")),
        Proof("Spare", Left.NOTHING, (), NOW - 4),
    )  # fmt: skip
    return add_up(NOW, UTC, ITEMS, _spans(), budgets, Outlook(ITEMS, sleeps=True), proofs)


def quiet() -> Money:
    """Return money of somebody who has rented nothing."""
    return add_up(NOW, UTC, (), (), (), Outlook(()), ())
