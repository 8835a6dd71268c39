"""The test command: style, types, floors, spelling and all tests, each timed; every one runs, whatever failed."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from _setup.console import call, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from _setup.layout import Layout


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the test command runs.

    Attributes:
        name: What the summary calls it.
        command: What to run.
        env: What to add to the environment.
    """

    name: str
    command: Sequence[str | Path]
    env: dict[str, str] = field(default_factory=dict)


def checks(layout: Layout, arguments: Sequence[str]) -> list[Check]:
    """Return what to run, in order; pytest comes last, so that its closing line does too.

    Args:
        layout: The checkout.
        arguments: What the person gave for pytest. With any, the tests are the only thing to run.
    """
    python = layout.python
    tests = Check("pytest", [python, "-m", "pytest", *arguments], {"QT_QPA_PLATFORM": "offscreen"})
    if arguments:
        return [tests]
    static = [
        Check("ruff check", [python, "-m", "ruff", "check", "."]),
        Check("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
        Check("mypy", [python, "-m", "mypy"]),
        Check("import rules", [layout.program("lint-imports")]),
        Check("codespell", [layout.program("codespell")]),
    ]
    return [*static, *_on_a_display(layout), tests]


def _on_a_display(layout: Layout) -> list[Check]:
    """The few tests that want a real window system, where one can be had without a screen."""
    folder = layout.root / "tests" / "desktop" / "ui"
    marked = [
        path
        for path in sorted(folder.rglob("test_*.py"))
        if "pytest.mark.xcb" in path.read_text(encoding="utf-8")
    ]
    runner = shutil.which("xvfb-run")
    if not marked:
        return []
    if runner is None:
        say("Xvfb is not here, so the tests that want a real window system are left out.")
        return []
    command: list[str | Path] = [
        runner,
        "--auto-servernum",
        layout.python,
        "-m",
        "pytest",
        "-m",
        "xcb",
        *marked,
    ]
    return [Check("pytest on a display", command, {"QT_QPA_PLATFORM": "xcb"})]


def run_checks(layout: Layout, wanted: Sequence[Check]) -> int:
    """Run the checks one after the other.

    Returns:
        0 when all passed, else 1.
    """
    results: list[tuple[Check, int, float]] = []
    for check in wanted:
        if len(results) == len(wanted) - 1:
            _summary(results)
        say(f"\n== {check.name}")
        begun = time.monotonic()
        env = {**os.environ, "OMP_NUM_THREADS": "1", **check.env}
        status = call(check.command, cwd=layout.root, env=env)
        results.append((check, status, time.monotonic() - begun))
    failed = [check.name for check, status, _ in results if status != 0]
    earlier = [name for name in failed if name != wanted[-1].name]
    if earlier:
        say(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def _summary(results: Sequence[tuple[Check, int, float]]) -> None:
    for check, status, seconds in results:
        say(f"{'passed' if status == 0 else 'FAILED'}  {check.name:<20} {seconds:6.1f} s")
