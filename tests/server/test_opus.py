"""Ogg Opus streams, whole and maltreated."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import opuslib_next
import pytest
import sphn

from personaplex_server.ogg import page_checksum
from personaplex_server.opus import (
    BROKEN_LIMIT,
    JUNK_LIMIT,
    OpusError,
    OpusReader,
    OpusWriter,
    make_page,
    packet_samples,
)


def pages(stream: bytes) -> list[bytes]:
    found, position = [], 0
    while position < len(stream):
        assert stream[position : position + 4] == b"OggS"
        segments = stream[position + 26]
        size = 27 + segments + sum(stream[position + 27 : position + 27 + segments])
        found.append(stream[position : position + size])
        position += size
    assert position == len(stream)
    return found


def packets(stream: bytes) -> list[bytes]:
    return [page[27 + page[26] :] for page in pages(stream)]


def heard(reader: OpusReader, *parts: bytes) -> np.ndarray:
    pieces = [pcm for part in parts for pcm in reader.feed(part)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def repaged(page: bytes, **changes: int) -> bytes:
    """Return a page with fields of its header changed and its checksum right again."""
    new = bytearray(page)
    for name, value in changes.items():
        if name == "granule":
            struct.pack_into("<q", new, 6, value)
        elif name == "serial":
            struct.pack_into("<I", new, 14, value)
        elif name == "flags":
            new[5] = value
    struct.pack_into("<I", new, 22, 0)
    struct.pack_into("<I", new, 22, page_checksum(bytes(new)))
    return bytes(new)


def page_of(packet: bytes) -> bytes:
    """Return a page that goes on the stream of the fixtures."""
    return repaged(make_page(packet, sequence=9), serial=42)


def page_with(packets: list[bytes], sequence: int) -> bytes:
    """Return a page of several packets that goes on the stream of the fixtures."""
    lacing = b"".join(b"\xff" * (len(each) // 255) + bytes((len(each) % 255,)) for each in packets)
    head = make_page(b"", sequence=sequence)[:26]
    return repaged(head + bytes((len(lacing),)) + lacing + b"".join(packets), serial=42)


@pytest.fixture
def sound(tone):
    return tone(2.0)


@pytest.fixture
def stream(sound):
    writer = OpusWriter()
    return [writer.encode(sound[begin : begin + 1920]) for begin in range(0, len(sound), 1920)]


@pytest.fixture
def plain(stream):
    """What an untouched stream decodes to by another build of the codec, which stock clients use."""
    return np.clip(sphn.OpusStreamReader(24_000).append_bytes(b"".join(stream)), -1, 1)


def test_each_frame_becomes_whole_pages_headers_first(stream):
    first = packets(stream[0])
    assert first[0].startswith(b"OpusHead")
    assert first[1].startswith(b"OpusTags")
    for frame in stream:
        assert sum(packet_samples(p) for p in packets(frame) if not p.startswith(b"Opus")) == 1920
    assert sum(page.startswith(b"OggS\x00\x02") for frame in stream for page in pages(frame)) == 1


def test_sound_survives_the_way_there_and_back(stream, sound, plain):
    out = heard(OpusReader(), *stream)
    assert len(out) == len(sound)
    np.testing.assert_allclose(out, plain, atol=1e-6)


def test_checksums_are_those_of_ogg(stream):
    for page in pages(b"".join(stream[:3])):
        bare = page[:22] + bytes(4) + page[26:]
        assert page_checksum(bare) == struct.unpack_from("<I", page, 22)[0]


@pytest.mark.parametrize("cut", [1, 7, 100, 1000])
def test_any_cut_gives_the_same_sound(stream, plain, cut):
    whole = b"".join(stream)
    parts = [whole[begin : begin + cut] for begin in range(0, len(whole), cut)]
    np.testing.assert_allclose(heard(OpusReader(), *parts), plain, atol=1e-6)


@pytest.mark.parametrize("pieces", [60, 480, 1440, 2400])
def test_the_stock_writer_may_be_given_sound_in_any_pieces(sound, pieces):
    writer = sphn.OpusStreamWriter(24_000)
    usable = len(sound) // pieces * pieces
    parts = [writer.append_pcm(sound[i : i + pieces]) for i in range(0, usable, pieces)]
    out = heard(OpusReader(), *parts)
    assert abs(len(out) - usable) <= 2880


@pytest.mark.parametrize("milliseconds", [2.5, 5, 10, 20, 40, 60, 80, 100, 120])
@pytest.mark.parametrize("mode", ["voip", "audio", "restricted_lowdelay"])
def test_packets_of_every_length_are_taken(sound, stream, milliseconds, mode):
    """As every mode of the codec makes them, three to a page, cut anywhere; the stock reader hears the same."""
    encoder = opuslib_next.Encoder(24_000, 1, mode)
    encoder.bitrate = 24_000 if mode == "voip" else 96_000
    samples = round(24 * milliseconds)
    packets = [
        encoder.encode_float(sound[begin : begin + samples].tobytes(), samples)
        for begin in range(0, len(sound) // samples * samples, samples)
    ]
    assert {packet_samples(packet) for packet in packets} == {samples}
    headers = b"".join(pages(stream[0])[:2])
    whole = headers + b"".join(
        page_with(packets[first : first + 3], sequence=2 + first)
        for first in range(0, len(packets), 3)
    )
    cuts = sorted(np.random.default_rng(1).integers(0, len(whole), 40).tolist())
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    out = heard(OpusReader(), *parts)
    assert len(out) == len(packets) * samples
    stock = np.clip(sphn.OpusStreamReader(24_000).append_bytes(whole), -1, 1)
    np.testing.assert_allclose(out, stock, atol=1e-6)


def test_packets_of_120_ms_are_taken(stream):
    """Two frames of 60 ms in one packet, as code 1 of the format."""
    sixty = bytes((3 << 3,)) + bytes(20)
    packet = bytes((3 << 3 | 1,)) + bytes(40)
    assert packet_samples(sixty) == 1440
    assert packet_samples(packet) == 2880
    out = heard(OpusReader(), stream[0], page_of(packet))
    assert len(out) == 1920 + 2880


def test_granules_do_not_matter(stream, plain):
    wrong = [
        repaged(page, granule=-1 if n % 2 else 10**12)
        for n, page in enumerate(pages(b"".join(stream)))
    ]
    np.testing.assert_allclose(heard(OpusReader(), *wrong), plain, atol=1e-6)


def test_a_split_packet_is_joined():
    packet = bytes((31 << 3 | 0,)) + bytes(range(256)) + bytes(100)
    page = bytearray(make_page(packet, sequence=5)[:26])
    first = repaged(bytes(page) + bytes((1, 255)) + packet[:255])
    second = repaged(bytes(page) + bytes((1, len(packet) - 255)) + packet[255:], flags=1)
    whole = heard(OpusReader(), make_page(packet, sequence=5))
    split = heard(OpusReader(), first, second)
    assert len(whole) == 480
    np.testing.assert_array_equal(split, whole)
    assert len(heard(OpusReader(), second)) == 0


def test_missing_headers_do_not_matter(stream, plain):
    bare = pages(stream[0])[2:]
    np.testing.assert_allclose(heard(OpusReader(), *bare, *stream[1:]), plain, atol=1e-6)


def test_a_second_stream_takes_over(stream):
    second = [repaged(page, serial=77) for page in pages(b"".join(stream))]
    reader = OpusReader()
    assert len(heard(reader, *stream)) == 25 * 1920
    assert len(heard(reader, *second)) == 25 * 1920
    assert len(heard(reader, pages(stream[3])[0])) == 0


def test_a_damaged_page_is_left_out(stream):
    whole = pages(b"".join(stream))
    whole[10] = whole[10][:40] + bytes((whole[10][40] ^ 0xFF,)) + whole[10][41:]
    assert len(heard(OpusReader(), *whole)) == 25 * 1920 - 960


def test_a_page_of_damaged_length_does_not_swallow_those_behind_it(stream):
    whole = pages(b"".join(stream))
    damaged = bytearray(whole[10])
    damaged[26] = 255
    reader = OpusReader()
    out = heard(reader, *whole[:10], bytes(damaged), *whole[11:14])
    assert len(out) == (8 + 3) * 960


def test_junk_between_pages_is_passed_over(stream):
    junk = b"noise OggS\x09 more OggS\x00\x01 and OggS"
    out = heard(OpusReader(), *(junk + frame for frame in stream))
    assert len(out) >= 20 * 1920


def test_empty_and_impossible_packets_are_nothing(stream):
    reader = OpusReader()
    heard(reader, stream[0])
    too_long = bytes((3 << 3 | 3, 3)) + bytes(30)
    assert len(heard(reader, page_of(b""))) == 0
    assert len(heard(reader, page_of(too_long))) == 0
    assert reader.broken == 2
    assert len(heard(reader, stream[1])) == 1920


def test_undecodable_packets_become_silence_of_their_length(stream):
    reader = OpusReader()
    heard(reader, stream[0])
    # Two frames of equal size cannot share 61 bytes.
    odd = bytes((0x80 | 1,)) + bytes(61)
    assert packet_samples(odd) == 120
    out = heard(reader, page_of(odd))
    assert len(out) == 120
    assert not out.any()
    assert reader.broken == 1


def test_nothing_but_junk_is_an_error():
    reader = OpusReader()
    for _ in range(JUNK_LIMIT // 1000):
        heard(reader, b"\x00" * 1000)
    with pytest.raises(OpusError, match="not Ogg Opus"):
        heard(reader, b"\x00" * 1000)


def test_nothing_but_broken_packets_is_an_error():
    reader = OpusReader()
    for _ in range(BROKEN_LIMIT):
        heard(reader, page_of(b""))
    with pytest.raises(OpusError, match="cannot be decoded"):
        heard(reader, page_of(b""))


def test_another_codec_is_an_error():
    with pytest.raises(OpusError, match="not Opus"):
        heard(OpusReader(), make_page(b"\x01vorbis" + bytes(20), sequence=0, first=True))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_coders_give_their_memory_back(stream):
    """libopus keeps 50 kB for a caller outside of Python's sight."""

    def work(times: int) -> int:
        for _ in range(times):
            writer, reader = OpusWriter(), OpusReader()
            list(reader.feed(writer.encode(np.zeros(1920, np.float32))))
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = work(100)
    assert work(1000) - before < 10 << 20


def test_random_bytes_never_crash_or_hang(stream):
    rng = np.random.default_rng(3)
    sizes = []
    for _ in range(300):
        data = bytearray(b"".join(stream[:4]))
        for position in rng.integers(0, len(data), 8):
            data[position] = rng.integers(256)
        reader = OpusReader()
        try:
            out = heard(reader, bytes(data), *stream[4:8])
        except OpusError:
            continue
        assert np.isfinite(out).all()
        assert np.abs(out).max(initial=0.0) <= 1.0
        sizes.append(len(out))
    assert len(sizes) > 250
    assert min(sizes) >= 3 * 1920


def test_a_frame_of_another_length_is_refused():
    with pytest.raises(ValueError, match="1920"):
        OpusWriter().encode(np.zeros(1919, np.float32))


def test_values_that_are_no_sound_do_no_harm():
    writer = OpusWriter()
    frame = np.full(1920, np.nan, np.float32)
    frame[:10] = np.inf
    out = heard(OpusReader(), writer.encode(frame), writer.encode(np.zeros(1920, np.float32)))
    assert np.isfinite(out).all()
