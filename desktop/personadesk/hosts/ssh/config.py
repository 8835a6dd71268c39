"""Reads the user's `~/.ssh/config`: aliases, and what stands there for one of them.

Own and small, since each machine on the way gets its key checked by our pins; of the file we take host names, ports,
users, key files and ProxyJump, and pass over the rest. `Match` blocks are passed over too, except `Match all`.
"""

from __future__ import annotations

import fnmatch
import getpass
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from personadesk.domain.errors import BadRequest
from personadesk.domain.host import DEFAULT_SSH_PORT, SshAddress
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH = 8
_TAKEN_ONCE = {"hostname", "port", "user", "proxyjump", "proxycommand", "identitiesonly"}


@dataclass(slots=True)
class Entry:
    """What the file says of one name.

    Attributes:
        name: The name that was asked for.
        values: First values of the options that are taken once, by lower-case name.
        key_files: Every `IdentityFile`, in order.
    """

    name: str
    values: dict[str, str] = field(default_factory=dict)
    key_files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Resolved:
    """How a name is reached.

    Attributes:
        address: Where it is.
        key_files: Key files that the file names for it.
        jumps: Machines between, in the order in which they are passed.
    """

    address: SshAddress
    key_files: tuple[Path, ...] = ()
    jumps: tuple[Resolved, ...] = ()


def default_path() -> Path:
    """Return where the user's file is."""
    return Path.home() / ".ssh" / "config"


def aliases(path: Path | None = None) -> list[str]:
    """Return the names that the file gives to machines, in its order; patterns are left out."""
    found: list[str] = []
    for keyword, words in _lines(path or default_path(), 0):
        if keyword != "host":
            continue
        found += [word for word in words if not set(word) & set("*?!") and word not in found]
    return found


def resolve(address: SshAddress, path: Path | None = None, *, _depth: int = 0) -> Resolved:
    """Return how a machine is reached; what the caller gave goes before what the file says.

    Args:
        address: A name (perhaps an alias), with port and user where the caller knows better.
        path: The file; the user's own by default.

    Raises:
        BadRequest: ProxyJump goes round in a circle, or a ProxyCommand is wanted.
    """
    if _depth > _DEPTH:
        raise BadRequest(
            T("In the SSH settings the way to {name} goes round in a circle.", name=address.host),
            T("Look at the ProxyJump lines in {file}.", file=str(path or default_path())),
            cause="proxy_loop",
        )
    entry = _entry(address.host, path or default_path())
    host = entry.values.get("hostname", address.host)
    host = host.replace("%h", address.host).replace("%%", "%")
    port = address.port
    if port == DEFAULT_SSH_PORT and entry.values.get("port", "").isdigit():
        port = int(entry.values["port"])
    user = address.user or entry.values.get("user") or getpass.getuser()
    jump = entry.values.get("proxyjump", "none")
    if (
        "proxycommand" in entry.values
        and entry.values["proxycommand"].lower() != "none"
        and jump == "none"
    ):
        raise BadRequest(
            T("The SSH settings reach {name} by a ProxyCommand, which PersonaDesk does not use.", name=address.host),
            T("Write a ProxyJump line for it in {file}.", file=str(path or default_path())),
            cause="proxy_command",
            details=entry.values["proxycommand"],
        )  # fmt: skip
    resolved = SshAddress(host, port, user)
    jumps: tuple[Resolved, ...] = ()
    if jump.lower() != "none":
        for word in jump.split(","):
            hop = resolve(parse_address(word), path, _depth=_depth + 1)
            # The way to a machine in between comes before it.
            jumps += (*hop.jumps, Resolved(hop.address, hop.key_files))
    files = tuple(_expanded(name, resolved, address.host) for name in entry.key_files)
    return Resolved(resolved, files, jumps)


def parse_address(text: str) -> SshAddress:
    """Read `[user@]host[:port]` or `ssh://…`.

    Raises:
        BadRequest: It is neither.
    """
    rest = text.strip().removeprefix("ssh://").rstrip("/")
    user, at, place = rest.rpartition("@")
    host, port = place, ""
    if place.startswith("["):
        host, _, tail = place[1:].partition("]")
        port = tail.removeprefix(":")
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    valid = bool(host) and not any(each.isspace() for each in host) and not host.startswith("-")
    number = int(port) if port.isdigit() else DEFAULT_SSH_PORT
    if not valid or (port and not port.isdigit()) or not 0 < number < 65536 or (at and not user):
        raise BadRequest(
            T("“{text}” is not the address of a machine.", text=text),
            T("Write it as HOST, USER@HOST or USER@HOST:PORT."),
            cause="bad_address",
        )
    return SshAddress(host, number, user)


def _entry(name: str, path: Path) -> Entry:
    entry = Entry(name)
    applies = True
    for keyword, words in _lines(path, 0):
        if keyword == "host":
            applies = _matches(name, words)
        elif keyword == "match":
            applies = [word.lower() for word in words] == ["all"]
        elif not applies or not words:
            continue
        elif keyword == "identityfile":
            entry.key_files.append(words[0])
        elif keyword in _TAKEN_ONCE:
            entry.values.setdefault(keyword, " ".join(words))
    return entry


def _matches(name: str, patterns: list[str]) -> bool:
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if fnmatch.fnmatchcase(name, pattern[1:]):
                return False
        elif fnmatch.fnmatchcase(name, pattern):
            found = True
    return found


def _lines(path: Path, depth: int) -> Iterator[tuple[str, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        keyword, _, rest = (
            line.replace("=", " ", 1).partition(" ") if _equals(line) else line.partition(" ")
        )
        if not rest and "\t" in keyword:
            keyword, _, rest = line.partition("\t")
        try:
            words = shlex.split(rest)
        except ValueError:
            words = rest.split()
        if keyword.lower() == "include" and depth < _DEPTH:
            for word in words:
                yield from _included(word, path, depth)
        else:
            yield keyword.lower(), words


def _equals(line: str) -> bool:
    """Whether the line is written as `Option=value`."""
    keyword = line.split("=", 1)[0].strip()
    return "=" in line and keyword.isalpha()


def _included(word: str, path: Path, depth: int) -> Iterator[tuple[str, list[str]]]:
    pattern = Path(word).expanduser()
    if not pattern.is_absolute():
        pattern = path.parent / pattern
    for each in sorted(pattern.parent.glob(pattern.name)):
        yield from _lines(each, depth + 1)


def _expanded(name: str, address: SshAddress, asked: str) -> Path:
    values = {"%h": address.host, "%r": address.user, "%n": asked, "%p": str(address.port),
              "%d": str(Path.home()), "%u": getpass.getuser()}  # fmt: skip
    for token, value in values.items():
        name = name.replace(token, value)
    return Path(name.replace("%%", "%")).expanduser()
