"""The `make-checkpoint` command: a small model of the real architecture with random weights, for rehearsals.

Written beside its place and renamed when whole, so that a folder is either absent or complete, whatever happens.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse

    from torch import Tensor

    from personaplex_server.model.config import ModelConfig

PRESETS: Final = ("rehearsal",)
DEFAULT_SEED: Final = 7
_REVISION: Final = 2
"""Raised when the weights that a seed gives change; folders of an older revision are made anew."""
_LOW_VOICE: Final = "rehearsal-low.wav"
_HIGH_VOICE: Final = "rehearsal-high.pt"
_LEVEL: Final = 0.09
"""Wanted root mean square of what the model says, about -21 dBFS."""


class FolderTakenError(RuntimeError):
    """The folder holds something that is not ours to replace; the text is a sentence for a person."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to `parser`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to put it")
    parser.add_argument("--preset", choices=PRESETS, required=True, help="which model to make")
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, help="another seed, other weights (%(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Do the command; return its exit status, 1 for a failure that is told on stderr."""
    try:
        made = make_rehearsal(args.folder, args.seed)
    except FolderTakenError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The model cannot be written to {args.folder}: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"{args.folder}: {'made' if made else 'is there already'}")
    return 0


def make_rehearsal(folder: Path, seed: int = DEFAULT_SEED) -> bool:
    """Make the rehearsal model unless `folder` already holds it whole.

    Args:
        folder: Where it goes; its parents are made.
        seed: Same seed, same weights.

    Returns:
        Whether anything had to be made.

    Raises:
        FolderTakenError: The folder holds something else.
        OSError: It cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    if _whole(folder, seed):
        return False
    if folder.exists() and not _replaceable(folder):
        raise FolderTakenError(
            f"{folder} holds something that is not a rehearsal model; name an empty or new folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as work:
        fresh = Path(work) / "fresh"
        fresh.mkdir()
        _write(fresh, seed)
        if folder.exists():
            folder.rename(Path(work) / "old")
        fresh.rename(folder)
    return True


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _whole(folder: Path, seed: int) -> bool:
    facts = _facts(folder)
    if (facts.get("rehearsal"), facts.get("seed"), facts.get("revision")) != (
        True,
        seed,
        _REVISION,
    ):
        return False
    files = facts.get("files")
    return isinstance(files, dict) and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size
        for name, size in files.items()
    )


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return _facts(folder).get("rehearsal") is True or next(folder.iterdir(), None) is None


def _write(folder: Path, seed: int) -> None:
    import torch

    from personaplex_server.model import rehearsal
    from personaplex_server.model.audio import write_wav
    from personaplex_server.model.pieces import sentencepiece_model, word_pieces
    from personaplex_server.model.weights import CODEC_FILE, LM_FILE, TEXT_FILE

    config = rehearsal.REHEARSAL
    generator = torch.Generator().manual_seed(seed % (1 << 63))
    with torch.inference_mode():
        lm = rehearsal.lm_tensors(config.lm, generator)
        pieces = word_pieces(config.lm.text_card)
        first_word = next(i for i, piece in enumerate(pieces) if len(piece) > 1)
        rehearsal.prefer_words(lm, 4 + 256 + first_word, config.lm.padding_id)
        codec = rehearsal.codec_tensors(config.codec, generator)
        rehearsal.sound_like_babble(codec, config.codec)
        _save({key: value.to(torch.bfloat16) for key, value in lm.items()}, folder / LM_FILE)
        _set_level(folder / CODEC_FILE, codec, config)
        (folder / TEXT_FILE).write_bytes(sentencepiece_model(config.lm.text_card))
        voices = folder / "voices"
        voices.mkdir()
        write_wav(voices / _LOW_VOICE, rehearsal.spoken_clip(115.0, 1.2))
        torch.save(_saved_voice(lm, config, generator), voices / _HIGH_VOICE)
    files = {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    facts = config_json(config) | {"seed": seed, "revision": _REVISION, "files": files}
    (folder / "config.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _set_level(path: Path, codec: dict[str, Tensor], config: ModelConfig) -> None:
    """Write the codec so that random codes sound at the wanted level."""
    import torch

    from personaplex_server.model.codec import Codec
    from personaplex_server.model.rehearsal import output_conv
    from personaplex_server.model.weights import TensorFile

    _save(codec, path)
    model = Codec(
        TensorFile(path, torch.device("cpu"), torch.float32), config.codec, config.lm.own_codebooks
    )
    codes = torch.randint(
        config.codec.bins, (12, config.lm.own_codebooks), generator=torch.Generator().manual_seed(1)
    )
    side = model.decoding(1)
    heard = []
    for code in codes:
        heard.append(model.decode(code.unsqueeze(0), side, None, prefix=side.prefix(1)))
        side.advance(1, None)
    loudness = float(torch.cat(heard[2:], 1).square().mean().sqrt())
    # Rounded, so that the last digits of another processor do not change the file.
    codec[f"{output_conv(config.codec)}.weight"] *= float(f"{_LEVEL / loudness:.2g}")
    _save(codec, path)


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors; a disk that does not take them is an OSError, as everywhere else."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path)
    except SafetensorError as error:
        known = re.search(r"\(os error (\d+)\)", str(error))
        if known is None:
            raise
        number = int(known[1])
        raise OSError(number, os.strerror(number), str(path)) from error


def _saved_voice(lm: dict[str, Tensor], config: ModelConfig, generator: Any) -> dict[str, Tensor]:
    """Return a voice as the reference saves one after stepping through a clip of random codes."""
    import torch

    from personaplex_server.model.prompt import VoiceCodes, voice_calls

    sizes = config.lm
    codes = torch.randint(sizes.card, (20, sizes.own_codebooks), generator=generator)
    calls = voice_calls(sizes, VoiceCodes(codes.numpy()))
    tables = [lm["text_emb.weight"]] + [lm[f"emb.{q}.weight"] for q in range(sizes.n_q)]
    embeddings = [
        torch.stack([table[token] for table, token in zip(tables, row, strict=True)]).sum(0)
        for row in calls.rows(0, calls.calls - 1)
    ]
    return {
        "embeddings": torch.stack(embeddings).view(-1, 1, 1, sizes.dim).to(torch.bfloat16),
        "cache": calls.tail(torch.device("cpu"))[0].unsqueeze(0),
    }


def config_json(config: ModelConfig) -> dict[str, Any]:
    """Return what `config.json` says of a model of these sizes, in the keys of the reference."""
    lm, codec = config.lm, config.codec
    return {
        "rehearsal": config.rehearsal,
        "lm": {
            "dim": lm.dim,
            "text_card": lm.text_card,
            "existing_text_padding_id": lm.padding_id,
            "n_q": lm.n_q,
            "dep_q": lm.own_codebooks,
            "card": lm.card,
            "num_heads": lm.num_heads,
            "num_layers": lm.num_layers,
            "context": lm.context,
            "max_period": lm.max_period,
            "depformer_dim": lm.depth_dim,
            "depformer_num_heads": lm.depth_heads,
            "depformer_num_layers": lm.depth_layers,
            "delays": list(lm.delays),
        },
        "seanet": {
            key: value
            for key, value in asdict(codec).items()
            if key
            in (
                "dimension",
                "n_filters",
                "ratios",
                "n_residual_layers",
                "compress",
                "dilation_base",
                "kernel_size",
                "residual_kernel_size",
                "last_kernel_size",
                "true_skip",
            )
        },
        "quantizer": {
            "dimension": codec.code_dim,
            "n_q": codec.stored_codebooks,
            "bins": codec.bins,
            "input_dimension": codec.dimension,
            "output_dimension": codec.dimension,
        },
        "mimi_transformer": {
            "d_model": codec.transformer_dim,
            "num_heads": codec.transformer_heads,
            "num_layers": codec.transformer_layers,
            "dim_feedforward": codec.transformer_hidden,
            "layer_scale": 0.01 if codec.transformer_scaled else None,
            "context": codec.context,
            "max_period": codec.max_period,
        },
        "sample_rate": 24_000,
        "frame_rate": 12.5,
    }
