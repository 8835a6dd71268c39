"""Keeps a voice server running on a host: supervised, started after a reboot, its log small, and found again.

The supervisor is the server package's own. What starts it after a reboot is systemd where that runs (the system's, or
the user's with lingering), else cron, else nothing but PersonaDesk's next visit or a provider's start command, for
which `onstart.sh` lies ready.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from personadesk.domain.errors import ProviderFault
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Sequence

    from personadesk.domain.host import HostFacts
    from personadesk.hosts.base import Host
    from personadesk.hosts.remote.layout import Layout

SECONDS = 40.0
COME_UP_SECONDS = 20.0
LEASE_LOOK_SECONDS = 20
"""How often a host looks whether the lease still runs."""


class Keeper(StrEnum):
    """What brings the server back after a reboot."""

    SYSTEMD = "systemd"
    SYSTEMD_USER = "systemd-user"
    CRON = "cron"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How a server on a host stands.

    Attributes:
        alive: Whether its supervisor runs.
        state: `running`, `backing-off`, `given-up`, `stopped`, `dead` or `absent`.
        restarts: How often the server was started again.
        reason: Why it is not running or was started again.
        pid: The server's process, None when it does not run.
    """

    alive: bool
    state: str
    restarts: int = 0
    reason: str = ""
    pid: int | None = None


def keeper_for(facts: HostFacts) -> Keeper:
    """Return what can bring a server back after a reboot of this host."""
    if facts.systemd and facts.is_root:
        return Keeper.SYSTEMD
    if facts.systemd and facts.user_units:
        return Keeper.SYSTEMD_USER
    return Keeper.CRON if facts.cron else Keeper.NONE


_RUN = """#!/bin/sh
# Runs one voice server under its supervisor; a second one finds the lock taken and ends.
cd {folder} || exit 1
if [ -s lease ]; then
    (
        while sleep {look}; do
            if [ "$(date +%s)" -ge "$(cat lease 2>/dev/null || echo 0)" ]; then
                echo "The lease has run out; the server is stopped." >> lease.log
                rm -f wanted
                touch stop
                [ ! -s at-end ] || sh ./at-end >> lease.log 2>&1
                exit
            fi
        done
    ) &
    watcher=$!
    trap 'kill $watcher 2>/dev/null' EXIT
fi
{supervise} &
supervisor=$!
trap 'kill -TERM $supervisor 2>/dev/null' TERM INT
wait $supervisor
code=$?
while kill -s 0 $supervisor 2>/dev/null; do wait $supervisor; code=$?; done
exit $code
"""
_START = """#!/bin/sh
# Starts it apart from whoever asks; harmless when it runs. Called at start-up and by PersonaDesk.
cd {folder} || exit 1
[ -e wanted ] || exit 0
detached=nohup
if command -v setsid >/dev/null 2>&1; then detached=setsid; fi
$detached /bin/sh ./run.sh >> start.log 2>&1 < /dev/null &
exit 0
"""
_UNIT = """[Unit]
Description=PersonaPlex voice server {name} (PersonaDesk)
After=network-online.target
ConditionPathExists={folder}/wanted
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh {folder}/run.sh
KillMode=mixed
TimeoutStopSec=20
Restart=on-abnormal
RestartSec=5

[Install]
WantedBy={target}
"""
_ONSTART = """#!/bin/sh
# For a provider's start command: starts every voice server that should run.
for each in {folder}/servers/*/start.sh; do [ -e "$each" ] && /bin/sh "$each"; done
exit 0
"""

