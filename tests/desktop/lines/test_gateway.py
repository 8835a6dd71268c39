from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from personadesk.domain.budget import USED_UP, Period
from personadesk.domain.line import Line, LineState, Target
from personadesk.domain.text import NOTHING, T, Text
from personadesk.hosts import local
from personadesk.lines import gateway as gateway_module
from personadesk.lines import truth
from personadesk.lines.gateway import MOST_CALLS, Gateway
from personaplex_server.protocol import MAX_MESSAGE_BYTES, Kind, decode

USED_UP_FOR_A = T(USED_UP[Period.DAY, False].template, line="a", limit="5.00")
NOBODY = Target("ws://127.0.0.1:9/api/chat", "pd-1")


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def listen(connection: ServerConnection) -> None:
    async for _ in connection:
        pass


def http(line: Gateway, path: str) -> str:
    return f"http://127.0.0.1:{line.line.port}{path}"


async def test_both_directions_pass_unchanged(voice: Any, gateway: Any) -> None:
    async with voice(echo) as there, gateway(there.target) as line:
        async with connect(line.line.url, compression=None) as call:
            for message in (b"\x01OggS", b"", "text", bytes(range(256)) * 400):
                await call.send(message)
                assert await call.recv() == message
        assert line.served == 1
    assert len(there.calls) == 1


async def test_the_query_and_the_headers_that_matter_pass_unchanged(
    voice: Any, gateway: Any
) -> None:
    query = "?text_prompt=Caf%C3%A9%20%26%20more&voice_prompt=NATF2.pt&seed=&x=1&x=2"
    headers = {
        "Authorization": "Bearer s3cret",
        "User-Agent": "moshi/1",
        "Origin": "https://elsewhere",
    }
    async with voice(echo) as there, gateway(there.target) as line:
        agent = headers.pop("User-Agent")
        async with connect(
            line.line.url + query, additional_headers=headers, user_agent_header=agent
        ):
            pass
    request = there.calls[0].request
    assert request.path == f"/api/chat{query}&resume=1", "so that the line can go on after a break"
    assert request.headers["Authorization"] == "Bearer s3cret"
    assert request.headers["User-Agent"] == "moshi/1"


async def test_a_long_role_in_a_script_of_many_bytes_passes(voice: Any, gateway: Any) -> None:
    query = "?text_prompt=" + "%E5%A3%B0" * 8000
    async with (
        voice(echo) as there,
        gateway(there.target) as line,
        connect(line.line.url + query),
    ):
        pass
    assert there.calls[0].request.path == f"/api/chat{query}&resume=1"


async def test_the_subprotocol_is_the_one_that_the_voice_chose(voice: Any, gateway: Any) -> None:
    offered: Any = ["token.abc", "chat.v2"]
    async with (
        voice(echo, subprotocols=["chat.v2"]) as there,
        gateway(there.target) as line,
        connect(line.line.url, subprotocols=offered) as call,
    ):
        assert call.subprotocol == "chat.v2"
    assert there.calls[0].request.headers["Sec-WebSocket-Protocol"] == "token.abc, chat.v2"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_is_refused_the_way_the_voice_does(
    voice: Any, gateway: Any, status: int
) -> None:
    def refuse(connection: ServerConnection, request: object) -> Any:
        return connection.respond(status, "Bring a token.\n")

    async with voice(echo, process_request=refuse) as there, gateway(there.target) as line:
        with pytest.raises(InvalidStatus) as caught:
            await connect(line.line.url)
    assert caught.value.response.status_code == status
    assert caught.value.response.body == b"Bring a token.\n"


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "bye"), (1008, "no"), (1013, "busy"), (4321, "ü" * 50)]
)
async def test_the_voice_s_way_to_hang_up_reaches_the_caller(
    voice: Any, gateway: Any, code: int, reason: str
) -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.send(b"\x05why")
        await connection.close(code, reason)

    async with (
        voice(hang_up) as there,
        gateway(there.target) as line,
        connect(line.line.url) as call,
    ):
        assert await call.recv() == b"\x05why"
        with pytest.raises(ConnectionClosed):
            await call.recv()
        assert (call.close_code, call.close_reason) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "leaving"), (4000, "mine")])
async def test_the_caller_s_way_to_hang_up_reaches_the_voice(
    voice: Any, gateway: Any, code: int, reason: str
) -> None:
    async with voice(listen) as there, gateway(there.target) as line:
        call = await connect(line.line.url)
        await call.close(code, reason)
        assert await asyncio.wait_for(there.closed.get(), 5) == (code, reason)


