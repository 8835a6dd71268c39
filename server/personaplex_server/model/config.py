"""How big the model of a folder is: read from its `config.json`, the released 7B sizes where that is silent.

Only sizes vary. Kinds of layer that the released model does not use are refused in words, since running them
as if they were the known kind would answer nonsense.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .foreign_config import MODEL_TYPE, released_keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONFIG_FILE: Final = "config.json"
SAMPLE_RATE: Final = 24_000
FRAME_SAMPLES: Final = 1_920
FRAME_RATE: Final = 12.5

RELEASED_DELAYS: Final = (0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1)
MAX_CODEBOOKS: Final = 8
"""Codebooks one speaker uses; the constant frames of a prompt hold this many."""
MAX_DELAY: Final = 64


class CheckpointError(RuntimeError):
    """A model folder that cannot be used; the text names the file or key and what to do.

    Attributes:
        cause: What kind of trouble it is, for programs.
    """

    cause = "model"


@dataclass(frozen=True, slots=True)
class LmConfig:
    """Sizes of the language model.

    Attributes:
        dim: Width.
        text_card: Text tokens; the embedding has one row more, the initial token.
        padding_id: Text token that means "nothing said".
        n_q: Audio streams, half of them the model's own.
        card: Entries of an audio codebook.
        num_heads: Attention heads.
        num_layers: Layers.
        context: Slots of the reference's attention ring; one less is in effect once it is full.
        max_period: Base of the rotary positions.
        depth_dim: Width of the depth transformer.
        depth_heads: Its attention heads.
        depth_layers: Its layers.
        delays: Frames by which each stream lags, text first.
    """

    dim: int = 4096
    text_card: int = 32_000
    padding_id: int = 3
    n_q: int = 16
    card: int = 2048
    num_heads: int = 32
    num_layers: int = 32
    context: int = 3000
    max_period: float = 10_000.0
    depth_dim: int = 1024
    depth_heads: int = 16
    depth_layers: int = 6
    delays: tuple[int, ...] = RELEASED_DELAYS

    @property
    def own_codebooks(self) -> int:
        """Audio streams that the model speaks; the depth transformer's steps that are needed."""
        return self.n_q // 2

    @property
    def streams(self) -> int:
        """Text, the model's audio and the caller's audio."""
        return self.n_q + 1

    @property
    def max_delay(self) -> int:
        """Largest of the delays."""
        return max(self.delays)


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """Sizes of the audio codec (Mimi).

    Attributes:
        dimension: Width of the latent between convolutions and transformer.
        n_filters: Channels of the outermost convolution.
        ratios: Strides, as the decoder applies them.
        n_residual_layers: Residual blocks per stride.
        compress: By how much a residual block narrows.
        dilation_base: Growth of the dilation from block to block.
        kernel_size: First kernel.
        residual_kernel_size: Kernel of the residual blocks.
        last_kernel_size: Last kernel.
        true_skip: Whether a residual block adds its very input.
        transformer_dim: Width of both transformers.
        transformer_heads: Their heads.
        transformer_layers: Their layers.
        transformer_hidden: Their feed-forward width.
        transformer_scaled: Whether their layers have a learnt scale.
        context: Slots of their attention ring.
        max_period: Base of their rotary positions.
        code_dim: Width in which codebooks are searched.
        bins: Entries of a codebook.
        stored_codebooks: Codebooks in the file, of which the first few are used.
    """

    dimension: int = 512
    n_filters: int = 64
    ratios: tuple[int, ...] = (8, 6, 5, 4)
    n_residual_layers: int = 1
    compress: int = 2
    dilation_base: int = 2
    kernel_size: int = 7
    residual_kernel_size: int = 3
    last_kernel_size: int = 3
    true_skip: bool = True
    transformer_dim: int = 512
    transformer_heads: int = 8
    transformer_layers: int = 8
    transformer_hidden: int = 2048
    transformer_scaled: bool = True
    context: int = 250
    max_period: float = 10_000.0
    code_dim: int = 256
    bins: int = 2048
    stored_codebooks: int = 32

    @property
    def hop(self) -> int:
        """Samples per latent position before the last downsampling."""
        hop = 1
        for ratio in self.ratios:
            hop *= ratio
        return hop

    @property
    def positions(self) -> int:
        """Latent positions in one frame, which the last downsampling joins into one."""
        return FRAME_SAMPLES // self.hop


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything that `config.json` may say.

    Attributes:
        lm: The language model.
        codec: The audio codec.
        rehearsal: The weights are random: right shape, no training.
    """

    lm: LmConfig = field(default_factory=LmConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    rehearsal: bool = False


class _Section:
    """One object of the file, read key by key with errors that name the key."""

    def __init__(self, values: object, name: str) -> None:
        if not isinstance(values, dict):
            raise CheckpointError(f"{CONFIG_FILE}: “{name}” should be an object with sizes in it.")
        self.values: Mapping[str, Any] = values
        self.name = name

    def whole(self, key: str, default: int, *, least: int = 1) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1 << 24:
            raise CheckpointError(
                f"{CONFIG_FILE}: “{self.name}.{key}” should be a whole number of at least {least}, "
                f"not {value!r}."
            )
        return value

    def number(self, key: str, default: float) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise CheckpointError(
                f"{CONFIG_FILE}: “{self.name}.{key}” should be a number above 0, not {value!r}."
            )
        return float(value)

    def wholes(self, key: str, default: tuple[int, ...], *, least: int) -> tuple[int, ...]:
        value = self.values.get(key, default)
        if (
            not isinstance(value, list | tuple)
            or not value
            or any(isinstance(v, bool) or not isinstance(v, int) or v < least for v in value)
        ):
            raise CheckpointError(
                f"{CONFIG_FILE}: “{self.name}.{key}” should be a list of whole numbers of at least "
                f"{least}, not {value!r}."
            )
        return tuple(value)

    def only(self, key: str, *known: object) -> object:
        value = self.values.get(key, known[0])
        if value not in known or isinstance(value, bool) != isinstance(known[0], bool):
            names = " or ".join(json.dumps(each) for each in known)
            raise CheckpointError(
                f"{CONFIG_FILE}: “{self.name}.{key}” is {value!r}; this server knows only {names}."
            )
        return value


def _heads(dim: int, heads: int, where: str) -> None:
    if dim % heads or (dim // heads) % 2:
        raise CheckpointError(
            f"{CONFIG_FILE}: {where} of width {dim} cannot be split into {heads} heads of an even width."
        )


def _lm(raw: object) -> LmConfig:
    section = _Section(raw, "lm")
    section.only("causal", True)
    section.only("layer_scale", None)
    section.only("gating", "silu")
    section.only("norm", "rms_norm_f32")
    section.only("positional_embedding", "rope")
    section.only("depformer_causal", True)
    section.only("depformer_layer_scale", None)
    section.only("depformer_multi_linear", True)
    section.only("depformer_gating", "silu")
    section.only("depformer_pos_emb", "none")
    section.only("depformer_weights_per_step", True)
    base = LmConfig()
    n_q = section.whole("n_q", base.n_q)
    config = LmConfig(
        dim=section.whole("dim", base.dim),
        text_card=section.whole("text_card", base.text_card, least=4),
        padding_id=section.whole("existing_text_padding_id", base.padding_id, least=0),
        n_q=n_q,
        card=section.whole("card", base.card),
        num_heads=section.whole("num_heads", base.num_heads),
        num_layers=section.whole("num_layers", base.num_layers),
        context=section.whole("context", base.context, least=2),
        max_period=section.number("max_period", base.max_period),
        depth_dim=section.whole("depformer_dim", base.depth_dim),
        depth_heads=section.whole("depformer_num_heads", base.depth_heads),
        depth_layers=section.whole("depformer_num_layers", base.depth_layers),
        delays=section.wholes("delays", base.delays, least=0),
    )
    if n_q % 2 or n_q > 2 * MAX_CODEBOOKS:
        raise CheckpointError(
            f"{CONFIG_FILE}: “lm.n_q” is {n_q}; it should be even and at most {2 * MAX_CODEBOOKS}, "
            "half for each speaker."
        )
    if section.whole("dep_q", config.own_codebooks) < config.own_codebooks:
        raise CheckpointError(
            f"{CONFIG_FILE}: “lm.dep_q” is below {config.own_codebooks}, the codebooks the model speaks."
        )
    if len(config.delays) != config.streams:
        raise CheckpointError(
            f"{CONFIG_FILE}: “lm.delays” has {len(config.delays)} entries; {config.streams} streams "
            "need one each."
        )
    if config.max_delay > MAX_DELAY:
        raise CheckpointError(f"{CONFIG_FILE}: “lm.delays” holds a delay above {MAX_DELAY} frames.")
    if config.padding_id >= config.text_card:
        raise CheckpointError(
            f"{CONFIG_FILE}: “lm.existing_text_padding_id” is not one of the text tokens."
        )
    _heads(config.dim, config.num_heads, "“lm”")
    if config.depth_dim % config.depth_heads:
        raise CheckpointError(
            f"{CONFIG_FILE}: “lm.depformer_dim” cannot be split into {config.depth_heads} heads."
        )
    return config


def _codec(seanet_raw: object, quantizer_raw: object, transformer_raw: object) -> CodecConfig:
    seanet = _Section(seanet_raw, "seanet")
    quantizer = _Section(quantizer_raw, "quantizer")
    transformer = _Section(transformer_raw, "mimi_transformer")
    base = CodecConfig()
    seanet.only("channels", 1)
    seanet.only("causal", True)
    seanet.only("activation", "ELU")
    seanet.only("norm", "none")
    seanet.only("pad_mode", "constant")
    transformer.only("causal", True)
    transformer.only("gating", "none")
    transformer.only("norm", "layer_norm")
    transformer.only("positional_embedding", "rope")
    scale = transformer.values.get("layer_scale", 0.01)
    config = CodecConfig(
        dimension=seanet.whole("dimension", base.dimension),
        n_filters=seanet.whole("n_filters", base.n_filters),
        ratios=seanet.wholes("ratios", base.ratios, least=1),
        n_residual_layers=seanet.whole("n_residual_layers", base.n_residual_layers, least=0),
        compress=seanet.whole("compress", base.compress),
        dilation_base=seanet.whole("dilation_base", base.dilation_base),
        kernel_size=seanet.whole("kernel_size", base.kernel_size),
        residual_kernel_size=seanet.whole("residual_kernel_size", base.residual_kernel_size),
        last_kernel_size=seanet.whole("last_kernel_size", base.last_kernel_size),
        true_skip=seanet.only("true_skip", True, False) is True,
        transformer_dim=transformer.whole("d_model", base.transformer_dim),
        transformer_heads=transformer.whole("num_heads", base.transformer_heads),
        transformer_layers=transformer.whole("num_layers", base.transformer_layers, least=0),
        transformer_hidden=transformer.whole("dim_feedforward", base.transformer_hidden),
        transformer_scaled=scale is not None,
        context=transformer.whole("context", base.context, least=2),
        max_period=transformer.number("max_period", base.max_period),
        code_dim=quantizer.whole("dimension", base.code_dim),
        bins=quantizer.whole("bins", base.bins),
        stored_codebooks=quantizer.whole("n_q", base.stored_codebooks),
    )
    if config.compress > config.n_filters:
        raise CheckpointError(
            f"{CONFIG_FILE}: “seanet.compress” leaves no channel of “seanet.n_filters”."
        )
    if FRAME_SAMPLES % config.hop:
        raise CheckpointError(
            f"{CONFIG_FILE}: “seanet.ratios” give a hop of {config.hop} samples, which does not divide "
            f"a frame of {FRAME_SAMPLES}."
        )
    if config.context <= config.positions:
        raise CheckpointError(
            f"{CONFIG_FILE}: “mimi_transformer.context” is too short for one frame."
        )
    _heads(config.transformer_dim, config.transformer_heads, "“mimi_transformer”")
    for key in ("input_dimension", "output_dimension"):
        if quantizer.whole(key, config.dimension) != config.dimension:
            raise CheckpointError(
                f"{CONFIG_FILE}: “quantizer.{key}” differs from “seanet.dimension”."
            )
    return config


def load_config(folder: Path) -> ModelConfig:
    """Read the sizes of the model in `folder`.

    Raises:
        CheckpointError: The file is there but is not JSON, or says something this server cannot run.
    """
    path = folder / CONFIG_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ModelConfig()
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{CONFIG_FILE} in {folder} cannot be read as JSON ({error}); restore it, or remove it to "
            "use the released model's sizes."
        ) from error
    if not isinstance(raw, dict):
        raise CheckpointError(f"{CONFIG_FILE} in {folder} should hold a JSON object.")
    if raw.get("model_type") == MODEL_TYPE:
        raw = released_keys(raw)
    top = _Section(raw, "config")
    if top.number("sample_rate", SAMPLE_RATE) != SAMPLE_RATE:
        raise CheckpointError(f"{CONFIG_FILE}: “sample_rate” should be {SAMPLE_RATE}.")
    if top.number("frame_rate", FRAME_RATE) != FRAME_RATE:
        raise CheckpointError(f"{CONFIG_FILE}: “frame_rate” should be {FRAME_RATE}.")
    lm = _lm(raw.get("lm", {}))
    codec = _codec(raw.get("seanet", {}), raw.get("quantizer", {}), raw.get("mimi_transformer", {}))
    if codec.bins != lm.card:
        raise CheckpointError(
            f"{CONFIG_FILE}: “quantizer.bins” is {codec.bins} but “lm.card” is {lm.card}; they must agree."
        )
    if codec.stored_codebooks < lm.own_codebooks:
        raise CheckpointError(
            f"{CONFIG_FILE}: “quantizer.n_q” is {codec.stored_codebooks}; the model speaks "
            f"{lm.own_codebooks} codebooks."
        )
    return ModelConfig(lm=lm, codec=codec, rehearsal=raw.get("rehearsal") is True)
