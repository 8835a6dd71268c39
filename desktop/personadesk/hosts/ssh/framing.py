"""How a command gets to a shell that we know nothing about, with no word of it on a command line.

What the login shell is given is always the same: start `/bin/sh` and let it read a script of so many bytes from
standard input. That works under bash, fish and csh alike, needs no quoting, and the rest of standard input is the
command's own. The script first prints a mark; whatever came before it is noise of start-up files and is dropped.
"""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# dd, since it is the one tool that surely reads no byte too many from a pipe.
_LINE = "exec /bin/sh -c 'eval \"$(dd bs=1 count={count} 2>/dev/null)\"'"
_RS = "\x1e"


@dataclass(frozen=True, slots=True)
class Framed:
    """A command ready to be sent.

    Attributes:
        line: What the login shell is asked to run.
        script: What goes to standard input first.
        mark: How the line begins after which output is the command's own; the process group follows in it.
    """

    line: str
    script: bytes
    mark: str


def program(
    argv: Sequence[str], env: Mapping[str, str] | None = None, cwd: str | None = None
) -> Framed:
    """Frame a program with its arguments."""
    return _framed([*_setting(env, cwd), f"exec {shlex.join(argv)}"])


def script(
    text: str, arguments: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Framed:
    """Frame a script of POSIX sh."""
    lines = _setting(env, None)
    if arguments:
        lines.append(f"set -- {shlex.join(arguments)}")
    return _framed([*lines, text])


def _setting(env: Mapping[str, str] | None, cwd: str | None) -> list[str]:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in (env or {}).items()]
    if cwd:
        lines.append(f"cd {shlex.quote(cwd)} || exit 126")
    return lines


def _framed(lines: list[str]) -> Framed:
    mark = f"{_RS}{secrets.token_hex(8)}"
    # The mark is put together there: a shell that echoes what it reads must not look like one that runs it.
    first = f"printf '\\036%s %s\\n' {mark[1:]} $$"
    body = "\n".join([first, *lines, ""]).encode()
    return Framed(_LINE.format(count=len(body)), body, mark)


ENDING = """
kill -s TERM -- "-$1" 2>/dev/null || kill -s TERM "$1" 2>/dev/null || exit 0
n=0
while kill -s 0 -- "-$1" 2>/dev/null && [ "$n" -lt 20 ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n + 1)); done
kill -s KILL -- "-$1" 2>/dev/null
exit 0
"""
"""Ends a command with all of its group. Daemons pass on no signals in a root's session, so a shell does it."""


def group_in(line: str, mark: str) -> str | None:
    """Return the process group that the mark's line tells, or None when this is another line."""
    _, found, tail = line.partition(mark)
    group = tail.strip()
    return group if found and group.isdigit() else None


class Lines:
    """Splits a stream into lines; a carriage return ends one too, as progress bars redraw theirs with it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Take bytes, return the lines that are whole."""
        text = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, self._rest = text.split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]

    def end(self) -> list[str]:
        """Return the unfinished last line, if any."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest else []
