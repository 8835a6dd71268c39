"""How a new machine lets us in at its first start: our public key, and the host key by which we know it.

As cloud-init's configuration where a provider takes that, else as a script for root.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from personadesk.domain.machine import Order

WORKSPACE = "/workspace"
"""Where the rest of PersonaDesk looks for a disk that outlives its machine."""


def same_key(one: str, other: str) -> bool:
    """Whether two OpenSSH public key lines are one key, whatever their comments."""
    return one.split()[:2] == other.split()[:2]


def key_name(public_key: str) -> str:
    """Return the name under which a key of ours is kept at a provider; another key has another name."""
    import hashlib

    data = " ".join(public_key.split()[:2]).encode()
    return f"personadesk-{hashlib.sha256(data).hexdigest()[:12]}"


def cloud_config(
    order: Order,
    *,
    keys: bool = False,
    volume: str = "",
    disk: str = "",
    user: str = "root",
    further: Mapping[str, Any] | None = None,
) -> str:
    """Return an order as cloud-init's user data, "" when there is nothing to say.

    Args:
        order: Its identity becomes the SSH host key (cloud-init, module "SSH"); all that the image had are dropped.
        keys: Whether our public key has to be let in this way too.
        volume: Where the provider mounts the disk that outlives the machine; it is then found at `WORKSPACE`.
        disk: Device with an ext4 filesystem that outlives the machine; it is mounted at `WORKSPACE`.
        user: Who is to own that disk's folder.
        further: More of cloud-init's own modules by their keys.
    """
    wishes: dict[str, Any] = dict(further or {})
    if order.identity is not None:
        wishes["ssh_deletekeys"] = True
        wishes["ssh_keys"] = {
            "ed25519_private": order.identity.private,
            "ed25519_public": order.identity.public,
        }
    if keys:
        wishes["ssh_authorized_keys"] = [order.public_key]
    if volume:
        wishes["runcmd"] = [
            *wishes.get("runcmd", ()),
            ["ln", "-sfnT", volume, WORKSPACE],
            # Only the folder itself: what is in it may be much, and belongs to whoever made it.
            ["chown", user, f"{volume}/."],
        ]
    if disk:
        wishes["mounts"] = [[disk, WORKSPACE, "ext4", "defaults,nofail,discard,noatime", "0", "2"]]
    # JSON is YAML, and quotes what YAML would trip over.
    return "#cloud-config\n" + json.dumps(wishes, indent=1) + "\n" if wishes else ""


def startup_script(order: Order, *, user: str) -> str:
    """Return an order as a script that root runs at the first start.

    Args:
        order: Its public key is added for the user; its identity becomes the SSH host key.
        user: With whose name we log in.
    """
    lines = [
        "#!/bin/bash",
        "set -eu",
        f"home=$(getent passwd {shlex.quote(user)} | cut -d: -f6)",
        f'install -d -m 700 -o {shlex.quote(user)} "$home/.ssh"',
        'keys="$home/.ssh/authorized_keys"',
        f"line={shlex.quote(order.public_key.strip())}",
        'grep -qxF -- "$line" "$keys" 2>/dev/null || printf "%s\\n" "$line" >>"$keys"',
        f'chown {shlex.quote(user)} "$keys"',
        'chmod 600 "$keys"',
    ]
    if order.identity is not None:
        lines += [
            "rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub",
            "umask 077",
            f"printf '%s' {shlex.quote(order.identity.private)} >/etc/ssh/ssh_host_ed25519_key",
            "umask 022",
            f"printf '%s\\n' {shlex.quote(order.identity.public)} >/etc/ssh/ssh_host_ed25519_key.pub",
            "systemctl restart ssh 2>/dev/null || systemctl restart sshd",
        ]
    return "\n".join(lines) + "\n"
