"""Checkpoints as the `transformers` library saves them, Moshi and Mimi, under the released model's names.

Only names and layouts differ: queries, keys and values lie apart, tensors of the depth steps are stacked, and the
rotary pairs of a head are its halves instead of neighbours. The library itself is not needed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from .config import CheckpointError
from .weights import CODEC_FILE, LM_FILE, TensorFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .config import CodecConfig, LmConfig, ModelConfig

INDEX_FILE: Final = "model.safetensors.index.json"
"""Names the pieces of a large model."""
_LM_MARK: Final = "decoder.model.norm.weight"
_CODEC_MARK: Final = "encoder.layers.0.conv.weight"
_INSIDE: Final = "audio_encoder."
"""What the codec's names begin with where it lies in the language model's file."""

_Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one tensor is made of stored ones.

    Attributes:
        names: Which ones.
        make: Makes it; given tensors that may lack their numbers, for its shape.
    """

    names: tuple[str, ...]
    make: Callable[[Sequence[Tensor]], Tensor]


def _one(name: str) -> Recipe:
    return Recipe((name,), lambda parts: parts[0])


def _norm(name: str) -> Recipe:
    return Recipe((name,), lambda parts: parts[0].view(1, 1, -1))


def _step(name: str, step: int) -> Recipe:
    return Recipe((name,), lambda parts: parts[0][step])


def neighbours(weight: Tensor, heads: int) -> Tensor:
    """Return a matrix [out, in] whose heads turn halves as one whose heads turn neighbouring pairs."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return halves.transpose(1, 2).reshape(weight.shape)


def _joint(base: str, heads: int, end: str) -> Recipe:
    names = tuple(f"{base}.{which}_proj{end}" for which in "qkv")

    def make(parts: Sequence[Tensor]) -> Tensor:
        query, key, value = parts
        return torch.cat([neighbours(query, heads), neighbours(key, heads), value])

    return Recipe(names, make)


def moshi(config: LmConfig) -> Callable[[str], Recipe | None]:
    """Return the recipes of a language model's tensors, by the name that is asked for."""
    fixed = {
        "text_emb.weight": _one("decoder.model.embed_tokens.weight"),
        "text_linear.weight": _one("decoder.lm_head.weight"),
        "out_norm.alpha": _norm("decoder.model.norm.weight"),
        "depformer_text_emb.weight": _one("depth_decoder.text_embed_tokens.weight"),
    }
    norms = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm"}
    gates = {"linear_in": "fc1", "linear_out": "fc2"}

    def layer(rest: str, where: str, step: int | None) -> Recipe | None:
        depth = where.startswith("depth")
        if rest == "self_attn.in_proj_weight":
            if not depth:
                return _joint(f"{where}.self_attn", config.num_heads, ".linear.weight")
            names = tuple(f"{where}.self_attn.{which}_proj.linear.weight" for which in "qkv")
            return Recipe(names, lambda parts: torch.cat(list(parts), 1).flatten(0, 1))
        if rest == "self_attn.out_proj.weight":
            name = f"{where}.self_attn.o_proj.linear.weight"
            return Recipe((name,), lambda parts: parts[0].flatten(0, 1)) if depth else _one(name)
        if known := re.fullmatch(r"(norm[12])\.alpha", rest):
            return _norm(f"{where}.{norms[known[1]]}.weight")
        if known := re.fullmatch(r"gating\.(linear_in|linear_out)\.weight", rest):
            name = f"{where}.mlp.{gates[known[1]]}.weight"
            return _one(name) if step is None else _step(name, step)
        return None

    def find(key: str) -> Recipe | None:
        if key in fixed:
            return fixed[key]
        if known := re.fullmatch(r"emb\.(\d+)\.weight", key):
            return _one(f"embed_tokens.{known[1]}.weight")
        if known := re.fullmatch(r"depformer_emb\.(\d+)\.weight", key):
            return _one(f"depth_decoder.embed_tokens.{known[1]}.weight")
        if known := re.fullmatch(r"depformer_in\.(\d+)\.weight", key):
            return _step("depth_decoder.input_projections.weight", int(known[1]))
        if known := re.fullmatch(r"linears\.(\d+)\.weight", key):
            return _step("depth_decoder.lm_heads.weight", int(known[1]))
        if known := re.fullmatch(r"transformer\.layers\.(\d+)\.(.+)", key):
            return layer(known[2], f"decoder.model.layers.{known[1]}", None)
        if known := re.fullmatch(r"depformer\.layers\.(\d+)\.(.+)", key):
            step = re.fullmatch(r"gating\.(\d+)\.(.+)", known[2])
            where = f"depth_decoder.layers.{known[1]}"
            if step:
                return layer(f"gating.{step[2]}", where, int(step[1]))
            return layer(known[2], where, None)
        return None

    return find


