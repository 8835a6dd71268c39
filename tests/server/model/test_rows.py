"""Callers side by side: what one does never changes what another hears."""

from __future__ import annotations

import time

import numpy as np
import pytest

from personaplex_server import capacity
from personaplex_server.engines import prompts as module
from personaplex_server.engines.base import EngineError, Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import frames, read_audio
from personaplex_server.protocol import FRAME_SAMPLES

COUNT = 40


@pytest.fixture(scope="module")
def engine(parity):
    return PersonaPlexEngine.load(parity.checkpoint, device="cpu", dtype="float32", rows=3)


@pytest.fixture(autouse=True)
def _all_free(engine):
    yield
    for row in range(engine.rows):
        engine.close(row)


@pytest.fixture(scope="module")
def speech(parity):
    whole = frames(read_audio(parity.folder / "user.wav"))
    return [whole[start : start + COUNT] for start in (0, 50, 100)]


PERSONAS = [
    Persona(text="You sell bicycles.", sampling=Sampling.greedy()),
    Persona(text="You are a teacher who likes rain and long walks.", sampling=Sampling(seed=11)),
    Persona(
        text="", sampling=Sampling(seed=12, text_top_k=5, audio_top_k=40, audio_temperature=1.1)
    ),
]


class Heard:
    def __init__(self):
        self.tokens, self.pcm, self.text = [], [], ""

    def take(self, answer):
        self.tokens.append(answer.tokens)
        self.pcm.append(answer.pcm)
        self.text += answer.text

    def __eq__(self, other):
        pcm, others = np.array(self.pcm), np.array(other.pcm)
        return (
            self.tokens == other.tokens
            and self.text == other.text
            and np.allclose(pcm, others, atol=1e-5 * np.abs(others).max())
        )


def alone(engine, persona, sound, row=0):
    engine.open(row, persona)
    heard = Heard()
    for frame in sound:
        heard.take(engine.tick({row: frame})[row])
    engine.close(row)
    return heard


@pytest.fixture(scope="module")
def by_itself(engine, speech):
    return [alone(engine, *each) for each in zip(PERSONAS, speech, strict=True)]


def test_the_rows_differ(by_itself):
    assert len({tuple(each.tokens) for each in by_itself}) == 3


def test_each_row_answers_as_it_does_alone(engine, speech, by_itself):
    heard = [Heard() for _ in PERSONAS]
    for row, persona in enumerate(PERSONAS):
        engine.open(row, persona)
    for index in range(COUNT):
        answers = engine.tick({row: speech[row][index] for row in range(3)})
        for row in range(3):
            heard[row].take(answers[row])
    assert heard == by_itself


def test_not_a_bit_of_an_answer_depends_on_what_others_say(engine, speech):
    """In a batch of one size sums are made in one order, so that even sound is the same to the last bit."""

    def first_row(others, sounds):
        heard = []
        for row, persona in enumerate([PERSONAS[0], *others]):
            engine.open(row, persona)
        for index in range(COUNT):
            answers = engine.tick({row: sound[index] for row, sound in enumerate(sounds)})
            heard.append(answers[0])
        for row in range(3):
            engine.close(row)
        return heard

    plain = first_row(PERSONAS[1:], speech)
    strange = first_row([PERSONAS[2], Persona(text="abc")], [speech[0], -speech[1], 9 * speech[2]])
    for mine, other in zip(plain, strange, strict=True):
        assert mine.tokens == other.tokens
        assert (mine.pcm is None) == (other.pcm is None)
        assert mine.pcm is None or mine.pcm.tobytes() == other.pcm.tobytes()


def test_rows_may_come_late_pause_and_leave(engine, speech, by_itself):
    heard = [Heard() for _ in PERSONAS]
    given = [0, 0, 0]
    engine.open(0, PERSONAS[0])
    for moment in range(2 * COUNT):
        if moment == 7:
            engine.open(2, PERSONAS[2])
        if moment == 13:
            engine.open(1, PERSONAS[1])
        ready = [
            row
            for row, pause in ((0, 3), (1, 5), (2, 2))
            if row in engine._parts and given[row] < COUNT and moment % pause
        ]
        answers = engine.tick({row: speech[row][given[row]] for row in ready})
        assert sorted(answers) == ready
        for row in ready:
            heard[row].take(answers[row])
            given[row] += 1
            if given[row] == COUNT:
                engine.close(row)
    assert given[0] == given[1] == COUNT
    assert heard[:2] == by_itself[:2]
    assert heard[2].tokens == by_itself[2].tokens[: given[2]]


