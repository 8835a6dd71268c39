"""Pushes the server's package to a host and installs it there; versions lie side by side, `current` leads to one."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain import fitness
from personadesk.domain.errors import (
    BadRequest,
    HostUnfit,
    NotFound,
    PersonaDeskError,
    ProviderFault,
    Unreachable,
)
from personadesk.domain.text import T, Text
from personadesk.hosts import installer
from personadesk.hosts.commands import CommandTimeout
from personadesk.hosts.remote import jobs
from personadesk.hosts.remote.layout import Layout, key_of
from personadesk.hosts.torch_source import PINNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.domain.host import HostFacts
    from personadesk.hosts.base import Host
    from personadesk.hosts.bundle import Bundle
    from personadesk.hosts.commands import Completed

INSTALL_SECONDS = 3000.0
SHORT_SECONDS = 30.0
HELPER = Path(__file__).with_name("install_there.py")
EXIT_NO_ENVIRONMENT, EXIT_DOES_NOT_RUN = 21, 23


@dataclass(frozen=True, slots=True)
class Installed:
    """What is on a host.

    Attributes:
        current: The version that runs; "" for none.
        previous: The one before, to which one can go back; "" for none.
        versions: All whole versions.
    """

    current: str
    previous: str
    versions: tuple[str, ...]


async def look(host: Host, layout: Layout) -> Installed:
    """Return which versions are there."""
    done = await host.script(
        'cd "$1" 2>/dev/null || exit 0\n'
        '[ -L current ] && echo "current $(basename "$(readlink current)")"\n'
        '[ -s previous ] && echo "previous $(cat previous)"\n'
        'for each in versions/*/complete.json; do [ -e "$each" ] && echo "has $(basename "$(dirname "$each")")"; done\n'
        "exit 0",
        layout.folder, limit_s=SHORT_SECONDS,
    )  # fmt: skip
    one = {}
    versions = []
    for line in done.lines:
        word, _, value = line.partition(" ")
        if word == "has":
            versions.append(value)
        else:
            one[word] = value
    current = one.get("current", "")
    previous = one.get("previous", "")
    return Installed(
        current if current in versions else "",
        previous if previous in versions and previous != current else "",
        tuple(versions),
    )


async def push(
    host: Host,
    layout: Layout,
    bundle: Bundle,
    on_bytes: Callable[[int, int], None] | None = None,
) -> None:
    """Copy the package there; what is there already and right is not sent again."""
    folder = layout.package(key_of(bundle))
    await host.put(bundle.wheel, f"{folder}/{bundle.wheel.name}", on_bytes=on_bytes)
    await host.put(bundle.requirements, f"{folder}/requirements.txt")
    await host.put(bundle.cpu_requirements, f"{folder}/requirements-cpu.txt")
    await host.put(HELPER, f"{folder}/{HELPER.name}")


async def install(
    host: Host,
    layout: Layout,
    bundle: Bundle,
    facts: HostFacts,
    *,
    on_line: Callable[[str], None],
    on_step: Callable[[Text, float], None],
) -> str:
    """Install a pushed package and lead `current` to it; returns the version's key.

    Raises:
        HostUnfit: No Python fits, no space, or the result does not run there.
        Unreachable: The registry, or the machine itself, does not answer.
        PersonaDeskError: It failed otherwise.
    """
    python = fitness.best_python(facts)
    if python is None:
        raise HostUnfit(
            T("There is no Python on {name} that fits.", name=host.name),
            T("Install Python 3.11 or newer with its venv module there."),
            cause="no_python",
        )
    key = key_of(bundle)
    words = [
        python.path, f"{layout.package(key)}/{HELPER.name}", layout.folder, key, bundle.sha256,
        "--gpu", "1" if facts.gpus else "0", "--torch", PINNED,
    ]  # fmt: skip
    for other in facts.pythons:
        if other.torch and other.version[:2] == python.version[:2]:
            words += ["--look", other.path]

    def take(line: str) -> None:
        if line.startswith("STEP "):
            _, fraction, doing = line.split(" ", 2)
            on_step(T("{doing}", doing=doing), float(fraction))
        else:
            on_line(line)

    script = "export PYTHONUNBUFFERED=1\nexec " + shlex.join(words) + "\n"
    try:
        done = await jobs.run(
            host, layout.job(f"install-{key}"), script, limit_s=INSTALL_SECONDS, on_line=take
        )
    except CommandTimeout as error:
        raise Unreachable(
            T("Installing on {name} took longer than {minutes} minutes.", name=host.name,
              minutes=round(INSTALL_SECONDS / 60)),
            T("Check its network, then try again; what was downloaded is kept."),
            cause="install_timeout",
            details=str(error),
        ) from error  # fmt: skip
    if done.code != 0:
        raise _failed(host.name, done)
    return key


async def switch(host: Host, layout: Layout, key: str) -> None:
    """Lead `current` to a version that is there, for a way back.

    Raises:
        NotFound: That version is not there.
    """
    done = await host.script(
        'cd "$1" || exit 1\n[ -e "versions/$2/complete.json" ] || exit 4\n'
        'before=$(basename "$(readlink current 2>/dev/null)")\n'
        'ln -sfn "versions/$2" .current && mv -Tf .current current || exit 1\n'
        '[ -z "$before" ] || [ "$before" = "$2" ] || printf "%s" "$before" > previous',
        layout.folder, key, limit_s=SHORT_SECONDS,
    )  # fmt: skip
    if done.code == 4:
        raise NotFound(
            T("The version {version} is not on {name}.", version=key, name=host.name),
            T("Deploy it again."),
            cause="no_version",
        )
    if done.code != 0:
        raise ProviderFault(
            T("The version on {name} could not be changed.", name=host.name),
            T("Look at the details."),
            cause="no_switch",
            details=done.text,
        )


async def prune(host: Host, layout: Layout) -> None:
    """Remove all versions but the one that runs and the one before."""
    there = await look(host, layout)
    for version in there.versions:
        if version not in {there.current, there.previous}:
            await host.run(
                ["rm", "-rf", layout.version(version), layout.package(version)],
                limit_s=120.0,
            )


async def is_there(host: Host, layout: Layout) -> bool:
    """Whether the one folder is there.

    Raises:
        BadRequest: The folder is not one of ours.
    """
    done = await host.script(
        '[ -e "$1" ] || exit 4\n'
        'for each in versions package servers models; do [ -d "$1/$each" ] && exit 0; done\nexit 5',
        layout.folder, limit_s=SHORT_SECONDS,
    )  # fmt: skip
    if done.code == 5:
        raise BadRequest(
            T("{folder} on {name} holds nothing of PersonaDesk.", folder=layout.folder, name=host.name),
            T("Look whether the folder is the right one; nothing was removed."),
            cause="not_ours",
        )  # fmt: skip
    return done.code == 0


async def remove_everything(host: Host, layout: Layout) -> None:
    """Remove the one folder, to the last byte. What runs must be stopped first, and the host's lock be held.

    The lock goes last: until then nobody else begins there.

    Raises:
        BadRequest: The folder is not one of ours.
        HostUnfit: Something could not be removed.
    """
    if not await is_there(host, layout):
        return
    done = await host.script(
        'find "$1" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf -- {} + || exit 1\n'
        # Who waited for the lock may have it now; then the folder is theirs.
        'rm -rf -- "$1/lock"; rmdir -- "$1" 2>/dev/null; [ ! -e "$1" ] || [ -d "$1/lock" ]',
        layout.folder, limit_s=300.0,
    )  # fmt: skip
    if done.code != 0:
        raise HostUnfit(
            T("Not everything in {folder} on {name} could be removed.", folder=layout.folder, name=host.name),
            T("Remove it there yourself."),
            cause="not_removed",
            details=done.text,
        )  # fmt: skip


async def load_marker(host: Host, layout: Layout, key: str) -> dict[str, str] | None:
    """Return what a version says of itself (torch, server), or None when it is not whole."""
    try:
        data = await host.read(f"{layout.version(key)}/complete.json")
        marker: dict[str, str] = json.loads(data)
    except (FileNotFoundError, ValueError):
        return None
    return marker


def _failed(name: str, done: Completed) -> PersonaDeskError:
    details = "\n".join(done.lines[-30:])
    if done.code == EXIT_NO_ENVIRONMENT:
        return HostUnfit(
            T("The Python on {name} cannot make virtual environments.", name=name),
            T("As root there, install its venv module (on Debian: apt-get install python3-venv)."),
            cause="no_venv",
            details=details,
        )
    if done.code == EXIT_DOES_NOT_RUN:
        return HostUnfit(
            T("The voice server was installed on {name}, but it does not run there.", name=name),
            T("Look at the details; often a system library is missing."),
            cause="does_not_import",
            details=details,
        )
    return installer.explain(done)
