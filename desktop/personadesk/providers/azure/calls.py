"""One Azure subscription: the calls."""

from __future__ import annotations

import asyncio
import logging
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import AuthFailed, NoCapacity, NotFound, PersonaDeskError
from personadesk.domain.machine import (
    OWNER_LABEL,
    Action,
    Machine,
    Resource,
    ResourceKind,
)
from personadesk.domain.text import T
from personadesk.providers import faults
from personadesk.providers.azure import bodies, failures, prices, reading, wire
from personadesk.providers.azure.facts import (
    COMPUTE,
    END_RIGHTS,
    FACTS,
    GROUPS,
    LOGIN,
    NETWORK,
    PERMISSIONS,
    PRICES,
    RENT_RIGHTS,
    SCOPE,
    SEE_RIGHTS,
    SIZES,
    SKUS,
    SUBSCRIPTIONS,
)
from personadesk.providers.base import Provider
from personadesk.providers.tokens import Token, TokenKeeper
from personadesk.providers.web import MOST_PAGES, Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import httpx

    from personadesk.domain.machine import Order
    from personadesk.domain.offer import Need, Offer
    from personadesk.domain.text import Text
    from personadesk.providers.faults import Problem

log = logging.getLogger(__name__)
_Page = TypeVar("_Page", bound=wire.Page)

POLL_S = 2.0
LONGEST_POLL_S = 10.0
NETWORK_LIMIT_S = 60.0
CREATE_LIMIT_S = 60.0
"""How long a creation is watched: a region that has no GPU says so within a minute, after it has taken the order."""
START_LIMIT_S = 90.0
SKUS_KEPT_S = 3600.0
"""Sizes and what an account may have of them change rarely, and a region's list is megabytes."""
_VERBS = {Action.START: "start", Action.STOP: "deallocate", Action.RESTART: "restart"}
"""`powerOff` is not among them: it leaves the bill as it is."""
_CLOSED = frozenset({"Disabled", "Deleted", "Expired"})


