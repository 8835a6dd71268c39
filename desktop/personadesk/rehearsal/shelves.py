"""What a pretend cloud has for rent: how many of each kind are free in each region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.rehearsal.things import Refused, Why

if TYPE_CHECKING:
    from collections.abc import Iterable

    from personadesk.rehearsal.things import Holdings, Kind, Machine


class Shelves:
    """The shelves of one world, on what it holds; whoever calls holds the world's lock."""

    def __init__(self, held: Holdings, kinds: Iterable[Kind]) -> None:
        """Fill those that are not known yet.

        Args:
            held: All that the world holds.
            kinds: What is for rent.
        """
        self._held = held
        for kind in kinds:
            held.kinds[kind.ref] = kind
            for region, free in kind.stock.items():
                held.free.setdefault(_shelf(kind.ref, region), free)

    def offers(self) -> list[tuple[Kind, str, int | None]]:
        """Return each kind in each region with how many are free, None for any number."""
        return [
            (kind, region, self._held.free[_shelf(kind.ref, region)])
            for kind in self._held.kinds.values()
            for region in kind.stock
        ]

    def free(self, ref: str, region: str) -> int | None:
        """Return how many of a kind are free, None for any number, 0 also for what does not exist."""
        return self._held.free.get(_shelf(ref, region), 0)

    def set_free(self, ref: str, region: str, free: int | None) -> None:
        """Say how many of a kind are free."""
        self._held.free[_shelf(ref, region)] = free

    def take(self, kind: Kind, region: str) -> str:
        """Take one, and return where; "" takes the first region that has one.

        Raises:
            Refused: NO_CAPACITY.
        """
        for each in [region] if region else list(kind.stock):
            free = self._held.free[_shelf(kind.ref, each)]
            if free is None:
                return each
            if free > 0:
                self._held.free[_shelf(kind.ref, each)] = free - 1
                return each
        raise Refused(Why.NO_CAPACITY, f"no {kind.ref} is free")

    def put_back(self, machine: Machine) -> None:
        """Put back what a machine had."""
        shelf = _shelf(machine.kind, machine.region)
        left = self._held.free.get(shelf)
        if left is not None:
            self._held.free[shelf] = left + 1


def _shelf(ref: str, region: str) -> str:
    return f"{ref}|{region}"
