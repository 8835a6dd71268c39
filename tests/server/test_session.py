"""One conversation's queues: what is kept, what is dropped, and how it ends."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from personaplex_server.ogg import page_checksum
from personaplex_server.opus import OpusWriter, make_page
from personaplex_server.protocol import FRAME_SECONDS
from personaplex_server.session import (
    EARLY_FRAMES,
    QUEUE_FRAMES,
    SPOKEN_FRAMES,
    Ended,
    Session,
    Spoken,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def spoken(frame: int = 0) -> Spoken:
    return Spoken(None, "", frame, 1.0, 1.0, 0)


def frames_of(tone, seconds: float, level: float = 0.3) -> list[bytes]:
    writer, sound = OpusWriter(), tone(seconds, level=level)
    return [writer.encode(sound[begin : begin + 1920]) for begin in range(0, len(sound), 1920)]


async def test_live_frames_beyond_the_queue_push_out_the_oldest(tone):
    woken = []
    session = Session(1, lambda: woken.append(1))
    session.start()
    for page in frames_of(tone, 0.8):
        session.hear(page)
    assert session.queue == QUEUE_FRAMES
    assert session.dropped == 10 - QUEUE_FRAMES
    assert woken


async def test_it_is_the_newest_frames_that_are_left(tone):
    session = Session(1, lambda: None)
    session.start()
    writer = OpusWriter()
    for number in range(10):
        session.hear(writer.encode(tone(0.08, level=0.05 * (number + 1))))
    left = [float(np.abs(session.take()[0]).max()) for _ in range(QUEUE_FRAMES)]
    assert left == pytest.approx([0.3, 0.35, 0.4, 0.45, 0.5], rel=0.15)
    assert left == sorted(left)


async def test_early_frames_are_kept_up_to_ten_seconds(tone):
    session = Session(1, lambda: None)
    for page in frames_of(tone, 10.4):
        session.hear(page)
    assert session.queue == EARLY_FRAMES
    assert session.dropped == 5


async def test_a_backlog_from_before_the_handshake_is_used_while_the_caller_goes_on(tone):
    session = Session(1, lambda: None)
    pages = frames_of(tone, 4.8)
    for page in pages[:30]:
        session.hear(page)
    session.start()
    for page in pages[30:]:
        session.take()
        session.hear(page)
    assert session.dropped == 0
    assert session.queue == 30


async def test_quiet_frames_of_a_backlog_are_passed_over(tone):
    session = Session(1, lambda: None)
    for page in frames_of(tone, 2.4, level=0.0005):
        session.hear(page)
    session.start()
    ticks = 0
    while session.ready():
        session.take()
        ticks += 1
    assert ticks < 20
    assert ticks + session.dropped == 30


@pytest.mark.parametrize(("level", "seconds"), [(0.3, 16.0), (0.001, 3.2)])
async def test_a_lasting_delay_is_worked_off_sooner_in_silence(tone, clock, level, seconds):
    session = Session(1, lambda: None, clock)
    session.start()
    pages = frames_of(tone, seconds, level)
    for page in pages[:3]:
        session.hear(page)
    for page in pages[3:]:
        clock.now += FRAME_SECONDS
        session.take()
        session.hear(page)
    assert session.queue == 1
    assert session.dropped == 2


async def test_frames_know_how_long_they_waited(tone, clock):
    session = Session(1, lambda: None, clock)
    for page in frames_of(tone, 0.08):
        session.hear(page)
    clock.now += 0.25
    pcm, waited = session.take()
    assert pcm.shape == (1920,)
    assert pcm.dtype == np.float32
    assert waited == pytest.approx(0.25)
    assert session.take() is None


async def test_what_was_said_comes_before_the_end():
    session = Session(1, lambda: None)
    await asyncio.to_thread(Session.say_all, [(session, spoken(7))])
    await asyncio.to_thread(session.end, "Enough.", 1012)
    first = await session.answer()
    assert isinstance(first, Spoken)
    assert first.frame == 7
    assert await session.answer() == Ended("Enough.", 1012)


async def test_one_who_does_not_read_is_noticed():
    session = Session(1, lambda: None)
    for number in range(SPOKEN_FRAMES + 1):
        Session.say_all([(session, spoken(number))])
    ended = await asyncio.wait_for(session.unread(), 5)
    assert ended.unread
    assert (await session.answer()) == ended


def test_the_model_may_speak_after_the_loop_has_gone():
    async def make() -> Session:
        return Session(1, lambda: None)

    session = asyncio.run(make())
    Session.say_all([(session, spoken())])
    session.end("Gone.")


async def test_hours_of_sound_in_one_message_are_not_decoded(clock):
    """A page of 255 packets of one byte, each of which stands for 120 ms."""
    session = Session(1, lambda: None, clock)
    packet = bytes((3 << 3 | 1,))
    page = bytearray(make_page(b"", sequence=0)[:26] + b"\xff" + b"\x01" * 255 + packet * 255)
    page[22:26] = bytes(4)
    page[22:26] = page_checksum(bytes(page)).to_bytes(4, "little")
    began = time.monotonic()
    for _ in range(400):
        session.hear(bytes(page))
    assert time.monotonic() - began < 5
    assert session.dropped > 400 * 255 * 1.5 - 200
    clock.now += 60
    session.start()
    session.hear(bytes(page))
    assert session.queue > 0


async def test_a_new_connection_finds_empty_queues_and_a_fresh_stream(tone):
    session = Session(1, lambda: None)
    session.start()
    for page in frames_of(tone, 0.24):
        session.hear(page)
    Session.say_all([(session, spoken())])
    await asyncio.sleep(0)
    session.rejoin()
    assert (session.queue, session.dropped) == (0, 4)
    for page in frames_of(tone, 0.16):
        session.hear(page)
    assert session.queue == 2


async def test_what_was_said_in_line_is_not_counted(tone):
    session = Session(1, lambda: None)
    for page in frames_of(tone, 0.24):
        session.hear(page)
    session.forget()
    assert (session.queue, session.dropped) == (0, 0)


async def test_quiet_is_measured_from_the_last_sound(tone, clock):
    session = Session(1, lambda: None, clock)
    session.start()
    clock.now += 3
    for page in frames_of(tone, 0.16, level=0.0005):
        session.hear(page)
    assert session.quiet_s() == 3
    for page in frames_of(tone, 0.16):
        session.hear(page)
    assert session.quiet_s() == 0
