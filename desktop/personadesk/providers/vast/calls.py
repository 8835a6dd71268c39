"""Vast.ai's API in the calls of `Provider`."""

from __future__ import annotations

import json
import logging
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from personadesk.domain.account import AccountInfo, Right
from personadesk.domain.errors import AuthFailed, BadRequest, NoCapacity, NotFound, PersonaDeskError
from personadesk.domain.machine import Action, Machine, MachineState
from personadesk.domain.offer import SOLD_AS, Offer, Stock
from personadesk.domain.text import NOTHING, T, Text
from personadesk.providers import faults, lease
from personadesk.providers.base import Provider
from personadesk.providers.faults import Problem
from personadesk.providers.gpus import memory_of, usual_name
from personadesk.providers.vast import failures, wire
from personadesk.providers.vast.facts import (
    BID_ABOVE,
    END_ITSELF,
    FACTS,
    HOST_WANTED,
    IMAGE,
    IMAGE_GB,
    INSTANCE_READ,
    INSTANCE_WRITE,
    MOST_OFFERS,
    USER_READ,
)
from personadesk.providers.vast.instances import machine_of, readings_of
from personadesk.providers.web import MOST_PAGES, Api

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from personadesk.domain.machine import Order
    from personadesk.domain.offer import Need
    from personadesk.domain.sample import Reading

log = logging.getLogger(__name__)

PAGE = 25
"""Most instances in one answer."""
NOBODY = 0
"""There is no instance of this number: what is said of naming it tells whether the key might."""
LOG_LINES = "200"
LOG_TRIES = 6
LOG_PAUSE_SECONDS = 1.0
STATES = {Action.START: "running", Action.STOP: "stopped"}


