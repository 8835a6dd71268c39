"""Paperspace's API, version 1, as far as machines need it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import BadRequest, NoCapacity, NotFound, PersonaDeskError
from personadesk.domain.host import SshAddress
from personadesk.domain.machine import (
    TAG_PREFIX,
    Action,
    Machine,
    MachineState,
    Resource,
    ResourceKind,
)
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.text import T
from personadesk.providers import access, faults
from personadesk.providers.base import Provider
from personadesk.providers.faults import Problem
from personadesk.providers.gpus import memory_of, usual_name
from personadesk.providers.paperspace import wire
from personadesk.providers.paperspace.facts import DISK_SIZES, FACTS, HOURS_A_MONTH, SSH_USER
from personadesk.providers.paperspace.failures import refusal
from personadesk.providers.paperspace.prices import DATE, KINDS, PLACES
from personadesk.providers.web import MOST_PAGES, Api

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from personadesk.domain.machine import Order
    from personadesk.domain.offer import Need
    from personadesk.providers.paperspace.prices import Kind

_Item = TypeVar("_Item")
_STATES = {
    "provisioning": MachineState.PROVISIONING, "starting": MachineState.STARTING,
    "ready": MachineState.RUNNING,
    # Its services run; machines without Paperspace's agent stay so.
    "serviceready": MachineState.RUNNING,
    "restarting": MachineState.BOOTING, "stopping": MachineState.STOPPING, "off": MachineState.STOPPED,
    "upgrading": MachineState.PROVISIONING,
}  # fmt: skip
_ACTIONS = {
    MachineState.RUNNING: {Action.STOP, Action.RESTART, Action.END},
    MachineState.STOPPED: {Action.START, Action.END},
    MachineState.ENDED: set[Action](),
}
_WORDS = {Action.START: "start", Action.STOP: "stop", Action.RESTART: "restart"}
_IN_EVENTS = {"create", "start", "restart"}
PAGE = "100"
FREEING_TRIES = 6
FREEING_SECONDS = 2.0


class Paperspace(Provider):
    """One account at Paperspace."""

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

    async def _all(self, path: str, into: type[wire.Page[_Item]], **params: str) -> list[_Item]:
        """Return all items of a list, page after page."""
        found: list[_Item] = []
        after: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = await self._api.call(
                "GET", path, into, params={**params, "limit": PAGE, **after}
            )
            found += page.items
            if not page.has_more or not page.next_page:
                return found
            if after.get("after") == page.next_page:
                break
            after = {"after": page.next_page}
        raise faults.provider_fault(FACTS, Problem(message=f"{path} never ends"))

    # -- the account ------------------------------------------------------------------------------------------

    async def verify(self) -> AccountInfo:
        """Ask whose key it is; a key has all of its owner's rights."""
        session = await self._api.call("GET", "/auth/session", wire.SESSION)
        if session is None:
            raise faults.bad_key(FACTS, self.account.name, Problem(message="no session"))
        machines = await self.machines()
        most = session.team.max_machines
        return AccountInfo(
            who=session.user.email or session.team.namespace, rights=frozenset(Right),
            balance_reason=FACTS.can.balance.reason,
            spend_per_hour=sum(each.price or 0.0 for each in machines),
            limits=() if most is None else (T("At most {n} machines.", n=int(most)),),
            checked=self._clock(),
        )  # fmt: skip

    # -- what could be rented ---------------------------------------------------------------------------------

    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return an offer for each type in each of its regions, with the price of our table and the stock of today."""
        asked = [
            self._offer(name, kind, region) for name, kind in KINDS.items() for region in kind.regions
        ]  # fmt: skip
        found = await asyncio.gather(*(self._stocked(each) for each in asked if need.allows(each)))
        return [each for each in found if each is not None]

    def _offer(self, name: str, kind: Kind, region: str) -> Offer:
        return Offer(
            self.account.name, FACTS.id, name, kind.gpu, memory_of(kind.gpu), region=region,
            place=PLACES.get(region, region), price=kind.price, estimated=kind.price is not None,
            price_date=DATE if kind.price is not None else "", asked=self._clock(),
        )  # fmt: skip

    async def _stocked(self, offer: Offer) -> Offer | None:
        """Return an offer with its stock, None for a type that Paperspace no longer knows."""
        try:
            answer = await self._api.call(
                "GET", "/machine-availability", wire.Availability,
                params={"machineType": offer.ref, "region": offer.region},
            )  # fmt: skip
        except (BadRequest, NotFound):
            return None
        return replace(offer, stock=Stock.HIGH if answer.available else Stock.NONE)

    # -- what is there ----------------------------------------------------------------------------------------

    async def machines(self) -> Sequence[Machine]:
        """Return the account's machines."""
        found = await self._all("/machines", wire.Page[wire.Machine])
        return [self._machine_of(each) for each in found]

    async def machine(self, machine_id: str) -> Machine:
        """Return one machine; of one that does not run, also why the last try failed."""
        try:
            found = await self._api.call("GET", f"/machines/{machine_id}", wire.Machine)
        except NotFound as error:
            raise faults.gone(FACTS, machine_id, Problem(404, message=error.details)) from error
        machine = self._machine_of(found)
        if machine.state in {MachineState.RUNNING, MachineState.ENDED, MachineState.STOPPING}:
            return machine
        events = await self._api.call(
            "GET", "/machine-events", wire.Page[wire.Event],
            params={"machineId": machine_id, "limit": "5", "order": "desc"},
        )  # fmt: skip
        last = next((each for each in events.items if each.name in _IN_EVENTS), None)
        if last is None or last.state not in {"error", "cancelled"}:
            return machine
        said = last.error or last.state
        made = last.name == "create"
        return replace(
            machine,
            state=MachineState.FAILED if made else machine.state,
            said=f"{machine.said}, {last.name}: {said}",
            reason=T("Paperspace could not make the machine: {reason}", reason=said)
            if made
            else T("Its last start failed: {reason}", reason=said),
        )

    def _machine_of(self, found: wire.Machine) -> Machine:
        state = _STATES.get(found.state, MachineState.UNKNOWN)
        if found.dt_deleted:
            state = MachineState.ENDED
        card = found.accelerators[0] if found.accelerators else None
        kind = KINDS.get(found.machine_type)
        gpu = kind.gpu if kind is not None else usual_name(card.name) if card is not None else ""
        storage = (found.storage_rate or 0.0) / HOURS_A_MONTH
        running = None if found.usage_rate is None else found.usage_rate + storage
        price = {MachineState.STOPPED: storage, MachineState.ENDED: 0.0}.get(state, running)
        return self._stamp(
            Machine(
                found.id, "", "", name=found.name,
                tag=found.name if found.name.startswith(TAG_PREFIX) else "",
                state=state, said=found.state, gpu=gpu, memory_gb=memory_of(gpu),
                count=int(card.count) if card is not None else 1 if kind is not None else 0,
                region=found.region, place=PLACES.get(found.region, found.region),
                price=price, running_price=running, created=_time(found.dt_created),
                ssh=SshAddress(found.public_ip, user=SSH_USER) if found.public_ip else None,
                actions=frozenset(_ACTIONS.get(state, {Action.END})),
                data={"static_ip": found.public_ip or ""} if found.public_ip_type == "static" else {},
            )
        )  # fmt: skip

    # -- life -------------------------------------------------------------------------------------------------

    async def create(self, order: Order) -> Machine:
        """Make a machine; see `Provider.create`.

        Paperspace has no SSH keys in its API: a startup script, kept under the order's tag until the machine is
        ended, lets us in and sets the host key.
        """
        offer = order.offer
        template = await self._template(offer.ref)
        script = await self._api.call(
            "POST", "/startup-scripts", wire.Script,
            json={
                "name": order.tag, "isRunOnce": True,
                "script": access.startup_script(order, user=self._login_name(SSH_USER)),
            },
        )  # fmt: skip
        wish = {
            "name": order.tag,
            "machineType": offer.ref,
            "templateId": template,
            "diskSize": next((each for each in DISK_SIZES if each >= order.disk_gb), DISK_SIZES[-1]),
            "region": offer.region,
            "publicIpType": "static" if order.static_address else "dynamic",
            "startOnCreate": True,
            "startupScriptId": script.id,
            # Otherwise Paperspace switches the voice off after some hours.
            "autoShutdownEnabled": False,
            "autoSnapshotEnabled": False,
            "takeInitialSnapshot": False,
            "emailPassword": False,
        }  # fmt: skip
        try:
            answer = await self._api.call("POST", "/machines", wire.Change, json=wish, creates=True)
        except PersonaDeskError as error:
            if error.cause == "maybe_done" or (error.provider_status or 0) >= 500:
                # The machine may be there and still need its script.
                raise
            await self._drop_scripts(order.tag)
            if not isinstance(error, NoCapacity):
                raise
            problem = Problem(error.provider_status, "", error.details, error.request_id)
            raise faults.no_capacity(FACTS, offer, problem) from error
        return replace(self._machine_of(answer.data), tag=order.tag, place=offer.place)

    async def _template(self, machine_type: str) -> str:
        """Return the newest Ubuntu for a machine type, with NVIDIA's drivers ("ML-in-a-Box") where there is one."""
        found = [
            each
            for each in await self._all("/os-templates", wire.Page[wire.Template])
            if "ubuntu" in f"{each.name} {each.operating_system_label}".casefold()
            and each.fits(machine_type)
        ]
        if not found:
            raise faults.bad_request(
                FACTS, Problem(message=f"no Ubuntu template for {machine_type}"), cause="no_template"
            )  # fmt: skip
        return max(found, key=_template_rank).id

    async def _drop_scripts(self, tag: str) -> None:
        found = await self._all("/startup-scripts", wire.Page[wire.Script], name=tag)
        for each in found:
            if each.name == tag:
                await self._drop(f"/startup-scripts/{each.id}")

    async def _drop(self, path: str) -> None:
        try:
            await self._api.call("DELETE", path, repeatable=True)
        except NotFound:
            return

    async def act(self, machine: Machine, action: Action) -> None:
        """Start, stop, restart or end a machine."""
        if action is Action.END:
            await self._end(machine)
            return
        try:
            await self._change(machine, action)
        except NoCapacity as error:
            problem = Problem(
                error.provider_status, message=error.details, request_id=error.request_id
            )
            raise faults.gpu_taken(FACTS, problem) from error

    async def _change(self, machine: Machine, action: Action) -> None:
        try:
            answer = await self._api.call(
                "PATCH", f"/machines/{machine.id}/{_WORDS[action]}", wire.Started
            )
        except BadRequest as error:
            # Asked for what is so already, or nearly.
            if error.cause == "wrong_state" and await self._is_so(machine.id, action):
                return
            raise
        event = answer.event
        if event is not None and event.state == "error":
            problem = Problem(message=event.error or "error")
            failed = refusal(replace(problem, status=409))
            raise failed or faults.provider_fault(FACTS, problem)

    async def _is_so(self, machine_id: str, action: Action) -> bool:
        state = (await self.machine(machine_id)).state
        if action is Action.STOP:
            return state in {MachineState.STOPPED, MachineState.STOPPING}
        return action is Action.START and state in {MachineState.RUNNING, MachineState.STARTING}

    async def _end(self, machine: Machine) -> None:
        held: list[str] = []
        failure: PersonaDeskError | None = None
        try:
            held = [each.ip for each in await self._ips() if each.assigned_machine_id == machine.id]
        except PersonaDeskError as error:
            failure = error
        # The machine is what costs most: it goes, whatever else fails.
        await self._drop(f"/machines/{machine.id}")
        if machine.tag:
            await self._drop_scripts(machine.tag)
            for ip in held:
                await self._free(ip)
        if failure is not None:
            raise failure

    async def _ips(self) -> list[wire.PublicIp]:
        return await self._all("/public-ips", wire.Page[wire.PublicIp])

    async def _free(self, ip: str) -> None:
        """Give a static IP back; refused while the machine that had it is still being ended."""
        for attempt in range(1, FREEING_TRIES + 1):
            try:
                await self._drop(f"/public-ips/{ip}")
            except BadRequest:
                # What stays is billed, and found by `leftovers`.
                if attempt == FREEING_TRIES:
                    raise
                await self._sleep(FREEING_SECONDS)
            else:
                return

    # -- what else there is -----------------------------------------------------------------------------------

    async def leftovers(self) -> Sequence[Resource]:
        """Return the account's static IPs (they have no names), and startup scripts of ours."""
        scripts = await self._all("/startup-scripts", wire.Page[wire.Script])
        return [
            *(
                Resource(
                    ResourceKind.ADDRESS, each.ip, self.account.name, name=each.ip, region=each.region,
                    attached=each.assigned_machine_id,
                )
                for each in await self._ips()
            ),
            *(
                Resource(
                    ResourceKind.KEY, each.id, self.account.name, tag=each.name, name=each.name, price=0.0
                )
                for each in scripts
                if each.name.startswith(TAG_PREFIX)
            ),
        ]  # fmt: skip

    async def remove(self, resource: Resource) -> None:
        """Give a static IP back, or remove a startup script."""
        paths = {ResourceKind.ADDRESS: "/public-ips", ResourceKind.KEY: "/startup-scripts"}
        if resource.kind not in paths:
            raise faults.unsupported(FACTS, resource.kind)
        await self._drop(f"{paths[resource.kind]}/{resource.id}")

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()


def _template_rank(template: wire.Template) -> tuple[bool, list[int]]:
    text = f"{template.name} {template.operating_system_label}"
    versions = re.findall(r"ubuntu[^0-9]*(\d+)\.(\d+)", text.casefold())
    return "ml-in-a-box" in text.casefold().replace(" ", "-"), [
        int(part) for each in versions[:1] for part in each
    ]


def _time(text: str) -> float | None:
    """Read RFC 3339, None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
