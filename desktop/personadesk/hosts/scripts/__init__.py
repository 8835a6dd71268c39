"""Scripts of POSIX sh that run on a host where nothing of ours is installed yet."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def load(*names: str) -> str:
    """Return scripts joined to one, comments and blank lines left out: each byte is read singly over there."""
    lines: list[str] = []
    for name in names:
        text = (files(__package__) / f"{name}.sh").read_text(encoding="utf-8")
        lines += text.splitlines()
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(kept) + "\n"
