"""One Google account: the calls."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import AuthFailed, NoCapacity, NotFound, PersonaDeskError
from personadesk.domain.machine import OWNER_LABEL, Action, Machine, MachineState, ResourceKind
from personadesk.domain.text import T
from personadesk.providers import access, faults, lease
from personadesk.providers.base import Provider
from personadesk.providers.google import failures, reading, wire
from personadesk.providers.google.facts import (
    API_PATH,
    DISK_TYPE,
    END_RIGHTS,
    FACTS,
    FAMILIES,
    IMAGE,
    RENT_RIGHTS,
    RIGHTS_PLACE,
    SEE_RIGHTS,
    USER,
    region_of,
)
from personadesk.providers.google.signing import TokenPlace, read_key, secrets_of
from personadesk.providers.tokens import TokenKeeper
from personadesk.providers.web import MOST_PAGES, Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from personadesk.domain.machine import Order, Resource
    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.text import Text
    from personadesk.providers.faults import Problem

_Page = TypeVar("_Page", bound=wire.Page)
_NAMES = uuid.UUID("5b0e7c1e-0f0b-5a7e-9a51-6f6f3b6f0c11")
"""Under which our tags become request ids; any fixed one would do."""
OPERATION_POLL_S = 2.0
CREATE_LIMIT_S = 60.0
"""How long a creation is watched: a zone that has no GPU says so within seconds, after it has taken the order."""
START_LIMIT_S = 60.0
END_LIMIT_S = 90.0
_VERBS = {Action.START: "start", Action.STOP: "stop", Action.RESTART: "reset"}


class Google(Provider):
    """One Google project, entered as a service account."""

    facts = FACTS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._made: Api | None = None
        self._tokens: TokenPlace | None = None
        self._keeper: TokenKeeper
        self._key: wire.Key
        self._secrets: list[str] = []
        self._project = self._base = ""

    # -- the account ------------------------------------------------------------------------------------------

    async def verify(self) -> AccountInfo:
        """See `Provider.verify`. What the key may do is asked of Google's list of rights."""
        api = self._api()
        project = await api.call("GET", self._at(""), wire.Project)
        limits = [
            T(
                "GPUs at a time: {limit}, {used} in use",
                limit=int(quota.limit), used=int(quota.usage),
            )
            for quota in project.quotas
            if quota.metric == "GPUS_ALL_REGIONS"
        ]  # fmt: skip
        rights = {Right.SEE}
        missing: list[Text] = []
        granted = await self._granted()
        if granted is None:
            # Listing is what every look at the fleet needs; a key that may not is told now.
            path = self._at("/aggregated/instances")
            await api.call("GET", path, wire.Instances, params={"maxResults": 1})
            limits.append(
                T("Whether this key may rent isn't told: the “Cloud Resource Manager API” is off.")
            )
        else:
            for name in SEE_RIGHTS:
                if name not in granted:
                    problem = faults.Problem(message=name)
                    raise faults.missing_right(FACTS, self.account.name, name, problem)
            for right, names in ((Right.RENT, RENT_RIGHTS), (Right.END, END_RIGHTS)):
                lacking = [name for name in names if name not in granted]
                missing += [T("The right “{right}” is missing.", right=name) for name in lacking]
                if not lacking:
                    rights.add(right)
        return AccountInfo(
            who=self._key.client_email, rights=frozenset(rights), missing=tuple(missing),
            balance_reason=FACTS.can.balance.reason, limits=tuple(limits), checked=self._clock(),
        )  # fmt: skip

    async def _granted(self) -> frozenset[str] | None:
        """Return which of the rights that we need the key has; None when Google does not tell."""
        names = [*SEE_RIGHTS, *RENT_RIGHTS, *END_RIGHTS]
        api = self._new_api(self._base or RIGHTS_PLACE)
        try:
            answer = await api.call(
                "POST", f"/v1/projects/{self._project}:testIamPermissions", wire.Permissions,
                json={"permissions": names}, repeatable=True,
            )  # fmt: skip
        except (AuthFailed, NotFound):
            # That service may be off while Compute Engine is on.
            return None
        finally:
            await api.aclose()
        return frozenset(answer.permissions)

    # -- what could be rented ---------------------------------------------------------------------------------

    async def offers(self, need: Need) -> Sequence[Offer]:
        """See `Provider.offers`. Where the account has no quota, nothing is offered.

        Raises:
            QuotaExceeded: Something would fit, but the account may rent none of it.
        """
        params = {"filter": f'name eq "{FAMILIES}"', "maxResults": 500}
        types = [
            each
            async for page in self._pages(self._at("/aggregated/machineTypes"), wire.MachineTypes, params)
            for zone in page.items.values()
            for each in zone.machine_types
        ]  # fmt: skip
        fitting = reading.offers(self.account.name, types, need, self._clock())
        if not fitting:
            return []
        project = await self._api().call("GET", self._at(""), wire.Project)
        left = reading.room(project.quotas, "GPUS_ALL_REGIONS")
        regions = {each.name: each.quotas async for each in self._regions()}
        allowed = [
            each
            for each in fitting
            if (left is None or left >= each.count) and reading.allowed(each, regions)
        ]
        if not allowed:
            message = f"GPUS_ALL_REGIONS: {left:g} left" if left is not None else "no region"
            raise faults.quota(FACTS, faults.Problem(code="quota", message=message))
        return allowed

    async def _regions(self) -> AsyncIterator[wire.Region]:
        async for page in self._pages(self._at("/regions"), wire.Regions):
            for each in page.items:
                yield each

    # -- what is there ----------------------------------------------------------------------------------------

    async def machines(self) -> Sequence[Machine]:
        """See `Provider.machines`."""
        return [
            self._stamp(reading.machine(each, self._ssh))
            async for page in self._pages(
                self._at("/aggregated/instances"), wire.Instances, {"maxResults": 500}
            )
            for zone in page.items.values()
            for each in zone.instances
        ]

    async def machine(self, machine_id: str) -> Machine:
        """See `Provider.machine`.

        Raises:
            NoCapacity: It never came, since its zone had no GPU after all; any other reason is told as well.
        """
        zone, _, name = machine_id.partition("/")
        try:
            found = await self._api().call(
                "GET", self._at(f"/zones/{zone}/instances/{name}"), wire.Instance
            )
        except NotFound:
            await self._tell_why(zone, name)
            raise faults.gone(FACTS, name) from None
        return self._stamp(reading.machine(found, self._ssh))

    async def _tell_why(self, zone: str, name: str) -> None:
        """Raise what Google said of the creation of an instance that is not there, if that failed."""
        # As a regular expression, since links begin with one of several hosts.
        params = {"filter": f'targetLink eq ".*/zones/{zone}/instances/{name}"', "maxResults": 100}
        path = self._at(f"/zones/{zone}/operations")
        found = [
            each
            async for page in self._pages(path, wire.Operations, params)
            for each in page.items
            if each.operation_type == "insert"
        ]
        newest = max(found, key=lambda each: each.insert_time, default=None)
        if newest is not None and newest.error is not None:
            raise failures.of_operation(self.account.name, newest)

    # -- life -------------------------------------------------------------------------------------------------

    async def create(self, order: Order) -> Machine:
        """See `Provider.create`. Asking again makes no second one: its name and request id come from the order."""
        zone, name = order.offer.region, _name(order)
        address = await self._keep_address(order) if order.static_address else ""
        try:
            await self._insert(order, address)
        except PersonaDeskError as error:
            if address and error.cause != "maybe_done":
                # Nothing will ever use it; it would be billed for nothing.
                await self._release(region_of(zone), name)
            raise
        try:
            found = await self._api().call(
                "GET", self._at(f"/zones/{zone}/instances/{name}"), wire.Instance
            )
        except NotFound:
            # Taken, but not shown yet.
            return self._stamp(
                Machine(
                    f"{zone}/{name}", "", FACTS.id, name=name, tag=order.tag, state=MachineState.REQUESTED,
                    gpu=order.offer.gpu, memory_gb=order.offer.memory_gb, region=zone,
                    place=order.offer.place, running_price=order.offer.price,
                )
            )  # fmt: skip
        return self._stamp(reading.machine(found, self._ssh))

    async def _insert(self, order: Order, address: str) -> None:
        zone = order.offer.region
        try:
            operation = await self._api().call(
                "POST", self._at(f"/zones/{zone}/instances"), wire.Operation,
                json=self._body(order, address), repeatable=True, creates=True,
                params={"requestId": _request_id(_name(order), zone, order.offer.ref)},
            )  # fmt: skip
        except PersonaDeskError as error:
            if failures.exists(error) and await self._is_ours(zone, order):
                return
            raise failures.of_creation(error, order.offer) from error
        waited = 0.0
        while operation.status != "DONE" and waited < CREATE_LIMIT_S:
            await self._sleep(OPERATION_POLL_S)
            waited += OPERATION_POLL_S
            operation = await self._operation(f"zones/{zone}", operation)
            if operation.status != "DONE" and await self._has_hardware(zone, _name(order)):
                return
        if operation.error is not None:
            raise failures.of_operation(self.account.name, operation, order.offer)

    async def _has_hardware(self, zone: str, name: str) -> bool:
        try:
            found = await self._api().call(
                "GET", self._at(f"/zones/{zone}/instances/{name}"), wire.Instance
            )
        except NotFound:
            return False
        return found.status in {"STAGING", "RUNNING"}

    async def _is_ours(self, zone: str, order: Order) -> bool:
        found = await self._api().call(
            "GET", self._at(f"/zones/{zone}/instances/{_name(order)}"), wire.Instance
        )
        return found.labels.get(OWNER_LABEL) == order.tag

    def _body(self, order: Order, address: str) -> dict[str, Any]:
        zone, offer = order.offer.region, order.offer
        way_out: dict[str, Any] = {"type": "ONE_TO_ONE_NAT", "name": "External NAT"}
        if address:
            way_out["natIP"] = address
        items = [
            {"key": "ssh-keys", "value": f"{USER}:{order.public_key.strip()}"},
            # Where a project lets people in by their Google account, keys would be ignored.
            {"key": "enable-oslogin", "value": "FALSE"},
        ]
        if config := access.cloud_config(order, further=lease.cloud_modules(order.lease_hours)):
            items.append({"key": "user-data", "value": config})
        labels = {OWNER_LABEL: order.tag}
        # Machines with GPUs cannot be moved while they run; a spot machine is not started again by Google.
        scheduling: dict[str, Any] = {
            "onHostMaintenance": "TERMINATE",
            "automaticRestart": not offer.spot,
        }
        if offer.spot:
            scheduling |= {"provisioningModel": "SPOT", "instanceTerminationAction": "STOP"}
        return {
            "name": _name(order),
            "machineType": f"zones/{zone}/machineTypes/{offer.ref}",
            "labels": labels,
            "disks": [
                {
                    "boot": True, "autoDelete": True,
                    "initializeParams": {
                        "sourceImage": IMAGE, "diskSizeGb": str(order.disk_gb),
                        "diskType": f"zones/{zone}/diskTypes/{DISK_TYPE}", "labels": labels,
                    },
                }
            ],
            "networkInterfaces": [
                {
                    "network": f"global/networks/{self._setting('network')}",
                    "accessConfigs": [way_out],
                }
            ],
            "scheduling": scheduling,
            "metadata": {"items": items},
        }  # fmt: skip

    async def act(self, machine: Machine, action: Action) -> None:
        """See `Provider.act`. A start is watched until Google has a GPU for it, or says that it has none."""
        zone, _, name = machine.id.partition("/")
        path = self._at(f"/zones/{zone}/instances/{name}")
        if action is Action.END:
            await self._end(machine, path)
            return
        verb = _VERBS[action]
        if action is Action.START and machine.said.startswith("SUSPENDED"):
            verb = "resume"
        operation = await self._api().call(
            "POST", f"{path}/{verb}", wire.Operation, repeatable=True,
            params={"requestId": str(uuid.uuid4())},
        )  # fmt: skip
        limit = START_LIMIT_S if action is Action.START else 0.0
        try:
            await self._follow(f"zones/{zone}", operation, limit)
        except NoCapacity as error:
            problem = faults.Problem(error.provider_status, message=error.details)
            raise faults.gpu_taken(FACTS, problem) from error

    async def _end(self, machine: Machine, path: str) -> None:
        region = region_of(machine.region)
        try:
            operation = await self._api().call(
                "DELETE", path, wire.Operation, repeatable=True,
                params={"requestId": str(uuid.uuid4())},
            )  # fmt: skip
        except NotFound:
            operation = None
        if not machine.tag or not await self._has_address(region, machine.name):
            return
        if operation is not None:
            # An address can go only after the machine that uses it.
            operation = await self._follow(f"zones/{machine.region}", operation, END_LIMIT_S)
        if operation is None or operation.status == "DONE":
            await self._release(region, machine.name)

    # -- addresses --------------------------------------------------------------------------------------------

    async def leftovers(self) -> Sequence[Resource]:
        """See `Provider.leftovers`: fixed addresses of ours, looked for in regions that have any."""
        found = []
        async for region in self._regions():
            used = next(
                (each.usage for each in region.quotas if each.metric == "STATIC_ADDRESSES"), 1.0
            )
            if not used:
                continue
            path = self._at(f"/regions/{region.name}/addresses")
            async for page in self._pages(path, wire.Addresses):
                found += [
                    replace(reading.address(each), account=self.account.name)
                    for each in page.items
                    if OWNER_LABEL in each.labels
                ]
        return found

    async def remove(self, resource: Resource) -> None:
        """See `Provider.remove`."""
        if resource.kind is not ResourceKind.ADDRESS:
            raise faults.unsupported(FACTS, resource.kind)
        region, _, name = resource.id.partition("/")
        await self._release(region, name)

    async def _keep_address(self, order: Order) -> str:
        """Return a fixed address for an order, reserved when it has none yet."""
        region, name = region_of(order.offer.region), _name(order)
        body = {"name": name, "addressType": "EXTERNAL", "labels": {OWNER_LABEL: order.tag}}
        try:
            operation = await self._api().call(
                "POST", self._at(f"/regions/{region}/addresses"), wire.Operation, json=body,
                params={"requestId": _request_id(name, region, "address")}, repeatable=True,
            )  # fmt: skip
        except PersonaDeskError as error:
            if not failures.exists(error):
                raise
        else:
            await self._follow(f"regions/{region}", operation, CREATE_LIMIT_S)
        found = await self._api().call(
            "GET", self._at(f"/regions/{region}/addresses/{name}"), wire.Address
        )
        return found.address

    async def _has_address(self, region: str, name: str) -> bool:
        try:
            await self._api().call(
                "GET", self._at(f"/regions/{region}/addresses/{name}"), wire.Address
            )
        except NotFound:
            return False
        return True

    async def _release(self, region: str, name: str) -> None:
        try:
            operation = await self._api().call(
                "DELETE", self._at(f"/regions/{region}/addresses/{name}"), wire.Operation, repeatable=True
            )  # fmt: skip
        except NotFound:
            return
        await self._follow(f"regions/{region}", operation, 0.0)

    # -- the machine's log ------------------------------------------------------------------------------------

    async def log(self, machine: Machine) -> Sequence[str]:
        """See `Provider.log`: what it wrote to its first serial port."""
        zone, _, name = machine.id.partition("/")
        path = self._at(f"/zones/{zone}/instances/{name}/serialPort")
        return (await self._api().call("GET", path, wire.SerialPort)).contents.splitlines()

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        if self._made is not None:
            await self._made.aclose()
        if self._tokens is not None:
            await self._tokens.aclose()

    # -- the way there ----------------------------------------------------------------------------------------

    def _api(self) -> Api:
        """Return the way to Compute Engine; the key is read at the first call."""
        if self._made is None:
            text, name = self._credentials.get("api_key", ""), self.account.name
            self._base = self.account.base_url.rstrip("/").removesuffix(API_PATH)
            self._key = read_key(text, name)
            self._project = self._setting("project") or self._key.project_id
            self._secrets = secrets_of(text, self._key)
            self._tokens = TokenPlace(
                self._key, name, base_url=self._base, secrets=self._secrets, clock=self._clock,
                sleep=self._sleep, transport=self._transport,
            )  # fmt: skip
            self._keeper = TokenKeeper(self._tokens.fetch, clock=self._clock)
            self._made = self._new_api(self._base or FACTS.base_url)
        return self._made

    def _new_api(self, base: str) -> Api:
        return Api(
            FACTS, self.account.name, base, headers=self._proof, refusal=self._refusal,
            read=failures.read, secrets=self._secrets, transport=self._transport, sleep=self._sleep,
        )  # fmt: skip

    async def _proof(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {await self._keeper.get()}"}

    def _refusal(self, problem: Problem) -> PersonaDeskError | None:
        if problem.status == 401:
            self._keeper.forget()
        return failures.of_request(self.account.name, problem)

    async def _operation(self, scope: str, operation: wire.Operation) -> wire.Operation:
        return await self._api().call(
            "GET", self._at(f"/{scope}/operations/{operation.name}"), wire.Operation
        )

    async def _follow(
        self, scope: str, operation: wire.Operation, limit_s: float
    ) -> wire.Operation:
        """Wait until an operation is done or the limit is over; raise what it failed with."""
        waited = 0.0
        while operation.status != "DONE" and waited < limit_s:
            await self._sleep(OPERATION_POLL_S)
            waited += OPERATION_POLL_S
            operation = await self._operation(scope, operation)
        if operation.error is not None:
            raise failures.of_operation(self.account.name, operation)
        return operation

    async def _pages(
        self, path: str, into: type[_Page], params: Mapping[str, Any] | None = None
    ) -> AsyncIterator[_Page]:
        token = ""
        for _ in range(MOST_PAGES):
            more = {"pageToken": token} if token else {}
            page = await self._api().call("GET", path, into, params={**(params or {}), **more})
            yield page
            token = page.next_page_token
            if not token:
                return
        raise faults.provider_fault(FACTS, faults.Problem(message=f"{path} has no last page"))

    def _at(self, rest: str) -> str:
        self._api()
        return f"{API_PATH}/projects/{self._project}{rest}"


def _name(order: Order) -> str:
    """Return the name of an order's machine and address, unique to the try."""
    return order.token or order.tag


def _request_id(*parts: str) -> str:
    """Return the request id of a creation: the same for the same wish, so that Google does it once.

    A zone that had no GPU is another wish than the next one: Google would answer with the first one's failure.
    """
    return str(uuid.uuid5(_NAMES, "/".join(parts)))
