"""Reads from a machine's user data (cloud-init, a start script) which keys it brings. Nothing of it is ever run."""

from __future__ import annotations

import re
from typing import NamedTuple

_PRIVATE = re.compile(
    r"-----BEGIN OPENSSH PRIVATE KEY-----(.+?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL
)
_PUBLIC = re.compile(r"(ed25519_public\W*)?\b((?:ssh-ed25519|ssh-rsa|ecdsa-\S+) AAAA[\w+/=]+)")


class Keys(NamedTuple):
    """What user data brings.

    Attributes:
        host_key: Private OpenSSH host key, "" for none.
        public: Public keys that may log in.
    """

    host_key: str
    public: tuple[str, ...]


def read(text: str) -> Keys:
    """Find the keys in user data, however it is written: indented YAML, JSON on one line, a script."""
    text = text.replace("\\n", "\n")
    host_key = ""
    if found := _PRIVATE.search(text):
        lines = found[0].splitlines()
        host_key = "\n".join(line.strip() for line in lines if line.strip()) + "\n"
    public = [key for label, key in _PUBLIC.findall(text) if not label]
    return Keys(host_key, tuple(dict.fromkeys(public)))
