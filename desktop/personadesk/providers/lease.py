"""A machine that ends itself: a timer that cloud-init sets up, or a container's loop, looks whether its lease runs.

EC2 terminates an instance that shuts down from within when it was launched so (InstanceInitiatedShutdownBehavior), and
Google stops it, which ends the bill for its GPU. The timer needs nothing of ours on the machine, so that one whose
deploy broke off early ends as well.
"""

from __future__ import annotations

import base64
import shlex
from typing import Any

LOOK_EVERY = "5min"
HOMES = ("/root", "/home/*")

_LATEST = """for file in {files}; do
    [ -s "$file" ] || continue
    until=$(cat "$file")
    [ "$until" -gt "$last" ] 2>/dev/null && last=$until
done
"""
_SCRIPT = """#!/bin/sh
# Ends this machine when PersonaDesk was not heard of for long: the last sign is its boot or a voice server's lease.
now=$(date +%s)
up=$(cut -d. -f1 /proc/uptime)
last=$((now - up + {seconds}))
{latest}[ "$now" -lt "$last" ] || systemctl poweroff
"""
_LOOP = """#!/bin/sh
# Ends this container when PersonaDesk was not heard of for long: the last sign is its start or a voice server's lease.
begun=$(date +%s)
while sleep {every}; do
last=$((begun + {seconds}))
{latest}[ "$(date +%s)" -lt "$last" ] || {{ {ending}; }}
done
"""
_SERVICE = """[Unit]
Description=Ends this machine when PersonaDesk was not heard of
[Service]
Type=oneshot
ExecStart=/bin/sh /usr/local/sbin/personadesk-lease
"""
_TIMER = """[Unit]
Description=Looks whether this machine's lease still runs
[Timer]
OnBootSec={every}
OnUnitActiveSec={every}
[Install]
WantedBy=timers.target
"""


def script(hours: float, homes: tuple[str, ...] = HOMES) -> str:
    """Return the look, for sh: `systemctl poweroff` when boot and every lease are more than so many hours ago.

    Args:
        hours: Length of the lease; counted anew from each boot, so that a machine that was stopped for long may start.
        homes: Where people's homes are; a voice server keeps the Unix time at which its lease ends in a file there.
    """
    return _SCRIPT.format(seconds=_seconds(hours), latest=_latest(homes))


def loop(
    hours: float,
    *,
    ending: str,
    homes: tuple[str, ...] = ("/workspace", "/root"),
    every_s: float = 300,
) -> str:
    """Return the look of a container, for sh, which has neither timers nor an uptime of its own; it goes on for ever.

    Args:
        hours: Length of the lease; counted anew from each start of the container.
        ending: Shell command that ends the container's machine; it is given again at each look until it has.
        homes: Folders with `.personadesk` in them.
        every_s: Seconds between looks.
    """
    return _LOOP.format(
        seconds=_seconds(hours), latest=_latest(homes), ending=ending, every=f"{every_s:g}"
    )


def in_background(script: str, path: str) -> str:
    """Return a shell command without quotes in it that writes a script down and starts it beside what comes next."""
    text = base64.b64encode(script.encode()).decode()
    return f"echo {text} | base64 -d > {path}; nohup sh {path} > /dev/null 2>&1 &"


def _seconds(hours: float) -> int:
    return max(1, round(hours * 3600))


def _latest(homes: tuple[str, ...]) -> str:
    files = " ".join(f"{home}/.personadesk/servers/*/lease" for home in homes)
    return _LATEST.format(files=files)


def cloud_modules(hours: float | None) -> dict[str, Any]:
    """Return what cloud-init has to write and run for a lease, nothing without one."""
    if hours is None:
        return {}
    units = "/etc/systemd/system"
    return {
        "write_files": [
            {"path": "/usr/local/sbin/personadesk-lease", "content": script(hours)},
            {"path": f"{units}/personadesk-lease.service", "content": _SERVICE},
            {
                "path": f"{units}/personadesk-lease.timer",
                "content": _TIMER.format(every=LOOK_EVERY),
            },
        ],
        "runcmd": [shlex.split("systemctl enable --now personadesk-lease.timer")],
    }
