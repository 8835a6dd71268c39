"""What a voice test speaks: a clip that PersonaDesk brings along, or any sound file that a person has.

Silence and noise are computed, so that they are the same to the last sample and take no room.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from personadesk import resources
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE: Final = 24_000
SHORTEST_SECONDS: Final = 0.4
LONGEST_SECONDS: Final = 600.0
RATES: Final = (8_000, 192_000)

SILENCE_SECONDS: Final = 4.0
NOISE_SECONDS: Final = 4.0
_NOISE_DBFS: Final = -36.0
"""A loud fan close to the microphone: clearly above the level of silence, clearly below speech."""
LARGEST_FILE: Final = 300 << 20
"""Ten minutes of the largest samples that are read here, and some."""

_USE_ANOTHER = T(
    "Choose a WAV, FLAC, MP3 or Ogg file with a spoken sentence, or leave it out for the built-in clip."
)


@dataclass(frozen=True, slots=True)
class Clip:
    """Something to say.

    Attributes:
        pcm: float32 [n] at 24 kHz, mono, in -1..1.
        name: For reports: the file's name.
        warning: A sentence when it can be spoken but hardly makes sense, for example silence.
    """

    pcm: NDArray[np.float32]
    name: str
    warning: Text = NOTHING

    @property
    def seconds(self) -> float:
        """How long it takes to say."""
        return len(self.pcm) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Bundled:
    """A clip that PersonaDesk brings along.

    Attributes:
        name: By which it is chosen.
        title: How people read it.
        file: In the folder of clips; "" for one that is computed.
    """

    name: str
    title: Text
    file: str = ""


QUESTION: Final = "question"
BUNDLED: Final = (
    Bundled(QUESTION, T("Short question"), "question.wav"),
    Bundled("long-question", T("Long question"), "long-question.flac"),
    Bundled("interruption", T("Interruption"), "interruption.flac"),
    Bundled("silence", T("Silence")),
    Bundled("noise", T("Noise")),
)


def bundled() -> Path:
    """Return the question that PersonaDesk brings along."""
    return resources.path("clips", "question.wav")


def find(word: str | os.PathLike[str], folder: Path | None = None) -> Clip:
    """Return a clip by the name of a bundled one, or read a file.

    Args:
        word: `question`, `long-question`, `interruption`, `silence`, `noise`, or a path.
        folder: Where a path that is not absolute begins; None for where the program was started.

    Raises:
        NotFound: It is neither.
        BadRequest: It cannot be used; the sentence says why.
    """
    known = next((each for each in BUNDLED if each.name == os.fspath(word)), None)
    if known is not None:
        return _bundled_clip(known)
    path = Path(word).expanduser()
    return load(path if folder is None else folder / path)


def _bundled_clip(known: Bundled) -> Clip:
    import numpy as np

    from personadesk.voice import levels

    if known.file:
        return replace(load(resources.path("clips", known.file)), name=known.name)
    if known.name == "silence":
        nothing = np.zeros(round(SILENCE_SECONDS * SAMPLE_RATE), np.float32)
        return Clip(nothing, known.name, _silent(known.name))
    noise = np.random.default_rng(8).standard_normal(round(NOISE_SECONDS * SAMPLE_RATE))
    # Each sample holds a part of those before, as a fan's noise does: white noise is a hiss that no room has.
    soft = np.convolve(noise, 0.9 ** np.arange(60), "same").astype(np.float32)
    wanted = 10.0 ** ((_NOISE_DBFS - levels.dbfs(soft)) / 20.0)
    return Clip((soft * wanted).astype(np.float32), known.name)


def read_wav(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Return a sound file's samples, float32 [n] at 24 kHz; channels are mixed into one.

    Raises:
        NotFound: There is no such file.
        BadRequest: It is no sound file, or empty, too short, too long or of an odd rate.
    """
    return load(path).pcm


