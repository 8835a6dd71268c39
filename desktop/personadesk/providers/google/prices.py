"""What Google's machines cost, because Compute Engine's API does not tell: a small table, dated, shown with `≈`."""

from __future__ import annotations

DATE = "2026-11-23"
"""When the table was made."""
HOURLY = {
    "g2-standard-8": 0.85, "a2-highgpu-1g": 3.7, "a2-ultragpu-1g": 5.0, "a3-highgpu-1g": 11.0,
}  # fmt: skip
"""Dollars per hour in the cheaper regions of the US, rounded."""
SPOT_PART = 0.35
"""Spot machines cost 60 to 70 % less."""
DISK_GB_HOUR = 0.1 / 730
"""A balanced disk: ten cents a GB and month."""


def hourly(machine_type: str, *, spot: bool = False) -> float | None:
    """Return dollars per hour of a machine type while it runs, None when it is not in the table."""
    price = HOURLY.get(machine_type)
    if price is None:
        return None
    return round(price * SPOT_PART, 3) if spot else price
