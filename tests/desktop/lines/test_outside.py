"""Lines for other computers: real sockets, a real certificate, and no way in without the token."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import stat
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from personadesk.domain.access import Access, Tls, checked, masked
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.line import Line, LineState
from personadesk.hosts import local
from personadesk.lines import certificate
from personadesk.lines.door import Door
from personadesk.lines.outside import hosts_of

EVERYWHERE = "0.0.0.0"  # noqa: S104 - tested, not opened
TOKEN = "a-token-of-the-line"


async def echo(connection: Any) -> None:
    async for message in connection:
        await connection.send(message)


def door(**changes: Any) -> Door:
    values = {"bind": "127.0.0.2", "port": local.pick_port(), "tls": Tls.OFF} | changes
    return Door(Access(**values), TOKEN, None)


pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="127.0.0.2 stands for another network on Linux only"
)


@pytest.fixture
def open_services(opener: Any) -> Any:
    """Opens services; no deploys are made here."""
    return opener(make_steps=lambda places: ())


@pytest.mark.parametrize("way", ["header", "protocol", "query"])
async def test_a_token_is_taken_each_way_and_not_passed_on(
    voice: Any, gateway: Any, way: str
) -> None:
    async with voice(echo) as there, gateway(there.target) as line:
        await line.open_outside(opened := door())
        url = opened.access.url("127.0.0.2") + "?voice=NATF2"
        choices: dict[str, Any] = {
            "header": {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}},
            "protocol": {"subprotocols": [Subprotocol(f"token.{TOKEN}")]},
            "query": {},
        }[way]
        async with connect(url + (f"&token={TOKEN}" if way == "query" else ""), **choices) as call:
            await call.send(b"\x01hello")
            assert await call.recv() == b"\x01hello"
            if way == "protocol":
                assert call.subprotocol == f"token.{TOKEN}"
        (seen,) = there.calls
        assert seen.request.path == "/api/chat?voice=NATF2&resume=1"
        assert "Authorization" not in seen.request.headers
        assert "Sec-WebSocket-Protocol" not in seen.request.headers


@pytest.mark.parametrize("offer", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "é"])
async def test_without_the_token_nothing_is_told_and_nobody_called(
    voice: Any, gateway: Any, offer: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with voice(echo) as there, gateway(there.target) as line:
        await line.open_outside(opened := door())
        url = opened.access.url("127.0.0.2")
        with caplog.at_level(logging.DEBUG), pytest.raises(InvalidStatus) as refused:
            async with connect(url if offer is None else f"{url}?token={offer}"):
                pass
        assert refused.value.response.status_code == 401
        assert there.calls == []
        async with httpx.AsyncClient() as client:
            status = await client.get(
                url.replace("ws://", "http://").replace("/api/chat", "/status")
            )
        assert (status.status_code, "line" in status.headers) == (401, False)
        # This computer itself still calls without one.
        async with connect(line.line.url) as call:
            await call.send(b"\x01a")
            assert await call.recv() == b"\x01a"


async def test_pages_of_other_sites_are_refused(voice: Any, gateway: Any) -> None:
    async with voice(echo) as there, gateway(there.target) as line:
        await line.open_outside(opened := door(origins=("https://mine.example",)))
        url = f"{opened.access.url('127.0.0.2')}?token={TOKEN}"
        for origin in ("https://mine.example", f"http://127.0.0.2:{opened.access.port}"):
            async with connect(url, origin=Origin(origin)) as call:
                await call.send(b"\x01a")
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, origin=Origin("https://evil.example")):
                pass
        assert refused.value.response.status_code == 403


async def test_a_closed_door_ends_its_calls_and_leaves_those_of_this_computer(
    voice: Any, gateway: Any
) -> None:
    async with voice(echo) as there, gateway(there.target) as line:
        await line.open_outside(opened := door())
        async with (
            connect(f"{opened.access.url('127.0.0.2')}?token={TOKEN}") as far,
            connect(line.line.url) as near,
        ):
            await line.close_outside()
            with pytest.raises(ConnectionClosed):
                await far.recv()
            await near.send(b"\x01a")
            assert await near.recv() == b"\x01a"
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.2", opened.access.port)


async def test_a_door_without_a_token_does_not_open(gateway: Any) -> None:
    async with gateway(None) as line:
        with pytest.raises(ValueError, match="token"):
            await line.open_outside(Door(Access(EVERYWHERE, local.pick_port()), "", None))
        assert line.door is None


async def test_a_line_is_opened_renewed_and_closed_by_the_service(
    open_services: Any, voice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    services = await open_services()
    services.secrets.keep_in_memory()
    async with voice(echo) as there:
        line = Line("a", local.pick_port(), there.target, LineState.UP, time.time())
        await services.lines.put(line)
        access = Access("127.0.0.2", local.pick_port(), Tls.OWN)
        with caplog.at_level(logging.DEBUG):
            told = await services.outside.open("a", access)
            assert told.urls == (f"wss://127.0.0.2:{access.port}/api/chat",)
            trusted = ssl.create_default_context(
                cafile=str(certificate.own_file(services.folders.data / "tls"))
            )
            async with connect(f"{told.urls[0]}?token={told.token}", ssl=trusted) as call:
                await call.send(b"\x01a")
                assert await call.recv() == b"\x01a"
            fresh = await services.outside.renew("a")
            assert fresh.token != told.token
            with pytest.raises(InvalidStatus):
                async with connect(f"{told.urls[0]}?token={told.token}", ssl=trusted):
                    pass
            async with connect(f"{told.urls[0]}?token={fresh.token}", ssl=trusted):
                pass
            status = httpx.get(line.url.replace("ws", "http", 1).replace("/api/chat", "/status"))
            assert status.json()["outside"] == {
                "bind": "127.0.0.2", "port": access.port, "tls": "own",
            }  # fmt: skip
            assert told.token not in caplog.text
            assert fresh.token not in caplog.text
            await services.outside.close("a")
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.2", access.port)
        with pytest.raises(NotFound):
            await services.outside.told("a")
        assert await services.secrets.get("line-token a") is None


@pytest.mark.logs_warnings
async def test_a_port_that_is_taken_is_told_and_the_line_stays(
    open_services: Any, voice: Any
) -> None:
    services = await open_services()
    services.secrets.keep_in_memory()
    async with voice(echo) as there:
        line = Line("a", local.pick_port(), there.target, LineState.UP, time.time())
        await services.lines.put(line)
        await services.outside.open("a", Access("127.0.0.1", there.port, Tls.OFF))
        status = httpx.get(line.url.replace("ws", "http", 1).replace("/api/chat", "/status")).json()
        assert f"Port {there.port}" in status["outside"]["error"]
        assert status["state"] == "up"


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in (
        Access("everywhere", 9998), Access(EVERYWHERE, 8998), Access(EVERYWHERE, 80),
        Access(EVERYWHERE, 9998, Tls.GIVEN, "cert.pem"),
        Access(EVERYWHERE, 9998, origins=("https://a.example/page",)),
    ):  # fmt: skip
        with pytest.raises(BadRequest):
            checked(wrong, 8998)
    assert Access("::", 9998).url("fd00::1") == "wss://[fd00::1]:9998/api/chat"
    assert TOKEN not in masked(TOKEN)


def test_a_certificate_is_kept_and_made_anew_when_a_name_is_missing(tmp_path: Path) -> None:
    access = Access(EVERYWHERE, 9998)
    certificate.context_of(access, tmp_path, ["10.0.0.5"])
    first = certificate.fingerprint(certificate.own_file(tmp_path))
    certificate.context_of(access, tmp_path, ["10.0.0.5"])
    assert certificate.fingerprint(certificate.own_file(tmp_path)) == first
    assert stat.S_IMODE(os.stat(tmp_path / "key.pem").st_mode) == 0o600
    certificate.context_of(access, tmp_path, ["10.0.0.6"])
    assert certificate.fingerprint(certificate.own_file(tmp_path)) != first
    given = Access(
        EVERYWHERE, 9998, Tls.GIVEN, str(tmp_path / "key.pem"), str(tmp_path / "key.pem")
    )
    with pytest.raises(BadRequest):
        certificate.context_of(given, tmp_path, [])
    assert all(not host.startswith("127.") for host in hosts_of(EVERYWHERE))
