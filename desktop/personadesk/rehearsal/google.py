"""Google Compute Engine's API, and where its tokens come from, in front of a rehearsal world."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Right
from personadesk.rehearsal import user_data
from personadesk.rehearsal.http import Answer, Ready, Request, Simulator, route
from personadesk.rehearsal.things import Account, Kind, Machine, Pace, Refused, State, Thing, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from personadesk.rehearsal.world import World

KEY = "rehearsal-google"
PROJECT = "rehearsal"
TOKEN_SECONDS = 3600
_AT = "/compute/v1/projects/{project}"
_LINK = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}"
_MANY = 16.0
_WORDS = {
    State.REQUESTED: "PROVISIONING", State.BOOTING: "STAGING", State.RUNNING: "RUNNING",
    State.RESTARTING: "RUNNING", State.STOPPING: "STOPPING", State.STOPPED: "TERMINATED",
    State.STARTING: "STAGING", State.ENDING: "STOPPING", State.FAILED: "REPAIRING", State.LOST: "REPAIRING",
}  # fmt: skip
_REFUSALS: Mapping[Why, tuple[int, str, str]] = {
    Why.BAD_KEY: (401, "authError", "UNAUTHENTICATED"), Why.EXPIRED: (401, "authError", "UNAUTHENTICATED"),
    Why.MISSING_RIGHT: (403, "forbidden", "PERMISSION_DENIED"),
    Why.NO_MONEY: (403, "BILLING_DISABLED", "PERMISSION_DENIED"),
    Why.QUOTA: (403, "quotaExceeded", "RESOURCE_EXHAUSTED"),
    Why.RATE: (403, "rateLimitExceeded", "RESOURCE_EXHAUSTED"),
    Why.NO_CAPACITY: (503, "ZONE_RESOURCE_POOL_EXHAUSTED", "UNAVAILABLE"),
    Why.NOT_FOUND: (404, "notFound", "NOT_FOUND"),
    Why.WRONG_STATE: (400, "resourceNotReady", "FAILED_PRECONDITION"),
    Why.BAD_REQUEST: (400, "invalid", "INVALID_ARGUMENT"), Why.FAULT: (503, "backendError", "UNAVAILABLE"),
}  # fmt: skip
_PERMISSIONS = {
    ("POST", "instances"): "compute.instances.create", ("DELETE", "instances"): "compute.instances.delete",
    ("POST", "addresses"): "compute.addresses.create", ("DELETE", "addresses"): "compute.addresses.delete",
}  # fmt: skip


def key_file(key: str = KEY) -> str:
    """Return a service account's key file; the world knows it by the key's id, and does not look at the signature."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    # Small and fast: it protects nothing.
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return json.dumps(
        {
            "type": "service_account", "project_id": PROJECT, "private_key_id": key,
            "private_key": pem.decode(), "client_email": f"voice@{PROJECT}.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )  # fmt: skip


def _kind(ref: str, gpu: str, memory: float, price: float, spot: float, **data: Any) -> Kind:
    zones = ("us-central1-a", "us-central1-b", "europe-west4-a")
    return Kind(
        ref, gpu, memory, price, stopped_price=0.01, spot_price=spot,
        stock=dict.fromkeys(zones, 4), data=data,
    )  # fmt: skip


class Google(Simulator):
    """One project."""

    id = "google"
    kinds = (
        _kind("g2-standard-4", "L4", 24, 0.71, 0.25, accelerator="nvidia-l4", cpus=4, mb=16384),
        _kind("g2-standard-8", "L4", 24, 0.85, 0.30, accelerator="nvidia-l4", cpus=8, mb=32768),
        _kind("a2-highgpu-1g", "A100 40GB", 40, 3.7, 1.3, accelerator="nvidia-tesla-a100", cpus=12, mb=87040),
        _kind("a3-highgpu-1g", "H100", 80, 11.0, 3.9, accelerator="nvidia-h100-80gb", cpus=26, mb=239616),
    )  # fmt: skip
    ready = Ready({"api_key": key_file()}, key=KEY, balance=None)
    pace = Pace(request_s=3, boot_s=15, stop_s=20, start_s=15, restart_s=10, end_s=20)
    request_id_header = ""
    most_a_page = 500

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._operations: dict[str, dict[str, Any]] = {}
        self._by_request: dict[str, str] = {}

    # -- who asks ---------------------------------------------------------------------------------------------

    @route("POST", "/token", right=None)
    def token(self, request: Request) -> Answer:
        """Give a token for a signed claim (RFC 7523)."""
        form = request.form()
        try:
            head, claims, _ = form["assertion"].split(".")
            key = str(_decoded(head)["kid"])
            fresh = abs(self.world.now() - float(_decoded(claims)["iat"])) < TOKEN_SECONDS
        except (KeyError, TypeError, ValueError):
            return _no_token("Invalid JWT: it cannot be read.")
        account = self.world.held.accounts.get(key)
        if account is None or account.expired:
            return _no_key(expired=account is not None)
        if not fresh:
            return _no_token(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
        value = f"ya29.{account.key}.{self.world.now():.0f}"
        return Answer.json(
            {"access_token": value, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"}
        )

    def key_of(self, request: Request) -> str:
        """Return the key for which a token was given."""
        _, key, given = [*super().key_of(request).split("."), "", ""][:3]
        if given and self.world.now() - float(given) > TOKEN_SECONDS:
            raise Refused(Why.EXPIRED, "the token is too old")
        return key

    @route("POST", "/v1/projects/{project}:testIamPermissions")
    def permissions(self, request: Request) -> Answer:
        """Tell which of some rights the key has."""
        rights = request.account.rights
        words = {"list": Right.SEE, "stop": Right.END, "delete": Right.END}
        granted = [
            name
            for name in request.json().get("permissions", ())
            if words.get(name.rpartition(".")[2], Right.RENT) in rights
        ]
        return Answer.json({"permissions": granted})

    # -- what there is ----------------------------------------------------------------------------------------

    @route("GET", _AT)
    def project(self, request: Request) -> Answer:
        """Tell the project and what it may have in all."""
        used = sum(machine.gpus for machine in self.world.machines(request.account))
        quota = request.account.quota
        limit = _MANY if quota is None else float(quota)
        quotas = [{"metric": "GPUS_ALL_REGIONS", "limit": limit, "usage": float(used)}]
        return Answer.json({"kind": "compute#project", "name": PROJECT, "quotas": quotas})

    @route("GET", f"{_AT}/regions")
    def regions(self, request: Request) -> Answer:
        """Tell the regions and what may be had in each."""
        names = sorted({zone.rpartition("-")[0] for _, zone, _ in self.world.offers()})
        addresses = [each.region for each in self.world.things(request.account, "address")]
        items = [
            {
                "name": name, "status": "UP",
                "quotas": [
                    {"metric": "NVIDIA_L4_GPUS", "limit": _MANY, "usage": 0.0},
                    {"metric": "STATIC_ADDRESSES", "limit": 8.0, "usage": float(addresses.count(name))},
                ],
            }
            for name in names
        ]  # fmt: skip
        return Answer.json({"kind": "compute#regionList", "items": items})

    @route("GET", f"{_AT}/aggregated/machineTypes")
    def machine_types(self, request: Request) -> Answer:
        """Tell which machine types there are in which zones."""
        wanted = re.fullmatch(r'name eq "(.*)"', request.param("filter", 'name eq ".*"'))
        if wanted is None:
            raise Refused(Why.BAD_REQUEST, "Invalid value for field 'filter'")
        found = [
            (
                zone,
                {
                    "name": kind.ref, "zone": zone, "guestCpus": kind.data["cpus"], "memoryMb": kind.data["mb"],
                    "accelerators": [
                        {
                            "guestAcceleratorType": kind.data["accelerator"],
                            "guestAcceleratorCount": kind.count,
                        }
                    ],
                },
            )
            for kind, zone, _ in self.world.offers()
            if re.fullmatch(wanted[1], kind.ref)
        ]  # fmt: skip
        return self._page(request, found, "machineTypes")

    @route("GET", f"{_AT}/aggregated/instances")
    def instances(self, request: Request) -> Answer:
        """Tell all instances."""
        machines = self.world.machines(request.account)
        return self._page(request, [(m.region, self._shown(m)) for m in machines], "instances")

    @route("GET", f"{_AT}/zones/{{zone}}/instances/{{name}}")
    def instance(self, request: Request) -> Answer:
        """Tell one instance."""
        return Answer.json(self._shown(self._machine(request)))

    @route("GET", f"{_AT}/zones/{{zone}}/instances/{{name}}/serialPort")
    def serial_port(self, request: Request) -> Answer:
        """Tell what an instance wrote."""
        machine = self._machine(request)
        lines = [
            f"{entry.what}\r"
            for entry in self.world.ledger()
            if entry.id == machine.id and entry.kind == "machine"
        ]
        return Answer.json({"kind": "compute#serialPortOutput", "contents": "\n".join(lines)})

    # -- life -------------------------------------------------------------------------------------------------

    @route("POST", f"{_AT}/zones/{{zone}}/instances", right=Right.RENT)
    def insert(self, request: Request) -> Answer:
        """Make an instance. That there is none free comes out only afterwards, in the operation."""
        if known := self._asked_before(request):
            return known
        body, zone = request.json(), request.names["zone"]
        name, ref = str(body.get("name", "")), str(body.get("machineType", "")).rpartition("/")[2]
        if any(m.id == f"{zone}/{name}" for m in self.world.machines(request.account)):
            return _refused(409, "alreadyExists", "ALREADY_EXISTS", f"'{name}' already exists")
        items = {each["key"]: each["value"] for each in body.get("metadata", {}).get("items", ())}
        scheduling = body.get("scheduling", {})
        if scheduling.get("onHostMaintenance") != "TERMINATE":
            raise Refused(
                Why.BAD_REQUEST, "Instances with guest accelerators do not support live migration."
            )
        brought = user_data.read(items.get("user-data", ""))
        disk = body["disks"][0]["initializeParams"]["diskSizeGb"]
        try:
            machine = self.world.create(
                request.account, ref, machine_id=f"{zone}/{name}", region=zone, name=name,
                labels=body.get("labels", {}), spot=scheduling.get("provisioningModel") == "SPOT",
                disk_gb=int(disk), keys=[line.partition(":")[2] for line in items.get("ssh-keys", "").splitlines()],
                host_key=brought.host_key, user_data=items.get("user-data", ""),
                data={"keys": items.get("ssh-keys", ""), "scheduling": scheduling},
            )  # fmt: skip
        except Refused as refused:
            if refused.why is not Why.NO_CAPACITY:
                raise
            sentence = (
                f"The zone 'projects/{PROJECT}/zones/{zone}' does not have enough resources available "
                "to fulfill the request."
            )
            error = {"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": sentence}
            return self._operation(request, "insert", f"zones/{zone}", lambda: True, name, error)
        self._pin(request.account, machine, body)
        coming = {State.REQUESTED, State.BOOTING}
        return self._operation(
            request, "insert", f"zones/{zone}", lambda: machine.state not in coming, name
        )

    def _pin(self, account: Account, machine: Machine, body: dict[str, Any]) -> None:
        given = [
            access.get("natIP")
            for interface in body.get("networkInterfaces", ())
            for access in interface.get("accessConfigs", ())
        ]
        for address in self.world.things(account, "address"):
            if address.data["ip"] in given:
                self.world.pin(machine, address, address.data["ip"])

    @route("POST", f"{_AT}/zones/{{zone}}/instances/{{name}}/start", right=Right.RENT)
    def start(self, request: Request) -> Answer:
        """Start a stopped instance; again, a lack of GPUs comes out in the operation."""
        machine = self._machine(request)
        try:
            self.world.start(machine)
        except Refused as refused:
            if refused.why is not Why.NO_CAPACITY:
                raise
            code = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"
            error = {"code": code, "message": refused.message}
            scope = f"zones/{machine.region}"
            return self._operation(request, "start", scope, lambda: True, machine.name, error)
        return self._at_work(request, machine, "start", State.STARTING)

    @route("POST", f"{_AT}/zones/{{zone}}/instances/{{name}}/reset", right=Right.RENT)
    def reset(self, request: Request) -> Answer:
        """Restart an instance."""
        machine = self._machine(request)
        self.world.restart(machine)
        return self._at_work(request, machine, "reset", State.RESTARTING)

    @route("POST", f"{_AT}/zones/{{zone}}/instances/{{name}}/stop", right=Right.END)
    def stop(self, request: Request) -> Answer:
        """Stop an instance."""
        machine = self._machine(request)
        self.world.stop(machine)
        return self._at_work(request, machine, "stop", State.STOPPING)

    @route("DELETE", f"{_AT}/zones/{{zone}}/instances/{{name}}", right=Right.END)
    def delete(self, request: Request) -> Answer:
        """End an instance."""
        machine = self._machine(request)
        self.world.end(machine)
        return self._at_work(request, machine, "delete", State.ENDING)

    def _at_work(self, request: Request, machine: Machine, kind: str, state: State) -> Answer:
        scope = f"zones/{machine.region}"
        return self._operation(
            request, kind, scope, lambda: machine.state is not state, machine.name
        )

    # -- addresses --------------------------------------------------------------------------------------------

    @route("GET", f"{_AT}/regions/{{region}}/addresses")
    def addresses(self, request: Request) -> Answer:
        """Tell the fixed addresses of a region."""
        found = [
            _address(each)
            for each in self.world.things(request.account, "address")
            if each.region == request.names["region"]
        ]
        return Answer.json({"kind": "compute#addressList", "items": found})

    @route("POST", f"{_AT}/regions/{{region}}/addresses", right=Right.RENT)
    def keep_address(self, request: Request) -> Answer:
        """Reserve a fixed address."""
        if known := self._asked_before(request):
            return known
        body, region = request.json(), request.names["region"]
        place = f"{region}/{body['name']}"
        if any(each.id == place for each in self.world.things(request.account, "address")):
            return _refused(409, "alreadyExists", "ALREADY_EXISTS", f"'{place}' already exists")
        nobody = Machine("", request.account.name, "")
        self.world.keep(
            request.account, "address", thing_id=place, name=body["name"], region=region,
            labels=body.get("labels", {}), price=0.01, data={"ip": self.world.new_address(nobody)},
        )  # fmt: skip
        return self._operation(request, "insert", f"regions/{region}", lambda: True, body["name"])

    @route("GET", f"{_AT}/regions/{{region}}/addresses/{{name}}")
    def address(self, request: Request) -> Answer:
        """Tell one fixed address."""
        return Answer.json(_address(self._thing(request)))

    @route("DELETE", f"{_AT}/regions/{{region}}/addresses/{{name}}", right=Right.END)
    def release(self, request: Request) -> Answer:
        """Give a fixed address back."""
        found = self._thing(request)
        if found.attached:
            return _refused(
                400, "resourceInUseByAnotherResource", "FAILED_PRECONDITION",
                f"The address resource '{found.name}' is already being used by '{found.attached}'",
            )  # fmt: skip
        self.world.drop(found)
        return self._operation(
            request, "delete", f"regions/{found.region}", lambda: True, found.name
        )

    # -- operations -------------------------------------------------------------------------------------------

    @route("GET", f"{_AT}/{{kind}}/{{place}}/operations/{{name}}")
    def operation(self, request: Request) -> Answer:
        """Tell how far an operation is."""
        found = self._operations.get(request.names["name"])
        if found is None:
            raise Refused(Why.NOT_FOUND, "The operation was not found")
        return Answer.json(_far(found))

    @route("GET", f"{_AT}/zones/{{zone}}/operations")
    def operations(self, request: Request) -> Answer:
        """Tell the operations on one target."""
        wanted = re.fullmatch(r'targetLink eq "(.*)"', request.param("filter"))
        if wanted is None:
            raise Refused(Why.BAD_REQUEST, "Invalid value for field 'filter'")
        found = [
            _far(each)
            for each in self._operations.values()
            if re.fullmatch(wanted[1], each["told"]["targetLink"])
        ]
        return Answer.json({"kind": "compute#operationList", "items": found})

    def _asked_before(self, request: Request) -> Answer | None:
        name = self._by_request.get(request.param("requestId"), "")
        return Answer.json(_far(self._operations[name])) if name else None

    def _operation(
        self,
        request: Request,
        kind: str,
        scope: str,
        done: Callable[[], bool],
        target: str,
        error: Mapping[str, str] | None = None,
    ) -> Answer:
        name = f"operation-{len(self._operations) + 1}"
        things = "instances" if scope.startswith("zones/") else "addresses"
        told: dict[str, Any] = {
            "kind": "compute#operation", "name": name, "operationType": kind, "status": "RUNNING",
            "targetLink": f"{_LINK}/{scope}/{things}/{target}", "insertTime": _stamp(self.world.now()),
        }  # fmt: skip
        if error is not None:
            told["error"] = {"errors": [dict(error)]}
        self._operations[name] = {"told": told, "done": done}
        if request_id := request.param("requestId"):
            self._by_request[request_id] = name
        # Nothing is done at once there.
        return Answer.json({key: value for key, value in told.items() if key != "error"})

    # -- small things -----------------------------------------------------------------------------------------

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return a refusal as Google words it."""
        if request.path == "/token" and refused.why in {Why.BAD_KEY, Why.EXPIRED}:
            return _no_key(expired=refused.why is Why.EXPIRED)
        status, reason, word = _REFUSALS[refused.why]
        message = refused.message
        parts = request.path.split("/")
        if refused.why is Why.MISSING_RIGHT:
            verb = parts[-1] if parts[-1] in {"start", "stop", "reset"} else ""
            kind = "addresses" if "addresses" in parts else "instances"
            right = _PERMISSIONS.get((request.method, kind), f"compute.{kind}.list")
            right = f"compute.instances.{verb}" if verb else right
            message = f"Required '{right}' permission for 'projects/{PROJECT}'"
        if (
            refused.why is Why.BAD_REQUEST and "there is no kind" in message
        ) or "is not in" in message:
            message = f"Invalid value for field 'resource.machineType': {message}"
        return _refused(status, reason, word, message)

    def _machine(self, request: Request) -> Machine:
        names = request.names
        return self.world.machine(request.account, f"{names['zone']}/{names['name']}")

    def _thing(self, request: Request) -> Thing:
        names = request.names
        return self.world.thing(request.account, "address", f"{names['region']}/{names['name']}")

    def _page(self, request: Request, found: list[tuple[str, Any]], kind: str) -> Answer:
        most = min(int(request.param("maxResults", "500")), self.most_a_page)
        first = int(request.param("pageToken", "0"))
        items: dict[str, dict[str, list[Any]]] = {}
        for zone, each in found[first : first + most]:
            items.setdefault(f"zones/{zone}", {kind: []})[kind].append(each)
        more = {"nextPageToken": str(first + most)} if first + most < len(found) else {}
        return Answer.json({"items": items, **more})

    def _shown(self, machine: Machine) -> dict[str, Any]:
        zone = f"{_LINK}/zones/{machine.region}"
        access = {"type": "ONE_TO_ONE_NAT", "name": "External NAT"}
        kind = self.world.held.kinds[machine.kind]
        return {
            "kind": "compute#instance", "name": machine.name, "status": _WORDS[machine.state],
            "statusMessage": machine.reason, "zone": zone, "machineType": f"{zone}/machineTypes/{machine.kind}",
            "creationTimestamp": _stamp(machine.created), "labels": machine.labels,
            "networkInterfaces": [
                {"accessConfigs": [{**access, "natIP": machine.host} if machine.host else access]}
            ],
            "metadata": {"items": [{"key": "ssh-keys", "value": machine.data.get("keys", "")}]},
            "scheduling": machine.data.get("scheduling", {}),
            "disks": [{"boot": True, "diskSizeGb": str(machine.disk_gb)}],
            "guestAccelerators": [
                {
                    "acceleratorType": f"{zone}/acceleratorTypes/{kind.data['accelerator']}",
                    "acceleratorCount": machine.gpus,
                }
            ],
        }  # fmt: skip


def _far(operation: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = operation["told"]
    if operation["done"]():
        return {**told, "status": "DONE"}
    return {key: value for key, value in told.items() if key != "error"}


def _address(found: Thing) -> dict[str, Any]:
    zone, _, name = found.attached.partition("/")
    return {
        "kind": "compute#address", "name": found.name, "address": found.data["ip"], "labels": found.labels,
        "region": f"{_LINK}/regions/{found.region}", "status": "IN_USE" if found.attached else "RESERVED",
        "users": [f"{_LINK}/zones/{zone}/instances/{name}"] if found.attached else [],
    }  # fmt: skip


def _refused(status: int, reason: str, word: str, message: str) -> Answer:
    return Answer.json(
        {
            "error": {
                "code": status, "message": message, "status": word,
                "errors": [{"message": message, "domain": "global", "reason": reason}],
            }
        },
        status,
    )  # fmt: skip


def _no_key(*, expired: bool) -> Answer:
    return _no_token("The key has expired." if expired else "Invalid JWT Signature.")


def _no_token(message: str) -> Answer:
    return Answer.json({"error": "invalid_grant", "error_description": message}, 400)


def _decoded(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
