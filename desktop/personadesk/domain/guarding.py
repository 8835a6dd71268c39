"""The guardian's rules: what is seen of a line, compared with what is wished, gives the next deed. Nothing is done.

One deed at a time, the mildest that can help first; each needs its cause to be seen, not guessed:

    reconnect ─► over to the spare, where one stands by
    ─► fetch the model, restart the service ─► start or restart the machine
    ─► deploy here again ─► deploy at the next place

Between deeds of one outage the pause doubles. A place whose deploy failed is left alone for hours. Where something
cannot be told (a provider that does not answer, a deploy that somebody is at), it waits and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain import hours as calendar
from personadesk.domain.budget import UNLIMITED, Allowance
from personadesk.domain.text import NOTHING, T, Text
from personadesk.domain.wish import Place, Rest, Wish, is_rented, lower

if TYPE_CHECKING:
    from collections.abc import Sequence

PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 15 * 60.0
PATIENCE_SECONDS = 120.0
"""A server that is loading is left in peace for so long before it counts as stuck; deploys have their own limits."""
GRACE_SECONDS = 300.0
"""So long a machine that is not reached is only knocked at: most breaks are of the network, and pass."""
BAD_PLACE_SECONDS = 6 * 3600.0
"""So long a place whose deploy failed is not tried again."""
DAY_SECONDS = 24 * 3600.0
MOST_RENTED_A_DAY = 3
"""Machines rented without a person being asked; a fault that eats machines ends here."""


class Voice(StrEnum):
    """What is known of the voice itself."""

    UP = "up"
    STARTING = "starting"
    SLOW = "slow"
    """It answers, and its ticks have taken longer than a frame lasts for a while."""
    NO_MODEL = "no-model"
    """Its server says that files of the model are missing or torn."""
    MUTE = "mute"
    """The server says that it is well, and does not answer a call."""
    SILENT = "silent"
    """Nothing answers."""
    DEAD = "dead"
    """Its process has ended."""
    FAILED = "failed"
    """It says that it cannot work."""
    ABSENT = "absent"
    """Nothing stands behind the line."""
    STOPPED = "stopped"
    """Somebody stopped it."""


class Box(StrEnum):
    """What is known of the machine under it."""

    OURS = "ours"
    """Not rented: this computer or a server of the user's."""
    RUNNING = "running"
    CHANGING = "changing"
    STOPPED = "stopped"
    NO_GPU = "no-gpu"
    BROKEN = "broken"
    GONE = "gone"
    UNKNOWN = "unknown"
    """The provider does not tell."""


class Work(StrEnum):
    """Whether somebody deploys to the line."""

    NONE = "none"
    RUNNING = "running"
    LEFT = "left"
    """A deploy of a person's was cut off; it is theirs to resume or undo."""
    OURS_LEFT = "ours-left"
    """A deploy of the guardian's was cut off."""


class Spare(StrEnum):
    """Whether a second voice stands by; its own rules are in `domain/sparing.py`."""

    NONE = "none"
    MAKING = "making"
    READY = "ready"
    """It answered at this look, and its last proof call was answered."""


class Deed(StrEnum):
    """What can be done."""

    NOTHING = "nothing"
    WAIT = "wait"
    RECONNECT = "reconnect"
    RESTART_SERVICE = "restart-service"
    FETCH_MODEL = "fetch-model"
    START = "start"
    SLEEP = "sleep"
    RESTART_MACHINE = "restart-machine"
    END_MACHINE = "end-machine"
    CLEAN_UP = "clean-up"
    DEPLOY = "deploy"
    SWITCH = "switch"
    """Lead the line to its spare."""
    MAKE_SPARE = "make-spare"
    MEND_SPARE = "mend-spare"
    END_SPARE = "end-spare"
    SPARE_READY = "spare-ready"
    """Marks that the spare answers, as `NOTHING` does for the line."""
    NO_SPARE = "no-spare"
    """Says why a spare that is wished is not made, as `WAIT` does for the line."""


