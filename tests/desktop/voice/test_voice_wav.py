from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest

from personadesk.voice import wav

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RAMP = np.linspace(-0.9, 0.9, 101)


def packed(kind: int, bits: int) -> bytes:
    if kind == 3:
        return RAMP.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (RAMP * 127 + 128).round().astype(np.uint8).tobytes()
    whole = (RAMP * (2 ** (bits - 1) - 1)).round().astype("<i4")
    if bits == 24:
        return b"".join(struct.pack("<i", int(v))[:3] for v in whole)
    return whole.astype(f"<i{bits // 8}").tobytes()


def read(path: Path) -> tuple[wav.WavHeader, np.ndarray]:
    with path.open("rb") as file:
        header = wav.read_header(file)
        return header, wav.read_samples(file, header)


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(("kind", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_usual_packing_gives_the_same_sound(
    make_wav: Callable[..., Path], kind: int, bits: int, extensible: bool
) -> None:
    header, samples = read(
        make_wav(packed(kind, bits), kind=kind, bits=bits, extensible=extensible)
    )
    assert header.frames == len(RAMP)
    assert samples.shape == (101, 1)
    np.testing.assert_allclose(samples[:, 0], RAMP, atol=0.02 if bits == 8 else 1e-4)


def test_channels_stay_apart(make_wav: Callable[..., Path]) -> None:
    both = np.stack([RAMP, -RAMP], axis=1).astype("<f4")
    _, samples = read(make_wav(both.tobytes(), kind=3, bits=32, channels=2))
    np.testing.assert_allclose(samples, both, atol=1e-6)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 10_000])
def test_a_length_nobody_filled_in_is_taken_from_the_file(
    make_wav: Callable[..., Path], size: int
) -> None:
    header, _ = read(make_wav(packed(1, 16), size=size))
    assert header.frames == len(RAMP)


def test_other_chunks_before_the_data_are_passed_over(make_wav: Callable[..., Path]) -> None:
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    header, samples = read(make_wav(packed(1, 16), before_data=odd))
    assert header.frames == len(RAMP)
    np.testing.assert_allclose(samples[:, 0], RAMP, atol=1e-4)


def test_not_a_number_becomes_silence_and_too_loud_is_cut(make_wav: Callable[..., Path]) -> None:
    data = np.array([np.nan, np.inf, -np.inf, 7.0, 0.5], "<f4").tobytes()
    _, samples = read(make_wav(data, kind=3, bits=32))
    assert samples[:, 0].tolist() == [0.0, 1.0, -1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFF\x10\0\0\0WAVE",
        b"ID3" + bytes(100),
        b"RIFF\x10\0\0\0WAVEfmt \x04\0\0\0\x01\0\x01\0",
        b"RIFF\x10\0\0\0WAVEdata\x04\0\0\0abcd",
    ],
)
def test_junk_is_said_to_be_no_wav(data: bytes) -> None:
    with pytest.raises(wav.WavError):
        wav.read_header(io.BytesIO(data))


@pytest.mark.parametrize(
    "odd", [{"kind": 6, "bits": 8}, {"bits": 12}, {"channels": 0}, {"rate": 0}]
)
def test_kinds_that_are_not_read_are_refused(
    make_wav: Callable[..., Path], odd: dict[str, int]
) -> None:
    with pytest.raises(wav.WavError), make_wav(bytes(400), **odd).open("rb") as file:
        wav.read_header(file)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    both = np.stack([RAMP, -RAMP], axis=1).astype(np.float32)
    wav.write_wav(tmp_path / "out.wav", both, 8000)
    header, samples = read(tmp_path / "out.wav")
    assert (header.rate, header.channels, header.bits) == (8000, 2, 16)
    np.testing.assert_allclose(samples, both, atol=1e-4)


def test_too_loud_is_cut_when_written(tmp_path: Path) -> None:
    wav.write_wav(tmp_path / "loud.wav", np.array([2.0, -2.0], np.float32))
    _, samples = read(tmp_path / "loud.wav")
    np.testing.assert_allclose(samples[:, 0], [1.0, -1.0], atol=1e-4)
