"""RunPod's API in the calls of `Provider`."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import AuthFailed, BadRequest, NoCapacity, NotFound, PersonaDeskError
from personadesk.domain.machine import OWNER_LABEL, Action, MachineState, Resource, ResourceKind
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.sample import Metric, Reading
from personadesk.domain.text import NOTHING, T, Text
from personadesk.providers import faults, lease
from personadesk.providers.access import WORKSPACE
from personadesk.providers.base import Provider
from personadesk.providers.faults import Problem
from personadesk.providers.gpus import memory_of, usual_name
from personadesk.providers.runpod import failures, wire
from personadesk.providers.runpod.facts import (
    CONTAINER_GB,
    CUDA,
    DISK_PRICE,
    END_ITSELF,
    FACTS,
    IMAGE,
    LEAST_VOLUME_GB,
    READ_WRITE,
    VOLUME_PRICE,
)
from personadesk.providers.runpod.pods import ACTIONS, SSH_PORT, gpus_of, machine_of
from personadesk.providers.web import Api

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personadesk.domain.machine import Machine, Order
    from personadesk.domain.offer import Need

SECURE, COMMUNITY = "SECURE", "COMMUNITY"
STOCKS = {"HIGH": Stock.HIGH, "MEDIUM": Stock.MEDIUM, "LOW": Stock.LOW, "NONE": Stock.NONE}
MYSELF = "query { myself { id email clientBalance currentSpendPerHr spendLimit } }"
NO_POD = "personadesk-asks-for-its-rights"
"""There is no pod of this id, nor can there be: what is said of stopping it tells whether the key might."""
HOST_KEY = "PERSONADESK_HOST_KEY"
LOG_LINES = 200
LOG_SECONDS = 3.0
STUCK_AFTER_SECONDS = 120.0
"""A pod that starts for longer than this is looked at in RunPod's own log of it."""
STUCK_LOOK_SECONDS = 30.0
STUCK_LINES = 20
STUCK_WORDS = ("error creating container", "error starting container", "oci runtime create failed")
STUCK_TIMES = 3
"""RunPod tries again for ever: so many failures among the last lines, and it is not going to come up."""


