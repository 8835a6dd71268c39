from __future__ import annotations

import itertools

import numpy as np
import pytest
import sphn

from personadesk.voice.levels import dbfs
from personadesk.voice.opus import PACKET_SAMPLES, OpusDecoder, OpusEncoder


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * 24_000)) / 24_000)).astype(
        np.float32
    )


@pytest.fixture
def messages() -> list[bytes]:
    """One second of tone as a server of this family sends it: two pages of 40 ms in each message."""
    writer = sphn.OpusStreamWriter(24_000)
    pcm = tone(1.04)
    return [writer.append_pcm(pcm[at : at + 1920]) for at in range(0, 24_960, 1920)]


def test_the_encoder_gives_one_whole_page_for_each_40_ms() -> None:
    encoder = OpusEncoder()
    first = encoder.encode(tone(0.04))
    assert first.count(b"OggS") == 3, "two header pages and one of sound"
    second = encoder.encode(tone(0.04))
    assert second.startswith(b"OggS")
    assert second.count(b"OggS") == 1
    assert encoder.encode(tone(0.02)) == b""
    assert encoder.encode(tone(0.02)).count(b"OggS") == 1


def test_what_was_encoded_is_heard_again() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    pcm = tone(1.0)
    heard = [
        decoder.decode(encoder.encode(pcm[at : at + PACKET_SAMPLES]))
        for at in range(0, len(pcm), PACKET_SAMPLES)
    ]
    sound = np.concatenate(heard)
    assert len(sound) == len(pcm)
    assert dbfs(sound[4800:]) == pytest.approx(dbfs(pcm), abs=1.0)


@pytest.mark.parametrize("size", [1, 7, 100, 333, 5000])
def test_pages_may_be_cut_and_glued_anywhere(messages: list[bytes], size: int) -> None:
    whole = OpusDecoder().decode(b"".join(messages))
    stream, decoder = b"".join(messages), OpusDecoder()
    parts = [decoder.decode(stream[at : at + size]) for at in range(0, len(stream), size)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert len(whole) == 13 * 1920
    assert decoder.skipped_bytes == decoder.bad_pages == 0


@pytest.mark.parametrize(
    "junk", [b"x", b"junk" * 50, b"OggS\x07", b"Ogg", b"OggS" + bytes([0] * 22) + b"\xff"]
)
def test_stray_bytes_cost_at_most_the_page_they_hit(messages: list[bytes], junk: bytes) -> None:
    decoder = OpusDecoder()
    stream = [*messages[:4], junk, *messages[4:]]
    sound = sum(len(decoder.decode(part)) for part in stream)
    assert sound >= 11 * 1920
    assert decoder.skipped_bytes + decoder.bad_pages > 0


def test_a_broken_packet_does_not_end_the_call(messages: list[bytes]) -> None:
    decoder = OpusDecoder()
    broken = bytearray(messages[5])
    broken[27] = 255
    lengths = [len(decoder.decode(part)) for part in [*messages[:5], bytes(broken), *messages[6:]]]
    assert sum(lengths[-4:]) == 4 * 1920


def test_a_server_may_begin_its_stream_anew(messages: list[bytes]) -> None:
    decoder = OpusDecoder()
    sound = [len(decoder.decode(part)) for part in itertools.chain(messages, messages)]
    assert sum(sound) == 26 * 1920


def test_sound_without_headers_is_no_error() -> None:
    writer = sphn.OpusStreamWriter(24_000)
    writer.append_pcm(tone(0.08))
    decoder = OpusDecoder()
    decoder.decode(writer.append_pcm(tone(0.08)))
    assert decoder.skipped_bytes == 0
