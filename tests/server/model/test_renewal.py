"""Calls that outlast the model's memory keep their persona, and go on without a gap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from personaplex_server.__main__ import main
from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.config import LmConfig, ModelConfig
from personaplex_server.model.rehearsal import REHEARSAL
from personaplex_server.model.renewal import PER_TICK, due, keep
from personaplex_server.protocol import FRAME_SAMPLES

pytestmark = pytest.mark.long

CONTEXT = 160
SMALL = ModelConfig(
    LmConfig(dim=32, text_card=300, num_heads=2, num_layers=2, context=CONTEXT, depth_dim=16,
             depth_heads=2, depth_layers=1),
    replace(REHEARSAL.codec, n_filters=2, transformer_layers=1),
)  # fmt: skip
ROLE = Persona(text="You sell bicycles.", sampling=Sampling.greedy())


@pytest.fixture
def engine(write_checkpoint):
    return PersonaPlexEngine.load(write_checkpoint(SMALL), device="cpu", rows=3)


def sound(count, seed=1):
    noise = np.random.default_rng(seed).standard_normal((count, FRAME_SAMPLES))
    return (0.1 * noise).astype(np.float32)


def thought_through(engine, row, kept):
    """Return what a model would remember that was given the prompt and then the kept positions, and nothing else."""
    lm, state, facts = engine._lm, engine._parts.all[0].model.state, engine._parts.all[0].open[row]
    place = engine._parts.all[0].order.index(row)
    prompt = facts.prompt.memory.shape[3]
    history = state.history[place].long()
    memory = lm.room(facts.call - 1)
    memory[:, :, :, :prompt] = facts.prompt.memory
    # The positions that the row has now, in one go.
    lm.extend(memory, lm.embed(history[:, prompt : facts.call - 1].t()), prompt)
    assert facts.call - 1 - prompt >= kept
    return memory


def test_the_new_memory_is_that_of_the_prompt_and_the_recent_call(engine):
    engine.open(0, ROLE)
    prompt = engine._parts.all[0].open[0].prompt.memory.shape[3]
    kept = keep(CONTEXT - 1, prompt)
    calls = [engine._parts.all[0].open[0].call]
    for frame in sound(CONTEXT):
        engine.tick({0: frame})
        calls.append(engine._parts.all[0].open[0].call)
        if calls[-1] < calls[-2]:
            break
    assert engine.renewals == 1
    assert max(calls) <= CONTEXT - 1
    assert calls[-1] - 1 - prompt >= kept
    assert int(engine._parts.all[0].model.state.call[0]) == calls[-1]
    expected = thought_through(engine, 0, kept)
    got = engine._parts.all[0].model.state.memory[:, :, 0, :, : calls[-1] - 1]
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)
    # The prompt is in it, bit by bit.
    assert torch.equal(got[:, :, :, :prompt], engine._parts.all[0].open[0].prompt.memory)


def test_tokens_stay_in_their_places_at_the_switch(engine):
    """What the next calls are given is what they would have been given without the switch."""
    engine.open(0, ROLE)
    lm, slots = engine.config.lm, engine._parts.all[0].model.state.slots
    given = {}
    for moment, frame in enumerate(sound(3 * CONTEXT)):
        call = engine._parts.all[0].open[0].call
        answer = engine.tick({0: frame})[0]
        ring, now = engine._parts.all[0].model.state.ring[0], engine._parts.all[0].open[0].call
        # The newest position of text and first codebook: said in this call.
        newest = ring[:2, (now - 1) % slots].tolist()
        given[moment] = (answer.tokens, newest, now < call)
        # Other codebooks of the frame that was said one call ago.
        late = ring[2 : 1 + lm.own_codebooks, (now - 1) % slots].tolist()
        assert list(answer.tokens[2:]) == late
        if moment:
            assert list(answer.tokens[:2]) == given[moment - 1][1]
    assert sum(switched for _, _, switched in given.values()) >= 3


def test_others_are_not_disturbed_and_the_call_goes_on(engine):
    frames = sound(300, 2)
    alone = []
    engine.open(1, Persona(text="abc", sampling=Sampling(seed=3)))
    for frame in frames[:40]:
        alone.append(engine.tick({1: frame})[1].tokens)
    engine.close(1)
    engine.open(0, ROLE)
    for frame in frames[:100]:
        engine.tick({0: frame})
    engine.open(1, Persona(text="abc", sampling=Sampling(seed=3)))
    heard = []
    for index in range(40):
        answers = engine.tick({0: frames[100 + index], 1: frames[index]})
        heard.append(answers[1].tokens)
        assert answers[0].pcm is not None
    assert engine.renewals >= 1
    assert heard == alone


def test_an_hour_long_call_keeps_its_persona(engine):
    """3040 steps are nineteen windows, more than an hour of the released model; some frames are late, and rows move.

    Never beyond the window, never without an answer.
    """
    moments = 19 * CONTEXT
    engine.open(1, Persona(text="abc", sampling=Sampling(seed=3)))
    engine.open(0, ROLE)
    frames = sound(64, 3)
    for moment in range(moments):
        if moment == 300:
            # The other row leaves in the middle of a renewal; ours is moved to its place.
            engine.close(1)
        now = {0: frames[moment % 64]}
        if moment < 300 and moment % 3:
            now[1] = frames[(moment + 5) % 64]
        answer = engine.tick(now)[0]
        assert answer.pcm is not None
        assert np.isfinite(answer.pcm).all()
        facts = engine._parts.all[0].open[0]
        assert facts.call <= CONTEXT - 1
        assert (
            int(engine._parts.all[0].model.state.call[engine._parts.all[0].order.index(0)])
            == facts.call
        )
    assert engine.renewals > moments // CONTEXT
    place, prompt = engine._parts.all[0].order.index(0), facts.prompt.memory
    assert torch.equal(
        engine._parts.all[0].model.state.memory[:, :, place, :, : prompt.shape[3]], prompt
    )


@pytest.mark.soak
def test_the_rehearsal_model_goes_on_past_its_own_memory(tmp_path):
    """The same at the released length of 3000 positions: half a minute of work for four of talk."""
    assert main(["make-checkpoint", "--preset", "rehearsal", str(tmp_path / "model")]) == 0
    engine = PersonaPlexEngine.load(tmp_path / "model", device="cpu", rows=1)
    assert engine.config.lm.context == 3000
    engine.open(0, ROLE)
    (facts,) = engine._parts.all[0].open.values()
    prompt, frames = facts.prompt.memory, sound(64)
    for moment in range(3200):
        answer = engine.tick({0: frames[moment % 64]})[0]
        assert answer.pcm is not None
        assert np.isfinite(answer.pcm).all()
        assert facts.call < 3000
    assert engine.renewals == 1
    memory = engine._parts.all[0].model.state.memory
    assert torch.equal(memory[:, :, 0, :, : prompt.shape[3]], prompt)


def test_without_a_prompt_or_where_it_is_not_wanted_nothing_is_renewed(engine):
    frames = sound(CONTEXT + 20, 5)
    for _ in engine.opening_with(0, None, "", Sampling.greedy()):
        pass
    for frame in frames:
        engine.tick({0: frame})
    assert engine._parts.all[0].open[0].call > CONTEXT
    engine.close(0)
    engine.renew = False
    engine.open(0, ROLE)
    for frame in frames:
        engine.tick({0: frame})
    assert engine._parts.all[0].open[0].call > CONTEXT
    assert engine.renewals == 0


@pytest.mark.parametrize("prompt", [0, 1, 120, 200, 2000, 2970, 2998])
def test_there_is_time_enough(prompt):
    window = 2999
    kept = keep(window, prompt)
    if not kept:
        assert prompt == 0 or prompt > 2900
        assert not any(due(window, prompt, call) for call in range(prompt, 2 * window))
        return
    begin = next(call for call in range(prompt, window + 1) if due(window, prompt, call))
    assert begin - 1 - kept >= prompt
    call, filled = begin, 0
    while True:
        filled = min(filled + PER_TICK, kept + call - begin)
        if filled == kept + call - begin:
            break
        call += 1
    assert call <= window
    assert not due(window, prompt, prompt + filled + 1)


def test_a_renewed_call_is_the_same_to_the_last_bit_in_company(engine):
    """While no other call is renewed, which would have to wait or be waited for."""
    if not engine.describe()["exact"]:
        pytest.skip("no functions can be made for this processor")
    spoken, others = sound(CONTEXT + 40), sound(40, seed=2)

    def call(row, company):
        engine.open(row, ROLE)
        heard = []
        for moment, frame in enumerate(spoken):
            here = {row: frame}
            # They come and go before their own memory is full, and some are late.
            for other in company:
                if moment % 40 == other:
                    engine.close(other)
                    engine.open(other, Persona(sampling=Sampling(seed=moment)))
                if moment >= other and (moment + other) % 3:
                    here[other] = others[moment % 40]
            answer = engine.tick(here)[row]
            heard.append(
                (answer.tokens, answer.text, None if answer.pcm is None else answer.pcm.tobytes())
            )
        for each in (row, *company):
            engine.close(each)
        return heard

    alone, often = call(0, []), engine.renewals
    assert often > 1
    assert call(2, [0, 1]) == alone
    assert engine.renewals == 2 * often, "the others were renewed, too"
