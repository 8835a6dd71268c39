"""The reference's recorded answers, token for token, in float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from personaplex_server.engines.base import Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import frames, level, read_audio
from personaplex_server.model.lm import Lm
from personaplex_server.model.prompt import VoiceCodes, build_prompt, wrap
from personaplex_server.model.text import Tokenizer
from personaplex_server.model.voices import read_embeddings
from personaplex_server.model.weights import LM_FILE, TensorFile


@pytest.fixture(scope="session")
def role(parity):
    return Tokenizer(parity.checkpoint, 512).encode(wrap(parity.text))


def voice_codes(parity):
    return VoiceCodes(parity.inputs["voice_codes"].T.astype(np.int64))


def check(case, conversation, parity, prompt, count=125):
    expected = parity.expected[f"{case}/tokens"]
    steps = int(parity.expected.get(f"{case}/prompt_steps", 0))
    if prompt is not None and steps:
        assert prompt.calls == steps
    begin = len(expected) - count
    assert len(conversation.tokens) == count
    np.testing.assert_array_equal(conversation.tokens, expected[begin:, :9])


def test_role_tokens_are_the_references(parity, role):
    assert role == parity.inputs["text_tokens"].tolist()


def test_no_prompt(parity, parity_model, converse):
    prompt = build_prompt(parity_model.config.lm, None, [])
    check(
        "noprompt", converse(parity_model.lm, prompt, parity.inputs["user_codes"].T), parity, None
    )


def test_hybrid_prompt(parity, parity_model, converse, role):
    prompt = build_prompt(parity_model.config.lm, voice_codes(parity), role)
    got = converse(parity_model.lm, prompt, parity.inputs["user_codes"].T)
    check("hybrid", got, parity, prompt)
    logits = parity.expected["hybrid/text_logits"][prompt.calls :]
    np.testing.assert_allclose(got.logits, logits, atol=1e-4)


def test_hybrid_prompt_in_a_short_context(parity, parity_model, converse, role):
    sizes = replace(parity_model.config.lm, context=40)
    short = Lm(TensorFile(parity.checkpoint / LM_FILE, torch.device("cpu"), torch.float32), sizes)
    prompt = build_prompt(sizes, voice_codes(parity), role)
    check("hybrid_ctx40", converse(short, prompt, parity.inputs["user_codes"].T), parity, prompt)


def test_text_without_a_voice(parity, parity_model, converse, role):
    prompt = build_prompt(parity_model.config.lm, None, role)
    check(
        "textonly", converse(parity_model.lm, prompt, parity.inputs["user_codes"].T), parity, prompt
    )


def test_saved_voice(parity, parity_model, converse, role):
    lm = parity_model.config.lm
    voice = read_embeddings(parity.checkpoint / "voices" / "TINYF0.pt", lm)
    prompt = build_prompt(lm, voice, role)
    check(
        "pt_replay",
        converse(parity_model.lm, prompt, parity.inputs["user_codes"].T),
        parity,
        prompt,
    )


def test_codec_frame_by_frame(parity, parity_model, encode, decode):
    codes = encode(parity_model.codec, frames(read_audio(parity.folder / "user.wav")))
    np.testing.assert_array_equal(codes.T, parity.expected["mimi/codes"])
    pcm = decode(parity_model.codec, codes)
    np.testing.assert_allclose(pcm, parity.expected["mimi/pcm"], atol=1e-4)


def test_voice_clip_is_levelled_and_heard_as_the_reference_does(parity, parity_model, encode):
    clip = level(read_audio(parity.folder / "voice.wav"), "voice.wav")
    np.testing.assert_allclose(clip, parity.expected["e2e/voice_norm_pcm"], atol=1e-6)
    codes = encode(parity_model.codec, frames(clip))
    np.testing.assert_array_equal(codes.T, parity.expected["e2e/voice_codes"])


def test_engine_from_sound_to_sound(parity):
    engine = PersonaPlexEngine.load(parity.checkpoint, device="cpu", dtype="float32")
    voice = parity.folder / "voice.wav"
    for _ in engine.opening_with(0, voice, parity.text, Sampling.greedy()):
        pass
    tokens, pcm = [], []
    for frame in frames(read_audio(parity.folder / "user.wav")):
        answer = engine.tick({0: frame})[0]
        tokens.append(answer.tokens)
        pcm.append(answer.pcm)
    expected = parity.expected["e2e/tokens"][int(parity.expected["e2e/prompt_steps"]) :, :9]
    np.testing.assert_array_equal(np.array(tokens), expected)
    np.testing.assert_allclose(np.concatenate(pcm), parity.expected["e2e/pcm_out"], atol=1e-4)
