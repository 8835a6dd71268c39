"""The door for whoever directs a rehearsal: what there is, what goes wrong, and the end of it all."""

from __future__ import annotations

import hmac
import json
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from personadesk.domain.account import Right
from personadesk.rehearsal.faults import Rule
from personadesk.rehearsal.http import (
    USUAL_STATUS,
    Answer,
    Request,
    Routed,
    read_request,
    route,
)
from personadesk.rehearsal.things import Refused, Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.rehearsal.faults import Faults
    from personadesk.rehearsal.http import Simulator
    from personadesk.rehearsal.things import Machine
    from personadesk.rehearsal.world import World


class Directed(Protocol):
    """What a director needs of the clouds."""

    @property
    def simulators(self) -> Mapping[str, Simulator]:
        """By provider id."""

    @property
    def faults(self) -> Faults:
        """What goes wrong."""

    @property
    def speed(self) -> float:
        """By how much faster machines come and go."""

    @property
    def token(self) -> str:
        """What every request must bring."""

    @property
    def ended(self) -> threading.Event:
        """Set to end it all."""

    def url(self, provider: str) -> str:
        """Return where a provider answers."""


class Control(Routed):
    """Answers for a cloud; every request carries its token, since other users share loopback."""

    def __init__(self, cloud: Directed) -> None:
        self._cloud = cloud

    def answer(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request; see `Simulator.answer`."""
        request = read_request(method, path, query, headers, body)
        try:
            self._let_in(request)
            work, _ = self.find(request)
            answer = work(request)
        except Refused as refused:
            error = {"why": refused.why, "message": refused.message}
            answer = Answer.json({"error": error}, USUAL_STATUS[refused.why])
        return answer.status, dict(answer.headers), answer.body

    @route("GET", "/status")
    def status(self, request: Request) -> Answer:
        """Everything at a glance."""
        providers = {
            each.id: {
                "url": self._cloud.url(each.id),
                "machines": [_shown(machine) for machine in each.world.machines()],
                "things": [
                    {"kind": thing.kind, "id": thing.id, "name": thing.name, "attached": thing.attached}
                    for thing in each.world.things(None)
                ],
                "balances": {
                    account.name: account.balance for account in each.world.held.accounts.values()
                },
            }
            for each in self._cloud.simulators.values()
        }  # fmt: skip
        rules = [rule.as_json() for rule in self._cloud.faults.rules()]
        return Answer.json({"speed": self._cloud.speed, "faults": rules, "providers": providers})

    @route("GET", "/ledger")
    def ledger(self, request: Request) -> Answer:
        """All that was ever made, and what of it is there now, by provider."""
        told = {
            each.id: {
                "present": sorted(each.world.present()),
                "entries": [asdict(entry) for entry in each.world.ledger()],
            }
            for each in self._cloud.simulators.values()
        }
        return Answer.json(told)

    @route("POST", "/faults")
    def add_fault(self, request: Request) -> Answer:
        """Put a rule in force."""
        try:
            rule = Rule.from_json(request.json())
        except ValueError as error:
            raise Refused(Why.BAD_REQUEST, str(error)) from error
        if rule.provider:
            self._world(rule.provider)
        return Answer.json(self._cloud.faults.add(rule).as_json(), 201)

    @route("DELETE", "/faults")
    def clear_faults(self, request: Request) -> Answer:
        """Take all rules out of force."""
        self._cloud.faults.clear()
        return Answer(204)

    @route("DELETE", "/faults/{id}")
    def remove_fault(self, request: Request) -> Answer:
        """Take one rule out of force."""
        number = request.names["id"]
        if not number.isdigit() or not self._cloud.faults.remove(int(number)):
            raise Refused(Why.NOT_FOUND, f"there is no rule {number}")
        return Answer(204)

    @route("POST", "/machines/{provider}/{id}/{deed}")
    def machine(self, request: Request) -> Answer:
        """Let something happen to one machine at once: `lose`, `lose-gpu` or `move`."""
        world = self._world(request.names["provider"])
        deeds = {"lose": world.lose, "lose-gpu": world.lose_gpu, "move": world.move}
        deed = request.names["deed"]
        if deed not in deeds:
            raise Refused(Why.BAD_REQUEST, f"{deed} is none of {', '.join(deeds)}")
        machine = world.machine(None, request.names["id"])
        deeds[deed](machine)
        return Answer.json(_shown(machine))

    @route("POST", "/stock/{provider}")
    def stock(self, request: Request) -> Answer:
        """Say how many of a kind are free: `{"kind", "region", "free"}`; null for any number."""
        world, values = self._world(request.names["provider"]), request.json()
        shelf = (str(values.get("kind", "")), str(values.get("region", "")))
        if shelf not in {(kind.ref, region) for kind, region, _ in world.offers()}:
            raise Refused(Why.NOT_FOUND, f"there is no {shelf[0]} in “{shelf[1]}”")
        free = values.get("free")
        if free is not None and (not isinstance(free, int) or free < 0):
            raise Refused(Why.BAD_REQUEST, "free is a number or null")
        world.set_free(*shelf, free)
        return Answer(204)

    @route("POST", "/accounts/{provider}")
    def account(self, request: Request) -> Answer:
        """Change the ready-made account: any of `{"balance", "expired", "rights", "quota"}`."""
        world, values = self._world(request.names["provider"]), request.json()
        key = self._cloud.simulators[world.provider].ready.key
        account = world.held.accounts[key]
        try:
            with world.lock:
                if "rights" in values:
                    account.rights = frozenset(Right(word) for word in values["rights"])
                if "balance" in values:
                    account.balance = (
                        None if values["balance"] is None else float(values["balance"])
                    )
                if "quota" in values:
                    account.quota = None if values["quota"] is None else int(values["quota"])
                account.expired = bool(values.get("expired", account.expired))
        except (ValueError, TypeError) as error:
            raise Refused(Why.BAD_REQUEST, str(error)) from error
        told = {
            "provider": world.provider, "balance": account.balance, "quota": account.quota,
            "rights": sorted(account.rights), "expired": account.expired,
        }  # fmt: skip
        return Answer.json(told)

    @route("POST", "/stop")
    def stop(self, request: Request) -> Answer:
        """End the rehearsal's clouds with all that is in them; answered before it is done."""
        threading.Timer(0.05, self._cloud.ended.set).start()
        return Answer(202, json.dumps({"stopping": True}).encode())

    def _let_in(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._cloud.token.encode()):
            raise Refused(Why.BAD_KEY, "the token is not that of this rehearsal")

    def _world(self, provider: str) -> World:
        found = self._cloud.simulators.get(provider)
        if found is None:
            raise Refused(Why.NOT_FOUND, f"there is no provider {provider}")
        return found.world


def _shown(machine: Machine) -> dict[str, Any]:
    return {
        "id": machine.id, "name": machine.name, "kind": machine.kind, "region": machine.region,
        "state": machine.state, "reason": machine.reason, "host": machine.host,
        "port": machine.port, "gpus": machine.gpus, "spent": round(machine.spent, 4),
    }  # fmt: skip