_INSTALL_SYSTEMD = """
unit=/etc/systemd/system/$1.service
cat > "$unit" && systemctl daemon-reload && systemctl enable "$1" && systemctl restart "$1"
"""
_INSTALL_USER = """
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
loginctl enable-linger "$(id -un)" 2>/dev/null || echo 'lingering could not be enabled'
mkdir -p "$HOME/.config/systemd/user" && cat > "$HOME/.config/systemd/user/$1.service" &&
    systemctl --user daemon-reload && systemctl --user enable "$1" && systemctl --user restart "$1"
"""
_INSTALL_CRON = """
line="@reboot /bin/sh $1/start.sh"
known=$(crontab -l 2>/dev/null)
printf '%s\\n' "$known" | grep -qxF -- "$line" && exit 0
{ [ -z "$known" ] || printf '%s\\n' "$known"; printf '%s\\n' "$line"; } | crontab -
"""
_WANT = """
cd "$1" || exit 1
pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' supervisor.json 2>/dev/null | head -n 1)
tr '\\0' ' ' < "/proc/${pid:-0}/cmdline" 2>/dev/null | grep -qF "$1" || rm -f supervisor.json
: > wanted
"""
_STATUS = """
cd "$1" 2>/dev/null || exit 0
[ -s supervisor.json ] || exit 0
pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' supervisor.json | head -n 1)
ticks=$(sed -n 's/.*"start_ticks": *\\([0-9]*\\).*/\\1/p' supervisor.json | head -n 1)
now=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f 20)
[ -n "$now" ] && [ "$now" = "$ticks" ] && echo alive
tr '\\n' ' ' < supervisor.json
"""
_STOP = """
rm -f "$1/wanted"
systemctl stop "$2" 2>/dev/null
XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}" systemctl --user stop "$2" 2>/dev/null
[ -d "$1" ] || exit 0
cd "$1" && touch stop || exit 1
pid=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' supervisor.json 2>/dev/null | head -n 1)
ours() { [ -n "$pid" ] && tr '\\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -qF "$1"; }
n=0
while ours "$1" && [ "$n" -lt 150 ]; do
    [ "$n" -ne 0 ] || kill -s TERM "$pid" 2>/dev/null
    sleep 0.1 2>/dev/null || sleep 1
    n=$((n + 1))
done
# What is left is found by our folder on its command line.
for each in /proc/[0-9]*; do
    id=${each#/proc/}
    [ "$id" != "$$" ] || continue
    words=$(tr '\\0' ' ' < "$each/cmdline" 2>/dev/null)
    case $words in *personaplex_server*"$1"*) kill -s KILL "$id" 2>/dev/null ;; esac
done
rm -f stop
exit 0
"""
_FORGET = """
systemctl disable "$2" 2>/dev/null && rm -f "/etc/systemd/system/$2.service" && systemctl daemon-reload
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
if [ -e "$HOME/.config/systemd/user/$2.service" ]; then
    systemctl --user disable "$2" 2>/dev/null
    rm -f "$HOME/.config/systemd/user/$2.service"
    systemctl --user daemon-reload 2>/dev/null
fi
if command -v crontab >/dev/null 2>&1; then
    known=$(crontab -l 2>/dev/null)
    case $known in *"$1/start.sh"*) printf '%s\\n' "$known" | grep -vF -- "$1/start.sh" | crontab - ;; esac
fi
rm -rf -- "$1"
exit 0
"""


_RENEW = """
cd "$1" 2>/dev/null && [ -s lease-hours ] || exit 0
seconds=$(awk '{ print int($1 * 3600) }' lease-hours)
echo "$(($(date +%s) + seconds))" > lease.new && mv lease.new lease
"""


def unit_name(server_id: str) -> str:
    """Return the name of a server's systemd unit."""
    return f"personadesk-{server_id}"


async def start(
    host: Host,
    layout: Layout,
    server_id: str,
    command: Sequence[str],
    keeper: Keeper,
    *,
    lease_hours: float | None = None,
) -> None:
    """Write a server's scripts down, register what brings it back, and start it; harmless when it runs.

    Args:
        host: The machine.
        layout: Where things lie there.
        server_id: The deploy that makes it.
        command: What the supervisor runs.
        keeper: What brings it back after a reboot.
        lease_hours: After so many hours without renewal it stops by itself; None for no lease.

    Raises:
        ProviderFault: It did not start.
        PersonaDeskError: The machine cannot be reached.
    """
    folder = layout.server(server_id)
    supervise = [
        layout.python, "-m", "personaplex_server.supervise", "--state", folder,
        "--name", server_id, "--", *command,
    ]  # fmt: skip
    names = {
        "folder": shlex.quote(folder),
        "supervise": shlex.join(supervise),
        "look": str(LEASE_LOOK_SECONDS),
    }
    if lease_hours is not None:
        await host.write(f"{folder}/lease-hours", f"{lease_hours:g}\n".encode())
        await renew_if_leased(host, layout, server_id)
    await host.write(f"{folder}/run.sh", _RUN.format(**names).encode(), mode=0o700)
    await host.write(f"{folder}/start.sh", _START.format(**names).encode(), mode=0o700)
    onstart = _ONSTART.format(folder=shlex.quote(layout.folder))
    await host.write(f"{layout.folder}/onstart.sh", onstart.encode(), mode=0o700)
    await host.write(f"{folder}/keeper", f"{keeper}\n".encode())
    await _want(host, folder)
    if await _with_systemd(host, folder, server_id, keeper):
        await _comes_up(host, layout, server_id)
        return
    if keeper is Keeper.CRON:
        done = await host.script(_INSTALL_CRON, folder, limit_s=SECONDS)
        if done.code != 0:
            raise _not_started(host.name, done.text)
    done = await host.run(["/bin/sh", f"{folder}/start.sh"], limit_s=SECONDS)
    if done.code != 0:
        raise _not_started(host.name, done.text)
    await _comes_up(host, layout, server_id)


async def _with_systemd(host: Host, folder: str, server_id: str, keeper: Keeper) -> bool:
    if keeper not in {Keeper.SYSTEMD, Keeper.SYSTEMD_USER}:
        return False
    system = keeper is Keeper.SYSTEMD
    unit = _UNIT.format(
        name=server_id,
        folder=folder.replace("%", "%%"),
        target="multi-user.target" if system else "default.target",
    )
    done = await host.script(
        _INSTALL_SYSTEMD if system else _INSTALL_USER, unit_name(server_id),
        limit_s=SECONDS, stdin=unit.encode(),
    )  # fmt: skip
    if done.code != 0:
        raise _not_started(host.name, done.text)
    return True


