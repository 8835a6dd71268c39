"""What a step of a deploy is, and what it gets to work with."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from personadesk.domain.text import NOTHING, Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.line import Line, LineState
    from personadesk.domain.plan import Plan
    from personadesk.domain.progress import DeployState, StepName
    from personadesk.domain.report import VoiceReport
    from personadesk.hosts.local import Computer
    from personadesk.hosts.servers import Servers
    from personadesk.store.journal import Journal
    from personadesk.store.paths import Folders


class Lines(Protocol):
    """What deploys need of the lines; they live on the same floor and know each other by this alone."""

    async def get(self, name: str) -> Line | None:
        """Return a line, or None."""

    async def all(self) -> tuple[Line, ...]:
        """Return every line."""

    async def put(self, line: Line) -> None:
        """Make or lead a line; returns when its address answers.

        Raises:
            PersonaDeskError: Its port is taken.
        """

    async def tell(self, name: str, state: LineState, reason: Text = NOTHING) -> None:
        """Say how a line stands."""

    async def forget(self, name: str) -> None:
        """Remove a line and close its address, whatever is behind it."""

    async def serves(self, port: int) -> bool:
        """Whether it is we who listen on that port."""


@dataclass(slots=True)
class Context:
    """What a step works with.

    Attributes:
        plan: What was asked.
        folders: Where files go.
        journal: Where facts are written before they are acted on.
        servers: The server processes of this computer.
        lines: The addresses.
        facts: What earlier steps found out (JSON values).
        tell: Takes what is being done and how far it is (0..1 or None).
        log: Takes one line: source, a sentence or the words of a tool, whether it is a warning.
        computer: Facts about this computer, once the check has them.
        report: The voice test's result, once there is one.
        ending: While steps are undone: how the deploy ended; None when it is undone later, on request.
        failure: The step at which it failed, and why; None when it did not.
    """

    plan: Plan
    folders: Folders
    journal: Journal
    servers: Servers
    lines: Lines
    facts: dict[str, Any]
    tell: Callable[[Text, float | None], None]
    log: Callable[[str, Text | str, bool], None]
    computer: Computer | None = None
    report: VoiceReport | None = None
    ending: DeployState | None = None
    failure: tuple[StepName, PersonaDeskError] | None = None
    clock: Callable[[], float] = field(default=time.time)

    async def remember(self, **facts: Any) -> None:
        """Write facts down now, before acting on them."""
        self.facts.update(facts)
        await self.journal.set_facts(self.plan.id, self.facts)

    @property
    def state_dir(self) -> Path:
        """Folder of this deploy's server."""
        return self.folders.state / "servers" / self.plan.id


class Step(ABC):
    """One step. Running it twice does no harm, and undoing it leaves nothing that should not stay.

    Attributes:
        name: Which step it is.
        title: How it is called.
        limit_s: How long it may take, unless `limit` says otherwise.
        expected_s: How long it usually takes.
        leads: Whether it leads a line somewhere; a spare leaves that out.
    """

    name: ClassVar[StepName]
    title: ClassVar[Text]
    limit_s: float = 60.0
    expected_s: float = 1.0
    leads: ClassVar[bool] = False

    def applies(self, plan: Plan) -> bool:
        """Whether it belongs to a plan at all; most do to every plan."""
        return True

    async def done(self, context: Context) -> Text | None:
        """Say what is there already, or return None when the step must run. Changes nothing."""
        return None

    def limit(self, context: Context) -> float:
        """Return how long it may take in this deploy, in seconds."""
        return self.limit_s

    @abstractmethod
    async def run(self, context: Context) -> Text:
        """Do it; return what was done in one line.

        Raises:
            PersonaDeskError: It cannot be done.
        """

    async def settle(self, context: Context) -> None:
        """Do what may only be done once the deploy is there to stay; it cannot be undone."""
        return

    async def undo(self, context: Context) -> bool:
        """Remove what must not stay; return whether there was anything. May be called at any time."""
        return False
