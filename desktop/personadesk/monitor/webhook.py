"""Tells alarms to an address of the user's own: a POST of JSON without secrets, tried a few times."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from personadesk.domain.errors import BadRequest
from personadesk.domain.text import T

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from personadesk.domain.alarm import Alarm

log = logging.getLogger(__name__)

SECRET = "alarm webhook"  # noqa: S105 - the name under which the keyring has it
"""Such addresses often hold a token, so they are kept as secrets are."""
PAUSES = (1.0, 5.0, 20.0)
LIMIT_SECONDS = 10.0
MOST_WAITING = 100


class Webhook:
    """Sends alarms one after the other; those that cannot be sent are logged and passed over.

    Args:
        url: Where to.
        pauses: Seconds before each further try.

    Raises:
        BadRequest: The address is none that alarms can be sent to.
    """

    def __init__(self, url: str, *, pauses: Sequence[float] = PAUSES) -> None:
        self._url = checked(url)
        self._host = urlsplit(self._url).hostname
        self._pauses = tuple(pauses)
        self._waiting: asyncio.Queue[Alarm] = asyncio.Queue(MOST_WAITING)

    def tell(self, alarm: Alarm) -> None:
        """Send an alarm when its turn comes; returns at once."""
        try:
            self._waiting.put_nowait(alarm)
        except asyncio.QueueFull:
            log.warning("An alarm for the webhook was dropped; %d wait already.", MOST_WAITING)

    async def run(self) -> None:
        """Send until cancelled."""
        import httpx

        http = await asyncio.to_thread(httpx.AsyncClient, timeout=LIMIT_SECONDS)
        async with http:
            while True:
                await self._send(http, await self._waiting.get())

    async def _send(self, http: httpx.AsyncClient, alarm: Alarm) -> None:
        import httpx

        trouble = ""
        for pause in (0.0, *self._pauses):
            await asyncio.sleep(pause)
            try:
                answer = await http.post(self._url, json=body(alarm))
            except httpx.HTTPError as error:
                trouble = type(error).__name__
                continue
            if answer.is_success:
                return
            trouble = f"status {answer.status_code}"
            if answer.status_code < 500 and answer.status_code != 429:
                break
        # Not the address itself: it may hold a token.
        log.warning("An alarm could not be sent to the webhook at %s: %s", self._host, trouble)


def checked(url: str) -> str:
    """Return an address that alarms can be sent to.

    Raises:
        BadRequest: It is none: neither https nor on this computer.
    """
    parts = urlsplit(url.strip())
    safe = parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or ""))
    if not safe or not parts.hostname:
        raise BadRequest(
            T("Alarms cannot be sent to that address."),
            T("Give an address that begins with https://."),
            cause="bad_webhook",
        )
    return url.strip()


def body(alarm: Alarm) -> dict[str, Any]:
    """Return what is sent: the alarm in fields, and as `text`, which chat programs show."""
    return {
        "text": str(alarm.text),
        "state": "on" if alarm.on else "off",
        "rule": str(alarm.rule.quantity),
        "severity": str(alarm.rule.severity),
        "host": alarm.host,
        "part": alarm.part,
        "value": alarm.value,
        "at": alarm.at,
    }


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
