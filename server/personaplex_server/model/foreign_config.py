"""The `config.json` of a Moshi checkpoint that the `transformers` library saved, in the keys of the released model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL_TYPE: Final = "moshi"

_LM: Final = {
    "hidden_size": "dim",
    "vocab_size": "text_card",
    "audio_vocab_size": "card",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "sliding_window": "context",
}
_DEPTH: Final = {
    "hidden_size": "depformer_dim",
    "num_attention_heads": "depformer_num_heads",
    "num_hidden_layers": "depformer_num_layers",
}
_SEANET: Final = {
    "hidden_size": "dimension",
    "num_filters": "n_filters",
    "upsampling_ratios": "ratios",
    "num_residual_layers": "n_residual_layers",
    "compress": "compress",
    "dilation_growth_rate": "dilation_base",
    "kernel_size": "kernel_size",
    "residual_kernel_size": "residual_kernel_size",
    "last_kernel_size": "last_kernel_size",
    "audio_channels": "channels",
    "use_causal_conv": "causal",
    "pad_mode": "pad_mode",
}
_QUANTIZER: Final = {
    "vector_quantization_hidden_dimension": "dimension",
    "num_quantizers": "n_q",
    "codebook_size": "bins",
}
_TRANSFORMER: Final = {
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "intermediate_size": "dim_feedforward",
    "sliding_window": "context",
}


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found = {new: values[old] for old, new in names.items() if old in values}
    rope = values.get("rope_parameters")
    theta = rope.get("rope_theta") if isinstance(rope, dict) else values.get("rope_theta")
    if theta is not None and "num_layers" in names.values():
        found["max_period"] = theta
    return found


def released_keys(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same sizes as the released model's `config.json` says them; wrong values go through unchanged."""
    audio, depth = raw.get("audio_encoder_config", {}), raw.get("depth_decoder_config", {})
    books = raw.get("num_codebooks", 8)
    lm = _renamed(raw, _LM)
    if isinstance(depth, dict):
        lm |= _renamed(depth, _DEPTH)
    if isinstance(books, int):
        late = [0] + [1] * (books - 1)
        lm |= {"n_q": 2 * books, "dep_q": books, "delays": [0, *late, *late]}
    if not isinstance(audio, dict):
        return {"lm": lm, "seanet": audio}
    seanet = _renamed(audio, _SEANET)
    if isinstance(audio.get("use_conv_shortcut"), bool):
        seanet["true_skip"] = not audio["use_conv_shortcut"]
    return {
        "lm": lm,
        "seanet": seanet,
        "quantizer": _renamed(audio, _QUANTIZER),
        "mimi_transformer": _renamed(audio, _TRANSFORMER),
        "sample_rate": audio.get("sampling_rate", 24_000),
    }
