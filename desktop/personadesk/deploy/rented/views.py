"""What was last seen of the accounts: machines, what is left of them, what they cost and what is in doubt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from personadesk.domain.machine import MachineState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.machine import Machine, Resource
    from personadesk.domain.money import Item


@dataclass(frozen=True, slots=True)
class AccountView:
    """What was last seen of an account.

    Attributes:
        name: The account.
        machines: Its machines; those of the last look that worked.
        leftovers: What else of ours it holds.
        seen: Unix time of the last look that worked, None before the first.
        error: Why the last look did not work, None when it did.
    """

    name: str
    machines: tuple[Machine, ...] = ()
    leftovers: tuple[Resource, ...] = ()
    seen: float | None = None
    error: PersonaDeskError | None = None


@dataclass(frozen=True, slots=True)
class FleetView:
    """All of it at one moment.

    Attributes:
        accounts: By name.
        strays: Machines that carry our tag and are not in the record.
        spent: Dollars that each deploy's machines have cost, by tag.
        lines: Which line each deploy's voice stands behind, by tag.
        items: Everything of ours that is billed, or whose price is not told.
        doubts: Names of what the record has and its provider did not show, by account.
        held: Unix time until which a machine of a failed deploy is kept for a look, by its key; it is ended then.
        spares: Tags of what stands by for its line, which leads elsewhere.
    """

    accounts: Mapping[str, AccountView] = field(default_factory=dict)
    strays: tuple[Machine, ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)
    lines: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Item, ...] = ()
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    held: Mapping[str, float] = field(default_factory=dict)
    spares: frozenset[str] = frozenset()

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All machines, by account and id."""
        return tuple(m for account in self.accounts.values() for m in account.machines)

    @property
    def price_now(self) -> float:
        """Dollars per hour of everything of ours that has a price now: machines, and what is left of them."""
        left = (each for account in self.accounts.values() for each in account.leftovers)
        return sum(m.price or 0.0 for m in self.machines if m.tag) + sum(
            x.price or 0.0 for x in left
        )

    @property
    def extras(self) -> tuple[Resource, ...]:
        """What costs beside machines, or may: what has a price, and what has an untold one and no machine."""
        return tuple(
            each
            for account in self.accounts.values()
            for each in account.leftovers
            if (each.price or 0.0) > 0.0 or (each.price is None and not each.attached)
        )

    @property
    def untold(self) -> int:
        """Of how many things of ours the price is not told."""
        return sum(each.price is None for each in self.items)

    @property
    def kept(self) -> tuple[Machine, ...]:
        """Machines of failed deploys that are kept for a look."""
        return tuple(m for m in self.machines if m.key in self.held)

    def without_line(self) -> tuple[Machine, ...]:
        """Return our machines that are billed and stand behind no line."""
        return tuple(
            m
            for m in self.machines
            if m.tag and m.tag not in self.lines and m.state is not MachineState.ENDED
            and (m.price or 0.0) > 0.0
        )  # fmt: skip
