from __future__ import annotations

import asyncio
import contextlib
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from personadesk.domain.errors import (
    AuthFailed,
    BadRequest,
    NoCapacity,
    PersonaDeskError,
    ProviderFault,
    RateLimited,
    Unreachable,
)
from personadesk.voice.client import AudioIn, Closed, ErrorIn, MetadataIn, TextIn, VoiceClient
from personadesk.voice.levels import dbfs
from personaplex_server import protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from numpy.typing import NDArray

StartVoice = "Callable[..., Awaitable[Any]]"


def sound(seconds: float) -> NDArray[np.float32]:
    return (0.3 * np.sin(np.arange(round(seconds * 24_000)) * 0.1)).astype(np.float32)


async def say(call: VoiceClient, seconds: float) -> None:
    for _ in range(round(seconds / 0.04)):
        await call.send_pcm(sound(0.04))


async def collect(call: VoiceClient, count: int) -> list[Any]:
    events: list[Any] = []
    async with asyncio.timeout(10):
        async for event in call:
            events.append(event)
            if len(events) >= count or isinstance(event, Closed):
                return events
    return events


async def test_a_call_goes_both_ways_and_ends_politely(fake_voice: StartVoice) -> None:
    voice = await fake_voice()
    async with VoiceClient.connect(voice.url) as call:
        assert await call.handshake(5) >= 0
        await say(call, 0.8)
        events = await collect(call, 10)
        closed = await call.hang_up()
    assert all(isinstance(event, AudioIn) for event in events)
    heard = np.concatenate([event.pcm for event in events])
    assert len(heard) == 19_200
    assert dbfs(heard) == pytest.approx(-13.5, abs=1.5)
    assert closed.code == 1000
    await asyncio.sleep(0)
    assert len(voice.samples) == 19_200
    assert dbfs(voice.samples) == pytest.approx(dbfs(sound(0.8)), abs=1.5)


async def test_nothing_is_said_before_the_server_is_ready(fake_voice: StartVoice) -> None:
    voice = await fake_voice(handshake_after=0.3)
    async with VoiceClient.connect(voice.url) as call:
        with pytest.raises(RuntimeError):
            await call.send_pcm(sound(0.04))
        took = await call.handshake(5)
        assert 0.2 < took < 5
        await say(call, 0.08)
        await collect(call, 1)
    assert voice.early == 0


async def test_the_query_names_a_voice_and_a_role_and_no_seed(fake_voice: StartVoice) -> None:
    voice = await fake_voice()
    async with VoiceClient.connect(voice.url, query={"engine": "echo"}, token="t0ken") as call:
        await call.handshake(5)
    path = voice.requests[0]
    assert path.startswith("/api/chat?voice_prompt=NATF0.pt&text_prompt=You+are")
    assert "engine=echo" in path
    assert "seed" not in path
    assert "t0ken" not in path
    assert voice.tokens == ["Bearer t0ken"]


async def test_a_moshi_handshake_with_a_payload_and_early_messages_are_fine(
    fake_voice: StartVoice, metadata_message: Callable[..., bytes]
) -> None:
    voice = await fake_voice(
        handshake_payload=bytes(8),
        before_handshake=["a text frame", b"\x07colour", b"", protocol.text("Hold on."),
                          b"\x06", b"\x03\x00", b"\x04not json", b"\x04[1]", protocol.audio(b"junk"),
                          metadata_message(tick_ms=3)],
    )  # fmt: skip
    async with VoiceClient.connect(voice.url) as call:
        await call.handshake(5)
        early = await collect(call, 2)
        await say(call, 0.16)
        await collect(call, 2)
        assert call.strange.text_frames == 1
        assert call.strange.unknown_messages == 4
        assert call.skipped_bytes > 0
    assert isinstance(early[0], TextIn)
    assert early[0].text == "Hold on."
    assert early[1] == MetadataIn({"tick_ms": 3}, early[1].at)


async def test_pages_cut_across_messages_are_put_together(fake_voice: StartVoice) -> None:
    voice = await fake_voice(split_pages=True)
    async with VoiceClient.connect(voice.url) as call:
        await call.handshake(5)
        await say(call, 0.8)
        events = await collect(call, 10)
        assert call.bad_pages == call.skipped_bytes == 0
    assert sum(len(event.pcm) for event in events) >= 9 * 1920


async def test_the_servers_last_words_explain_the_end(fake_voice: StartVoice) -> None:
    voice = await fake_voice(close_at=(2, 1011, "", "The GPU ran out of memory."))
    async with VoiceClient.connect(voice.url) as call:
        await call.handshake(5)
        # The server may hang up while we still speak.
        with contextlib.suppress(Unreachable):
            await say(call, 0.4)
        events = await collect(call, 99)
        fault = call.explain(events[-1])
    assert isinstance(events[-2], ErrorIn)
    assert events[-1].code == 1011
    assert isinstance(fault, ProviderFault)
    assert str(fault) == "The GPU ran out of memory."


async def test_a_cut_line_is_told_as_1006(fake_voice: StartVoice) -> None:
    voice = await fake_voice(cut_at=1)
    async with VoiceClient.connect(voice.url) as call:
        await call.handshake(5)
        with contextlib.suppress(Unreachable):
            await say(call, 0.3)
        events = await collect(call, 99)
        assert events[-1].code == 1006
        with pytest.raises(Unreachable, match="The call is over"):
            await say(call, 0.08)
        assert await call.round_trip() is None


