"""One PersonaDesk at a time changes a host: a lock there with its owner and age, renewed while it is held.

A lock that was not renewed for a while belonged to somebody who died; the next one takes it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
import platform
import secrets
import time
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError, RateLimited
from personadesk.domain.text import T
from personadesk.hosts.commands import CommandTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from personadesk.hosts.base import Host

RENEW_SECONDS = 10.0
STALE_SECONDS = 45
"""By the host's own clock, so that clocks that differ do no harm."""
WAIT_SECONDS = 120.0
_LIMIT = 20.0
_GIVE_BACK_SECONDS = 5.0
"""A cancel does not wait longer for a machine that may be away; the lock then grows stale by itself."""

# mkdir is the one thing that only one of two can succeed in, on every file system.
_TAKE = """
umask 077
mkdir -p "$1" || exit 1
lock=$1/lock
if [ -e "$lock/owner" ] && [ "$(sed -n 1p "$lock/owner")" = "$2" ]; then :
elif ! mkdir "$lock" 2>/dev/null; then
    age=$(($(date +%s) - $(stat -c %Y "$lock/owner" 2>/dev/null || stat -c %Y "$lock" 2>/dev/null || echo 0)))
    if [ "$age" -lt "$3" ]; then
        echo "age $age"
        sed -n '2s/^/owner /p' "$lock/owner" 2>/dev/null
        exit 3
    fi
    mv "$lock" "$lock.$2" 2>/dev/null && rm -rf "$lock.$2"
    mkdir "$lock" 2>/dev/null || exit 3
fi
cat > "$lock/owner.new" && mv "$lock/owner.new" "$lock/owner"
"""
_RENEW = '[ "$(sed -n 1p "$1/lock/owner" 2>/dev/null)" = "$2" ] && touch "$1/lock/owner"'
_RELEASE = '[ "$(sed -n 1p "$1/lock/owner" 2>/dev/null)" = "$2" ] && rm -rf "$1/lock"; exit 0'


def owner() -> dict[str, object]:
    """Return who we are, for the one who meets our lock."""
    return {"user": getpass.getuser(), "computer": platform.node(), "pid": os.getpid()}


@contextlib.asynccontextmanager
async def held(
    host: Host,
    folder: str,
    *,
    wait_s: float = WAIT_SECONDS,
    on_wait: Callable[[str], None] | None = None,
    stale_s: int = STALE_SECONDS,
) -> AsyncIterator[None]:
    """Hold the host's lock while the block runs.

    Args:
        host: The machine.
        folder: The one folder of ours there.
        wait_s: How long to wait for another PersonaDesk.
        on_wait: Told who holds it.
        stale_s: After so long without renewal a lock is taken over.

    Raises:
        RateLimited: Another PersonaDesk works on this host (cause `host_busy`).
        PersonaDeskError: The machine cannot be reached.
    """
    token = secrets.token_hex(8)
    until = time.monotonic() + wait_s
    content = f"{token}\n{json.dumps(owner())}\n".encode()
    stale = stale_s
    while True:
        try:
            done = await host.script(
                _TAKE, folder, token, str(stale), limit_s=_LIMIT, stdin=content
            )
        except asyncio.CancelledError:
            # It may be ours already, and only the answer was still on its way.
            await _release(host, folder, token, limit_s=_GIVE_BACK_SECONDS)
            raise
        if done.code == 0:
            break
        if done.code != 3:
            raise RateLimited(
                T("The folder {folder} on {name} cannot be locked.", folder=folder, name=host.name),
                T("Look whether its disk is full or read-only."),
                cause="no_lock",
                details=done.text,
                retryable=False,
            )
        if stale and await asyncio.to_thread(_was_killed, done.lines):
            stale = 0
            continue
        stale = stale_s
        who = _who(done.lines)
        if on_wait is not None:
            on_wait(who)
        if time.monotonic() >= until:
            raise RateLimited(
                T("Another PersonaDesk works on {name}: {who}.", name=host.name, who=who),
                T("Wait until it has ended, then try again."),
                cause="host_busy",
                details=done.text,
            )
        await asyncio.sleep(min(2.0, max(0.1, until - time.monotonic())))
    renewing = asyncio.create_task(_renew(host, folder, token), name=f"lock of {host.name}")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await _release(host, folder, token)


async def _renew(host: Host, folder: str, token: str) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        # A cut is waited out by whoever works; the lock is renewed when there is a way again.
        with contextlib.suppress(PersonaDeskError, CommandTimeout):
            await host.script(_RENEW, folder, token, limit_s=_LIMIT)


async def _release(host: Host, folder: str, token: str, *, limit_s: float = _LIMIT) -> None:
    work = asyncio.ensure_future(host.script(_RELEASE, folder, token, limit_s=limit_s))
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            continue
        except (PersonaDeskError, CommandTimeout):
            # It grows stale by itself.
            return


def _was_killed(lines: tuple[str, ...]) -> bool:
    """Whether the owner was a program of this computer that is no more: then nothing is to be waited for."""
    import psutil

    known = _owner_in(lines)
    mine = owner()
    if (known.get("user"), known.get("computer")) != (mine["user"], mine["computer"]):
        return False
    pid = known.get("pid")
    return isinstance(pid, int) and pid != mine["pid"] and not psutil.pid_exists(pid)


def _owner_in(lines: tuple[str, ...]) -> dict[str, object]:
    for line in lines:
        if line.startswith("owner "):
            with contextlib.suppress(ValueError):
                known = json.loads(line[6:])
                return known if isinstance(known, dict) else {}
    return {}


def _who(lines: tuple[str, ...]) -> str:
    known = _owner_in(lines)
    if "user" in known and "computer" in known:
        return f"{known['user']} on {known['computer']}"
    return "somebody"
