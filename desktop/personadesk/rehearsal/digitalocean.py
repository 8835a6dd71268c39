"""DigitalOcean's API in front of a rehearsal world, as far as GPU Droplets need it."""

from __future__ import annotations

import re
import secrets
import uuid
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

_REGIONS = {"tor1": "Toronto 1", "nyc2": "New York 2", "ams3": "Amsterdam 3", "nyc3": "New York 3"}
_STATUS = {
    State.REQUESTED: "new", State.BOOTING: "new", State.FAILED: "new", State.STARTING: "off",
    State.STOPPED: "off", State.LOST: "off",
}  # fmt: skip
_CODES: Mapping[Why, tuple[int, str, str]] = {
    Why.BAD_KEY: (401, "unauthorized", "Unable to authenticate you"),
    Why.EXPIRED: (401, "unauthorized", "Unable to authenticate you"),
    Why.MISSING_RIGHT: (403, "forbidden", "You are missing the required permission"),
    Why.NO_MONEY: (403, "forbidden", "Please add a valid payment method to your account."),
    Why.NO_CAPACITY: (422, "unprocessable_entity", "Size is not available in this region."),
    Why.QUOTA: (
        422, "unprocessable_entity", "creating this/these droplet(s) will exceed your droplet limit",
    ),
    Why.NOT_FOUND: (404, "not_found", "The resource you requested could not be found."),
    Why.RATE: (429, "too_many_requests", "API rate limit exceeded."),
    Why.WRONG_STATE: (422, "unprocessable_entity", "Droplet already has a pending event."),
    Why.BAD_REQUEST: (422, "unprocessable_entity", "The request makes no sense."),
    Why.FAULT: (500, "server_error", "Unexpected server-side error"),
}  # fmt: skip
_NAME = re.compile(r"[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]")


def _kind(
    slug: str, model: str, gpu: str, memory: int, price: float, count: int = 1, **stock: int | None
) -> Kind:
    # Switched off it costs the same.
    return Kind(
        slug, gpu, memory / count, price, count, stopped_price=price, stock=dict(stock),
        data={"model": model, "vram": memory},
    )  # fmt: skip