OF_SPARES = frozenset(
    {Deed.MAKE_SPARE, Deed.MEND_SPARE, Deed.END_SPARE, Deed.SPARE_READY, Deed.NO_SPARE}
)
"""Deeds for spares, which are no part of a line's own outage."""
CALL_GRACE_SECONDS = 10.0
"""So long a call whose machine is not reached may come back before its line goes over to the spare: that ends it."""
MOST_SWITCHES = 2
"""So often within one outage the line goes over to its spare; then it is mended as one without."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A line as it is found.

    Attributes:
        voice: The voice.
        place: Key of the place where it is, "" for none.
        since: Unix time since when the voice stands so.
        box: The machine.
        reached: Whether the machine lets us in; None where it is this computer, or that was not asked.
        tunnel: Whether the way to it is open; None where none is needed.
        work: Whether somebody deploys to it.
        waiting: Callers who are held.
        calls: Calls that go on.
        spent: Dollars that the line has cost.
        detail: What was said of the fault, for the reason.
        allowance: What the budgets let it still spend.
        spare: Whether a second voice stands by.
    """

    voice: Voice
    place: str = ""
    since: float = 0.0
    box: Box = Box.OURS
    reached: bool | None = None
    tunnel: bool | None = None
    work: Work = Work.NONE
    waiting: int = 0
    calls: int = 0
    spent: float = 0.0
    detail: str = ""
    allowance: Allowance = UNLIMITED
    spare: Spare = Spare.NONE


