"""Paperspace's API, version 1, in front of a rehearsal world, as far as machines need it.

Its refusals' codes are not published; those here are ours.
"""

from __future__ import annotations

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

_STATES = {
    State.REQUESTED: "provisioning", State.BOOTING: "provisioning", State.FAILED: "provisioning",
    State.RUNNING: "ready", State.RESTARTING: "restarting", State.STOPPING: "stopping",
    State.STOPPED: "off", State.STARTING: "starting", State.ENDING: "stopping", State.ENDED: "off",
    State.LOST: "off",
}  # fmt: skip
_CODES: Mapping[Why, tuple[int, str, str]] = {
    Why.BAD_KEY: (401, "UNAUTHORIZED", "Invalid API key"),
    Why.EXPIRED: (401, "UNAUTHORIZED", "Invalid API key"),
    Why.MISSING_RIGHT: (403, "FORBIDDEN", "Not allowed"),
    Why.NO_MONEY: (403, "FORBIDDEN", "A valid payment method is required"),
    Why.NO_CAPACITY: (409, "CONFLICT", "This machine type is out of capacity in this region"),
    Why.QUOTA: (403, "FORBIDDEN", "You have reached the limit of machines of this type"),
    Why.NOT_FOUND: (404, "NOT_FOUND", "Not found"),
    Why.RATE: (429, "TOO_MANY_REQUESTS", "Too many requests"),
    Why.WRONG_STATE: (409, "CONFLICT", "Not possible in the current state of the machine"),
    Why.BAD_REQUEST: (400, "BAD_REQUEST", "Invalid request"),
    Why.FAULT: (500, "INTERNAL_SERVER_ERROR", "Internal server error"),
}  # fmt: skip
_TEMPLATES = (
    ("t0nspur5", "Ubuntu 20.04 Server", "Ubuntu 20.04"),
    ("tvimtol9", "Windows 10", "Windows 10"),
    ("t0nspml2", "ML-in-a-Box Ubuntu 22.04", "Ubuntu 22.04"),
)
_DISK_MONTH = 0.1
"""Dollars a month for a GB of disk, for machines of a rehearsal."""


def _kind(name: str, gpu: str, memory: int, price: float, **stock: int | None) -> Kind:
    return Kind(name, gpu, memory, price, stopped_price=_DISK_MONTH * 100 / 730, stock=dict(stock))


