"""What EC2 costs: AWS's own price list where the key may read it, and a dated table for where it may not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLE_DATE = "2025-06-01"
"""As of when these prices are known to us; the price list, where it may be read, is always newer."""
TABLE_REGIONS = frozenset({"us-east-1", "us-east-2", "us-west-2"})
"""Where the table holds; these three have one price. Elsewhere it is up to half more, and we do not guess."""
TABLE: dict[str, float] = {
    "g4dn.xlarge": 0.526, "g4dn.2xlarge": 0.752, "g4dn.4xlarge": 1.204, "g4dn.8xlarge": 2.176,
    "g4dn.16xlarge": 4.352, "g4dn.12xlarge": 3.912,
    "g5.xlarge": 1.006, "g5.2xlarge": 1.212, "g5.4xlarge": 1.624, "g5.8xlarge": 2.448, "g5.16xlarge": 4.096,
    "g5.12xlarge": 5.672, "g5.24xlarge": 8.144, "g5.48xlarge": 16.288,
    "g6.xlarge": 0.805, "g6.2xlarge": 0.978, "g6.4xlarge": 1.323, "g6.8xlarge": 2.014, "g6.16xlarge": 3.397,
    "g6.12xlarge": 4.602, "g6.24xlarge": 6.675, "g6.48xlarge": 13.35,
    "g6e.xlarge": 1.861, "g6e.2xlarge": 2.242, "g6e.4xlarge": 3.004, "g6e.8xlarge": 4.529, "g6e.16xlarge": 7.577,
    "g6e.12xlarge": 10.493, "g6e.24xlarge": 15.066, "g6e.48xlarge": 30.131,
}  # fmt: skip
"""Dollars per hour on demand, Linux, by instance type."""
DISK_PER_GB_HOUR = 0.08 / 730
"""gp3 in us-east-1; within a fifth of that elsewhere."""
ADDRESS_PER_HOUR = 0.005
"""Every public IPv4 address, kept or not, is billed since February 2024."""

PRICE_LIST_REGIONS = ("us-east-1", "eu-central-1", "ap-south-1")
"""Only these have the price list's API; each tells the prices of all regions."""
MOST_TYPES = 100


def from_table(kind: str, region: str) -> float | None:
    """Return dollars per hour of an instance type, None where the table does not say."""
    return TABLE.get(kind) if region in TABLE_REGIONS else None


def disk_price(disk_gb: int) -> float:
    """Return what a disk costs per hour, about."""
    return round(disk_gb * DISK_PER_GB_HOUR, 4)


def question(kinds: Iterable[str], regions: Iterable[str]) -> list[dict[str, str]]:
    """Return the price list's filters for Linux on demand on shared hardware."""
    exact = {
        "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
        "licenseModel": "No License required",
    }  # fmt: skip
    filters = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in exact.items()]
    for field, values in (("instanceType", kinds), ("regionCode", regions)):
        filters.append({"Type": "ANY_OF", "Field": field, "Value": ",".join(values)})
    return filters


class _Attributes(msgspec.Struct, rename="camel"):
    instance_type: str = ""
    region_code: str = ""


class _Product(msgspec.Struct):
    attributes: _Attributes = msgspec.field(default_factory=_Attributes)


class _Dimension(msgspec.Struct, rename="camel"):
    unit: str = ""
    price_per_unit: dict[str, str] = {}


class _Term(msgspec.Struct, rename="camel"):
    price_dimensions: dict[str, _Dimension] = {}


class _Terms(msgspec.Struct):
    on_demand: dict[str, _Term] = msgspec.field(name="OnDemand", default_factory=dict)


class _Listed(msgspec.Struct):
    product: _Product = msgspec.field(default_factory=_Product)
    terms: _Terms = msgspec.field(default_factory=_Terms)


def read(lines: Iterable[str | dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Return dollars per hour by (instance type, region) from the price list's lines, each of them JSON in a string.

    A line that says nothing in dollars per hour (reservations, zeros for prepaid ones) is left out.
    """
    found: dict[tuple[str, str], float] = {}
    for line in lines:
        value = json.loads(line) if isinstance(line, str) else line
        each = msgspec.convert(value, _Listed, strict=False)
        dimensions = [d for t in each.terms.on_demand.values() for d in t.price_dimensions.values()]
        for dimension in dimensions:
            price = float(dimension.price_per_unit.get("USD", 0.0))
            if dimension.unit == "Hrs" and price > 0.0:
                name = each.product.attributes
                found[name.instance_type, name.region_code] = price
    return found