class RunPod(Provider):
    """One account at RunPod."""

    facts = FACTS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        key = self._credentials.get("api_key", "")

        async def headers() -> Mapping[str, str]:
            return {"Authorization": f"Bearer {key}"}

        self._api = Api(
            FACTS, self.account.name, self.account.base_url or FACTS.base_url, headers=headers,
            refusal=failures.refusal(self.account.name), read=failures.read, secrets=[key],
            transport=self._transport, sleep=self._sleep,
        )  # fmt: skip
        self._looked: dict[str, float] = {}

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()

    # -- the account ------------------------------------------------------------------------------------------

    async def verify(self) -> AccountInfo:
        """Ask for the pods, the balance, and whether a pod that does not exist could be stopped."""
        await self._api.call("GET", "/v2/pods", wire.Pods)
        myself, reason = await self._myself()
        rights, missing = {Right.SEE}, []
        try:
            await self._api.call("POST", f"/v2/pods/{NO_POD}/action", json={"action": "stop"})
        except AuthFailed:
            missing.append(
                T(
                    "It may not make or end pods: give it “{right}” for the REST API.",
                    right=READ_WRITE,
                )
            )
        except (NotFound, BadRequest):
            # It was let in, and told that there is no such pod. One right covers all changes.
            rights |= {Right.RENT, Right.END}
        limit = myself.spend_limit
        return AccountInfo(
            who=myself.email or myself.id,
            rights=frozenset(rights),
            missing=tuple(missing),
            balance=myself.client_balance,
            balance_reason=reason,
            spend_per_hour=myself.current_spend_per_hr,
            limits=(T("At most ${limit} an hour.", limit=f"{limit:g}"),) if limit else (),
            checked=self._clock(),
        )

    async def _myself(self) -> tuple[wire.Myself, Text]:
        try:
            answer = await self._api.call(
                "POST", "/graphql", wire.MyselfAnswer, json={"query": MYSELF}, repeatable=True
            )
        except AuthFailed:
            reason = T("This key may not read GraphQL, which alone tells the balance.")
            return wire.Myself(), reason
        except PersonaDeskError as error:
            # The older API may go one day; all else works without it.
            return wire.Myself(), T("RunPod didn't tell it: {reason}", reason=error.what)
        if answer.data is None or answer.data.myself is None:
            told = " ".join(each.message for each in answer.errors)
            return wire.Myself(), T("RunPod didn't tell it: {reason}", reason=told or "–")
        return answer.data.myself, NOTHING

    # -- what could be rented ---------------------------------------------------------------------------------

    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return what the two clouds have; the secure one by data center, where a volume can be had."""
        secure, community = await asyncio.gather(
            self._catalog(SECURE, need.count), self._catalog(COMMUNITY, need.count)
        )
        found = [offer for gpu in secure for offer in self._offers_of(gpu, SECURE, need)]
        found += [offer for gpu in community for offer in self._offers_of(gpu, COMMUNITY, need)]
        return [offer for offer in found if need.allows(offer)]

    async def _catalog(self, cloud: str, count: int) -> list[wire.GpuType]:
        params = {
            "include": "AVAILABILITY", "product": "POD", "count": count, "cloud": cloud, "minCudaVersion": CUDA,
        }  # fmt: skip
        return (await self._api.call("GET", "/v2/catalog/gpus", wire.GpuTypes, params=params)).gpus

    def _offers_of(self, gpu: wire.GpuType, cloud: str, need: Need) -> list[Offer]:
        secure = cloud == SECURE
        here = gpu.secure if secure else gpu.community
        price = gpu.price.secure if secure else gpu.price.community
        most = gpu.max_count.secure if secure else gpu.max_count.community
        # The released model's engine wants CUDA.
        if not here or gpu.manufacturer == "AMD" or (most and need.count > most):
            return []
        name = usual_name(gpu.id, gpu.memory)
        # Where it is not told, RunPod chooses the place.
        places = gpu.data_centers or [wire.DataCenter("", availability=gpu.availability)]
        return [
            Offer(
                account=self.account.name,
                provider=FACTS.id,
                ref=gpu.id if secure else f"{gpu.id} ({cloud.lower()})",
                gpu=name,
                memory_gb=gpu.memory or memory_of(name),
                count=need.count,
                region=each.id,
                place=_place(each, secure=secure),
                price=price * need.count if price > 0 else None,
                disk_price=(CONTAINER_GB + need.disk_gb) * DISK_PRICE,
                stock=STOCKS.get(each.availability, Stock.UNKNOWN),
                asked=self._clock(),
                data={"gpu": gpu.id, "cloud": cloud},
            )
            for each in places
        ]

    # -- what is there ----------------------------------------------------------------------------------------

    async def machines(self) -> Sequence[Machine]:
        """Return all pods; the API knows no pages."""
        found = await self._api.call("GET", "/v2/pods", wire.Pods)
        return [self._stamp(machine_of(pod)) for pod in found.pods]

    async def machine(self, machine_id: str) -> Machine:
        """Return one pod; one that fails to start over and over is said to have failed."""
        found = machine_of(await self._pod(machine_id))
        now = self._clock()
        begun = found.created if found.created is not None else now
        stuck = found.state is MachineState.BOOTING and now - begun >= STUCK_AFTER_SECONDS
        if stuck and now - self._looked.get(machine_id, 0.0) >= STUCK_LOOK_SECONDS:
            self._looked[machine_id] = now
            if trouble := await self._trouble(machine_id):
                reason = T("RunPod cannot start its container: {message}", message=trouble[:200])
                found = replace(found, state=MachineState.FAILED, reason=reason)
        return self._stamp(found)

    async def _trouble(self, pod_id: str) -> str:
        """Return why a pod's container does not start, "" when it may still."""
        params = {"source": "system", "tail": STUCK_LINES}
        path = f"/v2/pods/{_part(pod_id)}/logs"
        lines = [_log_line(each) for each in await self._api.events(path, params=params)]
        failed = [
            line
            for line in lines[-STUCK_LINES:]
            if any(word in line.casefold() for word in STUCK_WORDS)
        ]
        return failed[-1] if len(failed) >= STUCK_TIMES else ""

    async def _pod(self, pod_id: str) -> wire.Pod:
        return await self._api.call("GET", f"/v2/pods/{_part(pod_id)}", wire.Pod)

    # -- life -------------------------------------------------------------------------------------------------

    async def create(self, order: Order) -> Machine:
        """Make a pod with an SSH daemon that lets us in and shows the host key that we gave it."""
        try:
            pod = await self._api.call(
                "POST", "/v2/pods", wire.Pod, json=pod_request(order), creates=True
            )
        except NoCapacity as error:
            raise faults.named(FACTS, order.offer, error) from error
        return self._stamp(machine_of(pod))

    async def act(self, machine: Machine, action: Action) -> None:
        """Do it; a start that comes back without a GPU is a `NoCapacity`."""
        path = f"/v2/pods/{_part(machine.id)}"
        if action is Action.END:
            try:
                await self._api.call("DELETE", path, repeatable=True)
            except NotFound:
                return
            return
        word = next(word for word, known in ACTIONS.items() if known is action)
        pod = await self._api.call(
            "POST", f"{path}/action", wire.Pod, json={"action": word}, repeatable=True
        )
        if action is Action.START and gpus_of(pod) == 0:
            raise faults.gpu_taken(FACTS, Problem(message=f"{pod.status} without a GPU"))

    # -- what else there is -----------------------------------------------------------------------------------

    async def leftovers(self) -> Sequence[Resource]:
        """Return our network volumes, and on which pod each hangs."""
        volumes, pods = await asyncio.gather(
            self._volumes(), self._api.call("GET", "/v2/pods", wire.Pods)
        )
        users = {mount.volume_id: pod.id for pod in pods.pods for mount in pod.mounts.network}
        return [
            Resource(
                kind=ResourceKind.VOLUME,
                id=each.id,
                account=self.account.name,
                name=each.name,
                region=each.data_center,
                price=each.size * VOLUME_PRICE,
                attached=users.get(each.id, ""),
            )
            for each in volumes
        ]

    async def remove(self, resource: Resource) -> None:
        """Remove a network volume."""
        if resource.kind is not ResourceKind.VOLUME:
            await super().remove(resource)
        try:
            await self._api.call(
                "DELETE", f"/v2/network-volumes/{_part(resource.id)}", repeatable=True
            )
        except NotFound:
            return

    async def volume_for(self, offer: Offer, disk_gb: int) -> str:
        """Return our network volume in the offer's data center, made or made larger where it must be.

        Returns:
            "" where the offer names no data center, or the data center has none: community machines, for example.
        """
        if not offer.region or offer.data.get("cloud") != SECURE:
            return ""
        size = max(disk_gb, LEAST_VOLUME_GB)
        here = [each for each in await self._volumes() if each.data_center == offer.region]
        if here:
            largest = max(here, key=lambda each: each.size)
            if largest.size < size:
                await self._api.call(
                    "PATCH", f"/v2/network-volumes/{_part(largest.id)}", json={"size": size}
                )
            return largest.id
        centers = await self._api.call("GET", "/v2/catalog/datacenters", wire.DataCenters)
        if not any(
            each.id == offer.region and each.network_volume_types for each in centers.data_centers
        ):
            return ""
        made = await self._api.call(
            "POST", "/v2/network-volumes", wire.Volume,
            json={"name": OWNER_LABEL, "size": size, "dataCenter": offer.region},
        )  # fmt: skip
        return made.id

    async def _volumes(self) -> list[wire.Volume]:
        found = await self._api.call("GET", "/v2/network-volumes", wire.Volumes)
        return [each for each in found.network_volumes if each.name == OWNER_LABEL]

    async def figures(self, machine: Machine) -> Sequence[Reading]:
        """Return how busy GPUs and CPU are; RunPod tells percents only, and no memory in bytes."""
        runtime = (await self._pod(machine.id)).runtime
        if runtime is None:
            return ()
        found = [
            Reading(Metric.GPU_USE, str(index), gpu.util)
            for index, gpu in enumerate(runtime.gpus or ())
            if gpu.util is not None
        ]
        if runtime.cpu is not None and runtime.cpu.util is not None:
            found.append(Reading(Metric.CPU_USE, "", runtime.cpu.util))
        return found

    async def log(self, machine: Machine) -> Sequence[str]:
        """Return the last lines of the pod's container and of RunPod's own work on it."""
        path = f"/v2/pods/{_part(machine.id)}/logs"
        events = await self._api.events(path, params={"tail": LOG_LINES}, seconds=LOG_SECONDS)
        return [_log_line(each) for each in events]


