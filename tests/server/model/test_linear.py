"""Packed products are the plain ones, quicker; where packing is not to be had, nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from personaplex_server.model import linear as module
from personaplex_server.model.audio import frames, read_audio
from personaplex_server.model.linear import Linear, packing_works
from personaplex_server.model.prompt import VoiceCodes, build_prompt


@pytest.fixture
def pack_everything(monkeypatch):
    if not packing_works():
        pytest.skip("this torch cannot pack weights")
    monkeypatch.setattr(module, "PACK_FROM", 0)
    monkeypatch.setattr(module, "PACK_ROWS", 1)


@pytest.mark.parametrize("shape", [(1, 40), (3, 40), (2, 5, 40), (300, 40)])
@pytest.mark.parametrize("bias", [True, False])
def test_packed_is_plain(pack_everything, shape, bias):
    weight = torch.randn(24, 40)
    offset = torch.randn(24) if bias else None
    x = torch.randn(shape)
    packed = Linear(weight, offset, rows=2)
    assert packed.packed
    assert packed.weight is not weight
    torch.testing.assert_close(packed(x), F.linear(x, weight, offset), atol=1e-4, rtol=1e-4)


def test_packed_takes_what_is_not_contiguous(pack_everything):
    weight, x = torch.randn(8, 6), torch.randn(5, 12)
    torch.testing.assert_close(Linear(weight)(x[:, ::2]), F.linear(x[:, ::2], weight))
    windows = x.view(-1).as_strided((4, 6), (2, 1))
    torch.testing.assert_close(Linear(weight)(windows), F.linear(windows, weight))


@pytest.mark.parametrize(
    ("weight", "rows"),
    [(torch.zeros(64, 64), 8), (torch.zeros(2048, 1024, dtype=torch.bfloat16), 1),
     (torch.zeros(2048, 1024, device="meta"), 1)],
)  # fmt: skip
def test_what_stays_plain(weight, rows):
    plain = Linear(weight, rows=rows)
    assert not plain.packed
    assert weight.is_meta or torch.equal(plain.weight, weight)
    assert plain.weight.stride() == (
        (1, 64) if weight.dtype == torch.float32 and rows == 8 else (1024, 1)
    )


def test_several_rows_make_packing_worth_it():
    weight = torch.zeros(512, 512)
    assert not Linear(weight, rows=1).packed
    assert Linear(weight, rows=8).packed == packing_works()


def test_without_the_operators_everything_stays_plain(monkeypatch):
    class Absent:
        def __getattr__(self, name):
            raise AttributeError(name)

    packing_works.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(torch.ops, "mkldnn", Absent())
        assert not Linear(torch.zeros(2048, 1024)).packed
    packing_works.cache_clear()


def test_the_reference_is_met_with_everything_packed(
    pack_everything, parity, load_model, converse, encode, decode
):
    model = load_model(parity.checkpoint)
    assert model.lm.layers[0].attend_in.packed
    sizes = model.config.lm
    voice = VoiceCodes(parity.inputs["voice_codes"].T.astype(np.int64))
    prompt = build_prompt(sizes, voice, parity.inputs["text_tokens"].tolist())
    got = converse(model.lm, prompt, parity.inputs["user_codes"].T).tokens
    np.testing.assert_array_equal(got, parity.expected["hybrid/tokens"][prompt.calls :, :9])
    codes = encode(model.codec, frames(read_audio(parity.folder / "user.wav")))
    np.testing.assert_array_equal(codes.T, parity.expected["mimi/codes"])
    pcm = decode(model.codec, codes)
    np.testing.assert_allclose(pcm, parity.expected["mimi/pcm"], atol=1e-4)
