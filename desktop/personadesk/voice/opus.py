"""Opus in Ogg for one call: an encoder that gives whole pages, and a decoder that survives what servers send.

The stream reader below stops for good at the first stray byte, and a server may split pages anywhere, glue them,
or begin its stream anew. So pages are cut here, and only whole ones are decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE: Final = 24_000
PACKET_SAMPLES: Final = 960
"""40 ms, what the model's own web page sends: half the microphone lag of 80 ms for 12 more messages a second."""
PACKET_SECONDS: Final = PACKET_SAMPLES / SAMPLE_RATE

_CAPTURE: Final = b"OggS"
_HEADER_BYTES: Final = 27
_FIRST_PAGE: Final = 2


class OpusEncoder:
    """Turns sound into Ogg pages; the header pages come glued to the first audio page."""

    def __init__(self) -> None:
        import sphn

        self._writer = sphn.OpusStreamWriter(SAMPLE_RATE)

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """Return the whole pages that `pcm` (float32 [n], 24 kHz) completes; 40 ms make one."""
        return bytes(self._writer.append_pcm(np.ascontiguousarray(pcm, np.float32)))


class OpusDecoder:
    """Turns a server's bytes into sound.

    Attributes:
        skipped_bytes: Bytes that belonged to no page.
        bad_pages: Pages that could not be decoded.
    """

    def __init__(self) -> None:
        self.skipped_bytes = 0
        self.bad_pages = 0
        self._pending = b""
        self._headers: list[bytes] = []
        self._reader = self._new_reader()

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Take any piece of the stream and return the sound it completes, float32 [n] at 24 kHz."""
        self._pending += data
        sound = [self._decode_page(page) for page in self._cut()]
        filled = [part for part in sound if part.size]
        return np.concatenate(filled) if filled else np.zeros(0, np.float32)

    def _cut(self) -> list[bytes]:
        pages = []
        rest = self._pending
        while True:
            start = rest.find(_CAPTURE)
            if start < 0:
                # The last three bytes may be the beginning of a page.
                self.skipped_bytes += max(0, len(rest) - 3)
                rest = rest[-3:]
                break
            self.skipped_bytes += start
            rest = rest[start:]
            size = _page_size(rest)
            # A page inside a page: the outer one is cut short, or was none.
            inner = rest.find(_CAPTURE, len(_CAPTURE), size)
            if inner >= 0:
                self.skipped_bytes += inner
                rest = rest[inner:]
                continue
            if size is None:
                break
            if rest[4]:
                self.skipped_bytes += len(_CAPTURE)
                rest = rest[len(_CAPTURE) :]
                continue
            if len(rest) < size:
                break
            pages.append(rest[:size])
            rest = rest[size:]
        self._pending = rest
        return pages

    def _decode_page(self, page: bytes) -> NDArray[np.float32]:
        body = page[_HEADER_BYTES + page[26] :]
        if page[5] & _FIRST_PAGE:
            self._reader = self._new_reader()
            self._headers = [page]
        elif body.startswith(b"OpusTags"):
            self._headers = [*self._headers[:1], page]
        try:
            return np.asarray(self._reader.append_bytes(page), np.float32)
        except ValueError:
            self.bad_pages += 1
            self._reader = self._new_reader()
            if body.startswith((b"OpusHead", b"OpusTags")):
                return np.zeros(0, np.float32)
            for header in self._headers:
                self._reader.append_bytes(header)
            return np.zeros(0, np.float32)

    @staticmethod
    def _new_reader() -> Any:
        import sphn

        return sphn.OpusStreamReader(SAMPLE_RATE)


def _page_size(data: bytes) -> int | None:
    """Return how long the page at the start of `data` is, or None when too little has come to tell."""
    if len(data) < _HEADER_BYTES or len(data) < _HEADER_BYTES + data[26]:
        return None
    segments = data[26]
    return _HEADER_BYTES + segments + sum(data[_HEADER_BYTES : _HEADER_BYTES + segments])
