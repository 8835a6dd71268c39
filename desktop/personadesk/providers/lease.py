"""A machine that ends itself: cloud-init sets up a timer that shuts it down when nobody renews its lease.

EC2 terminates an instance that shuts down from within when it was launched so (InstanceInitiatedShutdownBehavior), and
Google stops it, which ends the bill for its GPU. The timer needs nothing of ours on the machine, so that one whose
deploy broke off early ends as well.
"""

from __future__ import annotations

import shlex
from typing import Any

LOOK_EVERY = "5min"
HOMES = ("/root", "/home/*")

_SCRIPT = """#!/bin/sh
# Ends this machine when PersonaDesk was not heard of for long: the last sign is its boot or a voice server's lease.
now=$(date +%s)
up=$(cut -d. -f1 /proc/uptime)
last=$((now - up + {seconds}))
for file in {files}; do
    [ -s "$file" ] || continue
    until=$(cat "$file")
    [ "$until" -gt "$last" ] 2>/dev/null && last=$until
done
[ "$now" -lt "$last" ] || systemctl poweroff
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
    files = " ".join(f"{home}/.personadesk/servers/*/lease" for home in homes)
    return _SCRIPT.format(seconds=max(1, round(hours * 3600)), files=files)


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
