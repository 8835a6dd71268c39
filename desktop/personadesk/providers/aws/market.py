"""What EC2 could rent to us: instance types with their GPUs, the zones that have them, and their prices."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from personadesk.domain.errors import PersonaDeskError
from personadesk.domain.offer import Offer
from personadesk.providers.aws import prices, wire
from personadesk.providers.aws.facts import FACTS, PLACES
from personadesk.providers.aws.machines import Kind, kind_of
from personadesk.providers.aws.rig import where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from personadesk.domain.offer import Need
    from personadesk.providers.aws.session import Session

log = logging.getLogger(__name__)

TYPES_SECONDS = 24 * 3600.0
PRICE_SECONDS = 6 * 3600.0
MOST_FILTER_VALUES = 200
"""EC2 takes no more in one filter."""
LINUX = "Linux/UNIX"


class Market:
    """Instance types, zones and prices of one account, remembered for as long as they keep."""

    def __init__(self, session: Session, account: str, clock: Callable[[], float]) -> None:
        self._session = session
        self._account = account
        self._clock = clock
        self._types: dict[str, tuple[float, dict[str, Kind]]] = {}
        self._zones: dict[str, tuple[float, dict[str, list[str]]]] = {}
        self._known: dict[tuple[str, str], Kind | None] = {}
        self._prices: dict[tuple[str, str], float] = {}
        self._priced: dict[str, float] = {}
        self._asked: set[tuple[str, str]] = set()

    async def offers(self, regions: Sequence[str], need: Need) -> list[Offer]:
        """Return what fits, from each region; a region that fails is left out unless all do.

        Raises:
            PersonaDeskError: No region answered.
        """
        answers = await asyncio.gather(
            *(self._of(region, need) for region in regions), return_exceptions=True
        )
        found: list[Offer] = []
        failed: list[PersonaDeskError] = []
        for region, answer in zip(regions, answers, strict=True):
            if isinstance(answer, PersonaDeskError):
                log.info("No offers from %s: %s", region, answer.what)
                failed.append(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found += answer
        if failed and len(failed) == len(regions):
            raise failed[0]
        return found

    async def kinds_of(self, names: Iterable[str], region: str) -> Mapping[str, Kind]:
        """Return those instance types of these names that have GPUs of NVIDIA's."""
        names = {name for name in names if name[:1] in "gp"}
        unknown = sorted(name for name in names if (name, region) not in self._known)
        if unknown:
            pages = await self._session.pages(
                "DescribeInstanceTypes", "InstanceTypes", region,
                Filters=[where("instance-type", *unknown[:MOST_FILTER_VALUES])],
            )  # fmt: skip
            told = [wire.read(each, wire.InstanceType) for each in pages]
            self._known |= {(name, region): None for name in unknown}
            self._known |= {(each.instance_type, region): kind_of(each) for each in told}
        found = {name: self._known[name, region] for name in names}
        return {name: kind for name, kind in found.items() if kind is not None}

    def known_price(self, kind: str, region: str) -> float | None:
        """Return dollars per hour as far as they are known without asking."""
        return self._prices.get((kind, region), prices.from_table(kind, region))

    async def _of(self, region: str, need: Need) -> list[Offer]:
        any_price = replace(need, max_price=None)
        kinds = (await self._all(region)).values()
        fitting = [kind for kind in kinds if any_price.allows(self._offer(kind, region, None))]
        zones = await self._where(region, [kind.name for kind in fitting]) if fitting else {}
        fitting = [kind for kind in fitting if kind.name in zones]
        if not fitting:
            return []
        await self._ask_prices(region, [kind.name for kind in fitting])
        found = []
        for kind in fitting:
            live = self._prices.get((kind.name, region))
            price = live if live is not None else prices.from_table(kind.name, region)
            guessed = live is None and price is not None
            offer = self._offer(kind, region, price, zones[kind.name], need.disk_gb)
            if kind.on_demand:
                date = prices.TABLE_DATE if guessed else ""
                found.append(replace(offer, estimated=guessed, price_date=date))
        if need.spot:
            found += await self._spot(region, [kind for kind in fitting if kind.spot], need, zones)
        return [offer for offer in found if need.allows(offer)]

    def _offer(
        self, kind: Kind, region: str, price: float | None, zones: Sequence[str] = (), disk_gb: int = 0
    ) -> Offer:  # fmt: skip
        return Offer(
            account=self._account, provider=FACTS.id, ref=kind.name, gpu=kind.gpu, memory_gb=kind.memory_gb,
            count=kind.count, region=region, place=PLACES.get(region, ""), price=price,
            disk_price=prices.disk_price(disk_gb), asked=self._clock(),
            data={"zones": " ".join(zones), "vcpus": str(kind.vcpus)},
        )  # fmt: skip

    async def _all(self, region: str) -> dict[str, Kind]:
        at, known = self._types.get(region, (0.0, {}))
        if known and self._clock() - at < TYPES_SECONDS:
            return known
        pages = await self._session.pages(
            "DescribeInstanceTypes", "InstanceTypes", region,
            Filters=[
                where("instance-type", "g*", "p*"),
                # Our packages are for this one; ARM's kinds have no wheels of torch with CUDA.
                where("processor-info.supported-architecture", "x86_64"),
                where("bare-metal", "false"),
            ],
        )  # fmt: skip
        kinds = [kind_of(wire.read(each, wire.InstanceType)) for each in pages]
        found = {kind.name: kind for kind in kinds if kind is not None}
        self._types[region] = (self._clock(), found)
        self._known |= {(name, region): kind for name, kind in found.items()}
        return found

    async def _where(self, region: str, names: Sequence[str]) -> dict[str, list[str]]:
        """Return the zones that have each type; a type without one is not rented out in this region."""
        at, known = self._zones.get(region, (0.0, {}))
        if self._clock() - at >= TYPES_SECONDS:
            known = {}
        # A type that no zone has is asked about again: it may come.
        unknown = [name for name in names if name not in known]
        for start in range(0, len(unknown), MOST_FILTER_VALUES):
            pages = await self._session.pages(
                "DescribeInstanceTypeOfferings", "InstanceTypeOfferings", region,
                LocationType="availability-zone",
                Filters=[where("instance-type", *unknown[start : start + MOST_FILTER_VALUES])],
            )  # fmt: skip
            for value in pages:
                told = wire.read(value, wire.TypeOffering)
                known.setdefault(told.instance_type, []).append(told.location)
        self._zones[region] = (self._clock(), known)
        return {name: sorted(known[name]) for name in names if name in known}

    async def _ask_prices(self, region: str, names: Sequence[str]) -> None:
        """Ask AWS's price list; where it may not be read, the table has to do."""
        now = self._clock()
        fresh = now - self._priced.get(region, -PRICE_SECONDS) < PRICE_SECONDS
        unknown = [n for n in names if not fresh or (n, region) not in self._asked]
        if not unknown:
            return
        self._priced[region] = now
        self._asked |= {(name, region) for name in unknown}
        near = "eu-central-1" if region.startswith("eu-") else prices.PRICE_LIST_REGIONS[0]
        try:
            for start in range(0, len(unknown), prices.MOST_TYPES):
                lines = await self._session.pages(
                    "GetProducts", "PriceList", near, service="pricing", tries=2, ServiceCode="AmazonEC2",
                    FormatVersion="aws_v1",
                    Filters=prices.question(unknown[start : start + prices.MOST_TYPES], [region]),
                )  # fmt: skip
                self._prices |= prices.read(lines)
        except (PersonaDeskError, ValueError, msgspec.MsgspecError) as error:
            log.info("AWS's price list cannot be read: %s", getattr(error, "details", "") or error)

    async def _spot(
        self, region: str, kinds: Sequence[Kind], need: Need, zones: Mapping[str, Sequence[str]]
    ) -> list[Offer]:
        if not kinds:
            return []
        pages = await self._session.pages(
            "DescribeSpotPriceHistory", "SpotPriceHistory", region,
            InstanceTypes=[kind.name for kind in kinds], ProductDescriptions=[LINUX],
            # From now on: only the price that holds is told.
            StartTime=datetime.fromtimestamp(self._clock(), tz=UTC),
        )  # fmt: skip
        by_zone: dict[str, dict[str, float]] = {}
        for value in pages:
            told = wire.read(value, wire.SpotPrice)
            by_zone.setdefault(told.instance_type, {})[told.availability_zone] = float(
                told.spot_price
            )
        found = []
        for kind in kinds:
            told_prices = by_zone.get(kind.name, {})
            cheapest = sorted(
                zones[kind.name], key=lambda zone: told_prices.get(zone, float("inf"))
            )
            price = told_prices.get(cheapest[0])
            offer = self._offer(kind, region, price, cheapest, need.disk_gb)
            found.append(replace(offer, spot=True))
        return found
