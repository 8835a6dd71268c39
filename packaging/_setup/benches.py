"""The bench command: each area's benchmark in its own process, and one JSON object as the last line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from _setup.console import Trouble, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from _setup.layout import Layout


def areas(layout: Layout) -> dict[str, Path]:
    """Return the benchmarks there are: area to the file that runs it."""
    found = {}
    for path in sorted(layout.benches.glob("*")):
        if path.suffix == ".py" and not path.name.startswith(("_", "conftest")):
            found[path.stem] = path
        elif (path / "__main__.py").is_file():
            found[path.name] = path / "__main__.py"
    return found


def run_bench(layout: Layout, arguments: Sequence[str]) -> int:
    """Run one area's benchmark with the arguments that follow, or all of them without any.

    Raises:
        Trouble: There is no such area.
    """
    known = areas(layout)
    if arguments and not arguments[0].startswith("-"):
        area, rest = arguments[0], arguments[1:]
        if area not in known:
            raise Trouble(
                f"There is no benchmark called {area}. Choose one of: {', '.join(known) or 'none yet'}."
            )
        done = subprocess.run([str(layout.python), str(known[area]), *rest], check=False)
        return done.returncode
    return _all(layout, known, arguments)


def _all(layout: Layout, known: dict[str, Path], arguments: Sequence[str]) -> int:
    figures: dict[str, object] = {}
    worst = 0
    for area, path in known.items():
        say(f"\n== {area}")
        done = subprocess.run(
            [str(layout.python), str(path), *arguments],
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        lines = done.stdout.strip().splitlines()
        try:
            figures[area] = json.loads(lines[-1]) if lines else None
        except ValueError:
            figures[area] = None
        if figures[area] is None:
            say(f"The benchmark {area} gave no figures.")
        worst = max(worst, done.returncode, 1 if figures[area] is None else 0)
    print(json.dumps(figures), file=sys.stdout, flush=True)
    return worst