def test_a_caller_may_be_slow_to_begin(engine, speech, by_itself):
    """What the prompt forces into the first answer survives the ticks of others before it."""
    engine.open(0, PERSONAS[1])
    engine.open(1, PERSONAS[0])
    for frame in speech[2][:9]:
        engine.tick({0: frame})
    heard = Heard()
    for index, frame in enumerate(speech[0]):
        answers = engine.tick({1: frame, 0: speech[2][index]} if index % 3 else {1: frame})
        heard.take(answers[1])
    assert heard == by_itself[0]


def test_a_row_starts_clean_after_another_caller(engine, speech, by_itself):
    alone(engine, PERSONAS[1], speech[2], row=2)
    assert alone(engine, PERSONAS[0], speech[0], row=2) == by_itself[0]


def test_a_prompt_may_be_prepared_between_ticks(engine, speech, by_itself):
    heard = Heard()
    engine.open(1, PERSONAS[1])
    preparing = engine.opening(0, Persona(text="word " * 200))
    steps = 0
    for index, frame in enumerate(speech[1]):
        heard.take(engine.tick({1: frame})[1])
        if next(preparing, None) is not None:
            steps = index + 1
    assert 3 < steps < COUNT
    assert heard == by_itself[1]
    assert 0 in engine.tick({0: speech[0][0]})


def test_an_abandoned_preparation_leaves_the_row_free(engine, speech, by_itself):
    preparing = engine.opening(0, Persona(text="other " * 200))
    next(preparing)
    preparing.close()
    assert alone(engine, PERSONAS[0], speech[0]) == by_itself[0]


def test_capacity_is_measured_with_full_memories_and_leaves_nothing_behind(
    engine, speech, by_itself, monkeypatch
):
    seen = []
    tick = engine.tick

    def watched(frames):
        seen.append(min(each.call for each in engine._parts.all[0].open.values()))
        return tick(frames)

    monkeypatch.setattr(engine, "tick", watched)
    found = capacity.measure(engine)
    monkeypatch.undo()
    assert set(found.tick_ms) <= {1, 2, 3}
    assert min(seen) > engine.config.lm.context
    assert not engine._parts.all[0].open
    assert alone(engine, PERSONAS[0], speech[0]) == by_itself[0]


def test_the_same_persona_is_ready_at_once_the_second_time(engine):
    persona = Persona(text="Somebody quite new who says a lot. " * 10)
    first, second = [], []
    engine.open(0, persona, first.append)
    engine.open(1, persona, second.append)
    assert len(first) > 2
    assert first == sorted(first)
    assert second == [1.0]
    assert first[-1] == 1.0


def test_a_kept_prompt_takes_the_time_of_a_copy(engine):
    """Its filling in would take a hundred times as long; the shortest of several is nobody else's doing."""
    first, second = [], []
    before = engine.figures()
    for number in range(3):
        persona = Persona(text=f"Number {number} says a lot. " * 12)
        for times in (first, second):
            began = time.perf_counter()
            engine.open(0, persona)
            times.append(time.perf_counter() - began)
            engine.close(0)
    assert min(second) < min(first) / 5
    told = engine.figures()
    assert told["prompts_hits"] - before["prompts_hits"] == 3
    assert told["prompts_misses"] - before["prompts_misses"] == 3
    assert told["prompts_kept"] - before["prompts_kept"] == 3


