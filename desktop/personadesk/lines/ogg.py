"""Ogg Opus streams that go on over another connection, so that neither side has to know that there was a break.

Towards the voice the caller's header pages are said again, and sound begins with a whole page (RFC 3533 lets a reader
find one by its capture pattern). Towards the caller the voice's new stream becomes the old one: its header pages are
left out, and serial number, page numbers, granule positions and checksums go on where they were.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from personaplex_server.ogg import page_checksum

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTURE: Final = b"OggS"
_HEADER: Final = struct.Struct("<4sBBqIII")
_HEADER_BYTES: Final = 27
_CHECKSUM_AT: Final = 22
_NO_SOUND: Final = {0, -1}
"""Granule positions of pages that no sound ends on: headers, and parts of one."""
MOST_HEADER_BYTES: Final = 65_536


def pages(data: bytes | bytearray) -> Iterator[bytes]:
    """Yield the whole pages that `data` begins with."""
    at = 0
    while data[at : at + 4] == CAPTURE and at + _HEADER_BYTES <= len(data):
        body = at + _HEADER_BYTES + data[at + _HEADER_BYTES - 1]
        end = body + sum(data[at + _HEADER_BYTES : body])
        if end > len(data):
            return
        yield bytes(data[at:end])
        at = end


class Headers:
    """The header pages of a stream, kept from its beginning.

    Attributes:
        whole: Whether nothing more is to be kept.
    """

    def __init__(self) -> None:
        self.whole = False
        self._begun = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        self._begun += data
        kept = bytearray()
        for page in pages(self._begun):
            if _HEADER.unpack_from(page)[3] not in _NO_SOUND:
                self._begun, self.whole = kept, True
                return
            kept += page
        if len(self._begun) > MOST_HEADER_BYTES:
            self._begun, self.whole = kept, True

    def __bytes__(self) -> bytes:
        """The header pages so far."""
        return b"".join(pages(self._begun))


class FromNextPage:
    """Leaves out what belongs to a page whose beginning is lost."""

    def __init__(self, headers: bytes) -> None:
        """Say `headers` before the first whole page."""
        self._headers = headers
        self._tail = b""

    def feed(self, data: bytes) -> bytes | None:
        """Return what to pass on, from the first page on; None while there is none, then it is to be asked again."""
        data = self._tail + data
        at = data.find(CAPTURE)
        if at < 0:
            self._tail = data[1 - len(CAPTURE) :]
            return None
        return self._headers + data[at:]


class GoingOn:
    """Makes a new stream go on where an old one stopped; its pages must come whole, as a voice server sends them."""

    def __init__(self, last: bytes) -> None:
        """Go on behind `last`, the last bytes of the old stream."""
        self._serial = self._sequence = self._before = 0
        for page in pages(last):
            _, _, _, self._before, self._serial, self._sequence, _ = _HEADER.unpack_from(page)

    def feed(self, data: bytes) -> bytes:
        """Return the pages of the new stream as such of the old one; b"" for its headers."""
        return b"".join(self._renumber(page) for page in pages(data))

    def _renumber(self, page: bytes) -> bytes:
        _, version, flags, granule, _, _, _ = _HEADER.unpack_from(page)
        if granule in _NO_SOUND:
            return b""
        self._sequence = (self._sequence + 1) & 0xFFFF_FFFF
        made = bytearray(page)
        ends = self._before + granule
        _HEADER.pack_into(made, 0, CAPTURE, version, flags, ends, self._serial, self._sequence, 0)
        struct.pack_into("<I", made, _CHECKSUM_AT, page_checksum(bytes(made)))
        return bytes(made)
