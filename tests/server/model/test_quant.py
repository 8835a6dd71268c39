"""Eight bits: what is lost against float32, on the recorded conversations of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch._subclasses.fake_tensor import FakeTensorMode

from personaplex_server.engines.base import EngineError, Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model import quant as module
from personaplex_server.model.layers import rms_norm
from personaplex_server.model.lm import Lm
from personaplex_server.model.prompt import PromptCalls, VoiceCodes, build_prompt
from personaplex_server.model.quant import Int8Linear, Quant, direct_rows, rounded
from personaplex_server.model.weights import LM_FILE, TensorFile


@pytest.mark.parametrize("shape", [(1, 64), (3, 64), (2, 5, 64)])
def test_products_are_near(computed_by, shape):
    weight, x = torch.randn(48, 64), torch.randn(shape)
    linear = Int8Linear(weight)
    assert (linear.own is not None) == (computed_by == "own functions")
    wanted = F.linear(x, weight)
    assert (linear(x) - wanted).norm() < 0.01 * wanted.norm()
    whole, scale = rounded(weight)
    torch.testing.assert_close(linear(x), F.linear(x, whole * scale.unsqueeze(1)))
    total = torch.randn_like(wanted)
    summed = total + linear(x)
    torch.testing.assert_close(linear.onto(total, x), summed)


def test_a_row_is_the_same_in_any_company(computed_by):
    weight, x = torch.randn(48, 64), torch.randn(3, 64)
    linear = Int8Linear(weight)
    alone = linear(x[:1])
    x[1] *= 1000.0
    x[2].abs_()
    if computed_by == "own functions":
        assert torch.equal(linear(x)[:1], alone)
    else:
        torch.testing.assert_close(linear(x)[:1], alone)


def test_each_output_has_its_own_scale():
    weight = torch.randn(4, 32) * torch.tensor([[1e-4], [1.0], [1e3], [0.0]])
    whole, scale = rounded(weight)
    assert whole.dtype == torch.int8
    error = (whole.float() * scale.unsqueeze(1) - weight).norm(dim=1)
    assert (error[:3] < 0.01 * weight[:3].norm(dim=1)).all()
    assert error[3] == 0


@dataclass(frozen=True)
class Judged:
    """What a model says at each frame of a conversation in which all earlier tokens are the reference's."""

    chances: torch.Tensor
    text: torch.Tensor
    audio: torch.Tensor


def judge(parity, sizes, dtype, quant):
    file = TensorFile(parity.checkpoint / LM_FILE, torch.device("cpu"), dtype)
    lm = Lm(file, sizes, quant=quant)
    voice = VoiceCodes(parity.inputs["voice_codes"].T.astype(np.int64))
    prompt = build_prompt(sizes, voice, parity.inputs["text_tokens"].tolist())
    # A frame is answered one call after it was begun.
    said = parity.expected["hybrid/tokens"][prompt.calls + 1 :, :9].astype(np.int64)
    heard = parity.inputs["user_codes"].T.astype(np.int64)[: len(said)]
    whole = PromptCalls(np.concatenate([prompt.tokens, np.concatenate([said, heard], 1)]), sizes)
    memory = lm.room(whole.calls - 1)
    thoughts = lm.extend(memory, whole.inputs(lm, 0, whole.calls - 1), 0)
    thoughts = rms_norm(thoughts[prompt.calls :], lm.out_norm)
    text = torch.from_numpy(said[1:, 0])
    logits = lm.text_head(thoughts).float()
    return Judged(
        logits.log_softmax(-1), logits.argmax(-1), torch.stack(lm.depth(thoughts, text, None), 1)
    )


def agreement(one, other):
    return (one == other).float().mean().item()


