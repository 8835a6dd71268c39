"""The voices of a model folder: which names there are, and what the model is fed for each.

A name is only ever compared with the list, never joined to a path, and a `.pt` is read as plain tensors, never
unpickled: both come from strangers.
"""

from __future__ import annotations

import logging
import tarfile
import tempfile
import warnings
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import torch

from .audio import AudioError, frames, level, read_audio
from .prompt import VoiceCodes, VoiceEmbeddings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from .codec import Codec
    from .config import LmConfig

log = logging.getLogger(__name__)

FOLDER: Final = "voices"
SUFFIXES: Final = (".pt", ".wav")
DEFAULT: Final = "NATF2.pt"
BUNDLED: Final = tuple(
    f"{kind}{number}"
    for kind, count in (("NATF", 4), ("NATM", 4), ("VARF", 5), ("VARM", 5))
    for number in range(count)
)
"""Voices that come with the released model; web pages ask for them whatever the server offers."""
ARCHIVE: Final = "voices.tgz"
"""How the model repository ships its voices."""
_MAX_BYTES: Final = 1 << 30
_MAX_VOICES: Final = 1000


class VoiceError(ValueError):
    """A voice that does not exist or cannot be used; the text is a sentence for the person who chose it."""


class VoiceLibrary:
    """Voice files that a persona may name.

    Args:
        checkpoint: The model folder, whose `voices/` is looked into.
        extra: One more folder; its files win over those of the same name.
    """

    def __init__(self, checkpoint: Path, extra: Path | None = None) -> None:
        if not (checkpoint / FOLDER).exists() and (checkpoint / ARCHIVE).is_file():
            _unpack(checkpoint)
        self._folders = [checkpoint / FOLDER] + ([extra] if extra is not None else [])

    def _files(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._folders:
            if folder.is_dir():
                found.update(
                    (path.name, path)
                    for path in folder.iterdir()
                    if path.suffix.lower() in SUFFIXES
                    and path.is_file()
                    and not path.name.startswith(".")
                )
        return found

    def names(self) -> list[str]:
        """Return the file names, sorted; looked up afresh, so that added voices appear."""
        return sorted(self._files())

    def default(self) -> str | None:
        """Return the voice to use where none is asked for; None where there are none at all."""
        names = self.names()
        return DEFAULT if DEFAULT in names else next(iter(names), None)

    def find(self, name: str | None) -> Path | None:
        """Return the file of a voice.

        Args:
            name: As `names` lists it, with or without its ending; None takes the default. A bundled name that
                is not in the folder takes the default too, since some pages know no other names.

        Returns:
            The file; None where a default is wanted and there are no voices.

        Raises:
            VoiceError: There is no such voice.
        """
        files = self._files()
        if name is not None:
            if any(sign in name for sign in "/\\\0") or ".." in name:
                raise VoiceError("A voice is chosen by its name, not by a path.")
            for candidate in (name, *(name + suffix for suffix in SUFFIXES)):
                if candidate in files:
                    return files[candidate]
            stem = name.removesuffix(SUFFIXES[0])
            for suffix in SUFFIXES:
                if stem + suffix in files:
                    return files[stem + suffix]
            if stem not in BUNDLED:
                known = ", ".join(sorted(files)) or "none"
                raise VoiceError(f"There is no voice {name[:80]!r} here; the voices are: {known}.")
        default = self.default()
        if name is not None:
            log.warning("voice %s is not in this model's folder; %s speaks instead", name, default)
        return None if default is None else files.get(default)


def _unpack(checkpoint: Path) -> None:
    """Unpack the voices that came as an archive; only files with a voice's ending, by their bare names."""
    total = count = 0
    try:
        with (
            tempfile.TemporaryDirectory(dir=checkpoint, prefix=".voices-") as work,
            tarfile.open(checkpoint / ARCHIVE) as archive,
        ):
            fresh = Path(work) / FOLDER
            fresh.mkdir()
            for member in archive:
                name = PurePosixPath(member.name).name
                if not member.isfile() or name.startswith(".") or not name.endswith(SUFFIXES):
                    continue
                total, count = total + member.size, count + 1
                if total > _MAX_BYTES or count > _MAX_VOICES:
                    log.warning("%s holds more than voices; it was left packed", ARCHIVE)
                    return
                content = archive.extractfile(member)
                if content is not None:
                    (fresh / name).write_bytes(content.read())
            fresh.rename(checkpoint / FOLDER)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        log.warning("the voices in %s could not be unpacked: %s", ARCHIVE, error)


def read_embeddings(path: Path, config: LmConfig) -> VoiceEmbeddings:
    """Read a voice that was saved as model inputs.

    Args:
        path: A `.pt` file: `embeddings` [positions, 1, 1, dim] and `cache` [1, streams, slots].
        config: Sizes of the model it must fit.

    Raises:
        VoiceError: Not such a file, or of another model.
    """
    name = path.name
    if path.stat().st_size > _MAX_BYTES:
        raise VoiceError(f"The voice {name} is too large to be one.")
    try:
        with warnings.catch_warnings():
            # Torch warns of what it is about to refuse; who brought the file is told in our words.
            warnings.simplefilter("ignore", UserWarning)
            stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch answers a broken or hostile file with errors of many types
        log.info("voice %s was refused", name, exc_info=True)
        raise VoiceError(
            f"The voice {name} is not a voice file: it holds more than plain numbers, or is damaged."
        ) from error
    if not isinstance(stored, dict):
        raise VoiceError(f"The voice {name} is not a voice file: it holds no embeddings.")
    embeddings, ring = stored.get("embeddings"), stored.get("cache")
    if not isinstance(embeddings, torch.Tensor) or not isinstance(ring, torch.Tensor):
        raise VoiceError(f"The voice {name} is not a voice file: it holds no embeddings.")
    shape = tuple(embeddings.shape)
    if (
        len(shape) != 4
        or shape[0] < 1
        or shape[1:] != (1, 1, config.dim)
        or not embeddings.is_floating_point()
    ):
        raise VoiceError(
            f"The voice {name} was made for another model: its embeddings have the shape {list(shape)}, "
            f"[positions, 1, 1, {config.dim}] is expected."
        )
    if not torch.isfinite(embeddings.float()).all():
        raise VoiceError(f"The voice {name} is damaged: it holds values that are not numbers.")
    wanted = (1, config.streams, config.max_delay + 3)
    if tuple(ring.shape) != wanted or ring.is_floating_point() or ring.is_complex():
        raise VoiceError(
            f"The voice {name} was made for another model: its cache has the shape "
            f"{list(ring.shape)}, {list(wanted)} is expected."
        )
    ring = ring[0].to(torch.int64)
    largest = torch.tensor([config.text_card] + [config.card] * config.n_q).unsqueeze(1)
    if bool((ring < -2).any()) or bool((ring > largest).any()):
        raise VoiceError(f"The voice {name} was made for another model: it holds unknown tokens.")
    return VoiceEmbeddings(embeddings[:, 0, 0], ring.clamp(min=0).numpy())


def hear(codec: Codec, samples: Tensor) -> Iterator[float | VoiceCodes]:
    """Turn a levelled clip into codes, frame by frame through a codec that has heard nothing before.

    Args:
        codec: The codec.
        samples: float32 [frames, 1920], on any device.

    Yields:
        The share done, 0 to 1, now and then; at last the voice.
    """
    side = codec.encoding(1)
    codes: list[Tensor] = []
    for index, frame in enumerate(samples):
        codes.append(
            codec.encode(frame.unsqueeze(0).to(codec.device), side, None, prefix=side.prefix(1))
        )
        side.advance(1, None)
        if index % 8 == 7:
            yield (index + 1) / len(samples)
    yield VoiceCodes(torch.cat(codes).cpu().numpy())


def load_voice(
    path: Path, config: LmConfig, codec: Codec
) -> Iterator[float | VoiceCodes | VoiceEmbeddings]:
    """Read a voice file of either kind.

    Yields:
        The share done now and then; at last the voice.

    Raises:
        VoiceError: It cannot be used.
    """
    if path.suffix.lower() == ".pt":
        yield read_embeddings(path, config)
        return
    try:
        clip = frames(level(read_audio(path), path.name))
    except AudioError as error:
        raise VoiceError(str(error)) from error
    yield from hear(codec, torch.from_numpy(clip))
