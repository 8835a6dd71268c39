"""The clip that a voice test speaks: the bundled question, or any WAV file that a person has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from personadesk import resources
from personadesk.domain.errors import BadRequest, NotFound
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.wav import WavHeader

SAMPLE_RATE: Final = 24_000
SHORTEST_SECONDS: Final = 0.4
LONGEST_SECONDS: Final = 600.0
RATES: Final = (8_000, 192_000)

_USE_ANOTHER = T("Choose a WAV file with a spoken sentence, or leave it out for the built-in clip.")


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


def bundled() -> Path:
    """Return the question that PersonaDesk brings along."""
    return resources.path("clips", "question.wav")


def read_wav(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Return a WAV file's sound, float32 [n] at 24 kHz; channels are mixed into one.

    Raises:
        NotFound: There is no such file.
        BadRequest: It is not a WAV file, or empty, too short, too long or of an odd rate.
    """
    return load(path).pcm


def load(path: str | os.PathLike[str] | None = None) -> Clip:
    """Read a clip and look whether it can be spoken.

    Args:
        path: A WAV file; None takes the bundled question.

    Raises:
        NotFound: There is no such file.
        BadRequest: It cannot be used; the sentence says why.
    """
    from personadesk.voice import levels, wav

    file = bundled() if path is None else Path(path).expanduser()
    try:
        with file.open("rb") as stream:
            header = wav.read_header(stream)
            _check(file.name, header)
            samples = wav.read_samples(stream, header)
    except FileNotFoundError:
        raise NotFound(T("There is no file {path}.", path=str(file)), _USE_ANOTHER) from None
    except wav.WavError as error:
        empty = file.stat().st_size == 0
        what = T("{name} is empty.", name=file.name)
        if not empty:
            what = T("{name} is not a WAV file that can be read.", name=file.name)
        cause = "empty" if empty else "not_wav"
        raise BadRequest(what, _USE_ANOTHER, cause=cause, details=str(error)) from None
    except OSError as error:
        raise BadRequest(
            T("{path} cannot be read.", path=str(file)), _USE_ANOTHER,
            cause="unreadable", details=str(error),
        ) from error  # fmt: skip
    mono = samples.mean(axis=1)
    if header.rate != SAMPLE_RATE:
        import soxr

        mono = soxr.resample(mono, header.rate, SAMPLE_RATE)
    silent = levels.window_levels(mono).max(initial=levels.FLOOR_DBFS) < levels.SILENCE_DBFS
    warning = (
        T("{name} is silent, so the voice has nothing to answer.", name=file.name)
        if silent
        else NOTHING
    )
    return Clip(mono, file.name, warning)


def _check(name: str, header: WavHeader) -> None:
    if not header.frames:
        raise BadRequest(T("{name} is empty.", name=name), _USE_ANOTHER, cause="empty")
    if not RATES[0] <= header.rate <= RATES[1]:
        raise BadRequest(
            T("{name} has {rate} samples per second; speech has 8,000 to 192,000.",
              name=name, rate=header.rate),
            _USE_ANOTHER, cause="rate",
        )  # fmt: skip
    if header.seconds < SHORTEST_SECONDS:
        raise BadRequest(
            T("{name} lasts {seconds} seconds, too short to say anything; at least 0.4 are needed.",
              name=name, seconds=round(header.seconds, 2)),
            _USE_ANOTHER, cause="too_short",
        )  # fmt: skip
    if header.seconds > LONGEST_SECONDS:
        raise BadRequest(
            T("{name} lasts {minutes} minutes; a voice test speaks at most 10.",
              name=name, minutes=round(header.seconds / 60, 1)),
            _USE_ANOTHER, cause="too_long",
        )  # fmt: skip
