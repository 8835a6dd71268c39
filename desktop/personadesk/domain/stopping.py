"""What stopping a rented machine means: what it costs or destroys, and how long its voice then takes to come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.domain.hours import USUAL_START_SECONDS
from personadesk.domain.text import T, Text

if TYPE_CHECKING:
    from personadesk.domain.provider import ProviderFacts


def stopping(facts: ProviderFacts, setup: float | None) -> tuple[Text, ...]:
    """Return what stopping a machine means, a sentence or more each.

    Args:
        facts: Its provider.
        setup: Seconds that the last new machine there took until its voice answered, None where none was measured.
    """
    if facts.can.stop:
        told = T(
            "The machine at {provider} is stopped with it. {sentence} {reason}",
            provider=facts.title, sentence=facts.stop_costs, reason=facts.can.stop.reason,
        )  # fmt: skip
        return (told,)
    ends = T(
        "{provider} can’t pause. Stopping ends the machine. What that destroys: {sentence}",
        provider=facts.title, sentence=facts.end_destroys,
    )  # fmt: skip
    return ends, made_again(setup)


def made_again(setup: float | None) -> Text:
    """Return how long a voice takes to come back where a machine can only be ended.

    Args:
        setup: As for `stopping`.
    """
    if setup is None:
        return T(
            "The next call rents a new one and sets it up: ≈ {minutes} min, not measured here yet.",
            minutes=round(USUAL_START_SECONDS / 60),
        )
    return T(
        "The next call rents a new one and sets it up: {minutes} min the last time.",
        minutes=max(1, round(setup / 60)),
    )
