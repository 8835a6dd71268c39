"""Ogg Opus as a stream: bytes of any cut in, 24 kHz samples out, and the way back.

Pages are taken apart and made here, and the codec (libopus) sees packets alone. It works outside Python's lock, so that
the model's thread goes on while sound is encoded for many callers.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from personaplex_server.ogg import page_checksum
from personaplex_server.protocol import FRAME_SAMPLES, SAMPLE_RATE

try:
    import opuslib_next
    from opuslib_next.api import c_float_pointer
    from opuslib_next.api.decoder import libopus_decode_float
except Exception as error:
    # It says with a plain `Exception` that the computer has no libopus.
    raise ImportError(
        f"Sound cannot be coded here, since libopus cannot be loaded ({error}). Install the package "
        "opuslib-next-bundled; where it has no wheel, install opuslib-next and libopus itself."
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_CAPTURE: Final = b"OggS"
_HEADER: Final = struct.Struct("<4sBBqIIIB")
_HEADER_BYTES: Final = 27
_CONTINUED: Final = 1
_FIRST: Final = 2
_LARGEST_PACKET: Final = 8_192
"""A legal packet has at most 6 frames of 1275 bytes at 20 ms each."""
_LONGEST_SAMPLES: Final = SAMPLE_RATE * 120 // 1000
JUNK_LIMIT: Final = 65_536
"""Bytes that may be passed over without one whole page among them before the stream is given up."""
BROKEN_LIMIT: Final = 50
"""Undecodable packets or pages in a row before the stream is given up: about 2 s of them."""

_BITS_A_SECOND: Final = 72_000
_COMPLEXITY: Final = 0
"""CELT's lowest, which leaves out the search for the pitch. At the rate above that is still nearer to the original than
the reference server's sound, and what a fuller search would win more bits win at no cost."""
_PAGE_SAMPLES: Final = FRAME_SAMPLES // 2
_GRANULE_RATE: Final = 48_000
"""Ogg counts Opus samples at this rate, whatever that of the sound is."""
_SERIAL: Final = 42
_VENDOR: Final = b"PersonaPlex"

_SILK_MS: Final = (10, 20, 40, 60)
_HYBRID_MS: Final = (10, 20)
_CELT_MS: Final = (2.5, 5, 10, 20)


class OpusError(ValueError):
    """What came in is not a usable Ogg Opus stream; the text is a sentence for the person who sent it."""


def make_page(
    packet: bytes, *, sequence: int, granule: int = 0, serial: int = 1, first: bool = False
) -> bytes:
    """Return one Ogg page that holds one whole packet (shorter than 65 kB)."""
    lacing = b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
    flags = _FIRST if first else 0
    head = _HEADER.pack(_CAPTURE, 0, flags, granule, serial, sequence, 0, len(lacing))
    page = bytearray(head + lacing + packet)
    struct.pack_into("<I", page, 22, page_checksum(bytes(page)))
    return bytes(page)


def packet_samples(packet: bytes) -> int:
    """Return how many 24 kHz samples an Opus packet decodes to, 0 when no legal packet looks like this."""
    if not packet or len(packet) > _LARGEST_PACKET:
        return 0
    config = packet[0] >> 3
    if config < 12:
        milliseconds: float = _SILK_MS[config % 4]
    elif config < 16:
        milliseconds = _HYBRID_MS[config % 2]
    else:
        milliseconds = _CELT_MS[config % 4]
    code = packet[0] & 3
    if code == 3:
        if len(packet) < 2:
            return 0
        frames = packet[1] & 63
    else:
        frames = 1 if code == 0 else 2
    samples = int(milliseconds * frames * SAMPLE_RATE / 1000)
    return samples if samples <= _LONGEST_SAMPLES else 0


