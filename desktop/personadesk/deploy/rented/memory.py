"""Remembers what was lived through with rented machines, so that what did badly is not tried again at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from personadesk.domain.reputation import (
    Experience,
    Kind,
    Reputation,
    Scope,
    offer_name,
    trouble_seen,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from personadesk.domain.machine import Machine
    from personadesk.domain.reputation import Doubt
    from personadesk.store.experiences import ExperienceStore
    from personadesk.store.rentals import Rental


class Memory:
    """Writes experiences down and tells what they are held against."""

    def __init__(self, store: ExperienceStore, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def reputation(self) -> Reputation:
        """Return what is held against whom now."""
        return Reputation(await self._store.all(), self._clock())

    async def well(self, rental: Rental) -> None:
        """A rented machine came up and its voice passed the test."""
        await self._add(rental, Kind.WELL, None)

    async def trouble(self, rental: Rental, kind: Kind, machine: Machine | None = None) -> None:
        """Something was wrong with a rented machine, or it was sold out.

        Args:
            rental: The record of it.
            kind: What was wrong.
            machine: As its provider showed it, where it did.
        """
        if rental.offer.spot and kind in {Kind.BROKE, Kind.VANISHED}:
            # So the market takes them back.
            kind = Kind.TAKEN_BACK
        await self._add(rental, kind, machine)

    async def look(self, rental: Rental, machine: Machine) -> None:
        """Remember what a provider says is wrong with a rented machine, if anything is."""
        kind = trouble_seen(machine)
        if kind is not None:
            await self.trouble(rental, kind, machine)

    async def forget(self, doubts: Iterable[Doubt]) -> None:
        """Hold some things against nobody any more: a person knows better."""
        now = self._clock()
        await self._store.add(
            *(
                Experience(
                    f"{each.subject.key}@{now}", Kind.FORGOTTEN, each.subject.provider, at=now,
                    **{_FIELDS[each.subject.scope]: each.subject.name},
                )
                for each in doubts
            )
        )  # fmt: skip

    async def forget_all(self) -> None:
        """Forget everything that was ever lived through."""
        await self._store.clear()

    async def _add(self, rental: Rental, kind: Kind, machine: Machine | None) -> None:
        offer = rental.offer
        await self._store.add(
            Experience(
                f"{rental.tag}/{rental.attempt}", kind, offer.provider, offer_name(offer),
                offer.region or (machine.region if machine is not None else ""),
                offer.host or (machine.host if machine is not None else ""),
                offer.gpu, offer.place or (machine.place if machine is not None else ""), self._clock(),
            )
        )  # fmt: skip


_FIELDS = {Scope.HOST: "host", Scope.OFFER: "offer", Scope.REGION: "region"}
