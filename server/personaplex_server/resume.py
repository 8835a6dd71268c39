"""Conversations whose socket may break: for some seconds the row is kept, and who brings the token goes on in it.

A network that changes (a phone that leaves the house) breaks a socket without a word, often long before the
server notices; so the token also takes a conversation over from a connection that still looks alive.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from personaplex_server.logs import fields

if TYPE_CHECKING:
    from personaplex_server.scheduler import Scheduler
    from personaplex_server.session import Session

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Conversation:
    """One caller's talk with one engine, over one connection or several after another.

    Attributes:
        scheduler: Whose engine it is.
        session: Its queues.
        row: Its row, None while it waits for one.
        token: What a caller brings to go on; None when it ends with its connection.
        began: When it was seated, monotonic.
    """

    scheduler: Scheduler
    session: Session
    row: int | None = None
    token: str | None = None
    began: float = field(default_factory=time.monotonic)
    _displaced: asyncio.Event | None = None
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)
    _timer: asyncio.TimerHandle | None = None

    def hold(self) -> None:
        """Note that a connection serves it now."""
        self._displaced, self._let_go = asyncio.Event(), asyncio.Event()

    async def displaced(self) -> None:
        """Wait until another connection wants it."""
        if self._displaced is not None:
            await self._displaced.wait()

    def let_go(self) -> None:
        """Note that the connection that served it touches it no more."""
        self._displaced = None
        self._let_go.set()


class Conversations:
    """Those that may be resumed; belongs to the event loop.

    Attributes:
        mark: What tokens begin with, where it matters which of several servers gave them.
    """

    def __init__(self, keep_s: float = 30.0) -> None:
        """Keep rows for `keep_s` seconds after their connection broke; 0 offers no resuming."""
        self.keep_s = keep_s
        self.mark = ""
        self._known: dict[str, Conversation] = {}
        self._parked = 0

    @property
    def parked(self) -> int:
        """Conversations that are kept for a caller who is away."""
        return self._parked

    def offer(self, conversation: Conversation) -> None:
        """Give a conversation its token, if resuming is on."""
        if self.keep_s > 0:
            conversation.token = self.mark + secrets.token_urlsafe(16)
            self._known[conversation.token] = conversation

    async def take(self, token: str) -> Conversation | None:
        """Return the conversation of a token, taken from the connection that holds it; None when it is over."""
        conversation = self._known.get(token)
        if conversation is None:
            return None
        if conversation._displaced is not None:
            conversation._displaced.set()
            await conversation._let_go.wait()
        # Two may have come for it at once, or its end may have come first.
        if self._known.get(token) is not conversation or conversation._displaced is not None:
            return None
        self._unpark(conversation)
        conversation.hold()
        return conversation

    def park(self, conversation: Conversation) -> None:
        """Keep the row of a conversation whose connection broke, for a while."""
        log.info(
            "caller gone, row kept %s",
            fields(call=conversation.session.number, seconds=self.keep_s),
        )
        self._parked += 1
        conversation._timer = asyncio.get_running_loop().call_later(
            self.keep_s, self._give_up, conversation
        )

    def end(self, conversation: Conversation) -> None:
        """Free its row, and forget its token."""
        if conversation.token is not None:
            self._known.pop(conversation.token, None)
        conversation.scheduler.leave(conversation.session)

    def _unpark(self, conversation: Conversation) -> None:
        if conversation._timer is not None:
            conversation._timer.cancel()
            conversation._timer = None
            self._parked -= 1

    def _give_up(self, conversation: Conversation) -> None:
        log.info("caller did not come back %s", fields(call=conversation.session.number))
        self._unpark(conversation)
        self.end(conversation)
