"""Shows a deploy on stderr: a live list in a terminal, one line a step elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from personadesk.domain.progress import StepState
from personadesk.language import number, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.deploy.deployment import Deployment
    from personadesk.domain.progress import LogLine, StepName, StepView

BAR_CELLS = 12
SIGNS = {
    StepState.WAITING: " ",
    StepState.RUNNING: "…",
    StepState.DONE: "✓",
    StepState.SKIPPED: "✓",
    StepState.FAILED: "✗",
    StepState.CANCELLED: "–",
    StepState.UNDONE: "↶",
}
_STYLES = {
    StepState.RUNNING: "bold",
    StepState.DONE: "green",
    StepState.SKIPPED: "green",
    StepState.FAILED: "bold red",
    StepState.CANCELLED: "yellow",
    StepState.WAITING: "dim",
    StepState.UNDONE: "dim",
}
_ENDED = {StepState.DONE, StepState.SKIPPED, StepState.FAILED, StepState.CANCELLED}


def follow(deployment: Deployment) -> Callable[[], None]:
    """Show a deploy as it goes; returns a function that ends the showing."""
    shown = _Live(deployment) if sys.stderr.isatty() else _Lines(deployment)
    return shown.end


class _Lines:
    """One line when a step has ended, and warnings as they come."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._told: set[StepName] = set()
        self._seen = 0
        # A stream that cannot write a tick is no reason to fail.
        if hasattr(sys.stderr, "reconfigure"):
            sys.stderr.reconfigure(errors="replace")
        self._unsubscribe = deployment.subscribe(self._changed)
        self._changed()

    def end(self) -> None:
        self._changed()
        self._unsubscribe()

    def _changed(self) -> None:
        for line in self._deployment.log_since(self._seen):
            if line.warning:
                self._print(f"  ! {line.source}: {told(line)}")
        self._seen = self._deployment.logged
        for step in self._deployment.view.steps:
            if step.state in _ENDED and step.name not in self._told:
                self._told.add(step.name)
                self._print(f"{SIGNS[step.state]} {describe(step)}")

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class _Live:
    """A list that is redrawn in place."""

    def __init__(self, deployment: Deployment) -> None:
        from rich.console import Console
        from rich.live import Live

        self._deployment = deployment
        self._seen = 0
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(
            console=self._console, get_renderable=self._draw, refresh_per_second=8, transient=False
        )
        self._live.start()
        self._unsubscribe = deployment.subscribe(self._changed)

    def end(self) -> None:
        self._changed()
        self._unsubscribe()
        self._live.refresh()
        self._live.stop()

    def _changed(self) -> None:
        for line in self._deployment.log_since(self._seen):
            if line.warning:
                words = f"! {line.source}: {told(line)}"
                self._console.print(words, style="yellow", markup=False)
        self._seen = self._deployment.logged

    def _draw(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text as Styled

        steps = self._deployment.view.steps
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, min_width=2 + max(len(show(step.title)) for step in steps))
        table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
        table.add_column(no_wrap=True, min_width=BAR_CELLS)
        table.add_column(justify="right", no_wrap=True, min_width=6)
        for step in steps:
            style = _STYLES[step.state]
            bar: Any = ""
            if step.state is StepState.RUNNING:
                total = 1.0 if step.fraction is not None else None
                bar = ProgressBar(
                    total=total,
                    completed=step.fraction or 0.0,
                    width=BAR_CELLS,
                    pulse=total is None,
                )
            table.add_row(
                Styled(f"{SIGNS[step.state]} {show(step.title)}", style=style),
                Styled(show(step.doing), style="dim"),
                bar,
                Styled(_time(step), style="dim"),
            )
        return table


def told(line: LogLine) -> str:
    """Return a line of the log in the user's language; the words of a tool stay as they are."""
    return show(line.sentence) if line.sentence else line.text


def describe(step: StepView) -> str:
    """Return one ended step as a line."""
    doing = f": {show(step.doing)}" if step.doing else ""
    return f"{show(step.title)}{doing} ({number(step.seconds, '.1f')} s)"


def _time(step: StepView) -> str:
    if step.state is StepState.WAITING:
        return f"≈ {step.expected:.0f} s" if step.expected and step.expected >= 1 else ""
    return f"{number(step.seconds, '.1f')} s"
