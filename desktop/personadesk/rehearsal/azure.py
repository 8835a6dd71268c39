"""Azure's API (Resource Manager), where its tokens come from, and its price list, in front of a rehearsal world.

A group and the network in it are one thing of the world; its machine is another, so that what is left over shows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from personadesk.domain.account import Right
from personadesk.rehearsal import user_data
from personadesk.rehearsal.http import Answer, Ready, Request, Simulator, route
from personadesk.rehearsal.things import Kind, Machine, Pace, Refused, State, Thing, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.rehearsal.world import World

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SUBSCRIPTION = "33333333-3333-3333-3333-333333333333"
SECRET = "rehearsal-azure"  # noqa: S105 - a pretend one
TOKEN_SECONDS = 3600
_SUB = f"/subscriptions/{SUBSCRIPTION}"
_GROUP = "/subscriptions/{subscription}/resourcegroups/{group}"
_IN = "/subscriptions/{subscription}/resourceGroups/{group}/providers"
_VM = f"{_IN}/Microsoft.Compute/virtualMachines/{{name}}"
_OPERATION = f"{_SUB}/providers/Microsoft.Compute/locations/{{place}}/operations/{{id}}"
_MANY_CORES = 1000
_POWER = {
    State.BOOTING: "starting", State.RUNNING: "running", State.RESTARTING: "running",
    State.STOPPING: "deallocating", State.STOPPED: "deallocated", State.STARTING: "starting",
    State.LOST: "unknown",
}  # fmt: skip
_PROVISIONING = {
    State.REQUESTED: "Creating", State.BOOTING: "Creating", State.ENDING: "Deleting", State.FAILED: "Failed",
}  # fmt: skip
_REFUSALS: Mapping[Why, tuple[int, str]] = {
    Why.BAD_KEY: (401, "InvalidAuthenticationToken"), Why.EXPIRED: (401, "ExpiredAuthenticationToken"),
    Why.MISSING_RIGHT: (403, "AuthorizationFailed"), Why.NO_MONEY: (409, "ReadOnlyDisabledSubscription"),
    Why.NO_CAPACITY: (409, "SkuNotAvailable"), Why.QUOTA: (409, "OperationNotAllowed"),
    Why.RATE: (429, "TooManyRequests"), Why.NOT_FOUND: (404, "ResourceNotFound"), Why.WRONG_STATE: (409, "Conflict"),
    Why.BAD_REQUEST: (400, "InvalidParameter"), Why.FAULT: (500, "InternalServerError"),
}  # fmt: skip


def _kind(
    ref: str, gpu: str, memory: float, price: float, spot: float, family: str, cores: int
) -> Kind:
    stock: dict[str, int | None] = {"eastus": 3, "westus3": 3, "westeurope": 3}
    return Kind(
        ref, gpu, memory, price, stopped_price=0.01, spot_price=spot, stock=stock,
        data={"family": family, "cores": cores},
    )  # fmt: skip


class Azure(Simulator):
    """One subscription."""

    id = "azure"
    kinds = (
        _kind("Standard_NV36ads_A10_v5", "A10", 24, 3.2, 0.9, "StandardNVADSA10v5Family", 36),
        _kind("Standard_NV6ads_A10_v5", "A10", 4, 0.45, 0.1, "StandardNVADSA10v5Family", 6),
        _kind("Standard_NC24ads_A100_v4", "A100 80GB", 80, 3.67, 1.1, "standardNCADSA100v4Family", 24),
        _kind("Standard_NC40ads_H100_v5", "H100 NVL", 94, 6.98, 2.1, "StandardNCadsH100v5Family", 40),
    )  # fmt: skip
    ready = Ready(
        {"client_secret": SECRET}, key=SECRET, balance=None,
        settings={
            "tenant_id": TENANT, "client_id": CLIENT, "subscription_id": SUBSCRIPTION,
            "locations": "eastus,westus3,westeurope",
        },
    )  # fmt: skip
    pace = Pace(request_s=5, boot_s=30, stop_s=25, start_s=25, restart_s=15, end_s=30)
    request_id_header = "x-ms-request-id"
    most_a_page = 50

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._operations: dict[str, tuple[Callable[[], bool], dict[str, str] | None]] = {}

    # -- who asks ---------------------------------------------------------------------------------------------

    @route("POST", "/{tenant}/oauth2/v2.0/token", right=None)
    def token(self, request: Request) -> Answer:
        """Give a token for a client's secret."""
        form = request.form()
        if request.names["tenant"] != TENANT:
            return _no_token("invalid_request", "AADSTS90002: Tenant not found.", 400)
        if form.get("client_id") != CLIENT:
            return _no_token("unauthorized_client", "AADSTS700016: Application not found.", 400)
        account = self.world.held.accounts.get(form.get("client_secret", ""))
        if account is None or account.expired:
            return _no_secret(expired=account is not None)
        value = f"az.{_hash(account.key)}.{self.world.now():.0f}"
        return Answer.json(
            {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": value}
        )

    def key_of(self, request: Request) -> str:
        """Return the secret for which a token was given."""
        _, hashed, given = [*super().key_of(request).split("."), "", ""][:3]
        if given and self.world.now() - float(given) > TOKEN_SECONDS:
            raise Refused(Why.EXPIRED, "The access token expiry is in the past.")
        return next((key for key in self.world.held.accounts if _hash(key) == hashed), "")

    @route("GET", "/subscriptions/{subscription}")
    def subscription(self, request: Request) -> Answer:
        """Tell the subscription."""
        state = request.account.data.get("state", "Enabled")
        return Answer.json({"id": _SUB, "displayName": "Rehearsal", "state": state})

    @route("GET", "/subscriptions/{subscription}/providers/Microsoft.Authorization/permissions")
    def permissions(self, request: Request) -> Answer:
        """Tell what the application may do."""
        rights = request.account.rights
        actions = ["*/read"]
        if Right.RENT in rights:
            actions += ["*/write", "*/start/action", "*/restart/action"]
        if Right.END in rights:
            actions += ["*/delete", "*/deallocate/action"]
        return Answer.json({"value": [{"actions": actions, "notActions": []}]})

    # -- what could be had ------------------------------------------------------------------------------------

    @route("GET", "/subscriptions/{subscription}/providers/Microsoft.Compute/skus")
    def skus(self, request: Request) -> Answer:
        """Tell the sizes of a region."""
        found = re.fullmatch(r"location eq '(\w+)'", request.param("$filter"))
        place = found[1] if found else ""
        value: list[dict[str, Any]] = [
            {"resourceType": "disks", "name": "StandardSSD_LRS", "locations": [place]}
        ]
        for kind, region, free in self.world.offers():
            if region != place:
                continue
            able = {"vCPUs": kind.data["cores"], "GPUs": kind.count, "LowPriorityCapable": "True"}
            barred = {
                "type": "Location", "values": [region], "reasonCode": "NotAvailableForSubscription",
                "restrictionInfo": {"locations": [region]},
            }  # fmt: skip
            value.append(
                {
                    "resourceType": "virtualMachines", "name": kind.ref, "family": kind.data["family"],
                    "locations": [region],
                    "capabilities": [{"name": name, "value": str(text)} for name, text in able.items()],
                    "restrictions": [barred] if free == 0 else [],
                }
            )  # fmt: skip
        return self._page(request, value)

    @route(
        "GET", "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{place}/usages"
    )
    def usages(self, request: Request) -> Answer:
        """Tell how many cores may be had in a region, by family and in all."""
        quota = request.account.quota
        most = _MANY_CORES if quota is None else quota * 40
        used: dict[str, int] = {kind.data["family"]: 0 for kind in self.world.held.kinds.values()}
        for machine in self.world.machines(request.account):
            kind = self.world.held.kinds[machine.kind]
            if machine.region == request.names["place"]:
                used[kind.data["family"]] += kind.data["cores"]
        told = {**used, "cores": sum(used.values()), "lowPriorityCores": 0}
        return self._page(
            request,
            [
                {
                    "unit": "Count", "currentValue": count, "limit": most,
                    "name": {"value": name, "localizedValue": name},
                }
                for name, count in told.items()
            ],
        )  # fmt: skip

    @route("GET", "/api/retail/prices", right=None)
    def prices(self, request: Request) -> Answer:
        """Tell prices to anybody; Windows' are among them."""
        items = [
            {
                "armSkuName": kind.ref, "armRegionName": region, "unitOfMeasure": "1 Hour",
                "productName": product, "skuName": kind.ref + word, "retailPrice": price * more,
            }
            for kind, region, _ in self.world.offers()
            for word, price in (("", kind.price), (" Spot", kind.spot_price or 0.0))
            for product, more in (("Virtual Machines", 1.0), ("Virtual Machines Windows", 1.5))
            if kind.ref in request.param("$filter") and region in request.param("$filter")
        ]  # fmt: skip
        first = int(request.param("$skip", "0"))
        more = f"{self._here(request)}&$skip={first + 10}" if first + 10 < len(items) else None
        return Answer.json({"Items": items[first : first + 10], "NextPageLink": more})

    # -- groups and networks ----------------------------------------------------------------------------------

    @route("GET", "/subscriptions/{subscription}/resourcegroups")
    def groups(self, request: Request) -> Answer:
        """Tell the groups that have a tag."""
        found = re.fullmatch(r"tagName eq '(\w+)'", request.param("$filter"))
        groups = self.world.things(request.account, "group")
        shown = [_group(each) for each in groups if found is None or found[1] in each.labels]
        return self._page(request, shown)

    @route("PUT", _GROUP, right=Right.RENT)
    def put_group(self, request: Request) -> Answer:
        """Make a group; putting it again changes nothing."""
        body, name = request.json(), request.names["group"]
        known = self._known_group(request)
        if known is not None:
            return Answer.json(_group(known))
        made = self.world.keep(
            request.account, "group", thing_id=name, name=name, region=body["location"],
            labels=body.get("tags", {}), price=0.005, data={"network": {}},
        )  # fmt: skip
        return Answer.json(_group(made), 201)

    @route("DELETE", _GROUP, right=Right.END)
    def delete_group(self, request: Request) -> Answer:
        """Delete a group with all in it; that takes as long as its machine takes."""
        group = self._group(request)
        group.data.pop("failed", None)
        inside = self._machine_in(group)
        if inside is None:
            self.world.drop(group)
            return Answer(202, b"", {"location": self._operation(request, lambda: True)})
        group.attached, group.with_machine = inside.id, True
        self.world.end(inside)
        gone = self._operation(request, lambda: inside.state is State.ENDED)
        return Answer(202, b"", {"location": gone})

    @route("PUT", f"{_IN}/Microsoft.Network/{{kind}}/{{name}}", right=Right.RENT)
    def put_network(self, request: Request) -> Answer:
        """Make a part of the network."""
        group, names = self._group(request), request.names
        parts: dict[str, Any] = group.data["network"]
        place = f"{names['kind']}/{names['name']}"
        new = place not in parts
        if new:
            parts[place] = {**request.json(), "id": request.path, "name": names["name"]}
        properties: dict[str, Any] = parts[place]["properties"]
        properties["provisioningState"] = "Succeeded"
        if names["kind"] == "publicIPAddresses" and new:
            properties["ipAddress"] = self.world.new_address(Machine("", group.account, ""))
        if names["kind"] == "networkInterfaces":
            self._look_for(parts, properties)
        headers = {"azure-asyncoperation": self._operation(request, lambda: True)}
        shown = Answer.json(parts[place], 201 if new else 200)
        return Answer(shown.status, shown.body, {**shown.headers, **headers})

    def _look_for(self, parts: dict[str, Any], interface: dict[str, Any]) -> None:
        named = str(interface)
        for kind in ("networkSecurityGroups", "virtualNetworks", "publicIPAddresses"):
            if not any(place.startswith(kind) and place in named for place in parts):
                raise Refused(Why.NOT_FOUND, f"the interface names no {kind} that is there")

    @route("GET", f"{_IN}/Microsoft.Network/publicIPAddresses/{{name}}")
    def address(self, request: Request) -> Answer:
        """Tell a public address."""
        parts = self._group(request).data["network"]
        found = parts.get(f"publicIPAddresses/{request.names['name']}")
        if found is None:
            raise Refused(Why.NOT_FOUND, "The public address was not found.")
        return Answer.json(found)

    # -- machines ---------------------------------------------------------------------------------------------

    @route("GET", "/subscriptions/{subscription}/providers/Microsoft.Compute/virtualMachines")
    def machines(self, request: Request) -> Answer:
        """Tell all machines; how they stand only when that is asked, and then little else."""
        stands = request.param("statusOnly") == "true"
        shown = [self._shown(each) for each in self.world.machines(request.account)]
        shown += [
            deepcopy(each.data["failed"])
            for each in self.world.things(request.account, "group")
            if "failed" in each.data
        ]
        for each in shown:
            told = each["properties"]
            view = {"instanceView": told["instanceView"]}
            rest = {name: value for name, value in told.items() if name != "instanceView"}
            each["properties"] = view if stands else rest
        return self._page(request, shown)

    @route("GET", _VM)
    def machine(self, request: Request) -> Answer:
        """Tell one machine; how it stands only when that is asked."""
        failed = self._group(request).data.get("failed")
        shown = deepcopy(failed) if failed else self._shown(self._machine(request))
        if request.param("$expand") != "instanceView":
            shown["properties"].pop("instanceView")
        return Answer.json(shown)

    @route("PUT", _VM, right=Right.RENT)
    def put_machine(self, request: Request) -> Answer:
        """Make a machine. That there is none free comes out only afterwards, and leaves one that failed."""
        group, body = self._group(request), request.json()
        known = self._machine_in(group)
        if known is not None:
            return Answer.json(self._shown(known))
        told = body["properties"]
        interface = told["networkProfile"]["networkInterfaces"][0]["id"]
        if not interface.endswith(tuple(group.data["network"])):
            raise Refused(Why.NOT_FOUND, f"{interface} was not found")
        profile = told["osProfile"]
        custom = base64.b64decode(profile.get("customData", "")).decode()
        keys = profile["linuxConfiguration"]["ssh"]["publicKeys"]
        name, size = request.names["name"], told["hardwareProfile"]["vmSize"]
        kept = {
            "user": profile["adminUsername"],
            "priority": told.get("priority", "Regular"),
            "body": body,
        }
        try:
            machine = self.world.create(
                request.account, size, machine_id=f"{request.names['group']}/{name}",
                region=body["location"], name=name, labels=body.get("tags", {}),
                spot=told.get("priority") == "Spot", disk_gb=told["storageProfile"]["osDisk"]["diskSizeGB"],
                keys=[each["keyData"] for each in keys], host_key=user_data.read(custom).host_key,
                user_data=custom, data=kept,
            )  # fmt: skip
        except Refused as refused:
            if refused.why is not Why.NO_CAPACITY:
                raise
            said = "Allocation failed. We do not have sufficient capacity for the requested VM size in this region."
            status = {
                "code": "ProvisioningState/failed/AllocationFailed",
                "level": "Error",
                "message": said,
            }
            group.data["failed"] = {
                "id": request.path, "name": name, "location": body["location"], "tags": body.get("tags", {}),
                "properties": {
                    "hardwareProfile": {"vmSize": size}, "provisioningState": "Failed",
                    "instanceView": {"statuses": [status]},
                },
            }  # fmt: skip
            error = {"code": "AllocationFailed", "message": said}
            follow = self._operation(request, lambda: True, error)
            return Answer.json(body, 201, azure_asyncoperation=follow)
        address = next(
            part for place, part in group.data["network"].items() if place.startswith("publicIPA")
        )
        self.world.pin(machine, group, address["properties"]["ipAddress"])
        coming = {State.REQUESTED, State.BOOTING}
        follow = self._operation(request, lambda: machine.state not in coming)
        return Answer.json(self._shown(machine), 201, azure_asyncoperation=follow)

    @route("DELETE", _VM, right=Right.END)
    def delete_machine(self, request: Request) -> Answer:
        """Delete a machine and leave its group."""
        machine = self._machine(request)
        self.world.end(machine)
        return self._taken(request, lambda: machine.state is State.ENDED)

    @route("POST", f"{_VM}/start", right=Right.RENT)
    def start(self, request: Request) -> Answer:
        """Start a machine; again, a lack of GPUs comes out afterwards."""
        machine = self._machine(request)
        try:
            self.world.start(machine)
        except Refused as refused:
            if refused.why is not Why.NO_CAPACITY:
                raise
            return self._taken(
                request, lambda: True, {"code": "AllocationFailed", "message": refused.message}
            )
        return self._taken(request, lambda: machine.state is not State.STARTING)

    @route("POST", f"{_VM}/restart", right=Right.RENT)
    def restart(self, request: Request) -> Answer:
        """Restart a machine."""
        machine = self._machine(request)
        self.world.restart(machine)
        return self._taken(request, lambda: machine.state is not State.RESTARTING)

    @route("POST", f"{_VM}/deallocate", right=Right.END)
    def deallocate(self, request: Request) -> Answer:
        """Stop a machine and its bill."""
        machine = self._machine(request)
        self.world.stop(machine)
        return self._taken(request, lambda: machine.state is not State.STOPPING)

    # -- operations -------------------------------------------------------------------------------------------

    @route("GET", _OPERATION.replace(SUBSCRIPTION, "{subscription}"))
    def operation(self, request: Request) -> Answer:
        """Tell how far an operation is, in both of Azure's ways: a status in the body, and a status of HTTP."""
        found = self._operations.get(request.names["id"])
        if found is None:
            raise Refused(Why.NOT_FOUND, "The operation was not found.")
        done, error = found
        if not done():
            return Answer.json({"status": "InProgress"}, 202, retry_after="2")
        if error is not None:
            return Answer.json({"status": "Failed", "error": error})
        return Answer.json({"status": "Succeeded"})

    def _operation(
        self, request: Request, done: Callable[[], bool], error: dict[str, str] | None = None
    ) -> str:
        name = f"op-{len(self._operations) + 1}"
        self._operations[name] = (done, error)
        path = _OPERATION.format(place="eastus", id=name)
        return f"{self._origin(request)}{path}?api-version=2026-03-01"

    def _taken(
        self, request: Request, done: Callable[[], bool], error: dict[str, str] | None = None
    ) -> Answer:
        follow = self._operation(request, done, error)
        return Answer(202, b"", {"azure-asyncoperation": follow, "location": follow})

    # -- small things -----------------------------------------------------------------------------------------

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return a refusal as Azure words it."""
        if request.path.endswith("/token") and refused.why in {Why.BAD_KEY, Why.EXPIRED}:
            return _no_secret(expired=refused.why is Why.EXPIRED)
        status, code = _REFUSALS[refused.why]
        message = refused.message
        if refused.why is Why.MISSING_RIGHT:
            kind = (
                "Microsoft.Compute/virtualMachines"
                if "Compute" in request.path
                else "Microsoft.Resources/subscriptions/resourceGroups"
            )
            action = {"GET": "read", "PUT": "write", "DELETE": "delete"}.get(request.method, "")
            action = action or f"{request.path.rpartition('/')[2]}/action"
            message = (
                f"The client '{CLIENT}' does not have authorization to perform action '{kind}/{action}' "
                f"over scope '{request.path}'."
            )
        if refused.why is Why.QUOTA:
            message = "Operation could not be completed as it results in exceeding approved Total Regional Cores quota."
        return Answer.json({"error": {"code": code, "message": message}}, status)

    def _origin(self, request: Request) -> str:
        host = request.headers.get("host", "")
        return f"{'http' if host.startswith('127.') else 'https'}://{host}"

    def _here(self, request: Request) -> str:
        query = urlencode([pair for pair in request.query if pair[0] != "$skip"])
        return f"{self._origin(request)}{request.path}?{query}"

    def _page(self, request: Request, value: list[Any]) -> Answer:
        first = int(request.param("$skip", "0"))
        last = first + self.most_a_page
        more = {"nextLink": f"{self._here(request)}&$skip={last}"} if last < len(value) else {}
        return Answer.json({"value": value[first:last], **more})

    def _known_group(self, request: Request) -> Thing | None:
        groups = self.world.things(request.account, "group")
        return next((each for each in groups if each.id == request.names["group"]), None)

    def _group(self, request: Request) -> Thing:
        found = self._known_group(request)
        if found is None:
            said = f"Resource group '{request.names['group']}' could not be found."
            raise Refused(Why.NOT_FOUND, said)
        return found

    def _machine_in(self, group: Thing) -> Machine | None:
        return next((m for m in self.world.machines() if m.id.startswith(f"{group.id}/")), None)

    def _machine(self, request: Request) -> Machine:
        names = request.names
        return self.world.machine(request.account, f"{names['group']}/{names['name']}")

    def _shown(self, machine: Machine) -> dict[str, Any]:
        group, _, name = machine.id.partition("/")
        provisioning = _PROVISIONING.get(machine.state, "Succeeded")
        statuses = [{"code": f"ProvisioningState/{provisioning.lower()}", "level": "Info"}]
        if machine.reason:
            statuses[0]["message"] = machine.reason
        if power := _POWER.get(machine.state):
            statuses.append({"code": f"PowerState/{power}", "level": "Info"})
        return {
            "id": f"{_SUB}/resourceGroups/{group.upper()}/providers/Microsoft.Compute/virtualMachines/{name}",
            "name": name, "location": machine.region, "tags": machine.labels,
            "properties": {
                "provisioningState": provisioning, "hardwareProfile": {"vmSize": machine.kind},
                "priority": machine.data.get("priority", "Regular"),
                "timeCreated": datetime.fromtimestamp(machine.created, UTC).isoformat(),
                "osProfile": {"adminUsername": machine.data.get("user", "")},
                "storageProfile": {"osDisk": {"createOption": "FromImage", "diskSizeGB": machine.disk_gb}},
                "instanceView": {"statuses": statuses},
            },
        }  # fmt: skip


def _group(thing: Thing) -> dict[str, Any]:
    return {
        "id": f"{_SUB}/resourceGroups/{thing.name}", "name": thing.name, "location": thing.region,
        "tags": thing.labels, "properties": {"provisioningState": "Succeeded"},
    }  # fmt: skip


def _no_secret(*, expired: bool) -> Answer:
    said = (
        "AADSTS7000222: The provided client secret keys are expired."
        if expired
        else "AADSTS7000215: Invalid client secret provided."
    )
    return _no_token("invalid_client", said, 401)


def _no_token(code: str, said: str, status: int) -> Answer:
    return Answer.json({"error": code, "error_description": said}, status)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]
