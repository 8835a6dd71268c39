"""One sampler a machine, though several processes look: the one that keeps the history hands its samples to the others.

Over loopback, a JSON array a line. Who follows says the token that stands in the keeper's lock file, which only its
user can read, and then which machines somebody looks at; the keeper answers with samples.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import secrets
from typing import TYPE_CHECKING, Any

from personadesk.domain.sample import Absent, Gpu, Metric, Reading, Sample, Source
from personadesk.store.coding import text_from_json, text_to_json
from personadesk.store.history import GroupKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

log = logging.getLogger(__name__)

HERE = "127.0.0.1"
HELLO_SECONDS = 2.0
MOST_LINE = 8 << 20
"""Bytes of a sample; eight GPUs take ten thousand."""
MOST_WAITING = 4 << 20
"""Bytes that wait for a follower that does not read; more, and it is left."""
_BROKEN = (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError)


class Sharing:
    """The keeper's side.

    Args:
        newest: Returns the newest samples of all sources, each with the seconds between its samples.
        look: Called with a machine that a follower looks at.
        leave: Called when it does no more.
    """

    def __init__(
        self,
        newest: Callable[[], Iterable[tuple[GroupKey, Sample, float]]],
        look: Callable[[str], None],
        leave: Callable[[str], None],
    ) -> None:
        self._newest = newest
        self._look = look
        self._leave = leave
        self._token = secrets.token_hex(16)
        self._server: asyncio.Server | None = None
        self._followers: dict[asyncio.StreamWriter, asyncio.Future[None]] = {}

    async def open(self) -> dict[str, Any]:
        """Listen; returns what followers must know.

        Raises:
            OSError: No port is free.
        """
        self._server = await asyncio.start_server(self._serve, HERE, 0, limit=MOST_LINE)
        return {"port": self._server.sockets[0].getsockname()[1], "token": self._token}

    async def close(self) -> None:
        """Leave all followers."""
        if self._server is None:
            return
        self._server.close()
        for writer in tuple(self._followers):
            writer.transport.abort()
        await asyncio.gather(*self._followers.values(), return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def tell(self, key: GroupKey, sample: Sample, pace: float) -> None:
        """Hand a sample to all who follow."""
        if not self._followers:
            return
        line = encode(key, sample, pace)
        for writer in tuple(self._followers):
            if writer.transport.get_write_buffer_size() > MOST_WAITING:
                writer.transport.abort()
            elif not writer.is_closing():
                writer.write(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        looks: set[str] = set()
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = (await reader.readline()).strip()
            if not hmac.compare_digest(hello, self._token.encode()):
                return
            self._followers[writer] = asyncio.get_running_loop().create_future()
            for key, sample, pace in tuple(self._newest()):
                writer.write(encode(key, sample, pace))
            while line := await reader.readline():
                wanted = {str(each) for each in json.loads(line)}
                for host in wanted - looks:
                    self._look(host)
                for host in looks - wanted:
                    self._leave(host)
                looks = wanted
        except _BROKEN as error:
            log.info("A follower has gone: %s", type(error).__name__)
        finally:
            left = self._followers.pop(writer, None)
            for host in looks:
                self._leave(host)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            if left is not None:
                left.set_result(None)


class Following:
    """The other side: a connection to the keeper."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._looks: list[str] = []

    @classmethod
    async def open(cls, facts: Mapping[str, Any] | None) -> Following | None:
        """Connect to the keeper; None where there is none that can be followed.

        Args:
            facts: What stands in its lock file.
        """
        if not facts or not facts.get("port"):
            return None
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                streams = await asyncio.open_connection(HERE, int(facts["port"]), limit=MOST_LINE)
                streams[1].write(f"{facts.get('token', '')}\n".encode())
                await streams[1].drain()
        except _BROKEN as error:
            log.info("Who keeps the figures cannot be followed: %s", error)
            return None
        return cls(*streams)

    def look(self, hosts: Iterable[str]) -> None:
        """Say which machines somebody looks at here."""
        looks = sorted(hosts)
        if looks != self._looks and not self._writer.is_closing():
            self._looks = looks
            self._writer.write(f"{json.dumps(looks)}\n".encode())

    async def samples(self) -> AsyncIterator[tuple[GroupKey, Sample, float]]:
        """Walk the samples as they come, until the keeper has gone."""
        try:
            while line := await self._reader.readline():
                yield decode(line)
        except _BROKEN as error:
            log.info("Who keeps the figures has gone: %s", type(error).__name__)

    async def close(self) -> None:
        """Follow no more."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def encode(key: GroupKey, sample: Sample, pace: float) -> bytes:
    """Return a sample as a line; a figure that is absent is the sentence why."""
    readings = [
        (r.metric, r.part, text_to_json(r.value.reason) if isinstance(r.value, Absent) else r.value)
        for r in sample.readings
    ]
    gpus = [(gpu.index, gpu.uuid, gpu.name, gpu.divided) for gpu in sample.gpus]
    group = (key.host, key.source, key.origin)
    reason = text_to_json(sample.gpu_reason)
    return (
        json.dumps((group, pace, sample.at, sample.source, readings, gpus, reason)).encode() + b"\n"
    )


def decode(line: bytes) -> tuple[GroupKey, Sample, float]:
    """Return whose sample a line is, the sample, and the seconds between such samples.

    Raises:
        ValueError: It is no such line.
    """
    try:
        group, pace, at, source, readings, gpus, reason = json.loads(line)
        figures = tuple(
            Reading(Metric(m), part, Absent(text_from_json(v)) if isinstance(v, str) else float(v))
            for m, part, v in readings
        )
        cards = tuple(Gpu(*each) for each in gpus)
        sample = Sample(float(at), Source(source), figures, cards, text_from_json(reason))
        return GroupKey(*group), sample, float(pace)
    except TypeError as error:
        raise ValueError(f"no sample: {error}") from error
