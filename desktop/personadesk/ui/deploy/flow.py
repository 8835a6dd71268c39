"""The wizard without Qt: its pages by name, what was typed so far, and rules for what is valid and what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from personadesk.domain.line import FIRST_PORT, LAST_PORT
from personadesk.domain.plan import (
    DEFAULT_LINE_PORT,
    LOCAL,
    RENT,
    ModelChoice,
    ModelKind,
    Plan,
    host_of,
    new_plan_id,
    place_on,
)
from personadesk.domain.text import NOTHING, T, Text
from personadesk.ui.deploy import rent_draft
from personadesk.ui.deploy.rent_draft import RentDraft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.line import Line

__all__ = [
    "Draft",
    "Fault",
    "Field",
    "Page",
    "Where",
    "World",
    "draft_of",
    "faults",
    "first_faulty",
    "following",
    "fresh_draft",
    "pages",
    "plan_of",
    "preceding",
    "renting",
]

LONGEST_NAME = 40


class Page(StrEnum):
    """The pages, in their order; not each way passes all of them."""

    WHERE = "where"
    ACCOUNT = "account"
    GPU = "gpu"
    MACHINE = "machine"
    MODEL = "model"
    LINE = "line"
    CHECK = "check"


class Where(StrEnum):
    """Where the voice shall run."""

    HERE = "here"
    RENT = "rent"
    MACHINE = "machine"


class Field(StrEnum):
    """What can be wrong."""

    MACHINE = "machine"
    FOLDER = "folder"
    LINE = "line"
    PORT = "port"
    ACCOUNT = "account"
    GPU = "gpu"
    PRICE = "price"
    IDLE = "idle"
    SPEND = "spend"


@dataclass(frozen=True, slots=True)
class Draft:
    """What was chosen and typed so far, as it was typed.

    Attributes:
        model: Which model.
        folder: Where it lies; only for a model folder.
        line: Name of the line.
        port: Its port.
        where: This computer, a GPU that is rented, or a machine that is reached by SSH.
        machine: Name of that machine; kept when the choice goes back to this computer.
        rent: What is rented, and its limits; kept as well.
        detours: Pages that the short way leaves out, and that were opened all the same.
    """

    model: ModelKind = ModelKind.REHEARSAL
    folder: str = ""
    line: str = ""
    port: str = str(DEFAULT_LINE_PORT)
    where: Where = Where.HERE
    machine: str = ""
    rent: RentDraft = field(default_factory=RentDraft)
    detours: tuple[Page, ...] = ()

    @property
    def host(self) -> str:
        """Name of the machine that the draft leads to; "" for this computer."""
        return self.machine if self.where is Where.MACHINE else ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a field cannot stay as it is.

    Attributes:
        field: Which field.
        what: One sentence, shown below it.
    """

    field: Field
    what: Text


class World(Protocol):
    """What the rules have to know of this computer."""

    def lines(self) -> Sequence[Line]:
        """Return the lines that exist."""

    def port_is_free(self, port: int) -> bool:
        """Whether a server can listen there."""

    def folder_fault(self, folder: str) -> Text:
        """Return why a folder cannot be used as a model, or nothing."""

    def machine_fault(self, name: str, model: ModelKind) -> Text:
        """Return why a voice with this model cannot be put on a machine, or nothing."""

    def has_account(self) -> bool:
        """Whether an account at a provider is connected."""

    def rehearses(self) -> bool:
        """Whether all this is a rehearsal with pretend providers."""


def fresh_draft(world: World, name: str) -> Draft:
    """Return a draft with a free name and a free port.

    Args:
        world: What exists already.
        name: The wanted name in the user's language; a number is added when it is taken.
    """
    taken = {line.name.casefold() for line in world.lines()}
    free, number = name, 1
    while free.casefold() in taken:
        number += 1
        free = f"{name} {number}"
    return Draft(line=free, port=str(free_port(world)))


def free_port(world: World, start: int = DEFAULT_LINE_PORT) -> int:
    """Return the first port from `start` on that neither a line nor a program has."""
    taken = {line.port for line in world.lines()}
    for port in range(start, LAST_PORT + 1):
        if port not in taken and world.port_is_free(port):
            return port
    return start


def renting(draft: Draft, world: World) -> Draft:
    """Return a draft that leads to a rented GPU: with the real voice, and by way of an account when there is none."""
    model = draft.model
    if draft.where is not Where.RENT and model is ModelKind.REHEARSAL and not world.rehearses():
        model = ModelKind.PERSONAPLEX_7B
    rent = replace(draft.rent, asks_account=not world.has_account())
    return replace(draft, where=Where.RENT, model=model, rent=rent)


def faults(page: Page, draft: Draft, world: World) -> tuple[Fault, ...]:
    """Return what is wrong on a page, in the order of its fields; the last page has what is wrong anywhere."""
    if page is Page.MACHINE and draft.where is Where.MACHINE:
        return _named(Field.MACHINE, world.machine_fault(draft.machine, draft.model))
    if draft.where is Where.RENT and page in {Page.ACCOUNT, Page.GPU}:
        return _rent_faults(page, draft.rent, world)
    if page is Page.MODEL:
        return _named(Field.FOLDER, _folder_fault(draft, world))
    if page is Page.LINE:
        return (
            *_named(Field.LINE, _line_fault(draft, world)),
            *_named(Field.PORT, _port_fault(draft, world)),
        )
    if page is Page.CHECK:
        return tuple(
            fault
            for earlier in (Page.ACCOUNT, Page.GPU, Page.MACHINE, Page.MODEL, Page.LINE)
            for fault in faults(earlier, draft, world)
        ) + limit_faults(draft)
    return ()


