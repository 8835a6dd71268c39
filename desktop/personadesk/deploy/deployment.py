"""One deploy as others see it: a view that changes, a log that grows, and callbacks that are not called too often."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from personadesk.domain.progress import DeployState, DeployView, LogLine, StepState, StepView
from personadesk.domain.text import NOTHING, Text
from personadesk.store.logs import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.progress import StepName
    from personadesk.domain.text import Value

LOG_LINES = 5000
QUIET_SECONDS = 0.05
"""Progress and log lines are announced at most this often; changes of state at once."""


class Deployment:
    """A deploy that runs or has run in this process."""

    def __init__(self, view: DeployView) -> None:
        self._view = view
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._logged = 0
        self._watchers: list[Callable[[], None]] = []
        self._began = time.monotonic()
        self._step_began: float | None = None
        self._pending: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    @property
    def view(self) -> DeployView:
        """Where it is at this moment, times counted up to now."""
        view = self._view
        if view.state is not DeployState.RUNNING:
            return view
        now = time.monotonic()
        steps = view.steps
        if self._step_began is not None:
            passed = now - self._step_began
            steps = tuple(
                replace(step, seconds=passed) if step.state is StepState.RUNNING else step
                for step in steps
            )
        return replace(view, steps=steps, seconds=now - self._began)

    @property
    def log(self) -> tuple[LogLine, ...]:
        """The last 5,000 lines of what is happening."""
        return tuple(self._log)

    @property
    def logged(self) -> int:
        """How many lines were ever logged."""
        return self._logged

    def log_since(self, count: int) -> tuple[LogLine, ...]:
        """Return the lines after the first `count`, as far as they are kept."""
        fresh = min(self._logged - count, len(self._log))
        if fresh <= 0:
            return ()
        return tuple(self._log[index] for index in range(len(self._log) - fresh, len(self._log)))

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback()` on the loop's thread after changes; returns a function that ends it."""
        self._watchers.append(callback)

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._watchers.remove(callback)

        return end

    async def wait(self) -> DeployView:
        """Wait until it has ended, undo included; return the last view."""
        if self._task is not None:
            await asyncio.shield(asyncio.gather(self._task, return_exceptions=True))
        return self.view

    def cancel(self) -> None:
        """Stop it and undo what must not stay; harmless when it has ended. Returns at once: see `wait`."""
        if self._task is not None and not self._task.done() and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    # -- for the engine ---------------------------------------------------------------------------------------

    def attach(self, task: asyncio.Task[None]) -> None:
        """Name the task that does the work."""
        self._task = task

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    @property
    def raw(self) -> DeployView:
        """The view without times counted."""
        return self._view

    def set(self, view: DeployView) -> None:
        """Take a new view and announce it at once."""
        if view.state is not DeployState.RUNNING and self._view.state is DeployState.RUNNING:
            view = replace(view, seconds=time.monotonic() - self._began)
        self._view = view
        self._announce()

    def restart(self) -> None:
        """Begin counting time anew."""
        self._began = time.monotonic()
        self._cancelled = False

    def set_step(self, name: StepName, state: StepState, **changes: object) -> StepView:
        """Change one step's state and announce it at once."""
        old = self.step(name)
        seconds = old.seconds
        if state is StepState.RUNNING:
            self._step_began, seconds = time.monotonic(), 0.0
        elif old.state is StepState.RUNNING and self._step_began is not None:
            seconds, self._step_began = time.monotonic() - self._step_began, None
        new = replace(old, state=state, seconds=seconds, **changes)  # type: ignore[arg-type] # fields of StepView
        self._put(new)
        self._announce()
        return new

    def progress(self, name: StepName, **changes: object) -> None:
        """Change what a step says of itself; announced soon."""
        self._put(replace(self.step(name), **changes))  # type: ignore[arg-type] # fields of StepView
        self._announce_soon()

    def add_line(self, source: str, text: Text | str, warning: bool) -> LogLine:
        """Take one line into the log; announced soon."""
        sentence = _redacted(text) if isinstance(text, Text) else NOTHING
        line = LogLine(time.time(), source, redact(str(text)), warning, sentence)
        self._log.append(line)
        self._logged += 1
        self._announce_soon()
        return line

    def step(self, name: StepName) -> StepView:
        """Return one step's view."""
        return next(step for step in self._view.steps if step.name is name)

    def _put(self, new: StepView) -> None:
        steps = tuple(new if step.name is new.name else step for step in self._view.steps)
        self._view = replace(self._view, steps=steps)

    def _announce_soon(self) -> None:
        if self._pending is None:
            loop = asyncio.get_running_loop()
            self._pending = loop.call_later(QUIET_SECONDS, self._announce)

    def _announce(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        for watcher in tuple(self._watchers):
            watcher()


def _redacted(text: Text) -> Text:
    return Text(text.template, {name: _redacted_value(each) for name, each in text.values.items()})


def _redacted_value(value: Value) -> Value:
    if isinstance(value, Text):
        return _redacted(value)
    return redact(value) if isinstance(value, str) else value
