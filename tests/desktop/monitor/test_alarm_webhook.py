"""Alarms told to an address: as JSON, in order, tried again when it is worth it, never where it is not safe."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from personadesk.domain.alarm import RULES, Standing, told
from personadesk.domain.errors import BadRequest
from personadesk.monitor.webhook import Webhook, checked

ALARM = told(RULES[2], "box", "pd-1", Standing(on=True, since=5.0, value=95.0))


class Receiver:
    """An HTTP server that answers with the statuses of the test, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[dict[str, object]] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            self.got.append(json.loads(await reader.readexactly(length)))
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())  # fmt: skip
        writer.close()
        await writer.wait_closed()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def told_to(*statuses: int) -> AsyncIterator[tuple[Receiver, Webhook]]:
    receiver = Receiver(*statuses)
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    webhook = Webhook(f"http://127.0.0.1:{port}/secret-token", pauses=(0.01, 0.01))
    work = asyncio.create_task(webhook.run())
    try:
        yield receiver, webhook
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        server.close()
        await server.wait_closed()


async def test_an_alarm_and_its_end_arrive_in_words_and_fields():
    async with told_to(200) as (receiver, webhook):
        webhook.tell(ALARM)
        webhook.tell(told(RULES[2], "box", "pd-1", Standing(on=False, since=9.0, value=40.0)))
        await receiver.until(2)
    assert receiver.got[0]["rule"] == "tick"
    assert [each["state"] for each in receiver.got] == ["on", "off"]
    assert "95" in str(receiver.got[0]["text"])
    assert "keeps up again" in str(receiver.got[1]["text"])


async def test_a_server_in_trouble_is_tried_again():
    async with told_to(503, 429, 200) as (receiver, webhook):
        webhook.tell(ALARM)
        await receiver.until(3)
    assert receiver.got[0] == receiver.got[2]


async def test_what_will_not_be_taken_is_logged_without_the_address_and_the_next_is_sent(caplog):
    async with told_to(404) as (receiver, webhook):
        webhook.tell(ALARM)
        webhook.tell(ALARM)
        await receiver.until(2)
        async with asyncio.timeout(5):
            while caplog.text.count("status 404") < 2:
                await asyncio.sleep(0.01)
    # The log file takes httpx's lines of every request only when they are warnings (`store.logs`).
    ours = [
        record.getMessage() for record in caplog.records if record.name.startswith("personadesk")
    ]
    assert len(ours) == 2
    assert "secret-token" not in "".join(ours)


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://example.org", "https://", "", "x"])
def test_only_safe_addresses_are_taken(url: str):
    with pytest.raises(BadRequest):
        checked(url)


def test_https_and_this_computer_are_safe():
    assert checked(" https://hooks.example.org/x ") == "https://hooks.example.org/x"
    assert checked("http://localhost:9/x")
