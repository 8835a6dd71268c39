"""A provider's file, its official contract and its simulator in one line, as an account's calls go through them."""

from __future__ import annotations

from typing import Generic, TypeVar

from peers.contracts import Judge
from peers.simulated import Clock, transport
from personadesk.domain.account import Account
from personadesk.providers import catalog
from personadesk.providers.base import Provider
from personadesk.rehearsal import catalog as rehearsal

_Kind = TypeVar("_Kind", bound=Provider)


class JudgedCloud(Generic[_Kind]):
    """One simulated cloud.

    Attributes:
        clock: Moves only when told.
        simulator: The provider's API.
        world: What is behind it.
        judge: Holds every request and answer against the contract.
        here: The ready account's provider.
    """

    def __init__(
        self,
        kind: type[_Kind],
        contract: str,
        *,
        outside: tuple[str, ...] = (),
        statuses: frozenset[int] | None = None,
    ) -> None:
        """Make them; see `Judge` for what is not judged."""
        self._kind = kind
        self.clock = Clock()
        self.simulator = rehearsal.make(rehearsal.kind(kind.facts.id), clock=self.clock)
        self.world = self.simulator.world
        self.judge = Judge(
            contract,
            transport(self.simulator),
            base=kind.facts.base_url,
            outside=outside,
            statuses=statuses,
        )
        self.key = self.simulator.ready.key
        self.here = self.enter(self.key)

    def enter(self, key: str) -> _Kind:
        """Return the provider of an account with another key."""
        found = catalog.make(
            Account("mine", self._kind.facts.id), {"api_key": key}, transport=self.judge,
            clock=self.clock, sleep=self.clock.sleep,
        )  # fmt: skip
        assert isinstance(found, self._kind)
        return found
