"""The `moshi` package as it is published, made to run beside this server without the old versions it pins.

It is installed alone into a folder of its own and found there only while a benchmark runs. What it imports
without needing it for a computation (the download library) is stood in for.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from personaplex_server.model.config import CodecConfig, LmConfig

VERSION: Final = "0.2.13"
_PACKAGES: Final = (f"moshi=={VERSION}", "einops==0.8.2")
_INSTALL_LIMIT_S: Final = 300


class MissingReferenceError(RuntimeError):
    """The reference cannot be had here; the text is a sentence."""


def install(folder: Path) -> None:
    """Install the reference into `folder`, unless it is there.

    Raises:
        MissingReferenceError: Neither pip nor uv could do it.
    """
    if (folder / "moshi").is_dir() and (folder / "einops").is_dir():
        return
    told = ""
    for tool in (("pip",), ("uv", "pip")):
        command = [sys.executable, "-m", *tool, "install", "--quiet", "--no-deps"]
        try:
            done = subprocess.run(
                [*command, "--target", str(folder), *_PACKAGES],
                capture_output=True,
                text=True,
                timeout=_INSTALL_LIMIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            told = str(error)
            continue
        if done.returncode == 0:
            return
        told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    raise MissingReferenceError(f"moshi {VERSION} could not be installed for comparison ({told}).")


def load(folder: Path) -> None:
    """Make the reference importable from `folder`.

    Raises:
        MissingReferenceError: It cannot be imported.
    """
    sys.path.append(str(folder))
    if importlib.util.find_spec("huggingface_hub") is None:
        hub, errors = (
            types.ModuleType("huggingface_hub"),
            types.ModuleType("huggingface_hub.errors"),
        )
        hub.__dict__["hf_hub_download"] = None
        errors.__dict__["EntryNotFoundError"] = OSError
        sys.modules |= {"huggingface_hub": hub, "huggingface_hub.errors": errors}
    try:
        importlib.import_module("moshi.models.loaders")
    except ImportError as error:
        raise MissingReferenceError(f"moshi {VERSION} cannot be imported ({error}).") from error


def language_model(config: LmConfig, weights: dict[str, Tensor], rows: int) -> Any:
    """Return the reference's generator for `rows` rows, in streaming mode, with the given weights."""
    import torch

    loaders: Any = importlib.import_module("moshi.models.loaders")
    sizes = {
        "dim": config.dim,
        "text_card": config.text_card,
        "num_heads": config.num_heads,
        "num_layers": config.num_layers,
        "context": config.context,
        "depformer_dim": config.depth_dim,
        "depformer_num_heads": config.depth_heads,
        "depformer_num_layers": config.depth_layers,
        "depformer_dim_feedforward": int(4.125 * config.depth_dim),
    }
    model = loaders.get_moshi_lm(
        None, lm_kwargs=loaders._lm_kwargs | sizes, device="cpu", dtype=torch.float32
    )
    model.load_state_dict(weights)
    generator = importlib.import_module("moshi.models").LMGen(model)
    generator.streaming_forever(rows)
    return generator


def codec(config: CodecConfig, weights: dict[str, Tensor], rows: int) -> Any:
    """Return the reference's codec of 8 codebooks for `rows` rows, in streaming mode."""
    loaders: Any = importlib.import_module("moshi.models.loaders")
    seanet = loaders._seanet_kwargs | {
        "dimension": config.dimension,
        "n_filters": config.n_filters,
    }
    transformer = loaders._transformer_kwargs | {
        "d_model": config.transformer_dim,
        "num_heads": config.transformer_heads,
        "num_layers": config.transformer_layers,
        "dim_feedforward": config.transformer_hidden,
        "input_dimension": config.dimension,
        "output_dimensions": [config.dimension],
    }
    quantizer = loaders._quantizer_kwargs | {
        "dimension": config.code_dim,
        "n_q": config.stored_codebooks,
        "input_dimension": config.dimension,
        "output_dimension": config.dimension,
    }
    model = loaders.get_mimi(
        None,
        loaders._mimi_config
        | {"seanet": seanet, "transformer": transformer, "quantizer": quantizer},
    )
    model.load_state_dict(weights)
    model.streaming_forever(rows)
    return model