class Vast(Provider):
    """One account at Vast.ai."""

    facts = FACTS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        key = self._credentials.get("api_key", "")

        async def headers() -> Mapping[str, str]:
            return {"Authorization": f"Bearer {key}"}

        self._api = Api(
            FACTS, self.account.name, self.account.base_url or FACTS.base_url, headers=headers,
            refusal=failures.refusal(self.account.name), read=failures.read, secrets=[key],
            transport=self._transport, sleep=self._sleep,
        )  # fmt: skip
        self._coming: set[str] = set()
        """Instances that were ordered here and have not been seen to run."""

    async def aclose(self) -> None:
        """Close connections."""
        await self._api.aclose()

    # -- the account ------------------------------------------------------------------------------------------

    async def verify(self) -> AccountInfo:
        """Ask who we are, for one instance, and whether an instance that does not exist could be named."""
        missing = []
        rights = {Right.SEE}
        try:
            user = await self._api.call("GET", "/api/v0/users/current", wire.User)
        except AuthFailed as error:
            if error.cause == "expired_key":
                raise
            # A key without a right is refused like a wrong one; whether it is any good the list of instances tells.
            try:
                await self._page("", {}, limit=1)
            except AuthFailed:
                raise error from None
            user = wire.User()
            missing.append(_lacks(USER_READ))
        else:
            try:
                await self._page("", {}, limit=1)
            except AuthFailed as error:
                problem = Problem(error.provider_status, message=error.details)
                name = self.account.name
                raise faults.missing_right(FACTS, name, INSTANCE_READ, problem) from error
        try:
            await self._change("PUT", f"/api/v0/instances/{NOBODY}", json={"label": ""})
        except AuthFailed:
            missing.append(_lacks(INSTANCE_WRITE))
        except (NotFound, BadRequest):
            # It was let in, and told that there is no such instance.
            rights |= {Right.RENT, Right.END}
        balance = user.balance if user.credit is None else user.credit
        return AccountInfo(
            who=user.email or (str(user.id) if user.id else ""),
            rights=frozenset(rights),
            missing=tuple(missing),
            balance=balance,
            balance_reason=T("Vast.ai didn't tell it.") if balance is None else NOTHING,
            checked=self._clock(),
        )

    # -- what could be rented ---------------------------------------------------------------------------------

    async def offers(self, need: Need) -> Sequence[Offer]:
        """Return the cheapest machines on the market whose hosts are good enough."""
        found = await self._search(need, spot=False)
        if need.spot:
            found += await self._search(need, spot=True)
        return [offer for offer in found if need.allows(offer)]

    async def _search(self, need: Need, *, spot: bool) -> list[Offer]:
        disk = need.disk_gb + IMAGE_GB
        wanted: dict[str, Any] = {
            **HOST_WANTED,
            "num_gpus": {"eq": need.count},
            "gpu_ram": {"gte": need.memory_gb * SOLD_AS * 1024},
            "disk_space": {"gte": disk},
            "allocated_storage": disk,
            "type": "bid" if spot else "ondemand",
            # Two, since the contract wants two; and so equal prices keep their places.
            "order": [["dph_total", "asc"], ["id", "asc"]],
            "limit": MOST_OFFERS,
        }
        if need.max_price is not None:
            wanted["dph_total"] = {"lte": need.max_price}
        asks = await self._api.call(
            "POST", "/api/v0/bundles", wire.Asks, json=wanted, repeatable=True
        )
        return [self._offer(ask, spot=spot) for ask in asks.offers if ask.id]

    def _offer(self, ask: wire.Ask, *, spot: bool) -> Offer:
        gpu = usual_name(ask.gpu_name, ask.gpu_ram / 1024)
        price, data = ask.dph_total, {}
        if spot and ask.min_bid is not None:
            bid = round(ask.min_bid * BID_ABOVE, 4)
            data = {"bid": str(bid)}
            price = (price or ask.min_bid) + bid - ask.min_bid
        return Offer(
            account=self.account.name,
            provider=FACTS.id,
            ref=str(ask.id),
            gpu=gpu,
            memory_gb=memory_of(gpu) or round(ask.gpu_ram / 1024, 1),
            count=ask.num_gpus,
            region=ask.geolocation or "",
            place=ask.geolocation or "",
            price=price,
            # There is just this one.
            stock=Stock.LOW,
            asked=self._clock(),
            spot=spot,
            data=data,
            host=str(ask.machine_id or ""),
        )

    # -- what is there ----------------------------------------------------------------------------------------

    async def machines(self) -> Sequence[Machine]:
        """Return all instances, page by page."""
        return [self._seen(each) for each in await self._instances({})]

    async def machine(self, machine_id: str) -> Machine:
        """Return one instance."""
        return self._seen(await self._instance(machine_id))

    async def find(self, tag: str) -> Sequence[Machine]:
        """Return the instances with a label of ours."""
        found = await self._instances({"label": {"eq": tag}})
        return [self._seen(each) for each in found if each.label == tag]

    def _seen(self, instance: wire.Instance) -> Machine:
        machine = machine_of(instance)
        if machine.id in self._coming:
            if machine.state is MachineState.RUNNING:
                self._coming.discard(machine.id)
            elif machine.state is MachineState.STOPPED:
                # Vast.ai has no word for an order that came to nothing: it is at rest, and nobody asked for that.
                reason = T(
                    "It was stopped before it ever ran: its host could not start it, or was given away."
                )
                machine = replace(machine, state=MachineState.FAILED, reason=reason)
        return self._stamp(machine)

    async def _instance(self, machine_id: str) -> wire.Instance:
        if machine_id.isdigit():
            found = await self._instances({"id": {"eq": int(machine_id)}})
            for each in found:
                if str(each.id) == machine_id:
                    return each
        raise faults.gone(FACTS, machine_id)

    async def _instances(self, wanted: Mapping[str, Any]) -> list[wire.Instance]:
        found: list[wire.Instance] = []
        token = ""
        for _ in range(MOST_PAGES):
            page = await self._page(token, wanted)
            found += [each for each in page.instances if each.id]
            token = page.next_token or ""
            if not token:
                return found
        raise faults.provider_fault(FACTS, Problem(message="the list of instances never ends"))

    async def _page(
        self, token: str, wanted: Mapping[str, Any], *, limit: int = PAGE
    ) -> wire.Instances:
        params: dict[str, Any] = {"limit": limit}
        if token:
            params["after_token"] = token
        if wanted:
            params["select_filters"] = json.dumps(wanted)
        return await self._api.call("GET", "/api/v1/instances", wire.Instances, params=params)

    # -- life -------------------------------------------------------------------------------------------------

    async def create(self, order: Order) -> Machine:
        """Take an offer. An order that is refused and makes an instance all the same is taken back."""
        try:
            done = await self._api.call(
                "PUT", f"/api/v0/asks/{order.offer.ref}", wire.Done, json=instance_request(order),
                creates=True,
            )  # fmt: skip
            error = failures.said_no(done, self.account.name)
            contract = done.new_contract
        except PersonaDeskError as refused:
            error, contract = refused, failures.made_all_the_same(refused)
        if error is None and contract is None:
            error = faults.provider_fault(FACTS, Problem(message="no number of an instance"))
        if error is not None:
            if contract is not None:
                await self._take_back(contract, error)
            raise (
                faults.named(FACTS, order.offer, error) if isinstance(error, NoCapacity) else error
            )
        self._coming.add(str(contract))
        await self._let_in(str(contract), order.public_key)
        offer = order.offer
        return self._stamp(
            Machine(
                id=str(contract), account="", provider=FACTS.id, name=order.tag, tag=order.tag,
                state=MachineState.REQUESTED, gpu=offer.gpu, memory_gb=offer.memory_gb, count=offer.count,
                region=offer.region, place=offer.place, price=offer.price, running_price=offer.price,
                actions=frozenset({Action.END}), spot=offer.spot, host=offer.host,
            )
        )  # fmt: skip

    async def _let_in(self, contract: str, public_key: str) -> None:
        """Let our key in by Vast.ai's own way as well; its start script does it where this is refused."""
        path = f"/api/v0/instances/{contract}/ssh"
        try:
            await self._change("POST", path, json={"ssh_key": public_key.strip()})
        except PersonaDeskError as error:
            log.info("%s: %s Its start script lets our key in.", contract, error.what)

    async def _take_back(self, contract: int, error: PersonaDeskError) -> None:
        try:
            await self._destroy(str(contract))
        except PersonaDeskError as failure:
            raise failures.half_made(contract, failure) from error

    async def act(self, machine: Machine, action: Action) -> None:
        """Do it; whether a start gets its GPU shows in the machine's state."""
        if action is Action.END:
            await self._destroy(machine.id)
            return
        self._coming.discard(machine.id)
        if action is Action.RESTART:
            await self._change("PUT", f"/api/v0/instances/reboot/{machine.id}")
            return
        path = f"/api/v0/instances/{machine.id}"
        try:
            await self._change("PUT", path, json={"state": STATES[action]})
        except NoCapacity as error:
            # Such a start is queued: it would come, and be billed, when nobody expects it any more.
            await self._change("PUT", path, json={"state": STATES[Action.STOP]})
            problem = Problem(
                error.provider_status, message=error.details, request_id=error.request_id
            )
            raise faults.gpu_taken(FACTS, problem) from error

    async def _destroy(self, machine_id: str) -> None:
        try:
            await self._change("DELETE", f"/api/v0/instances/{machine_id}")
        except NotFound:
            return

    async def _change(self, method: str, path: str, **options: Any) -> wire.Done:
        """Make a change that may be asked for twice, and raise what an answer with status 200 refuses."""
        done = await self._api.call(method, path, wire.Done, repeatable=True, **options)
        error = failures.said_no(done, self.account.name)
        if error is not None:
            raise error
        return done

    # -- what else there is -----------------------------------------------------------------------------------

    async def figures(self, machine: Machine) -> Sequence[Reading]:
        """Return what the list of instances tells of the machine's use."""
        return readings_of(await self._instance(machine.id))

    async def log(self, machine: Machine) -> Sequence[str]:
        """Return the last lines of the container's log; its host brings them to a store, which takes seconds."""
        path = f"/api/v0/instances/request_logs/{machine.id}"
        done = await self._change("PUT", path, json={"tail": LOG_LINES})
        if not done.result_url:
            return ()
        for attempt in range(LOG_TRIES):
            if attempt:
                await self._sleep(LOG_PAUSE_SECONDS)
            text = await self._api.elsewhere(done.result_url)
            if text is not None:
                return text.splitlines()
        return ()


