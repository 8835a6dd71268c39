"""Callers who vanish: killed, or behind a connection that looks alive and is not."""

from __future__ import annotations

import subprocess
import sys

from personaplex_server import serving

CALLER = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], proxy=None) as ws:
    print(ws.recv()[0], flush=True)
    while True:
        ws.recv()
"""
UPGRADE = (
    b"GET /api/chat HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_a_caller_who_is_killed_frees_the_row(serve, scripted):
    server = serve(scripted(rows=1))
    with subprocess.Popen(
        [sys.executable, "-c", CALLER, server.chat], stdout=subprocess.PIPE
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"0\n"
        assert server.service.health()["free"] == 0
        caller.kill()
    server.until(lambda health: health["free"] == 1)


def test_a_connection_without_anybody_behind_it_frees_the_row(
    serve, scripted, raw_socket, monkeypatch
):
    """What a pulled cable leaves: nothing comes, not even an answer to a ping, and nobody says good-bye."""
    monkeypatch.setattr(serving, "_PING_S", 0.3)
    server = serve(scripted(rows=1))
    raw_socket(server.url).sendall(UPGRADE)
    server.until(lambda health: health["free"] == 0)
    server.until(lambda health: health["free"] == 1)
