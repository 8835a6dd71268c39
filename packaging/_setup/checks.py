"""The test command: style, types, floors, spelling and all tests, each timed; every one runs, whatever failed.

The tests run in two parts. Those marked `real_time` hold a real model to the pace of speech and have a core each;
all others share the cores.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from _setup.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from _setup.layout import Layout

FAILED_VARIABLE = "PERSONADESK_FAILED_CHECKS"
"""Tells pytest which checks failed before it, so that its closing lines are the whole truth."""

TESTS_FAILED = 1
"""pytest's word for it; other failures (no test found, broken off) are not tried again."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the test command runs.

    Attributes:
        name: What the summary calls it.
        command: What to run.
        env: What to add to the environment.
        again: What to run when it failed, to tell a fault from a moment in which the computer was too busy:
            what failed, alone and in order.
    """

    name: str
    command: Sequence[str | Path]
    env: dict[str, str] = field(default_factory=dict)
    again: Sequence[str | Path] = ()


def checks(layout: Layout, arguments: Sequence[str]) -> list[Check]:
    """Return what to run, in order; pytest comes last, so that its closing line does too.

    Args:
        layout: The checkout.
        arguments: What the person gave for pytest. With any, the tests are the only thing to run,
            in one process and in order.
    """
    if arguments:
        return [_tests(layout, "pytest", arguments)]
    python = layout.python
    return [
        Check("ruff check", [python, "-m", "ruff", "check", "."]),
        Check("ruff format", [python, "-m", "ruff", "format", "--check", "."]),
        Check("mypy", [python, "-m", "mypy"]),
        Check("import rules", [layout.program("lint-imports")]),
        Check("codespell", [layout.program("codespell")]),
        *_on_a_display(layout),
        _tests(layout, "pytest in real time", ["-m", "real_time", *_workers(cores())]),
        # Half as many again as there are cores: a test that talks to another process waits half its time.
        _tests(layout, "pytest", ["-m", "not real_time", *_workers(cores() * 3 // 2)]),
    ]


def _tests(layout: Layout, name: str, arguments: Sequence[str]) -> Check:
    command: list[str | Path] = [layout.python, "-m", "pytest", *arguments]
    again: list[str | Path] = []
    if "-n" in arguments:
        again = [
            layout.python,
            "-m",
            "pytest",
            "--last-failed",
            "--last-failed-no-failures",
            "none",
        ]
    return Check(name, command, {"QT_QPA_PLATFORM": "offscreen"}, again)


def _workers(count: int) -> list[str]:
    """Return the words for tests beside each other.

    A file stays together, so that what its tests share is made once; `tests/conftest.py` puts the long ones first.
    """
    if count < 2:
        return []
    return ["-n", str(count), "--dist", "loadfile", "--no-loadscope-reorder"]


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _on_a_display(layout: Layout) -> list[Check]:
    """The few tests that want a real window system, where one can be had without a screen."""
    folder = layout.root / "tests" / "desktop"
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
    """Run the checks one after the other; the last one learns which others failed, and tells.

    Returns:
        0 when all passed, else 1.
    """
    results: list[tuple[Check, int, float]] = []
    for check in wanted:
        last = len(results) == len(wanted) - 1
        if last:
            _summary(results)
        say(f"\n== {check.name}")
        begun = time.monotonic()
        env = {**os.environ, "OMP_NUM_THREADS": "1", **check.env}
        # The tests start hundreds of Pythons; without this each would compile all of ours anew.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        if last:
            env[FAILED_VARIABLE] = ", ".join(known.name for known, status, _ in results if status)
        words = [str(part) for part in check.command]
        status = subprocess.run(words, check=False, cwd=layout.root, env=env).returncode
        if status == TESTS_FAILED and check.again:
            say(f"\n== {check.name}: what failed, once more and alone")
            words = [str(part) for part in check.again]
            status = subprocess.run(words, check=False, cwd=layout.root, env=env).returncode
            if status == 0:
                say("What failed beside other tests passes alone: look at it, it is shaky.")
        results.append((check, status, time.monotonic() - begun))
    return int(any(status for _, status, _ in results))


def _summary(results: Sequence[tuple[Check, int, float]]) -> None:
    if results:
        say("")
    for check, status, seconds in results:
        say(f"{'FAILED' if status else 'passed'}  {check.name:<20} {seconds:6.1f} s")