@dataclass(frozen=True, slots=True)
class Done:
    """A deed of the past.

    Attributes:
        at: Unix time.
        deed: What; `NOTHING` marks that the line was up again.
        place: Key of its place.
        worked: Whether it did what it should.
        seconds: How long it took.
        why: What it was for.
    """

    at: float
    deed: Deed
    place: str = ""
    worked: bool = True
    seconds: float = 0.0
    why: Text = NOTHING


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next.

    Attributes:
        deed: What.
        why: The reason, a sentence.
        place: Where to, for a deploy.
        stuck: Whether waiting alone will not bring the line up, so that callers need not be held.
    """

    deed: Deed
    why: Text
    place: Place | None = None
    stuck: bool = False


def decide(wish: Wish, seen: Observed, past: Sequence[Done], now: float) -> Decision:
    """Return the next deed for a line.

    Args:
        wish: What should be so.
        seen: What is so.
        past: Deeds for this line, oldest first.
        now: Unix time.
    """
    edge = by_hours(wish, past, now)
    woken = _woken(wish, seen, edge)
    rest = _at_rest(wish, seen, woken)
    if rest is not None:
        return rest
    if edge is not None and not edge.begins and seen.work is Work.NONE:
        over = _over(wish, seen, edge, past, now)
        if over is not None:
            return over
    if seen.work is Work.RUNNING:
        return _wait(T("A deploy for this line is under way."))
    if seen.work is Work.LEFT:
        return _stuck(T("A deploy for this line was interrupted: resume it or undo it."))
    if seen.work is not Work.OURS_LEFT:
        if seen.voice is Voice.UP:
            return Decision(Deed.NOTHING, T("The voice answers."))
        if seen.voice is Voice.SLOW:
            return _quicken(wish, seen, past, now)
        lost = seen.box in {Box.GONE, Box.BROKEN, Box.NO_GPU}
        young = now - seen.since < PATIENCE_SECONDS and seen.spare is not Spare.READY
        if seen.voice is Voice.STARTING and not lost and young:
            return _wait(T("The voice server is starting."))
    outage = [done for done in since_up(past) if now - done.at < BAD_PLACE_SECONDS]
    if seen.spare is Spare.READY and seen.work is Work.NONE:
        switch = _to_spare(wish, seen, outage, now)
        if switch is not None:
            return switch
    ready_at = pause_ends(outage)
    if now < ready_at:
        return _wait(T("The last try is still fresh; the next one follows soon."))
    if seen.work is Work.OURS_LEFT:
        return Decision(Deed.CLEAN_UP, T("A recovery was cut off; what it left is removed first."))
    then = _mend(wish, seen, past, outage, now, woken)
    if seen.spare is Spare.MAKING and then.deed in {Deed.DEPLOY, Deed.END_MACHINE}:
        return _wait(T("{why} The line goes over to its spare, which is being made.", why=then.why))
    return then


def _to_spare(wish: Wish, seen: Observed, outage: Sequence[Done], now: float) -> Decision | None:
    """Go over to the spare, after the one thing that is as quick and keeps the calls that go on; None for neither."""
    if wish.rest is not Rest.UP or seen.voice is Voice.STOPPED:
        return None
    if seen.voice is Voice.ABSENT and not outage:
        # Somebody took the voice away on purpose.
        return None
    if seen.reached is False:
        if seen.calls and now - seen.since < CALL_GRACE_SECONDS:
            return _wait(T("The machine is not reached; most breaks of the network pass."))
        why = T("The machine is not reached.")
    elif seen.tunnel is False:
        why = T("The tunnel to the machine is down.")
        if _left(outage, seen, Deed.RECONNECT, 1):
            return Decision(Deed.RECONNECT, why)
    else:
        why = _VOICE_WORDS.get(seen.voice, _NO_ANSWER)
    return Decision(Deed.SWITCH, T("{why} Its spare takes over.", why=why))


def since_up(past: Sequence[Done]) -> list[Done]:
    """Return the deeds since the line was last up, without those for its spare."""
    past = [done for done in past if done.deed not in OF_SPARES]
    for index in range(len(past) - 1, -1, -1):
        if past[index].deed is Deed.NOTHING:
            return list(past[index + 1 :])
    return list(past)


def pause_ends(outage: Sequence[Done]) -> float:
    """Return the Unix time before which nothing more is done in an outage."""
    if not outage:
        return 0.0
    pause = min(PAUSE_SECONDS * 2.0 ** min(len(outage) - 1, 20), LONGEST_PAUSE_SECONDS)
    return outage[-1].at + pause


def by_hours(wish: Wish, past: Sequence[Done], now: float) -> calendar.Edge | None:
    """Return what the calendar says of a line, None where somebody said otherwise since, or there is none."""
    if wish.hours is None or not wish.guarded or wish.rest is Rest.STOPPED:
        return None
    edge = calendar.last_edge(wish.hours, now, calendar.lead_of(starts(past)))
    return edge if edge.at >= wish.rest_at else None


def starts(past: Sequence[Done]) -> list[float]:
    """Return how many seconds starts took, from the first deed to the voice."""
    took = []
    began: float | None = None
    for done in past:
        if done.deed is Deed.NOTHING:
            if began is not None:
                took.append(done.at - began)
            began = None
        elif done.deed in {Deed.START, Deed.DEPLOY} and began is None:
            began = done.at - done.seconds
    return took


def _woken(wish: Wish, seen: Observed, edge: calendar.Edge | None) -> Text | None:
    """Return why a line that sleeps shall be up, None when it may sleep on."""
    if wish.rest is not Rest.ASLEEP:
        return None
    if seen.waiting and wish.wake_on_connect:
        return T("Somebody calls the sleeping line.")
    if edge is None or not edge.begins:
        return None
    if not edge.clock:
        return T("It shall be up always.")
    return T("Its hours begin at {time}.", time=edge.clock)


def _over(
    wish: Wish, seen: Observed, edge: calendar.Edge, past: Sequence[Done], now: float
) -> Decision | None:
    """Put a line to sleep whose hours are over, unless somebody still talks."""
    if wish.rest is not Rest.UP or seen.waiting:
        return None
    if seen.calls and now < edge.at + calendar.GRACE_SECONDS:
        return None
    if now < pause_ends([done for done in past if done.deed is Deed.SLEEP and done.at >= edge.at]):
        return None
    why = (
        T("Its hours ended at {time}.", time=edge.clock)
        if edge.clock
        else T("It has no hours now.")
    )
    return Decision(Deed.SLEEP, why)


def _at_rest(wish: Wish, seen: Observed, woken: Text | None) -> Decision | None:
    if not wish.guarded:
        return Decision(Deed.NOTHING, T("This line is not guarded."))
    if wish.rest is Rest.STOPPED:
        return Decision(Deed.NOTHING, T("The line is stopped."))
    if wish.rest is Rest.ASLEEP:
        if seen.voice is Voice.UP:
            return Decision(Deed.NOTHING, T("The voice answers."))
        if woken is None:
            return Decision(Deed.NOTHING, T("The line sleeps."))
    if wish.spend_limit is not None and seen.spent >= wish.spend_limit and seen.box is not Box.OURS:
        return _stuck(T("The limit of ${limit} is reached.", limit=f"{wish.spend_limit:.2f}"))
    used_up = seen.allowance.refuses(None)
    if used_up is not None and seen.box is not Box.OURS:
        return _stuck(used_up)
    return None


def _mend(
    wish: Wish, seen: Observed, past: Sequence[Done], outage: Sequence[Done], now: float,
    woken: Text | None,
) -> Decision:  # fmt: skip
    if seen.voice is Voice.ABSENT:
        if wish.rest is not Rest.ASLEEP and not outage:
            # Somebody took the voice away on purpose.
            return _stuck(T("There is no voice behind the line. Deploy one."))
        return _deploy(wish, seen, past, now, woken or T("Nothing stands behind the line."))
    if seen.box is Box.UNKNOWN:
        return _wait(T("The provider does not say how the machine is; nothing is done on a guess."))
    if seen.box is Box.CHANGING:
        return _wait(T("The machine is changing its state."))
    if seen.voice is Voice.STOPPED and wish.rest is not Rest.ASLEEP:
        return _stuck(T("The voice was stopped. Start the line again."))
    if seen.box is Box.GONE:
        return _deploy(wish, seen, past, now, T("The rented machine is gone."))
    refused = seen.allowance.refuses(seen.allowance.price) if seen.box is Box.STOPPED else None
    if refused is not None:
        return _stuck(T("{why} {refused}", why=T("The machine is stopped."), refused=refused))
    if seen.box is Box.STOPPED and _left(outage, seen, Deed.START, 2):
        return Decision(Deed.START, woken or T("The machine is stopped."))
    if seen.box in {Box.NO_GPU, Box.BROKEN, Box.STOPPED}:
        return _replace(wish, seen, past, now, _BOX_WORDS[seen.box])
    if seen.voice is Voice.STOPPED and _left(outage, seen, Deed.START, 2):
        return Decision(Deed.START, woken or T("The voice was stopped."))
    mild = _mild(seen, outage, now)
    if mild is not None:
        return mild
    why = T("Nothing milder helped.")
    if seen.box is Box.RUNNING:
        return _replace(wish, seen, past, now, why)
    return _deploy(wish, seen, past, now, why)


def _quicken(wish: Wish, seen: Observed, past: Sequence[Done], now: float) -> Decision:
    """Help a voice that answers too slowly; it is worth more than none, so nothing is done while somebody talks.

    A restart makes it count as up again until it was slow for a while once more, so that deeds of hours count here.
    """
    if seen.calls:
        return _wait(T("{why} It is seen to when nobody talks.", why=_SLOW))
    if seen.spare is Spare.READY:
        return Decision(Deed.SWITCH, T("{why} Its spare takes over.", why=_SLOW))
    lately = [done for done in past if now - done.at < BAD_PLACE_SECONDS]
    if now < pause_ends(since_up(lately)):
        return _wait(T("The last try is still fresh; the next one follows soon."))
    for_this = [done for done in lately if done.why == _SLOW]
    if _left(for_this, seen, Deed.RESTART_SERVICE, 1):
        return Decision(Deed.RESTART_SERVICE, _SLOW)
    rented = seen.box is Box.RUNNING
    if rented and _left(for_this, seen, Deed.RESTART_MACHINE, 1):
        return Decision(Deed.RESTART_MACHINE, _SLOW)
    if rented:
        then = _replace(wish, seen, past, now, _SLOW)
    else:
        # The same computer would be as slow.
        others = tuple(place for place in wish.places if place.key != seen.place)
        then = _deploy(replace(wish, places=others), seen, past, now, _SLOW)
    return replace(then, stuck=False)


_SLOW = T("The voice is too slow: its ticks take longer than a frame lasts.")

_BOX_WORDS = {
    Box.NO_GPU: T("The machine has lost its GPU."),
    Box.BROKEN: T("The provider says that the machine is broken."),
    Box.STOPPED: T("The machine does not start."),
}


def _mild(seen: Observed, outage: Sequence[Done], now: float) -> Decision | None:
    if seen.reached is False:
        if _left(outage, seen, Deed.RECONNECT, 3):
            return Decision(Deed.RECONNECT, T("The machine is not reached."))
        if now - seen.since < GRACE_SECONDS:
            return _wait(T("The machine is not reached; most breaks of the network pass."))
        if seen.box is Box.RUNNING and _left(outage, seen, Deed.RESTART_MACHINE, 1):
            return Decision(
                Deed.RESTART_MACHINE, T("The machine runs, its provider says, and lets nobody in.")
            )
        return None
    if seen.tunnel is False and _left(outage, seen, Deed.RECONNECT, 3):
        return Decision(Deed.RECONNECT, T("The tunnel to the machine is down."))
    if seen.voice is Voice.NO_MODEL:
        # A restart would find the same; what is whole is kept, so that a second try has less to fetch.
        if _left(outage, seen, Deed.FETCH_MODEL, 2):
            return Decision(Deed.FETCH_MODEL, _VOICE_WORDS[seen.voice])
        return None
    if _left(outage, seen, Deed.RESTART_SERVICE, 2):
        return Decision(Deed.RESTART_SERVICE, _VOICE_WORDS.get(seen.voice, _NO_ANSWER))
    if seen.box is Box.RUNNING and _left(outage, seen, Deed.RESTART_MACHINE, 1):
        return Decision(Deed.RESTART_MACHINE, T("Restarting the voice server did not help."))
    return None


_NO_ANSWER = T("It does not answer.")
_VOICE_WORDS = {
    Voice.NO_MODEL: T("Files of the model are missing or torn."),
    Voice.MUTE: T("The server says that it is well, and does not answer a call."),
    Voice.SILENT: T("The voice server does not answer."),
    Voice.DEAD: T("The voice server has ended."),
    Voice.FAILED: T("The voice server says that it cannot work."),
    Voice.STARTING: T("The voice server does not finish starting."),
}


def _replace(wish: Wish, seen: Observed, past: Sequence[Done], now: float, why: Text) -> Decision:
    """End a rented machine for another place; only when there is one to go to."""
    then = _deploy(wish, seen, past, now, why)
    if then.deed is not Deed.DEPLOY:
        return then
    return Decision(Deed.END_MACHINE, why)


def _deploy(wish: Wish, seen: Observed, past: Sequence[Done], now: float, why: Text) -> Decision:
    refused: Text | None = None
    for place in _in_order(wish, seen.place):
        if is_bad(past, place.key, now):
            refused = refused or T(
                "The last try at {place} failed; it is left alone for some hours.", place=place.key
            )
            continue
        if place.key == seen.place and seen.reached is False and not is_rented(place):
            refused = refused or T("The machine is not reached.")
            continue
        no = may_not_rent(wish, place, past, seen.spent, now, seen.allowance)
        if no is not None:
            refused = no
            continue
        return Decision(Deed.DEPLOY, why, place)
    return _stuck(T("{why} {refused}", why=why, refused=refused or T("There is no other place.")))


def _in_order(wish: Wish, here: str) -> list[Place]:
    """Here first, then the others as the wish has them."""
    return sorted(wish.places, key=lambda place: place.key != here)


def may_not_rent(
    wish: Wish,
    place: Place,
    past: Sequence[Done],
    spent: float,
    now: float,
    allowed: Allowance = UNLIMITED,
    *,
    kept: int = 0,
) -> Text | None:
    """Return why nothing may be rented at a place unasked; None when it may, or needs no renting.

    Args:
        wish: What may be rented.
        place: Where.
        past: Deeds for this line.
        spent: Dollars that the line has cost.
        now: Unix time.
        allowed: What the budgets let it still spend.
        kept: How many of the day's machines are kept for something else.
    """
    if not is_rented(place):
        return None
    if wish.max_price is None:
        return T("No price limit was set, so nothing is rented unasked.")
    if wish.spend_limit is not None and spent >= wish.spend_limit:
        return T("The limit of ${limit} is reached.", limit=f"{wish.spend_limit:.2f}")
    over = allowed.refuses(lower(place.rent.max_price if place.rent else None, wish.max_price))
    if over is not None:
        return over
    rentable = {each.key for each in wish.places if is_rented(each)}
    today = [
        done for done in past
        if done.deed in {Deed.DEPLOY, Deed.MAKE_SPARE} and done.place in rentable
        and now - done.at < DAY_SECONDS
    ]  # fmt: skip
    if len(today) >= MOST_RENTED_A_DAY:
        return T("{count} machines were rented within a day already.", count=len(today))
    if len(today) >= MOST_RENTED_A_DAY - kept:
        return T("The last machine that may be rented within a day is kept for the line itself.")
    return None


def is_bad(
    past: Sequence[Done], key: str, now: float, deeds: frozenset[Deed] = frozenset({Deed.DEPLOY})
) -> bool:
    """Whether the last try at a place failed lately; one for a spare says nothing against it for the line."""
    tries = [done for done in past if done.deed in deeds and done.place == key]
    return bool(tries) and not tries[-1].worked and now - tries[-1].at < BAD_PLACE_SECONDS


def _left(outage: Sequence[Done], seen: Observed, deed: Deed, most: int) -> bool:
    return sum(done.deed is deed and done.place == seen.place for done in outage) < most


def _wait(why: Text) -> Decision:
    return Decision(Deed.WAIT, why)


def _stuck(why: Text) -> Decision:
    return Decision(Deed.WAIT, why, stuck=True)
