"""How long a tick of the voice server takes: the rehearsal engine as it is served, and its parts at known sizes.

Sizes are those of the reference measurements: an LM of 128 x 2 layers (tiny) and 1024 x 8 (mid), each with 32000 text
tokens and sampling on, and the codec at the released size. LM rows stand at position 300, and once more at the end of a
full context. CPU only; random weights, which cost what trained ones cost.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from personaplex_server.checkpoint import make_rehearsal
from personaplex_server.engines.base import Persona
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.codec import Codec
from personaplex_server.model.config import FRAME_SAMPLES, CodecConfig, LmConfig
from personaplex_server.model.lm import Lm
from personaplex_server.model.prompt import PromptCalls
from personaplex_server.model.rehearsal import feed_forward
from personaplex_server.model.sampling import RowSampler, draws
from personaplex_server.model.weights import TensorFile

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT: Final = 0.5
"""Real-time factor that the rehearsal model must stay below."""
FRAME_MS: Final = 80.0
POSITION: Final = 300
CPU: Final = torch.device("cpu")
SIZES: Final = {
    "tiny": LmConfig(
        dim=128, num_heads=4, num_layers=2, depth_dim=64, depth_heads=2, depth_layers=2
    ),
    "mid": LmConfig(
        dim=1024, num_heads=8, num_layers=8, depth_dim=512, depth_heads=8, depth_layers=4
    ),
}


class RandomFile(TensorFile):
    """Weights of any shape, made up as they are asked for."""

    def __init__(self, config: LmConfig | None = None) -> None:
        self.path = Path("random")
        self.device, self.dtype = CPU, torch.float32
        self._lm = config or LmConfig()

    def has(self, key: str) -> bool:
        """Whether there is such a tensor: always."""
        return True

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of the few tensors that sizes are read from."""
        width = self._lm.depth_dim if key.startswith("depformer") else self._lm.dim
        if "in_proj" in key:
            return (48 * width, width)
        return (16 * width, width) if "out_proj" in key else (width, feed_forward(width))

    def take(
        self, key: str, shape: Any, *, rows: int | None = None, dtype: Any = None
    ) -> torch.Tensor:
        """Return random numbers of a size that keeps sums within bounds."""
        shape = (rows, *shape[1:]) if rows is not None else tuple(shape)
        inputs = int(np.prod(shape[1:])) or 1
        return torch.rand(shape) if "usage" in key else torch.randn(shape) / inputs**0.5


def median_ms(work: Callable[[], object], times: int) -> float:
    """Return the median of `times` runs after a few to warm up."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begin))
    return statistics.median(taken)


def bench_engine(times: int) -> dict[str, float]:
    """Measure the rehearsal model as the server runs it, one caller."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        make_rehearsal(Path(folder) / "model")
        made = time.perf_counter()
        engine = PersonaPlexEngine.load(Path(folder) / "model", device="cpu")
        loaded = time.perf_counter()
        engine.open(0, Persona(text="You are a friendly teacher."))
        opened = time.perf_counter()
        sound = (0.1 * np.random.default_rng(1).standard_normal(FRAME_SAMPLES)).astype(np.float32)
        tick = median_ms(lambda: engine.tick({0: sound}), 5 * times)
    return {
        "make_s": made - begin,
        "load_s": loaded - made,
        "prompt_s": opened - loaded,
        "tick_ms": tick,
        "real_time_factor": tick / FRAME_MS,
    }


def bench_lm(config: LmConfig, rows: int, times: int) -> dict[str, float]:
    """Measure one LM step with its depth steps and sampling."""
    lm = Lm(RandomFile(config), config, rows)
    state = lm.state(rows)
    samplers = [
        RowSampler(
            (0.7, 25),
            (0.8, 250),
            text_card=config.text_card,
            card=config.card,
            codebooks=8,
            seed=row,
        )
        for row in range(rows)
    ]
    user = torch.randint(config.card, (rows, 8))

    def step(prefix: int, full: bool) -> None:
        state.call.fill_(POSITION)
        text, audio = draws(samplers, [True] * rows, CPU)
        lm.step(state, user, None, prefix=prefix, full=full, forcing=False, text_draw=text,
                audio_draw=audio)  # fmt: skip

    prompt = PromptCalls(np.random.default_rng(1).integers(config.card, size=(200, 17)), config)
    return {
        "step_ms": median_ms(lambda: step(lm.prefix(POSITION), False), times),
        "step_full_context_ms": median_ms(lambda: step(lm.window, True), times),
        "prefill_200_ms": median_ms(lambda: list(lm.prefill(prompt)), max(times // 8, 2)),
    }


def bench_codec(rows: int, times: int) -> dict[str, float]:
    """Measure the codec at the released size, its attention full."""
    codec = Codec(RandomFile(), CodecConfig(), 8, rows)
    hearing, speaking = codec.encoding(rows), codec.decoding(rows)
    pcm, codes = 0.1 * torch.randn(rows, FRAME_SAMPLES), torch.randint(2048, (rows, 8))
    window = hearing.attention.window
    return {
        "encode_ms": median_ms(lambda: codec.encode(pcm, hearing, None, prefix=window), times),
        "decode_ms": median_ms(lambda: codec.decode(codes, speaking, None, prefix=window), times),
    }


def main() -> int:
    """Measure, print a table on stderr and one JSON object on stdout; 1 when the limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--times", type=int, default=30, help="runs per figure")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with torch.inference_mode():
        figures: dict[str, Any] = {
            "threads": options.threads,
            "rehearsal": bench_engine(options.times),
        }
        for rows in options.rows:
            for name, config in SIZES.items():
                figures[f"lm_{name}_{rows}"] = bench_lm(config, rows, options.times)
            figures[f"codec_{rows}"] = bench_codec(rows, options.times)
    for area, values in figures.items():
        if isinstance(values, dict):
            told = "   ".join(f"{key} {value:.2f}" for key, value in values.items())
            print(f"{area:14}{told}", file=sys.stderr)
    figures["limit"] = {"real_time_factor": LIMIT}
    figures["held"] = figures["rehearsal"]["real_time_factor"] < LIMIT
    print(json.dumps(figures))
    return 0 if figures["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
