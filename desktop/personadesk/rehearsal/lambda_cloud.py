"""Lambda's API in front of a rehearsal world, by its own description, version 1.8.3."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import Right
from personadesk.rehearsal.http import Answer, Ready, Simulator, route
from personadesk.rehearsal.things import Kind, Pace, Refused, State, Why
from personadesk.rehearsal.user_data import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.rehearsal.http import Request
    from personadesk.rehearsal.things import Machine, Thing

_REGIONS = {
    "us-east-1": "Virginia, USA", "us-south-2": "North Texas, USA", "us-west-1": "California, USA",
    "us-west-2": "Arizona, USA", "europe-central-1": "Germany",
}  # fmt: skip
_STATUS = {
    State.REQUESTED: "booting", State.BOOTING: "booting", State.RESTARTING: "booting",
    State.RUNNING: "active", State.ENDING: "terminating", State.ENDED: "terminated",
    State.FAILED: "unhealthy", State.LOST: "unhealthy",
}  # fmt: skip
_CODES: Mapping[Why, tuple[int, str, str]] = {
    Why.BAD_KEY: (401, "global/invalid-api-key", "API key was invalid, expired, or deleted."),
    Why.EXPIRED: (401, "global/invalid-api-key", "API key was invalid, expired, or deleted."),
    # Lambda's keys have all rights; who may not is an account that may not.
    Why.MISSING_RIGHT: (403, "global/account-inactive", "Your account is inactive."),
    Why.NO_MONEY: (403, "global/account-inactive", "Your account is inactive."),
    Why.NO_CAPACITY: (
        400, "instance-operations/launch/insufficient-capacity",
        "Not enough capacity to fulfill launch request.",
    ),
    Why.QUOTA: (400, "global/quota-exceeded", "Quota exceeded."),
    Why.NOT_FOUND: (404, "global/object-does-not-exist", "Specified instance does not exist."),
    Why.RATE: (429, "global/too-many-requests", "Too many requests."),
    Why.WRONG_STATE: (400, "global/invalid-parameters", "Invalid request data."),
    Why.BAD_REQUEST: (400, "global/invalid-parameters", "Invalid request data."),
    Why.FAULT: (500, "global/internal-error", "An internal server error occurred."),
}  # fmt: skip
LAUNCH_APART_SECONDS = 11.5
"""Lambda: five launches a minute; a little less, for clocks that differ."""


class _Coded(Refused):
    """A refusal with a code of its own."""

    def __init__(self, why: Why, code: str, message: str) -> None:
        super().__init__(why, message)
        self.code = code


def _kind(name: str, said: str, gpu: str, memory: int, price: float, **stock: int | None) -> Kind:
    return Kind(
        name, gpu, memory, price, data={"said": said},
        stock={region.replace("_", "-"): free for region, free in stock.items()},
    )  # fmt: skip


class LambdaCloud(Simulator):
    """Lambda."""

    id = "lambda"
    kinds = (
        _kind("gpu_1x_a10", "A10 (24 GB PCIe)", "A10", 24, 0.75, us_east_1=2, us_west_1=1),
        _kind("gpu_1x_a6000", "A6000 (48 GB)", "RTX A6000", 48, 0.80, us_south_2=1),
        _kind("gpu_1x_a100_sxm4", "A100 (40 GB SXM4)", "A100 40GB", 40, 1.29, us_east_1=0),
        _kind("gpu_1x_h100_pcie", "H100 (80 GB PCIe)", "H100", 80, 2.49, us_west_2=3, europe_central_1=0),
    )  # fmt: skip
    ready = Ready({"api_key": "rehearsal-lambda-key"}, key="rehearsal-lambda-key", balance=None)
    pace = Pace(request_s=2.0, boot_s=6.0, restart_s=4.0, end_s=3.0, remembered_s=5.0)

    # -- what is for rent -------------------------------------------------------------------------------------

    @route("GET", "/api/v1/instance-types")
    def types(self, request: Request) -> Answer:
        """List the kinds with the regions that have one free."""
        found: dict[str, Any] = {}
        for kind, region, free in self.world.offers():
            item = found.setdefault(
                kind.ref, {"instance_type": _type(kind), "regions_with_capacity_available": []}
            )
            if free is None or free > 0:
                item["regions_with_capacity_available"].append(_region(region))
        return _data(found)

    # -- machines ---------------------------------------------------------------------------------------------

    @route("GET", "/api/v1/instances")
    def instances(self, request: Request) -> Answer:
        """List machines, for a while also ended ones."""
        found = self.world.machines(request.account, ended=True)
        return _data([self._shown(each) for each in found])

    @route("GET", "/api/v1/instances/{id}")
    def instance(self, request: Request) -> Answer:
        """Return one machine."""
        return _data(self._shown(self._machine(request, request.names["id"])))

    @route("POST", "/api/v1/instance-operations/launch", right=Right.RENT)
    def launch(self, request: Request) -> Answer:
        """Launch one machine."""
        wish = request.json()
        account = request.account
        now = self.world.now()
        if now - float(account.data.get("launched", 0.0)) < LAUNCH_APART_SECONDS:
            raise Refused(Why.RATE, "one launch in 12 seconds", retry_after_s=12.0)
        account.data["launched"] = now
        names = wish.get("ssh_key_names")
        if not isinstance(names, list) or len(names) != 1:
            raise Refused(Why.BAD_REQUEST, "exactly one SSH key must be specified")
        key = next((each for each in self._keys(request) if each.name == names[0]), None)
        if key is None:
            raise Refused(Why.NOT_FOUND, "ssh key")
        region = str(wish.get("region_name", ""))
        mounts = wish.get("file_system_mounts") or []
        held = [self._filesystem(request, each["file_system_id"]) for each in mounts]
        if any(each.region != region for each in held):
            raise _Coded(
                Why.BAD_REQUEST, "instance-operations/launch/file-system-in-wrong-region",
                "The filesystem is in another region.",
            )  # fmt: skip
        brought = read(str(wish.get("user_data", "")))
        machine = self.world.create(
            account, str(wish.get("instance_type_name", "")), machine_id=secrets.token_hex(16),
            region=region, name=str(wish.get("name", "")), keys=[key.data["public_key"], *brought.public],
            labels={each["key"]: each["value"] for each in wish.get("tags") or []},
            host_key=brought.host_key, user_data=str(wish.get("user_data", "")),
            data={"key": key.name, "filesystems": [each.name for each in held]},
        )  # fmt: skip
        for each in held:
            each.attached = machine.id
        return _data({"instance_ids": [machine.id]})

    @route("POST", "/api/v1/instance-operations/restart", right=Right.RENT)
    def restart(self, request: Request) -> Answer:
        """Restart machines."""
        found = [self._machine(request, each) for each in request.json().get("instance_ids", [])]
        for each in found:
            self.world.restart(each)
        return _data({"restarted_instances": [self._shown(each) for each in found]})

    @route("POST", "/api/v1/instance-operations/terminate", right=Right.END)
    def terminate(self, request: Request) -> Answer:
        """End machines."""
        found = [self._machine(request, each) for each in request.json().get("instance_ids", [])]
        for each in found:
            self.world.end(each)
        return _data({"terminated_instances": [self._shown(each) for each in found]})

    def _machine(self, request: Request, machine_id: str) -> Machine:
        return self.world.machine(request.account, machine_id, ended=True)

    def _shown(self, machine: Machine) -> dict[str, Any]:
        status = _STATUS[machine.state]
        blocked = {"booting": "vm-has-not-launched", "active": ""}.get(status, "vm-is-terminating")
        gone = status in {"terminating", "terminated"}
        shown: dict[str, Any] = {
            "id": machine.id,
            "name": machine.name,
            "status": status,
            "ssh_key_names": [machine.data["key"]],
            "file_system_names": machine.data["filesystems"],
            "region": _region(machine.region),
            "instance_type": _type(self.world.held.kinds[machine.kind]),
            "tags": [{"key": key, "value": value} for key, value in machine.labels.items()],
            "actions": {
                **{
                    each: _allowed(blocked)
                    for each in ("migrate", "rebuild", "restart", "cold_reboot")
                },
                "terminate": _allowed("vm-is-terminating" if gone else ""),
            },
        }
        if machine.host and not gone:
            shown["ip"] = machine.host
        return shown

    # -- keys and filesystems ---------------------------------------------------------------------------------

    @route("GET", "/api/v1/ssh-keys")
    def keys(self, request: Request) -> Answer:
        """List SSH keys."""
        return _data([_key(each) for each in self._keys(request)])

    @route("POST", "/api/v1/ssh-keys", right=Right.RENT)
    def add_key(self, request: Request) -> Answer:
        """Add an SSH key; Lambda would make one itself where none is given, which nobody here wants."""
        wish = request.json()
        name, public = str(wish.get("name", "")), str(wish.get("public_key", ""))
        if not public or any(each.name == name for each in self._keys(request)):
            raise Refused(Why.BAD_REQUEST, "the name is in use, or there is no key")
        key = self.world.keep(
            request.account, "key", thing_id=secrets.token_hex(16), name=name, data={"public_key": public}
        )  # fmt: skip
        return _data(_key(key))

    @route("GET", "/api/v1/file-systems")
    def filesystems(self, request: Request) -> Answer:
        """List filesystems."""
        found = self.world.things(request.account, "volume")
        return _data([_filesystem(each) for each in found])

    @route("POST", "/api/v1/filesystems", right=Right.RENT)
    def add_filesystem(self, request: Request) -> Answer:
        """Make a filesystem."""
        wish = request.json()
        name, region = str(wish.get("name", "")), str(wish.get("region", ""))
        if region not in _REGIONS or not re.fullmatch(r"[a-zA-Z]+[0-9a-zA-Z-]*", name):
            raise Refused(Why.BAD_REQUEST, "name or region")
        if any(each.name == name for each in self.world.things(request.account, "volume")):
            raise _Coded(Why.BAD_REQUEST, "global/duplicate", "The name is in use.")
        made = self.world.keep(
            request.account, "volume", thing_id=secrets.token_hex(16), name=name, region=region
        )
        return _data(_filesystem(made))

    @route("DELETE", "/api/v1/filesystems/{id}", right=Right.END)
    def drop_filesystem(self, request: Request) -> Answer:
        """Remove a filesystem that no machine has."""
        found = self._filesystem(request, request.names["id"])
        if found.attached:
            raise _Coded(Why.BAD_REQUEST, "filesystems/filesystem-in-use", "It is in use.")
        self.world.drop(found)
        return _data({"deleted_ids": [found.id]})

    def _keys(self, request: Request) -> list[Thing]:
        return self.world.things(request.account, "key")

    def _filesystem(self, request: Request, thing_id: str) -> Thing:
        return self.world.thing(request.account, "volume", thing_id)

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return Lambda's refusal."""
        status, code, message = _CODES[refused.why]
        if isinstance(refused, _Coded):
            code, message = refused.code, refused.message
        error = {"code": code, "message": message, "suggestion": refused.message}
        return Answer.json({"error": error}, status)


