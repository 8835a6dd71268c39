"""The ledger of a pretend cloud: a line for everything that was made, changed its state or went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from personadesk.rehearsal.things import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.rehearsal.things import Holdings, Machine, Thing


class Ledger:
    """Writes into what a world holds; whoever calls holds the world's lock."""

    def __init__(self, held: Holdings, now: Callable[[], float]) -> None:
        """Go on with the ledger there is.

        Args:
            held: All that the world holds.
            now: Returns the time in the world.
        """
        self._held = held
        self._now = now

    def note(self, what: str, machine: Machine, at: float | None = None) -> None:
        """Write down what happened to a machine, now or at another time."""
        at = self._now() if at is None else at
        entry = Entry(
            at, what, "machine", machine.id, machine.account, machine.name, machine.reason
        )
        self._held.ledger.append(entry)

    def note_thing(self, what: str, thing: Thing) -> None:
        """Write down what happened to another thing."""
        entry = Entry(self._now(), what, thing.kind, thing.id, thing.account, thing.name)
        self._held.ledger.append(entry)
