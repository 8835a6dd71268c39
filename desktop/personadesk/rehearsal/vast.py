"""Vast.ai's web API in front of a rehearsal world, with hosts good and bad, and its ways of answering twice.

By its OpenAPI 1.0.0 of August 2026. Paths are known with and without their last slash. What `onstart` would run is
looked at, and never run.
"""

from __future__ import annotations

import base64
import binascii
import json
import operator
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Right
from personadesk.rehearsal import user_data
from personadesk.rehearsal.http import USUAL_STATUS, Answer, Ready, Request, Simulator, route
from personadesk.rehearsal.things import Kind, Machine, Pace, Refused, State, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MOST_A_PAGE = 25
STORAGE_SHARE = 0.02
"""What a disk costs, as a part of the price of its machine."""
FIRST_INSTANCE = 20_000_000
LOGS = "/instance_logs"
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "neq": operator.ne, "gt": operator.gt, "gte": operator.ge,
    "lt": operator.lt, "lte": operator.le,
    "in": lambda value, wanted: value in wanted,
}  # fmt: skip
_GOOD: dict[str, Any] = {
    "verification": "verified", "reliability2": 0.995, "inet_down": 800.0, "inet_up": 600.0,
    "direct_port_count": 40, "cuda_max_good": 12.8, "compute_cap": 890, "disk_space": 400.0,
    "duration": 30 * 86400.0, "external": False, "gpu_arch": "nvidia", "cpu_arch": "amd64", "static_ip": False,
}  # fmt: skip


def _kinds() -> Iterator[Kind]:
    asks: tuple[tuple[str, str, float, float, str, dict[str, Any]], ...] = (
        ("RTX 3090", "RTX 3090", 24, 0.21, "Oregon, US", {"compute_cap": 860}),
        ("RTX 3090", "RTX 3090", 24, 0.12, "Lagos, NG", {"verification": "unverified"}),
        ("RTX 3090", "RTX 3090", 24, 0.14, "Perm, RU", {"reliability2": 0.81}),
        ("RTX 4090", "RTX 4090", 24, 0.38, "Sweden, SE", {}),
        ("RTX 4090", "RTX 4090", 24, 0.35, "Kansas, US", {"inet_down": 40.0}),
        ("RTX 4090", "RTX 4090", 24, 0.41, "Netherlands, NL", {}),
        ("RTX A6000", "RTX A6000", 48, 0.49, "Quebec, CA", {"compute_cap": 860}),
        ("L40S", "L40S", 48, 0.72, "Virginia, US", {}),
        ("A100 SXM4", "A100 80GB", 80, 0.95, "Iceland, IS", {"compute_cap": 800}),
        ("Tesla V100", "V100 32GB", 32, 0.17, "Texas, US", {"compute_cap": 700}),
        ("H100 SXM", "H100", 80, 1.99, "Norway, NO", {"compute_cap": 900, "direct_port_count": 0}),
        ("H100 SXM", "H100", 80, 2.20, "Norway, NO", {"compute_cap": 900}),
    )
    for number, (said, gpu, memory, price, place, apart) in enumerate(asks):
        yield Kind(
            str(1_000_001 + number), gpu, memory, price,
            stopped_price=round(price * STORAGE_SHARE, 5), spot_price=round(price * 0.6, 4),
            stock={place: 1}, data={**_GOOD, **apart, "gpu_name": said},
        )  # fmt: skip


