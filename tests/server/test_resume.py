"""A broken connection: the row waits for its caller, who goes on in the same conversation, and for nobody else."""

from __future__ import annotations

import threading

import pytest

from personaplex_server.protocol import Kind


def begin(dial, server, query: str = "resume=1"):
    caller = dial(f"{server.chat}?{query}")
    caller.handshake()
    caller.until(lambda c: bool(c.figures()))
    return caller, caller.figures()[0]["resume"]


def test_a_caller_comes_back_into_the_same_conversation(serve, dial, tone, scripted):
    engine = scripted(rows=2)
    server = serve(engine)
    dial(server.chat).handshake()
    caller, token = begin(dial, server, "resume=1&metadata=1")
    assert caller.figures()[0] == {"resume": token, "slot": 1, "frame": 0, "dropped": 0}
    caller.say(tone(0.4))
    caller.until(lambda c: len(c.pcm) == 5)
    caller.drop()
    again = dial(f"{server.chat}?resume={token}&metadata=1")
    again.handshake()
    again.say(tone(0.4))
    again.until(lambda c: len(c.pcm) == 5)
    again.until(lambda c: len(c.figures()) >= 2)
    offer, figures = again.figures()[:2]
    assert (offer["frame"], offer["dropped"]) == (5, 0), (
        "the number of the first frame after the break"
    )
    assert figures["at_ms"] > 0
    assert figures["resume"] == token
    assert figures["slot"] == 1
    assert figures["frame"] >= 5
    assert figures["lag_ms"] < 400
    assert len(engine.personas) == 2
    assert len(engine.heard[1]) == 10
    assert not engine.closed
    again.hang_up()
    server.until(lambda health: health["free"] == 1)
    assert server.service.reception.conversations.parked == 0


def test_the_row_is_kept_for_a_while_only(serve, dial, scripted):
    server = serve(scripted(), resume_s=0.5)
    caller, token = begin(dial, server)
    caller.drop()
    assert server.service.health()["state"] == "busy"
    server.until(lambda health: health["free"] == 1)
    late = dial(f"{server.chat}?resume={token}")
    assert late.closed()[0] == 1008
    assert "is over" in late.of(Kind.ERROR)[0].decode()


def test_one_who_hangs_up_is_not_waited_for(serve, dial, scripted):
    server = serve(scripted())
    caller, token = begin(dial, server)
    caller.hang_up()
    server.until(lambda health: health["free"] == 1)
    assert dial(f"{server.chat}?resume={token}").closed()[0] == 1008


def test_a_conversation_is_taken_over_from_a_connection_that_seems_alive(
    serve, dial, tone, scripted
):
    engine = scripted()
    server = serve(engine)
    caller, token = begin(dial, server)
    again = dial(f"{server.chat}?resume={token}")
    again.handshake()
    again.say(tone(0.16))
    again.until(lambda c: len(c.pcm) == 2)
    assert caller.closed()[0] == 1006
    assert server.service.health()["free"] == 0
    assert not engine.closed


def test_frames_that_reached_nobody_are_counted_and_not_said_late(serve, dial, tone, scripted):
    engine = scripted()
    server = serve(engine)
    caller, token = begin(dial, server)
    caller.say(tone(0.4), pace=0)
    caller.drop()
    server.until(lambda _: server.service.reception.conversations.parked == 1)
    again = dial(f"{server.chat}?resume={token}&metadata=1")
    again.handshake()
    again.say(tone(0.4))
    again.until(lambda c: len(c.pcm) >= 5)
    assert len(again.pcm) == 5
    again.until(lambda c: len(c.figures()) >= 2)
    assert again.figures()[1]["lag_ms"] < 200
    assert again.figures()[0]["dropped"] >= 1


@pytest.mark.parametrize("query", ["", "?metadata=1"])
def test_who_does_not_ask_is_given_no_token_and_no_row_is_kept(serve, dial, query, scripted):
    server = serve(scripted())
    caller = dial(server.chat + query)
    caller.handshake()
    caller.drop()
    server.until(lambda health: health["free"] == 1, seconds=5)


def test_resuming_can_be_off(serve, dial, scripted):
    server = serve(scripted(), resume_s=0)
    caller = dial(server.chat + "?resume=1")
    caller.handshake()
    caller.drop()
    server.until(lambda health: health["free"] == 1, seconds=5)
    assert not caller.of(Kind.METADATA)


def test_a_made_up_token_opens_nothing(serve, dial, scripted):
    server = serve(scripted())
    stranger = dial(server.chat + "?resume=AAAAAAAAAAAAAAAAAAAAAA")
    assert stranger.closed()[0] == 1008
    assert server.service.health()["free"] == 1


def test_a_kept_conversation_whose_model_broke_is_told_on_return(serve, dial, tone, scripted):
    begun, may_break = threading.Event(), threading.Event()

    class Breaking(scripted):
        def tick(self, frames):
            begun.set()
            assert may_break.wait(20)
            raise RuntimeError("the card fell off")

    server = serve(Breaking())
    caller, token = begin(dial, server)
    caller.say(tone(0.08), pace=0)
    assert begun.wait(20)
    caller.drop()
    server.until(lambda _: server.service.reception.conversations.parked == 1)
    may_break.set()
    again = dial(f"{server.chat}?resume={token}")
    code, _ = again.closed()
    assert code in {1008, 1011}
    assert again.of(Kind.ERROR)
    server.until(lambda health: health["free"] == 1)


def test_calls_end_at_their_limit_in_words(serve, dial, tone, monkeypatch):
    monkeypatch.setattr("personaplex_server.chat._LOOK_S", 0.02)
    server = serve(max_call_s=0.4)
    caller = dial(server.chat)
    caller.handshake()
    code, _ = caller.closed()
    assert code == 1000
    assert "0.4 seconds" in caller.of(Kind.ERROR)[0].decode()
    server.until(lambda health: health["free"] == 8)


def test_silent_callers_are_hung_up_on_and_talkers_are_not(serve, dial, tone, monkeypatch):
    monkeypatch.setattr("personaplex_server.chat._LOOK_S", 0.02)
    server = serve(max_idle_s=0.8)
    talker, silent = dial(server.chat), dial(server.chat)
    talker.handshake()
    silent.handshake()
    talker.say(tone(1.2))
    assert silent.closed()[0] == 1000
    assert "microphone" in silent.of(Kind.ERROR)[0].decode()
    assert not talker.of(Kind.ERROR)
