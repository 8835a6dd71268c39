"""Lines in words: places, the guardian's decisions with their cause, hours."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime

from personadesk.domain.guarding import Deed
from personadesk.domain.hours import clock, runs_of
from personadesk.domain.line import LineState
from personadesk.domain.plan import LOCAL
from personadesk.domain.wish import Rest
from personadesk.ui.i18n import language, mark, show, tr
from personadesk.ui.widgets import Shape

if TYPE_CHECKING:
    from personadesk.deploy.rented.standby import Quote
    from personadesk.domain.hours import Hours
    from personadesk.domain.line import Line
    from personadesk.domain.wish import Place, Wish
    from personadesk.lines.spares import Standing
    from personadesk.store.wishes import Entry

__all__ = ["DAYS", "decision", "hours_in_words", "place_name", "quote", "spare", "standing", "when"]

DAYS = (
    mark("Mon"), mark("Tue"), mark("Wed"), mark("Thu"), mark("Fri"), mark("Sat"), mark("Sun"),
)  # fmt: skip
DAY_SECONDS = 20 * 3600

_DEEDS: dict[Deed, str] = {
    Deed.NOTHING: mark("Up again"),
    Deed.WAIT: mark("Waits"),
    Deed.RECONNECT: mark("Connected again"),
    Deed.RESTART_SERVICE: mark("Restarted the voice server"),
    Deed.FETCH_MODEL: mark("Fetched the model again"),
    Deed.START: mark("Started"),
    Deed.SLEEP: mark("Put to sleep"),
    Deed.RESTART_MACHINE: mark("Restarted the machine"),
    Deed.END_MACHINE: mark("Ended the machine"),
    Deed.CLEAN_UP: mark("Cleaned up"),
    Deed.DEPLOY: mark("Deployed"),
    Deed.SWITCH: mark("Went over to the spare"),
    Deed.MAKE_SPARE: mark("Made a spare"),
    Deed.MEND_SPARE: mark("Restarted the spare"),
    Deed.END_SPARE: mark("Ended the spare"),
    Deed.SPARE_READY: mark("The spare stands by"),
    Deed.NO_SPARE: mark("No spare"),
}
_WITH_PLACE = frozenset(
    {
        Deed.DEPLOY, Deed.END_MACHINE, Deed.SWITCH, Deed.MAKE_SPARE, Deed.MEND_SPARE, Deed.END_SPARE,
        Deed.SPARE_READY,
    }
)  # fmt: skip


def place_name(place: Place | str) -> str:
    """Return a place as people call it."""
    key = place if isinstance(place, str) else place.key
    if key == LOCAL:
        return tr("This computer")
    kind, _, name = key.partition(":")
    if kind == "account":
        return tr("Rented with {account}", account=name)
    return name or key


def when(at: float) -> str:
    """Return a moment, with its day where it is not today's."""
    pattern = "HH:mm" if time.time() - at < DAY_SECONDS else "ddd d MMM HH:mm"
    return language().locale.toString(QDateTime.fromSecsSinceEpoch(int(at)), pattern)


def decision(entry: Entry) -> tuple[Shape, str, str]:
    """Return a decision of the guardian: its shape, what was done, and why."""
    deed = tr(_DEEDS[entry.deed])
    if entry.place and entry.deed in _WITH_PLACE:
        deed = tr("{deed}: {place}", deed=deed, place=place_name(entry.place))
    if entry.worked is None:
        return Shape.BUSY, tr("{deed} …", deed=deed), show(entry.why)
    if entry.worked is False:
        return (
            Shape.ERR,
            tr("{deed}, which failed", deed=deed),
            f"{show(entry.why)} {entry.outcome}",
        )
    shape = Shape.OK if entry.deed in {Deed.NOTHING, Deed.SPARE_READY} else Shape.LIVE
    waits = entry.deed in {Deed.WAIT, Deed.NO_SPARE}
    return (Shape.WARN if waits else shape), deed, show(entry.why)


def spare(found: Standing | None) -> str:
    """Return how a line's second voice stands."""
    if found is None:
        return tr("none now")
    place = place_name(found.place)
    if found.making:
        return tr("{place}, is being made", place=place)
    return place if found.answers else tr("{place}, does not answer", place=place)


def quote(found: Quote) -> str:
    """Return what a second voice would cost, a sentence."""
    if found.place is None:
        return tr("There is no other place for a spare.")
    place = place_name(found.place)
    if found.most is None:
        return tr("No price limit was set, so nothing is rented unasked.")
    if found.price == 0.0:
        return tr("{place}: this costs no rent.", place=place)
    amount = found.most if found.price is None else found.price
    price = language().locale.toString(amount, "f", 2)
    if found.price is None:
        return tr(
            "{place}: up to ${price} an hour more while the line is up.", place=place, price=price
        )
    return tr(
        "{place}: about ${price} an hour more while the line is up.", place=place, price=price
    )


def standing(line: Line, wish: Wish | None) -> tuple[Shape, str]:
    """Return how a line stands: its shape and a word."""
    if line.state is LineState.STOPPED and wish is not None and wish.rest is Rest.ASLEEP:
        return Shape.ASLEEP, tr("Asleep")
    return {
        LineState.UP: (Shape.OK, tr("Up")),
        LineState.STARTING: (Shape.BUSY, tr("Starting")),
        LineState.FAILED: (Shape.ERR, tr("Failed")),
        LineState.STOPPED: (Shape.STOPPED, tr("Stopped")),
        LineState.UNKNOWN: (Shape.UNKNOWN, tr("Unknown")),
    }[line.state]


def hours_in_words(hours: Hours | None) -> str:
    """Return hours as a sentence without verbs."""
    if hours is None:
        return tr("when somebody calls or starts it")
    if hours.always:
        return tr("always")
    rows = []
    for span in hours.spans:
        days = ", ".join(
            tr(DAYS[run[0]]) if len(run) == 1 else f"{tr(DAYS[run[0]])}–{tr(DAYS[run[-1]])}"
            for run in runs_of(span.days)
        )
        rows.append(f"{days} {clock(span.begin)}–{clock(span.end)}")
    return f"{'; '.join(rows)} ({hours.zone})"
