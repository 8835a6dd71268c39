"""RunPod's REST API version 2 in front of a rehearsal world, and as much of its GraphQL as tells the balance.

By its OpenAPI 2.0.0 of August 2026. What a pod's `args` would run is looked at, and never run.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Right
from personadesk.rehearsal import user_data
from personadesk.rehearsal.http import USUAL_STATUS, Answer, Ready, Request, Simulator, route
from personadesk.rehearsal.things import Kind, Machine, Pace, Refused, State, Thing, Why

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CENTERS = {
    "EU-RO-1": ("Romania", "EUROPE", True),
    "EU-SE-1": ("Sweden", "EUROPE", False),
    "US-KS-2": ("Kansas", "NORTH_AMERICA", True),
}
"""Name, region, and whether it has network volumes."""
SECURE, COMMUNITY = "SECURE", "COMMUNITY"
VOLUME_PRICE = 0.07 / 730
STATUSES = {
    State.REQUESTED: "PROVISIONING", State.BOOTING: "STARTING", State.STARTING: "STARTING",
    State.RESTARTING: "STARTING", State.RUNNING: "RUNNING", State.STOPPING: "RUNNING",
    State.STOPPED: "EXITED", State.FAILED: "ERROR", State.LOST: "ERROR",
    State.ENDING: "TERMINATED", State.ENDED: "TERMINATED",
}  # fmt: skip
ACTIONS: Mapping[State, tuple[str, ...]] = {
    State.RUNNING: ("stop", "restart", "terminate"),
    State.STOPPED: ("start", "terminate"),
    State.ENDING: (),
    State.ENDED: (),
}
"""What may be done in a state; elsewhere a pod can only be terminated."""
POD_FIELDS = frozenset(
    {
        "name", "image", "args", "disk", "env", "ports", "registry", "cloud", "cpu", "gpu", "dataCenterIds",
        "globalNetworking", "mounts", "startJupyter", "startSsh", "templateId",
    }
)  # fmt: skip


def _kinds() -> Iterator[Kind]:
    for gpu, name, memory, secure, community, stock in (
        ("NVIDIA RTX A5000", "RTX A5000", 24, 0.27, 0.16, {"EU-RO-1": 3, "EU-SE-1": 5}),
        ("NVIDIA GeForce RTX 4090", "RTX 4090", 24, 0.44, 0.31, {"EU-RO-1": 1, "US-KS-2": 0}),
        ("NVIDIA A40", "A40", 48, 0.40, 0.0, {"EU-SE-1": 2}),
        ("NVIDIA L40S", "L40S", 48, 0.86, 0.79, {"US-KS-2": 2}),
        ("NVIDIA H100 80GB HBM3", "H100", 80, 3.49, 0.0, {"US-KS-2": 1}),
        ("AMD Instinct MI300X OAM", "MI300X", 192, 2.99, 0.0, {"EU-RO-1": 1}),
    ):
        told = {"gpu": gpu, "name": name, "cloud": SECURE}
        yield Kind(f"{gpu}|{SECURE}", name, memory, secure, stock=dict(stock), data=told)
        if community:
            told = {**told, "cloud": COMMUNITY}
            yield Kind(f"{gpu}|{COMMUNITY}", name, memory, community, stock={"": 2}, data=told)


class RunPod(Simulator):
    """RunPod's API."""

    id = "runpod"
    kinds = tuple(_kinds())
    ready = Ready({"api_key": "rehearsal-runpod-key-1"}, key="rehearsal-runpod-key-1")
    pace = Pace(request_s=2, boot_s=6, stop_s=2, start_s=4, restart_s=3, end_s=2)
    request_id_header = "x-runpod-request-id"

    # -- the account ------------------------------------------------------------------------------------------

    @route("POST", "/graphql")
    def _graphql(self, request: Request) -> Answer:
        account = request.account
        spends = sum(self._cost(each) for each in self.world.machines(account))
        return Answer.json(
            {
                "data": {
                    "myself": {
                        "id": f"user_{account.name}", "email": f"{account.name}@example.com",
                        "clientBalance": account.balance, "currentSpendPerHr": spends, "spendLimit": 80,
                    }
                }
            }
        )  # fmt: skip

    # -- the catalog ------------------------------------------------------------------------------------------

    @route("GET", "/v2/catalog/gpus")
    def _list_gpus(self, request: Request) -> Answer:
        told = request.param("include") == "AVAILABILITY"
        if told != bool(request.param("product")):
            raise Refused(Why.BAD_REQUEST, "product is required with, and only with, include")
        cloud = request.param("cloud", SECURE)
        many = int(request.param("count", "1")) > 1
        found: dict[str, dict[str, Any]] = {}
        for kind, region, free in self.world.offers():
            gpu = found.setdefault(kind.data["gpu"], _gpu_type(kind))
            own = kind.data["cloud"]
            gpu[own.lower()] = True
            gpu["price"][own.lower()] = kind.price
            gpu["maxCount"][own.lower()] = 1
            if not told or own != cloud:
                continue
            level = "NONE" if many else _level(free)
            if _LEVELS.index(level) > _LEVELS.index(gpu.get("availability", "NONE")):
                gpu["availability"] = level
            gpu.setdefault("availability", "NONE")
            if region and not many:
                center = {"id": region, "name": CENTERS[region][0], "availability": level}
                gpu.setdefault("dataCenters", []).append(center)
        return Answer.json({"gpus": list(found.values())})

    @route("GET", "/v2/catalog/datacenters")
    def _list_centers(self, request: Request) -> Answer:
        return Answer.json(
            {
                "dataCenters": [
                    {
                        "id": center, "name": name, "region": region, "globalNetwork": False, "compliance": [],
                        "networkVolumeTypes": ["STANDARD"] if volumes else [],
                    }
                    for center, (name, region, volumes) in CENTERS.items()
                ]
            }
        )  # fmt: skip

    # -- pods -------------------------------------------------------------------------------------------------

    @route("GET", "/v2/pods")
    def _list_pods(self, request: Request) -> Answer:
        found = self.world.machines(request.account)
        return Answer.json(
            {"pods": [self._pod(each) for each in found if each.state is not State.ENDING]}
        )

    @route("GET", "/v2/pods/{id}")
    def _get_pod(self, request: Request) -> Answer:
        return Answer.json(self._pod(self.world.machine(request.account, request.names["id"])))

    @route("POST", "/v2/pods", right=Right.RENT)
    def _create(self, request: Request) -> Answer:
        order = request.json()
        for name in order.keys() - POD_FIELDS:
            raise Refused(Why.BAD_REQUEST, f"$: additional properties '{name}' not allowed")
        if not order.get("name") or not order.get("image") or "gpu" not in order:
            raise Refused(Why.BAD_REQUEST, "name, image and gpu are required")
        if int(order["gpu"].get("count", 1)) != 1:
            raise Refused(Why.NO_CAPACITY)
        wanted = order.get("dataCenterIds") or [""]
        volume = self._volume(request, order, wanted)
        env = order.get("env", {})
        made = self.world.create(
            request.account, f"{order['gpu']['id']}|{order.get('cloud', SECURE)}",
            machine_id=secrets.token_hex(5), region=wanted[0], name=order["name"], disk_gb=int(order.get("disk", 20)),
            keys=[line for line in env.get("PUBLIC_KEY", "").splitlines() if line.strip()],
            host_key=_host_key(env, order.get("args", "")), data={"order": order},
        )  # fmt: skip
        if volume is not None:
            volume.attached = made.id
        return Answer.json(self._pod(made), 201)

    @route("POST", "/v2/pods/{id}/action", right=Right.RENT)
    def _act(self, request: Request) -> Answer:
        pod = self.world.machine(request.account, request.names["id"])
        action = request.json().get("action")
        if action not in {"start", "stop", "restart", "terminate"}:
            raise Refused(Why.BAD_REQUEST, f"$.action: {action} is not an action")
        if action not in ACTIONS.get(pod.state, ("terminate",)):
            raise Refused(Why.WRONG_STATE)
        if action == "start":
            try:
                self.world.start(pod)
            except Refused as refused:
                if refused.why is not Why.NO_CAPACITY:
                    raise
                raise Refused(
                    Why.NO_CAPACITY,
                    "There are not enough free GPUs on the host machine to start this pod.",
                ) from refused
        elif action == "stop":
            self.world.stop(pod)
        elif action == "restart":
            self.world.restart(pod)
        else:
            self.world.end(pod)
            return Answer(204)
        return Answer.json(self._pod(pod))

    @route("DELETE", "/v2/pods/{id}", right=Right.END)
    def _delete(self, request: Request) -> Answer:
        self.world.end(self.world.machine(request.account, request.names["id"]))
        return Answer(204)

    @route("GET", "/v2/pods/{id}/logs")
    def _get_logs(self, request: Request) -> Answer:
        pod = self.world.machine(request.account, request.names["id"])
        lines = [(pod.created, "system", f"create pod network for {pod.id}")]
        if pod.started is not None:
            lines.append((pod.started, "container", "Setting up SSH..."))
            lines.append(
                (pod.started, "container", "Start script(s) finished, Pod is ready to use.")
            )
        if pod.state is State.FAILED:
            lines.append(
                (pod.since, "system", "error creating container: nvidia-container-cli failed")
            )
        body = "".join(
            f'id: {_time(at)}/{number:012}\ndata: {{"ts":"{_time(at)}","source":"{source}","line":"{line}"}}\n\n'
            for number, (at, source, line) in enumerate(lines)
        )
        return Answer(200, body.encode(), {"content-type": "text/event-stream"})

    # -- network volumes --------------------------------------------------------------------------------------

    @route("GET", "/v2/network-volumes")
    def _list_volumes(self, request: Request) -> Answer:
        found = self.world.things(request.account, "volume")
        return Answer.json({"networkVolumes": [_volume(each) for each in found]})

    @route("POST", "/v2/network-volumes", right=Right.RENT)
    def _make_volume(self, request: Request) -> Answer:
        order = request.json()
        center = order.get("dataCenter", "")
        if center not in CENTERS or not CENTERS[center][2]:
            raise Refused(Why.BAD_REQUEST, f"{center} has no network volumes")
        size = int(order.get("size", 0))
        made = self.world.keep(
            request.account, "volume", thing_id=secrets.token_hex(5), name=order.get("name", ""),
            region=center, price=size * VOLUME_PRICE, data={"size": size},
        )  # fmt: skip
        return Answer.json(_volume(made), 201)

    @route("PATCH", "/v2/network-volumes/{id}", right=Right.RENT)
    def _change_volume(self, request: Request) -> Answer:
        volume = self.world.thing(request.account, "volume", request.names["id"])
        size = int(request.json().get("size", volume.data["size"]))
        if size < volume.data["size"]:
            raise Refused(Why.BAD_REQUEST, "a network volume cannot be made smaller")
        volume.data["size"], volume.price = size, size * VOLUME_PRICE
        return Answer.json(_volume(volume))

    @route("DELETE", "/v2/network-volumes/{id}", right=Right.END)
    def _delete_volume(self, request: Request) -> Answer:
        volume = self.world.thing(request.account, "volume", request.names["id"])
        if volume.attached:
            raise Refused(Why.BAD_REQUEST, "the network volume is in use by a pod")
        self.world.drop(volume)
        return Answer(204)

    def _volume(self, request: Request, order: dict[str, Any], wanted: list[str]) -> Thing | None:
        mounted = order.get("mounts", {}).get("network") or []
        if not mounted:
            return None
        volume = self.world.thing(request.account, "volume", mounted[0]["volumeId"])
        if wanted != [volume.region]:
            raise Refused(Why.BAD_REQUEST, "the pod must be in the network volume's data center")
        return volume

    # -- refusals and shapes ----------------------------------------------------------------------------------

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return a problem (RFC 9457); money, stock and limits are told by the sentence alone."""
        titles = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict",
                  429: "Too Many Requests", 500: "Internal Server Error"}  # fmt: skip
        status = {Why.NO_MONEY: 400, Why.NO_CAPACITY: 400, Why.QUOTA: 400}.get(
            refused.why, USUAL_STATUS[refused.why]
        )
        detail = _DETAILS.get(refused.why, refused.message)
        if refused.why is Why.NO_CAPACITY and "host machine" in refused.message:
            detail = refused.message
        body = {"title": titles.get(status, "Bad Request"), "status": status, "detail": detail}
        answer = Answer.json(body, status)
        return Answer(status, answer.body, {"content-type": "application/problem+json"})

    def _cost(self, pod: Machine) -> float:
        return 0.0 if STATUSES[pod.state] in {"EXITED", "TERMINATED"} else pod.price

    def _pod(self, pod: Machine) -> dict[str, Any]:
        order = pod.data["order"]
        runs = pod.state is State.RUNNING
        kind = self.world.held.kinds[pod.kind]
        reached = runs and "22/tcp" in order.get("ports", ())
        direct = {
            "host": pod.host, "port": pod.port, "username": "root",
            "command": f"ssh root@{pod.host} -p {pod.port}",
        }  # fmt: skip
        uptime = int(self.world.now() - (pod.started or pod.since))
        return {
            "id": pod.id, "name": pod.name, "status": STATUSES[pod.state],
            "actions": list(ACTIONS.get(pod.state, ("terminate",))),
            "image": order["image"], "args": order.get("args", ""), "disk": pod.disk_gb,
            "mounts": order.get("mounts", {}), "ports": order.get("ports", []), "env": order.get("env", {}),
            "registry": None, "gpu": {"id": kind.data["gpu"], "count": kind.count}, "cloud": kind.data["cloud"],
            "dataCenterId": pod.region or None, "cudaVersion": "12.8",
            "ssh": {"proxy": None, "direct": direct if reached else None},
            "template": None, "cost": self._cost(pod), "locked": False, "globalNetworking": {"enabled": False},
            "runtime": {
                "uptime": uptime,
                "gpus": [{"util": 37, "memoryUtil": 61}] * pod.gpus,
                "cpu": {"util": 12}, "memory": {"util": 20},
                "ports": [{"private": 22, "public": pod.port, "type": "tcp", "ip": pod.host}] if reached else [],
            } if runs else None,
            "createdAt": _time(pod.created),
            "startedAt": _time(pod.started) if pod.started is not None else None,
        }  # fmt: skip


_LEVELS = ("NONE", "LOW", "MEDIUM", "HIGH")
_DETAILS = {
    Why.BAD_KEY: "invalid bearer token",
    Why.EXPIRED: "the bearer token has expired",
    Why.MISSING_RIGHT: "access denied",
    Why.NO_MONEY: "Your balance is too low to run this pod. Please add funds.",
    Why.NO_CAPACITY: "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again.",
    Why.QUOTA: "You have reached your spend limit.",
    Why.RATE: "rate limit exceeded for the minute window",
    Why.WRONG_STATE: "action not valid for current status",
}


def _level(free: int | None) -> str:
    return "HIGH" if free is None or free > 3 else _LEVELS[min(free, 2)]


def _gpu_type(kind: Kind) -> dict[str, Any]:
    maker = "AMD" if kind.data["gpu"].startswith("AMD") else "NVIDIA"
    return {
        "id": kind.data["gpu"], "name": kind.data["name"], "pool": None, "manufacturer": maker,
        "memory": int(kind.memory_gb), "secure": False, "community": False,
        "price": {"secure": 0, "community": 0}, "maxCount": {"secure": 0, "community": 0},
    }  # fmt: skip


def _volume(thing: Thing) -> dict[str, Any]:
    return {
        "id": thing.id, "name": thing.name, "size": thing.data["size"], "dataCenter": thing.region,
        "type": "STANDARD",
    }  # fmt: skip


def _host_key(env: Mapping[str, str], args: str) -> str:
    """Return the SSH host key that a pod's arguments would install from its environment, "" for none."""
    for name, value in env.items():
        if name not in args:
            continue
        try:
            found = user_data.read(base64.b64decode(value, validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue
        if found.host_key:
            return found.host_key
    return ""


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