@pytest.mark.parametrize("code", [1011, 1012])
async def test_a_voice_that_ends_a_call_without_a_word_is_given_words(
    voice: Any, gateway: Any, code: int
) -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(code)

    async with (
        voice(leave) as there,
        gateway(there.target) as line,
        connect(line.line.url) as call,
    ):
        assert b"was stopped" in await call.recv()  # type: ignore[operator] # binary
        await _ended(call)
        assert call.close_code == code


async def test_a_voice_that_says_nothing_to_its_caller_is_noticed(
    voice: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "MUTE_SECONDS", 0.05)

    async def answers_twice(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(b"\x00")
        for _ in range(2):
            await connection.send(await connection.recv())
        await listen(connection)

    async with voice(answers_twice) as there, gateway(there.target) as line:
        async with connect(line.line.url, compression=None) as call:
            await call.send(b"\x01before it was told to talk")
            assert await call.recv() == b"\x00"
            await asyncio.sleep(0.1)
            assert not line.mute, "who is not talked to yet, or hears what they say, is answered"
            for _ in range(2):
                await call.send(b"\x01sound")
                await call.recv()
            await asyncio.sleep(0.1)
            assert not line.mute
            await call.send(b"\x01sound")
            await _until(lambda: line.mute)
        await _until(lambda: not line.calls)
        assert not line.mute


async def test_a_caller_who_vanishes_frees_the_voice(voice: Any, gateway: Any) -> None:
    async with voice(listen) as there, gateway(there.target) as line:
        call = await connect(line.line.url)
        call.transport.abort()
        assert (await asyncio.wait_for(there.closed.get(), 5))[0] == 1001
        async with asyncio.timeout(5):
            while line.calls:
                await asyncio.sleep(0.01)


async def test_a_voice_that_is_killed_in_a_call_is_told_in_words(voice: Any, gateway: Any) -> None:
    async def die(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with voice(die) as there, gateway(there.target) as line, connect(line.line.url) as call:
        await call.send(b"\x01sound")
        error, text = await call.recv(), await call.recv()
        assert error[:1] + text[:1] == b"\x05\x02"  # type: ignore[operator] # binary
        assert b"started again" in error  # type: ignore[operator] # binary
        with pytest.raises(ConnectionClosed):
            await call.recv()
        assert call.close_code == 1011


@pytest.mark.parametrize(
    ("target", "state", "reason", "words"),
    [
        (None, LineState.STOPPED, NOTHING, "no voice behind the line “My line” yet"),
        (NOBODY, LineState.STOPPED, NOTHING, "is stopped. Start it"),
        (NOBODY, LineState.STOPPED, truth.ASKED, "is stopped. Start it"),
        (NOBODY, LineState.STOPPED, USED_UP_FOR_A, "is stopped: The budget of $5.00 a day"),
        (None, LineState.STOPPED, USED_UP_FOR_A, "is stopped: The budget of $5.00 a day"),
        (NOBODY, LineState.STARTING, truth.STARTING, "The voice server is starting."),
        (NOBODY, LineState.UP, NOTHING, "does not answer"),
    ],
)
async def test_without_a_voice_the_line_answers_and_says_why(
    gateway: Any, target: Target | None, state: LineState, reason: Text, words: str
) -> None:
    async with gateway(target, state=state, reason=reason) as line, connect(line.line.url) as call:
        error, text = await call.recv(), await call.recv()
        assert isinstance(error, bytes)
        assert isinstance(text, bytes)
        assert error[0] == 5
        assert text[0] == 2
        assert error[1:] == text[1:]
        assert words in error[1:].decode()
        with pytest.raises(ConnectionClosed):
            await call.recv()
        assert call.close_code == 1013
        assert words[:20] in (call.close_reason or "")


async def test_a_long_reason_is_cut_to_what_a_close_frame_holds(gateway: Any) -> None:
    async with gateway(NOBODY, reason=Text("ü" * 300)) as line, connect(line.line.url) as call:
        await call.recv()
        await call.recv()
        with pytest.raises(ConnectionClosed):
            await call.recv()
        assert call.close_code == 1013
        assert (call.close_reason or "").endswith("…")


async def test_an_oversized_message_ends_the_call_with_its_code(voice: Any, gateway: Any) -> None:
    async with voice(listen) as there, gateway(there.target) as line:
        async with connect(line.line.url) as call:
            await call.send(b"\x01" * (MAX_MESSAGE_BYTES + 1))
            assert b"larger than 1 MB" in (await call.recv())
            with pytest.raises(ConnectionClosed):
                await call.recv()
            assert call.close_code == 1009
        assert (await asyncio.wait_for(there.closed.get(), 5))[0] == 1009


async def test_a_caller_who_stops_reading_stops_the_voice_not_our_memory(
    voice: Any, gateway: Any
) -> None:
    sent = 0

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        while sent < 2000:
            await connection.send(b"\x01" * 65536)
            sent += 1

    async with voice(flood) as there, gateway(there.target) as line:
        host, port = "127.0.0.1", line.line.port
        reader, writer = await asyncio.open_connection(host, port, limit=1024)
        writer.write(
            f"GET /api/chat HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        async with asyncio.timeout(20):
            while sent != before:
                before = sent
                await asyncio.sleep(0.3)
        # 2000 would be 131 MB; what may be under way is a few socket buffers and sixteen messages.
        assert 0 < sent < 600
        # Another call is not disturbed by that.
        async with connect(line.line.url) as other:
            assert await asyncio.wait_for(other.recv(), 5)
            other.transport.abort()
        writer.transport.abort()
        sent = 2000
        await asyncio.wait_for(there.closed.get(), 10)


async def test_more_calls_than_a_line_takes_are_refused_in_words(voice: Any, gateway: Any) -> None:
    async with voice(listen) as there, gateway(there.target) as line:
        calls = [await connect(line.line.url) for _ in range(MOST_CALLS)]
        async with connect(line.line.url) as call:
            assert b"Too many calls" in await call.recv()  # type: ignore[operator] # binary
        await asyncio.gather(*(call.close() for call in calls))


async def test_status_and_health_tell_how_the_line_is(voice: Any, gateway: Any) -> None:
    async with (
        voice(echo) as there,
        gateway(there.target, since=5.0) as line,
        httpx.AsyncClient() as web,
        connect(line.line.url),
    ):
        status = (await web.get(http(line, "/status"))).json()
        health = (await web.get(http(line, "/health"))).json()
    assert status == {
        "personadesk": True, "line": "My line", "state": "up", "url": line.line.url, "since": 5.0,
        "server": there.target.url, "server_id": "pd-1", "calls": 1, "served": 1, "carried": 0, "waiting": 0,
        "outside": None, "mending": None,
    }  # fmt: skip
    assert health == {"personadesk": True, "line": "My line", "state": "up"}


async def test_programs_read_why_it_is_not_up_in_a_word_and_people_in_a_sentence(
    gateway: Any,
) -> None:
    async with gateway(None, reason=USED_UP_FOR_A) as line, httpx.AsyncClient() as web:
        for path in ("/health", "/status"):
            facts = (await web.get(http(line, path))).json()
            assert (facts["cause"], facts["reason"]) == ("budget", str(USED_UP_FOR_A))


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/what?x=1", 404), ("/api/chat", 426)])
async def test_a_browser_that_comes_by_reads_a_sentence(
    gateway: Any, path: str, status: int
) -> None:
    async with gateway(None) as line, httpx.AsyncClient() as web:
        answer = await web.get(http(line, path))
    assert answer.status_code == status
    assert "PersonaDesk line “My line”" in answer.text
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_a_call_to_another_path_is_refused_in_words(gateway: Any) -> None:
    async with gateway(None) as line:
        with pytest.raises(InvalidStatus) as caught:
            await connect(line.line.url.replace("/api/chat", "/elsewhere"))
    assert caught.value.response.status_code == 404
    assert b"Calls go to /api/chat" in (caught.value.response.body or b"")


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b""]
)
async def test_strangers_at_the_port_do_no_harm(gateway: Any, junk: bytes) -> None:
    async with gateway(None) as line:
        _, writer = await asyncio.open_connection("127.0.0.1", line.line.port)
        writer.write(junk)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with httpx.AsyncClient() as web:
            assert (await web.get(http(line, "/health"))).status_code == 200


async def test_only_this_computer_reaches_it(gateway: Any) -> None:
    async with gateway(None) as line:
        assert line._server is not None
        assert {s.getsockname()[0] for s in line._server.sockets} == {"127.0.0.1"}


async def test_a_new_target_takes_new_calls_and_leaves_those_that_run(
    voice: Any, gateway: Any
) -> None:
    async with (
        voice(echo) as first,
        voice(echo) as second,
        gateway(first.target) as line,
        connect(line.line.url) as old,
    ):
        line.line = Line("My line", line.line.port, second.target, LineState.UP)
        async with connect(line.line.url) as new:
            for call in (old, new):
                await call.send(b"\x01a")
                assert await call.recv() == b"\x01a"
    assert (len(first.calls), len(second.calls)) == (1, 1)


async def test_a_taken_port_is_an_error_of_the_system() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match=r"in use|attempt"):
            await Gateway(Line("a", taken.getsockname()[1])).start()


