"""Marks for what was done on purpose: deploys from the journal, moves and restarts from the guardian's log, each once.

What happened by itself (a card that is gone, another address) the samples and targets show; see `state`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from personadesk.domain.event import Event, EventKind
from personadesk.domain.guarding import Deed
from personadesk.domain.plan import LOCAL, host_of
from personadesk.domain.progress import DeployState
from personadesk.domain.text import T
from personadesk.store.journal import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from personadesk.domain.line import Line
    from personadesk.domain.text import Text
    from personadesk.store.history import HistoryStore
    from personadesk.store.journal import Journal
    from personadesk.store.wishes import Entry, WishStore

BACK_SECONDS = 31 * 86_400.0
"""So far back marks are kept, and made up for."""
CAUSE_SECONDS = 600.0
"""A restart that a server shows is the guardian's when it began one so lately."""
_RESTARTS = {Deed.RESTART_SERVICE, Deed.FETCH_MODEL, Deed.RESTART_MACHINE, Deed.START}


class Marks:
    """Reads what was done.

    Args:
        journal: The deploys.
        wishes: The guardian's log.
        lines: Returns the lines.
        clock: Unix time.
    """

    def __init__(
        self,
        journal: Journal,
        wishes: WishStore,
        lines: Callable[[], Sequence[Line]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._wishes = wishes
        self._lines = lines
        self._clock = clock
        self._told: set[tuple[str, float]] | None = None
        self._restarts: dict[str, Entry] = {}

    async def look(self, store: HistoryStore) -> list[Event]:
        """Return what was done and is no mark yet, also while no monitor was there, oldest first.

        Args:
            store: Has the marks that were made before.

        Raises:
            PersonaDeskError: Something cannot be read.
        """
        now = self._clock()
        if self._told is None:
            known = await store.events(now - BACK_SECONDS, now + 1)
            self._told = {(str(event.kind), event.at) for event in known}
        moves: dict[str, Entry] = {}
        found: list[Event] = []
        for line in self._lines():
            entries = await self._wishes.log(line.name)
            moves |= {each.plan_id: each for each in entries if each.plan_id}
            switches = [each for each in entries if each.deed is Deed.SWITCH and each.worked]
            if switches and line.target is not None:
                # The last is to where it leads now; earlier ones were marked when they were that.
                found += await self._switched(line.target.server_id, switches[-1], self._told)
            restarts = [each for each in entries if each.deed in _RESTARTS]
            if line.target is not None and restarts:
                self._restarts[line.target.server_id] = restarts[-1]
        for record in await self._journal.in_state(DeployState.DONE):
            at = record.ended or record.started
            if at < now - BACK_SECONDS:
                continue
            move = moves.get(record.plan.id)
            if record.purpose is Purpose.SPARE or (move and move.deed is Deed.MAKE_SPARE):
                # It stands by; the line did not move.
                continue
            kind = EventKind.DEPLOYED if move is None else EventKind.FAILED_OVER
            text = (
                T("The line “{line}” got a voice here.", line=record.plan.line)
                if move is None
                else T("The line “{line}” moved here. {why}", line=move.line, why=move.why)
            )
            if (str(kind), at) not in self._told:
                self._told.add((str(kind), at))
                found.append(Event(at, host_of(record.plan) or LOCAL, kind, text))
        return sorted(found, key=lambda event: event.at)

    async def _switched(
        self, server_id: str, entry: Entry, told: set[tuple[str, float]]
    ) -> list[Event]:
        """Return the mark of a line that went over to its spare, none where there is one already."""
        record = await self._journal.load(server_id)
        key = (str(EventKind.FAILED_OVER), entry.at)
        if record is None or key in told or entry.at < self._clock() - BACK_SECONDS:
            return []
        told.add(key)
        text = T("The line “{line}” moved here. {why}", line=entry.line, why=entry.why)
        host = host_of(record.plan) or LOCAL
        return [Event(entry.at, host, EventKind.FAILED_OVER, text)]

    def cause(self, server_id: str, at: float) -> Text | None:
        """Return why the guardian restarted a server, None where it did not just before a Unix time."""
        entry = self._restarts.get(server_id)
        if entry is None or not 0 <= at - entry.at + entry.seconds < CAUSE_SECONDS:
            return None
        return entry.why
