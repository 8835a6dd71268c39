"""What `personadesk line` does with wishes: making, changing, telling them, and moving a line."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from personadesk.cli import work
from personadesk.cli.running import say
from personadesk.cli.words import word
from personadesk.domain import hours as calendar
from personadesk.domain.errors import BadRequest
from personadesk.domain.guarding import Deed
from personadesk.domain.plan import LOCAL, ModelChoice
from personadesk.domain.text import T
from personadesk.domain.wish import ANY_SPARE, Place, Rest, Wish, with_idle
from personadesk.hosts import local
from personadesk.language import show, tr
from personadesk.lines.wanting import place_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from personadesk.app import Services
    from personadesk.cli.running import Stop
    from personadesk.deploy.rented.standby import Quote
    from personadesk.domain.line import Line
    from personadesk.lines.spares import Standing
    from personadesk.store.wishes import Entry

SHOWN = 10


async def create(services: Services, arguments: argparse.Namespace) -> None:
    """Make a line that sleeps until somebody calls.

    Raises:
        BadRequest: There is one of that name, or a figure or place makes no sense.
    """
    name = arguments.name
    wish = Wish(name, ModelChoice.parse(arguments.model), rest=Rest.ASLEEP)
    wish = await _changed(wish, arguments)
    port = arguments.port if arguments.port is not None else await work.free_port(services, name)
    await services.wanting.create(wish, port)


async def change(services: Services, arguments: argparse.Namespace) -> None:
    """Change a line's wish.

    Raises:
        NotFound: There is no such line.
        BadRequest: It has no wish yet, or a figure or place makes no sense.
    """
    wish = await services.wanting.wish(arguments.name)
    changed = await _changed(wish, arguments)
    await services.wanting.change(changed)
    if changed.spare and changed.spare != wish.spare:
        say(_quoted(await services.spare_quote(changed)))


async def put(services: Services, arguments: argparse.Namespace, stop: Stop) -> None:
    """Put a line's voice at a place by a deploy: tested first, then switched, then the old one gone.

    Raises:
        PersonaDeskError: It failed; what was behind the line before is behind it still.
    """
    line = await services.lines.need(arguments.name)
    place = None
    if arguments.action == "move":
        place = place_of(arguments.to, await services.wanting.wish(line.name))
        here = line.target.server_id if line.target is not None else ""
        record = await services.journal.load(here)
        if (
            record is not None
            and Place(record.plan.place, record.plan.rent).key == place.key != LOCAL
        ):
            say(
                tr(
                    "It is at {place} already; a new one is put there beside the old.",
                    place=place.key,
                )
            )
        elif await services.spares.move(line, place.key):
            say(
                tr(
                    "Its spare stood at {place} already; the voice before stands by now.",
                    place=place.key,
                )
            )
            await services.guardian.wish(await services.lines.need(line.name))
            return
    plan = await services.wanting.plan(line.name, place)
    view = await work.watch(await services.deploys.start(plan), stop)
    error = work.error_of(view, stop)
    if error is not None:
        raise error
    await services.guardian.wish(await services.lines.need(line.name))


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a line besides its address.

    Attributes:
        wish: What it shall be; None before its first finished deploy.
        spare: Its second voice; None where there is none.
        entries: The guardian's last decisions, the newest first.
    """

    wish: Wish | None
    spare: Standing | None
    entries: Sequence[Entry]


async def kept(services: Services, line: Line) -> Kept:
    """Return a line's wish, its spare and the guardian's last decisions."""
    wish = await services.guardian.wish(line)
    spare = await services.spares.standing(line)
    return Kept(wish, spare, await services.wishes.log(line.name, SHOWN))


def as_dict(found: Kept) -> dict[str, Any]:
    """Return them as `--json` tells them."""
    wish = found.wish
    facts = None
    if wish is not None:
        facts = asdict(wish) | {
            "places": [place.key for place in wish.places],
            "hours": calendar.written(wish.hours),
            "zone": wish.hours.zone if wish.hours is not None else None,
        }
    return {
        "wish": facts,
        "spare": asdict(found.spare) if found.spare is not None else None,
        "decisions": [
            {
                "at": entry.at, "deed": str(entry.deed), "place": entry.place, "why": str(entry.why),
                "worked": entry.worked, "outcome": entry.outcome, "deploy": entry.plan_id,
                "seconds": round(entry.seconds, 1),
            }
            for entry in found.entries
        ],
    }  # fmt: skip