async def renew_if_leased(host: Host, layout: Layout, server_id: str) -> None:
    """Renew a server's lease, where it has one, by that host's own clock."""
    await host.script(_RENEW, layout.server(server_id), limit_s=SECONDS)


async def keeper_of(host: Host, layout: Layout, server_id: str) -> Keeper:
    """Return what brings a server back after a reboot, as it was chosen when it was made."""
    try:
        word = (await host.read(f"{layout.server(server_id)}/keeper")).decode().strip()
    except FileNotFoundError:
        return Keeper.NONE
    return Keeper(word) if word in set(Keeper) else Keeper.NONE


async def stop(host: Host, layout: Layout, server_id: str) -> None:
    """Stop a server and wait until it is gone; it stays installed and may be started again."""
    done = await host.script(_STOP, layout.server(server_id), unit_name(server_id), limit_s=SECONDS)
    if done.code != 0:
        raise ProviderFault(
            T("The voice server on {name} would not stop.", name=host.name),
            T("Try again, or end it there."),
            cause="would_not_stop",
            details=done.text,
        )


async def forget(host: Host, layout: Layout, server_id: str) -> None:
    """Stop a server and remove its folder and whatever would bring it back."""
    await stop(host, layout, server_id)
    await host.script(_FORGET, layout.server(server_id), unit_name(server_id), limit_s=SECONDS)


async def restart(host: Host, layout: Layout, server_id: str, keeper: Keeper) -> None:
    """Stop a server and start it the way a reboot would.

    Raises:
        ProviderFault: It did not start.
    """
    await stop(host, layout, server_id)
    folder = layout.server(server_id)
    await _want(host, folder)
    if keeper is Keeper.SYSTEMD:
        done = await host.run(["systemctl", "start", unit_name(server_id)], limit_s=SECONDS)
    elif keeper is Keeper.SYSTEMD_USER:
        done = await host.script(
            'XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}" systemctl --user start "$1"',
            unit_name(server_id), limit_s=SECONDS,
        )  # fmt: skip
    else:
        done = await host.run(["/bin/sh", f"{folder}/start.sh"], limit_s=SECONDS)
    if done.code != 0:
        raise _not_started(host.name, done.text)
    await _comes_up(host, layout, server_id)


async def _want(host: Host, folder: str) -> None:
    """Write down that the server should run; an old supervisor's word must not be taken for a new one's."""
    done = await host.script(_WANT, folder, limit_s=SECONDS)
    if done.code != 0:
        raise _not_started(host.name, done.text)


async def _comes_up(host: Host, layout: Layout, server_id: str) -> None:
    """Wait until the supervisor is there; whether the server is, it then tells.

    Raises:
        ProviderFault: It did not come up; what it said is in the details.
    """
    until = time.monotonic() + COME_UP_SECONDS
    while time.monotonic() < until:
        standing = await status(host, layout, server_id)
        if standing.alive or standing.state == "given-up":
            return
        await asyncio.sleep(0.2)
    said = await host.script(
        'tail -n 30 "$1/start.log" 2>/dev/null; exit 0', layout.server(server_id), limit_s=SECONDS
    )
    raise _not_started(host.name, said.text)


async def status(host: Host, layout: Layout, server_id: str) -> ServiceStatus:
    """Return how a server stands, by its supervisor's own file and the process table there."""
    done = await host.script(_STATUS, layout.server(server_id), limit_s=SECONDS)
    alive = "alive" in done.lines[:1]
    text = "".join(done.lines[1:] if alive else done.lines)
    try:
        record = json.loads(text)
    except ValueError:
        return ServiceStatus(alive=False, state="absent")
    state = str(record.get("state", ""))
    if not alive and state in {"running", "backing-off"}:
        state = "dead"
    return ServiceStatus(
        alive=alive,
        state=state,
        restarts=int(record.get("restarts") or 0),
        reason=str(record.get("reason") or ""),
        pid=record.get("child_pid") if alive else None,
    )


async def tail(host: Host, layout: Layout, server_id: str, lines: int = 40) -> tuple[str, ...]:
    """Return the last lines of a server's log."""
    done = await host.script(
        'tail -n "$2" "$1/server.log" 2>/dev/null || tail -n "$2" "$1/start.log" 2>/dev/null; exit 0',
        layout.server(server_id), str(lines), limit_s=SECONDS,
    )  # fmt: skip
    return done.lines


def _not_started(name: str, details: str) -> ProviderFault:
    return ProviderFault(
        T("The voice server on {name} could not be started.", name=name),
        T("Look at the details, then try again."),
        cause="cannot_start",
        details=details,
    )
