"""The commands of `bootstrap.py`: what each one needs set up first, and what it starts then."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from _setup import benches, checks, environment, locks, server_bundle, system
from _setup.console import Trouble, say
from _setup.exclusive import exclusive
from _setup.layout import WINDOWS, Layout, has_display, here

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

USAGE = """\
usage: python packaging/bootstrap.py COMMAND

  run [--headless] [ARGUMENT …]   set up what is missing and start PersonaDesk; without a display, or
                                  with --headless, do the main job in the terminal (personadesk demo)
  test [ARGUMENT …]               set up for development and run every check; with arguments, only
                                  pytest with them
  setup [--dev]                   only set up
  bench [AREA] [ARGUMENT …]       measure; without an area, all of them
  lock [--upgrade]                make the locked requirements again
"""

MISSING_NOTE = "system-packages-missing"
"""Remembers what could not be installed; `setup` forgets it and tries again."""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says.

    Returns:
        The exit status: that of what was started; 1 when setting up failed, 2 for a wrong command.
    """
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if command in {"-h", "--help", "help"}:
        print(USAGE, end="")
        return 0
    doers = {"run": _run, "test": _test, "setup": _setup, "bench": _bench, "lock": _lock}
    if command not in doers:
        say(USAGE.rstrip())
        return 2
    layout = here()
    try:
        return doers[command](layout, rest)
    except Trouble as trouble:
        say(f"\n{trouble}")
    except OSError as error:
        if error.errno not in {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC}:
            raise
        say(f"\n{cannot_write(layout, error)}")
    except KeyboardInterrupt:
        say("\nStopped. The same command goes on where this one was.")
        return 130
    return 1


def prepare(layout: Layout, *, dev: bool) -> None:
    """Set up what is missing; touch nothing when all is there."""
    wanted = [*system.WINDOW, *system.AUDIO, *(system.TESTS if dev else ())]
    missing = system.missing_packages(wanted) if system.is_debian() else []
    note = layout.scratch / MISSING_NOTE
    if missing and (not system.is_root() or system.given_up(missing, note)):
        system.tell_missing(missing)
        missing = []
    if not missing and environment.is_ready(layout, dev=dev) and server_bundle.is_current(layout):
        return
    with exclusive(layout.scratch / "setup.lock"):
        if missing:
            system.install_missing(missing, note)
        if not environment.is_ready(layout, dev=dev):
            environment.install(layout, dev=dev)
            hint = system.hint_elsewhere()
            if hint:
                say(hint)
        server_bundle.ensure_bundle(layout)


def _run(layout: Layout, arguments: list[str]) -> int:
    headless = "--headless" in arguments
    rest = [each for each in arguments if each != "--headless"]
    prepare(layout, dev=False)
    words = ["-P", "-m", "personadesk"]
    if headless or not has_display():
        return _become(layout.python, [*words, "demo", *rest])
    trouble = environment.window_trouble(layout)
    if trouble:
        raise Trouble(
            f"The window cannot be shown: {trouble}. {system.window_remedy()} "
            "The main job works in the terminal too: python packaging/bootstrap.py run --headless"
        )
    return _become(layout.python, [*words, *rest])


def _test(layout: Layout, arguments: list[str]) -> int:
    prepare(layout, dev=True)
    return checks.run_checks(layout, checks.checks(layout, arguments))


def _setup(layout: Layout, arguments: list[str]) -> int:
    if arguments not in ([], ["--dev"]):
        say(USAGE.rstrip())
        return 2
    (layout.scratch / MISSING_NOTE).unlink(missing_ok=True)
    prepare(layout, dev=bool(arguments))
    say("All is set up.")
    return 0


def _bench(layout: Layout, arguments: list[str]) -> int:
    prepare(layout, dev=True)
    return benches.run_bench(layout, arguments)


def _lock(layout: Layout, arguments: list[str]) -> int:
    if arguments not in ([], ["--upgrade"]):
        say(USAGE.rstrip())
        return 2
    if not layout.program("uv").exists():
        prepare(layout, dev=True)
    locks.make_locks(layout, upgrade=bool(arguments))
    return 0


def _become(program: Path, arguments: Sequence[str]) -> int:
    """Hand over to a program: on POSIX it takes this process's place, signals and exit status and all."""
    words = [str(program), *arguments]
    sys.stderr.flush()
    if not WINDOWS:
        os.execv(words[0], words)  # noqa: S606 - no shell is wanted
    return subprocess.run(words, check=False).returncode


def cannot_write(layout: Layout, error: OSError) -> str:
    """Return what to tell a person whose folder is read-only or whose disk is full."""
    if error.errno == errno.ENOSPC:
        return (
            f"The disk that holds {layout.root} is full. "
            "Free about 1 GB (for development 4 GB), then run the same command again."
        )
    return (
        f"{error.filename or layout.root} cannot be written to. "
        "Copy PersonaDesk's folder to a place of your own, and run the same command there."
    )
