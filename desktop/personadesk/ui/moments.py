"""Days and times as people read them, in the way of the language in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QDate, QDateTime

from personadesk.ui.i18n import language

if TYPE_CHECKING:
    from datetime import date

__all__ = ["day", "moment", "short_moment", "since", "time_of_day"]

DAY_SECONDS: Final = 24 * 3600.0


def moment(at: float) -> str:
    """Return a Unix time as a day and a time of day: `23 November, 14:12`."""
    return _told(at, "d MMMM, HH:mm")


def short_moment(at: float) -> str:
    """Return a Unix time to the second: `23 Nov 14:12:08`."""
    return _told(at, "d MMM HH:mm:ss")


def time_of_day(at: float) -> str:
    """Return a Unix time within hours from now: `14:12`."""
    return _told(at, "HH:mm")


def since(at: float, now: float) -> str:
    """Return a past Unix time: `14:12`, with its day where that is not the last one before `now`."""
    return _told(at, "HH:mm" if now - at < DAY_SECONDS else "d MMM HH:mm")


def day(each: date) -> str:
    """Return a day: `23 Nov`."""
    return language().locale.toString(QDate(each.year, each.month, each.day), "d MMM")


def _told(at: float, form: str) -> str:
    return language().locale.toString(QDateTime.fromSecsSinceEpoch(int(at)), form)
