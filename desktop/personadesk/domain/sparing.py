"""The rules for a line's spare, a second voice that stands by: when it is made, mended, and ended. Nothing is done.

It is there for the line, so it never takes what the line needs: it is made when the line is up and stable, it goes
first when money runs short, and the last machine of a day is not for it. When the line fails it takes over
(`guarding.decide`); what stood behind the line is the spare then, and is mended or ended by these same rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from personadesk.domain.budget import START_HOURS
from personadesk.domain.guarding import (
    BAD_PLACE_SECONDS,
    MOST_SWITCHES,
    PATIENCE_SECONDS,
    Box,
    Decision,
    Deed,
    Observed,
    Spare,
    Voice,
    Work,
    is_bad,
    may_not_rent,
    pause_ends,
    since_up,
)
from personadesk.domain.plan import ModelChoice
from personadesk.domain.text import T, Text
from personadesk.domain.wish import Place, Rest, Wish, is_rented, lower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.guarding import Done

STABLE_SECONDS = 60.0
"""A line is up for so long before a spare is made for it: what has just come up may go down again."""
OWN_SHARE = 0.8
"""The part of a spending limit that a line and its spare use together; the rest is the line's alone."""
MOST_MENDED = 2
NOT_WISHED = T("No spare is wished for this line.")
_OWN_MACHINES = 1
"""Of the machines that may be rented within a day, so many are kept for the line itself."""
_TRIES = frozenset({Deed.DEPLOY, Deed.MAKE_SPARE})
_MARKS = frozenset({Deed.SPARE_READY, Deed.SWITCH})
_DONE = frozenset({Deed.MAKE_SPARE, Deed.MEND_SPARE, Deed.END_SPARE})


@dataclass(frozen=True, slots=True)
class SpareSeen:
    """A spare as it is found.

    Attributes:
        tag: Its deploy, "" where there is none.
        place: Key of the place where it stands.
        voice: Its voice; `MUTE` where it takes no call although it says that it is well.
        since: Unix time since when the voice stands so.
        box: The machine under it.
        work: Whether it is being made, or was cut off at that.
        model: What it runs.
    """

    tag: str = ""
    place: str = ""
    voice: Voice = Voice.ABSENT
    since: float = 0.0
    box: Box = Box.OURS
    work: Work = Work.NONE
    model: ModelChoice = field(default_factory=ModelChoice)


def ready(found: SpareSeen, past: Sequence[Done]) -> Spare:
    """Return how a spare stands as the line's own rules need it; where going over to it did not help, as none."""
    if not found.tag:
        return Spare.NONE
    if found.work is not Work.NONE:
        return Spare.MAKING if found.work is Work.RUNNING else Spare.NONE
    if found.voice is not Voice.UP or _failed_as_voice(past):
        return Spare.NONE
    switches = sum(done.deed is Deed.SWITCH for done in since_up(past))
    return Spare.READY if switches < MOST_SWITCHES else Spare.NONE


def places(wish: Wish, here: str) -> list[Place]:
    """Return where a spare may stand while the line is at a place, best first.

    Another place comes before the line's own, since what takes one machine away often takes its neighbour. A second
    voice on a machine of the user's own would go down with the first, so it is never there.
    """
    found = [each for each in wish.places if each.key != here]
    found += [each for each in wish.places if each.key == here and is_rented(each)]
    return sorted(found, key=lambda each: each.key != wish.spare)


def decide(
    wish: Wish, seen: Observed, found: SpareSeen, past: Sequence[Done], now: float
) -> Decision | None:
    """Return the next deed for a line's spare, None where there is nothing to do or to say.

    Args:
        wish: What the line shall be.
        seen: The line as it is.
        found: Its spare as it is.
        past: Deeds for the line and its spare, oldest first.
        now: Unix time.
    """
    if found.tag:
        return _keep(wish, seen, found, past, now)
    if not wish.spare or not wish.guarded or wish.rest is not Rest.UP:
        return None
    if seen.work is not Work.NONE or now < pause_ends(_trouble(past, now)):
        return None
    short = money_is_short(wish, seen)
    if short is not None:
        return Decision(Deed.NO_SPARE, short)
    if seen.voice is not Voice.UP or now - seen.since < STABLE_SECONDS:
        return None
    return _make(wish, seen, past, now)


def money_is_short(wish: Wish, seen: Observed) -> Text | None:
    """Return why what is left is for the line alone, None where it is for both."""
    limit = wish.spend_limit
    if limit is not None and seen.spent >= limit * OWN_SHARE:
        return _mostly_spent(limit)
    left = seen.allowance
    if left.near or (left.beyond is not None and left.beyond <= 0.0):
        return T("What is left in the budgets is for the line itself.")
    return None