def mimi(config: CodecConfig, prefix: str = "") -> Callable[[str], Recipe | None]:
    """Return the recipes of a codec's tensors; `prefix` stands before all stored names."""
    renamed = {
        "self_attn.out_proj.weight": "self_attn.o_proj.weight",
        "linear1.weight": "mlp.fc1.weight",
        "linear2.weight": "mlp.fc2.weight",
        "layer_scale_1.scale": "self_attn_layer_scale.scale",
        "layer_scale_2.scale": "mlp_layer_scale.scale",
        "norm1.weight": "input_layernorm.weight",
        "norm1.bias": "input_layernorm.bias",
        "norm2.weight": "post_attention_layernorm.weight",
        "norm2.bias": "post_attention_layernorm.bias",
    }
    branches = {"rvq_first": "semantic", "rvq_rest": "acoustic"}
    sums = {"embedding_sum": "embed_sum", "cluster_usage": "cluster_usage"}

    def find(key: str) -> Recipe | None:
        if known := re.fullmatch(
            r"(encoder|decoder)_transformer\.transformer\.layers\.(\d+)\.(.+)", key
        ):
            where = f"{prefix}{known[1]}_transformer.layers.{known[2]}"
            if known[3] == "self_attn.in_proj_weight":
                return _joint(f"{where}.self_attn", config.transformer_heads, ".weight")
            return _one(f"{where}.{renamed[known[3]]}") if known[3] in renamed else None
        if known := re.fullmatch(r"(encoder|decoder)\.model\.(.+)\.(weight|bias)", key):
            name = known[2].replace(".conv.conv", ".conv").replace(".convtr.convtr", ".conv")
            return _one(f"{prefix}{known[1]}.layers.{name}.{known[3]}")
        if known := re.fullmatch(r"(downsample|upsample)\..+\.weight", key):
            return _one(f"{prefix}{known[1]}.conv.weight")
        if known := re.fullmatch(r"quantizer\.(rvq_first|rvq_rest)\.(.+)", key):
            where = f"{prefix}quantizer.{branches[known[1]]}_residual_vector_quantizer"
            book = re.fullmatch(r"vq\.layers\.(\d+)\._codebook\.(.+)", known[2])
            if book is None:
                return _one(f"{where}.{known[2]}")
            return (
                _one(f"{where}.layers.{book[1]}.codebook.{sums[book[2]]}")
                if book[2] in sums
                else None
            )
        return None

    return find


