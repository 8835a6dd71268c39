"""Random weights of the real architecture in any size: the rehearsal model, and odd sizes for tests.

Right shapes and names, no training. Two things are arranged, so that a rehearsal looks like a conversation: most
frames say nothing in words and some say a whole word, and the sound has a level that people and meters notice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from .config import SAMPLE_RATE, CodecConfig, LmConfig, ModelConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Generator, Tensor

REHEARSAL: Final = ModelConfig(
    lm=LmConfig(
        dim=128,
        text_card=512,
        num_heads=4,
        num_layers=3,
        depth_dim=64,
        depth_heads=2,
        depth_layers=2,
    ),
    codec=CodecConfig(
        dimension=64,
        n_filters=8,
        transformer_dim=64,
        transformer_heads=4,
        transformer_layers=2,
        transformer_hidden=128,
        code_dim=16,
        stored_codebooks=8,
    ),
    rehearsal=True,
)
STORED_DEPTH_STEPS: Final = 16
"""Depth steps in the released file, twice those that are used."""
_BACKGROUND: Final = 0.6
"""Size of what all embeddings have in common, which the text head uses to prefer padding and words."""


_AVERSION: Final = 0.15
"""Keeps bytes and letters from being said."""
_INERTIA: Final = 0.05
"""How much likelier padding is than any word; about three frames in four."""


def _normal(generator: Generator, *shape: int, scale: float) -> Tensor:
    return torch.randn(shape, generator=generator) * scale


def _matrix(generator: Generator, outputs: int, inputs: int, gain: float = 1.0) -> Tensor:
    return _normal(generator, outputs, inputs, scale=gain / math.sqrt(inputs))


def _gain(generator: Generator, width: int) -> Tensor:
    return 1.0 + _normal(generator, 1, 1, width, scale=0.1)


def feed_forward(dim: int) -> int:
    """Return the hidden width of a gated layer of the reference: two thirds of 4.125 times the width."""
    return 2 * int(4.125 * dim) // 3


def lm_tensors(
    config: LmConfig, generator: Generator, steps: int = STORED_DEPTH_STEPS
) -> dict[str, Tensor]:
    """Return random weights of a language model under their names in the released file, float32.

    Args:
        config: Sizes.
        generator: Source of all numbers.
        steps: Depth steps to store.
    """
    dim, depth = config.dim, config.depth_dim
    out: dict[str, Tensor] = {}
    common = torch.ones(dim) * _BACKGROUND / math.sqrt(config.streams)
    out["text_emb.weight"] = _normal(generator, config.text_card + 1, dim, scale=0.25) + common
    for stream in range(config.n_q):
        out[f"emb.{stream}.weight"] = _normal(generator, config.card + 1, dim, scale=0.25) + common
    out["text_linear.weight"] = _matrix(generator, config.text_card, dim)
    out["out_norm.alpha"] = _gain(generator, dim)
    hidden = feed_forward(dim)
    for index in range(config.num_layers):
        name = f"transformer.layers.{index}."
        out[f"{name}norm1.alpha"] = _gain(generator, dim)
        out[f"{name}norm2.alpha"] = _gain(generator, dim)
        out[f"{name}self_attn.in_proj_weight"] = _matrix(generator, 3 * dim, dim, 1.2)
        out[f"{name}self_attn.out_proj.weight"] = _matrix(generator, dim, dim, 0.7)
        out[f"{name}gating.linear_in.weight"] = _matrix(generator, 2 * hidden, dim)
        out[f"{name}gating.linear_out.weight"] = _matrix(generator, dim, hidden, 0.7)
    for step in range(steps):
        out[f"depformer_in.{step}.weight"] = _matrix(generator, depth, dim)
        out[f"linears.{step}.weight"] = _matrix(generator, config.card, depth, 1.5)
    out["depformer_text_emb.weight"] = _normal(generator, config.text_card + 1, depth, scale=0.5)
    for step in range(steps - 1):
        out[f"depformer_emb.{step}.weight"] = _normal(generator, config.card + 1, depth, scale=0.5)
    hidden = feed_forward(depth)
    for index in range(config.depth_layers):
        name = f"depformer.layers.{index}."
        out[f"{name}norm1.alpha"] = _gain(generator, depth)
        out[f"{name}norm2.alpha"] = _gain(generator, depth)
        out[f"{name}self_attn.in_proj_weight"] = _matrix(generator, steps * 3 * depth, depth, 1.2)
        out[f"{name}self_attn.out_proj.weight"] = _matrix(generator, steps * depth, depth, 0.7)
        for step in range(steps):
            gating = f"{name}gating.{step}."
            out[f"{gating}linear_in.weight"] = _matrix(generator, 2 * hidden, depth)
            out[f"{gating}linear_out.weight"] = _matrix(generator, depth, hidden, 0.7)
    return out


def prefer_words(tensors: dict[str, Tensor], words_from: int, padding: int) -> None:
    """Change the text head so that most frames are padding and the others whole words, never bytes or letters.

    Args:
        tensors: Weights as `lm_tensors` returns them, changed in place.
        words_from: First token that is a word.
        padding: The padding token.
    """
    head = tensors["text_linear.weight"]
    # What all embeddings have in common reaches the head as a positive mean.
    head[:words_from] -= _AVERSION
    head[padding] = _INERTIA


def _conv(generator: Generator, outputs: int, inputs: int, kernel: int, gain: float) -> Tensor:
    return _normal(generator, outputs, inputs, kernel, scale=gain / math.sqrt(inputs * kernel))


def _transformer_tensors(config: CodecConfig, name: str, generator: Generator) -> dict[str, Tensor]:
    dim, hidden = config.transformer_dim, config.transformer_hidden
    out: dict[str, Tensor] = {}
    if dim != config.dimension:
        out[f"{name}.input_proj.weight"] = _matrix(generator, dim, config.dimension)
        out[f"{name}.output_projs.0.weight"] = _matrix(generator, config.dimension, dim)
    for index in range(config.transformer_layers):
        layer = f"{name}.transformer.layers.{index}."
        out[f"{layer}self_attn.in_proj_weight"] = _matrix(generator, 3 * dim, dim)
        out[f"{layer}self_attn.out_proj.weight"] = _matrix(generator, dim, dim)
        out[f"{layer}linear1.weight"] = _matrix(generator, hidden, dim)
        out[f"{layer}linear2.weight"] = _matrix(generator, dim, hidden)
        for norm in ("norm1", "norm2"):
            out[f"{layer}{norm}.weight"] = 1.0 + _normal(generator, dim, scale=0.1)
            out[f"{layer}{norm}.bias"] = _normal(generator, dim, scale=0.1)
        if config.transformer_scaled:
            for scale in ("layer_scale_1", "layer_scale_2"):
                out[f"{layer}{scale}.scale"] = torch.full((dim,), 0.1)
    return out


def codec_tensors(config: CodecConfig, generator: Generator) -> dict[str, Tensor]:
    """Return random weights of a codec under their names in the released file, float32.

    Args:
        config: Sizes.
        generator: Source of all numbers.
    """
    out: dict[str, Tensor] = {}

    def conv(name: str, outputs: int, inputs: int, kernel: int, gain: float = 1.4) -> None:
        out[f"{name}.weight"] = _conv(generator, outputs, inputs, kernel, gain)
        out[f"{name}.bias"] = _normal(generator, outputs, scale=0.05)

    def residual(name: str, width: int) -> None:
        narrow = width // config.compress
        conv(f"{name}.block.1.conv.conv", narrow, width, config.residual_kernel_size)
        conv(f"{name}.block.3.conv.conv", width, narrow, 1, 0.7)
        if not config.true_skip:
            conv(f"{name}.shortcut.conv.conv", width, width, 1)

    width, index = config.n_filters, 1
    conv("encoder.model.0.conv.conv", width, 1, config.kernel_size)
    for ratio in reversed(config.ratios):
        for block in range(config.n_residual_layers):
            residual(f"encoder.model.{index + block}", width)
        index += config.n_residual_layers + 1
        conv(f"encoder.model.{index}.conv.conv", 2 * width, width, 2 * ratio)
        index, width = index + 1, 2 * width
    dim = config.dimension
    conv(f"encoder.model.{index + 1}.conv.conv", dim, width, config.last_kernel_size)
    conv("decoder.model.0.conv.conv", width, dim, config.kernel_size)
    index = 1
    for ratio in config.ratios:
        index += 1
        name = f"decoder.model.{index}.convtr.convtr"
        out[f"{name}.weight"] = _normal(
            generator, width, width // 2, 2 * ratio, scale=1.4 / math.sqrt(2 * width)
        )
        out[f"{name}.bias"] = _normal(generator, width // 2, scale=0.05)
        width //= 2
        for block in range(config.n_residual_layers):
            residual(f"decoder.model.{index + 1 + block}", width)
        index += config.n_residual_layers + 1
    conv(f"decoder.model.{index + 1}.conv.conv", 1, width, config.last_kernel_size)
    stride = config.positions
    if stride > 1:
        out["downsample.conv.conv.conv.weight"] = _conv(generator, dim, dim, 2 * stride, 1.0)
        out["upsample.convtr.convtr.convtr.weight"] = _normal(
            generator, dim, 1, 2 * stride, scale=0.7
        )
    for name in ("encoder_transformer", "decoder_transformer"):
        out |= _transformer_tensors(config, name, generator)
    inner = config.code_dim
    for branch, count in (("rvq_first", 1), ("rvq_rest", config.stored_codebooks - 1)):
        out[f"quantizer.{branch}.input_proj.weight"] = _conv(generator, inner, dim, 1, 1.0)
        out[f"quantizer.{branch}.output_proj.weight"] = _conv(generator, dim, inner, 1, 1.0)
        for layer in range(count):
            book = f"quantizer.{branch}.vq.layers.{layer}._codebook."
            usage = torch.rand(config.bins, generator=generator) + 0.5
            vectors = _normal(generator, config.bins, inner, scale=0.8**layer)
            out[f"{book}_initialized"] = torch.ones(1)
            out[f"{book}cluster_usage"] = usage
            out[f"{book}embedding_sum"] = vectors * usage.unsqueeze(1)
    return out


def output_conv(config: CodecConfig) -> str:
    """Return the name, without ending, of the convolution that makes the samples."""
    index = 1 + len(config.ratios) * (config.n_residual_layers + 2) + 1
    return f"decoder.model.{index}.conv.conv"


def sound_like_babble(tensors: dict[str, Tensor], config: CodecConfig) -> None:
    """Give the codec's voice the range of speech, where random weights give hiss on a constant offset.

    Args:
        tensors: Weights as `codec_tensors` returns them, changed in place; the last kernel has 3 taps.
        config: Sizes.
    """
    last = output_conv(config)
    weight = tensors[f"{last}.weight"]
    # Passes neither a constant nor the highest frequency.
    weight[..., 1] = 0.0
    weight[..., 2] = -weight[..., 0]
    tensors[f"{last}.bias"].zero_()
    # The last upsampling interpolates instead of making up detail.
    stage = 2 + (len(config.ratios) - 1) * (config.n_residual_layers + 2)
    upsampling = tensors[f"decoder.model.{stage}.convtr.convtr.weight"]
    taps = torch.arange(upsampling.shape[-1]) + 0.5
    shape = 1.0 - (taps - taps.mean()).abs() / (len(taps) / 2)
    upsampling.copy_(upsampling[..., :1] * shape)


def spoken_clip(pitch: float, seconds: float) -> NDArray[np.float32]:
    """Return a synthetic voice, syllables of a few vowels on a falling pitch: float32 [samples] at 24 kHz.

    Args:
        pitch: Fundamental frequency at the start, in Hz.
        seconds: Length.
    """
    vowels = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480))
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = pitch * (1.0 - 0.15 * time / seconds)
    phase = 2.0 * np.pi * np.cumsum(tone) / SAMPLE_RATE
    syllable = 0.22
    which = (time / syllable).astype(int) % len(vowels)
    sound = np.zeros_like(time)
    for harmonic in range(1, int(4000 / pitch)):
        frequency = harmonic * tone
        gain = np.zeros_like(time)
        for index, formants in enumerate(vowels):
            near = sum(np.exp(-(((frequency - f) / 120.0) ** 2)) for f in formants)
            gain += np.where(which == index, near + 0.02, 0.0)
        sound += gain / harmonic**0.5 * np.sin(harmonic * phase)
    envelope = np.sin(np.pi * (time % syllable) / syllable) ** 0.5
    sound *= envelope
    return np.asarray(0.3 * sound / np.abs(sound).max(), np.float32)
