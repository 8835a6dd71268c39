"""WAV files of every sane kind in, junk refused in words."""

from __future__ import annotations

import struct
import wave

import numpy as np
import pytest

from personaplex_server.model.audio import AudioError, frames, level, read_audio, write_wav

SECOND = np.arange(24_000) / 24_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * SECOND)


def wav(
    path, data, *, kind=1, channels=1, rate=24_000, bits=16, extensible=False, before=b"", size=None
):
    block = channels * bits // 8
    tag = 0xFFFE if extensible else kind
    header = struct.pack("<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    if extensible:
        guid = struct.pack("<H", kind) + bytes.fromhex("000000001000800000aa00389b71")
        header += struct.pack("<HHI", 22, bits, 0) + guid
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header + before
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def pcm(values, bits):
    if bits == 8:
        return np.round(values * 127 + 128).astype(np.uint8).tobytes()
    whole = np.round(values * (2 ** (bits - 1) - 1)).astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_whole_numbers(tmp_path, bits, extensible):
    got = read_audio(wav(tmp_path / "a.wav", pcm(TONE, bits), bits=bits, extensible=extensible))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, TONE, atol=2.0 ** (1 - bits) + 1e-6)


@pytest.mark.parametrize("bits", [32, 64])
def test_floating_point(tmp_path, bits):
    got = read_audio(
        wav(tmp_path / "a.wav", TONE.astype(f"<f{bits // 8}").tobytes(), kind=3, bits=bits)
    )
    np.testing.assert_allclose(got, TONE, atol=1e-7)


def test_sixteen_bits_are_exact(tmp_path):
    values = np.array([-32768, -1, 0, 1, 32767], "<i2")
    got = read_audio(wav(tmp_path / "a.wav", values.tobytes()))
    assert (got == values / np.float32(32768)).all()


def test_the_first_channel_counts(tmp_path):
    both = np.stack([TONE, -TONE, 0 * TONE], 1).reshape(-1)
    got = read_audio(wav(tmp_path / "a.wav", pcm(both, 16), channels=3))
    np.testing.assert_allclose(got, TONE, atol=1e-4)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 7_919])
def test_rates(tmp_path, rate):
    time = np.arange(rate) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    got = read_audio(wav(tmp_path / "a.wav", pcm(tone, 16), rate=rate))
    assert len(got) == 24_000
    # The ends ring, as nothing is known of what lies beyond them.
    np.testing.assert_allclose(got[600:-600], TONE[600:-600], atol=2e-3)


def test_chunks_before_the_sound(tmp_path):
    other = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"junk" + struct.pack("<I", 2) + b"\0\0"
    assert len(read_audio(wav(tmp_path / "a.wav", pcm(TONE, 16), before=other))) == 24_000


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_header_that_does_not_know_its_length(tmp_path, size):
    assert len(read_audio(wav(tmp_path / "a.wav", pcm(TONE, 16), size=size))) == 24_000


def test_a_file_that_was_cut_short(tmp_path):
    path = wav(tmp_path / "a.wav", pcm(TONE, 16))
    path.write_bytes(path.read_bytes()[: 44 + 2001])
    assert len(read_audio(path)) == 1000


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"hello" * 100, b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0ab",
     b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd", b"OggS" + bytes(100), b"\xff\xfb\x90" + bytes(500)],
)  # fmt: skip
def test_junk(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.wav .*\.$"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "values",
    [{"rate": 0}, {"rate": 1}, {"rate": 4_000_000}, {"channels": 0}, {"kind": 6, "bits": 8},
     {"bits": 12}, {"kind": 3, "bits": 16}, {"kind": 3, "bits": 24}],
)  # fmt: skip
def test_unknown_kinds(tmp_path, values):
    with pytest.raises(AudioError, match="unknown kind"):
        read_audio(wav(tmp_path / "a.wav", bytes(960), **values))


def test_a_header_too_short(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcddata\x04\0\0\0abcd")
    with pytest.raises(AudioError, match="too short"):
        read_audio(path)


def test_nothing_in_it(tmp_path):
    with pytest.raises(AudioError, match="empty"):
        read_audio(wav(tmp_path / "a.wav", b""))
    with pytest.raises(AudioError, match="does not exist"):
        read_audio(tmp_path / "b.wav")
    with pytest.raises(AudioError, match="does not exist"):
        read_audio(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers(tmp_path, bad):
    data = np.array([0.1, bad, 0.2], "<f4").tobytes()
    with pytest.raises(AudioError, match="not numbers"):
        read_audio(wav(tmp_path / "a.wav", data, kind=3, bits=32))


def test_written_files_are_read_back(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([0.0, 0.5, -0.5, 1.5, -1.5], np.float32))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
    got = read_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(got, [0.0, 0.5, -0.5, 1.0, -1.0], atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 1), (1919, 1), (1920, 1), (1921, 2), (3840, 2), (72720, 38)]
)
def test_the_last_frame_is_filled_up(samples, count):
    cut = frames(np.ones(samples, np.float32))
    assert cut.shape == (count, 1920)
    assert cut.sum() == samples


@pytest.mark.parametrize("gain", [0.01, 0.3, 1.9])
def test_loudness(gain):
    import pyloudnorm

    clip = level((gain * TONE).astype(np.float32), "tone")
    assert clip.dtype == np.float32
    assert pyloudnorm.Meter(24_000).integrated_loudness(clip) == pytest.approx(-24.0, abs=1e-3)
