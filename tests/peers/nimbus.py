"""The smallest provider that there is: how a simulator is written, and what the tests of the world go through."""

from __future__ import annotations

from typing import Any

from personadesk.domain.account import Right
from personadesk.rehearsal.http import USUAL_STATUS, Answer, Ready, Request, Simulator, route
from personadesk.rehearsal.things import Kind, Machine, Pace, Refused, Why

WORDS = {"requested": "queued", "ended": "deleted"}


class Nimbus(Simulator):
    """A cloud with two kinds of GPU."""

    id = "nimbus"
    kinds = (
        Kind("n1-l4", "L4", 24, 0.6, stopped_price=0.06, stock={"eu": 2, "us": 0}),
        Kind("n1-h100", "H100", 80, 3.0, spot_price=1.0),
    )
    ready = Ready({"api_key": "rehearsal-nimbus"}, key="rehearsal-nimbus", base_path="/v1")
    pace = Pace(request_s=1, boot_s=4, stop_s=2, start_s=3, end_s=2, remembered_s=60)

    @route("GET", "/v1/health", right=None)
    def health(self, request: Request) -> Answer:
        return Answer.text("fine")

    @route("GET", "/v1/kinds")
    def list_kinds(self, request: Request) -> Answer:
        return Answer.json(
            {"kinds": [{"ref": k.ref, "in": r, "free": f} for k, r, f in self.world.offers()]}
        )

    @route("GET", "/v1/machines")
    def list_machines(self, request: Request) -> Answer:
        found = self.world.machines(request.account, ended=True)
        return Answer.json({"machines": [self._shown(each) for each in found]})

    @route("POST", "/v1/machines", right=Right.RENT)
    def create(self, request: Request) -> Answer:
        order = request.json()
        machine = self.world.create(
            request.account, order["kind"], machine_id=f"m-{self.world.held.next_host}-{len(self.world.ledger())}",
            region=order.get("region", ""), name=order.get("name", ""), keys=order.get("keys", ()),
            token=order.get("token", ""),
        )  # fmt: skip
        return Answer.json(self._shown(machine), 201)

    @route("POST", "/v1/machines/{id}/{verb}", right=Right.RENT)
    def act(self, request: Request) -> Answer:
        machine = self.world.machine(request.account, request.names["id"])
        verbs = {
            "start": self.world.start,
            "stop": self.world.stop,
            "restart": self.world.restart,
        }
        if request.names["verb"] not in verbs:
            raise Refused(Why.NOT_FOUND, "no such verb")
        verbs[request.names["verb"]](machine)
        return Answer.json(self._shown(machine), 202)

    @route("DELETE", "/v1/machines/{id}", right=Right.END)
    def delete(self, request: Request) -> Answer:
        self.world.end(self.world.machine(request.account, request.names["id"]))
        return Answer(204)

    def refusal(self, refused: Refused, request: Request) -> Answer:
        error = {"code": refused.why, "message": refused.message}
        return Answer.json({"error": error}, USUAL_STATUS[refused.why])

    def _shown(self, machine: Machine) -> dict[str, Any]:
        return {
            "id": machine.id,
            "name": machine.name,
            "state": WORDS.get(machine.state, machine.state),
            "ip": machine.host or None,
            "gpus": machine.gpus,
        }
