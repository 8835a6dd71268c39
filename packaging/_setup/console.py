"""Speaking to the person at the terminal: always on stderr, since stdout belongs to the app's own answer."""

from __future__ import annotations

import collections
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Trouble(Exception):
    """Setting up cannot go on. The message says what happened and what to do next."""


def say(text: str) -> None:
    """Print one line for the person, at once."""
    print(text, file=sys.stderr, flush=True)


def call(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a command with all that it prints on stderr.

    Args:
        command: Program and arguments; no shell is involved.
        cwd: Where to run it.
        env: Its whole environment, or None for ours.

    Returns:
        The exit status; 127 when the program is not there.
    """
    words = [str(part) for part in command]
    try:
        return subprocess.run(words, check=False, stdout=sys.stderr, cwd=cwd, env=env).returncode
    except FileNotFoundError:
        say(f"{words[0]} was not found.")
        return 127


def call_quietly(command: Sequence[str | Path], log: Path) -> int:
    """Run a pip command, showing only what it downloads; all of its words go into a log file.

    When it fails, the end of what it said is shown too.

    Args:
        command: Program and arguments.
        log: The file to add to; its folder is made.

    Returns:
        The exit status.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last: collections.deque[str] = collections.deque(maxlen=15)
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as child,
    ):
        file.write(f"$ {shown(command)}\n")
        for line in child.stdout or ():
            file.write(line)
            last.append(line.rstrip())
            if line.strip().startswith("Downloading "):
                say(f"  {line.strip()}")
    if child.returncode != 0:
        say("\n".join(last))
        say(f"(All of it: {log})")
    return child.returncode


def shown(command: Sequence[str | Path]) -> str:
    """Return a command as a person would type it."""
    return shlex.join(str(part) for part in command)
