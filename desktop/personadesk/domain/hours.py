"""Weekly hours of a line: when it shall be up by the calendar, in a place's own time, and when that changes.

Times are those of the clock on the wall: 08:30 stays 08:30 when summer time begins or ends. A time that a turn of the
clock leaves out counts as the moment of the turn; one that happens twice begins at its first and ends at its second.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Sequence

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
USUAL_START_SECONDS = 300.0
"""So long before its hours a line is started whose start was never measured."""
SHORTEST_START_SECONDS = 60.0
LONGEST_START_SECONDS = 1800.0
"""A start that took longer than this was an outage; it says nothing of the next."""
GRACE_SECONDS = 3600.0
"""So long after its hours a call may go on; then it is cut off."""

_SPAN = re.compile(r"([a-z,\s-]+?)\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")
_AROUND = 9
"""Days looked at on either side of now: a week, and a night that reaches into it."""


@dataclass(frozen=True, slots=True)
class Span:
    """The same hours on some days.

    Attributes:
        days: Numbers of the days on which they begin, Monday is 0.
        begin: Minutes after midnight, 0 to 1439.
        end: Minutes after midnight, 1 to 1440; where it is not after `begin`, they end on the next day.
    """

    days: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Hours:
    """A week.

    Attributes:
        spans: Its hours; they may overlap.
        zone: The place whose clock counts, as the IANA names it (`Europe/Amsterdam`).
    """

    spans: tuple[Span, ...]
    zone: str = "UTC"

    @property
    def always(self) -> bool:
        """Whether it has no gap that was meant: every day, all day."""
        return set(DAYS) == {
            DAYS[day] for span in self.spans if (span.begin, span.end) == (0, DAY_MINUTES)
            for day in span.days
        }  # fmt: skip


ALWAYS = Hours((Span(tuple(range(7)), 0, DAY_MINUTES),))


@dataclass(frozen=True, slots=True)
class Edge:
    """The calendar's last word.

    Attributes:
        at: Unix time since when it holds; 0.0 for longer than a week.
        begins: Whether the line shall be up.
        clock: The time on the wall at which the hours begin or end, `08:30`; "" where they have no gap.
    """

    at: float
    begins: bool
    clock: str = ""


def parse(text: str, zone: str) -> Hours | None:
    """Read hours as they are typed.

    Args:
        text: `always`, `never` (by the calendar), or rows such as `mon-fri 08:30-18:00; sat,sun 10:00-02:00`.
        zone: Whose clock counts.

    Returns:
        The hours, None for `never`.

    Raises:
        BadRequest: They make no sense, or there is no such zone.
    """
    words = text.strip().lower()
    if words == "never":
        return None
    if words == "always":
        return ALWAYS
    return checked(Hours(tuple(_span(row.strip()) for row in words.split(";")), zone))


def checked(hours: Hours) -> Hours:
    """Return hours that make sense.

    Raises:
        BadRequest: They do not.
    """
    if not hours.spans or any(
        not span.days or not 0 <= span.begin < DAY_MINUTES or not 0 < span.end <= DAY_MINUTES
        or span.begin == span.end
        for span in hours.spans
    ):  # fmt: skip
        raise BadRequest(
            T("These are no hours."),
            T("Choose at least one day, and a time from which and one until which."),
            cause="bad_hours",
        )
    _zone(hours.zone)
    return hours


def written(hours: Hours | None) -> str:
    """Return hours as `parse` reads them."""
    if hours is None:
        return "never"
    if hours.always:
        return "always"
    return "; ".join(
        f"{_days_written(span.days)} {clock(span.begin)}-{clock(span.end)}" for span in hours.spans
    )


def clock(minutes: int) -> str:
    """Return minutes after midnight as a clock shows them; 1440 is 24:00."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def last_edge(hours: Hours, now: float, lead: float = 0.0) -> Edge:
    """Return what the calendar says now, and since when.

    Args:
        hours: The week.
        now: Unix time.
        lead: Seconds by which hours begin earlier, so that a voice is there when they do.
    """
    before: tuple[float, float] | None = None
    for begin, end in _intervals(hours, now, lead):
        if begin > now:
            break
        before = (begin, end)
    if before is None:
        return Edge(0.0, begins=False)
    begin, end = before
    if now < end:
        # Hours without a gap began before the days that were looked at.
        if now - begin > (_AROUND - 1.5) * 86_400:
            return Edge(0.0, begins=True)
        return Edge(begin, begins=True, clock=_on_the_wall(hours, begin + lead))
    return Edge(end, begins=False, clock=_on_the_wall(hours, end))


def next_edge(hours: Hours, now: float) -> Edge | None:
    """Return when the hours next begin or end, None where they never do."""
    for begin, end in _intervals(hours, now, 0.0):
        if begin > now:
            return Edge(begin, begins=True, clock=_on_the_wall(hours, begin))
        if now < end:
            if end - now > (_AROUND - 1.5) * 86_400:
                return None
            return Edge(end, begins=False, clock=_on_the_wall(hours, end))
    return None


