from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import sphn

from personadesk import resources
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.voice import clips, levels, wav

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_bundled_question_is_speech_of_about_three_seconds() -> None:
    with clips.bundled().open("rb") as file:
        header = wav.read_header(file)
    assert (header.rate, header.channels, header.bits) == (24_000, 1, 16)
    clip = clips.load()
    assert 2.5 <= clip.seconds <= 3.5
    assert not clip.warning
    loud = levels.window_levels(clip.pcm) > levels.SILENCE_DBFS
    assert loud[:8].any(), "it begins to speak at once"
    assert 0.5 < loud.mean() < 1.0
    assert np.abs(clip.pcm).max() < 0.9


def test_a_stereo_file_of_44_1_khz_becomes_one_channel_of_24(make_wav: Callable[..., Path]) -> None:
    at = np.arange(44_100) / 44_100
    left = 0.5 * np.sin(2 * np.pi * 440 * at)
    both = np.stack([left, np.zeros_like(left)], axis=1)
    path = make_wav((both * 32767).astype("<i2").tobytes(), rate=44_100, channels=2)
    pcm = clips.read_wav(path)
    assert pcm.dtype == np.float32
    assert abs(len(pcm) - 24_000) <= 1
    spectrum = np.abs(np.fft.rfft(pcm[:24_000]))
    assert spectrum.argmax() == 440
    assert np.abs(pcm).max() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000, 192_000])
def test_any_rate_of_speech_keeps_its_length(make_wav: Callable[..., Path], rate: int) -> None:
    pcm = clips.read_wav(make_wav(bytes(2 * rate), rate=rate))
    assert abs(len(pcm) - 24_000) <= 2


def test_a_silent_clip_can_be_spoken_but_warns(make_wav: Callable[..., Path]) -> None:
    clip = clips.load(make_wav(bytes(48_000)))
    assert str(clip.warning) == "clip.wav is silent, so the voice has nothing to answer."


@pytest.mark.parametrize(
    ("seconds", "rate", "cause", "sentence"),
    [
        (0.1, 24_000, "too_short",
         "clip.wav lasts 0.1 seconds, too short to say anything; at least 0.4 are needed."),
        (601, 8_000, "too_long", "clip.wav lasts 10.0 minutes; a voice test speaks at most 10."),
        (0, 24_000, "empty", "clip.wav is empty."),
        (1, 4_000, "rate", "clip.wav has 4000 samples per second; speech has 8,000 to 192,000."),
    ],
)  # fmt: skip
def test_a_clip_that_makes_no_sense_is_refused_in_words(
    make_wav: Callable[..., Path], seconds: float, rate: int, cause: str, sentence: str
) -> None:
    path = make_wav(bytes(2 * round(seconds * rate)), rate=rate)
    with pytest.raises(BadRequest) as caught:
        clips.read_wav(path)
    assert str(caught.value) == sentence
    assert caught.value.cause == cause
    assert caught.value.next


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"", "it.wav is empty."), (b"ID3 not sound", "it.wav is no sound file that can be read.")],
)
def test_a_file_that_is_no_wav_is_refused_in_words(
    tmp_path: Path, data: bytes, sentence: str
) -> None:
    (tmp_path / "it.wav").write_bytes(data)
    with pytest.raises(BadRequest, match=sentence):
        clips.read_wav(tmp_path / "it.wav")


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        clips.read_wav(tmp_path / "none.wav")
    with pytest.raises(BadRequest, match="cannot be read"):
        clips.read_wav(tmp_path)


def test_each_bundled_clip_is_what_it_is_called() -> None:
    read = {each.name: clips.find(each.name) for each in clips.BUNDLED}
    loudest = {name: levels.window_levels(clip.pcm).max() for name, clip in read.items()}
    assert 2 < read["question"].seconds < 4
    assert 8 < read["long-question"].seconds < 14
    assert 1.5 < read["interruption"].seconds < 4
    assert not read["silence"].pcm.any()
    assert read["silence"].warning
    assert levels.dbfs(read["noise"].pcm) == pytest.approx(-36, abs=1)
    assert all(loudest[name] > -25 for name in ("question", "long-question", "interruption"))
    assert np.array_equal(read["noise"].pcm, clips.find("noise").pcm)


@pytest.mark.parametrize("kind", ["flac", "opus"])
def test_a_coded_file_is_read_at_our_rate(tmp_path: Path, kind: str) -> None:
    if kind == "flac":
        path = resources.path("clips", "interruption.flac")
    else:
        path = tmp_path / "it.opus"
        sphn.write_opus(str(path), clips.find("interruption").pcm[None, :], 24_000)
    clip = clips.load(path)
    assert clip.seconds == pytest.approx(clips.find("interruption").seconds, abs=0.1)
    assert levels.dbfs(clip.pcm) == pytest.approx(
        levels.dbfs(clips.find("interruption").pcm), abs=1
    )


def test_sound_that_is_cut_off_in_its_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(resources.path("clips", "interruption.flac").read_bytes()[:40])
    with pytest.raises(BadRequest, match="no sound file"):
        clips.load(path)