def load(path: str | os.PathLike[str] | None = None) -> Clip:
    """Read a clip and look whether it can be spoken.

    Args:
        path: A WAV, FLAC, MP3 or Ogg (Vorbis, Opus) file; None takes the bundled question.

    Raises:
        NotFound: There is no such file.
        BadRequest: It cannot be used; the sentence says why.
    """
    from personadesk.voice import levels

    file = bundled() if path is None else Path(path).expanduser()
    try:
        mono, rate = _read(file)
    except FileNotFoundError:
        raise NotFound(T("There is no file {path}.", path=str(file)), _USE_ANOTHER) from None
    except OSError as error:
        raise BadRequest(
            T("{path} cannot be read.", path=str(file)), _USE_ANOTHER,
            cause="unreadable", details=str(error),
        ) from error  # fmt: skip
    if rate != SAMPLE_RATE:
        import soxr

        mono = soxr.resample(mono, rate, SAMPLE_RATE)
    silent = levels.window_levels(mono).max(initial=levels.FLOOR_DBFS) < levels.SILENCE_DBFS
    return Clip(mono, file.name, _silent(file.name) if silent else NOTHING)


def _silent(name: str) -> Text:
    return T("{name} is silent, so the voice has nothing to answer.", name=name)


def _read(file: Path) -> tuple[NDArray[np.float32], int]:
    """Return a file's sound, float32 [n] with its channels mixed, and its rate."""
    from personadesk.voice import wav

    with file.open("rb") as stream:
        begin = stream.read(64)
        stream.seek(0)
        if _is_coded(begin):
            return _decode(file, b"OpusHead" in begin)
        try:
            header = wav.read_header(stream)
            _check(file.name, header.frames, header.rate)
            return wav.read_samples(stream, header).mean(axis=1), header.rate
        except wav.WavError as error:
            what = T("{name} is no sound file that can be read.", name=file.name)
            raise BadRequest(
                what if begin else T("{name} is empty.", name=file.name), _USE_ANOTHER,
                cause="not_sound" if begin else "empty", details=str(error),
            ) from None  # fmt: skip


def _is_coded(begin: bytes) -> bool:
    """Whether a file begins as FLAC, Ogg or MP3 does."""
    frame = len(begin) > 1 and begin[0] == 0xFF and begin[1] & 0xE6 == 0xE2
    return begin.startswith((b"fLaC", b"OggS", b"ID3")) or frame


def _decode(file: Path, opus: bool) -> tuple[NDArray[np.float32], int]:
    import sphn

    if file.stat().st_size > LARGEST_FILE:
        raise _too_long(file.name, LONGEST_SECONDS)
    try:
        samples, rate = sphn.read_opus(str(file)) if opus else sphn.read(str(file))
    except ValueError as error:
        raise BadRequest(
            T("{name} is no sound file that can be read.", name=file.name), _USE_ANOTHER,
            cause="not_sound", details=str(error),
        ) from None  # fmt: skip
    _check(file.name, samples.shape[1], rate)
    return samples.mean(axis=0), rate


def _check(name: str, frames: int, rate: int) -> None:
    if not frames:
        raise BadRequest(T("{name} is empty.", name=name), _USE_ANOTHER, cause="empty")
    if not RATES[0] <= rate <= RATES[1]:
        raise BadRequest(
            T("{name} has {rate} samples per second; speech has 8,000 to 192,000.",
              name=name, rate=rate),
            _USE_ANOTHER, cause="rate",
        )  # fmt: skip
    seconds = frames / rate
    if seconds < SHORTEST_SECONDS:
        raise BadRequest(
            T("{name} lasts {seconds} seconds, too short to say anything; at least 0.4 are needed.",
              name=name, seconds=round(seconds, 2)),
            _USE_ANOTHER, cause="too_short",
        )  # fmt: skip
    if seconds > LONGEST_SECONDS:
        raise _too_long(name, seconds)


def _too_long(name: str, seconds: float) -> BadRequest:
    return BadRequest(
        T("{name} lasts {minutes} minutes; a voice test speaks at most 10.",
          name=name, minutes=round(seconds / 60, 1)),
        _USE_ANOTHER, cause="too_long",
    )  # fmt: skip