def _data(value: Any) -> Answer:
    return Answer.json({"data": value})


def _type(kind: Kind) -> dict[str, Any]:
    said = kind.data["said"]
    return {
        "name": kind.ref,
        "description": f"{kind.count}x {said}",
        "gpu_description": said,
        "price_cents_per_hour": round(kind.price * 100),
        "specs": {"vcpus": 30, "memory_gib": 200, "storage_gib": 1400, "gpus": kind.count},
    }


def _region(name: str) -> dict[str, str]:
    return {"name": name, "description": _REGIONS[name]}


def _allowed(blocked: str) -> dict[str, Any]:
    if not blocked:
        return {"available": True}
    return {"available": False, "reason_code": blocked, "reason_description": blocked}


def _key(key: Thing) -> dict[str, str]:
    return {"id": key.id, "name": key.name, "public_key": key.data["public_key"]}


def _filesystem(volume: Thing) -> dict[str, Any]:
    return {
        "id": volume.id,
        "name": volume.name,
        "mount_point": f"/lambda/nfs/{volume.name}",
        "created": datetime.fromtimestamp(volume.created, UTC).isoformat(),
        "created_by": {"id": "0" * 32, "email": "rehearsal@example.com", "status": "active"},
        "is_in_use": bool(volume.attached),
        "region": _region(volume.region),
        "bytes_used": 0,
    }