def _make(wish: Wish, seen: Observed, past: Sequence[Done], now: float) -> Decision:
    refused: Text | None = None
    for place in places(wish, seen.place):
        if is_bad(past, place.key, now, _TRIES):
            refused = refused or T(
                "The last try at {place} failed; it is left alone for some hours.", place=place.key
            )
            continue
        no = may_not_rent(
            wish, place, past, seen.spent, now, seen.allowance, kept=_OWN_MACHINES
        )  # fmt: skip
        if no is None and is_rented(place):
            no = _too_dear(wish, place, seen)
        if no is not None:
            refused = no
            continue
        return Decision(Deed.MAKE_SPARE, T("The line has no spare."), place)
    return Decision(Deed.NO_SPARE, refused or T("There is no other place for a spare."))


def _too_dear(wish: Wish, place: Place, seen: Observed) -> Text | None:
    """Return why a spare's first hour is not paid for by what the line does not need itself."""
    price = lower(place.rent.max_price if place.rent else None, wish.max_price) or 0.0
    beyond = seen.allowance.beyond
    if beyond is not None and beyond < price * START_HOURS:
        return T("What is left in the budgets is for the line itself.")
    limit = wish.spend_limit
    if limit is not None and seen.spent + price * START_HOURS > limit * OWN_SHARE:
        return _mostly_spent(limit)
    return None


def _mostly_spent(limit: float) -> Text:
    return T(
        "What is left of the limit of ${limit} is for the line itself.", limit=f"{limit:.2f}"
    )  # fmt: skip


def _keep(
    wish: Wish, seen: Observed, found: SpareSeen, past: Sequence[Done], now: float
) -> Decision | None:
    unwanted = _unwanted(wish, seen, found)
    trouble = _trouble(past, now)
    if unwanted is not None:
        tries = [done for done in trouble if done.deed is Deed.END_SPARE]
        return None if now < pause_ends(tries) else Decision(Deed.END_SPARE, unwanted)
    if found.work is Work.RUNNING or now < pause_ends(trouble):
        return None
    if found.work is not Work.NONE:
        return Decision(Deed.END_SPARE, T("The making of the spare was cut off."))
    lost = _LOST.get(found.box)
    if lost is not None:
        return Decision(Deed.END_SPARE, lost)
    if found.box in {Box.CHANGING, Box.UNKNOWN}:
        return None
    if _failed_as_voice(past):
        return Decision(Deed.MEND_SPARE, T("It failed as the line's voice."))
    if found.voice is Voice.UP:
        return Decision(Deed.SPARE_READY, T("The spare answers.")) if trouble else None
    if found.voice is Voice.STARTING and now - found.since < PATIENCE_SECONDS:
        return None
    if sum(done.deed is Deed.MEND_SPARE for done in trouble) < MOST_MENDED:
        return Decision(Deed.MEND_SPARE, T("The spare does not answer."))
    return Decision(Deed.END_SPARE, T("Nothing milder helped."))


_LOST = {
    Box.GONE: T("The rented machine is gone."),
    Box.NO_GPU: T("The machine has lost its GPU."),
    Box.BROKEN: T("The provider says that the machine is broken."),
}


def _unwanted(wish: Wish, seen: Observed, found: SpareSeen) -> Text | None:
    """Return why a spare shall not be there, None where it shall."""
    if not wish.spare:
        return NOT_WISHED
    if not wish.guarded:
        return T("This line is not guarded.")
    if wish.rest is not Rest.UP:
        return T("The line sleeps.") if wish.rest is Rest.ASLEEP else T("The line is stopped.")
    if found.model != wish.model or found.place not in {each.key for each in wish.places}:
        return T("It is not what is wished any more.")
    if found.place == seen.place and found.box is Box.OURS:
        return T("The line itself stands there now.")
    return money_is_short(wish, seen) if found.box is not Box.OURS else None


def _trouble(past: Sequence[Done], now: float) -> list[Done]:
    """Return the deeds for the spare since it last was well, of the last hours."""
    found: list[Done] = []
    for done in reversed(past):
        if done.deed in _MARKS:
            break
        if done.deed in _DONE and now - done.at < BAD_PLACE_SECONDS:
            found.append(done)
    return found[::-1]


def _failed_as_voice(past: Sequence[Done]) -> bool:
    """Whether it stood behind the line until the line went over to the other one, and nothing was done to it since."""
    last = next((done for done in reversed(past) if done.deed in _DONE | _MARKS), None)
    return last is not None and last.deed is Deed.SWITCH and last.worked
