"""How a line really stands: what its server says, and what its process says when it says nothing.

Pure questions with their answers; nothing is changed here.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from personadesk.domain.errors import NoCapacity, PersonaDeskError
from personadesk.domain.line import LineState
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts import health
from personadesk.store.servers import ServerIntent
from personadesk.voice.handshake import shake_hands

if TYPE_CHECKING:
    from personadesk.domain.line import Line
    from personadesk.hosts.server_process import ServerStatus
    from personadesk.hosts.servers import Servers
    from personadesk.store.servers import ServerRecord

PATIENCE_SECONDS = 20.0
"""A line that a deploy has just made is proven by that deploy; after this the keeper does it."""

STARTING_SECONDS = 120.0
"""How long a start may be under way, a machine far away included, until what is found counts again."""

STUCK_SECONDS = 20.0
"""A server that has answered and runs on in silence for so long hangs; one that starts gets more time."""
FRESH_SECONDS = 10.0
"""A process that was younger than this when its line went down may be a new one, which starts."""

STARTING = T("The voice server is starting.")
LOADING = T("The voice server is starting: {stage}.")
STUCK = T("The voice server runs and does not answer.")
SILENT = T("The server at its address does not answer.")
DYING = T("The voice server keeps dying.")
ENDED = T("Its rented machine has ended. Deploy again; the line keeps its address.")
GONE = T("The voice server does not run any more. Start the line again.")
IDLE = T("Nobody called for {time}.")
SPENT = T("The limit of ${limit} is reached.")
ASKED = T("You stopped it.")


@dataclass(frozen=True, slots=True)
class Truth:
    """How a line stands and why.

    Attributes:
        state: As found out.
        reason: Why, when it is not up.
        sure: Whether one look is enough; a busy computer may be late with an answer or with a new process.
    """

    state: LineState
    reason: Text = NOTHING
    sure: bool = True


async def look(line: Line, servers: Servers) -> Truth | None:
    """Return how a line stands, or None when what is known still holds or cannot be told yet."""
    if line.target is None:
        return _stopped(line)
    server = await servers.store.get(line.target.server_id)
    if server is not None and server.intent is ServerIntent.STOPPED:
        return _stopped(line)
    found = await health.ask(line.target.url)
    if found is not None:
        return await _of_answer(line, found)
    status = await servers.status(line.target.server_id)
    if status is None:
        return Truth(LineState.UNKNOWN, SILENT, sure=False)
    if line.state is LineState.STARTING and _is_about_to_start(line, server, status):
        # What is found is what the last run left; on a machine far away the new one takes its time.
        return Truth(LineState.STARTING, STARTING)
    if status.state == "given-up":
        return Truth(LineState.FAILED, _first(status.reason) or DYING)
    if status.state == "stopped":
        return _stopped(line)
    if not status.alive:
        return Truth(LineState.FAILED, GONE, sure=False)
    if status.state == "backing-off":
        return Truth(LineState.STARTING, _first(status.reason))
    if await _is_stuck(line, status):
        return Truth(LineState.FAILED, STUCK, sure=False)
    return Truth(LineState.STARTING, STARTING)


async def _is_stuck(line: Line, status: ServerStatus) -> bool:
    """Whether a server that says nothing is not one that starts: it ran long before its line went down."""
    if status.child_pid is None:
        return False
    try:
        process = await asyncio.to_thread(psutil.Process, status.child_pid)
    except psutil.NoSuchProcess:
        return False
    if process.create_time() > line.since - FRESH_SECONDS:
        return False
    waited = line.state is LineState.STARTING and time.time() - line.since >= STUCK_SECONDS
    return waited or line.reason == STUCK


async def _of_answer(line: Line, found: health.Health) -> Truth | None:
    if found.state == "failed":
        return Truth(LineState.FAILED, Text(found.reason))
    if not found.takes_calls:
        return Truth(
            LineState.STARTING,
            T(LOADING.template, stage=found.stage or "loading"),
        )
    if line.state is LineState.UP:
        return None
    fresh = line.state is LineState.STARTING and not line.reason
    if fresh and time.time() - line.since < PATIENCE_SECONDS:
        return None
    # Ready is proven by a voice that takes a call, not by a server that says so.
    return await _prove(line)


async def _prove(line: Line) -> Truth:
    if line.target is None:
        return Truth(LineState.STOPPED)
    try:
        await shake_hands(line.target.url)
    except NoCapacity:
        # Somebody talks to it: there is no better proof.
        return Truth(LineState.UP)
    except PersonaDeskError as error:
        return Truth(LineState.FAILED, error.what, sure=False)
    return Truth(LineState.UP)


def _stopped(line: Line) -> Truth:
    """Return that a line is stopped; why it was stopped stays told."""
    return Truth(LineState.STOPPED, line.reason if line.state is LineState.STOPPED else NOTHING)


def _is_about_to_start(line: Line, server: ServerRecord | None, status: ServerStatus) -> bool:
    """Whether somebody is at starting it; one that was killed at that does not count for ever."""
    if server is None or server.intent is not ServerIntent.STARTING:
        return False
    # A tunnel may run on while its machine is woken; after a start that failed it says nothing of another one.
    return time.time() - server.at < STARTING_SECONDS and (
        not status.alive or server.at >= line.since
    )


def _first(text: str) -> Text:
    """Return the first line of what a server's supervisor says of it."""
    return Text(text.splitlines()[0]) if text else NOTHING
