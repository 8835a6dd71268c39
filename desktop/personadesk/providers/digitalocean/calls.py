"""DigitalOcean's API, version 2, as far as GPU Droplets need it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    NotFound,
    PersonaDeskError,
)
from personadesk.domain.host import SshAddress
from personadesk.domain.machine import (
    OWNER_LABEL,
    TAG_PREFIX,
    Action,
    Machine,
    MachineState,
    Resource,
    ResourceKind,
)
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.text import NOTHING, T
from personadesk.providers import access, faults
from personadesk.providers.base import Provider
from personadesk.providers.digitalocean import wire
from personadesk.providers.digitalocean.facts import FACTS, IMAGES, PLACES, SSH_USER, STATIC_LABEL
from personadesk.providers.digitalocean.failures import refusal
from personadesk.providers.faults import Problem
from personadesk.providers.gpus import memory_of, usual_name
from personadesk.providers.web import MOST_PAGES, Api

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from personadesk.domain.machine import Order
    from personadesk.domain.offer import Need

_Page = TypeVar("_Page", bound=wire.Listing)
_STATES = {
    "new": MachineState.PROVISIONING, "active": MachineState.RUNNING, "off": MachineState.STOPPED,
}  # fmt: skip
_ACTIONS = {
    MachineState.RUNNING: {Action.RESTART, Action.END}, MachineState.STOPPED: {Action.START, Action.END},
}  # fmt: skip
_WORDS = {Action.START: "power_on", Action.RESTART: "reboot"}
FREEING_TRIES = 6
FREEING_SECONDS = 2.0


class DigitalOcean(Provider):
    """One account at DigitalOcean."""

    facts = FACTS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        key = self._credentials.get("api_key", "")

        async def headers() -> Mapping[str, str]:
            return {"Authorization": f"Bearer {key}"}

        self._api = Api(
            FACTS, self.account.name, self.account.base_url or FACTS.base_url, headers=headers,
            refusal=refusal, secrets=[key], transport=self._transport, sleep=self._sleep,
        )  # fmt: skip
        self._fastening = asyncio.Lock()
        self._asked: dict[int, str] = {}

    async def _pages(self, path: str, into: type[_Page], **params: str) -> Sequence[_Page]:
        """Return all pages of a list, by the addresses that DigitalOcean gives."""
        page = await self._api.call("GET", path, into, params={**params, "per_page": "200"})
        found, addresses = [page], {""}
        while page.next not in addresses and len(found) < MOST_PAGES:
            addresses.add(page.next)
            page = await self._api.call("GET", page.next, into)
            found.append(page)
        if page.next:
            raise faults.provider_fault(FACTS, Problem(message=f"{path} never ends"))
        return found

    # -- the account ------------------------------------------------------------------------------------------

    async def verify(self) -> AccountInfo:
        """Ask for the account, its balance and its Droplets; what a token may change is not told beforehand."""
        answer = (await self._api.call("GET", "/v2/account", wire.AccountAnswer)).account
        if answer.status == "locked":
            raise faults.account_closed(FACTS, Problem(message=answer.status_message or "locked"))
        machines = await self.machines()
        balance, reason = await self._balance()
        limits = [T("DigitalOcean does not tell beforehand what a token may change.")]
        if answer.droplet_limit is not None:
            limits.append(T("At most {n} Droplets.", n=answer.droplet_limit))
        return AccountInfo(
            who=answer.email, rights=frozenset({Right.SEE}), balance=balance, balance_reason=reason,
            spend_per_hour=sum(each.price or 0.0 for each in machines), limits=tuple(limits),
            checked=self._clock(),
        )  # fmt: skip

    async def _balance(self) -> tuple[float | None, Any]:
        try:
            told = await self._api.call("GET", "/v2/customers/my/balance", wire.Balance)
        except AuthFailed as error:
            if error.cause != "missing_right":
                raise
            return None, T("The token lacks the scope billing read.")
        try:
            owed = float(told.month_to_date_balance)
        except ValueError:
            return None, T("DigitalOcean did not tell it.")
        if owed < 0:
            return -owed, NOTHING
        return None, T("DigitalOcean bills afterwards: ${owed} so far.", owed=f"{owed:.2f}")

    # -- what could be rented ---------------------------------------------------------------------------------

    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return an offer for each size with NVIDIA GPUs in each region that lists it."""
        pages = await self._pages("/v2/sizes", wire.Sizes)
        found = (each for page in pages for size in page.sizes for each in self._offers_of(size))
        return [each for each in found if need.allows(each)]

    def _offers_of(self, size: wire.Size) -> Sequence[Offer]:
        info = size.gpu_info
        # AMD's GPUs do not run the model; sizes of other numbers have no image with drivers.
        if info is None or info.model.startswith("amd") or info.count not in IMAGES:
            return []
        gpu, memory = _gpu(info)
        sold_out = Offer(
            self.account.name, FACTS.id, size.slug, gpu, memory, info.count,
            price=size.price_hourly, stock=Stock.NONE, asked=self._clock(),
        )  # fmt: skip
        if not size.available:
            return [sold_out]
        return [
            replace(sold_out, region=each, place=PLACES.get(each, each), stock=Stock.MEDIUM)
            for each in size.regions
        ] or [sold_out]

    # -- what is there ----------------------------------------------------------------------------------------

    async def machines(self) -> Sequence[Machine]:
        """Return the account's GPU Droplets; one that wants a reserved IP and is up gets it now."""
        pages = await self._pages("/v2/droplets", wire.Droplets, type="gpus")
        droplets = [each for page in pages for each in page.droplets]
        addresses = await self._addresses(droplets)
        return [self._machine_of(each, addresses.get(each.id, "")) for each in droplets]

    async def machine(self, machine_id: str) -> Machine:
        """Return one Droplet; of one that is still made, also whether that has failed."""
        try:
            droplet = (
                await self._api.call("GET", f"/v2/droplets/{machine_id}", wire.DropletAnswer)
            ).droplet
        except NotFound as error:
            raise faults.gone(FACTS, machine_id, Problem(404, message=error.details)) from error
        machine = self._machine_of(droplet, (await self._addresses([droplet])).get(droplet.id, ""))
        if machine.state is not MachineState.PROVISIONING:
            return machine
        pages = await self._pages(f"/v2/droplets/{machine_id}/actions", wire.Actions)
        failed = any(
            each.type == "create" and each.status == "errored" for page in pages for each in page.actions
        )  # fmt: skip
        if not failed:
            return machine
        return replace(
            machine, state=MachineState.FAILED, said=f"{machine.said}, create errored",
            reason=T("DigitalOcean could not make the Droplet."),
        )  # fmt: skip

    def _machine_of(self, droplet: wire.Droplet, address: str) -> Machine:
        state = _STATES.get(droplet.status, MachineState.UNKNOWN)
        info = droplet.gpu_info or (droplet.size.gpu_info if droplet.size is not None else None)
        gpu, memory = _gpu(info) if info is not None else ("", 0.0)
        tag = _tag(droplet.tags)
        if not tag and droplet.name.startswith(TAG_PREFIX):
            tag = droplet.name
        region = droplet.region or wire.Region()
        price = droplet.size.price_hourly if droplet.size is not None else None
        if STATIC_LABEL not in droplet.tags:
            networks = droplet.networks.v4 if droplet.networks is not None else []
            address = next((each.ip_address for each in networks if each.type == "public"), "")
        return self._stamp(
            Machine(
                str(droplet.id), "", "", name=droplet.name, tag=tag, state=state,
                said=f"{droplet.status}, locked" if droplet.locked else droplet.status,
                gpu=gpu, memory_gb=memory, count=info.count if info is not None else 0,
                region=region.slug, place=region.name,
                # Off or not, it costs the same.
                price=price, running_price=price, created=_time(droplet.created_at),
                ssh=SshAddress(address, user=SSH_USER) if address else None,
                actions=frozenset(_ACTIONS.get(state, {Action.END})),
            )
        )  # fmt: skip

    async def _addresses(self, droplets: Sequence[wire.Droplet]) -> Mapping[int, str]:
        """Return the reserved IPs of Droplets that are to have one, given to them where they are up and have none yet.

        It cannot be done when the Droplet is ordered, since DigitalOcean refuses it until the Droplet is up; done
        here, it is also done after PersonaDesk was away.
        """
        wanting = [each for each in droplets if STATIC_LABEL in each.tags]
        if not wanting:
            return {}
        async with self._fastening:
            known = await self._reserved()
            for each in wanting:
                held = any(ip.holder.id == each.id for ip in known)
                if not held and each.status == "active" and not each.locked:
                    await self._fasten(each, known)
        return {ip.holder.id: ip.ip for ip in known if ip.holder.id}

    async def _fasten(self, droplet: wire.Droplet, known: Sequence[wire.ReservedIp]) -> None:
        """Ask for a reserved IP for a Droplet; the next look shows it."""
        mine = self._asked.get(droplet.id, "")
        for ip in known:
            if ip.locked and not ip.holder.id and _slug(ip.region) == _slug(droplet.region):
                return  # One is just being given to somebody, perhaps to this one: a second would be billed.
            if ip.ip == mine:
                # It was reserved, and giving it failed.
                wish = {"type": "assign", "droplet_id": droplet.id}
                path = f"/v2/reserved_ips/{mine}/actions"
                with _unless_busy():
                    await self._api.call("POST", path, wire.ActionAnswer, json=wish)
                return
        with _unless_busy():
            answer = await self._api.call(
                "POST", "/v2/reserved_ips", wire.ReservedIpAnswer, json={"droplet_id": droplet.id}
            )
            self._asked[droplet.id] = answer.reserved_ip.ip

    async def _reserved(self) -> Sequence[wire.ReservedIp]:
        pages = await self._pages("/v2/reserved_ips", wire.ReservedIps)
        return [each for page in pages for each in page.reserved_ips]

    # -- life -------------------------------------------------------------------------------------------------

    async def create(self, order: Order) -> Machine:
        """Make a Droplet; see `Provider.create`."""
        offer = order.offer
        if not offer.region:
            raise faults.no_capacity(FACTS, offer, Problem(message="no region lists it"))
        tags = [OWNER_LABEL, order.tag]
        wish: dict[str, Any] = {
            "name": order.tag,
            "region": offer.region,
            "size": offer.ref,
            "image": IMAGES.get(offer.count, IMAGES[1]),
            "ssh_keys": [await self._key_for(order.public_key)],
            "tags": [*tags, STATIC_LABEL] if order.static_address else tags,
        }
        disk = ""
        if order.volume:
            volume = (
                await self._api.call("GET", f"/v2/volumes/{order.volume}", wire.VolumeAnswer)
            ).volume
            wish["volumes"] = [volume.id]
            disk = f"/dev/disk/by-id/scsi-0DO_Volume_{volume.name}"
        started = access.cloud_config(order, disk=disk)
        if started:
            wish["user_data"] = started
        try:
            answer = await self._api.call(
                "POST", "/v2/droplets", wire.DropletAnswer, json=wish, creates=True
            )
        except NoCapacity as error:
            problem = Problem(error.provider_status, "", error.details, error.request_id)
            raise faults.no_capacity(FACTS, offer, problem) from error
        return replace(
            self._machine_of(answer.droplet, ""),
            tag=order.tag, gpu=offer.gpu, memory_gb=offer.memory_gb, count=offer.count,
            price=offer.price, running_price=offer.price, region=offer.region, place=offer.place,
        )  # fmt: skip

    async def _key_for(self, public_key: str) -> int:
        """Return the id of our key in the account, added when it is not there; others' keys are left alone."""
        for page in await self._pages("/v2/account/keys", wire.Keys):
            for each in page.ssh_keys:
                if access.same_key(each.public_key, public_key):
                    return each.id
        wish = {"name": access.key_name(public_key), "public_key": public_key.strip()}
        return (
            await self._api.call("POST", "/v2/account/keys", wire.KeyAnswer, json=wish)
        ).ssh_key.id

    async def act(self, machine: Machine, action: Action) -> None:
        """Switch on, restart or end a Droplet."""
        if action is Action.END:
            await self._end(machine)
            return
        if action not in _WORDS:
            raise faults.unsupported(FACTS, action)
        answer = await self._api.call(
            "POST", f"/v2/droplets/{machine.id}/actions", wire.ActionAnswer, json={"type": _WORDS[action]}
        )  # fmt: skip
        if answer.action.status == "errored":
            raise faults.provider_fault(FACTS, Problem(message=f"{_WORDS[action]} errored"))

    async def _end(self, machine: Machine) -> None:
        held: list[str] = []
        failure: PersonaDeskError | None = None
        try:
            held = [
                each.ip for each in await self._reserved()
                if str(each.holder.id) == machine.id and STATIC_LABEL in each.holder.tags
            ]  # fmt: skip
        except PersonaDeskError as error:
            # A token that may not look at addresses has given none either.
            failure = None if error.cause == "missing_right" else error
        # The Droplet is what costs most: it goes, whatever else fails.
        with contextlib.suppress(NotFound):
            await self._api.call("DELETE", f"/v2/droplets/{machine.id}", repeatable=True)
        for ip in held:
            await self._free(ip)
        if failure is not None:
            raise failure

    async def _free(self, ip: str) -> None:
        """Give a reserved IP back; DigitalOcean refuses while the Droplet that had it is still being ended."""
        for attempt in range(1, FREEING_TRIES + 1):
            try:
                await self._api.call("DELETE", f"/v2/reserved_ips/{ip}", repeatable=True)
            except NotFound:
                return
            except BadRequest:
                # What stays is billed without a Droplet, and found by `leftovers`.
                if attempt == FREEING_TRIES:
                    raise
                await self._sleep(FREEING_SECONDS)
            else:
                return

    # -- what else there is -----------------------------------------------------------------------------------

    async def volume_for(self, offer: Offer, disk_gb: int) -> str:
        """Return a volume of ours in the offer's region that no Droplet has, made when there is none."""
        if not offer.region:
            return ""
        ours = [each for each in await self._volumes() if _slug(each.region) == offer.region]
        for each in ours:
            if not each.droplet_ids:
                return each.id
        taken = {each.name for each in ours}
        names = (f"{OWNER_LABEL}-{offer.region}-{number}" for number in range(1, len(taken) + 2))
        wish = {
            "name": next(each for each in names if each not in taken), "size_gigabytes": disk_gb,
            "region": offer.region, "filesystem_type": "ext4", "tags": [OWNER_LABEL],
        }  # fmt: skip
        answer = await self._api.call("POST", "/v2/volumes", wire.VolumeAnswer, json=wish)
        return answer.volume.id

    async def _volumes(self) -> Sequence[wire.Volume]:
        pages = await self._pages("/v2/volumes", wire.Volumes)
        return [each for page in pages for each in page.volumes if OWNER_LABEL in (each.tags or ())]

    async def leftovers(self) -> Sequence[Resource]:
        """Return our volumes, and all reserved IPs: these have no tags, and are billed when no Droplet has them."""
        return [
            *(
                Resource(
                    ResourceKind.VOLUME, each.id, self.account.name, name=each.name,
                    region=_slug(each.region), attached=str(each.droplet_ids[0]) if each.droplet_ids else "",
                )
                for each in await self._volumes()
            ),
            *(
                Resource(
                    ResourceKind.ADDRESS, each.ip, self.account.name, name=each.ip, region=_slug(each.region),
                    attached=str(each.holder.id or ""), tag=_tag(each.holder.tags),
                    price=0.0 if each.holder.id else None,
                )
                for each in await self._reserved()
            ),
        ]  # fmt: skip

    async def remove(self, resource: Resource) -> None:
        """Remove a volume with all that is on it, or give a reserved IP back."""
        paths = {ResourceKind.VOLUME: "/v2/volumes", ResourceKind.ADDRESS: "/v2/reserved_ips"}
        if resource.kind not in paths:
            raise faults.unsupported(FACTS, resource.kind)
        try:
            await self._api.call("DELETE", f"{paths[resource.kind]}/{resource.id}", repeatable=True)
        except NotFound:
            return

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()


@contextlib.contextmanager
def _unless_busy() -> Iterator[None]:
    """Let it be when the Droplet is busy with something else: the next look comes soon."""
    try:
        yield
    except BadRequest as error:
        if error.cause != "wrong_state":
            raise


def _gpu(info: wire.GpuInfo) -> tuple[str, float]:
    """Return a GPU by its usual name, and its memory; DigitalOcean tells that of all GPUs of a size together."""
    told = info.vram.amount / max(info.count, 1) if info.vram is not None else 0.0
    gpu = usual_name(info.model, told)
    return gpu, memory_of(gpu) or told


def _slug(region: wire.Region | None) -> str:
    return region.slug if region is not None else ""


def _tag(tags: Sequence[str]) -> str:
    return next((each for each in tags if each.startswith(TAG_PREFIX)), "")


def _time(text: str) -> float | None:
    """Read RFC 3339, None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
