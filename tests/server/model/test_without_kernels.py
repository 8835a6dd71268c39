"""Where no functions can be made for the processor torch's operators give the same conversation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.kernels import machine
from personaplex_server.model.audio import frames, read_audio
from personaplex_server.model.prompt import VoiceCodes, build_prompt

COUNT = 24
# What is drawn from the same numbers is another token where it is drawn in another way.
PERSONAS = [
    Persona(text="You sell bicycles.", sampling=Sampling.greedy()),
    Persona(text="You like rain.", sampling=Sampling.greedy()),
]


@pytest.fixture
def prompt(parity, parity_model):
    voice = VoiceCodes(parity.inputs["voice_codes"].T.astype(np.int64))
    return build_prompt(parity_model.config.lm, voice, parity.inputs["text_tokens"].tolist())


@pytest.fixture(scope="module")
def speech(parity):
    whole = frames(read_audio(parity.folder / "user.wav"))
    return [whole[start : start + COUNT] for start in (0, 50)]


def test_the_reference_is_met(torch_only, parity, load_model, converse, encode, decode, prompt):
    model = load_model(parity.checkpoint)
    assert model.lm.layers[0].attend_in.own is None
    got = converse(model.lm, prompt, parity.inputs["user_codes"].T[:60])
    expected = parity.expected["hybrid/tokens"][prompt.calls :, :9]
    np.testing.assert_array_equal(got.tokens, expected[: len(got.tokens)])
    logits = parity.expected["hybrid/text_logits"][prompt.calls :]
    np.testing.assert_allclose(got.logits, logits[: len(got.logits)], atol=1e-4)
    codes = encode(model.codec, frames(read_audio(parity.folder / "user.wav"))[:40])
    np.testing.assert_array_equal(codes.T, parity.expected["mimi/codes"][:, : len(codes)])
    pcm = decode(model.codec, codes)
    np.testing.assert_allclose(pcm, parity.expected["mimi/pcm"][: len(pcm)], atol=1e-4)


def test_a_prompt_leaves_the_same_memory(without_kernels, parity, parity_model, load_model, prompt):
    if machine.kernels() is None:
        pytest.skip("no functions can be made for this processor")
    *_, own = parity_model.lm.prefill(prompt)
    with without_kernels():
        *_, torchs = load_model(parity.checkpoint).lm.prefill(prompt)
    assert own.calls == torchs.calls
    torch.testing.assert_close(own.memory, torchs.memory, atol=1e-5, rtol=1e-4)


def calls(parity, speech):
    """Hold two calls at once, and the first of them alone."""
    engine = PersonaPlexEngine.load(parity.checkpoint, device="cpu", dtype="float32", rows=2)
    for row, persona in enumerate(PERSONAS):
        engine.open(row, persona)
    both = [engine.tick(dict(enumerate(each))) for each in zip(*speech, strict=True)]
    for row in range(2):
        engine.close(row)
    engine.open(1, PERSONAS[0])
    alone = [engine.tick({1: frame})[1] for frame in speech[0]]
    return engine.describe()["kernels"], [[each[row] for each in both] for row in range(2)], alone


def same(one, other):
    assert [each.tokens for each in one] == [each.tokens for each in other]
    for mine, theirs in zip(one, other, strict=True):
        if mine.pcm is None:
            assert theirs.pcm is None
        else:
            np.testing.assert_allclose(mine.pcm, theirs.pcm, atol=1e-5)


def test_calls_are_the_same(without_kernels, parity, speech):
    if machine.kernels() is None:
        pytest.skip("no functions can be made for this processor")
    who, own, own_alone = calls(parity, speech)
    assert who.startswith("own")
    with without_kernels():
        who, torchs, torchs_alone = calls(parity, speech)
    assert who == "torch"
    for mine, theirs in zip(own, torchs, strict=True):
        same(mine, theirs)
    same(torchs[0], torchs_alone)
    same(own[0], own_alone)
