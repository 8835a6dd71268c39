"""Lets this computer start the lines by itself: a service of the user's own at systemd, launchd or Task Scheduler.

It runs `personadesk line serve`. While a window serves the lines it waits, and takes over when that closes.
"""

from __future__ import annotations

import asyncio
import os
import plistlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import HostUnfit, ProviderFault
from personadesk.domain.text import NOTHING, T, Text
from personadesk.store.paths import HOME_VARIABLE, REHEARSAL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Run = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]

UNIT = "personadesk-lines.service"
AGENT = "org.personadesk.lines"
TASK = "PersonaDesk lines"
UNPROVEN = T(
    "It is written to this system's documentation and not yet proven live: look after the next log-in whether they run."
)
LIMIT_SECONDS = 20.0
_KEPT = (HOME_VARIABLE, REHEARSAL_VARIABLE)
_NONE = 127


@dataclass(frozen=True, slots=True)
class Autostart:
    """How it stands.

    Attributes:
        keeper: What starts the lines: `systemd`, `launchd` or `task-scheduler`.
        installed: Whether it is told to.
        running: Whether it runs them now; None where that is not told.
        file: What was written, "" for none.
        at_boot: Whether that is when the computer starts; else when this user logs in. None where that is not told.
    """

    keeper: str
    installed: bool
    running: bool | None = None
    file: str = ""
    at_boot: bool | None = None

    @property
    def unproven(self) -> Text:
        """What a person should know of it; nothing where it was seen to work."""
        return NOTHING if self.keeper == "systemd" else UNPROVEN


def command() -> list[str]:
    """Return the command that serves the lines, as this PersonaDesk runs it."""
    return [sys.executable, "-P", "-m", "personadesk", "line", "serve"]


