"""A caller's view of `/api/chat`: what is sent, what comes back, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import json
import struct
import time

import numpy as np
import pytest
import sphn
from websockets.frames import Frame, Opcode

from personaplex_server.engines.base import Sampling
from personaplex_server.protocol import MAX_MESSAGE_BYTES, Kind


def test_a_caller_without_any_query_is_answered(serve, dial, tone):
    server = serve()
    caller = dial(server.chat)
    caller.handshake()
    assert caller.messages[0] == (Kind.HANDSHAKE, b"")
    caller.say(tone(1.2))
    caller.until(lambda c: len(c.pcm) == 15)
    heard = np.concatenate(caller.pcm)
    assert heard.shape == (15 * 1920,)
    assert np.sqrt(np.mean(heard[4 * 1920 :] ** 2)) == pytest.approx(0.3 / 2**0.5, rel=0.1)


def test_answers_leave_one_by_one_and_never_in_a_burst(serve, dial, tone):
    server = serve()
    caller = dial(server.chat)
    caller.handshake()
    caller.say(tone(0.4), pace=0)
    caller.until(lambda c: len(c.pcm) >= 5)
    # Four steps of at least 60 ms, with allowance for a first one that was seen late.
    assert caller.times[4] - caller.times[0] > 0.15


def test_what_is_said_before_the_handshake_is_heard(serve, dial, tone, scripted):
    engine = scripted()
    engine.gate.clear()
    server = serve(engine)
    caller = dial(server.chat)
    caller.say(tone(1.2), pace=0)
    assert not caller.messages
    engine.gate.set()
    caller.until(lambda c: len(c.pcm) == 15)
    assert caller.messages[0][0] is Kind.HANDSHAKE
    assert len(engine.heard[0]) == 15
    assert server.service.engines["scripted"].status().dropped == 0


def test_parameters_reach_the_engine(serve, dial, scripted):
    engine = scripted()
    server = serve(engine)
    caller = dial(
        server.chat
        + "?voice_prompt=bert.pt&text_prompt=You%20are%20kind.&seed=7&text_temperature=0"
        "&text_topk=3&audio_temperature=1.5&audio_topk=9&pad_mult=1&repetition_penalty=1"
    )
    caller.handshake()
    (persona,) = engine.personas
    assert (persona.voice, persona.text) == ("bert.pt", "You are kind.")
    assert persona.sampling == Sampling(0.0, 3, 1.5, 9, 7)


def test_empty_parameters_take_their_defaults(serve, dial, scripted):
    engine = scripted()
    server = serve(engine)
    query = "&".join(
        f"{name}=" for name in ("voice_prompt", "text_prompt", "seed", "text_topk", "audio_topk")
    )
    caller = dial(f"{server.chat}?{query}&seed=-1")
    caller.handshake()
    (persona,) = engine.personas
    assert persona.voice is None
    assert persona.text == ""
    assert persona.sampling == Sampling()


def test_a_long_role_in_another_script_fits(serve, dial, scripted):
    engine = scripted()
    server = serve(engine)
    caller = dial(server.chat + "?text_prompt=" + "%E8%AA%9E" * 8000)
    caller.handshake()
    assert engine.personas[0].text == "語" * 8000


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("seed=x", "seed"),
        ("seed=1.5", "seed"),
        (f"seed={2**63}", "seed"),
        ("text_temperature=nan", "text_temperature"),
        ("audio_temperature=-1", "audio_temperature"),
        ("text_topk=many", "text_topk"),
        ("audio_topk=-3", "audio_topk"),
        ("text_prompt=" + "a" * 8001, "8000"),
        ("voice_prompt=..%2Fsecret.pt", "voice_prompt"),
        ("voice_prompt=..%5Csecret.pt", "voice_prompt"),
        ("voice_prompt=%2Fetc%2Fpasswd", "voice_prompt"),
        ("voice_prompt=a%00b.pt", "voice_prompt"),
        ("voice_prompt=nobody.pt", "nobody.pt"),
        ("engine=none", "engine"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(serve, dial, scripted, query, word):
    server = serve(scripted())
    caller = dial(f"{server.chat}?{query}")
    code, reason = caller.closed()
    assert code == 1008
    (told,) = caller.of(Kind.ERROR)
    assert word in told.decode()
    assert told.decode().endswith(".")
    assert caller.of(Kind.TEXT) == [told]
    assert told.decode().startswith(reason)
    assert server.service.health()["free"] == 1


def test_a_released_voice_that_is_not_here_is_replaced_by_the_default(serve, dial, scripted):
    engine = scripted()
    server = serve(engine)
    caller = dial(server.chat + "?voice_prompt=NATF0.pt")
    caller.handshake()
    assert engine.personas[0].voice is None


def test_the_habits_of_livekit_s_plugin(serve, dial, tone, scripted):
    """It sends a seed, and sound in pieces of 100 ms before any handshake; half a second of silence ends a turn."""
    engine = scripted()
    engine.gate.clear()
    engine.text = " héllo"
    server = serve(engine)
    caller = dial(server.chat + "?voice_prompt=NATF2.pt&text_prompt=You%20are%20kind.&seed=42")
    sound = tone(4.8)
    pieces = [
        b"\x01" + caller.writer.append_pcm(sound[i : i + 2400]) for i in range(0, len(sound), 2400)
    ]
    for piece in pieces[:12]:
        caller.send(piece)
    assert not caller.messages
    engine.gate.set()
    for piece in pieces[12:]:
        time.sleep(0.1)
        caller.send(piece)
    caller.until(lambda c: len(c.pcm) >= 45)
    (persona,) = engine.personas
    assert (persona.voice, persona.text, persona.sampling.seed) == (None, "You are kind.", 42)
    assert caller.messages[0] == (Kind.HANDSHAKE, b"")
    assert {kind for kind, _ in caller.messages} == {Kind.HANDSHAKE, Kind.AUDIO, Kind.TEXT}
    assert np.quantile(np.diff(caller.times), 0.9) < 0.5


def test_words_come_as_text(serve, dial, tone, scripted):
    engine = scripted()
    engine.text = " héllo"
    server = serve(engine)
    caller = dial(server.chat)
    caller.handshake()
    caller.say(tone(0.08))
    caller.until(lambda c: bool(c.of(Kind.TEXT)))
    assert caller.of(Kind.TEXT) == [" héllo".encode()]


def test_figures_come_only_when_asked_for(serve, dial, tone):
    server = serve()
    asks, silent = dial(server.chat + "?metadata=1"), dial(server.chat)
    for caller in (asks, silent):
        caller.handshake()
        caller.say(tone(0.16))
        caller.until(lambda c: len(c.pcm) == 2)
    asks.until(lambda c: bool(c.of(Kind.METADATA)))
    figures = json.loads(asks.of(Kind.METADATA)[0])
    assert set(figures) == {
        "tick_ms",
        "lag_ms",
        "queue",
        "dropped",
        "frame",
        "at_ms",
        "slot",
        "resume",
    }
    assert figures["frame"] == 0
    assert figures["slot"] == 0
    assert figures["resume"] is None
    assert not silent.of(Kind.METADATA)


def test_strange_messages_are_ignored(serve, dial, tone):
    server = serve()
    caller = dial(server.chat)
    caller.handshake()
    for strange in (
        "words",
        b"",
        b"\x07\x00",
        b"\xff",
        b"\x03\x09",
        b"\x04{",
        b"\x06",
        b"\x00",
        b"\x01",
    ):
        caller.send(strange)
    caller.say(tone(0.4))
    caller.until(lambda c: len(c.pcm) == 5)
    assert not caller.of(Kind.ERROR)


def test_a_message_too_big_ends_the_call_and_frees_the_row(serve, dial, scripted):
    server = serve(scripted())
    caller = dial(server.chat)
    caller.handshake()
    caller.send(b"\x01" + bytes(MAX_MESSAGE_BYTES))
    code, reason = caller.closed()
    assert code == 1009
    assert "larger than 1 MB" in reason
    assert caller.of(Kind.ERROR) == [reason.encode()]
    server.until(lambda health: health["free"] == 1)


def test_junk_instead_of_ogg_is_told(serve, dial):
    server = serve()
    caller = dial(server.chat)
    caller.handshake()
    caller.send(b"\x01" + bytes(range(256)) * 300)
    code, _ = caller.closed()
    assert code == 1008
    assert "Ogg Opus" in caller.of(Kind.ERROR)[0].decode()


def test_a_broken_page_costs_its_own_sound_only(serve, dial, tone):
    server = serve()
    caller = dial(server.chat)
    caller.handshake()
    caller.say(tone(0.16))
    damaged = bytearray(caller.writer.append_pcm(tone(0.08)))
    damaged[40] ^= 0xFF
    caller.send(b"\x01" + bytes(damaged))
    caller.send(b"\x01OggS\x00\x00junk")
    caller.say(tone(0.8))
    caller.until(lambda c: len(c.pcm) >= 12)
    assert not caller.of(Kind.ERROR)


def test_a_second_caller_is_told_that_the_server_is_busy(serve, dial, scripted):
    server = serve(scripted())
    first = dial(server.chat)
    first.handshake()
    assert server.service.health()["state"] == "busy"
    second = dial(server.chat)
    code, _ = second.closed()
    assert code == 1013
    assert "busy" in second.of(Kind.ERROR)[0].decode()
    assert second.of(Kind.TEXT) == second.of(Kind.ERROR)
    first.hang_up()
    server.until(lambda health: health["state"] == "ready")
    third = dial(server.chat)
    third.handshake()


def test_a_connection_that_breaks_frees_its_row(serve, dial, tone, scripted):
    engine = scripted()
    server = serve(engine)
    caller = dial(server.chat)
    caller.handshake()
    caller.say(tone(0.16))
    caller.drop()
    server.until(lambda health: health["free"] == 1)
    assert engine.closed == [0]


def test_one_who_leaves_during_the_prompt_frees_the_row(serve, dial, scripted):
    engine = scripted()
    engine.gate.clear()
    server = serve(engine)
    caller = dial(server.chat)
    server.until(lambda health: health["free"] == 0)
    caller.hang_up()
    engine.gate.set()
    server.until(lambda health: health["free"] == 1)


def test_one_who_does_not_read_is_cut_off_and_disturbs_nobody(
    serve, dial, tone, scripted, raw_socket, elsewhere, caplog
):
    engine = scripted(rows=2)
    # Many words fill the buffers between here and there sooner than sound does.
    engine.text = "word " * 600
    server = serve(engine)
    deaf = raw_socket(server.url)
    deaf.sendall(
        b"GET /api/chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    other = dial(server.chat)
    other.handshake()
    noise = np.random.default_rng(1).uniform(-1, 1, 1920 * 10).astype(np.float32)
    writer = sphn.OpusStreamWriter(24_000)
    deaf.setblocking(False)

    async def shout() -> None:
        while True:
            for begin in range(0, len(noise), 1920):
                payload = b"\x01" + writer.append_pcm(noise[begin : begin + 1920])
                frame = Frame(Opcode.BINARY, payload).serialize(mask=True)
                await elsewhere.loop.sock_sendall(deaf, frame)
                await asyncio.sleep(0.08)

    tasks = [elsewhere.start(shout()), elsewhere.start(other.saying(tone(90)))]
    server.until(lambda health: health["free"] == 0)
    server.until(lambda health: health["free"] == 1, seconds=60)
    for task in tasks:
        task.cancel()
    assert "caller does not read" in caplog.text
    assert len(other.times) > 50
    assert other.is_undisturbed()


def test_a_silent_caller_gets_signs_of_life(serve, dial, monkeypatch):
    monkeypatch.setattr("personaplex_server.chat._SIGN_OF_LIFE_S", 0.05)
    server = serve()
    caller = dial(server.chat)
    caller.until(lambda c: len(c.of(Kind.PING)) >= 2)
    assert caller.messages[0][0] is Kind.HANDSHAKE


def test_hasty_callers_lose_the_oldest_frames(serve, dial, tone, scripted):
    engine = scripted()
    server = serve(engine)
    caller = dial(server.chat)
    caller.handshake()
    caller.say(tone(2.0), pace=0)
    caller.until(lambda c: len(c.pcm) >= 5)
    time.sleep(0.3)
    status = server.service.engines["scripted"].status()
    assert status.dropped + len(engine.heard[0]) == 25
    assert 5 <= len(engine.heard[0]) <= 8


def test_what_is_dropped_and_how_late_it_is_are_told(serve, dial, tone, scripted):
    class Late(scripted):
        def tick(self, frames):
            time.sleep(0.02)
            return super().tick(frames)

    engine = Late()
    server = serve(engine)
    caller = dial(server.chat + "?metadata=1")
    caller.handshake()
    caller.say(tone(2.0), pace=0)
    caller.until(lambda c: any(each["dropped"] for each in c.figures()))
    caller.say(tone(1.6))
    caller.until(lambda c: c.figures()[-1]["frame"] > 10)
    last = caller.figures()[-1]
    assert last["dropped"] == server.service.engines["scripted"].status().dropped >= 15
    assert last["tick_ms"] >= 20
    assert all(each["lag_ms"] >= each["tick_ms"] for each in caller.figures())
    assert any(each["queue"] > 0 for each in caller.figures())
    assert [each["frame"] for each in caller.figures()] == sorted(
        each["frame"] for each in caller.figures()
    )


def test_a_failing_model_ends_the_call_in_words(serve, dial, tone, scripted):
    engine = scripted()
    server = serve(engine)
    caller = dial(server.chat)
    caller.handshake()
    engine.tick_error = RuntimeError("the card fell off")
    caller.say(tone(0.08))
    code, _ = caller.closed()
    assert code == 1011
    assert "the card fell off" in caller.of(Kind.ERROR)[0].decode()
    engine.tick_error = None
    server.until(lambda health: health["free"] == 1)
    again = dial(server.chat)
    again.handshake()


def test_a_failing_prompt_is_told(serve, dial, scripted):
    engine = scripted()
    engine.open_error = RuntimeError("out of memory")
    server = serve(engine)
    caller = dial(server.chat)
    code, _ = caller.closed()
    assert code == 1011
    assert "out of memory" in caller.of(Kind.ERROR)[0].decode()
    server.until(lambda health: health["free"] == 1)


def test_packets_of_any_length_are_answered_in_frames(serve, dial, tone, scripted):
    engine = scripted()
    server = serve(engine)
    caller = dial(server.chat)
    caller.handshake()
    stream = b"".join(
        caller.writer.append_pcm(tone(0.8)[begin : begin + 960]) for begin in range(0, 19200, 960)
    )
    for begin in range(0, len(stream), 100):
        caller.send(b"\x01" + stream[begin : begin + 100])
        time.sleep(0.8 * 100 / len(stream))
    caller.until(lambda c: len(c.pcm) == 10)
    assert struct.unpack_from("<I", stream, 14)[0] == 42


def test_the_web_page_is_told_to_talk_when_it_listens_and_others_at_once(
    serve, dial, scripted, monkeypatch
):
    monkeypatch.setattr("personaplex_server.chat._PAGE_WARM_UP_S", 1.5)
    server = serve(scripted(rows=2))
    began = time.monotonic()
    dial(server.chat).handshake()
    assert time.monotonic() - began < 1.4
    began = time.monotonic()
    dial(server.chat + "?pad_mult=0").handshake()
    assert time.monotonic() - began >= 1.5
