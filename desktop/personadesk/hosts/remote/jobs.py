"""Long commands on a host that outlive the connection: begun once, followed, and followed again after a cut.

A job is a folder with its script, its log and, in the end, its exit status. Beginning one that runs or has ended
well is joining it, so that a killed PersonaDesk goes on where it was.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from personadesk.domain.errors import PersonaDeskError, Unreachable
from personadesk.domain.text import T
from personadesk.hosts.commands import CommandTimeout, Completed

if TYPE_CHECKING:
    from collections.abc import Callable

    from personadesk.hosts.base import Host

BEGIN_SECONDS = 30.0
AGAIN_SECONDS = 2.0

_BEGIN = """
umask 077
mkdir -p "$1" && cd "$1" || exit 1
alive() { [ -s pid ] && kill -s 0 "$(cat pid)" 2>/dev/null && [ ! -e code ]; }
if alive; then exit 0; fi
if [ -e code ] && [ "$(cat code)" = 0 ] && [ "$2" = join ]; then exit 0; fi
rm -f code pid
cat > script || exit 1
: > log
detached=nohup
if command -v setsid >/dev/null 2>&1; then detached=setsid; fi
$detached sh -c 'echo $$ > pid; sh ./script >> log 2>&1 < /dev/null; echo $? > code.new; mv code.new code' \
    > /dev/null 2>&1 < /dev/null &
n=0
while [ ! -s pid ] && [ "$n" -lt 50 ]; do sleep 0.1 2>/dev/null || sleep 1; n=$((n + 1)); done
[ -s pid ]
"""
_FOLLOW = """
cd "$1" || exit 1
seen=$2
while :; do
    over=
    if [ -e code ]; then over=1; elif ! kill -s 0 "$(cat pid)" 2>/dev/null; then
        sleep 0.3 2>/dev/null || sleep 1
        [ -e code ] || over=lost
        [ -n "$over" ] || over=1
    fi
    lines=$(wc -l < log)
    if [ "$lines" -gt "$seen" ]; then sed -n "$((seen + 1)),${lines}s/^/|/p" log || exit 1; seen=$lines; fi
    if [ "$over" = 1 ]; then echo "code $(cat code)"; exit 0; fi
    if [ "$over" = lost ]; then echo 'code 137'; exit 0; fi
    printf '.\\n' || exit 1
    sleep 0.25 2>/dev/null || sleep 1
done
"""
_END = """
cd "$1" 2>/dev/null && [ -s pid ] || exit 0
[ -e code ] && exit 0
group=$(cat pid)
kill -s TERM -- "-$group" 2>/dev/null || kill -s TERM "$group" 2>/dev/null
sleep 0.5 2>/dev/null || sleep 1
kill -s KILL -- "-$group" 2>/dev/null
echo 143 > code
"""


async def run(
    host: Host,
    folder: str,
    script: str,
    *,
    limit_s: float,
    on_line: Callable[[str], None] | None = None,
    join: bool = False,
) -> Completed:
    """Run a script there to its end, whatever happens to the connection meanwhile.

    Args:
        host: The machine.
        folder: The job's folder; it is what the job is known by.
        script: POSIX sh.
        limit_s: How long it may take in all; then it is ended.
        on_line: Called with each line of its output.
        join: Whether one that has ended well already counts as done.

    Raises:
        CommandTimeout: The limit was reached; the job was ended.
        PersonaDeskError: The machine cannot be reached, for as long as the limit.
    """
    until = time.monotonic() + limit_s
    kept: list[str] = []
    try:
        begun = await host.script(
            _BEGIN, folder, "join" if join else "anew", limit_s=BEGIN_SECONDS, stdin=script.encode()
        )
        if begun.code != 0:
            return begun
        code = await _follow(host, folder, until, kept, on_line)
    except asyncio.CancelledError:
        await _end(host, folder)
        raise
    if code is None:
        await _end(host, folder)
        raise CommandTimeout([folder.rpartition("/")[2]], limit_s)
    return Completed(code, tuple(kept[-400:]))


async def _follow(
    host: Host,
    folder: str,
    until: float,
    kept: list[str],
    on_line: Callable[[str], None] | None,
) -> int | None:
    seen = 0
    codes: list[int] = []

    def take(line: str) -> None:
        nonlocal seen
        if line.startswith("|"):
            seen += 1
            kept.append(line[1:])
            if on_line is not None and line[1:]:
                on_line(line[1:])
        elif line.startswith("code "):
            codes.append(int(line[5:]))

    while not codes and (left := until - time.monotonic()) > 0:
        try:
            done = await host.script(_FOLLOW, folder, str(seen), limit_s=left, on_line=take)
        except CommandTimeout:
            return None
        except PersonaDeskError as error:
            # The job goes on there; what was cut is only our view of it.
            if not error.retryable or time.monotonic() + AGAIN_SECONDS > until:
                raise
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        if not codes and done.code != 0:
            raise Unreachable(
                T("{name} does not tell how the work there goes.", name=host.name),
                T("Try again: it goes on where it was."),
                cause="job_lost",
                details=done.text,
            )
    return codes[0] if codes else None


async def _end(host: Host, folder: str) -> None:
    """End a job; a second cancel does not disturb it, and a host that is gone has ended it itself."""
    work = asyncio.ensure_future(host.script(_END, folder, limit_s=BEGIN_SECONDS))
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            continue
        except (PersonaDeskError, CommandTimeout):
            return
