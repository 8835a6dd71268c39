"""What the model's tests share: the reference's recorded answers, and checkpoints of any size."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from personaplex_server.checkpoint import config_json
from personaplex_server.kernels import machine
from personaplex_server.model.codec import Codec
from personaplex_server.model.config import load_config
from personaplex_server.model.lm import Lm, Snapshot
from personaplex_server.model.pieces import sentencepiece_model
from personaplex_server.model.rehearsal import codec_tensors, lm_tensors
from personaplex_server.model.weights import CODEC_FILE, LM_FILE, TEXT_FILE, TensorFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from personaplex_server.model.config import ModelConfig
    from personaplex_server.model.prompt import PromptCalls

PARITY = Path(__file__).parents[2] / "data" / "parity"
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _inference(request: pytest.FixtureRequest) -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="session")
def without_kernels() -> Callable[[], AbstractContextManager[None]]:
    """Have torch's operators compute, as they do where no functions can be made for the processor."""

    @contextmanager
    def switched_off() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(machine.SWITCH, "off")
            machine.kernels.cache_clear()
            yield
        machine.kernels.cache_clear()

    return switched_off


@pytest.fixture(scope="session")
def own_functions() -> None:
    """Only where functions can be made for this processor."""
    if machine.kernels() is None:
        pytest.skip("no functions can be made for this processor")


@pytest.fixture
def torch_only(without_kernels: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Torch's operators compute in this test."""
    with without_kernels():
        yield


@pytest.fixture(params=["own functions", "torch"])
def computed_by(
    request: pytest.FixtureRequest, without_kernels: Callable[[], AbstractContextManager[None]]
) -> Iterator[str]:
    """Have what is tested computed by both: functions made for this processor, and torch's operators."""
    if request.param == "torch":
        with without_kernels():
            yield request.param
    elif machine.kernels() is None:
        pytest.skip("no functions can be made for this processor")
    else:
        yield request.param


@dataclass(frozen=True)
class Parity:
    """The recorded answers of the reference."""

    folder: Path
    inputs: dict[str, NDArray[Any]]
    expected: dict[str, NDArray[Any]]
    text: str

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"


@pytest.fixture(scope="session")
def parity() -> Parity:
    return Parity(
        PARITY,
        dict(np.load(PARITY / "inputs.npz")),
        dict(np.load(PARITY / "expected.npz")),
        json.loads((PARITY / "prompt.json").read_text())["text_prompt"],
    )


@dataclass(frozen=True)
class Model:
    """The parts of one checkpoint, float32 on the CPU."""

    config: ModelConfig
    lm: Lm
    codec: Codec


@pytest.fixture(scope="session")
def load_model() -> Callable[..., Model]:
    def load(folder: Path, config: ModelConfig | None = None, rows: int = 1) -> Model:
        sizes = config or load_config(folder)
        with torch.inference_mode():
            lm = Lm(TensorFile(folder / LM_FILE, CPU, torch.float32), sizes.lm)
            codec = Codec(
                TensorFile(folder / CODEC_FILE, CPU, torch.float32),
                sizes.codec,
                sizes.lm.own_codebooks,
            )
        return Model(sizes, lm, codec)

    return load


@pytest.fixture(scope="session")
def parity_model(load_model: Callable[..., Model], parity: Parity) -> Model:
    return load_model(parity.checkpoint)


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Write a random checkpoint of any sizes."""

    def write(
        config: ModelConfig, *, name: str = "checkpoint", seed: int = 1, steps: int = 16
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        generator = torch.Generator().manual_seed(seed)
        lm = lm_tensors(config.lm, generator, steps)
        save_file({k: v.to(torch.bfloat16) for k, v in lm.items()}, folder / LM_FILE)
        save_file(codec_tensors(config.codec, generator), folder / CODEC_FILE)
        (folder / TEXT_FILE).write_bytes(sentencepiece_model(config.lm.text_card))
        (folder / "config.json").write_text(json.dumps(config_json(config)))
        return folder

    return write


@dataclass
class Conversation:
    """Greedy, one row: what the model answers to codes after a prompt."""

    tokens: NDArray[np.int64]
    logits: NDArray[np.float32]


@pytest.fixture(scope="session")
def converse() -> Callable[..., Conversation]:
    def run(lm: Lm, prompt: PromptCalls, user: NDArray[Any]) -> Conversation:
        """Answer `user` [frames, codebooks]."""
        *_, snapshot = lm.prefill(prompt)
        assert isinstance(snapshot, Snapshot)
        state = lm.state(1)
        lm.install(state, 0, snapshot)
        call, delay = snapshot.calls, lm.config.max_delay
        start = max(call, 1)
        tokens: list[list[int]] = []
        logits: list[NDArray[np.float32]] = []
        for codes in user:
            if call > 0:
                result = lm.step(
                    state,
                    torch.from_numpy(np.asarray(codes, np.int64)).unsqueeze(0),
                    None,
                    prefix=min(call, lm.window),
                    full=True,
                    forcing=call < start + delay,
                    text_draw=None,
                    audio_draw=None,
                )
                logits.append(result.text_logits[0].numpy().copy())
            silent = call <= delay
            tokens.append(
                [-1] * (1 + lm.config.own_codebooks) if silent else result.tokens[0].tolist()
            )
            call += 1
        return Conversation(np.array(tokens), np.array(logits))

    return run


@pytest.fixture(scope="session")
def encode() -> Callable[..., NDArray[np.int64]]:
    def run(codec: Codec, frames: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return codes [frames, used] of `frames` [frames, 1920], one after the other."""
        side, codes = codec.encoding(1), []
        for frame in frames:
            got = codec.encode(torch.from_numpy(frame[None]), side, None, prefix=side.prefix(1))
            codes.append(got[0].numpy())
            side.advance(1, None)
        return np.array(codes)

    return run


@pytest.fixture(scope="session")
def decode() -> Callable[..., NDArray[np.float32]]:
    def run(codec: Codec, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Return the samples of `codes` [frames, used]."""
        side, samples = codec.decoding(1), []
        for code in codes:
            row = torch.from_numpy(np.asarray(code, np.int64)[None])
            samples.append(codec.decode(row, side, None, prefix=side.prefix(1))[0].numpy())
            side.advance(1, None)
        return np.concatenate(samples)

    return run
