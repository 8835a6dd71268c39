"""Filled prompts and voices, kept for the next caller with the same persona, within bounds."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from personaplex_server.engines.base import EngineError
from personaplex_server.model.lm import Snapshot
from personaplex_server.model.prompt import PromptError, VoiceCodes, VoiceEmbeddings, build_prompt
from personaplex_server.model.voices import VoiceError, load_voice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from personaplex_server.model.codec import Codec
    from personaplex_server.model.lm import Lm

PROMPT_CACHE_BYTES: Final = 512 << 20
"""Filled prompts kept for the next caller with the same persona."""
_VOICES_KEPT: Final = 32
_VOICE_SHARE: Final = 0.5
"""Part of the progress that goes to hearing a voice clip."""

_FileKey = tuple[str, int, int]


class Prompts:
    """Fills prompts, and keeps them; the least recently used goes first.

    Args:
        lm: The language model.
        codec: The codec, which hears voice clips.

    Attributes:
        kept: Filled prompts, by voice file and role's tokens.
        hits: Callers who got a kept one.
        misses: Callers for whom one was filled.
    """

    def __init__(self, lm: Lm, codec: Codec) -> None:
        self._lm, self._codec = lm, codec
        self._voices: OrderedDict[_FileKey, VoiceCodes | VoiceEmbeddings] = OrderedDict()
        self.kept: OrderedDict[tuple[_FileKey | None, tuple[int, ...]], Snapshot] = OrderedDict()
        self.hits = self.misses = 0

    @property
    def bytes(self) -> int:
        """Memory of the kept prompts."""
        return sum(each.bytes for each in self.kept.values())

    def fill(self, voice: Path | None, tokens: list[int]) -> Iterator[float | Snapshot]:
        """Yield progress and at last the filled prompt of a voice file and the wrapped role's tokens.

        Raises:
            EngineError: The voice cannot be used, or the prompt is too long.
        """
        file = None if voice is None else _file_key(voice)
        key = (file, tuple(tokens))
        kept = self.kept.get(key)
        if kept is not None:
            self.kept.move_to_end(key)
            self.hits += 1
            yield kept
            return
        self.misses += 1
        speaker: VoiceCodes | VoiceEmbeddings | None = None
        if voice is not None and file is not None:
            for piece in self._voice(voice, file):
                if isinstance(piece, float):
                    yield piece * _VOICE_SHARE
                else:
                    speaker = piece
        try:
            prompt = build_prompt(self._lm.config, speaker, tokens)
        except PromptError as error:
            raise EngineError(str(error)) from error
        for part in self._lm.prefill(prompt):
            if isinstance(part, Snapshot):
                self._keep(key, part)
                yield part
            else:
                yield _VOICE_SHARE + part * (1.0 - _VOICE_SHARE)

    def _voice(self, voice: Path, file: _FileKey) -> Iterator[float | VoiceCodes | VoiceEmbeddings]:
        kept = self._voices.get(file)
        if kept is not None:
            self._voices.move_to_end(file)
            yield kept
            return
        try:
            for piece in load_voice(voice, self._lm.config, self._codec):
                if not isinstance(piece, float):
                    self._voices[file] = piece
                    if len(self._voices) > _VOICES_KEPT:
                        self._voices.popitem(last=False)
                yield piece
        except VoiceError as error:
            raise EngineError(str(error)) from error

    def _keep(self, key: tuple[_FileKey | None, tuple[int, ...]], snapshot: Snapshot) -> None:
        if snapshot.bytes > PROMPT_CACHE_BYTES:
            return
        self.kept[key] = snapshot
        while self.bytes > PROMPT_CACHE_BYTES:
            self.kept.popitem(last=False)


def _file_key(path: Path) -> _FileKey:
    try:
        facts = path.stat()
    except OSError as error:
        raise EngineError(f"The voice {path.name} cannot be opened ({error.strerror}).") from error
    return str(path), facts.st_mtime_ns, facts.st_size
