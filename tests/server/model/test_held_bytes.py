"""What a model is said to hold is what its weights and memories take, each counted once."""

from __future__ import annotations

import torch

from personaplex_server.engines.devices import held_bytes
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.linear import Linear
from personaplex_server.model.quant import Int8Linear


def test_weights_are_counted_once_whoever_multiplies(computed_by):
    for outputs, inputs in ((512, 300), (96, 40), (320, 1024)):
        weight = torch.randn(outputs, inputs)
        one, other = Linear(weight), Linear(weight.clone(), torch.randn(outputs))
        small = Int8Linear(weight)
        count = outputs * inputs
        assert 4 * count <= held_bytes(one) < 4.5 * count + 4096
        assert held_bytes(one, [one], {"again": one}) == held_bytes(one)
        assert 8 * count <= held_bytes(one, other) < 9 * count + 8192
        assert count <= held_bytes(small) < 1.3 * count + 4096


def test_an_engine_tells_what_its_weights_and_rows_take(without_kernels, parity):
    def told():
        engine = PersonaPlexEngine.load(parity.checkpoint, device="cpu", dtype="float32", rows=2)
        return engine.figures()

    own = told()
    with without_kernels():
        torchs = told()
    assert 0.9 < own["weights_bytes"] / torchs["weights_bytes"] < 1.2
    assert own["rows_bytes"] == torchs["rows_bytes"] > 0