class TransformersFile(TensorFile):
    """Files in the library's layout, asked by the names of the released ones.

    Args:
        files: Where the tensors are; each lies in one of them.
        find: The recipe of a name.
    """

    def __init__(self, files: Sequence[TensorFile], find: Callable[[str], Recipe | None]) -> None:
        self.path, self.device, self.dtype = files[0].path, files[0].device, files[0].dtype
        self._files, self._find = list(files), find

    def has(self, key: str) -> bool:
        """Whether all that `key` is made of is there."""
        recipe = self._find(key)
        return recipe is not None and all(self._holder(name) for name in recipe.names)

    def shape(self, key: str) -> _Shape:
        """Return the shape that `key` will have.

        Raises:
            CheckpointError: Something that it is made of is missing.
        """
        recipe, holders = self._parts(key)
        shapes = [
            torch.empty(holder.shape(name), device="meta")
            for holder, name in zip(holders, recipe.names, strict=True)
        ]
        return tuple(self._made(key, recipe, shapes).shape)

    def read(self, key: str, rows: int | None) -> Tensor:
        """Return `key`, or its first rows, as it is stored."""
        recipe, holders = self._parts(key)
        parts = [
            holder.read(name, None) for holder, name in zip(holders, recipe.names, strict=True)
        ]
        return self._made(key, recipe, parts)[:rows]

    def _made(self, key: str, recipe: Recipe, parts: Sequence[Tensor]) -> Tensor:
        try:
            return recipe.make(parts)
        except (RuntimeError, IndexError) as error:
            raise CheckpointError(
                f"{self.path.name}: “{recipe.names[0]}” has a shape that does not fit “{key}”; weights and "
                "config.json do not belong together."
            ) from error

    def _holder(self, name: str) -> TensorFile | None:
        return next((file for file in self._files if file.has(name)), None)

    def _parts(self, key: str) -> tuple[Recipe, list[TensorFile]]:
        recipe = self._find(key)
        if recipe is None:
            raise CheckpointError(
                f"{self.path.name}: there is no “{key}” in checkpoints that transformers saves."
            )
        holders: list[TensorFile] = []
        for name in recipe.names:
            holder = self._holder(name)
            if holder is None:
                raise CheckpointError(
                    f"{self.path.name} lacks “{name}”; it is not a Moshi or Mimi checkpoint of the "
                    "expected layout."
                )
            holders.append(holder)
        return recipe, holders


def lm_paths(folder: Path) -> list[Path]:
    """Return the files that hold the language model: one, or the pieces that an index names.

    Raises:
        CheckpointError: The index cannot be read.
    """
    index = folder / INDEX_FILE
    if (folder / LM_FILE).is_file() or not index.is_file():
        return [folder / LM_FILE]
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        # Bare names only: nothing is read outside the folder.
        plain = sorted(name for name in names if re.fullmatch(r"[\w.-]+", name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{INDEX_FILE} in {folder} cannot be read; get it again.") from error
    if not plain or len(plain) < len(names):
        raise CheckpointError(f"{INDEX_FILE} in {folder} names no usable files; get it again.")
    return [folder / name for name in plain]


def weight_bytes(folder: Path) -> tuple[int, int]:
    """Return how many bytes the language model's and the codec's own files have; 0 for what is missing."""
    sizes = [path.stat().st_size for path in lm_paths(folder) if path.is_file()]
    codec = folder / CODEC_FILE
    return sum(sizes), codec.stat().st_size if codec.is_file() else 0


def open_weights(
    folder: Path,
    config: ModelConfig,
    device: torch.device,
    dtype: torch.dtype,
    on_bytes: Callable[[int], None] | None = None,
) -> tuple[TensorFile, TensorFile]:
    """Open language model and codec, whichever layout each has; the codec is always float32.

    Raises:
        CheckpointError: A file is missing or unusable.
    """
    files = [TensorFile(path, device, dtype, on_bytes) for path in lm_paths(folder)]
    foreign = any(file.has(_LM_MARK) for file in files)
    lm = TransformersFile(files, moshi(config.lm)) if foreign else files[0]
    inside = any(file.has(_INSIDE + _CODEC_MARK) for file in files)
    if inside and not (folder / CODEC_FILE).is_file():
        again = [TensorFile(path, device, torch.float32, on_bytes) for path in lm_paths(folder)]
        return lm, TransformersFile(again, mimi(config.codec, _INSIDE))
    codec = TensorFile(folder / CODEC_FILE, device, torch.float32, on_bytes)
    if codec.has(_CODEC_MARK):
        codec = TransformersFile([codec], mimi(config.codec))
    return lm, codec
