"""What should be so of a line: which voice, on which places in which order, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from personadesk.domain.hours import Hours  # noqa: TC001 - the store decodes wishes by their types
from personadesk.domain.plan import LOCAL, RENT, ModelChoice, Plan, RentWish

ANY_SPARE = "on"
"""What a wish says that wants a spare wherever there is room for one."""


class Rest(StrEnum):
    """Whether a line shall be up."""

    UP = "up"
    ASLEEP = "asleep"
    """It idles; whoever calls wakes it, if the wish says so."""
    STOPPED = "stopped"
    """A person or a limit stopped it; only a person starts it again."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line's voice may run.

    Attributes:
        place: As in a plan: `local`, `host:NAME`, or `rent`.
        rent: What may be rented; only for `rent`.
    """

    place: str = LOCAL
    rent: RentWish | None = None

    @property
    def key(self) -> str:
        """Short and unique among a line's places: `local`, `host:NAME`, `account:NAME`."""
        return f"account:{self.rent.account}" if self.rent is not None else self.place


@dataclass(frozen=True, slots=True)
class Wish:
    """What a line shall be.

    Attributes:
        line: Its name.
        model: What it runs.
        places: Where, best first.
        made_of: The deploy that this was read from last, so that a newer one is noticed; "" for none.
        clip: The voice test's clip, None for the bundled one.
        lease_hours: As in a plan.
        max_price: Most dollars per hour of a machine that is rented without a person being asked; None lets nothing
            be rented so.
        spend_limit: Dollars in all, over all machines that ever stood behind the line; None for no limit.
        wake_on_connect: Whether a caller wakes it when it sleeps.
        guarded: Whether it is kept up without a person being asked.
        rest: Whether it shall be up now.
        rest_at: Unix time at which that was said; what the calendar says later counts more.
        persona: Who it is for callers who name no persona of their own, as PersonaPlex takes it; "" for the server's.
        hours: When the calendar starts and stops it; None where only people and callers do.
        spare: Whether a second voice stands by: "" for none, `ANY_SPARE`, or the key of the place where it stands best.
    """

    line: str
    model: ModelChoice = field(default_factory=ModelChoice)
    places: tuple[Place, ...] = (Place(),)
    made_of: str = ""
    clip: str | None = None
    lease_hours: float | None = None
    max_price: float | None = None
    spend_limit: float | None = None
    wake_on_connect: bool = True
    guarded: bool = True
    rest: Rest = Rest.UP
    rest_at: float = 0.0
    hours: Hours | None = None
    persona: str = ""
    spare: str = ""


def wish_of(plan: Plan, before: Wish | None = None) -> Wish:
    """Return the wish that a finished deploy stands for.

    A person who deploys to a place that the wish does not name has changed their mind: it is then the only one, and
    what may be spent is that plan's. A deploy to a place of the wish keeps the places, their order and the limits.
    """
    place = Place(plan.place, plan.rent)
    if before is not None and place.key in {each.key for each in before.places}:
        return replace(before, model=plan.model, made_of=plan.id, clip=plan.clip, rest=Rest.UP)
    rent = plan.rent
    return Wish(
        plan.line, plan.model, (place,), plan.id, plan.clip, plan.lease_hours,
        max_price=rent.max_price if rent is not None else None,
        spend_limit=rent.spend_limit if rent is not None else None,
        wake_on_connect=before.wake_on_connect if before is not None else True,
        guarded=before.guarded if before is not None else True,
        hours=before.hours if before is not None else None,
        persona=before.persona if before is not None else "",
        spare=ANY_SPARE if before is not None and before.spare else "",
    )  # fmt: skip


def plan_for(wish: Wish, place: Place, plan_id: str, port: int, *, spent: float) -> Plan:
    """Return the deploy that puts a line's voice at one of its places, within what is left to spend.

    Args:
        wish: The wish.
        place: One of its places.
        plan_id: A fresh tag.
        port: The line's.
        spent: Dollars that the line has cost so far.
    """
    rent = place.rent
    if rent is not None:
        left = None if wish.spend_limit is None else max(0.0, wish.spend_limit - spent)
        rent = replace(
            rent, max_price=lower(rent.max_price, wish.max_price), spend_limit=left,
            hold_failed=False, insist=False,
        )  # fmt: skip
    return Plan(
        plan_id, wish.line, port, wish.model, place.place, wish.clip,
        lease_hours=None if place.place == LOCAL else wish.lease_hours, rent=rent,
    )  # fmt: skip


def with_idle(wish: Wish, minutes: float | None) -> Wish:
    """Return a wish whose rented machines sleep after so many minutes without a call; None for never."""
    return replace(
        wish,
        places=tuple(
            replace(place, rent=replace(place.rent, idle_stop_minutes=minutes))
            if place.rent
            else place
            for place in wish.places
        ),
    )


def lower(one: float | None, other: float | None) -> float | None:
    """Return the lower of two limits; None is no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def is_rented(place: Place) -> bool:
    """Whether a place costs money by the hour."""
    return place.place == RENT
