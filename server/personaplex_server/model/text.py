"""Text to tokens for the prompt, and the model's tokens to whole characters for the caller."""

from __future__ import annotations

import codecs
import logging
import re
from typing import TYPE_CHECKING, Final

import sentencepiece

from .config import CheckpointError
from .weights import TEXT_FILE

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

MARKERS: Final = 4
"""The first tokens: end of padding, begin, end, padding. None of them is ever shown to a caller."""
NAMES: Final = {0: "EPAD", 3: "PAD"}
"""How reports name those that have no piece of their own."""
_BYTE: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_OTHER_FILE: Final = "tokenizer.model"
"""The name of the same file beside checkpoints that transformers saves."""
_SPACE: Final = "\u2581"


class Tokenizer:
    """The SentencePiece model of a checkpoint.

    Args:
        folder: The checkpoint.
        text_card: Text tokens that the language model knows.

    Raises:
        CheckpointError: The file is missing or no SentencePiece model.
    """

    def __init__(self, folder: Path, text_card: int) -> None:
        path = folder / TEXT_FILE
        if not path.is_file() and (folder / _OTHER_FILE).is_file():
            path = folder / _OTHER_FILE
        if not path.is_file():
            raise CheckpointError(
                f"{TEXT_FILE} is missing from {folder}; get the model again, or name another folder."
            )
        try:
            self._model = sentencepiece.SentencePieceProcessor()
            self._model.LoadFromSerializedProto(path.read_bytes())
            self._size = int(self._model.GetPieceSize())
        except (RuntimeError, OSError, TypeError) as error:
            raise CheckpointError(
                f"{TEXT_FILE} in {folder} is not a SentencePiece model ({error}); get it again."
            ) from error
        if self._size == 0:
            raise CheckpointError(f"{TEXT_FILE} in {folder} holds no pieces; get it again.")
        self._known = text_card

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`; pieces that the language model does not know become token 0."""
        tokens = [int(token) for token in self._model.EncodeAsIds(text)]
        unknown = sum(token >= self._known for token in tokens)
        if unknown:
            log.warning(
                "%d pieces of the prompt are unknown to the model and were left blank", unknown
            )
        return [token if token < self._known else 0 for token in tokens]

    def piece(self, token: int) -> str:
        """Return how a report names `token`: its piece, or EPAD and PAD; `<700>` for one without a piece."""
        if token in NAMES:
            return NAMES[token]
        if not 0 <= token < self._size:
            return f"<{token}>"
        return str(self._model.IdToPiece(token)).replace(_SPACE, " ")


class TextStream:
    """Joins tokens into text, holding back the bytes of a character until it is whole.

    Args:
        tokenizer: Whose tokens come.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Return the characters that `token` completes; "" for padding, markers and unknown tokens."""
        if token < MARKERS:
            return ""
        piece = self._tokenizer.piece(token)
        if piece == f"<{token}>":
            return ""
        byte = _BYTE.fullmatch(piece)
        if byte:
            return self._decoder.decode(bytes((int(byte[1], 16),)))
        # A started character that no byte completes shows as the replacement character.
        return self._decoder.decode(b"", final=True) + piece
