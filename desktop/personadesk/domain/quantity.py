"""Sizes and times as people read them."""

from __future__ import annotations

from personadesk.domain.text import T, Text


def size(count: float) -> Text:
    """Return a number of bytes as `3.4 GB` (decimal, as disks are sold); each language writes the number its way."""
    amount = abs(count)
    if amount >= 100e12:
        return T("{count:.0f} TB", count=count / 1e12)
    if amount >= 1e12:
        return T("{count:.1f} TB", count=count / 1e12)
    if amount >= 100e9:
        return T("{count:.0f} GB", count=count / 1e9)
    if amount >= 1e9:
        return T("{count:.1f} GB", count=count / 1e9)
    if amount >= 1e6:
        return T("{count:.0f} MB", count=count / 1e6)
    return T("{count} kB", count=max(0, round(count / 1e3)))


def duration(seconds: float) -> Text:
    """Return a time as `40 s`, `12 min` or `1 h 20 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return T("{count} s", count=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return T("{count} min", count=minutes)
    hours, minutes = divmod(minutes, 60)
    if not minutes:
        return T("{count} h", count=hours)
    return T("{hours} h {minutes} min", hours=hours, minutes=minutes)