def first_faulty(draft: Draft, world: World) -> Page | None:
    """Return the first page that has something wrong."""
    return next((page for page in Page if faults(page, draft, world)), None)


def limit_faults(draft: Draft) -> tuple[Fault, ...]:
    """Return what is wrong with the limits of what is rented; they stand on the last page."""
    if draft.where is not Where.RENT:
        return ()
    rent = draft.rent
    return (
        *_named(Field.PRICE, rent_draft.price_fault(rent)),
        *_named(Field.IDLE, rent_draft.idle_fault(rent)),
        *_named(Field.SPEND, rent_draft.spend_fault(rent)),
    )


def pages(draft: Draft) -> tuple[Page, ...]:
    """Return the pages that a draft's way passes."""
    skipped: set[Page] = set()
    if draft.where is not Where.MACHINE:
        skipped.add(Page.MACHINE)
    if draft.where is Where.RENT:
        # The short way: what they would ask has its answer, which the last page shows with a link.
        skipped |= {Page.MODEL, Page.LINE} - set(draft.detours)
    else:
        skipped |= {Page.ACCOUNT, Page.GPU}
    if not draft.rent.asks_account:
        skipped.add(Page.ACCOUNT)
    return tuple(page for page in Page if page not in skipped)


def following(page: Page, draft: Draft) -> Page | None:
    """Return the page after, None after the last."""
    passed = pages(draft)
    index = passed.index(page) + 1
    return passed[index] if index < len(passed) else None


def preceding(page: Page, draft: Draft) -> Page | None:
    """Return the page before, None before the first."""
    passed = pages(draft)
    index = passed.index(page)
    return passed[index - 1] if index else None


def draft_of(plan: Plan) -> Draft:
    """Return the draft that leads to a plan."""
    rented = plan.rent is not None
    host = None if rented else host_of(plan)
    return Draft(
        plan.model.kind,
        plan.model.folder or "",
        plan.line,
        str(plan.port),
        Where.RENT if rented else Where.HERE if host is None else Where.MACHINE,
        host or "",
        RentDraft() if plan.rent is None else rent_draft.rent_draft_of(plan.rent),
    )


def plan_of(draft: Draft) -> Plan:
    """Return the plan for a draft without faults."""
    folder = draft.folder.strip() if draft.model is ModelKind.FOLDER else None
    places = {Where.HERE: LOCAL, Where.RENT: RENT, Where.MACHINE: place_on(draft.machine)}
    return Plan(
        id=new_plan_id(),
        line=draft.line.strip(),
        port=int(draft.port),
        model=ModelChoice(draft.model, folder),
        place=places[draft.where],
        # It was free when the draft was checked; a new line is rather told another one than refused at the end.
        any_port=True,
        rent=rent_draft.wish_of(draft.rent) if draft.where is Where.RENT else None,
    )


def _rent_faults(page: Page, rent: RentDraft, world: World) -> tuple[Fault, ...]:
    if page is Page.GPU:
        return _named(Field.GPU, rent_draft.choice_fault(rent))
    if world.has_account():
        return ()
    return (
        Fault(Field.ACCOUNT, T("Connect an account first: choose a provider and paste its key.")),
    )


def _named(field: Field, what: Text) -> tuple[Fault, ...]:
    return (Fault(field, what),) if what else ()


def _folder_fault(draft: Draft, world: World) -> Text:
    if draft.model is ModelKind.PERSONAPLEX_7B and draft.where is Where.HERE:
        return T("Choose a model that this computer can get.")
    if draft.model is not ModelKind.FOLDER:
        return NOTHING
    folder = draft.folder.strip()
    if not folder:
        return T("Choose the folder that holds the model.")
    if draft.where is not Where.HERE:
        # It is there or here; the deploy looks, and copies one that is here.
        if not folder.startswith(("/", "~")):
            return T("Type the folder’s whole path, from / on.")
        return NOTHING
    return world.folder_fault(folder)


def _line_fault(draft: Draft, world: World) -> Text:
    name = draft.line.strip()
    if not name:
        return T("Give the line a name.")
    if len(name) > LONGEST_NAME:
        return T("A name has at most 40 characters; this one has {count}.", count=len(name))
    if any(
        line.name.casefold() == name.casefold()
        and (line.target is not None or line.name != name)  # one without a voice waits for one
        for line in world.lines()
    ):
        return T("There is a line called “{name}” already. Choose another name.", name=name)
    return NOTHING


def _port_fault(draft: Draft, world: World) -> Text:
    typed = draft.port.strip()
    if not (typed.isascii() and typed.isdigit()) or not FIRST_PORT <= int(typed) <= LAST_PORT:
        return T("A port is a number from 1024 to 65535.")
    port = int(typed)
    owner = next((line for line in world.lines() if line.port == port), None)
    if owner is not None and owner.target is None and owner.name == draft.line.strip():
        return NOTHING
    if owner is not None:
        return T(
            "Port {port} belongs to the line “{line}”. Choose another one.",
            port=port, line=owner.name,
        )  # fmt: skip
    if not world.port_is_free(port):
        return T(
            "Port {port} is used by another program. {free} is free.",
            port=str(port), free=str(free_port(world, port)),
        )  # fmt: skip
    return NOTHING