class Vast(Simulator):
    """Vast.ai's API."""

    id = "vast"
    kinds = tuple(_kinds())
    ready = Ready({"api_key": "rehearsal-vast-key-0001"}, key="rehearsal-vast-key-0001")
    pace = Pace(request_s=3, boot_s=9, stop_s=3, start_s=6, restart_s=5, end_s=2)

    # -- the account ------------------------------------------------------------------------------------------

    @route("GET", "/api/v0/users/current")
    def _get_user(self, request: Request) -> Answer:
        account = request.account
        return Answer.json(
            {
                "id": 4711, "key_id": 1, "email": f"{account.name}@example.com", "balance": 0.0,
                "credit": account.balance, "ssh_key": "", "sid": "C.4711",
            }
        )  # fmt: skip

    # -- the market -------------------------------------------------------------------------------------------

    @route("POST", "/api/v0/bundles")
    def _search(self, request: Request) -> Answer:
        wanted = request.json()
        spot = wanted.get("type") == "bid"
        found = [_ask(kind, region, free, spot) for kind, region, free in self.world.offers()]
        filters = {name: each for name, each in wanted.items() if isinstance(each, dict)}
        found = [ask for ask in found if _fits(ask, filters)]
        for name, way in reversed(wanted.get("order", [])):
            if found and name not in found[0]:
                raise Refused(Why.BAD_REQUEST, f"{name} is not a valid key to sort by")
            found.sort(key=lambda ask: ask[name], reverse=way == "desc")
        return Answer.json({"offers": found[: int(wanted.get("limit", 64))]})

    @route("PUT", "/api/v0/asks/{ask}", right=Right.RENT)
    def _create(self, request: Request) -> Answer:
        order, ask = request.json(), request.names["ask"]
        kind = self.world.held.kinds.get(ask)
        if kind is None:
            raise Refused(Why.NO_CAPACITY, ask)
        if not order.get("image"):
            raise Refused(Why.BAD_REQUEST, "image is required")
        bid = order.get("price")
        if bid is not None and float(bid) < (kind.spot_price or 0):
            return _no(400, "invalid_price", f"error 400/3561: the bid {bid} is too low")
        # Vast.ai's own client says null for what it leaves out.
        start = order.get("onstart") or ""
        made = self.world.create(
            request.account, ask, machine_id=str(FIRST_INSTANCE + len(self.world.ledger())),
            region=next(iter(kind.stock)), name=order.get("label") or "", spot=bid is not None,
            disk_gb=int(order.get("disk") or 8), keys=user_data.read(start).public,
            user_data=start, data={"order": order, "asked": "running"},
        )  # fmt: skip
        if bid is not None:
            made.price = float(bid)
        return Answer.json({"success": True, "new_contract": int(made.id)})

    # -- instances --------------------------------------------------------------------------------------------

    @route("GET", "/api/v1/instances")
    def _list(self, request: Request) -> Answer:
        found = [self._shown(each) for each in self.world.machines(request.account)]
        found.sort(key=lambda each: each["id"])
        filters = json.loads(request.param("select_filters", "{}"))
        found = [each for each in found if _fits(each, filters)]
        total = len(found)
        after = _after(request.param("after_token"))
        limit = min(int(request.param("limit") or MOST_A_PAGE), MOST_A_PAGE)
        found = [each for each in found if each["id"] > after]
        page, rest = found[:limit], found[limit:]
        token = (
            base64.b64encode(json.dumps({"id": page[-1]["id"]}).encode()).decode() if rest else None
        )
        return Answer.json(
            {
                "success": True, "instances_found": len(page), "total_instances": total,
                "label_counts": {}, "next_token": token, "instances": page,
            }
        )  # fmt: skip

    @route("GET", "/api/v0/instances/{id}")
    def _get(self, request: Request) -> Answer:
        machine = self.world.machine(request.account, request.names["id"])
        return Answer.json({"instances": self._shown(machine)})

    @route("PUT", "/api/v0/instances/{id}", right=Right.RENT)
    def _change(self, request: Request) -> Answer:
        machine = self.world.machine(request.account, request.names["id"])
        order = request.json()
        if "label" in order:
            machine.name = order["label"]
        if order.get("state") == "stopped":
            machine.data["asked"] = "stopped"
            if machine.state is not State.STOPPED:
                self.world.stop(machine)
        elif order.get("state") == "running":
            try:
                self.world.start(machine)
            except Refused as refused:
                if refused.why is not Why.NO_CAPACITY:
                    raise
                # It is told, and yet wanted: such an instance starts when its GPU is free.
                machine.data["asked"] = "running"
                told = "Required resources are currently unavailable, state change queued."
                return _no(200, "resources_unavailable", told)
            machine.data["asked"] = "running"
        return Answer.json({"success": True})

    @route("PUT", "/api/v0/instances/reboot/{id}", right=Right.RENT)
    def _reboot(self, request: Request) -> Answer:
        self.world.restart(self.world.machine(request.account, request.names["id"]))
        return Answer.json({"success": True})

    @route("POST", "/api/v0/instances/{id}/ssh", right=Right.RENT)
    def _let_in(self, request: Request) -> Answer:
        machine = self.world.machine(request.account, request.names["id"])
        line = str(request.json().get("ssh_key", "")).strip()
        if line not in machine.keys:
            machine.keys = (*machine.keys, line)
        return Answer.json({"success": True, "msg": "SSH key attached successfully"})

    @route("DELETE", "/api/v0/instances/{id}", right=Right.END)
    def _destroy(self, request: Request) -> Answer:
        machine = self.world.machine(request.account, request.names["id"])
        if machine.state is State.ENDING:
            raise Refused(Why.NOT_FOUND, "Instance not found")
        self.world.end(machine)
        return Answer.json({"success": True, "msg": "Instance destroyed successfully"})

    @route("PUT", "/api/v0/instances/request_logs/{id}")
    def _ask_for_log(self, request: Request) -> Answer:
        machine = self.world.machine(request.account, request.names["id"])
        host = request.headers.get("host", "console.vast.ai")
        scheme = "http" if host.startswith("127.") else "https"
        return Answer.json(
            {"success": True, "result_url": f"{scheme}://{host}{LOGS}/{machine.id}.log", "msg": ""}
        )

    @route("GET", f"{LOGS}/{{name}}", right=None)
    def _get_log(self, request: Request) -> Answer:
        machine = self.world.machine(None, request.names["name"].removesuffix(".log"))
        lines = ["Starting the SSH daemon ...", "onstart done"] if machine.started else []
        return Answer.text("".join(f"{line}\n" for line in lines))

    # -- refusals and shapes ----------------------------------------------------------------------------------

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return a refusal with code and sentence; a search has a status of its own for a wrong key."""
        message = refused.message
        if refused.why is Why.BAD_KEY:
            status = 404 if request.path.startswith("/api/v0/bundles") else 401
            return _no(status, "auth_error", "Invalid user key")
        if refused.why is Why.EXPIRED:
            return _no(401, "auth_error", "The API key has expired")
        if refused.why is Why.MISSING_RIGHT:
            return _no(401, "auth_error", "This key lacks the permission for this call")
        if refused.why is Why.RATE:
            return Answer.json({"detail": "API requests too frequent endpoint threshold=4.5"}, 429)
        if refused.why is Why.NO_MONEY:
            return _no(400, "invalid_args", "Your account lacks credit; see the billing page.")
        if refused.why is Why.QUOTA:
            return _no(400, "invalid_args", "Your account's instance limit is reached.")
        if refused.why is Why.NO_CAPACITY:
            ask = request.names.get("ask", "")
            told = f"error 410/3907: no_such_ask Instance type {ask} is no longer available."
            return _no(410, "no_such_ask", told)
        if refused.why is Why.NOT_FOUND:
            return _no(404, "no_such_instance", message)
        status = 400 if refused.why is Why.WRONG_STATE else USUAL_STATUS[refused.why]
        return _no(status, "invalid_request" if status == 400 else "server_error", message)

    def _shown(self, machine: Machine) -> dict[str, Any]:
        kind = self.world.held.kinds[machine.kind]
        actual, contract, coming, message = _words(machine)
        runs = machine.state is State.RUNNING
        there = bool(machine.host) and runs
        return {
            "id": int(machine.id), "actual_status": actual, "cur_state": contract, "next_state": coming,
            "intended_status": machine.data["asked"], "label": machine.name or None, "status_msg": message,
            "image_uuid": machine.data["order"]["image"], "image_runtype": "ssh ssh_direct",
            "extra_env": [], "onstart": machine.user_data, "public_ipaddr": f"{machine.host}\n" if there else "",
            "ssh_host": "ssh6.vast.ai", "ssh_port": 10600, "machine_id": int(kind.ref) % 1000,
            "ports": {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(machine.port)}]} if there else None,  # noqa: S104 - as it is told
            "start_date": machine.created, "gpu_name": kind.data["gpu_name"], "num_gpus": kind.count,
            "gpu_ram": int(kind.memory_gb * 1024), "gpu_totalram": int(kind.memory_gb * 1024),
            "geolocation": machine.region, "verification": kind.data["verification"], "is_bid": machine.spot,
            "min_bid": kind.spot_price, "dph_base": machine.price, "dph_total": machine.price,
            "storage_total_cost": kind.stopped_price, "disk_space": float(machine.disk_gb),
            "gpu_util": 37.0 if runs and machine.gpus else None, "gpu_temp": 61.0 if runs else None,
            "cpu_util": 12.0, "mem_usage": 8.0 if runs else None, "mem_limit": 62.0 if runs else None,
            "disk_usage": 21.5 if runs else -1.0,
        }  # fmt: skip


def _words(machine: Machine) -> tuple[str | None, str, str, str | None]:
    """Return `actual_status`, `cur_state`, `next_state` and `status_msg` of a state."""
    broken = "Error response from daemon: OCI runtime create failed: nvidia-container-cli: initialization error"
    lost: tuple[str | None, str, str, str | None] = ("offline", "running", "running", None)
    if machine.spot:
        # Outbid.
        lost = ("stopped", "stopped", "stopped", None)
    return {
        State.REQUESTED: (None, "running", "running", None),
        State.BOOTING: ("loading", "running", "running", "pulling the image"),
        State.STARTING: ("loading", "running", "running", None),
        State.RUNNING: ("running", "running", "running", "success, running vastai/base-image"),
        State.RESTARTING: ("rebooting", "running", "running", None),
        State.STOPPING: ("running", "running", "stopped", None),
        State.STOPPED: ("stopped", "stopped", "stopped", None),
        State.FAILED: ("created", "running", "running", broken),
        State.LOST: lost,
        State.ENDING: ("running", "running", "unloaded", None),
        State.ENDED: (None, "unloaded", "unloaded", None),
    }[machine.state]


def _ask(kind: Kind, region: str, free: int | None, spot: bool) -> dict[str, Any]:
    price = kind.spot_price if spot else kind.price
    is_free = free is None or free > 0
    return {
        **kind.data, "id": int(kind.ref), "ask_contract_id": int(kind.ref), "num_gpus": kind.count,
        "gpu_ram": int(kind.memory_gb * 1024 - 12), "geolocation": region, "dph_total": price, "dph_base": price,
        "min_bid": kind.spot_price, "rentable": is_free, "rented": False, "is_bid": spot,
        "machine_id": int(kind.ref) % 1000, "storage_total_cost": kind.stopped_price,
        "reliability": kind.data["reliability2"], "verified": kind.data["verification"] == "verified",
        "driver_version": "570.86.15", "score": round(kind.memory_gb / kind.price, 1),
    }  # fmt: skip


def _fits(thing: Mapping[str, Any], filters: Mapping[str, Mapping[str, Any]]) -> bool:
    for name, rules in filters.items():
        if name not in thing:
            raise Refused(Why.BAD_REQUEST, f"{name} is not a valid search key")
        for rule, wanted in rules.items():
            if rule not in _OPERATORS:
                raise Refused(Why.BAD_REQUEST, f"{rule} is not an operator")
            value = thing[name]
            if isinstance(value, (int, float)) and isinstance(wanted, str):
                wanted = _number(wanted)  # as Vast.ai's own client writes them
            if value is None or not _OPERATORS[rule](value, wanted):
                return False
    return True


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Refused(Why.BAD_REQUEST, f"{text} is not a number") from error


def _after(token: str) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["id"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise Refused(Why.BAD_REQUEST, "invalid after_token") from error


def _no(status: int, code: str, message: str) -> Answer:
    return Answer.json({"success": False, "error": code, "msg": message}, status)
