"""Waiting for a seat: who is next, what the waiting are told, and that nobody waits for nothing."""

from __future__ import annotations

import threading

import pytest

from personaplex_server import chat, line
from personaplex_server.protocol import Kind


@pytest.fixture(autouse=True)
def _brisk(monkeypatch):
    monkeypatch.setattr(line, "_SIGN_OF_LIFE_S", 0.1)
    monkeypatch.setattr(chat, "_WORDS_EVERY_S", 0.0)


def words(caller) -> str:
    return b"".join(caller.of(Kind.TEXT)).decode()


def test_callers_are_seated_in_the_order_in_which_they_came(serve, dial, scripted):
    server = serve(scripted(), max_wait_s=30)
    first = dial(server.chat)
    first.handshake()
    second, third = dial(server.chat), None
    server.until(lambda health: health["queue"] == 1)
    third = dial(server.chat)
    server.until(lambda health: health["queue"] == 2)
    second.until(lambda c: "You are first in line." in words(c))
    third.until(lambda c: "You are second in line." in words(c))
    first.hang_up()
    second.handshake()
    third.until(lambda c: "You are first in line." in words(c))
    assert not third.of(Kind.HANDSHAKE)
    second.hang_up()
    third.handshake()
    assert server.service.health()["queue"] == 0
    assert not third.of(Kind.METADATA)


def test_who_asks_for_figures_is_told_the_place_in_figures(serve, dial, scripted):
    server = serve(scripted(), max_wait_s=30)
    dial(server.chat).handshake()
    waiter = dial(server.chat + "?metadata=1")
    waiter.until(lambda c: len(c.figures()) >= 2)
    first = waiter.figures()[0]
    assert set(first) == {"position", "waiting", "waited_s", "max_wait_s"}
    assert (first["position"], first["waiting"], first["max_wait_s"]) == (1, 1, 30)
    assert not waiter.of(Kind.TEXT)


def test_words_are_told_once_a_place_and_pings_between(serve, dial, scripted):
    server = serve(scripted(), max_wait_s=30)
    dial(server.chat).handshake()
    waiter = dial(server.chat)
    waiter.until(lambda c: len(c.of(Kind.PING)) >= 4)
    assert waiter.of(Kind.TEXT) == [b"All lines are taken. You are first in line. "]


def test_the_waiting_ends(serve, dial, scripted):
    server = serve(scripted(), max_wait_s=0.4)
    dial(server.chat).handshake()
    waiter = dial(server.chat)
    code, reason = waiter.closed()
    assert code == 1013
    assert "0.4 seconds" in waiter.of(Kind.ERROR)[0].decode()
    assert reason.startswith("No call has ended")
    assert server.service.health()["queue"] == 0


def test_who_calls_again_at_once_is_not_told_that_the_server_is_busy(
    serve, dial, scripted, monkeypatch
):
    monkeypatch.setattr(line, "_REDIAL_S", 20.0)
    server = serve(scripted())
    first = dial(server.chat)
    first.handshake()
    again = dial(server.chat)
    server.until(lambda health: health["queue"] == 1)
    first.hang_up()
    again.handshake()
    assert not again.of(Kind.ERROR)
    assert not again.of(Kind.TEXT)


def test_where_nobody_may_wait_a_full_server_says_so_soon(serve, dial, scripted, monkeypatch):
    monkeypatch.setattr(line, "_REDIAL_S", 0.1)
    server = serve(scripted())
    dial(server.chat).handshake()
    for caller in [dial(server.chat), dial(server.chat)]:
        code, reason = caller.closed()
        assert code == 1013
        assert "is full" in reason
        assert not caller.of(Kind.PING)


def test_one_who_leaves_the_line_lets_the_others_up(serve, dial, scripted):
    server = serve(scripted(), max_wait_s=30)
    dial(server.chat).handshake()
    leaver = dial(server.chat)
    server.until(lambda health: health["queue"] == 1)
    other = dial(server.chat)
    other.until(lambda c: "second" in words(c))
    leaver.drop()
    other.until(lambda c: "first" in words(c))
    assert server.service.health()["queue"] == 1


def test_what_is_said_in_line_is_put_away_but_its_stream_goes_on(serve, dial, tone, scripted):
    """A stream's headers come once; who begins to send at once must be understood later."""
    engine = scripted()
    server = serve(engine, max_wait_s=30)
    first = dial(server.chat)
    first.handshake()
    waiter = dial(server.chat)
    server.until(lambda health: health["queue"] == 1)
    waiter.say(tone(0.4))
    first.hang_up()
    waiter.handshake()
    waiter.say(tone(0.4))
    waiter.until(lambda c: len(c.pcm) >= 5)
    assert len(engine.heard[0]) <= 6
    assert not waiter.of(Kind.ERROR)


def test_the_line_forms_while_the_model_loads(serve, dial, scripted):
    gate = threading.Event()

    def build(report):
        assert gate.wait(20)
        return scripted()

    server = serve(build, max_wait_s=30)
    waiter = dial(server.chat)
    server.until(lambda health: health["queue"] == 1)
    gate.set()
    waiter.handshake()


def test_a_model_that_fails_ends_the_waiting(serve, dial):
    gate = threading.Event()

    def build(report):
        assert gate.wait(20)
        raise ValueError("no weights")

    server = serve(build, max_wait_s=30)
    waiter = dial(server.chat)
    server.until(lambda health: health["queue"] == 1)
    gate.set()
    assert waiter.closed()[0] == 1011
    assert "no weights" in waiter.of(Kind.ERROR)[0].decode()


def test_a_full_line_is_told(serve, dial, scripted, monkeypatch):
    monkeypatch.setattr(line, "LONGEST", 1)
    server = serve(scripted(), max_wait_s=30)
    dial(server.chat).handshake()
    dial(server.chat)
    server.until(lambda health: health["queue"] == 1)
    third = dial(server.chat)
    assert third.closed()[0] == 1013
    assert "waiting line is full" in third.of(Kind.ERROR)[0].decode()


def test_stopping_ends_the_waiting(serve, dial, scripted):
    server = serve(scripted(), max_wait_s=30)
    dial(server.chat).handshake()
    waiter = dial(server.chat)
    server.until(lambda health: health["queue"] == 1)
    server.service.engines["scripted"].stop()
    assert waiter.closed()[0] == 1012
    assert "stopping" in waiter.of(Kind.ERROR)[0].decode()