def test_quality_on_the_recorded_conversation(parity, parity_model, computed_by):
    """The figures in docs/performance.md; the limits leave a little room for other processors."""
    sizes = parity_model.config.lm
    exact = judge(parity, sizes, torch.float32, Quant.NONE)
    recorded = torch.from_numpy(parity.expected["hybrid/tokens"][:, 0].astype(np.int64))
    assert agreement(exact.text, recorded[-len(exact.text) :]) > 0.99
    for name, kind, quant in (
        ("bfloat16", torch.bfloat16, Quant.NONE),
        ("int8", torch.float32, Quant.INT8),
    ):
        other = judge(parity, sizes, kind, quant)
        loss = (exact.chances.exp() * (exact.chances - other.chances)).sum(-1).mean().item()
        text, audio = agreement(exact.text, other.text), agreement(exact.audio, other.audio)
        print(f"{computed_by} {name}: KL {loss:.2e}, text {text:.3f}, audio {audio:.3f}")
        assert 0 < loss < (0.003 if name == "bfloat16" else 0.006)
        assert text > 0.9
        assert audio > 0.65


def test_an_engine_of_eight_bits_answers(parity, computed_by):
    engine = PersonaPlexEngine.load(parity.checkpoint, device="cpu", quant="int8", rows=2)
    assert engine.describe()["quant"] == "int8"
    assert engine.describe()["kernels"].split()[0] == computed_by.split()[0]
    engine.open(0, Persona(text="Be brief.", sampling=Sampling.greedy()))
    frame = np.zeros(1920, np.float32)
    answers = [engine.tick({0: frame})[0] for _ in range(4)]
    assert all(answer.pcm is not None for answer in answers)


def test_an_unknown_kind_is_told(parity):
    with pytest.raises(EngineError, match="choose none or int8"):
        PersonaPlexEngine.load(parity.checkpoint, device="cpu", quant="int3")


def test_weights_for_a_gpu_read_nothing_back():
    with FakeTensorMode():
        linear = Int8Linear(torch.empty(64, 32, dtype=torch.bfloat16))
        out = linear(torch.empty(3, 32, dtype=torch.bfloat16))
        assert linear.weight.dtype == torch.int8
        assert out.shape == (3, 64)
        assert out.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_gpus_product_is_the_widened_one(dtype, torch_only, monkeypatch):
    """The operator that a GPU would use, by its CPU version."""
    linear = Int8Linear(torch.randn(48, 64, dtype=dtype))
    x = torch.randn(2, 3, 64, dtype=dtype)
    wanted = linear(x)
    linear.direct = 6
    used = []
    product = torch._weight_int8pack_mm
    monkeypatch.setattr(
        torch, "_weight_int8pack_mm", lambda *given: used.append(1) or product(*given)
    )
    got = linear(x)
    assert used
    assert got.dtype == dtype
    assert (got - wanted).norm() < 0.01 * wanted.norm()
    linear(torch.randn(7, 64, dtype=dtype))
    assert len(used) == 1


def test_a_gpus_product_reads_nothing_back():
    with FakeTensorMode():
        linear = Int8Linear(torch.empty(64, 32, dtype=torch.bfloat16))
        linear.direct = 4
        out = linear(torch.empty(3, 32, dtype=torch.bfloat16))
        assert (out.shape, out.dtype) == ((3, 64), torch.bfloat16)


def tried():
    direct_rows.cache_clear()
    try:
        return direct_rows(torch.device("cpu"), torch.bfloat16, 64)
    finally:
        direct_rows.cache_clear()


def test_the_quicker_product_is_taken(monkeypatch):
    now, price = [0.0], {1: 0.5, 2: 0.9, 4: 1.5}
    product, wide = torch._weight_int8pack_mm, module._widened

    def taking(seconds, work):
        def run(x, *given):
            now[0] += seconds(len(x))
            return work(x, *given)

        return run

    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "_widened", taking(lambda rows: 1.0, wide))
    monkeypatch.setattr(torch, "_weight_int8pack_mm", taking(lambda rows: price[rows], product))
    assert tried() == 2
    price.update(dict.fromkeys((1, 2, 4, 8, 16, 32), 0.5))
    assert tried() == 32
    price[1] = 2.0
    assert tried() == 0


@pytest.mark.parametrize("wrong", ["result", "absent"])
def test_a_product_that_fails_its_trial_is_not_used(monkeypatch, caplog, wrong):
    product = torch._weight_int8pack_mm

    def broken(*given):
        if wrong == "absent":
            raise NotImplementedError("not for this device")
        return product(*given) * 1.2

    monkeypatch.setattr(torch, "_weight_int8pack_mm", broken)
    assert tried() == 0
    assert "8-bit weights are widened when used" in caplog.text