async def test_closing_the_line_ends_its_calls_politely(voice: Any, gateway: Any) -> None:
    async with voice(listen) as there, gateway(there.target) as line:
        call = await connect(line.line.url)
        await line.stop()
        with pytest.raises(ConnectionClosed):
            await call.recv()
        assert call.close_code == 1001
        assert (await asyncio.wait_for(there.closed.get(), 5))[0] == 1001
        assert local.port_is_free(line.line.port)


async def test_a_caller_is_held_until_there_is_a_voice_and_is_told_why(
    voice: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "HOLD_TELL_SECONDS", 0.05)
    async with voice(echo) as there, gateway(NOBODY, state=LineState.FAILED) as line:
        line.hold = "The voice server has ended."
        async with connect(line.line.url + "?seed=1", compression=None) as call:
            told = decode(bytes(await call.recv()))
            facts = json.loads(told.payload)
            assert told.kind is Kind.METADATA
            assert (facts["reason"], facts["position"], facts["waiting"]) == (line.hold, 1, 1)
            assert line.waiting == 1
            assert "progress" not in facts, "nothing is deployed"
            line.progress = {"step": "install", "fraction": 0.5, "left_s": 90}
            while "progress" not in facts:
                facts = json.loads(decode(bytes(await call.recv())).payload)
            assert facts["progress"] == line.progress
            await call.send(b"\x01said too early")
            line.line = replace(line.line, target=there.target, state=LineState.UP)
            await _until(lambda: there.calls)
            await call.send(b"\x01now")
            while (message := await call.recv())[:1] == b"\x04":
                pass
            assert message == b"\x01now", "what was said while nobody was there is not passed on"
        assert (line.waiting, line.served) == (0, 1)
    assert there.calls[0].request is not None
    assert there.calls[0].request.path.endswith("?seed=1&resume=1")


