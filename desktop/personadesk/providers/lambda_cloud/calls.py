"""Lambda's API, version 1."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import NoCapacity, NotFound
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
from personadesk.providers.faults import Problem
from personadesk.providers.gpus import usual_name
from personadesk.providers.lambda_cloud import wire
from personadesk.providers.lambda_cloud.facts import FACTS, FILESYSTEM, MOUNT, SSH_USER
from personadesk.providers.lambda_cloud.failures import SOLD_OUT, refusal
from personadesk.providers.web import Api

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from personadesk.domain.machine import Order
    from personadesk.domain.offer import Need
    from personadesk.domain.text import Text

_STATES = {
    "booting": MachineState.BOOTING, "active": MachineState.RUNNING,
    "unhealthy": MachineState.LOST, "preempted": MachineState.LOST,
    "terminating": MachineState.ENDING, "terminated": MachineState.ENDED,
}  # fmt: skip
_REASONS: Mapping[str, Text] = {
    "unhealthy": T("Lambda says that the machine does not respond."),
    "preempted": T("Lambda took the machine back."),
}
_UNBILLED = frozenset({MachineState.ENDED})
_MEMORY = re.compile(r"(\d+)\s*GB", re.IGNORECASE)


class LambdaCloud(Provider):
    """One account at Lambda."""

    facts = FACTS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        key = self._credentials.get("api_key", "")

        async def headers() -> Mapping[str, str]:
            return {"Authorization": f"Bearer {key}"}

        self._api = Api(
            FACTS, self.account.name, self.account.base_url or FACTS.base_url, headers=headers,
            refusal=partial(refusal, self.account.name), secrets=[key], transport=self._transport, sleep=self._sleep,
        )  # fmt: skip

    async def verify(self) -> AccountInfo:
        """Ask for the account's machines: the least that tells whether the key is good, and what is spent."""
        machines = await self.machines()
        return AccountInfo(
            rights=frozenset(Right),
            balance_reason=FACTS.can.balance.reason,
            spend_per_hour=sum(each.price or 0.0 for each in machines),
            limits=(T("One launch in 12 seconds."),),
            checked=self._clock(),
        )

    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return an offer for each kind in each region that has one free, and one for each kind that is sold out."""
        answer = await self._api.call(
            "GET", "/api/v1/instance-types", wire.Answer[dict[str, wire.TypeItem]]
        )
        found = (each for item in answer.data.values() for each in self._offers_of(item))
        return [each for each in found if need.allows(each)]

    def _offers_of(self, item: wire.TypeItem) -> Sequence[Offer]:
        kind = item.instance_type
        gpu, memory = _gpu(kind)
        sold_out = Offer(
            self.account.name, FACTS.id, kind.name, gpu, memory, kind.specs.gpus,
            price=_price(kind), stock=Stock.NONE, asked=self._clock(),
        )  # fmt: skip
        free = [
            replace(sold_out, region=each.name, place=each.description, stock=Stock.HIGH)
            for each in item.regions_with_capacity_available
        ]
        return free or [sold_out]

    async def machines(self) -> Sequence[Machine]:
        """Return the account's machines; Lambda has one list, without pages."""
        answer = await self._api.call("GET", "/api/v1/instances", wire.Answer[list[wire.Instance]])
        return [self._machine_of(each) for each in answer.data]

    async def machine(self, machine_id: str) -> Machine:
        """Return one machine; see `Provider.machine`."""
        try:
            answer = await self._api.call(
                "GET", f"/api/v1/instances/{machine_id}", wire.Answer[wire.Instance]
            )
        except NotFound as error:
            raise faults.gone(FACTS, machine_id, Problem(404, message=error.details)) from error
        return self._machine_of(answer.data)

    def _machine_of(self, found: wire.Instance) -> Machine:
        state = _STATES.get(found.status, MachineState.UNKNOWN)
        name = found.name or ""
        labelled = next((each.value for each in found.tags if each.key == OWNER_LABEL), "")
        gpu, memory = _gpu(found.instance_type) if found.instance_type else ("", 0.0)
        price = _price(found.instance_type) if found.instance_type else None
        allowed = found.actions or wire.Actions()
        can = {Action.RESTART: allowed.restart, Action.END: allowed.terminate}
        blocked = {each.reason_code for each in can.values() if each.reason_code}
        return self._stamp(
            Machine(
                found.id, "", "", name=name,
                tag=labelled or (name if name.startswith(TAG_PREFIX) else ""),
                state=state, said=", ".join([found.status, *sorted(blocked)]),
                reason=_REASONS.get(found.status, NOTHING),
                gpu=gpu, memory_gb=memory,
                count=found.instance_type.specs.gpus if found.instance_type else 1,
                region=found.region.name, place=found.region.description,
                price=0.0 if state in _UNBILLED else price, running_price=price,
                ssh=SshAddress(found.ip, user=SSH_USER) if found.ip else None,
                actions=frozenset(action for action, each in can.items() if each.available),
            )
        )  # fmt: skip

    async def create(self, order: Order) -> Machine:
        """Launch a machine; see `Provider.create`. Lambda takes exactly one SSH key, by its name in the account."""
        offer = order.offer
        if not offer.region:
            # A launch that cannot succeed would use up the 12 seconds.
            raise faults.no_capacity(FACTS, offer, Problem(message="no region lists it"))
        wish: dict[str, Any] = {
            "region_name": offer.region,
            "instance_type_name": offer.ref,
            "ssh_key_names": [await self._key_for(order.public_key)],
            "name": order.tag,
            "tags": [{"key": OWNER_LABEL, "value": order.tag}],
        }
        if order.volume:
            wish["file_system_mounts"] = [{"mount_point": MOUNT, "file_system_id": order.volume}]
        started = access.cloud_config(
            order, volume=MOUNT if order.volume else "", user=self._login_name(SSH_USER)
        )
        if started:
            wish["user_data"] = started
        try:
            answer = await self._api.call(
                "POST", "/api/v1/instance-operations/launch", wire.Answer[wire.Launched],
                json=wish, creates=True,
            )  # fmt: skip
        except NoCapacity as error:
            problem = Problem(error.provider_status, SOLD_OUT, error.details, error.request_id)
            raise faults.no_capacity(FACTS, offer, problem) from error
        except NotFound as error:
            # The region, the kind, the key or the filesystem: whatever it is, no machine is missing.
            problem = Problem(error.provider_status, "", error.details, error.request_id)
            raise faults.bad_request(FACTS, problem, cause="unknown_part") from error
        if not answer.data.instance_ids:
            # Taken, and no machine named: whether there is one tells its tag.
            raise faults.provider_fault(FACTS, Problem(message="a launch without instance ids"))
        return self._stamp(
            Machine(
                answer.data.instance_ids[0], "", "", name=order.tag, tag=order.tag,
                state=MachineState.REQUESTED, gpu=offer.gpu, memory_gb=offer.memory_gb,
                count=offer.count, region=offer.region, place=offer.place, price=offer.price,
                running_price=offer.price, created=self._clock(),
            )
        )  # fmt: skip

    async def _key_for(self, public_key: str) -> str:
        """Return the name of our key in the account, added when it is not there; others' keys are left alone."""
        keys = await self._api.call("GET", "/api/v1/ssh-keys", wire.Answer[list[wire.Key]])
        for each in keys.data:
            if access.same_key(each.public_key, public_key):
                return each.name
        added = await self._api.call(
            "POST", "/api/v1/ssh-keys", wire.Answer[wire.Key],
            json={"name": access.key_name(public_key), "public_key": public_key.strip()},
        )  # fmt: skip
        return added.data.name

    async def act(self, machine: Machine, action: Action) -> None:
        """Restart or end a machine; Lambda has nothing else."""
        which = {"instance_ids": [machine.id]}
        if action is Action.END:
            try:
                await self._api.call(
                    "POST", "/api/v1/instance-operations/terminate", json=which, repeatable=True
                )
            except NotFound:
                return
        elif action is Action.RESTART:
            await self._api.call("POST", "/api/v1/instance-operations/restart", json=which)
        else:
            raise faults.unsupported(FACTS, action)

    async def volume_for(self, offer: Offer, disk_gb: int) -> str:
        """Return our filesystem in the offer's region, made when there is none; it grows by itself."""
        if not offer.region:
            return ""
        for each in await self._filesystems():
            if each.region.name == offer.region:
                return each.id
        answer = await self._api.call(
            "POST", "/api/v1/filesystems", wire.Answer[wire.Filesystem],
            json={"name": f"{FILESYSTEM}-{offer.region}", "region": offer.region},
        )  # fmt: skip
        return answer.data.id

    async def _filesystems(self) -> Sequence[wire.Filesystem]:
        answer = await self._api.call(
            "GET", "/api/v1/file-systems", wire.Answer[list[wire.Filesystem]]
        )
        return [each for each in answer.data if each.name.startswith(FILESYSTEM)]

    async def leftovers(self) -> Sequence[Resource]:
        """Return our filesystems: Lambda bills what is used of them."""
        found = await self._filesystems()
        holders: dict[str, str] = {}
        if any(each.is_in_use for each in found):
            answer = await self._api.call(
                "GET", "/api/v1/instances", wire.Answer[list[wire.Instance]]
            )
            holders = {name: each.id for each in answer.data for name in each.file_system_names}
        return [
            Resource(
                ResourceKind.VOLUME, each.id, self.account.name, name=each.name,
                region=each.region.name, attached=holders.get(each.name, ""),
            )
            for each in found
        ]  # fmt: skip

    async def remove(self, resource: Resource) -> None:
        """Remove a filesystem of ours with all that is on it."""
        if resource.kind is not ResourceKind.VOLUME:
            raise faults.unsupported(FACTS, resource.kind)
        try:
            await self._api.call("DELETE", f"/api/v1/filesystems/{resource.id}", repeatable=True)
        except NotFound:
            return

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()


def _gpu(kind: wire.Type) -> tuple[str, float]:
    """Return a kind's GPU by its usual name, and its memory, which Lambda tells only in words: "A10 (24 GB PCIe)"."""
    text = kind.gpu_description or kind.description
    size = _MEMORY.search(text)
    memory = float(size.group(1)) if size else 0.0
    return usual_name(text, memory), memory


def _price(kind: wire.Type) -> float | None:
    return None if kind.price_cents_per_hour is None else kind.price_cents_per_hour / 100