class Azure(Provider):
    """One subscription, entered as an application (a service principal)."""

    facts = FACTS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        base = self.account.base_url.rstrip("/")
        secret = self._credentials.get("client_secret", "")
        self._keeper = TokenKeeper(self._fetch_token, clock=self._clock)
        self._subscription = f"/subscriptions/{self._setting('subscription_id')}"
        self._api = self._way(base or FACTS.base_url, [secret], self._proof, self._refusal)
        self._login = self._way(
            base or LOGIN, [secret], _nothing, lambda p: failures.of_token(self.account.name, p)
        )
        self._public = self._way(base or PRICES, [], _nothing, lambda problem: None)
        self._skus: dict[str, tuple[float, list[wire.Sku]]] = {}
        self._costs: dict[tuple[str, str, bool], float] = {}
        self._addresses: dict[str, str] = {}

    def _way(self, base: str, secrets: list[str], headers: Any, refusal: Any) -> Api:
        return Api(
            FACTS, self.account.name, base, headers=headers, refusal=refusal, read=failures.read,
            secrets=secrets, transport=self._transport, sleep=self._sleep,
        )  # fmt: skip

    # -- the account ------------------------------------------------------------------------------------------

    async def verify(self) -> AccountInfo:
        """See `Provider.verify`. What the application may do is read from its roles."""
        params = {"api-version": SUBSCRIPTIONS}
        found = await self._api.call("GET", self._subscription, wire.Subscription, params=params)
        if found.state in _CLOSED:
            raise faults.out_of_funds(
                FACTS, faults.Problem(code=found.state, message=found.display_name)
            )
        limits: list[Text] = []
        if found.state not in {"Enabled", ""}:
            limits.append(T("Azure says of this subscription: {state}", state=found.state))
        rights = frozenset({Right.SEE})
        missing: list[Text] = []
        roles = await self._roles()
        if roles is None:
            limits.append(T("Azure doesn't tell what this application may do."))
        else:
            for name in SEE_RIGHTS:
                if not _may(roles, name):
                    raise faults.missing_right(
                        FACTS, self.account.name, name, faults.Problem(message=name)
                    )
            for right, names in ((Right.RENT, RENT_RIGHTS), (Right.END, END_RIGHTS)):
                lacking = [name for name in names if not _may(roles, name)]
                missing += [T("The right “{right}” is missing.", right=name) for name in lacking]
                if not lacking:
                    rights |= {right}
        return AccountInfo(
            who=found.display_name, rights=rights, missing=tuple(missing),
            balance_reason=FACTS.can.balance.reason, limits=tuple(limits), checked=self._clock(),
        )  # fmt: skip

    async def _roles(self) -> list[wire.Permission] | None:
        path = f"{self._subscription}/providers/Microsoft.Authorization/permissions"
        try:
            return [
                each
                async for page in self._pages(path, wire.Permissions, {"api-version": PERMISSIONS})
                for each in page.value
            ]
        except (AuthFailed, NotFound) as error:
            if error.cause in {"bad_key", "expired_key"}:
                raise
            return None

    # -- what could be rented ---------------------------------------------------------------------------------

    async def offers(self, need: Need) -> Sequence[Offer]:
        """See `Provider.offers`. What the account has no quota for is left out.

        Raises:
            QuotaExceeded: Something would fit, but the account may rent none of it.
        """
        names = self._setting("locations").replace(",", " ").split()
        regions = asyncio.gather(*(self._region(name) for name in names))
        self._costs, told = await asyncio.gather(self._prices(names), regions)
        fitting: list[Offer] = []
        allowed: list[Offer] = []
        for name, (skus, usages) in zip(names, told, strict=True):
            asked = self._clock()
            here = list(reading.offers(self.account.name, name, skus, need, self._costs, asked))
            fitting += here
            allowed += [each for each in here if reading.allowed(each, usages)]
        if fitting and not allowed:
            problem = faults.Problem(code="quota", message="no region allows enough cores")
            raise faults.quota(FACTS, problem)
        return allowed

    async def _region(self, name: str) -> tuple[list[wire.Sku], list[wire.Usage]]:
        path = f"{self._subscription}/providers/Microsoft.Compute/locations/{name}/usages"
        usages = [
            each
            async for page in self._pages(path, wire.Usages, {"api-version": COMPUTE})
            for each in page.value
        ]
        return await self._sizes(name), usages

    async def _sizes(self, location: str) -> list[wire.Sku]:
        read_at, known = self._skus.get(location, (0.0, []))
        if known and self._clock() - read_at < SKUS_KEPT_S:
            return known
        params = {"api-version": SKUS, "$filter": f"location eq '{location}'"}
        path = f"{self._subscription}/providers/Microsoft.Compute/skus"
        found = [
            each
            async for page in self._pages(path, wire.Skus, params)
            for each in page.value
            if each.name in SIZES
        ]
        self._skus[location] = (self._clock(), found)
        return found

    async def _prices(self, locations: list[str]) -> dict[tuple[str, str, bool], float]:
        """Return the public list's prices; what was known before, or nothing, where it cannot be had."""
        sizes = " or ".join(f"armSkuName eq '{name}'" for name in SIZES)
        places = " or ".join(f"armRegionName eq '{name}'" for name in locations)
        wanted = f"serviceName eq 'Virtual Machines' and priceType eq 'Consumption' and ({sizes}) and ({places})"
        items: list[wire.Price] = []
        path, params = "/api/retail/prices", {"$filter": wanted}
        try:
            for _ in range(MOST_PAGES):
                page = await self._public.call("GET", path, wire.Prices, params=params or None)
                items += page.items
                if not page.next_page_link:
                    break
                path, params = page.next_page_link, {}
        except PersonaDeskError as error:
            log.info("Azure's price list cannot be had, so ours is shown: %s", error.what)
            return self._costs
        return prices.live(items)

    # -- what is there ----------------------------------------------------------------------------------------

    async def machines(self) -> Sequence[Machine]:
        """See `Provider.machines`: one list says what they are, another how they stand."""
        path = f"{self._subscription}/providers/Microsoft.Compute/virtualMachines"
        params = {"api-version": COMPUTE}
        what, how = await asyncio.gather(
            self._all(path, params), self._all(path, {**params, "statusOnly": "true"})
        )
        stands = {each.id.casefold(): each.properties.instance_view for each in how}
        found = []
        for each in what:
            view = stands.get(each.id.casefold(), each.properties.instance_view)
            each.properties.instance_view = view
            found.append(await self._told(each))
        return found

    async def _all(self, path: str, params: Mapping[str, str]) -> list[wire.VirtualMachine]:
        return [
            each
            async for page in self._pages(path, wire.VirtualMachines, params)
            for each in page.value
        ]

    async def machine(self, machine_id: str) -> Machine:
        """See `Provider.machine`."""
        params = {"api-version": COMPUTE, "$expand": "instanceView"}
        path = self._vm(machine_id)
        return await self._told(
            await self._api.call("GET", path, wire.VirtualMachine, params=params)
        )

    async def _told(self, found: wire.VirtualMachine) -> Machine:
        address = ""
        if wire.tag_of(found.tags):
            address = await self._address_of(*reading.place_of(found.id))
        return self._stamp(reading.machine(found, address, self._costs, self._ssh))

    async def _address_of(self, group: str, name: str) -> str:
        """Return a machine's fixed address; asked once, since it stays."""
        if group not in self._addresses:
            path = self._in(group, f"Microsoft.Network/publicIPAddresses/{name}")
            params = {"api-version": NETWORK}
            try:
                found = await self._api.call("GET", path, wire.PublicAddress, params=params)
            except NotFound:
                return ""
            if not found.properties.ip_address:
                return ""
            self._addresses[group] = found.properties.ip_address
        return self._addresses[group]

    # -- life -------------------------------------------------------------------------------------------------

    async def create(self, order: Order) -> Machine:
        """See `Provider.create`. All is put by name, so that asking again makes no second one."""
        name = bodies.name_of(order)
        try:
            await self._put_all(order, name)
        except PersonaDeskError as error:
            if error.cause == "maybe_done":
                raise
            # A machine for which there was no room may be there nevertheless, and all around it is.
            try:
                await self._end_group(name)
            except PersonaDeskError as left:
                log.info("%s: the group %s is left: %s", self.account.name, name, left.what)
                error.details += f"\nThe resource group {name} could not be deleted: {left.what}"
            raise failures.of_creation(error, order.offer) from error
        return await self.machine(f"{name}/{name}")

    async def _put_all(self, order: Order, name: str) -> None:
        await self._put(self._group(name), GROUPS, bodies.group(order), NETWORK_LIMIT_S)
        net = f"Microsoft.Network/{{}}/{name}"
        firewall = self._in(name, net.format("networkSecurityGroups"))
        network = self._in(name, net.format("virtualNetworks"))
        address = self._in(name, net.format("publicIPAddresses"))
        interface = self._in(name, net.format("networkInterfaces"))
        await asyncio.gather(
            self._put(firewall, NETWORK, bodies.firewall(order), NETWORK_LIMIT_S),
            self._put(network, NETWORK, bodies.network(order), NETWORK_LIMIT_S),
            self._put(address, NETWORK, bodies.address(order), NETWORK_LIMIT_S),
        )
        ties = bodies.interface(
            order, subnet_id=f"{network}/subnets/{bodies.SUBNET}", address_id=address,
            firewall_id=firewall,
        )  # fmt: skip
        await self._put(interface, NETWORK, ties, NETWORK_LIMIT_S)
        machine = bodies.machine(order, interface_id=interface)
        await self._put(self._vm(f"{name}/{name}"), COMPUTE, machine, CREATE_LIMIT_S, last=True)

    async def _put(
        self,
        path: str,
        version: str,
        body: Mapping[str, Any],
        limit_s: float,
        *,
        last: bool = False,
    ) -> None:
        response = await self._api.send(
            "PUT", path, params={"api-version": version}, json=body, repeatable=True, creates=last
        )
        if not await self._finished(response, limit_s) and not last:
            raise faults.provider_fault(
                FACTS, faults.Problem(message=f"{path} is not ready in time")
            )

    async def act(self, machine: Machine, action: Action) -> None:
        """See `Provider.act`. A start is watched until Azure has a GPU for it, or says that it has none."""
        if action is Action.END:
            await self._end(machine)
            return
        response = await self._api.send(
            "POST", f"{self._vm(machine.id)}/{_VERBS[action]}", params={"api-version": COMPUTE},
            repeatable=True,
        )  # fmt: skip
        try:
            await self._finished(response, START_LIMIT_S if action is Action.START else 0.0)
        except NoCapacity as error:
            problem = faults.Problem(error.provider_status, message=error.details)
            raise faults.gpu_taken(FACTS, problem) from error

    async def _end(self, machine: Machine) -> None:
        group, _, name = machine.id.partition("/")
        if machine.tag and group.casefold() == name.casefold():
            # Ours alone: we make one group for one machine, and call both alike.
            await self._end_group(group)
            return
        try:
            await self._api.send(
                "DELETE", self._vm(machine.id), params={"api-version": COMPUTE}, repeatable=True
            )
        except NotFound:
            return

    async def _end_group(self, name: str) -> None:
        params = {"api-version": GROUPS, "forceDeletionTypes": "Microsoft.Compute/virtualMachines"}
        self._addresses.pop(name, None)
        try:
            await self._api.send("DELETE", self._group(name), params=params, repeatable=True)
        except NotFound:
            return

    # -- groups -----------------------------------------------------------------------------------------------

    async def leftovers(self) -> Sequence[Resource]:
        """See `Provider.leftovers`: groups of ours, which hold disks, addresses and networks."""
        params = {"api-version": GROUPS, "$filter": f"tagName eq '{OWNER_LABEL}'"}
        path = f"{self._subscription}/resourcegroups"
        machines = {each.id.casefold(): each for each in await self.machines()}
        found = []
        async for page in self._pages(path, wire.Groups, params):
            for each in page.value:
                inside = machines.get(f"{each.name}/{each.name}".casefold())
                found.append(
                    Resource(
                        kind=ResourceKind.GROUP, id=each.name, account=self.account.name,
                        tag=wire.tag_of(each.tags), name=each.name,
                        region=each.location, attached=inside.id if inside is not None else "",
                    )
                )  # fmt: skip
        return found

    async def remove(self, resource: Resource) -> None:
        """See `Provider.remove`."""
        if resource.kind is not ResourceKind.GROUP:
            raise faults.unsupported(FACTS, resource.kind)
        await self._end_group(resource.id)

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        for api in (self._api, self._login, self._public):
            await api.aclose()

    # -- the way there ----------------------------------------------------------------------------------------

    async def _fetch_token(self) -> Token:
        form = {
            "grant_type": "client_credentials", "scope": SCOPE,
            "client_id": self._setting("client_id"),
            "client_secret": self._credentials.get("client_secret", ""),
        }  # fmt: skip
        path = f"/{self._setting('tenant_id')}/oauth2/v2.0/token"
        answer = await self._login.call("POST", path, wire.TokenAnswer, form=form, repeatable=True)
        return Token(answer.access_token, answer.expires_in)

    async def _proof(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {await self._keeper.get()}"}

    def _refusal(self, problem: Problem) -> PersonaDeskError | None:
        if problem.status == 401:
            self._keeper.forget()
        return failures.of_request(self.account.name, problem)

    async def _finished(self, response: httpx.Response, limit_s: float) -> bool:
        """Follow what Azure has taken (its guidelines, "Long-running operations") and return whether it is done.

        Raises:
            PersonaDeskError: What it failed with.
        """
        told = response.headers.get("azure-asyncoperation", "")
        url = told or (response.headers.get("location", "") if response.status_code == 202 else "")
        waited = 0.0
        while url:
            if waited >= limit_s:
                return False
            asked = response.headers.get("retry-after", "")
            pause = min(float(asked), LONGEST_POLL_S) if asked.isdigit() else POLL_S
            await self._sleep(pause)
            waited += max(pause, 0.1)
            response = await self._api.send("GET", url)
            if not told:
                if response.status_code != 202:
                    return True
                continue
            status = msgspec.json.decode(response.content, type=wire.AsyncOperation)
            if status.status in {"Failed", "Canceled"}:
                raise failures.of_operation(self.account.name, status)
            if status.status == "Succeeded":
                return True
        return True

    async def _pages(
        self, path: str, into: type[_Page], params: Mapping[str, str]
    ) -> AsyncIterator[_Page]:
        for _ in range(MOST_PAGES):
            page = await self._api.call("GET", path, into, params=params or None)
            yield page
            if not page.next_link:
                return
            # The next page's address has the query in it.
            path, params = page.next_link, {}
        raise faults.provider_fault(FACTS, faults.Problem(message="a list has no last page"))

    def _group(self, name: str) -> str:
        return f"{self._subscription}/resourcegroups/{name}"

    def _in(self, group: str, rest: str) -> str:
        return f"{self._subscription}/resourceGroups/{group}/providers/{rest}"

    def _vm(self, machine_id: str) -> str:
        group, _, name = machine_id.partition("/")
        return self._in(group, f"Microsoft.Compute/virtualMachines/{name}")


def _may(roles: Sequence[wire.Permission], action: str) -> bool:
    """Whether one of the roles allows an action; both are written in any case, with `*` for any text."""
    small = action.casefold()
    return any(
        any(fnmatchcase(small, pattern.casefold()) for pattern in role.actions)
        and not any(fnmatchcase(small, pattern.casefold()) for pattern in role.not_actions)
        for role in roles
    )


async def _nothing() -> Mapping[str, str]:
    return {}
