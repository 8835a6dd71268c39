"""Sizes and times as people read them."""

from __future__ import annotations


def size(count: float) -> str:
    """Return a number of bytes as `3.4 GB` (decimal, as disks are sold)."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if abs(count) >= factor:
            digits = 1 if abs(count) < 100 * factor and unit != "MB" else 0
            return f"{count / factor:.{digits}f} {unit}"
    return f"{max(0, round(count / 1e3))} kB"