class _Demuxer:
    """Finds Opus packets in Ogg bytes that may be cut anywhere, wrong or mixed with junk."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._partial = b""
        self._serial: int | None = None
        self._headers_left = 0
        self._junk = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and yield the audio packets that are complete by now.

        Raises:
            OpusError: Too much of it was no Ogg, or it carries another codec.
        """
        self._buffer += data
        while (page := self._next_page()) is not None:
            yield from self._packets(page)

    def _next_page(self) -> bytes | None:
        """Cut the next page with a right checksum off the buffer; None when more bytes are needed."""
        while True:
            start = self._buffer.find(_CAPTURE)
            if start < 0:
                # The last three bytes may be the beginning of a capture pattern.
                self._skip(max(0, len(self._buffer) - 3))
                return None
            self._skip(start)
            size = self._page_size(0)
            if size is None:
                later = self._whole_page_behind()
                if later is None:
                    return None
                self._partial = b""
                self._skip(later)
                continue
            if size:
                page = bytes(self._buffer[:size])
                del self._buffer[:size]
                self._junk = 0
                return page
            # A capture pattern inside junk, or a damaged page: look for the next one right behind it.
            self._partial = b""
            self._skip(len(_CAPTURE))

    def _page_size(self, start: int) -> int | None:
        """Return the length of the page at `start`, 0 when it is none or damaged, None when it is not all here."""
        head = bytes(self._buffer[start : start + _HEADER_BYTES])
        if head[4:5] not in {b"", b"\0"} or (len(head) > 5 and head[5] > 7):
            return 0
        if len(head) < _HEADER_BYTES:
            return None
        body = start + _HEADER_BYTES + head[26]
        end = body + sum(self._buffer[start + _HEADER_BYTES : body])
        if len(self._buffer) < body or len(self._buffer) < end:
            return None
        page = bytes(self._buffer[start:end])
        bare = page[:22] + b"\0\0\0\0" + page[26:]
        return len(page) if page_checksum(bare) == int.from_bytes(page[22:26], "little") else 0

    def _whole_page_behind(self) -> int | None:
        """Return where a whole page begins behind one that is not all here, if there is such a page.

        The first one's length must be damaged then; it may promise 65 kB, which would be 16 s of waiting.
        """
        start = self._buffer.find(_CAPTURE, len(_CAPTURE))
        while start >= 0:
            if self._page_size(start):
                return start
            start = self._buffer.find(_CAPTURE, start + len(_CAPTURE))
        return None

    def _skip(self, count: int) -> None:
        if count:
            del self._buffer[:count]
            self._junk += count
            if self._junk > JUNK_LIMIT:
                raise OpusError(
                    "The audio that arrived is not Ogg Opus. Send one continuous Ogg Opus stream "
                    "in messages of kind 1."
                )

    def _packets(self, page: bytes) -> Iterator[bytes]:
        flags, serial, segments = page[5], int.from_bytes(page[14:18], "little"), page[26]
        lacing = page[_HEADER_BYTES : _HEADER_BYTES + segments]
        position = _HEADER_BYTES + segments
        if flags & _FIRST:
            self._begin(serial, page[position:])
        elif self._serial is None:
            # Headers can be lost on the way to us; Opus packets explain themselves well enough.
            self._serial = serial
        if serial != self._serial:
            return
        packet = self._partial if flags & _CONTINUED else b""
        # A continued packet whose beginning never came is of no use.
        lost = bool(flags & _CONTINUED) and not self._partial
        self._partial = b""
        for length in lacing:
            packet += page[position : position + length]
            position += length
            if length == 255:
                continue
            if not lost:
                yield from self._audio(packet)
            packet, lost = b"", False
        if lacing and lacing[-1] == 255 and not lost:
            if len(packet) > _LARGEST_PACKET:
                packet = b""
            self._partial = packet

    def _begin(self, serial: int, body: bytes) -> None:
        if not body.startswith(b"OpusHead"):
            raise OpusError("The audio that arrived is Ogg, but not Opus. Send Ogg Opus.")
        self._serial = serial
        self._partial = b""
        self._headers_left = 2

    def _audio(self, packet: bytes) -> Iterator[bytes]:
        if self._headers_left and packet.startswith((b"OpusHead", b"OpusTags")):
            self._headers_left -= 1
            return
        self._headers_left = 0
        yield packet


