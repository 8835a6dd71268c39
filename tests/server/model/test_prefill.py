"""A whole prompt at once leaves exactly what stepping through it would leave."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from personaplex_server.model import lm as lm_module
from personaplex_server.model.config import LmConfig, ModelConfig
from personaplex_server.model.lm import Snapshot
from personaplex_server.model.prompt import VoiceCodes, build_prompt
from personaplex_server.model.rehearsal import REHEARSAL


def stepped(lm, prompt):
    """Return the state after stepping through `prompt`, all of it forced."""
    state = lm.state(1)
    config = lm.config
    own, slots = config.own_codebooks, config.max_delay + 3
    empty = build_prompt(config, None, [])
    *_, fresh = lm.prefill(empty)
    lm.install(state, 0, fresh)
    for call, row in enumerate(prompt.tokens):
        for stream in range(1 + own):
            position = call + config.delays[stream]
            if position > config.delays[stream]:
                state.ring[0, stream, position % slots] = int(row[stream])
                state.forced[0, stream, position % slots] = True
        if call == 0:
            continue
        lm.step(
            state,
            torch.from_numpy(row[None, 1 + own :].copy()),
            None,
            prefix=min(call, lm.window),
            full=True,
            forcing=True,
            text_draw=None,
            audio_draw=None,
        )
    return state


@pytest.mark.parametrize("chunk", [4, 17, 1000])
@pytest.mark.parametrize("context", [10, 30, 500])
def test_prefill_equals_stepping(context, chunk, write_checkpoint, load_model, monkeypatch):
    monkeypatch.setattr(lm_module, "PREFILL_CHUNK", chunk)
    sizes = LmConfig(
        dim=32, text_card=300, num_heads=2, num_layers=2, context=context, depth_dim=8,
        depth_heads=2, depth_layers=1,
    )  # fmt: skip
    model = load_model(write_checkpoint(ModelConfig(sizes, REHEARSAL.codec)))
    voice = np.random.default_rng(1).integers(2048, size=(9, 8))
    prompt = build_prompt(sizes, VoiceCodes(voice), list(range(30, 55)))
    *shares, snapshot = model.lm.prefill(prompt)
    assert isinstance(snapshot, Snapshot)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    state, expected = model.lm.state(2), stepped(model.lm, prompt)
    model.lm.install(state, 1, snapshot)
    assert int(state.call[1]) == int(expected.call[0]) == prompt.calls
    used = min(prompt.calls - 1, model.lm.window)
    torch.testing.assert_close(
        state.memory[:, :, 1, :, :used], expected.memory[:, :, 0, :, :used], atol=1e-5, rtol=1e-5
    )
    assert torch.equal(state.forced[1], expected.forced[0])
    # Only what later calls read must agree: two positions of every stream.
    slots = sizes.max_delay + 3
    for stream, delay in enumerate(sizes.delays):
        for position in range(prompt.calls - 1, prompt.calls + delay):
            slot = position % slots
            assert state.ring[1, stream, slot] == expected.ring[0, stream, slot]


def test_snapshot_may_be_installed_again(parity_model, parity):
    lm = parity_model.lm
    prompt = build_prompt(
        lm.config, VoiceCodes(parity.inputs["voice_codes"].T.astype(np.int64)), []
    )
    *_, snapshot = lm.prefill(prompt)
    state = lm.state(1)
    user = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])

    def answers():
        lm.install(state, 0, snapshot)
        return [
            lm.step(state, user, None, prefix=lm.prefix(snapshot.calls + i), full=False,
                    forcing=True, text_draw=None, audio_draw=None).tokens.tolist()
            for i in range(5)
        ]  # fmt: skip

    assert answers() == answers()
