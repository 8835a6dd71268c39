"""Voices that callers bring: a wav is checked, put into the server's own folder in one step, and listed from then on.

Strangers name the file and fill it, so the name is made of plain characters and never a path, and nothing is kept
that the model could not use.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from personaplex_server.logs import fields
from personaplex_server.protocol import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

log = logging.getLogger(__name__)

LARGEST_BYTES: Final = 16 << 20
"""A minute at 48 kHz in stereo with 24 bits."""
SHORTEST_S: Final = 1.0
LONGEST_S: Final = 30.0
"""The clip becomes part of the model's memory, 12.5 places a second of about 3000; 10 s are enough."""
MOST_VOICES: Final = 500
_SUFFIX: Final = ".wav"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _-]{0,62}[A-Za-z0-9_-])?")
_DEVICES: Final = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""Names that Windows keeps for itself."""


class VoiceRefusedError(ValueError):
    """A voice is not taken; the text is a sentence for the person who brought it.

    Attributes:
        status: HTTP status that fits.
    """

    def __init__(self, reason: str, status: int = 422) -> None:
        super().__init__(reason)
        self.status = status


class VoiceFolder:
    """The folder of voices that were brought; belongs to the event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = asyncio.Lock()

    async def add(self, name: str, content: AsyncIterator[bytes], taken: Iterable[str]) -> str:
        """Keep a wav under a name of its own and return the file's name, for `voice_prompt`.

        Args:
            name: With or without its ending; letters, digits, spaces, `-` and `_`.
            content: The file, in any pieces.
            taken: File names of the voices there are already.

        Raises:
            VoiceRefusedError: The name, the size, the sound or the folder will not do.
        """
        stem = name[: -len(_SUFFIX)] if name.lower().endswith(_SUFFIX) else name
        if not _NAME.fullmatch(stem) or _DEVICES.fullmatch(stem):
            raise VoiceRefusedError(
                "Name the voice with 1 to 64 letters, digits, spaces, - or _, as in ?name=anna."
            )
        async with self._turn:
            if stem.lower() in {Path(other).stem.lower() for other in taken}:
                raise VoiceRefusedError(
                    f"There is a voice named {stem} already. Choose another name.", 409
                )
            data = await _whole(content)
            seconds = await asyncio.to_thread(self._keep, stem + _SUFFIX, data)
        log.info("voice added %s", fields(voice=stem + _SUFFIX, seconds=seconds))
        return stem + _SUFFIX

    def _keep(self, name: str, data: bytes) -> float:
        from personaplex_server.model.audio import AudioError, level, read_audio

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if len(list(self._folder.iterdir())) >= MOST_VOICES:
                raise VoiceRefusedError("The server's folder of voices is full.", 507)
            # In a hidden folder of its own until it is known to be good: the engine lists what it finds.
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=".upload-") as work:
                path = Path(work) / name
                with path.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                try:
                    samples = read_audio(path)
                    seconds = len(samples) / SAMPLE_RATE
                    if not SHORTEST_S <= seconds <= LONGEST_S:
                        raise VoiceRefusedError(
                            f"The clip is {seconds:.1f} seconds long. Send one of {SHORTEST_S:g} to "
                            f"{LONGEST_S:g} seconds; about 10 are best."
                        )
                    level(samples, name)
                except AudioError as error:
                    raise VoiceRefusedError(str(error)) from error
                if (self._folder / name).exists():
                    raise VoiceRefusedError(f"There is a file {name} already.", 409)
                path.replace(self._folder / name)
        except OSError as error:
            log.exception("voice not kept")
            raise VoiceRefusedError(
                f"The voice could not be written into the server's folder: {error.strerror}.", 500
            ) from error
        return seconds


async def _whole(content: AsyncIterator[bytes]) -> bytes:
    data = bytearray()
    async for piece in content:
        data += piece
        if len(data) > LARGEST_BYTES:
            raise VoiceRefusedError(
                f"The file is larger than {LARGEST_BYTES >> 20} MiB. Send a shorter clip.", 413
            )
    return bytes(data)
