"""Makes a piece of sound a little shorter or longer without a click and without changing its pitch.

One period of a voice is left out or said twice where two stretches of sound are most alike, and the seam is blended
over: what WSOLA (Verhelst and Roelands, 1993) does all the time is done once here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEAM_SECONDS: Final = 0.004
_SHORTEST_SECONDS: Final = 0.0025
"""A period of 400 Hz, higher than people speak."""
_LONGEST_SECONDS: Final = 0.0125
"""One of 80 Hz, a deep voice."""


def tighten(pcm: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return float32 [n] without one of its periods; untouched when it is too short for that."""
    period = _period(pcm, rate)
    return pcm if period is None else cut(pcm, period, rate)


def widen(pcm: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Return float32 [n] with one of its periods twice; untouched when it is too short for that."""
    period = _period(pcm, rate)
    return pcm if period is None else extend(pcm, period, rate)


def cut(pcm: NDArray[np.float32], samples: int, rate: int) -> NDArray[np.float32]:
    """Return float32 [n - samples]: some are left out of the middle; `room` tells how many at most."""
    if samples <= 0:
        return pcm
    seam = round(_SEAM_SECONDS * rate)
    at = (len(pcm) - samples - seam) // 2
    blended = _blend(pcm[at : at + seam], pcm[at + samples : at + samples + seam])
    return np.concatenate([pcm[:at], blended, pcm[at + samples + seam :]])


def extend(pcm: NDArray[np.float32], samples: int, rate: int) -> NDArray[np.float32]:
    """Return float32 [n + samples]: some of the middle come twice; `room` tells how many at most."""
    if samples <= 0:
        return pcm
    seam = round(_SEAM_SECONDS * rate)
    at = (len(pcm) - samples - seam) // 2
    blended = _blend(pcm[at + samples : at + samples + seam], pcm[at : at + seam])
    return np.concatenate([pcm[: at + samples], blended, pcm[at + seam :]])


def room(pcm: NDArray[np.float32], rate: int) -> int:
    """Return how many samples may be cut from a piece or added to it at most: half of it."""
    return max(0, len(pcm) // 2 - round(_SEAM_SECONDS * rate))


def _period(pcm: NDArray[np.float32], rate: int) -> int | None:
    seam = round(_SEAM_SECONDS * rate)
    least, most = round(_SHORTEST_SECONDS * rate), round(_LONGEST_SECONDS * rate)
    if len(pcm) < 2 * (most + seam):
        return None
    # Where the seam comes to lie depends on the period by half its length, too little to matter for likeness.
    at = (len(pcm) - most - seam) // 2
    here = pcm[at : at + seam]
    ahead = pcm[at + least : at + most + seam]
    alike = np.correlate(ahead, here)
    energy = np.convolve(np.square(ahead), np.ones(seam, np.float32), "valid")
    return least + int(np.argmax(alike / np.sqrt(energy + 1e-9)))


def _blend(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float32]:
    rise: NDArray[np.float32] = np.linspace(0.0, 1.0, len(before), dtype=np.float32)
    return np.asarray(before * (1.0 - rise) + after * rise, np.float32)
