"""The routes around the conversation: how the server says that it is, and whom it lets in."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading

import pytest

from personaplex_server.model.config import CheckpointError
from personaplex_server.protocol import Kind

TOKEN = "correct-horse-battery"


def test_health_tells_state_and_facts(serve, scripted):
    server = serve(scripted(rows=3))
    answer = server.get("/health")
    assert answer.status_code == 200
    health = answer.json()
    assert (
        health.items()
        >= {
            "state": "ready",
            "progress": 1.0,
            "reason": None,
            "engine": "scripted",
            "model": "scripted",
            "rehearsal": True,
            "device": "cpu",
            "dtype": "float32",
            "slots": 3,
            "free": 3,
        }.items()
    )
    assert health["instance"] == (server.get("/health")).json()["instance"]


def test_loading_is_told_with_progress_and_callers_are_asked_to_wait(serve, dial, scripted):
    gate = threading.Event()

    def build(report):
        report(0.25, "reading the weights")
        assert gate.wait(20)
        return scripted()

    server = serve(build)
    health = server.until(lambda health: health["progress"] == 0.25)
    assert (health["state"], health["stage"]) == ("loading", "reading the weights")
    assert (server.get("/api/voices")).json() == {
        "voices": [],
        "default": None,
        "state": "loading",
    }
    caller = dial(server.chat)
    code, _ = caller.closed()
    assert code == 1013
    assert "loading (25%)" in caller.of(Kind.ERROR)[0].decode()
    echo = dial(server.chat + "?engine=echo")
    echo.handshake()
    gate.set()
    server.until(lambda health: health["state"] == "ready")


def test_a_model_that_cannot_load_is_told_and_the_echo_still_works(serve, dial):
    def build(report):
        raise ValueError("model.safetensors is cut short")

    server = serve(build)
    health = server.until(lambda health: health["state"] == "failed")
    assert health["reason"] == (
        "The voice model could not be loaded: model.safetensors is cut short."
    )
    caller = dial(server.chat)
    code, _ = caller.closed()
    assert code == 1011
    assert caller.of(Kind.ERROR)[0].decode() == health["reason"]
    echo = dial(server.chat + "?engine=echo")
    echo.handshake()


def test_a_model_that_is_missing_is_told_to_programs_too(serve):
    def build(report):
        raise CheckpointError("model.safetensors is missing from /model; get the model again")

    health = serve(build).until(lambda health: health["state"] == "failed")
    assert health["cause"] == "model"


def test_an_engine_that_keeps_failing_is_given_up(serve, dial, tone, scripted):
    engine = scripted(rows=1)
    server = serve(engine)
    engine.tick_error = RuntimeError("no device")
    for _ in range(3):
        caller = dial(server.chat)
        caller.handshake()
        caller.say(tone(0.08))
        assert (caller.closed())[0] == 1011
        server.until(lambda health: health["free"] == 1 or health["state"] == "failed")
    health = server.until(lambda health: health["state"] == "failed")
    assert "no device" in health["reason"]


def test_voices_are_listed(serve, scripted):
    server = serve(scripted())
    answer = (server.get("/api/voices")).json()
    assert answer["voices"] == [
        {"name": "anna.wav", "label": "anna"},
        {"name": "bert.pt", "label": "bert"},
    ]
    assert answer["default"] == "anna.wav"


def test_voices_that_cannot_be_listed_are_told(serve, scripted):
    class Unlisted(scripted):
        def voices(self):
            raise OSError("the folder is gone")

    answer = serve(Unlisted()).get("/api/voices")
    assert answer.status_code == 500
    assert "the folder is gone" in answer.json()["error"]


def test_status_counts_calls_and_times_ticks(serve, dial, tone, scripted):
    server = serve(scripted())
    caller = dial(server.chat)
    caller.handshake()
    caller.say(tone(0.24))
    caller.until(lambda c: len(c.pcm) == 3)
    status = (server.get("/api/status")).json()
    assert status["served"] == 1
    assert 0 <= status["tick_p50_ms"] <= status["tick_p99_ms"]
    assert status["engines"]["echo"]["served"] == 0
    assert status["state"] == "busy"
    assert status["machine"]["cpu"]["count"] >= 1


def test_ping_needs_nothing(serve):
    server = serve(token=TOKEN)
    assert (server.get("/ping")).text == "pong"


def test_readiness_is_told_as_load_balancers_want_it(serve, scripted):
    gate, also = threading.Event(), {"readiness_path": "/ready"}

    def build(report):
        assert gate.wait(20)
        raise ValueError("no weights")

    failing = serve(build, token=TOKEN, also=also)
    assert failing.get("/ready").status_code == 204
    gate.set()
    failing.until(lambda health: health["state"] == "failed")
    assert failing.get("/ready").status_code == 503
    assert serve(scripted(), token=TOKEN, also=also).get("/ready").status_code == 200


@pytest.mark.parametrize("path", ["/health", "/api/status", "/api/voices"])
def test_routes_ask_for_the_token(serve, path):
    server = serve(token=TOKEN)
    missing = server.get(path)
    assert missing.status_code == 401
    assert "token" in missing.json()["error"]
    wrong = server.get(path, headers={"Authorization": "Bearer correct-horse"})
    assert wrong.status_code == 401
    right = server.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert right.status_code == 200
    assert (server.get(path, params={"token": TOKEN})).status_code == 200


@pytest.mark.parametrize(
    ("query", "options", "chosen"),
    [
        (f"?token={TOKEN}", {}, None),
        ("", {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}}, None),
        ("", {"subprotocols": [TOKEN]}, TOKEN),
        ("", {"subprotocols": [f"token.{TOKEN}", "personaplex"]}, "personaplex"),
    ],
)
def test_callers_may_bring_the_token_in_several_ways(serve, dial, query, options, chosen):
    server = serve(token=TOKEN)
    caller = dial(server.chat + query, **options)
    caller.handshake()
    assert caller.ws.subprotocol == chosen


@pytest.mark.parametrize("query", ["", "?token=wrong", "?token=%C3%A9%00"])
def test_callers_without_the_token_are_told(serve, dial, query):
    server = serve(token=TOKEN)
    caller = dial(server.chat + query)
    code, _ = caller.closed()
    assert code == 1008
    assert "token" in caller.of(Kind.ERROR)[0].decode()
    assert not caller.of(Kind.HANDSHAKE)


def test_unknown_routes_are_not_found(serve):
    server = serve()
    assert (server.get("/api/nothing")).status_code == 404
    assert (server.get("/api/chat")).status_code == 404


def test_requests_that_are_none_leave_nothing_behind(serve, raw_socket, caplog):
    server = serve()
    upgrade = (
        b"GET /api/chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    requests = [
        upgrade,
        upgrade.replace(b"/api/chat", b"/api/chat?seed=none"),
        upgrade.replace(b"/api/chat", b"/api/chat?text_prompt=%ff%fe%00"),
        upgrade.replace(b"/api/chat", b"/nowhere"),
        upgrade.replace(b": 13", b": 12"),
        upgrade + b"\x82\x83\x00\x00\x00\x00\x01ab",
        upgrade + random.Random(4).randbytes(300),
        b"GARBAGE\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    ]
    for request in requests:
        for abruptly in (True, False):
            sock = raw_socket(server.url)
            # The server may hang up on the longest before it is all sent.
            with contextlib.suppress(ConnectionError):
                sock.sendall(request)
            if abruptly:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
    server.until(lambda health: health["free"] == health["slots"] == 8)
    assert server.get("/health").json()["state"] == "ready"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
