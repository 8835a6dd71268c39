"""A voice server's own figures, read from its `/metrics` on loopback: the server here, or the tunnel's end of one."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from personadesk.domain.sample import Absent, Gpu, Reading, Sample, Source
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts import exposition
from personadesk.hosts.server_figures import NO_GPU, PREFIX, USUAL, ServerFigures

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import httpx

log = logging.getLogger(__name__)

METRICS_PATH = "/metrics"
EVERY_SECONDS = 1.0
LIMIT_SECONDS = 2.0
MOST_BYTES = 1 << 20

SILENT = T("The voice server does not answer.")
WANTS_TOKEN = T("The voice server wants another token.")
NO_PAGE = T("The voice server there tells no figures.")
NOT_READABLE = T("What answers there tells no figures of a voice server.")


class _NoPageError(Exception):
    """There is no page, and why."""

    def __init__(self, reason: Text, details: str = "") -> None:
        super().__init__(details or str(reason))
        self.reason = reason


class ServerMetrics:
    """Reads one server's figures; keeps its connection open between looks.

    Args:
        url: Any `http`, `https`, `ws` or `wss` address of the server on loopback; only host and port count.
        token: What the server wants from callers, if it does.
        limit_s: How long one look may take, in seconds.
        clock: Unix time in seconds.

    Raises:
        ValueError: The address is none on loopback; figures and token do not go over a network in the clear.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        limit_s: float = LIMIT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = _page_address(url)
        self._token = token
        self._limit_s = limit_s
        self._clock = clock
        self._figures = ServerFigures()
        self._http: httpx.AsyncClient | None = None
        self._keys = tuple((metric, "") for metric in USUAL)
        self._gpus: tuple[Gpu, ...] = ()
        self._trouble = NOTHING

    async def __aenter__(self) -> Self:
        """Use it until the block ends."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def read(self) -> Sample:
        """Look once; a server that gives no figures gives the reason in the place of each."""
        try:
            readings, gpus = self._figures.take(await self._points())
        except _NoPageError as error:
            self._tell(error.reason, str(error))
            self._figures.forget()
            absent = Absent(error.reason)
            blank = tuple(Reading(metric, part, absent) for metric, part in self._keys)
            gpu_reason = NOTHING if self._gpus else error.reason
            return Sample(self._clock(), Source.SERVER, blank, self._gpus, gpu_reason)
        self._tell(NOTHING, "")
        # A server that goes silent leaves gaps in the figures it had, not in others.
        self._keys = tuple((each.metric, each.part) for each in readings)
        self._gpus = gpus
        return Sample(self._clock(), Source.SERVER, readings, gpus, NOTHING if gpus else NO_GPU)

    async def _points(self) -> tuple[exposition.Point, ...]:
        text = await self._text()
        try:
            points = exposition.parse(text)
        except ValueError as error:
            raise _NoPageError(NOT_READABLE, str(error)) from error
        if not any(point.name.startswith(PREFIX) for point in points):
            raise _NoPageError(NOT_READABLE, "no figure of a voice server")
        return points

    async def _text(self) -> str:
        if self._http is None:
            # Its import and its certificates take a tenth of a second, in which a window would stand still.
            self._http = await asyncio.to_thread(_client, self._token)
        import httpx

        try:
            async with (
                asyncio.timeout(self._limit_s),
                self._http.stream("GET", self._url) as answer,
            ):
                return await _body(answer)
        except (httpx.HTTPError, TimeoutError) as error:
            raise _NoPageError(SILENT, f"{type(error).__name__}: {error}") from error

    def _tell(self, reason: Text, details: str) -> None:
        """Put a change into the log, and no more than that: looks are many."""
        if reason != self._trouble:
            self._trouble = reason
            log.info("Figures of the server at %s: %s", self._url, details or "here again")


def _page_address(url: str) -> str:
    parts = urlsplit(url)
    scheme = {"http": "http", "ws": "http", "https": "https", "wss": "https"}.get(parts.scheme)
    if scheme is None or not _is_loopback(parts.hostname or ""):
        raise ValueError(f"Not a server's address on loopback: {parts.scheme}://{parts.hostname}")
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{METRICS_PATH}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _client(token: str | None) -> httpx.AsyncClient:
    import httpx

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # The server closes an idle connection after 5 s; one used at that very moment would look like silence.
    limits = httpx.Limits(max_connections=1, keepalive_expiry=3.0)
    # A proxy of the network has no business between this computer and itself; the caller bounds the whole look.
    return httpx.AsyncClient(headers=headers, limits=limits, timeout=None, trust_env=False)  # noqa: S113 - see above


async def _body(answer: httpx.Response) -> str:
    if answer.status_code in {401, 403}:
        raise _NoPageError(WANTS_TOKEN, f"status {answer.status_code}")
    if answer.status_code == 404:
        raise _NoPageError(NO_PAGE, "status 404")
    if answer.status_code != 200:
        reason = T("The voice server answered with status {status}.", status=answer.status_code)
        raise _NoPageError(reason)
    body = bytearray()
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            raise _NoPageError(NOT_READABLE, f"more than {MOST_BYTES} bytes")
    return body.decode("utf-8", "replace")


async def watch(
    url: str,
    on_sample: Callable[[Sample], None],
    *,
    token: str | None = None,
    every_s: float = EVERY_SECONDS,
) -> None:
    """Hand on a sample each time until cancelled; also while the server is silent, with the reason in it.

    Args:
        url: The server's address on loopback, or the tunnel's end here.
        on_sample: Called with each.
        token: What the server wants from callers, if it does.
        every_s: Seconds between looks; a look that takes longer puts off the next.

    Raises:
        ValueError: The address is none on loopback.
    """
    async with ServerMetrics(url, token) as server:
        while True:
            began = time.monotonic()
            on_sample(await server.read())
            await asyncio.sleep(max(0.0, every_s - (time.monotonic() - began)))