def test_prompts_are_kept_within_bounds(engine, monkeypatch):
    engine._prompts.kept.clear()
    engine.open(0, Persona(text="one"))
    (size,) = (each.bytes for each in engine._prompts.kept.values())
    monkeypatch.setattr(module, "PROMPT_CACHE_BYTES", int(2.5 * size))
    for text in ("two", "one", "six"):
        engine.close(0)
        engine.open(0, Persona(text=text))
    kept = [engine.tokenizer.encode(f"<system> {text} <system>") for text in ("one", "six")]
    assert [list(tokens) for _, tokens in engine._prompts.kept] == kept
    monkeypatch.setattr(module, "PROMPT_CACHE_BYTES", size // 2)
    engine.close(0)
    engine.open(0, Persona(text="ten"))
    assert len(engine._prompts.kept) == 2


def test_a_broken_sample_does_not_outlive_its_caller(engine, speech, by_itself):
    engine.open(0, PERSONAS[0])
    bad = np.full(FRAME_SAMPLES, np.nan, np.float32)
    bad[::2] = np.inf
    answer = engine.tick({0: bad})[0]
    assert np.isfinite(answer.pcm).all()
    engine.close(0)
    assert alone(engine, PERSONAS[0], speech[0]) == by_itself[0]


def test_seeds_repeat_and_differ(engine, speech):
    def run(seed):
        return alone(engine, Persona(sampling=Sampling(seed=seed)), speech[0]).tokens

    assert run(5) == run(5)
    assert run(5) != run(6)
    assert run(None) != run(None)


def test_without_a_prompt_the_first_two_frames_have_no_answer(engine, speech):
    for _ in engine.opening_with(0, None, "  ", Sampling.greedy()):
        pass
    answers = [engine.tick({0: frame})[0] for frame in speech[0][:4]]
    assert [each.tokens is None for each in answers] == [True, True, False, False]
    assert [each.pcm is None for each in answers] == [True, True, False, False]


@pytest.mark.parametrize("row", [-1, 3])
def test_rows_that_do_not_exist(engine, row):
    with pytest.raises(EngineError, match="There is no row"):
        engine.open(row, PERSONAS[0])


def test_mistakes_are_told(engine, speech):
    engine.open(0, PERSONAS[0])
    with pytest.raises(EngineError, match="in use"):
        engine.open(0, PERSONAS[0])
    with pytest.raises(EngineError, match="not open"):
        engine.tick({1: speech[0][0]})
    with pytest.raises(EngineError, match="1920 samples"):
        engine.tick({0: speech[0][0][:-1]})
    with pytest.raises(EngineError, match="temperature"):
        engine.open(1, Persona(sampling=Sampling(text_temperature=-1.0)))
    with pytest.raises(EngineError, match="top-k"):
        engine.open(1, Persona(sampling=Sampling(audio_top_k=-3)))
    engine.close(2)
    assert engine.tick({}) == {}


def test_rows_in_a_wrapping_context(write_checkpoint, speech):
    """Rows at different places of a full ring, in a context that is shorter than the prompt."""
    from personaplex_server.model.config import LmConfig, ModelConfig
    from personaplex_server.model.rehearsal import REHEARSAL

    lm = LmConfig(
        dim=32, text_card=300, num_heads=2, num_layers=2, context=30, depth_dim=16, depth_heads=2,
        depth_layers=1,
    )  # fmt: skip
    small = PersonaPlexEngine.load(
        write_checkpoint(ModelConfig(lm, REHEARSAL.codec)), device="cpu", rows=2
    )
    personas = [Persona(text=text, sampling=Sampling.greedy()) for text in ("abc", "a longer one")]
    expected = [alone(small, *each) for each in zip(personas, speech[:2], strict=True)]
    heard = [Heard(), Heard()]
    small.open(0, personas[0])
    for index in range(COUNT + 9):
        if index == 9:
            small.open(1, personas[1])
        now = {}
        if index < COUNT:
            now[0] = speech[0][index]
        if index >= 9:
            now[1] = speech[1][index - 9]
        for row, answer in small.tick(now).items():
            heard[row].take(answer)
    assert heard == expected


def test_memory_is_told_apart_into_the_model_and_the_places_for_callers(engine, parity):
    told = engine.figures()
    file = sum(each.stat().st_size for each in parity.checkpoint.rglob("*.safetensors"))
    assert 0.5 * file < told["weights_bytes"] < 2.5 * file
    less = PersonaPlexEngine.load(
        parity.checkpoint, device="cpu", dtype="float32", rows=1
    ).figures()
    assert less["weights_bytes"] == pytest.approx(told["weights_bytes"], rel=0.01)
    assert told["rows_bytes"] == pytest.approx(3 * less["rows_bytes"], rel=0.05)