def in_words(found: Kept) -> str:
    """Return the same for a person."""
    wish = found.wish
    if wish is None:
        return tr("It has no wish yet; its first finished deploy makes one.")
    shall = tr(
        "shall be {state} at {places}",
        state=word(wish.rest), places=", ".join(place.key for place in wish.places),
    )  # fmt: skip
    if wish.max_price is not None:
        shall += f", {tr('up to ${price:.2f} an hour', price=float(wish.max_price))}"
    if not wish.guarded:
        shall += f"; {tr('not guarded')}"
    words = [f"  {shall}"]
    if wish.hours is not None and wish.hours.zone is not None:
        hours = tr(
            "hours: {week} ({zone})", week=calendar.written(wish.hours), zone=wish.hours.zone
        )
        words.append(f"  {hours}")
    if wish.spare:
        best = "" if wish.spare == ANY_SPARE else f", {tr('best at {place}', place=wish.spare)}"
        words.append(f"  {tr('with a spare')}{best}: {_spare_words(found.spare)}")
    for entry in found.entries:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
        deed = tr("up again") if entry.deed == Deed.NOTHING else word(entry.deed)
        # Kept as a plain sentence; it has a translation where nothing was filled in.
        why = tr("It failed: {outcome}", outcome=tr(entry.outcome)) if entry.outcome else ""
        words.append(f"  {at} {deed} {entry.place}: {show(entry.why)} {why}".rstrip())
    return "\n".join(words)


def _quoted(quote: Quote) -> str:
    if quote.place is None:
        return tr("There is no other place for a spare.")
    if quote.most is None:
        return tr("No price limit was set, so no spare is rented: give --max-price.")
    if quote.price == 0.0:
        return tr("The spare stands at {place}, which costs no rent.", place=quote.place.key)
    price = (
        tr("up to ${price:.2f}", price=float(quote.most))
        if quote.price is None
        else tr("about ${price:.2f}", price=float(quote.price))
    )
    return tr(
        "While the line is up its spare costs {price} an hour more, at {place}.",
        price=price, place=quote.place.key,
    )  # fmt: skip


def _spare_words(spare: Standing | None) -> str:
    if spare is None:
        return tr("there is none now")
    if spare.making:
        return tr("it is being made at {place}", place=spare.place)
    if spare.answers:
        return tr("it stands by at {place}", place=spare.place)
    return tr("it stands by at {place} and does not answer", place=spare.place)


async def _changed(wish: Wish, arguments: argparse.Namespace) -> Wish:
    choices = {"on": True, "off": False}
    changed = replace(
        wish,
        places=tuple(place_of(word, wish) for word in arguments.place) or wish.places,
        hours=await _hours(wish, arguments),
        max_price=wish.max_price if arguments.max_price is None else arguments.max_price,
        spend_limit=wish.spend_limit if arguments.spend_limit is None else arguments.spend_limit,
        wake_on_connect=choices.get(arguments.wake, wish.wake_on_connect),
        guarded=choices.get(arguments.guard, wish.guarded),
        persona=wish.persona if arguments.persona is None else arguments.persona.strip(),
        spare=_spare(wish, arguments.spare),
    )
    if arguments.idle_stop is None:
        return changed
    return with_idle(changed, _minutes(arguments.idle_stop))


def _spare(wish: Wish, word: str | None) -> str:
    """Return what was typed of a spare, or what is wished already; whether a place is one is checked later."""
    return wish.spare if word is None else {"on": ANY_SPARE, "off": ""}.get(word, word)


def _minutes(text: str) -> float | None:
    if text == "never":
        return None
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise BadRequest(
            T("“{text}” are no minutes.", text=text), T("Give a number above 0, or never."),
            cause="bad_idle",
        )  # fmt: skip
    return minutes


async def _hours(wish: Wish, arguments: argparse.Namespace) -> calendar.Hours | None:
    """Return the hours that were typed, or those that it has."""
    week, zone = arguments.hours, arguments.zone
    if week is None and zone is None:
        return wish.hours
    if week is None:
        week = calendar.written(wish.hours)
    if zone is None:
        zone = wish.hours.zone if wish.hours is not None and not wish.hours.always else None
    return calendar.parse(week, zone or await asyncio.to_thread(local.time_zone))