async def test_a_held_caller_is_let_go_with_a_reason_when_waiting_is_no_use(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "HOLD_TELL_SECONDS", 0.05)
    async with gateway(NOBODY, state=LineState.FAILED, reason=Text("It broke.")) as line:
        line.hold = "It is mended."
        async with connect(line.line.url) as call:
            await call.recv()
            line.hold = None
            await _ended(call)
        assert (call.close_code, call.close_reason) == (
            1013, "The line “My line” has no voice now: It broke.",
        )  # fmt: skip
        monkeypatch.setattr(gateway_module, "HOLD_SECONDS", 0.1)
        line.hold = "It is mended."
        async with connect(line.line.url) as call:
            await _ended(call)
        assert call.close_code == 1013
        assert "did not come up in time" in str(call.close_reason)


async def test_a_held_caller_who_leaves_is_forgotten(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "HOLD_TELL_SECONDS", 0.05)
    async with gateway(NOBODY, state=LineState.FAILED) as line:
        line.hold = "It is mended."
        async with connect(line.line.url) as call:
            await call.recv()
            assert line.waiting == 1
        await _until(lambda: line.waiting == 0)


async def _ended(call: ClientConnection) -> None:
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionClosed):
            async for _ in call:
                pass


async def _until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0.01)


async def test_a_line_says_who_it_is_for_callers_who_name_nobody(voice: Any, gateway: Any) -> None:
    async with voice(echo) as there, gateway(there.target) as line:
        line.persona = "A guide & friend: Eva?"
        for query in ("", "?voice_prompt=NATF2.pt", "?text_prompt=", "?text_prompt=Me%20%26%20you"):
            async with connect(line.line.url + query):
                pass
        assert [
            call.request.path.partition("?")[2].removesuffix("&resume=1") for call in there.calls
        ] == [
            "text_prompt=A%20guide%20%26%20friend%3A%20Eva%3F",
            "voice_prompt=NATF2.pt&text_prompt=A%20guide%20%26%20friend%3A%20Eva%3F",
            "text_prompt=",
            "text_prompt=Me%20%26%20you",
        ]