def instance_request(order: Order) -> dict[str, Any]:
    """Return the body that makes an instance of an order.

    Our key is let in by the start script of this instance alone: a key of the account would be put into every instance
    of the account, and needs more rights.
    """
    line = shlex.quote(order.public_key.strip())
    start = [
        "mkdir -p ~/.ssh",
        "chmod 700 ~/.ssh",
        "touch ~/.no_auto_tmux",
        f"grep -qxF {line} ~/.ssh/authorized_keys || echo {line} >> ~/.ssh/authorized_keys",
        "chmod 600 ~/.ssh/authorized_keys",
    ]
    if order.lease_hours is not None:
        script = lease.loop(order.lease_hours, ending=END_ITSELF)
        start.append(lease.in_background(script, "~/.personadesk-lease"))
    body: dict[str, Any] = {
        "image": IMAGE,
        "disk": order.disk_gb + IMAGE_GB,
        "label": order.tag,
        "runtype": "ssh_direct",
        "target_state": "running",
        # Rather none than one that waits, and is billed, until the host is free.
        "cancel_unavail": True,
        "onstart": "; ".join(start),
    }
    if "bid" in order.offer.data:
        body["price"] = float(order.offer.data["bid"])
    return body


def _lacks(right: str) -> Text:
    return T("It lacks the permission “{right}”.", right=right)
