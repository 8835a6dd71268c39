"""The step at the released model's full size, without its memory: fit to be recorded as one GPU graph.

Fake and meta tensors carry shapes only. Reading a value back, branching on one, or mixing in a tensor of another
device raises; so a step that passes has none of it.
"""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from personaplex_server.model.codec import Codec
from personaplex_server.model.config import CodecConfig, LmConfig
from personaplex_server.model.graph import Bucket, Replays
from personaplex_server.model.lm import Lm
from personaplex_server.model.sampling import Draw
from personaplex_server.model.tick import Tick

ROWS = 8
VIEWS = ("view", "reshape", "slice", "select", "unsqueeze", "expand", "transpose", "unbind", "split",
         "detach", "alias", "as_strided", "permute", "chunk", "_unsafe_view", "squeeze", "t")  # fmt: skip


class Shapes:
    """A file of weights that has every tensor that is asked of it."""

    path = SimpleNamespace(name="model.safetensors")

    def __init__(self, device, dtype):
        self.device, self.dtype = torch.device(device), dtype
        self.taken = 0
        self.sizes = {"linear_out": (4096, 11264), "depth": (1024, 2816)}

    def has(self, key):
        return True

    def shape(self, key):
        if "self_attn.in_proj" in key:
            return (16 * 3072, 1024)
        if "self_attn.out_proj" in key:
            return (16 * 1024, 1024)
        return self.sizes["depth" if key.startswith("depformer") else "linear_out"]

    def columns(self, key):
        return self.shape(key)[1]

    def take(self, key, shape, *, rows=None, dtype=None):
        shape = (rows, *shape[1:]) if rows is not None else tuple(shape)
        self.taken += torch.Size(shape).numel()
        return torch.empty(shape, device=self.device, dtype=dtype or self.dtype)


def draw(k, *books, device):
    return Draw(
        torch.ones(ROWS, 1, device=device),
        torch.full((ROWS, 1), k - 1, device=device),
        torch.zeros(ROWS, *books, 2, device=device),
        torch.zeros(ROWS, dtype=torch.bool, device=device),
        k,
    )


def step(lm, state, device):
    return lm.step(
        state,
        torch.zeros(ROWS, 8, dtype=torch.int64, device=device),
        torch.ones(ROWS, dtype=torch.bool, device=device),
        prefix=lm.prefix(300),
        full=False,
        forcing=True,
        text_draw=draw(25, device=device),
        audio_draw=draw(250, 8, device=device),
    )


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names[function._schema.name.removeprefix("aten::")] += 1
        return function(*args, **(kwargs or {}))


def test_language_model_step_reads_nothing_back():
    with FakeTensorMode():
        file = Shapes("cpu", torch.bfloat16)
        lm = Lm(file, LmConfig(num_layers=3))
        state = lm.state(ROWS)
        result = step(lm, state, "cpu")
        assert result.tokens.shape == (ROWS, 9)
        assert result.text_logits.shape == (ROWS, 32000)


def test_language_model_step_stays_on_its_device():
    file = Shapes("meta", torch.bfloat16)
    lm = Lm(file, LmConfig())
    # The published count of parameters, less the depth steps that are not loaded.
    assert file.taken == 7_687_729_152
    state = lm.state(ROWS)
    assert state.memory.shape == (32, 2, ROWS, 32, 2999, 128)
    assert step(lm, state, "meta").tokens.device.type == "meta"


@pytest.mark.parametrize("mode", ["fake", "meta"])
def test_codec_stays_on_its_device_and_reads_nothing_back(mode):
    device = "cpu" if mode == "fake" else "meta"
    context = FakeTensorMode() if mode == "fake" else torch.inference_mode()
    with context:
        codec = Codec(Shapes(device, torch.float32), CodecConfig(), 8)
        hearing, speaking = codec.encoding(ROWS), codec.decoding(ROWS)
        active = torch.ones(ROWS, dtype=torch.bool, device=device)
        pcm = torch.zeros(ROWS, 1920, device=device)
        codes = codec.encode(pcm, hearing, active, prefix=hearing.prefix(ROWS))
        assert codes.shape == (ROWS, 8)
        out = codec.decode(codes, speaking, active, prefix=speaking.prefix(ROWS))
        assert out.shape == (ROWS, 1920)


def test_operators_per_step_stay_within_bounds():
    lm = Lm(Shapes("meta", torch.bfloat16), LmConfig())
    state = lm.state(ROWS)
    with Count() as count:
        step(lm, state, "meta")
    assert 500 < sum(n for name, n in count.names.items() if name not in VIEWS) <= 2700


def test_state_stays_in_place(parity_model):
    lm = parity_model.lm
    state = lm.state(3)
    places = [each.data_ptr() for each in (state.memory, state.call, state.ring, state.forced)]
    for _ in range(100):
        lm.step(state, torch.zeros(2, 8, dtype=torch.int64), torch.tensor([True, False]), prefix=128,
                full=False, forcing=True, text_draw=None, audio_draw=None)  # fmt: skip
    after = [each.data_ptr() for each in (state.memory, state.call, state.ring, state.forced)]
    assert after == places
    assert state.call.tolist() == [101, 1, 1]


class Once:
    """Does what is to be recorded once, and keeps no recording."""

    def record(self, work):
        work()
        return work


@pytest.mark.parametrize("mode", ["fake", "meta"])
def test_whole_tick_can_be_recorded(mode):
    """Reads nothing back, branches on no value, and mixes in nothing of another device."""
    device = "cpu" if mode == "fake" else "meta"
    context = FakeTensorMode() if mode == "fake" else torch.inference_mode()
    # Layers are alike, so one of each kind will do; the widths are the released ones.
    sizes = LmConfig(num_layers=1, depth_layers=1)
    with context:
        lm = Lm(Shapes(device, torch.bfloat16), sizes)
        codec = Codec(Shapes(device, torch.float32), CodecConfig(transformer_layers=1), 8)
        replays = Replays(Tick(lm, codec, ROWS), Once())
        for bucket in (replays.buckets[0], replays.buckets[-1]):
            replays._work(bucket)
    assert replays.buckets[0] == Bucket(1, 512)
    assert replays.buckets[-1] == Bucket(ROWS, 2999)
    assert len(replays.buckets) == 16
    assert replays.bucket(3, 700) == Bucket(4, 1024)
    assert replays.bucket(1, 5000) == Bucket(1, 2999)


def test_operators_per_tick_stay_within_bounds():
    lm = Lm(Shapes("meta", torch.bfloat16), LmConfig())
    codec = Codec(Shapes("meta", torch.float32), CodecConfig(), 8)
    replays = Replays(Tick(lm, codec, ROWS), Once())
    with Count() as count:
        replays._work(Bucket(ROWS, 512))
    launched = sum(n for name, n in count.names.items() if name not in VIEWS)
    assert 1000 < launched <= 2700
