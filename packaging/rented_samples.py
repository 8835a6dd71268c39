"""Made-up but honest data of accounts, offers and rented machines, for pictures and tests of the window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from personadesk.deploy.rented import billing
from personadesk.deploy.rented.fleet import AccountView, FleetView
from personadesk.domain.account import KEYRING, Account, AccountInfo, Right
from personadesk.domain.errors import Unreachable
from personadesk.domain.host import SshAddress
from personadesk.domain.machine import Action, Machine, MachineState, Resource, ResourceKind
from personadesk.domain.offer import Offer, Stock
from personadesk.domain.text import T
from personadesk.providers.accounts import Kept
from personadesk.store.secrets import Place
from personadesk.store.spending import Cost
from samples import STARTED

NOW = STARTED + 4 * 3600 + 53 * 60
TODAY = "2026-11-23"

STUDIO = Account("Studio", "lambda", {"api_key": KEYRING}, added=STARTED)
MARKET = Account("Market", "vast", {"api_key": KEYRING}, added=STARTED)
PODS = Account("Pods", "runpod", {"api_key": "@RUNPOD_API_KEY"}, added=STARTED)
INFO = AccountInfo(
    who="studio@example.com", rights=frozenset(Right), balance=24.5, spend_per_hour=0.75, checked=NOW - 120
)  # fmt: skip

KEPT = (Kept(T("API key"), Place.KEYRING, ending="7f2c"),)

FRONT_DESK = Machine(
    "0920582c7ff041399e34823a0be62549", "Studio", "lambda", "front-desk-1", "pd-7c41a09e",
    MachineState.RUNNING, "active", gpu="A10", memory_gb=24, region="us-west-2", place="Arizona, US", price=0.75,
    running_price=0.75, created=STARTED, ssh=SshAddress("198.51.100.2", 22, "ubuntu"),
    actions=frozenset({Action.RESTART, Action.END}), seen=NOW - 4,
)  # fmt: skip
SUPPORT = Machine(
    "7011223", "Market", "vast", "support-demo-4", "pd-0b2f6d11", MachineState.BOOTING, "loading",
    gpu="RTX 4090", memory_gb=24, region="NO", place="Norway", price=0.38, running_price=0.38, created=NOW - 240,
    actions=frozenset({Action.STOP, Action.END}), seen=NOW - 4,
)  # fmt: skip
TAKEN = Machine(
    "k3x9a7c2", "Pods", "runpod", "support-demo-3", "pd-11f0c2aa", MachineState.LOST, "RUNNING, 0 GPUs",
    T("Its GPU was given to somebody else."), gpu="RTX 4090", memory_gb=24, region="EU-NL-1", place="Netherlands",
    price=0.01, running_price=0.69, created=STARTED - 86_400, actions=frozenset({Action.END}), seen=NOW - 4,
)  # fmt: skip
FOREIGN = Machine(
    "t7p0zz11", "Pods", "runpod", "jupyter", "", MachineState.RUNNING, "RUNNING", gpu="L4", memory_gb=24,
    region="US-TX-3", place="Texas, US", price=0.44, running_price=0.44, created=STARTED - 7200,
    actions=frozenset({Action.STOP, Action.RESTART, Action.END}), seen=NOW - 4,
)  # fmt: skip
ENDED = replace(
    FRONT_DESK, id="0920582c7ff041399e34823a0be62000", name="front-desk-0", tag="pd-99aa0001",
    state=MachineState.ENDED, said="terminated", price=0.0, ssh=None, actions=frozenset(), created=STARTED - 11_400,
)  # fmt: skip
STRAY = replace(
    SUPPORT, id="7011300", name="pd-5e5e0007", tag="pd-5e5e0007", state=MachineState.RUNNING, said="running"
)  # fmt: skip


def with_items(view: FleetView) -> FleetView:
    """Return a view with what is billed in it, as a look at the accounts finds it."""
    found = billing.found(view.accounts.values(), view.strays, (), view.lines, NOW)
    return replace(view, items=tuple(each.item for each in found))


VIEW = FleetView(
    {
        "Market": AccountView("Market", (SUPPORT,), seen=NOW - 4),
        "Pods": AccountView("Pods", (TAKEN, FOREIGN), seen=NOW - 4),
        "Studio": AccountView("Studio", (FRONT_DESK, ENDED), seen=NOW - 4),
    },
    spent={"pd-7c41a09e": 3.86, "pd-0b2f6d11": 0.02, "pd-11f0c2aa": 5.19, "pd-99aa0001": 2.38},
    lines={"pd-7c41a09e": "Front desk", "pd-0b2f6d11": "Support demo"},
)
VIEW = with_items(VIEW)
TROUBLED = replace(
    VIEW,
    accounts={
        **VIEW.accounts,
        "Market": AccountView("Market", (SUPPORT, STRAY), seen=NOW - 4),
        "Studio": AccountView(
            "Studio", (FRONT_DESK, ENDED), seen=NOW - 780,
            leftovers=(Resource(ResourceKind.VOLUME, "fs-1", "Studio", name="personadesk", price=0.01),),
            error=Unreachable(T("{provider} didn't answer.", provider="Lambda"), T("Try again.")),
        ),
    },
    strays=(STRAY,),
)  # fmt: skip
TROUBLED = with_items(TROUBLED)
FAILED = replace(
    SUPPORT, id="7011404", name="pd-6f6f0009", tag="pd-6f6f0009", state=MachineState.FAILED, said="OCI error",
    reason=T("The container did not start."),
)  # fmt: skip
HELD = replace(
    VIEW,
    accounts={
        **VIEW.accounts,
        "Market": AccountView("Market", (SUPPORT, FAILED), seen=NOW - 4),
        "Studio": AccountView(
            "Studio", (FRONT_DESK, ENDED), seen=NOW - 4,
            leftovers=(Resource(ResourceKind.VOLUME, "fs-2", "Studio", name="personadesk-us-west-2"),),
        ),
    },
    held={FAILED.key: NOW + 1500},
)  # fmt: skip
HELD = with_items(HELD)
COSTS = [
    Cost("pd-7c41a09e", "Studio", FRONT_DESK.id, "Front desk", TODAY, 17_580, 3.66),
    Cost("pd-7c41a09e", "Studio", FRONT_DESK.id, "Front desk", "2026-11-22", 960, 0.20),
    Cost("pd-0b2f6d11", "Market", SUPPORT.id, "Support demo", TODAY, 240, 0.02),
    Cost("pd-11f0c2aa", "Pods", TAKEN.id, "", TODAY, 17_580, 5.19),
]


def offer(gpu: str, memory: float, price: float | None, *places: str, **more: Any) -> list[Offer]:
    """Return the offers of a GPU in some places; without a place it is sold out."""
    base = Offer(
        "Studio", "lambda", f"gpu_1x_{gpu.lower().replace(' ', '_')}", gpu, memory, price=price, stock=Stock.HIGH,
        asked=NOW - 40,
    )  # fmt: skip
    base = replace(base, **more)
    if not places:
        return [replace(base, region="us-south-1", place="Texas, US", stock=Stock.NONE)]
    return [replace(base, region=place, place=place) for place in places]


SHELF = (
    *offer("A10", 24, 0.75, "Virginia, US", "Arizona, US"),
    *offer("RTX A6000", 48, 0.80, "Texas, US"),
    *offer("A100", 40, 1.29, "Virginia, US", "California, US"),
    *offer("H100 PCIe", 80, 2.49, *(f"Region {n}" for n in range(1, 6))),
    *offer("L4", 24, None, "Ohio, US", stock=Stock.UNKNOWN),
    *offer("V100", 16, 0.55, "Texas, US", estimated=True, price_date="2026-11-02", stock=Stock.LOW),
    *offer("GH200", 96, 1.49),
)


def many(count: int) -> FleetView:
    """Return a fleet of `count` machines in three accounts."""
    kinds = (FRONT_DESK, SUPPORT, TAKEN, FOREIGN)
    made: dict[str, list[Machine]] = {"Market": [], "Pods": [], "Studio": []}
    for number in range(count):
        base = kinds[number % len(kinds)]
        tag = f"pd-{number:08x}" if base.tag else ""
        made[base.account].append(
            replace(base, id=f"{base.id}-{number}", name=f"{base.name}-{number}", tag=tag)
        )
    return with_items(
        FleetView({name: AccountView(name, tuple(each), seen=NOW) for name, each in made.items()})
    )