class DigitalOcean(Simulator):
    """DigitalOcean."""

    id = "digitalocean"
    kinds = (
        _kind("gpu-4000adax1-20gb", "nvidia_rtx4000_ada", "RTX 4000 Ada", 20, 0.76, tor1=2),
        _kind("gpu-l40sx1-48gb", "nvidia_l40s", "L40S", 48, 1.57, tor1=2, nyc2=1),
        _kind("gpu-h100x1-80gb", "nvidia_h100", "H100", 80, 3.39, nyc2=1, ams3=0),
        _kind("gpu-h100x8-640gb", "nvidia_h100", "H100", 640, 23.92, 8, nyc2=1),
        _kind("gpu-mi300x1-192gb", "amd_mi300x", "MI300X", 192, 1.99, nyc2=1),
    )
    ready = Ready({"api_key": "dop_v1_rehearsal_token"}, key="dop_v1_rehearsal_token", balance=None)
    pace = Pace(request_s=2.0, boot_s=5.0, stop_s=2.0, start_s=3.0, restart_s=3.0, end_s=2.0)
    keeps_address = True
    keeps_gpu = True

    # -- the account ------------------------------------------------------------------------------------------

    @route("GET", "/v2/account")
    def account(self, request: Request) -> Answer:
        """Return who it is."""
        locked = bool(request.account.data.get("locked"))
        account = {
            "droplet_limit": request.account.quota or 25,
            "floating_ip_limit": 3,
            "email": f"{request.account.name}@example.com",
            "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
            "email_verified": True,
            "status": "locked" if locked else "active",
            "status_message": "Your account is locked." if locked else "",
        }
        return Answer.json({"account": account})

    @route("GET", "/v2/customers/my/balance")
    def balance(self, request: Request) -> Answer:
        """Return what is owed; less than nothing is what was paid before."""
        left = request.account.balance
        spent = sum(each.spent for each in self.world.machines(request.account, ended=True))
        owed = f"{-left:.2f}" if left is not None else f"{spent:.2f}"
        told = {
            "month_to_date_balance": owed, "account_balance": "0.00", "month_to_date_usage": f"{spent:.2f}",
            "generated_at": _time(self.world.now()),
        }  # fmt: skip
        return Answer.json(told)

    @route("GET", "/v2/sizes")
    def sizes(self, request: Request) -> Answer:
        """List sizes, among them one without a GPU."""
        plain = {
            "slug": "s-1vcpu-1gb", "memory": 1024, "vcpus": 1, "disk": 25, "transfer": 1.0,
            "price_monthly": 6.0, "price_hourly": 0.00893, "regions": ["nyc3"], "available": True,
            "description": "Basic",
        }  # fmt: skip
        return self._page(
            request, "sizes", [plain, *map(self._size, self.world.held.kinds.values())]
        )

    # -- Droplets ---------------------------------------------------------------------------------------------

    @route("GET", "/v2/droplets")
    def droplets(self, request: Request) -> Answer:
        """List Droplets; without `type=gpus` those without GPUs, of which there are none here."""
        found = self.world.machines(request.account) if request.param("type") == "gpus" else []
        return self._page(request, "droplets", [self._droplet(each) for each in found])

    @route("POST", "/v2/droplets", right=Right.RENT)
    def create(self, request: Request) -> Answer:
        """Make a Droplet."""
        wish = request.json()
        name = str(wish.get("name", ""))
        if not _NAME.fullmatch(name) or not wish.get("image"):
            raise Refused(Why.BAD_REQUEST, "Only valid hostname characters are allowed.")
        keys = [
            self.world.thing(request.account, "key", str(each)).data["public_key"]
            for each in wish.get("ssh_keys", [])
        ]
        region = str(wish.get("region", ""))
        volumes = [
            self.world.thing(request.account, "volume", each) for each in wish.get("volumes", [])
        ]
        if any(each.region != region or each.attached for each in volumes):
            raise Refused(Why.BAD_REQUEST, "The volume is attached, or in another region.")
        tags = [str(each) for each in wish.get("tags") or []]
        brought = read(str(wish.get("user_data", "")))
        machine = self.world.create(
            request.account, str(wish.get("size", "")), machine_id=_number(), region=region, name=name,
            labels=dict.fromkeys(tags, ""), keys=[*keys, *brought.public], host_key=brought.host_key,
            user_data=str(wish.get("user_data", "")), data={"image": wish["image"]},
        )  # fmt: skip
        for each in volumes:
            each.attached = machine.id
        action = {"id": int(_number()), "rel": "create", "href": f"{_origin(request)}/v2/actions/1"}
        return Answer.json({"droplet": self._droplet(machine), "links": {"actions": [action]}}, 202)

    @route("GET", "/v2/droplets/{id}")
    def droplet(self, request: Request) -> Answer:
        """Return one Droplet."""
        return Answer.json({"droplet": self._droplet(self._machine(request))})

    @route("DELETE", "/v2/droplets/{id}", right=Right.END)
    def delete(self, request: Request) -> Answer:
        """End a Droplet."""
        self.world.end(self._machine(request))
        return Answer(204)

    @route("GET", "/v2/droplets/{id}/actions")
    def actions(self, request: Request) -> Answer:
        """List what was done to a Droplet: here, that it was made, or could not be."""
        machine = self._machine(request)
        coming = machine.state in {State.REQUESTED, State.BOOTING}
        failed = machine.state is State.FAILED
        status = "errored" if failed else "in-progress" if coming else "completed"
        return self._page(request, "actions", [self._action(machine, "create", status)])

    @route("POST", "/v2/droplets/{id}/actions", right=Right.RENT)
    def act(self, request: Request) -> Answer:
        """Switch a Droplet on or off, or restart it."""
        machine = self._machine(request)
        what = str(request.json().get("type", ""))
        work = {
            "power_on": self.world.start, "reboot": self.world.restart, "power_cycle": self.world.restart,
            "shutdown": self.world.stop, "power_off": self.world.stop,
        }.get(what)  # fmt: skip
        if work is None:
            raise Refused(Why.BAD_REQUEST, f"there is no {what}")
        work(machine)
        return Answer.json({"action": self._action(machine, what, "in-progress")}, 201)

    def _machine(self, request: Request) -> Machine:
        return self.world.machine(request.account, request.names["id"])

    def _droplet(self, machine: Machine) -> dict[str, Any]:
        kind = self.world.held.kinds[machine.kind]
        networks = []
        if machine.host:
            networks = [
                {"ip_address": machine.host, "netmask": "255.255.255.0", "gateway": "127.0.0.1", "type": "public"},
                {"ip_address": "10.108.0.2", "netmask": "255.255.240.0", "gateway": "10.108.0.1", "type": "private"},
            ]  # fmt: skip
        volumes = [
            each.id for each in self.world.things(None, "volume") if each.attached == machine.id
        ]
        return {
            "id": int(machine.id), "name": machine.name, "memory": 65536, "vcpus": 8, "disk": 500,
            "locked": machine.state not in {State.RUNNING, State.STOPPED, State.LOST},
            "status": _STATUS.get(machine.state, "active"), "created_at": _time(machine.created),
            "features": [], "backup_ids": [], "next_backup_window": None, "snapshot_ids": [],
            "image": {"id": 1, "name": machine.data["image"], "slug": machine.data["image"], "public": True},
            "volume_ids": volumes, "size": self._size(kind), "size_slug": kind.ref,
            "networks": {"v4": networks, "v6": []}, "region": _region(machine.region),
            "tags": list(machine.labels), "gpu_info": _gpu(kind),
        }  # fmt: skip

    def _size(self, kind: Kind) -> dict[str, Any]:
        free = [each for each in kind.stock if self.world.free(kind.ref, each) != 0]
        return {
            "slug": kind.ref, "memory": 65536, "vcpus": 8, "disk": 500, "transfer": 10.0,
            "price_monthly": round(kind.price * 744, 2), "price_hourly": kind.price, "regions": free,
            "available": bool(free), "description": f"{kind.gpu} GPU - {kind.count}X", "gpu_info": _gpu(kind),
        }  # fmt: skip

    def _action(self, machine: Machine, what: str, status: str) -> dict[str, Any]:
        return {
            "id": 36804636, "status": status, "type": what, "started_at": _time(machine.since),
            "completed_at": None, "resource_id": int(machine.id), "resource_type": "droplet",
            "region": _region(machine.region), "region_slug": machine.region,
        }  # fmt: skip

    # -- keys, addresses, volumes -----------------------------------------------------------------------------

    @route("GET", "/v2/account/keys")
    def keys(self, request: Request) -> Answer:
        """List SSH keys."""
        return self._page(
            request, "ssh_keys", [_key(each) for each in self._things(request, "key")]
        )

    @route("POST", "/v2/account/keys", right=Right.RENT)
    def add_key(self, request: Request) -> Answer:
        """Add an SSH key."""
        wish = request.json()
        public = str(wish.get("public_key", ""))
        if any(each.data["public_key"] == public for each in self._things(request, "key")):
            raise Refused(Why.BAD_REQUEST, "SSH Key is already in use on your account")
        key = self.world.keep(
            request.account, "key", thing_id=_number(), name=str(wish.get("name", "")),
            data={"public_key": public},
        )  # fmt: skip
        return Answer.json({"ssh_key": _key(key)}, 201)

    @route("GET", "/v2/reserved_ips")
    def addresses(self, request: Request) -> Answer:
        """List reserved IPs."""
        found = [self._address(request, each) for each in self._things(request, "address")]
        return self._page(request, "reserved_ips", found)

    @route("POST", "/v2/reserved_ips", right=Right.RENT)
    def reserve(self, request: Request) -> Answer:
        """Reserve an IP for a Droplet that is up."""
        droplet = str(request.json().get("droplet_id", ""))
        machine = self.world.machine(request.account, droplet)
        if machine.state is not State.RUNNING or machine.fixed_address:
            raise Refused(Why.WRONG_STATE)
        host = self.world.new_address(machine)
        made = self.world.keep(request.account, "address", thing_id=host, region=machine.region)
        # As DigitalOcean answers: it is still being given.
        told = {**self._address(request, made), "locked": True}
        self.world.pin(machine, made, host)
        return Answer.json({"reserved_ip": told, "links": {}}, 202)

    @route("POST", "/v2/reserved_ips/{id}/actions", right=Right.RENT)
    def assign(self, request: Request) -> Answer:
        """Give a reserved IP to a Droplet that is up."""
        found = self.world.thing(request.account, "address", request.names["id"])
        wish = request.json()
        machine = self.world.machine(request.account, str(wish.get("droplet_id", "")))
        if wish.get("type") != "assign" or machine.state is not State.RUNNING or found.attached:
            raise Refused(Why.WRONG_STATE)
        self.world.pin(machine, found, found.id)
        return Answer.json({"action": self._action(machine, "assign_ip", "in-progress")}, 201)

    @route("DELETE", "/v2/reserved_ips/{id}", right=Right.END)
    def release(self, request: Request) -> Answer:
        """Give a reserved IP back; not while a Droplet has it."""
        found = self.world.thing(request.account, "address", request.names["id"])
        if found.attached:
            raise Refused(Why.WRONG_STATE)
        self.world.drop(found)
        return Answer(204)

    @route("GET", "/v2/volumes")
    def volumes(self, request: Request) -> Answer:
        """List volumes."""
        return self._page(
            request, "volumes", [_volume(each) for each in self._things(request, "volume")]
        )

    @route("POST", "/v2/volumes", right=Right.RENT)
    def add_volume(self, request: Request) -> Answer:
        """Make a volume."""
        wish = request.json()
        name, region = str(wish.get("name", "")), str(wish.get("region", ""))
        taken = [(each.name, each.region) for each in self._things(request, "volume")]
        if region not in _REGIONS or (name, region) in taken:
            raise Refused(Why.BAD_REQUEST, "The name is in use, or there is no such region.")
        size = int(wish.get("size_gigabytes", 0))
        made = self.world.keep(
            request.account, "volume", thing_id=str(uuid.uuid4()), name=name, region=region,
            price=size * 0.10 / 730, data={"size": size, "tags": wish.get("tags") or []},
        )  # fmt: skip
        return Answer.json({"volume": _volume(made)}, 201)

    @route("GET", "/v2/volumes/{id}")
    def volume(self, request: Request) -> Answer:
        """Return one volume."""
        found = self.world.thing(request.account, "volume", request.names["id"])
        return Answer.json({"volume": _volume(found)})

    @route("DELETE", "/v2/volumes/{id}", right=Right.END)
    def drop_volume(self, request: Request) -> Answer:
        """Remove a volume that no Droplet has."""
        found = self.world.thing(request.account, "volume", request.names["id"])
        if found.attached:
            raise Refused(Why.WRONG_STATE)
        self.world.drop(found)
        return Answer(204)

    def _things(self, request: Request, kind: str) -> list[Thing]:
        return self.world.things(request.account, kind)

    def _address(self, request: Request, address: Thing) -> dict[str, Any]:
        holder = None
        if address.attached:
            holder = self._droplet(
                self.world.machine(request.account, address.attached, ended=True)
            )
        return {
            "ip": address.id, "region": _region(address.region), "droplet": holder, "locked": False,
        }  # fmt: skip

    # -- pages and refusals -----------------------------------------------------------------------------------

    def _page(self, request: Request, name: str, items: list[Any]) -> Answer:
        """Return one page of a list, with the next one's whole address."""
        size, page = int(request.param("per_page", "20")), int(request.param("page", "1"))
        links: dict[str, Any] = {}
        if page * size < len(items):
            kept = "".join(
                f"&{key}={value}" for key, value in request.query if key not in {"page", "per_page"}
            )
            address = f"{_origin(request)}{request.path}?page={page + 1}&per_page={size}{kept}"
            links = {"pages": {"next": address, "last": address}}
        shown = items[(page - 1) * size : page * size]
        return Answer.json({name: shown, "links": links, "meta": {"total": len(items)}})

    def refusal(self, refused: Refused, request: Request) -> Answer:
        """Return DigitalOcean's refusal."""
        status, code, message = _CODES[refused.why]
        if refused.why is Why.BAD_REQUEST:
            message = refused.message
        return Answer.json({"id": code, "message": message, "request_id": request.id}, status)


def _number() -> str:
    return str(100_000_000 + secrets.randbelow(900_000_000))


def _origin(request: Request) -> str:
    host = request.headers.get("host", "api.digitalocean.com")
    return f"{'http' if host.startswith(('127.', 'localhost')) else 'https'}://{host}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _gpu(kind: Kind) -> dict[str, Any]:
    vram = {"amount": kind.data["vram"], "unit": "gib"}
    return {"count": kind.count, "model": kind.data["model"], "vram": vram}


def _region(slug: str) -> dict[str, Any]:
    return {"name": _REGIONS[slug], "slug": slug, "features": [], "available": True, "sizes": []}


def _key(key: Thing) -> dict[str, Any]:
    return {"id": int(key.id), "name": key.name, "public_key": key.data["public_key"]}


def _volume(volume: Thing) -> dict[str, Any]:
    return {
        "id": volume.id, "name": volume.name, "region": _region(volume.region),
        "droplet_ids": [int(volume.attached)] if volume.attached else [],
        "size_gigabytes": volume.data["size"], "created_at": _time(volume.created),
        "tags": volume.data["tags"], "filesystem_type": "ext4", "filesystem_label": "",
    }  # fmt: skip