async def test_a_ping_is_timed(fake_voice: StartVoice) -> None:
    voice = await fake_voice()
    async with VoiceClient.connect(voice.url) as call:
        await call.handshake(5)
        took = await call.round_trip()
    assert took is not None
    assert 0 <= took < 2


@pytest.mark.parametrize(
    ("script", "kind", "cause", "words"),
    [
        ({"handshake": False}, Unreachable, "no_handshake", "was not ready within 0 seconds"),
        ({"close_at": (-1, 1013, "", "Somebody else is talking.")}, NoCapacity, "busy",
         "Somebody else is talking."),
        ({"close_at": (-1, 1013, "", "")}, NoCapacity, "busy", "somebody else is talking"),
        ({"close_at": (-1, 1008, "", "There is no voice X.")}, BadRequest, "refused_call", "There is no voice X."),
        ({"close_at": (-1, 1008, "", "The token is wrong.")}, AuthFailed, "token", "The token is wrong."),
        ({"close_at": (-1, 4401, "go away", "")}, AuthFailed, "token", "go away"),
        ({"close_at": (-1, 1011, "", "The model failed.")}, ProviderFault, "said", "The model failed."),
        ({"close_at": (-1, 1000, "", "")}, ProviderFault, "dropped", "before it was ready, without a word"),
        ({"status": HTTPStatus.UNAUTHORIZED}, AuthFailed, "token", "did not accept the token"),
        ({"status": HTTPStatus.FORBIDDEN}, AuthFailed, "token", "did not accept the token"),
        ({"status": HTTPStatus.NOT_FOUND}, BadRequest, "not_a_voice_server", "no voice under this path"),
        ({"status": HTTPStatus.TOO_MANY_REQUESTS}, RateLimited, "", "called less often"),
        ({"status": HTTPStatus.SERVICE_UNAVAILABLE}, NoCapacity, "busy", "takes no call now"),
        ({"status": HTTPStatus.BAD_GATEWAY}, ProviderFault, "server", "fault of its own"),
    ],
)  # fmt: skip
async def test_each_refusal_is_its_own_error_in_words(
    fake_voice: StartVoice,
    script: dict[str, Any],
    kind: type[PersonaDeskError],
    cause: str,
    words: str,
) -> None:
    voice = await fake_voice(**script)
    with pytest.raises(kind) as caught:
        async with VoiceClient.connect(voice.url) as call:
            await call.handshake(0.3 if cause == "no_handshake" else 5)
    assert words in str(caught.value)
    assert caught.value.cause == cause
    assert caught.value.next


async def test_nothing_listening_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(Unreachable, match=f"Nothing listens at {host}:{port}.") as caught:
            async with VoiceClient.connect(f"ws://{host}:{port}"):
                pass
        assert caught.value.cause == "refused"
        assert caught.value.retryable


async def test_a_name_nobody_has_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="There is no computer named nowhere") as caught:
        async with VoiceClient.connect("ws://nowhere.invalid:1"):
            pass
    assert caught.value.cause == "name"


@pytest.fixture
async def plain_server() -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """Listen with something that is no voice server; returns its port."""
    servers = []

    async def start(answer: bytes | None) -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            if answer is None:
                await reader.read(1000)
            else:
                writer.write(answer)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 200 OK\r\n\r\nhi"])
async def test_something_else_that_listens_is_said_to_be_no_voice_server(
    plain_server: Callable[..., Awaitable[int]], answer: bytes
) -> None:
    port = await plain_server(answer)
    with pytest.raises(BadRequest) as caught:
        async with VoiceClient.connect(f"ws://127.0.0.1:{port}"):
            pass
    assert caught.value.cause == "not_a_voice_server"


async def test_encrypted_calls_to_a_plain_server_say_what_to_write(
    plain_server: Callable[..., Awaitable[int]],
) -> None:
    port = await plain_server(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(BadRequest, match="does not speak encrypted") as caught:
        async with VoiceClient.connect(f"wss://127.0.0.1:{port}"):
            pass
    assert "ws://" in str(caught.value.next)


async def test_a_server_that_never_answers_is_given_up(
    plain_server: Callable[..., Awaitable[int]],
) -> None:
    port = await plain_server(None)
    with pytest.raises(Unreachable, match="didn't answer within 0 seconds") as caught:
        async with VoiceClient.connect(f"ws://127.0.0.1:{port}", timeout=0.3):
            pass
    assert caught.value.cause == "timeout"


async def test_a_token_with_a_line_break_is_refused_before_it_is_sent(
    fake_voice: StartVoice,
) -> None:
    voice = await fake_voice()
    with pytest.raises(BadRequest, match="token"):
        async with VoiceClient.connect(voice.url, token="a\r\nX-Evil: 1"):
            pass
    assert voice.requests == []


async def test_hanging_up_does_not_wait_long_for_a_server_that_says_nothing(
    fake_voice: StartVoice,
) -> None:
    voice = await fake_voice()
    async with VoiceClient.connect(voice.url) as call:
        await call.handshake(5)
        await say(call, 0.16)
        closed = await call.hang_up()
        assert closed.code == 1000
        assert await call.hang_up() == closed