def share_up(hours: Hours, now: float) -> float:
    """Return the part of the coming week in which the line shall be up, 0 to 1."""
    week = 7 * 86_400.0
    times = _intervals(hours, now, 0.0)
    up = sum(max(0.0, min(end, now + week) - max(begin, now)) for begin, end in times)
    return up / week


def seconds_up(hours: Hours | None, now: float, until: float) -> float:
    """Return for how long the line shall be up until a time; beyond a week each week counts as the coming one."""
    if hours is None:
        return max(0.0, until - now)
    near = min(until, now + 7 * 86_400.0)
    times = _intervals(hours, now, 0.0)
    up = sum(max(0.0, min(end, near) - max(begin, now)) for begin, end in times)
    return up + share_up(hours, now) * max(0.0, until - near)


def lead_of(starts: Sequence[float]) -> float:
    """Return how long before its hours a line is started.

    Args:
        starts: How many seconds its last starts took, from the deed to the voice; those of outages left out.
    """
    known = [each for each in starts if each <= LONGEST_START_SECONDS]
    if not known:
        return USUAL_START_SECONDS
    return min(LONGEST_START_SECONDS, max(known) * 1.25 + SHORTEST_START_SECONDS)


def _intervals(hours: Hours, now: float, lead: float) -> list[tuple[float, float]]:
    """Return the times around now in which the line shall be up, in order; those that touch are one."""
    zone = _zone(hours.zone)
    today = datetime.datetime.fromtimestamp(now, zone).date()
    found = []
    for offset in range(-_AROUND, _AROUND + 1):
        day = today + datetime.timedelta(days=offset)
        for span in hours.spans:
            if day.weekday() not in span.days:
                continue
            until = span.end if span.end > span.begin else span.end + DAY_MINUTES
            found.append(
                (_at(day, span.begin, zone, 0) - lead, _at(day, until, zone, 1))
            )  # fmt: skip
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(found):
        if end <= begin:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _at(day: datetime.date, minutes: int, zone: ZoneInfo, fold: int) -> float:
    days, rest = divmod(minutes, DAY_MINUTES)
    wall = datetime.datetime.combine(
        day + datetime.timedelta(days=days), datetime.time(rest // 60, rest % 60, fold=fold), zone
    )
    moment = wall.timestamp()
    back = datetime.datetime.fromtimestamp(moment, zone)
    if back.replace(tzinfo=None) != wall.replace(tzinfo=None):
        # The clock leaps over this time; the leap is where both readings of it meet.
        return _leap(day + datetime.timedelta(days=days), zone)
    return moment


def _leap(day: datetime.date, zone: ZoneInfo) -> float:
    """Return the moment of a day at which the clock is put forward."""
    low = datetime.datetime.combine(day, datetime.time(), zone).timestamp() - 7200
    high = low + 30 * 3600
    before = datetime.datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def _on_the_wall(hours: Hours, at: float) -> str:
    return datetime.datetime.fromtimestamp(at, _zone(hours.zone)).strftime("%H:%M")


@lru_cache(maxsize=32)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(
            T("There is no time zone called “{zone}”.", zone=name),
            T("Name it as Europe/Amsterdam or America/New_York."),
            cause="bad_zone",
            details=str(error),
        ) from error


def _span(row: str) -> Span:
    found = _SPAN.fullmatch(row)
    if found is None:
        raise _no_hours(row)
    days, *numbers = found.groups()
    from_hour, from_minute, to_hour, to_minute = map(int, numbers)
    begin, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if max(from_minute, to_minute) > 59 or begin >= DAY_MINUTES or end > DAY_MINUTES:
        raise _no_hours(row)
    # Midnight as an end is the end of the day.
    return Span(_days(days, row), begin, end or DAY_MINUTES)


def _days(text: str, row: str) -> tuple[int, ...]:
    if text.strip() == "daily":
        return tuple(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        last = last.strip() or first.strip()
        if first.strip() not in DAYS or last not in DAYS:
            raise _no_hours(row)
        begin, end = DAYS.index(first.strip()), DAYS.index(last)
        days |= {(begin + step) % 7 for step in range((end - begin) % 7 + 1)}
    return tuple(sorted(days))


def runs_of(days: Sequence[int]) -> list[list[int]]:
    """Return days as runs of those that follow each other."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _days_written(days: Sequence[int]) -> str:
    return ",".join(
        DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}"
        for run in runs_of(days)
    )


def _no_hours(row: str) -> BadRequest:
    return BadRequest(
        T("“{row}” are no hours.", row=row),
        T("Say always, never, or days and times: mon-fri 08:30-18:00; sat 10:00-14:00."),
        cause="bad_hours",
    )
