"""The file from which Task Scheduler learns to start the lines, by its schema (version 1.2, Windows 7 and later)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = "http://schemas.microsoft.com/windows/2004/02/mit/task"


def task(words: Sequence[str], user: str) -> bytes:
    """Return the task that runs a command when a user logs on, as Task Scheduler reads it from a file.

    A task of `schtasks /SC ONLOGON` would want an administrator, end after three days, and neither start nor go on
    while a laptop runs on its battery.

    Args:
        words: The command.
        user: Whose log-on it is, with a backslash between domain and name.
    """
    root = ElementTree.Element("Task", {"version": "1.2", "xmlns": SCHEMA})

    def part(parent: ElementTree.Element, name: str, text: str = "") -> ElementTree.Element:
        made = ElementTree.SubElement(parent, name)
        made.text = text or None
        return made

    told = part(root, "RegistrationInfo")
    part(told, "Description", "PersonaDesk: the addresses of the lines, and their guardian")
    trigger = part(part(root, "Triggers"), "LogonTrigger")
    part(trigger, "Enabled", "true")
    part(trigger, "UserId", user)
    principal = part(part(root, "Principals"), "Principal")
    principal.set("id", "Author")
    part(principal, "UserId", user)
    part(principal, "LogonType", "InteractiveToken")
    part(principal, "RunLevel", "LeastPrivilege")
    settings = part(root, "Settings")
    for name, text in (
        ("MultipleInstancesPolicy", "IgnoreNew"),
        ("DisallowStartIfOnBatteries", "false"),
        ("StopIfGoingOnBatteries", "false"),
        ("StartWhenAvailable", "true"),
        ("ExecutionTimeLimit", "PT0S"),
    ):
        part(settings, name, text)
    restart = part(settings, "RestartOnFailure")
    part(restart, "Interval", "PT1M")
    part(restart, "Count", "255")
    actions = part(root, "Actions")
    actions.set("Context", "Author")
    run = part(actions, "Exec")
    part(run, "Command", words[0])
    part(run, "Arguments", subprocess.list2cmdline(words[1:]))
    written: bytes = ElementTree.tostring(root, encoding="utf-16")
    return written


def words(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return a command of Python's as a task runs it.

    Args:
        command: Python with `-P -m personadesk` and what it shall do.
        environment: Variables that it wants; a task has no place for them.
    """
    python = Path(command[0])
    # The one without a console: a window of that kind would stand there, and end the lines when it is closed.
    quiet = python.with_name("pythonw.exe")
    first = str(quiet if quiet.is_file() else python)
    if not environment:
        return [first, *command[1:]]
    code = (
        f"import os; os.environ.update({dict(environment)!r}); "
        f"from personadesk.__main__ import main; raise SystemExit(main({list(command[4:])!r}))"
    )
    return [first, "-P", "-c", code]
