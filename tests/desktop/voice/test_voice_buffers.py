"""The ring and the resampler between a sound card and a call."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from personadesk.voice.resample import Resampler
from personadesk.voice.ring import Ring


def count(start: int, samples: int) -> np.ndarray:
    return np.arange(start, start + samples, dtype=np.float32)


def test_a_ring_gives_back_what_was_written_in_order_across_its_end() -> None:
    ring = Ring(10)
    ring.write(count(0, 7))
    assert ring.read(5).tolist() == [0, 1, 2, 3, 4]
    ring.write(count(7, 8))
    assert len(ring) == 10
    assert ring.read().tolist() == list(range(5, 15))
    assert ring.read().size == 0


def test_a_full_ring_drops_the_newest_and_counts() -> None:
    ring = Ring(4)
    ring.write(count(0, 6))
    assert ring.dropped == 2
    assert ring.read().tolist() == [0, 1, 2, 3]


def test_two_threads_share_a_ring_without_losing_a_sample() -> None:
    ring, total, heard = Ring(997), 50_000, []

    def write() -> None:
        at = 0
        while at < total:
            size = min(331, total - at, 997 - len(ring))
            ring.write(count(at, size))
            at += size
            time.sleep(0)

    writer = threading.Thread(target=write)
    writer.start()
    got = 0
    while got < total:
        part = ring.read(257)
        heard.append(part)
        got += len(part)
        time.sleep(0)
    writer.join()
    np.testing.assert_array_equal(np.concatenate(heard), count(0, total))
    assert ring.dropped == 0


@pytest.mark.parametrize(
    ("source", "target"), [(44_100, 24_000), (24_000, 48_000), (16_000, 24_000)]
)
def test_a_tone_keeps_its_pitch_and_length_through_a_stream(source: int, target: int) -> None:
    pcm = (0.5 * np.sin(2 * np.pi * 500 * np.arange(2 * source) / source)).astype(np.float32)
    resampler = Resampler(source, target)
    parts = [resampler.feed(pcm[at : at + 441]) for at in range(0, len(pcm), 441)]
    sound = np.concatenate(parts)
    assert len(sound) == pytest.approx(2 * target, abs=0.03 * target)
    steady = sound[target // 2 : target // 2 + target]
    assert np.abs(np.fft.rfft(steady)).argmax() == 500
    assert np.abs(steady).max() == pytest.approx(0.5, abs=0.01)


def test_the_same_rate_passes_untouched() -> None:
    pcm = count(0, 10)
    assert Resampler(24_000, 24_000).feed(pcm) is pcm
