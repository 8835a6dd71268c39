"""The calls of AWS EC2: who we are, what could be rented, what is there, and what may be done to it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    Unreachable,
)
from personadesk.domain.machine import Action, Machine
from personadesk.domain.text import T
from personadesk.providers import faults, lease
from personadesk.providers.access import cloud_config, key_name
from personadesk.providers.aws import wire
from personadesk.providers.aws.facts import ADDRESS_TAG, DISK_TAG, FACTS, PRICE_TAG, QUOTAS, TAG
from personadesk.providers.aws.failures import no_quota
from personadesk.providers.aws.machines import machine_of
from personadesk.providers.aws.market import Market
from personadesk.providers.aws.rig import Rig, tags, where
from personadesk.providers.aws.session import Session
from personadesk.providers.base import Provider
from personadesk.providers.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personadesk.domain.machine import Order, Resource
    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.provider import ProviderFacts
    from personadesk.domain.text import Text

log = logging.getLogger(__name__)

YOUNG_SECONDS = 120.0
"""For so long after its creation an instance may be unknown to parts of EC2 (its "eventual consistency")."""
YOUNG_PAUSE_SECONDS = 3.0
STARTING_SECONDS = 300.0
SWEEP_SECONDS = 600.0
"""How often regions that the account is not set to are searched for what is ours."""
NOBODY = "i-00000000000000000"
_GONE = frozenset({"terminated", "shutting-down"})
_OPERATIONS: Mapping[Action, str] = {
    Action.START: "StartInstances",
    Action.STOP: "StopInstances",
    Action.RESTART: "RebootInstances",
    Action.END: "TerminateInstances",
}


class Aws(Provider):
    """One AWS account, in the regions that it is set to; what is ours is found in all of them."""

    facts: ClassVar[ProviderFacts] = FACTS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._session = Session(
            self.account.name, self._credentials, self.account.base_url, sleep=self._sleep
        )
        self._rig = Rig(self._session, self.account.name, self._clock)
        self._market = Market(self._session, self.account.name, self._clock)
        self._creations = Limiter(1.0 / FACTS.manners.create_every_s, sleep=self._sleep)
        self._rigging = asyncio.Lock()
        self._young: dict[str, Machine] = {}
        self._started: dict[str, float] = {}
        self._regions_of: dict[str, str] = {}
        self._elsewhere: frozenset[str] = frozenset()
        self._swept: float | None = None

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that the account is set to."""
        words = self._setting("region").replace(",", " ").split()
        return tuple(dict.fromkeys(words))

    # -- the account ------------------------------------------------------------------------------------------

    async def verify(self) -> AccountInfo:
        """Ask who we are, then by dry runs (which change nothing) what we may."""
        home = self.regions[0]
        # STS tells who a key is without any right; in a region that the account has not switched on it refuses all.
        here = home if home.startswith(("cn-", "us-gov-")) else "us-east-1"
        who = await self._session.call("sts", "GetCallerIdentity", here)
        for region in self.regions:
            await self._see(region)
        rights, missing = {Right.SEE}, []
        rent, end = await asyncio.gather(
            self._lacks_rent(home),
            self._lacks("TerminateInstances", home, InstanceIds=[NOBODY]),
        )
        for right, lack in ((Right.RENT, rent), (Right.END, end)):
            if lack is None:
                rights.add(right)
            else:
                missing.append(lack)
        limits = [line for region in self.regions for line in await self._limits(region)]
        name = str(who.get("Arn", "")).rpartition(":")[2]
        return AccountInfo(
            who=f"{name} ({who.get('Account', '')})", rights=frozenset(rights), missing=tuple(missing),
            balance_reason=FACTS.can.balance.reason, limits=tuple(limits), checked=self._clock(),
        )  # fmt: skip

    async def _see(self, region: str) -> None:
        try:
            await self._session.call("ec2", "DescribeInstances", region, DryRun=True)
        except AuthFailed as error:
            if error.cause != "bad_key":
                raise
            # STS has just accepted this key.
            raise AuthFailed(
                T(
                    "The region {region} isn't switched on for the AWS account of “{account}”.",
                    region=region, account=self.account.name,
                ),
                T("Switch it on in AWS's console (Account, Regions), or choose another region."),
                cause="region_off", details=error.details, provider_status=error.provider_status,
                request_id=error.request_id,
            ) from error  # fmt: skip

    async def _lacks_rent(self, region: str) -> Text | None:
        try:
            image = await self._rig.image(region)
        except PersonaDeskError as error:
            return self._lack(error)
        return await self._lacks(
            "RunInstances", region, ImageId=image.id, InstanceType="g5.xlarge", MinCount=1, MaxCount=1
        )  # fmt: skip

    async def _lacks(self, operation: str, region: str, **parameters: Any) -> Text | None:
        try:
            await self._session.call("ec2", operation, region, DryRun=True, **parameters)
        except PersonaDeskError as error:
            return self._lack(error)
        return None

    def _lack(self, error: PersonaDeskError) -> Text | None:
        """Return which right is missing; a refusal for another reason means that the right is there."""
        if isinstance(error, AuthFailed) and error.cause == "missing_right":
            return T(
                "The right “{right}” is missing.", right=str(error.next.values.get("right", ""))
            )
        if isinstance(error, BadRequest | NotFound | NoCapacity) or error.cause == "quota":
            return None
        raise error

    async def _limits(self, region: str) -> list[Text]:
        lines = []
        for (family, spot), code in QUOTAS.items():
            vcpus = await self._quota(code, region)
            if vcpus is None:
                continue
            lines.append(
                T(
                    "{region}: {count} vCPUs of {kind} ({way})",
                    region=region, count=round(vcpus), kind="G, VT" if family == "g" else "P",
                    way=T("spot") if spot else T("on demand"),
                )
            )  # fmt: skip
        return lines

    async def _quota(self, code: str, region: str) -> float | None:
        """Return how many vCPUs the account may run, None when that is not told: then EC2 itself refuses in time."""
        try:
            answer = await self._session.call(
                "service-quotas", "GetServiceQuota", region, tries=1, ServiceCode="ec2", QuotaCode=code
            )  # fmt: skip
        except PersonaDeskError as error:
            log.info("The quota %s in %s is not told: %s", code, region, error.details)
            return None
        value = answer.get("Quota", {}).get("Value")
        return None if value is None else float(value)

    # -- what could be rented ---------------------------------------------------------------------------------

    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return one offer an instance type and region, and another for spot where that is wanted."""
        return await self._market.offers(self.regions, need)

    # -- what is there ----------------------------------------------------------------------------------------

    async def machines(self) -> Sequence[Machine]:
        """Return every instance of the account's regions, and ours in all other regions too."""
        await self._sweep()
        chosen = self.regions
        looked = await asyncio.gather(
            *(self._look(region) for region in chosen),
            *(self._look(r, ours_only=True) for r in sorted(self._elsewhere - set(chosen))),
        )
        found = {machine.id: machine for each in looked for machine in each}
        self._grow_up(found)
        return [*found.values(), *self._young.values()]

    async def machine(self, machine_id: str) -> Machine:
        """Return one instance; one that was just made may still be unknown to EC2, and is then as it was made."""
        region = self._regions_of.get(machine_id)
        if region is None:
            return await super().machine(machine_id)
        try:
            found = await self._look(region, ids=[machine_id])
        except NotFound:
            found = []
        self._grow_up({each.id: each for each in found})
        if found:
            return found[0]
        if machine_id in self._young:
            return self._young[machine_id]
        raise faults.gone(FACTS, machine_id)

    def _grow_up(self, seen: Mapping[str, Machine]) -> None:
        now = self._clock()
        self._young = {
            key: machine
            for key, machine in self._young.items()
            if key not in seen and now - machine.seen < YOUNG_SECONDS
        }

    async def _look(
        self, region: str, *, ids: Sequence[str] = (), ours_only: bool = False
    ) -> list[Machine]:
        wanted: dict[str, Any] = {"InstanceIds": list(ids)} if ids else {}
        if ours_only:
            wanted["Filters"] = [where("tag-key", TAG)]
        told = await self._instances(region, **wanted)
        self._regions_of |= {each.instance_id: region for each in told}
        told = await self._with_addresses(told, region)
        kinds = await self._market.kinds_of({each.instance_type for each in told}, region)
        checks = await self._checks(told, region)
        now = self._clock()
        return [
            self._stamp(
                machine_of(
                    each, region, kinds.get(each.instance_type), checks.get(each.instance_id),
                    starting=now - self._started.get(each.instance_id, -STARTING_SECONDS) < STARTING_SECONDS,
                    listed=self._market.known_price(each.instance_type, region),
                )
            )
            for each in told
        ]  # fmt: skip

    async def _instances(self, region: str, **wanted: Any) -> list[wire.Instance]:
        pages = await self._session.pages("DescribeInstances", "Reservations", region, **wanted)
        groups = [wire.read(each, wire.Reservation) for each in pages]
        return [instance for group in groups for instance in group.instances]

    async def _with_addresses(self, told: list[wire.Instance], region: str) -> list[wire.Instance]:
        """Hang kept addresses on instances that run by now; until then such an instance has no address at all.

        An instance takes an address only once it runs, long after the order was taken.
        """
        waiting = {
            each.instance_id: each.tag(TAG) or ""
            for each in told
            if each.tag(ADDRESS_TAG) is not None and each.state.name in {"pending", "running"}
        }
        if not waiting:
            return told
        kept = {address.tag(TAG): address for address in await self._rig.addresses(region)}
        places = {}
        for each in told:
            tag = waiting.get(each.instance_id)
            address = kept.get(tag) if tag else None
            if tag is None or address is None:
                continue
            here = address.instance_id == each.instance_id
            if not here and each.state.name == "running":
                here = await self._rig.hang(address, each.instance_id, region)
            places[each.instance_id] = address.public_ip if here else ""
        for each in told:
            each.public_ip_address = places.get(each.instance_id, each.public_ip_address)
        return told

    async def _checks(
        self, told: list[wire.Instance], region: str
    ) -> dict[str, wire.InstanceStatus]:
        ours = [e.instance_id for e in told if e.tag(TAG) and e.state.name == "running"]
        if not ours:
            return {}
        try:
            pages = await self._session.pages(
                "DescribeInstanceStatus", "InstanceStatuses", region,
                Filters=[where("instance-state-name", "running")],
            )  # fmt: skip
        except AuthFailed as error:
            # The list is worth more than the checks.
            log.info("AWS's checks of instances are not told: %s", error.details)
            return {}
        found = [wire.read(each, wire.InstanceStatus) for each in pages]
        return {each.instance_id: each for each in found}

    async def _sweep(self) -> None:
        """Search the regions that the account is not set to: a machine of ours may run there from before."""
        now = self._clock()
        if self._swept is not None and now - self._swept < SWEEP_SECONDS:
            return
        try:
            answer = await self._session.call("ec2", "DescribeRegions", self.regions[0])
        except AuthFailed as error:
            if error.cause != "missing_right":
                raise
            log.info("Other regions are not searched: %s", error.details)
            self._swept = now
            return
        names = {str(each["RegionName"]) for each in answer.get("Regions", ())}
        others = sorted(names - set(self.regions))
        self._elsewhere = frozenset(
            name
            for name, is_there in zip(
                others, await asyncio.gather(*(self._is_in(name) for name in others)), strict=True
            )
            if is_there
        )
        self._swept = now

    async def _is_in(self, region: str) -> bool:
        ours = [where("tag-key", TAG)]
        try:
            if await self._instances(region, Filters=ours):
                return True
            return bool(await self._rig.addresses(region))
        except PersonaDeskError as error:
            # An organisation may forbid regions; where we may not look we cannot have rented.
            log.info("%s is not searched: %s", region, error.details or error.what)
            return region in self._elsewhere

    # -- life -------------------------------------------------------------------------------------------------

    async def create(self, order: Order) -> Machine:
        """Launch an instance; asking again with the order's token, or while it is there, makes no second one."""
        region = order.offer.region
        there = await self._alive(order.tag, region)
        if there:
            return await self._made(there[0], region)
        await self._allow(order.offer)
        async with self._rigging:
            try:
                told = await self._launch(order, region)
            except (Unreachable, ProviderFault):
                # It may have been made: what was prepared stays until that is known.
                raise
            except PersonaDeskError:
                await self._clear(order.tag, region, key_name(order.public_key))
                raise
        return await self._made(told, region)

    async def _alive(self, tag: str, region: str) -> list[wire.Instance]:
        told = await self._instances(region, Filters=[where(f"tag:{TAG}", tag)])
        return [each for each in told if each.state.name not in _GONE]

    async def _allow(self, offer: Offer) -> None:
        """Refuse what the account's quota does not allow, before anything is made."""
        code = QUOTAS.get((offer.ref[:1], offer.spot))
        wanted = int(offer.data.get("vcpus", "1"))
        vcpus = await self._quota(code, offer.region) if code else None
        if code and vcpus is not None and vcpus < wanted:
            raise no_quota(vcpus, wanted, code, offer.region)

    async def _launch(self, order: Order, region: str) -> wire.Instance:
        image = await self._rig.image(region)
        key = await self._rig.key(order.public_key, region)
        group = await self._rig.group(region)
        if order.static_address:
            await self._rig.address(order.tag, region)
        disk = max(order.disk_gb, image.least_gb)
        labels = {"Name": order.tag, TAG: order.tag, DISK_TAG: str(disk)}
        if order.offer.price is not None:
            labels[PRICE_TAG] = f"{order.offer.price:g}"
        if order.static_address:
            labels[ADDRESS_TAG] = "kept"
        ends = "terminate" if order.lease_hours is not None else "stop"
        wish: dict[str, Any] = {
            "ImageId": image.id, "InstanceType": order.offer.ref, "MinCount": 1, "MaxCount": 1,
            "KeyName": key, "SecurityGroupIds": [group],
            "UserData": cloud_config(order, keys=True, further=lease.cloud_modules(order.lease_hours)),
            "BlockDeviceMappings": [
                {
                    "DeviceName": image.root,
                    "Ebs": {"VolumeSize": disk, "VolumeType": "gp3", "DeleteOnTermination": True},
                }
            ],
            # The user data holds the host's key: only who holds a session's token reads it.
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled"},
            "TagSpecifications": [*tags(labels, "instance"), *tags({"Name": order.tag, TAG: order.tag}, "volume")],
        }  # fmt: skip
        if order.offer.spot:
            once = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
            wish["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": once}
        if not order.offer.spot or order.lease_hours is not None:
            wish["InstanceInitiatedShutdownBehavior"] = ends
        return await self._in_some_zone(order, region, wish)

    async def _in_some_zone(
        self, order: Order, region: str, wish: Mapping[str, Any]
    ) -> wire.Instance:
        """Launch where AWS likes (for spot: where it is cheapest), and when that has none, in each zone that has them.

        AWS picks one zone by itself and does not look further.
        """
        zones = order.offer.data.get("zones", "").split()
        full: NoCapacity | None = None
        for zone in zones if order.offer.spot and zones else ["", *zones]:
            place: dict[str, Any] = {"Placement": {"AvailabilityZone": zone}} if zone else {}
            # Another zone is another request, which AWS does not take under the same token.
            token = "-".join(part for part in (order.token or order.tag, zone) if part)[:64]
            await self._creations.turn()
            try:
                answer = await self._session.call(
                    "ec2", "RunInstances", region, changes=True, offer=order.offer,
                    ClientToken=token, **wish, **place,
                )  # fmt: skip
            except NoCapacity as error:
                log.info("No %s in %s: %s", order.offer.ref, zone or region, error.details)
                full = full or error
            except BadRequest as error:
                if "IdempotentParameterMismatch" not in error.details:
                    raise
                # This very token made an instance before, from other words of ours.
                there = await self._alive(order.tag, region)
                if not there:
                    raise
                return there[0]
            else:
                return wire.read(answer["Instances"][0], wire.Instance)
        raise full or faults.no_capacity(FACTS, order.offer, faults.Problem())

    async def _made(self, told: wire.Instance, region: str) -> Machine:
        kinds = await self._market.kinds_of({told.instance_type}, region)
        if told.tag(ADDRESS_TAG) is not None:
            told.public_ip_address = ""
        made = self._stamp(machine_of(told, region, kinds.get(told.instance_type), None))
        self._regions_of[made.id] = region
        self._young[made.id] = made
        return made

    async def act(self, machine: Machine, action: Action) -> None:
        """Start, stop, reboot or terminate."""
        region = (
            machine.region
            or self._regions_of.get(machine.id)
            or (await self.machine(machine.id)).region
        )
        if machine.spot and action in {Action.START, Action.STOP}:
            raise faults.unsupported(FACTS, "StopInstances of a one-time spot instance")
        if action is not Action.END:
            try:
                await self._session.call(
                    "ec2", _OPERATIONS[action], region, changes=True, InstanceIds=[machine.id]
                )
            except NoCapacity as error:
                problem = faults.Problem(
                    error.provider_status, request_id=error.request_id, body=error.details
                )
                raise faults.gpu_taken(FACTS, problem) from error
            if action is Action.START:
                self._started[machine.id] = self._clock()
            return
        await self._terminate(machine.id, region)
        self._young.pop(machine.id, None)
        if machine.tag:
            async with self._rigging:
                await self._clear(machine.tag, region, machine.data.get("key", ""), machine.id)

    async def _terminate(self, machine_id: str, region: str) -> None:
        while True:
            try:
                await self._session.call(
                    "ec2", "TerminateInstances", region, changes=True, InstanceIds=[machine_id]
                )
            except NotFound:
                made = self._young.get(machine_id)
                if made is None or self._clock() - made.seen >= YOUNG_SECONDS:
                    return
                # We have seen it made: EC2 does not know it everywhere yet, and it must not be left running.
                await self._sleep(YOUNG_PAUSE_SECONDS)
            else:
                return

    async def _clear(self, tag: str, region: str, key: str = "", ending: str = "") -> None:
        """Clear away what only this deploy used, and what all use when nobody is left."""
        ours = await self._instances(region, Filters=[where("tag-key", TAG)])
        alive = [e for e in ours if e.state.name not in _GONE and e.instance_id != ending]
        alive_young = [m for m in self._young.values() if m.region == region and m.id != ending]
        if not any(each.tag(TAG) == tag for each in alive):
            await self._rig.clear(tag, region, last=not alive and not alive_young, key=key)

    # -- what else there is -----------------------------------------------------------------------------------

    async def leftovers(self) -> Sequence[Resource]:
        """Return our Elastic IPs, loose disks and, where no instance of ours is left, the security group."""
        found: list[Resource] = []
        for region in sorted({*self.regions, *self._elsewhere}):
            ours = await self._instances(region, Filters=[where("tag-key", TAG)])
            alive = [each for each in ours if each.state.name != "terminated"]
            found += await self._rig.leftovers(region, alive)
        return found

    async def remove(self, resource: Resource) -> None:
        """Remove one of them."""
        await self._rig.remove(resource)

    async def log(self, machine: Machine) -> Sequence[str]:
        """Return the last 64 KB of the instance's console."""
        region = machine.region or self._regions_of.get(machine.id, self.regions[0])
        try:
            told = await self._session.call(
                "ec2", "GetConsoleOutput", region, InstanceId=machine.id, Latest=True
            )
        except BadRequest:
            # Older kinds of instance have only what was kept some time after their boot.
            told = await self._session.call(
                "ec2", "GetConsoleOutput", region, InstanceId=machine.id
            )
        return str(told.get("Output") or "").splitlines()

    async def aclose(self) -> None:
        """Close connections."""
        await self._session.aclose()
