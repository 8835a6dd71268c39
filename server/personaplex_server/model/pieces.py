"""A SentencePiece model written down piece by piece, for the rehearsal model.

The trainer would need a text and gives another model with each version; this one is the same everywhere.
The format is SentencePiece's `ModelProto`, of which a handful of fields is needed.
"""

from __future__ import annotations

import struct
from typing import Final

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_UNIGRAM: Final = 1
_CHARACTERS: Final = (
    " etaoinshrdlucmfwypvbgkjqxzETAOINSHRDLUCMFWYPVBGKJQXZ0123456789.,'?!-:;\"()<>/&%$@#*+="
)
_WORDS: Final = (
    "the of and to a in is you that it he was for on are as with his they I at be this have from or one had "
    "by word but not what all were we when your can said there use an each which she do how their if will up "
    "other about out many then them these so some her would make like him into time has look two more write go "
    "see number no way could people my than first water been call who its now find long down day did get come "
    "made may part over new sound take only little work know place year live me back give most very after thing "
    "our just name good sentence man think say great where help through much before line right too mean old any "
    "same tell boy follow came want show also around form three small set put end does another well large must "
    "big even such because turn here why ask went men read need land different home us move try kind hand picture "
    "again change off play spell air away animal house point page letter mother answer found study still learn"
)
_SPACE: Final = "\u2581"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _chunk(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _piece(text: str, score: float, kind: int) -> bytes:
    body = _chunk(1, text.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", score)
    return _chunk(1, body + _number(3, kind))


def word_pieces(count: int) -> list[str]:
    """Return the pieces after the four markers and 256 bytes of a model of `count` pieces: characters, then words.

    Raises:
        ValueError: There are fewer words than that.
    """
    words = [_SPACE + word for word in dict.fromkeys(_WORDS.split()) if len(word) > 1]
    pieces = [_SPACE, *_CHARACTERS.strip(), *words][: count - 260]
    if len(pieces) < count - 260:
        raise ValueError(f"There are pieces for a model of {len(pieces) + 260} at most.")
    return pieces


def sentencepiece_model(count: int) -> bytes:
    """Return a unigram model of `count` pieces: 4 markers, 256 bytes as fallback, characters and common words."""
    out = [
        _piece("<unk>", 0.0, _UNKNOWN),
        _piece("<s>", 0.0, _CONTROL),
        _piece("</s>", 0.0, _CONTROL),
        _piece("<pad>", 0.0, _CONTROL),
    ]
    out += [_piece(f"<0x{byte:02X}>", 0.0, _BYTE) for byte in range(256)]
    for rank, text in enumerate(word_pieces(count)):
        # A whole word always beats its letters.
        score = -2.0 - rank / 100 if len(text) > 1 else -9.0 - rank / 100
        out.append(_piece(text, score, _NORMAL))
    trainer = _number(3, _UNIGRAM) + _number(4, count) + _number(35, 1)
    trainer += b"".join(
        _number(field, value) for field, value in ((40, 0), (41, 1), (42, 2), (43, 3))
    )
    normalizer = _chunk(1, b"identity")
    return b"".join(out) + _chunk(2, trainer) + _chunk(3, normalizer)
