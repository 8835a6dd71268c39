"""Making the locked, hashed requirements again from what the two pyproject.toml files ask for.

All come from one resolution: the development set is solved first and holds the others, so that
what was tested is what is installed. torch is left out of all of them; what torch itself needs is in.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from _setup.console import Trouble, say
from _setup.layout import Layout, project

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEADER = """\
# Made by `python packaging/bootstrap.py lock`; do not edit.
# {what}
# For Linux, macOS and Windows, Python 3.11 and newer. torch is not here: see torch.txt.
"""
_WHAT = {
    "dev.txt": "Everything to develop, test and run both packages.",
    "desktop.txt": "What PersonaDesk needs on the user's computer.",
    "server.txt": "What the voice server needs on its host, with what torch asks for.",
    "server-cpu.txt": "What the voice server also has on a host without an NVIDIA GPU, where there is a wheel of it.",
}
_OURS = {"personaplex-server", "personadesk", "torch"}


def inputs(layout: Layout) -> dict[str, list[str]]:
    """Return the requirements that each lock is made from, the widest first."""
    app = project(layout.root)
    server = project(layout.server)
    groups = app["dependency-groups"]
    desktop = app["project"]["dependencies"]
    serving = [*server["project"]["dependencies"], *groups["torch-needs"]]
    on_cpu = server["project"]["optional-dependencies"]["cpu"]
    return {
        "dev.txt": _theirs([*desktop, *serving, *on_cpu, *groups["dev"]]),
        "desktop.txt": _theirs(desktop),
        "server.txt": _theirs(serving),
        "server-cpu.txt": _theirs(on_cpu),
    }


def requirement_name(requirement: str) -> str:
    """Return the normalised project name at the start of a requirement."""
    name = requirement.strip()
    for position, letter in enumerate(name):
        if not (letter.isalnum() or letter in "-_."):
            name = name[:position]
            break
    return name.lower().replace("_", "-").replace(".", "-")


def make_locks(layout: Layout, *, upgrade: bool) -> None:
    """Write the locks.

    Args:
        layout: The checkout; its environment holds uv.
        upgrade: Take the newest versions instead of keeping those that are locked.

    Raises:
        Trouble: The requirements cannot be solved together.
    """
    widest: Path | None = None
    for name, wanted in inputs(layout).items():
        lock = layout.locks / name
        keep = lock.exists() and not (upgrade and widest is None)
        known = lock.read_text(encoding="utf-8") if keep else ""
        text = _compile(layout, wanted, known if widest is None else "", widest)
        lock.write_text(_HEADER.format(what=_WHAT[name]) + text, encoding="utf-8", newline="\n")
        widest = widest or lock
        packages = sum(line[:1].isalnum() for line in text.splitlines())
        say(f"{lock.relative_to(layout.root)}: {packages} packages.")


def _theirs(requirements: Iterable[str]) -> list[str]:
    return sorted({each for each in requirements if requirement_name(each) not in _OURS})


def _compile(layout: Layout, wanted: list[str], known: str, widest: Path | None) -> str:
    with tempfile.TemporaryDirectory(prefix="personadesk-lock-") as folder:
        output = Path(folder) / "lock.txt"
        output.write_text(known, encoding="utf-8")
        command = [
            *(layout.program("uv"), "pip", "compile", "-", "--output-file", output, "--quiet"),
            *("--universal", "--python-version", "3.11", "--fork-strategy", "fewest"),
            *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url"),
            *(("--constraints", widest) if widest else ()),
        ]
        done = subprocess.run(
            [str(part) for part in command],
            check=False,
            input="\n".join(wanted) + "\n",
            text=True,
            capture_output=True,
            env={**os.environ, "UV_NO_CONFIG": "1"},
        )
        if done.returncode != 0:
            say(done.stderr.strip())
            raise Trouble(
                "The requirements could not be locked; the lines above say why. "
                "Loosen the bounds in pyproject.toml, or check the internet connection."
            )
        return output.read_text(encoding="utf-8")
