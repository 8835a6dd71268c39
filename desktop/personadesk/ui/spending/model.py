"""What the window knows of money, and what can be asked of it. Outlives the page.

It looks again whenever the machines were looked at, and tells when a budget is nearly used up, or is.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, Signal

from personadesk.domain import money, money_csv
from personadesk.domain.budget import ALL, Budget, Level
from personadesk.domain.errors import PersonaDeskError, ProviderFault
from personadesk.domain.text import T, Text
from personadesk.ui.messages import Action, Message, Severity, bus
from personadesk.ui.spawn import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import date
    from pathlib import Path

    from personadesk.deploy.rented.elsewhere import Elsewhere
    from personadesk.deploy.rented.money import MoneyService
    from personadesk.domain.budget import Standing
    from personadesk.domain.statement import Money

__all__ = ["Places", "Purse"]

_WORST = {Level.FINE: 0, Level.NEAR: 1, Level.REACHED: 2}


class HasMoney(Protocol):
    """What of the services is needed here."""

    @property
    def money(self) -> MoneyService:
        """Sums and budgets."""


@dataclass(frozen=True, slots=True)
class Places:
    """What the same would cost elsewhere, as it was last asked.

    Attributes:
        line: For which line; "" for whatever runs.
        found: The answer, None before the first.
        asking: Whether it is asked now.
    """

    line: str = ""
    found: Elsewhere | None = None
    asking: bool = False


class Purse(QObject):
    """Money as it was last summed up.

    Attributes:
        found: The sums, None before the first look.
        places: What the same would cost elsewhere.
        checking: Whether the providers are asked what is left.
        stops: What the budget that was looked at last would stop.
        fault: Why a budget could not be kept; None when it could.

    Signals:
        changed: The sums are others, or are being asked.
        places_changed: `places` is another.
        stops_changed: `stops` or `fault` is another.
    """

    changed = Signal()
    places_changed = Signal()
    stops_changed = Signal()

    def __init__(
        self,
        services: Callable[[], Awaitable[HasMoney]],
        *,
        clock: Callable[[], float] = time.time,
        parent: QObject | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            services: Waits until the services are open.
            clock: Unix time.
        """
        super().__init__(parent)
        self.clock = clock
        self._services = services
        self.found: Money | None = None
        self.places = Places()
        self.checking = False
        self.stops: tuple[Text, ...] = ()
        self.fault: PersonaDeskError | None = None
        self._told: dict[tuple[str, str], Level] = {}

    def budget(self, line: str) -> Budget | None:
        """Return the budget of a line, as it was last seen."""
        if self.found is None:
            return None
        return next((x.budget for x in self.found.budgets if x.budget.line == line), None)

    # -- wishes -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Sum up again what is known; no provider is asked."""
        spawn(self._look(), "sum up money", owner=self)

    def check(self) -> None:
        """Ask the providers now what is left."""
        if not self.checking:
            self.checking = True
            self.changed.emit()
            spawn(self._check(), "ask what is left", owner=self)

    def ask_places(self, line: str) -> None:
        """Ask all accounts what the same would cost there."""
        self.places = Places(line, self.places.found, asking=True)
        self.places_changed.emit()
        spawn(self._ask_places(line), "ask what it costs elsewhere", owner=self)

    def preview(self, budget: Budget) -> None:
        """Find out what a budget would stop."""
        spawn(self._preview(budget), "what a budget would stop", owner=self)

    def save(self, budget: Budget) -> None:
        """Keep a budget; the user has seen what it would stop."""
        spawn(self._save(budget), "keep a budget", owner=self)

    def clear(self, line: str) -> None:
        """Take a budget away."""
        spawn(self._clear(line), "clear a budget", owner=self)

    def lift(self, line: str, dollars: float) -> None:
        """Allow more until the day and the month are over."""
        spawn(self._lift(line, dollars), "lift a budget", owner=self)

    def export(self, first: date, last: date, file: Path) -> None:
        """Write the costs of some days into a CSV file, and say where it is."""
        spawn(self._export(first, last, file), "export costs", owner=self)

    # -- doing ------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        found = await (await self._services()).money.look()
        if found == self.found:
            return
        self.found = found
        self._tell(found.budgets)
        self.changed.emit()

    async def _check(self) -> None:
        try:
            await (await self._services()).money.prove()
        finally:
            self.checking = False
        await self._look()
        self.changed.emit()

    async def _ask_places(self, line: str) -> None:
        found = self.places.found
        try:
            found = await (await self._services()).money.elsewhere(line)
        finally:
            if self.places.line == line:
                self.places = Places(line, found)
                self.places_changed.emit()

    async def _preview(self, budget: Budget) -> None:
        self.stops = tuple(await (await self._services()).money.consequences(budget))
        self.stops_changed.emit()

    async def _save(self, budget: Budget) -> None:
        self.fault = None
        try:
            await (await self._services()).money.set_budget(budget)
        except PersonaDeskError as error:
            self.fault = error
        self.stops_changed.emit()
        await self._look()

    async def _clear(self, line: str) -> None:
        await (await self._services()).money.budgets.remove(line)
        await self._look()

    async def _lift(self, line: str, dollars: float) -> None:
        await (await self._services()).money.lift(line, dollars)
        await self._look()

    async def _export(self, first: date, last: date, file: Path) -> None:
        service = (await self._services()).money
        since = money.day_start(first, service.zone)
        until = money.day_start(last + timedelta(days=1), service.zone)
        text = money_csv.table(await service.spans(since, until), since, until, service.zone)
        try:
            await asyncio.to_thread(file.write_bytes, text.encode())
        except OSError as error:
            raise ProviderFault(
                T("The file {file} could not be written.", file=str(file)),
                T("Choose another place."),
                cause="no_file",
                details=str(error),
            ) from error
        bus().post(
            Message(
                Severity.GOOD, T("The costs were saved as {file}.", file=str(file)),
                key="costs saved",
            )
        )  # fmt: skip

    def _tell(self, standings: Sequence[Standing]) -> None:
        """Say once when a limit comes near or is reached, with a way to allow more."""
        now = {(each.budget.line, str(each.period)): each for each in standings}
        for key, each in now.items():
            before = self._told.get(key, Level.FINE)
            if _WORST[each.level] > _WORST[before]:
                bus().post(self._message(each))
        self._told = {key: each.level for key, each in now.items()}

    def _message(self, standing: Standing) -> Message:
        line = standing.budget.line
        more = max(1, round(standing.limit / 2))
        what = standing.why
        if standing.level is Level.NEAR:
            words = (
                T("{share} % of the budget of ${limit} a {period} for everything is used.")
                if line == ALL
                else T("{share} % of the budget of ${limit} a {period} for “{line}” is used.")
            )
            what = Text(
                words.template,
                {
                    "share": round(100 * standing.share), "limit": f"{standing.limit:.2f}",
                    "period": T("day") if standing.period == "day" else T("month"), "line": line,
                },
            )  # fmt: skip
        return Message(
            Severity.WARNING,
            what,
            actions=(Action(T("Allow ${more} more", more=more), lambda: self.lift(line, more)),),
            key=f"budget {line} {standing.period}",
        )
