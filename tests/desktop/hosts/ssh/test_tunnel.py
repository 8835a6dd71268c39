from __future__ import annotations

import asyncio

import pytest

from peers.sshd import free_port
from peers.tcp_proxy import TcpProxy
from personadesk.domain.errors import HostUnfit


@pytest.fixture
async def echo():
    """A server on a loopback port that returns what it gets; its port."""

    async def answer(reader, writer):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.write(b"bye")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def _say(port: int, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        async with asyncio.timeout(10):
            return await reader.read(len(text))
    finally:
        writer.close()


async def test_bytes_go_both_ways_and_a_half_close_passes(shared_sshd, reach, echo):
    host = await reach.trusted(shared_sshd)
    tunnel = await host.forward(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
    text = bytes(range(256)) * 4000
    writer.write(text)
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.read() == text + b"bye"
    writer.close()


async def test_many_at_once(shared_sshd, reach, echo):
    host = await reach.trusted(shared_sshd)
    tunnel = await host.forward(echo)
    texts = [f"caller {number}".encode() for number in range(40)]
    assert await asyncio.gather(*(_say(tunnel.port, text) for text in texts)) == texts


async def test_the_port_stays_the_same_when_the_connection_breaks(own_sshd, reach, echo):
    host = await reach.trusted(own_sshd)
    tunnel = await host.forward(echo)
    port = tunnel.port
    assert await _say(port, b"one") == b"one"
    own_sshd.restart()
    assert await _say(port, b"two") == b"two"
    own_sshd.stop()
    # Who comes in the very moment of the break is let go, as those who were there; see the next test.
    await asyncio.sleep(0.2)
    waiting = asyncio.create_task(_say(port, b"three"))
    await asyncio.sleep(0.7)
    own_sshd.start()
    assert await waiting == b"three"
    assert tunnel.port == port


async def test_a_client_is_let_go_when_the_connection_breaks(own_sshd, reach, echo):
    host = await reach.trusted(own_sshd)
    tunnel = await host.forward(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
    writer.write(b"x")
    await reader.read(1)
    own_sshd.cut()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_nothing_listens_there(shared_sshd, reach):
    host = await reach.trusted(shared_sshd)
    port = free_port()
    tunnel = await host.forward(port)
    assert await _say(tunnel.port, b"x") == b""
    assert tunnel.trouble is not None
    assert str(port) in str(tunnel.trouble.what)


async def test_a_daemon_without_forwarding_is_told(make_sshd, reach, echo):
    host = await reach.trusted(make_sshd("AllowTcpForwarding no"))
    tunnel = await host.forward(echo)
    assert await _say(tunnel.port, b"x") == b""
    assert isinstance(tunnel.trouble, HostUnfit)
    assert tunnel.trouble.cause == "no_forwarding"


async def test_a_taken_port_here_is_refused(shared_sshd, reach, echo):
    host = await reach.trusted(shared_sshd)
    with pytest.raises(OSError):
        await host.forward(1, local_port=echo)


async def test_a_slow_line_delays_but_loses_nothing(shared_sshd, reach, echo):
    async with TcpProxy(shared_sshd.port) as proxy:
        host = await reach.trusted(shared_sshd, proxy.port)
        tunnel = await host.forward(echo)
        assert await _say(tunnel.port, b"quick") == b"quick"
        proxy.weather.delay_s = 0.1
        stall = asyncio.create_task(proxy.stall(0.5))
        assert await _say(tunnel.port, b"slow" * 5000) != b""
        await stall
