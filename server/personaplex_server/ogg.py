"""What of Ogg's pages both ends must agree on; without libopus, which a line that passes pages on does not need."""

from __future__ import annotations

import zlib
from typing import Final

_REVERSED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_checksum(page: bytes) -> int:
    """Return Ogg's checksum of a page whose checksum field is zero.

    Ogg runs the polynomial of zlib's CRC-32 with the bits the other way round and without inversions, so the
    bits are turned and zlib does the work: a loop in Python would take milliseconds a second.
    """
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{crc:032b}"[::-1], 2)
