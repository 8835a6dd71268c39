"""How a deploy stands: steps with their state, the log, and the end. Values only; the engine announces them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.text import NOTHING, Text

if TYPE_CHECKING:
    from personadesk.domain.errors import PersonaDeskError
    from personadesk.domain.plan import Plan
    from personadesk.domain.report import VoiceReport


class StepName(StrEnum):
    """The steps, in their order."""

    RENT = "rent"
    BOOT = "boot"
    CHECK = "check"
    ROOM = "room"
    INSTALL = "install"
    MODEL = "model"
    START = "start"
    READY = "ready"
    VOICE_TEST = "voice-test"
    LINE = "line"


RENTED_STEPS = frozenset({StepName.RENT, StepName.BOOT})
"""Only a deploy to a machine that is to be rented has these."""


class StepState(StrEnum):
    """Where one step is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    """What it makes was there already and right."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDONE = "undone"


class DeployState(StrEnum):
    """Where the whole deploy is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    """The app died in the middle; it can be resumed or undone."""
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class StepView:
    """One step as the window and the terminal show it.

    Attributes:
        name: Which step.
        title: "Install".
        state: Where it is.
        doing: What it does or did, one line.
        fraction: 0..1 while running, None when it cannot be told.
        seconds: Time taken so far or in all.
        expected: Usual time in seconds, shown as `≈` while it waits.
        error: Why it failed.
    """

    name: StepName
    title: Text
    state: StepState = StepState.WAITING
    doing: Text = NOTHING
    fraction: float | None = None
    seconds: float = 0.0
    expected: float | None = None
    error: PersonaDeskError | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of "what is happening".

    Attributes:
        at: Unix time in seconds.
        source: Step name or `server`.
        text: The line, English, secrets removed.
        warning: Whether the "Warnings" filter keeps it.
        sentence: The same to translate; NOTHING for the words of a tool.
    """

    at: float
    source: str
    text: str
    warning: bool = False
    sentence: Text = NOTHING


@dataclass(frozen=True, slots=True)
class DeployView:
    """A whole deploy at one moment.

    Attributes:
        plan: What was asked.
        state: Where it is.
        steps: All steps, in order.
        started: Unix time.
        seconds: Time taken so far or in all.
        report: The voice test's result once there is one.
        line_url: The address, once the voice is behind its line.
        report_dir: Folder of the saved report.
        error: Why it failed.
    """

    plan: Plan
    state: DeployState
    steps: tuple[StepView, ...]
    started: float
    seconds: float = 0.0
    report: VoiceReport | None = None
    line_url: str | None = None
    report_dir: str | None = None
    error: PersonaDeskError | None = None
    spare: bool = False

    @property
    def current(self) -> StepView | None:
        """The step that runs or failed, if any."""
        for step in self.steps:
            if step.state in {StepState.RUNNING, StepState.FAILED}:
                return step
        return None

    def facts(self) -> dict[str, object]:
        """Return how far it is, as programs that wait for its voice are told (JSON values).

        Between two steps it is at the next one. `left_s` is what the rest usually takes, in seconds; None where that
        is known of no step.
        """
        waiting = (each for each in self.steps if each.state is StepState.WAITING)
        step = self.current or next(waiting, None)
        rest = [each for each in self.steps if each.state in {StepState.RUNNING, StepState.WAITING}]
        known = [each for each in rest if each.expected is not None]
        left = sum(max(0.0, (each.expected or 0.0) - each.seconds) for each in known)
        return {
            "step": None if step is None else str(step.name),
            "title": "" if step is None else str(step.title),
            "doing": "" if step is None else str(step.doing),
            "fraction": None if step is None else step.fraction,
            "number": 0 if step is None else self.steps.index(step) + 1,
            "of": len(self.steps),
            "seconds": round(self.seconds, 1),
            "left_s": round(left) if known else None,
        }