def unit(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the systemd unit that runs a command for one user."""
    kept = "".join(
        f"Environment={_quoted(f'{key}={value}')}\n" for key, value in environment.items()
    )
    return f"""[Unit]
Description=PersonaDesk: the addresses of the lines, and their guardian
StartLimitIntervalSec=0

[Service]
{kept}ExecStart={" ".join(_quoted(word, command=True) for word in words)}
Restart=always
RestartSec=5
TimeoutStopSec=60
UMask=0077
# A voice server on this computer outlives whoever serves its line.
KillMode=process

[Install]
WantedBy=default.target
"""


def agent(words: Sequence[str], environment: Mapping[str, str], log: Path) -> bytes:
    """Return the launchd agent that runs a command for one user."""
    return plistlib.dumps(
        {
            "Label": AGENT,
            "ProgramArguments": list(words),
            "EnvironmentVariables": dict(environment),
            "RunAtLoad": True,
            "KeepAlive": True,
            "ThrottleInterval": 5,
            "AbandonProcessGroup": True,
            "Umask": 0o077,
            # Others are held back in processor time and disk, and their timers are late: a call would hear it.
            "ProcessType": "Interactive",
            "StandardErrorPath": str(log),
        }
    )


class Starter:
    """Installs, removes and tells it."""

    def __init__(
        self,
        logs: Path,
        *,
        platform: str = sys.platform,
        home: Path | None = None,
        run: Run | None = None,
    ) -> None:
        """Take what is needed.

        Args:
            logs: Folder for what the service says on macOS, and for the task's file on Windows.
            platform: As `sys.platform`.
            home: The user's own folder; None takes it from the system.
            run: Runs a command and returns its status and what it said; None runs it in earnest.
        """
        self._logs = logs
        self._platform = platform
        self._home = home or Path.home()
        self._run = run or _run

    @property
    def file(self) -> Path:
        """The file that is written."""
        if self._platform == "win32":
            return self._logs / "lines-task.xml"
        if self._platform == "darwin":
            return self._home / "Library" / "LaunchAgents" / f"{AGENT}.plist"
        config = Path(os.environ.get("XDG_CONFIG_HOME") or self._home / ".config")
        return config / "systemd" / "user" / UNIT

    async def install(self) -> Autostart:
        """Start the lines with this computer from now on.

        Raises:
            HostUnfit: This computer has nothing that starts them.
            ProviderFault: What has, would not.
        """
        environment = {key: os.environ[key] for key in _KEPT if os.environ.get(key)}
        if self._platform == "win32":
            # Loaded when it is wanted, which is rarely.
            from personadesk.lines import windows_task

            user = "\\".join(
                os.environ[name] for name in ("USERDOMAIN", "USERNAME") if name in os.environ
            )
            await asyncio.to_thread(
                _write,
                self.file,
                windows_task.task(windows_task.words(command(), environment), user),
            )
            await self._must("schtasks", "/Create", "/F", "/TN", TASK, "/XML", str(self.file))
            await self._must("schtasks", "/Run", "/TN", TASK)
        elif self._platform == "darwin":
            await asyncio.to_thread(
                _write, self.file, agent(command(), environment, self._logs / "service.err")
            )
            await self._run(["launchctl", "bootout", f"{self._domain}/{AGENT}"])
            await self._must("launchctl", "bootstrap", self._domain, str(self.file))
        else:
            await self._must_have_systemd()
            await asyncio.to_thread(_write, self.file, unit(command(), environment).encode())
            await self._must("systemctl", "--user", "daemon-reload")
            await self._must("systemctl", "--user", "enable", "--now", UNIT)
            # Without it the user's services start at log-in; where it is not allowed, that is told.
            await self._run(["loginctl", "enable-linger", self._user])
        return await self.status()

    async def uninstall(self) -> Autostart:
        """Start them no more; what runs as a service ends. Harmless when it was not installed."""
        if self._platform == "win32":
            await self._run(["schtasks", "/End", "/TN", TASK])
            await self._run(["schtasks", "/Delete", "/F", "/TN", TASK])
            await asyncio.to_thread(self.file.unlink, missing_ok=True)
        elif self._platform == "darwin":
            await self._run(["launchctl", "bootout", f"{self._domain}/{AGENT}"])
            await asyncio.to_thread(self.file.unlink, missing_ok=True)
        else:
            await self._run(["systemctl", "--user", "disable", "--now", UNIT])
            await asyncio.to_thread(self.file.unlink, missing_ok=True)
            await self._run(["systemctl", "--user", "daemon-reload"])
        return await self.status()

    async def status(self) -> Autostart:
        """Return how it stands."""
        if self._platform == "win32":
            code, _ = await self._run(["schtasks", "/Query", "/TN", TASK])
            file = (
                str(self.file) if code == 0 and await asyncio.to_thread(self.file.is_file) else ""
            )
            return Autostart("task-scheduler", code == 0, file=file, at_boot=False)
        there = await asyncio.to_thread(self.file.is_file)
        file = str(self.file) if there else ""
        if self._platform == "darwin":
            code, _ = await self._run(["launchctl", "print", f"{self._domain}/{AGENT}"])
            return Autostart("launchd", there, there and code == 0, file, at_boot=False)
        if not there:
            return Autostart("systemd", installed=False)
        active, _ = await self._run(["systemctl", "--user", "is-active", UNIT])
        enabled, _ = await self._run(["systemctl", "--user", "is-enabled", UNIT])
        told, words = await self._run(
            ["loginctl", "show-user", self._user, "--property=Linger", "--value"]
        )
        boot = words.strip() == "yes" if told == 0 and words.strip() else None
        return Autostart("systemd", enabled == 0, active == 0, file, boot)

    @property
    def _domain(self) -> str:
        return f"gui/{self._user}"

    @property
    def _user(self) -> str:
        # By its number: without it loginctl goes by the session, which a service or an SSH login may lack.
        return str(os.getuid() if sys.platform != "win32" else 0)

    async def _must_have_systemd(self) -> None:
        code, said = await self._run(["systemctl", "--user", "show-environment"])
        if code != 0:
            raise HostUnfit(
                T("This computer has no service manager that could start the lines."),
                T(
                    "Start them yourself: personadesk line serve. For a server and a container see docs/lines.md."
                ),
                cause="no_service_manager",
                details=said,
            )

    async def _must(self, *words: str) -> None:
        code, said = await self._run(words)
        if code != 0:
            raise ProviderFault(
                T("The system would not start the lines: {command} failed.", command=" ".join(words[:3])),
                T("Look at the details, then try again."),
                cause="service_manager",
                details=said,
            )  # fmt: skip


def _quoted(word: str, *, command: bool = False) -> str:
    """Quote as systemd reads it: % and, in commands, $ mean something there."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if command:
        plain = plain.replace("$", "$$")
    return f'"{plain}"' if plain != word or " " in word else word


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_bytes(content)
    fresh.replace(file)


async def _run(words: Sequence[str]) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        return _NONE, str(error)
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, f"{words[0]} did not end within {LIMIT_SECONDS:.0f} s"
    return process.returncode or 0, said.decode(errors="replace")
