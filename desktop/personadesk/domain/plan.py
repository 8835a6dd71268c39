"""What a deploy is asked to do: which model, where, behind which line."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

DEFAULT_LINE_PORT = 8998
"""The port that existing clients of this voice server try first."""

DEFAULT_PERSONA = "You are a wise and friendly teacher. Answer questions or provide advice in a clear and engaging way."


class ModelKind(StrEnum):
    """Which weights the server shall run."""

    REHEARSAL = "rehearsal"
    PERSONAPLEX_7B = "personaplex-7b"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model and, for `FOLDER`, where it lies.

    Attributes:
        kind: Rehearsal (made here, untrained), the released 7B, or a folder laid out as the model repository.
        folder: Path on the host; only for `FOLDER`.
    """

    kind: ModelKind = ModelKind.REHEARSAL
    folder: str | None = None

    @classmethod
    def parse(cls, text: str) -> ModelChoice:
        """Read `rehearsal`, `personaplex-7b` or a folder's path, as the terminal takes it."""
        if text in {ModelKind.REHEARSAL, ModelKind.PERSONAPLEX_7B}:
            return cls(ModelKind(text))
        return cls(ModelKind.FOLDER, text)


@dataclass(frozen=True, slots=True)
class RentWish:
    """What a plan may rent and spend.

    Attributes:
        offers: Keys of the offers to try, best first (`Offer.key`); empty for whatever ranks best now.
        account: Only offers of this account; "" for any.
        max_price: Most dollars per hour; None for any.
        next_best: Whether another offer within the limits may be taken when these are sold out.
        static_address: Whether to keep an address, where the provider can.
        keep_volume: Whether the model stays on a disk that outlives the machine, where the provider can.
        hold_failed: Whether a machine whose deploy failed is kept half an hour for a look.
        idle_stop_minutes: Without a call for so long, it is stopped; None for never.
        spend_limit: Dollars after which it is stopped; None for no limit.
        spot: Whether a machine that may be taken back will do.
        insist: Whether the first of `offers` comes first though it did badly before: a person chose it, and saw why.
    """

    offers: tuple[str, ...] = ()
    account: str = ""
    max_price: float | None = None
    next_best: bool = True
    static_address: bool = False
    keep_volume: bool = True
    hold_failed: bool = False
    idle_stop_minutes: float | None = 20.0
    spend_limit: float | None = None
    spot: bool = False
    insist: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One deploy.

    Attributes:
        id: Unique tag; it is put on everything the deploy makes, so that nothing made is ever forgotten.
        line: Name of the line that the voice is put behind, 1 to 40 characters.
        port: The line's loopback port.
        model: What to run.
        place: `local` for this computer, `host:NAME` for a machine that is reached by SSH, `rent` for one to be rented.
        clip: Voice test clip (a path), or None for the bundled question.
        any_port: Whether another port will do when a program takes this one meanwhile; nobody asked for it then.
        lease_hours: On a host: it stops by itself when PersonaDesk was not heard of for so long; None for never.
        rent: What to rent, for a plan whose place is an account; None elsewhere.
    """

    id: str
    line: str = "My line"
    port: int = DEFAULT_LINE_PORT
    model: ModelChoice = ModelChoice()
    place: str = "local"
    clip: str | None = None
    any_port: bool = False
    lease_hours: float | None = None
    rent: RentWish | None = None


LOCAL = "local"
RENT = "rent"
_HOST = "host:"


def place_on(host: str) -> str:
    """Return a plan's place for a host of that name."""
    return f"{_HOST}{host}"


def host_of(plan: Plan) -> str | None:
    """Return the name of the host that a plan leads to, None for this computer.

    A rented machine is a host that is called by the plan's own tag.
    """
    if plan.place == RENT:
        return plan.id
    return plan.place.removeprefix(_HOST) if plan.place.startswith(_HOST) else None


def new_plan_id() -> str:
    """Return a fresh tag such as `pd-7c41a09e`."""
    return f"pd-{secrets.token_hex(4)}"