class OpusReader:
    """Decodes one caller's stream.

    Attributes:
        broken: Packets that could not be decoded so far; each is replaced by silence of its length.
    """

    def __init__(self, admit: Callable[[int], bool] | None = None) -> None:
        """Make a reader.

        Args:
            admit: Asked before a packet is decoded, with the samples it would give; what is not admitted is left
                out. A megabyte can hold hours of silence, and decoding them takes minutes.
        """
        self.broken = 0
        self._admit = admit
        self._in_a_row = 0
        self._demuxer = _Demuxer()
        self._codec = opuslib_next.Decoder(SAMPLE_RATE, 1)

    def feed(self, data: bytes) -> Iterator[NDArray[np.float32]]:
        """Take bytes cut anywhere and yield what they complete: float32 [n] at 24 kHz, one piece a packet.

        Raises:
            OpusError: The stream is not usable; the reader is not to be used any more.
        """
        for packet in self._demuxer.feed(data):
            samples = packet_samples(packet)
            if samples and self._admit is not None and not self._admit(samples):
                continue
            pcm = self._decode(packet, samples) if samples else None
            if pcm is not None:
                self._in_a_row = 0
                yield pcm
                continue
            self.broken += 1
            self._in_a_row += 1
            if self._in_a_row > BROKEN_LIMIT:
                raise OpusError(
                    "The audio that arrived cannot be decoded. Send Ogg Opus, mono, "
                    "with packets of at most 120 ms."
                )
            if samples:
                yield np.zeros(samples, np.float32)

    def _decode(self, packet: bytes, samples: int) -> NDArray[np.float32] | None:
        pcm = np.empty(samples, np.float32)
        # Not the library's own `decode_float`, which makes a list of a packet's samples.
        count = libopus_decode_float(
            self._codec.decoder_state,
            packet,
            len(packet),
            pcm.ctypes.data_as(c_float_pointer),
            samples,
            0,
        )
        if count != samples:
            return None
        # Damaged packets decode to values far outside, which would ring in the model's ears.
        return np.clip(pcm, -1.0, 1.0, out=pcm)


class OpusWriter:
    """Encodes one answer: each call gives whole Ogg pages; the first begins with the two header pages.

    Pages of 40 ms, as the reference server sends them. Its setting (SILK, 27 kbit/s) is thrifty with bits and takes ten
    times the processor time of this one, which is nearer to the original and 4 ms sooner; `docs/performance.md` has
    the figures.
    """

    def __init__(self) -> None:
        self._codec = opuslib_next.Encoder(
            SAMPLE_RATE, 1, opuslib_next.APPLICATION_RESTRICTED_LOWDELAY
        )
        self._codec.bitrate = _BITS_A_SECOND
        self._codec.complexity = _COMPLEXITY
        self._sequence = 0
        self._granule = 0

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """Return the pages of one 80 ms frame.

        Args:
            pcm: float32 [1920] at 24 kHz; values beyond ±1 are clipped, no number becomes silence.

        Raises:
            ValueError: `pcm` has another length.
        """
        if pcm.shape != (FRAME_SAMPLES,):
            raise ValueError(f"One frame is {FRAME_SAMPLES} samples, not {pcm.shape}.")
        if not np.abs(pcm).max() <= 1.0:
            pcm = np.clip(np.nan_to_num(pcm, posinf=1.0, neginf=-1.0), -1.0, 1.0)
        sound = pcm.astype(np.float32, copy=False).tobytes()
        pages = [] if self._sequence else self._headers()
        for begin in range(0, len(sound), _PAGE_SAMPLES * 4):
            part = sound[begin : begin + _PAGE_SAMPLES * 4]
            self._granule += _PAGE_SAMPLES * _GRANULE_RATE // SAMPLE_RATE
            pages.append(self._page(self._codec.encode_float(part, _PAGE_SAMPLES)))
        return b"".join(pages)

    def _headers(self) -> list[bytes]:
        skip = self._codec.lookahead * _GRANULE_RATE // SAMPLE_RATE
        head = b"OpusHead\x01\x01" + struct.pack("<HIhB", skip, _GRANULE_RATE, 0, 0)
        tags = b"OpusTags" + struct.pack("<I", len(_VENDOR)) + _VENDOR + struct.pack("<I", 0)
        return [self._page(head, first=True), self._page(tags)]

    def _page(self, packet: bytes, *, first: bool = False) -> bytes:
        page = make_page(
            packet, sequence=self._sequence, granule=self._granule, serial=_SERIAL, first=first
        )
        self._sequence += 1
        return page