class Paperspace(Simulator):
    """Paperspace."""

    id = "paperspace"
    kinds = (
        _kind("A4000", "RTX A4000", 16, 0.76, ny2=2, ams1=1, ca1=1),
        _kind("A5000", "RTX A5000", 24, 1.38, ny2=1, ca1=0),
        _kind("A6000", "RTX A6000", 48, 1.89, ny2=2, ca1=1),
        _kind("A100-80G", "A100 80GB", 80, 3.18, ny2=0),
        _kind("H100", "H100", 80, 5.95, ny2=1),
    )
    ready = Ready(
        {"api_key": "rehearsal-paperspace-key"}, key="rehearsal-paperspace-key", base_path="/v1",
        balance=None,
    )  # fmt: skip
    pace = Pace(request_s=2.0, boot_s=5.0, stop_s=2.0, start_s=4.0, restart_s=3.0, end_s=2.0)

    # -- the account, and what is for rent --------------------------------------------------------------------

    @route("GET", "/v1/auth/session")
    def session(self, request: Request) -> Answer:
        """Return whose key it is."""
        name = request.account.name
        user: dict[str, Any] = {
            "firstName": None, "lastName": None, "email": f"{name}@example.com",
            "dtCreated": _time(0.0), "dtConfirmed": None, "teamMemberships": [], "isPhoneVerified": True,
            "isPasswordAuthEnabled": True, "isQrCodeBasedMfaEnabled": False,
            "isQrCodeBasedMfaConfirmed": False, "id": "u1", "analyticsId": 1, "metadata": {},
        }  # fmt: skip
        team = {
            "namespace": name, "isPrivate": True, "maxMachines": request.account.quota or 10,
            "id": "t1", "analyticsId": 1,
        }  # fmt: skip
        return Answer.json({"user": user, "team": team})

    @route("GET", "/v1/machine-availability")
    def availability(self, request: Request) -> Answer:
        """Say whether a type is free in a region."""
        ref, region = request.param("machineType"), request.param("region")
        kind = self.world.held.kinds.get(ref)
        if kind is None:
            raise Refused(Why.BAD_REQUEST, f"there is no {ref}")
        return Answer.json({"available": self.world.free(ref, region) != 0})

    @route("GET", "/v1/os-templates")
    def templates(self, request: Request) -> Answer:
        """List what a machine can begin with."""
        kinds = [{"machineTypeLabel": each, "isAvailable": True} for each in self.world.held.kinds]
        found = [
            {
                "id": each, "name": name, "agentType": "LinuxHeadless", "operatingSystemLabel": label,
                "defaultSizeGb": 50, "availableMachineTypes": kinds, "dtCreated": _time(0.0),
            }
            for each, name, label in _TEMPLATES
        ]  # fmt: skip
        return _page(request, found)

    # -- machines ---------------------------------------------------------------------------------------------

    @route("GET", "/v1/machines")
    def machines(self, request: Request) -> Answer:
        """List machines."""
        return _page(request, [self._shown(each) for each in self.world.machines(request.account)])

    @route("POST", "/v1/machines", right=Right.RENT)
    def create(self, request: Request) -> Answer:
        """Make a machine, and start it."""
        wish = request.json()
        if wish.get("templateId") not in {each[0] for each in _TEMPLATES}:
            raise Refused(Why.BAD_REQUEST, "there is no such template")
        text = ""
        if wish.get("startupScriptId"):
            text = self._script(request, str(wish["startupScriptId"])).data["script"]
        brought = read(text)
        machine = self.world.create(
            request.account, str(wish.get("machineType", "")), machine_id=f"ps{secrets.token_hex(5)}",
            region=str(wish.get("region", "")), name=str(wish.get("name", "")),
            disk_gb=int(wish.get("diskSize", 50)), keys=brought.public, host_key=brought.host_key,
            user_data=text, data={"ip": wish.get("publicIpType", "none"), "event": "create",
                                  "auto": wish.get("autoShutdownEnabled", True)},
        )  # fmt: skip
        return self._changed(machine)

    @route("GET", "/v1/machines/{id}")
    def machine(self, request: Request) -> Answer:
        """Return one machine."""
        return Answer.json(self._shown(self._machine(request)))

    @route("DELETE", "/v1/machines/{id}", right=Right.END)
    def delete(self, request: Request) -> Answer:
        """End a machine."""
        machine = self._machine(request)
        self.world.end(machine)
        return self._changed(machine, "deactivate")

    @route("PATCH", "/v1/machines/{id}/start", right=Right.RENT)
    def start(self, request: Request) -> Answer:
        """Start a machine."""
        machine = self._machine(request)
        if machine.state is not State.STOPPED:
            raise Refused(Why.WRONG_STATE)
        self.world.start(machine)
        return self._changed(machine, "start")

    @route("PATCH", "/v1/machines/{id}/stop", right=Right.END)
    def stop(self, request: Request) -> Answer:
        """Stop a machine."""
        machine = self._machine(request)
        if machine.state is not State.RUNNING:
            raise Refused(Why.WRONG_STATE)
        self.world.stop(machine)
        return self._changed(machine, "stop")

    @route("PATCH", "/v1/machines/{id}/restart", right=Right.RENT)
    def restart(self, request: Request) -> Answer:
        """Restart a machine."""
        machine = self._machine(request)
        self.world.restart(machine)
        return self._changed(machine, "restart")

    @route("GET", "/v1/machine-events")
    def events(self, request: Request) -> Answer:
        """List what was done to a machine: here, the last of it."""
        machine = self.world.machine(request.account, request.param("machineId"))
        return _page(request, [self._event(machine)])

    def _machine(self, request: Request) -> Machine:
        return self.world.machine(request.account, request.names["id"])

    def _changed(self, machine: Machine, what: str = "") -> Answer:
        machine.data["event"] = what or machine.data["event"]
        return Answer.json({"event": self._event(machine), "data": self._shown(machine)})

    def _event(self, machine: Machine) -> dict[str, Any]:
        failed = machine.state is State.FAILED
        rests = machine.state in {State.RUNNING, State.STOPPED}
        return {
            "id": f"{machine.id}-event", "name": machine.data["event"], "machineId": machine.id,
            "state": "error" if failed else "done" if rests else "in progress",
            "dtCreated": _time(machine.created), "dtStarted": _time(machine.since), "dtFinished": None,
            "error": machine.reason if failed else None,
        }  # fmt: skip

    def _shown(self, machine: Machine) -> dict[str, Any]:
        kind = self.world.held.kinds[machine.kind]
        static = machine.data["ip"] == "static"
        if static and machine.host and not machine.fixed_address:
            # The first address that it has becomes the one that it keeps.
            owner = next(
                each for each in self.world.held.accounts.values() if each.name == machine.account
            )
            address = self.world.keep(
                owner, "address", thing_id=machine.host, region=machine.region, price=3.0 / 730
            )
            machine.fixed_address, address.attached = address.id, machine.id
        has_address = machine.host and (static or machine.state is not State.STOPPED)
        return {
            "id": machine.id, "name": machine.name, "state": _STATES[machine.state], "os": "Ubuntu 22.04",
            "machineType": machine.kind, "agentType": "LinuxHeadless", "cpus": 8, "ram": 48318382080,
            "storageTotal": machine.disk_gb * 10**9, "storageUsed": 0,
            "accelerators": [
                {"name": kind.gpu, "memory": int(kind.memory_gb * 2**30), "count": machine.gpus}
            ],
            "region": machine.region, "privateIp": "10.64.0.2", "networkId": "n1",
            "publicIp": machine.host if has_address else None, "publicIpType": machine.data["ip"],
            "autoShutdownEnabled": machine.data["auto"], "autoShutdownTimeout": None,
            "autoShutdownForce": None, "autoSnapshotEnabled": False, "autoSnapshotFrequency": "daily",
            "autoSnapshotSaveCount": None, "updatesPending": False, "restorePointEnabled": False,
            "restorePointFrequency": "shutdown", "restorePointSnapshotId": None, "usageRate": kind.price,
            "storageRate": round(machine.disk_gb * _DISK_MONTH, 2), "dtCreated": _time(machine.created),
            "dtModified": _time(machine.since), "dtDeleted": None, "reservation": None,
        }  # fmt: skip

    # -- startup scripts and addresses ------------------------------------------------------------------------

    @route("GET", "/v1/startup-scripts")
    def scripts(self, request: Request) -> Answer:
        """List startup scripts, without what is in them."""
        name = request.param("name")
        found = self.world.things(request.account, "script")
        return _page(request, [self._told(each) for each in found if name in {"", each.name}])

    @route("POST", "/v1/startup-scripts", right=Right.RENT)
    def add_script(self, request: Request) -> Answer:
        """Keep a startup script."""
        wish = request.json()
        made = self.world.keep(
            request.account, "script", thing_id=f"ss{secrets.token_hex(4)}", name=str(wish.get("name", "")),
            data={"script": str(wish.get("script", "")), "once": bool(wish.get("isRunOnce"))},
        )  # fmt: skip
        return Answer.json(self._told(made))

    @route("DELETE", "/v1/startup-scripts/{id}", right=Right.END)
    def drop_script(self, request: Request) -> Answer:
        """Remove a startup script."""
        found = self._script(request, request.names["id"])
        self.world.drop(found)
        return Answer.json(self._told(found))

    @route("GET", "/v1/public-ips")
    def addresses(self, request: Request) -> Answer:
        """List static IPs."""
        found = self.world.things(request.account, "address")
        return _page(request, [_address(each) for each in found])

    @route("DELETE", "/v1/public-ips/{id}", right=Right.END)
    def release(self, request: Request) -> Answer:
        """Give a static IP back; not while a machine has it."""
        found = self.world.thing(request.account, "address", request.names["id"])
        if found.attached:
            raise Refused(Why.WRONG_STATE)
        self.world.drop(found)
        return Answer.json({"ip": found.id})

    def _script(self, request: Request, thing_id: str) -> Thing:
        return self.world.thing(request.account, "script", thing_id)

    def _told(self, script: Thing) -> dict[str, Any]:
        return {
            "id": script.id, "name": script.name, "description": None, "isEnabled": True,
            "isRunOnce": script.data["once"], "assignedMachineIds": [],
            "dtCreated": _time(script.created), "dtDeleted": None,
        }  # fmt: skip

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return a refusal as Paperspace shapes them."""
        status, code, message = _CODES[refused.why]
        if refused.why is Why.BAD_REQUEST:
            message = refused.message
        return Answer.json({"message": message, "code": code}, status)


def _page(request: Request, items: list[dict[str, Any]]) -> Answer:
    """Return one page of a list; `after` is the number of the item to begin with."""
    begin, size = int(request.param("after", "0")), int(request.param("limit", "15"))
    page: dict[str, Any] = {"hasMore": False, "items": items[begin : begin + size]}
    if begin + size < len(items):
        page |= {"hasMore": True, "nextPage": str(begin + size)}
    return Answer.json(page)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address(address: Thing) -> dict[str, Any]:
    told = {"ip": address.id, "region": address.region, "dtCreated": _time(address.created)}
    return {**told, "assignedMachineId": address.attached} if address.attached else told
