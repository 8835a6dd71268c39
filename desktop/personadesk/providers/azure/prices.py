"""What Azure's machines cost where its public price list cannot be had: a small table, dated, shown with `≈`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.providers.azure import wire

DATE = "2026-11-23"
"""When the table was made."""
HOURLY = {
    "Standard_NV36ads_A10_v5": 3.2,
    "Standard_NC24ads_A100_v4": 3.7,
    "Standard_NC40ads_H100_v5": 7.0,
}
"""Dollars per hour in the cheaper regions of the US, rounded."""
DISK_GB_HOUR = 0.075 / 730
"""A standard SSD: seven and a half cents a GB and month."""
ADDRESS_HOUR = 0.005
"""A static public address."""


def live(items: Iterable[wire.Price]) -> dict[tuple[str, str, bool], float]:
    """Return dollars per hour by size, region and whether it is spot, out of the public price list.

    Windows costs more and is left out; so is "Low Priority", which is no longer sold for single machines.
    """
    found: dict[tuple[str, str, bool], float] = {}
    for each in items:
        if "Windows" in each.product_name or "Low Priority" in each.sku_name:
            continue
        if each.unit_of_measure != "1 Hour" or each.retail_price <= 0:
            continue
        key = (each.arm_sku_name, each.arm_region_name, "Spot" in each.sku_name)
        found[key] = min(each.retail_price, found.get(key, each.retail_price))
    return found
