"""What a provider of rented GPUs is, as data: its words, its links, its credentials, and what it can and cannot do.

Screens are drawn from this; what a provider cannot do is absent there. Nothing outside a provider's own file asks for
its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, Text

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that an account needs: a key, a project, a region.

    Attributes:
        name: For programs: `api_key`.
        title: "API key".
        where: The exact page to get it from, a URL; "" when there is none.
        rights: The least rights that it needs, in the provider's own words.
        secret: Whether it goes to the keyring and is shown masked.
        multiline: Whether it is a text of many lines (a service account's JSON).
        optional: Whether it may be empty.
        default: What it is when nothing is given; only for what is no secret.
        pattern: Regular expression that a plausible value matches whole; "" for any. Tells a mistake in pasting early.
    """

    name: str
    title: Text
    where: str = ""
    rights: Text = NOTHING
    secret: bool = True
    multiline: bool = False
    optional: bool = False
    default: str = ""
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Ability:
    """Whether a provider can do a thing.

    Attributes:
        can: Whether it can.
        reason: Why not, or what it costs; a sentence.
    """

    can: bool
    reason: Text = NOTHING

    def __bool__(self) -> bool:
        """Whether it can."""
        return self.can


YES = Ability(can=True)


def no(reason: Text) -> Ability:
    """Return that a provider cannot, and why."""
    return Ability(can=False, reason=reason)


def yes(reason: Text) -> Ability:
    """Return that a provider can, and what to know about it."""
    return Ability(can=True, reason=reason)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider's API offers.

    Attributes:
        stop: Stopping ends the bill for the GPU and keeps the disk.
        start: What was stopped can be started again.
        restart: A machine can be restarted.
        volume: A disk outlives its machine.
        static_address: An address can be kept over a stop or a new machine.
        spot: Cheaper machines that may be taken back.
        balance: The API tells what money is left.
        prices: The API tells prices.
        stock: The API tells whether a GPU is free now.
        logs: The API has a machine's log.
        figures: The API tells how busy a GPU is.
        known_host_key: A machine can be given its SSH host key, so that it is known before the first connect.
        idempotent: Asking twice with one token makes one machine; otherwise we look for our tag before we ask again.
        ends_itself: A machine can end itself from within (the lease's last act).
    """

    stop: Ability
    start: Ability
    restart: Ability
    volume: Ability
    static_address: Ability
    spot: Ability
    balance: Ability
    prices: Ability
    stock: Ability
    logs: Ability
    figures: Ability
    known_host_key: Ability
    idempotent: Ability
    ends_itself: Ability


class Answer(StrEnum):
    """How a provider fares at one of the four pains."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Promise:
    """One answer with its reason.

    Attributes:
        answer: Yes, partly or no.
        reason: Why, one sentence.
    """

    answer: Answer
    reason: Text


@dataclass(frozen=True, slots=True)
class FourAnswers:
    """What you can count on.

    Attributes:
        keeps_gpu: The GPU is not taken away.
        keeps_address: The address stays.
        simple: It starts and stops simply.
        starts_itself: It starts by itself.
    """

    keeps_gpu: Promise
    keeps_address: Promise
    simple: Promise
    starts_itself: Promise

    def score(self) -> float:
        """Return 0 (four times no) to 4 (four times yes)."""
        worth = {Answer.YES: 1.0, Answer.PARTLY: 0.5, Answer.NO: 0.0}
        promises = (self.keeps_gpu, self.keeps_address, self.simple, self.starts_itself)
        return sum(worth[promise.answer] for promise in promises)


@dataclass(frozen=True, slots=True)
class Manners:
    """How a provider's API wants to be used.

    Attributes:
        per_second: Requests a second over all calls of an account.
        burst: How many may follow each other at once.
        create_every_s: Least time between two creations.
        poll_s: How often machines are asked about while something changes.
        calm_poll_s: How often when nothing does.
        boot_limit_s: How long a machine may take until it is reached by SSH.
    """

    per_second: float = 5.0
    burst: int = 5
    create_every_s: float = 0.0
    poll_s: float = 5.0
    calm_poll_s: float = 30.0
    boot_limit_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The least that a GPU costs on which the voice fits, from a table of ours.

    Attributes:
        price: Dollars per hour.
        gpu: Its usual name.
        date: ISO date of the table.
    """

    price: float
    gpu: str
    date: str


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """A provider.

    Attributes:
        id: Short name for programs: `runpod`.
        title: "RunPod".
        short: What stands on a tab, where that is shorter than the title: "AWS"; else "".
        site: Its console, a URL.
        billing: Where money is put in, a URL.
        quota: Where more GPUs are asked for, a URL; "" where there is no quota.
        status: Its page on its own health, a URL.
        docs: Its API's documentation, a URL.
        fields: What an account needs.
        can: Its capabilities.
        answers: The four pains.
        manners: How its API wants to be used.
        unit: What it calls a machine ("pod"), for texts that quote it.
        stop_costs: What a stopped machine goes on costing; a sentence, empty where stop does not exist.
        end_destroys: What ending a machine destroys; a sentence.
        base_url: Where its API is.
        cheapest: What it costs at least, for who has no account yet; None where only its API knows.
        fading: Whether the provider moves its users elsewhere; it is then not recommended to anybody new.
        proven: Whether a real account has been used with this version; where not, the tab and the docs say so.
    """

    id: str
    title: str
    site: str
    billing: str
    docs: str
    fields: tuple[Field, ...]
    can: Capabilities
    answers: FourAnswers
    base_url: str
    quota: str = ""
    status: str = ""
    manners: Manners = Manners()
    unit: str = "machine"
    stop_costs: Text = NOTHING
    end_destroys: Text = NOTHING
    cheapest: Estimate | None = None
    proven: bool = False
    fading: bool = False
    short: str = ""


def by_promise(facts: Iterable[ProviderFacts]) -> list[ProviderFacts]:
    """Return providers, the ones that can be counted on most first; those that fade away come last."""
    return sorted(facts, key=lambda each: (each.fading, -each.answers.score()))