def pod_request(order: Order) -> dict[str, Any]:
    """Return the body that makes a pod of an order.

    Our key is given to this pod alone (`PUBLIC_KEY`, which RunPod's images read): the account's list of keys, which a
    write would replace, is left as it is.
    """
    offer = order.offer
    mounts: dict[str, Any] = (
        {"network": [{"volumeId": order.volume, "path": WORKSPACE}]}
        if order.volume
        else {"persistent": {"size": max(order.disk_gb, LEAST_VOLUME_GB), "path": WORKSPACE}}
    )
    body: dict[str, Any] = {
        "name": order.tag,
        "image": IMAGE,
        "gpu": {"id": offer.data["gpu"], "count": offer.count, "minCudaVersion": CUDA},
        "cloud": offer.data["cloud"],
        "disk": CONTAINER_GB,
        "ports": [SSH_PORT],
        "env": {"PUBLIC_KEY": order.public_key.strip()},
        "mounts": mounts,
        "startSsh": True,
    }
    if offer.region:
        body["dataCenterIds"] = [offer.region]
    first = []
    if order.identity is not None:
        body["env"][HOST_KEY] = base64.b64encode(order.identity.private.encode()).decode()
        first.append(f"{start_script()};")
    if order.lease_hours is not None:
        script = lease.loop(order.lease_hours, ending=END_ITSELF)
        first.append(lease.in_background(script, "~root/.personadesk-lease"))
    if first:
        body["args"] = f"bash -c '{' '.join(first)} exec /start.sh'"
    return body


def start_script(folder: str = "/etc/ssh") -> str:
    """Return shell commands that make our host key the SSH daemon's only one, then go on as the image would.

    It has a name of its own, since images differ in whether they make the usual keys anew.

    Args:
        folder: Where the daemon's configuration is.
    """
    key = f"{folder}/personadesk_host_key"
    return (
        f'umask 077; printf %s "${HOST_KEY}" | base64 -d > {key}; umask 022; '
        f"grep -qs {key} {folder}/sshd_config || "
        f'sed -i "1i HostKey {key}" {folder}/sshd_config'
    )


def _place(center: wire.DataCenter, *, secure: bool) -> str:
    name = center.name or center.id
    if secure:
        return name
    return f"{name}, Community Cloud" if name else "Community Cloud"


def _log_line(event: str) -> str:
    try:
        told = msgspec.json.decode(event, type=wire.LogLine)
    except msgspec.MsgspecError:
        # Something else than a line of the log; better shown than lost.
        return event
    return f"{told.ts} {told.line}" if told.ts else told.line


def _part(word: str) -> str:
    """Return an id as one part of a path."""
    return quote(word, safe="")
