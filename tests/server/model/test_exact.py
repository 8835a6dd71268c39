"""On a CPU not a bit of what a caller hears depends on who else calls, joins, pauses or leaves."""

from __future__ import annotations

import pytest
import torch

from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import frames, read_audio

COUNT = 64
ROWS = 8
MINE = Persona(text="You sell bicycles.", sampling=Sampling.greedy())
DRAWN = Persona(text="You sell bicycles.", sampling=Sampling(seed=4))
OTHERS = [
    Persona(text="You like rain.", sampling=Sampling.greedy()),
    Persona(text="You are a teacher who likes long walks.", sampling=Sampling(seed=11)),
    Persona(sampling=Sampling(seed=12, text_top_k=5, audio_top_k=40, audio_temperature=1.1)),
]


@pytest.fixture(scope="module", params=[1, 2], ids=["one thread", "two threads"])
def engine(request, parity, own_functions):
    before = torch.get_num_threads()
    yield PersonaPlexEngine.load(
        parity.checkpoint, device="cpu", dtype="float32", rows=ROWS, threads=request.param
    )
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def speech(parity):
    return frames(read_audio(parity.folder / "user.wav"))


def alone(engine, persona, sound, row=0):
    engine.open(row, persona)
    heard = [engine.tick({row: frame})[row] for frame in sound]
    engine.close(row)
    return heard


def among(engine, persona, sound, row):
    """Hold the call in the company of callers who join before and after it, sit ticks out, leave and come again."""
    heard = []
    rows = [other for other in range(ROWS) if other != row]
    joins = dict(zip((0, 1, 2, 7, 12, 23, 27, 41), [*rows, rows[0]], strict=True))
    leaves = {31: rows[0], 36: rows[4], 52: rows[2]}
    for moment in range(4 * len(sound)):
        if moment == 3:
            engine.open(row, persona)
        if moment in joins:
            engine.open(joins[moment], OTHERS[moment % len(OTHERS)])
        if moment in leaves:
            engine.close(leaves[moment])
        here = {
            other: sound[-1 - (moment + other) % len(sound)]
            for other in rows
            if other in engine._parts and (moment + other) % 5
        }
        # The caller's own frames are late now and then, and some ticks are theirs alone.
        if moment >= 3 and moment % 6:
            here[row] = sound[len(heard)]
        if moment % 11 == 10:
            here = {other: frame for other, frame in here.items() if other == row}
        if here:
            answers = engine.tick(here)
            heard += [answers[row]] if row in here else []
        if len(heard) == len(sound):
            break
    for each in range(ROWS):
        engine.close(each)
    return heard


def bits(heard):
    return [
        (each.tokens, each.text, None if each.pcm is None else each.pcm.tobytes()) for each in heard
    ]


@pytest.mark.parametrize(
    ("persona", "row"), [(MINE, 0), (MINE, 3), (DRAWN, 2)], ids=["greedy", "greedy later", "drawn"]
)
def test_tokens_words_and_sound_are_those_of_a_call_alone(engine, speech, persona, row):
    sound = speech[:COUNT]
    wanted = bits(alone(engine, persona, sound))
    assert len({tokens for tokens, _, _ in wanted}) > COUNT // 2
    assert any(words for _, words, _ in wanted)
    got = bits(among(engine, persona, sound, row))
    assert len(got) == COUNT
    for moment, (mine, theirs) in enumerate(zip(got, wanted, strict=True)):
        assert mine == theirs, f"frame {moment}"


def test_it_is_the_answer_of_a_server_for_one_caller(own_functions, parity, speech):
    options = {"device": "cpu", "dtype": "float32", "threads": 1}
    single = PersonaPlexEngine.load(parity.checkpoint, **options)
    many = PersonaPlexEngine.load(parity.checkpoint, rows=ROWS, **options)
    wanted = bits(alone(single, MINE, speech[:COUNT]))
    assert bits(among(many, MINE, speech[:COUNT], 2)) == wanted


def test_it_is_told(engine):
    facts = engine.describe()
    assert (facts["exact"], facts["parts"]) == (True, facts["threads"])


def test_torch_promises_nothing(parity, torch_only):
    options = {"device": "cpu", "dtype": "float32", "threads": 1}
    assert PersonaPlexEngine.load(parity.checkpoint, **options).describe()["exact"] is False
