"""Recorded ticks, with a recorder for the CPU in place of CUDA's: it keeps the operators and does them again.

As a CUDA graph does, it knows nothing of Python: a value read on the host, a tensor that was put in the place of
another, or work done outside of torch's operators is replayed as it was when it was recorded, and so found out.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.kernels import machine
from personaplex_server.model import graph
from personaplex_server.model.audio import frames, read_audio
from personaplex_server.model.prompt import build_prompt

COUNT = 25


class Tape(TorchDispatchMode):
    """Operators as they are called, with the very tensors they were called with and gave."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        places = {place(each) for each in tree_leaves((args, kwargs))} - {None}
        fresh = [each for each in tree_leaves(out) if place(each) not in places | {None}]
        self.calls.append((function, args, kwargs, out, fresh))
        return out

    def replay(self):
        for function, args, kwargs, out, fresh in self.calls:
            again = function(*args, **kwargs)
            kept = {id(each) for each in fresh}
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if id(old) in kept:
                    old.copy_(new)


def place(value):
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return None
    return value.untyped_storage().data_ptr()


class CpuRecorder:
    """Stands in for `CudaRecorder`."""

    def record(self, work):
        work()
        with Tape() as tape:
            work()
        return tape.replay


class NoRecorder:
    """Does everything anew each time: what a recording has to equal."""

    def record(self, work):
        return work


class Forgetful:
    """Replays the first recording only, whatever the shape."""

    def __init__(self):
        self.first = None

    def record(self, work):
        replay = CpuRecorder().record(work)
        self.first = self.first or replay
        return self.first


@pytest.fixture(scope="module", autouse=True)
def _as_on_a_gpu(without_kernels):
    """The functions made for a CPU are for a CPU alone, and nothing that can be recorded."""
    with without_kernels():
        yield


def load(parity, recorder, rows=3):
    engine = PersonaPlexEngine.load(parity.checkpoint, device="cpu", dtype="float32", rows=rows)
    with torch.inference_mode():
        engine.record(recorder)
    return engine


@pytest.fixture(scope="module")
def replaying(parity):
    return load(parity, CpuRecorder())


@pytest.fixture(scope="module")
def eager(parity):
    return load(parity, NoRecorder())


@pytest.fixture(autouse=True)
def _all_free(request):
    yield
    for name in {"replaying", "eager"} & set(request.fixturenames):
        engine = request.getfixturevalue(name)
        for row in range(engine.rows):
            engine.close(row)


@pytest.fixture(scope="module")
def speech(parity):
    whole = frames(read_audio(parity.folder / "user.wav"))
    return [whole[start : start + COUNT] for start in (0, 50, 100)]


PERSONAS = [
    Persona(text="You sell bicycles.", sampling=Sampling.greedy()),
    Persona(text="You like rain.", sampling=Sampling(seed=11)),
    Persona(sampling=Sampling(seed=12, text_top_k=5, audio_top_k=40, audio_temperature=1.1)),
]


def talk(engine, speech, personas=PERSONAS):
    """Hold calls that join late, pause and leave; return each one's tokens and sound."""
    heard = [([], []) for _ in personas]
    given = [0] * len(personas)
    for moment in range(3 * COUNT):
        for row, persona in enumerate(personas):
            if moment == 4 * row:
                engine.open(row, persona)
        here = [
            row
            for row in engine._parts.all[0].open
            if given[row] < COUNT and (moment + row) % (row + 3) > 0
        ]
        for row, answer in engine.tick({row: speech[row][given[row]] for row in here}).items():
            heard[row][0].append(answer.tokens)
            heard[row][1].append(answer.pcm)
            given[row] += 1
            if given[row] == COUNT:
                engine.close(row)
    return heard


def same(one, other):
    assert one[0] == other[0]
    for mine, theirs in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(
            *(np.zeros(1) if each is None else each for each in (mine, theirs)), atol=1e-5
        )


def test_replays_equal_eager_ticks(replaying, eager, speech):
    assert replaying.describe()["graphs"] is True
    for one, other in zip(talk(replaying, speech), talk(eager, speech), strict=True):
        assert len(one[0]) == COUNT
        same(one, other)


def test_every_shape_serves_a_row_as_it_is_served_alone(replaying, speech):
    together = talk(replaying, speech)
    for row, persona in enumerate(PERSONAS):
        alone = talk(replaying, speech[row:], [persona])
        same(together[row], alone[0])


def test_every_bucket_gives_each_row_the_same(replaying):
    """However many rows take part, alone included, and however far back is looked where there is nothing yet."""
    replays = replaying._parts.all[0].replays
    start = list(replaying._lm.prefill(build_prompt(replaying.config.lm, None, [])))[-1]

    def tokens(bucket):
        ticks = replays._trial([bucket] * 8, start, lambda shape: replays._replays[shape]())
        return [each[0] for each in ticks]

    buckets = replays.buckets
    wanted = tokens(buckets[-1])
    assert {bucket.rows for bucket in buckets} == {1, 2, 3}
    for bucket in buckets[:-1]:
        for mine, theirs in zip(tokens(bucket), wanted, strict=True):
            assert torch.equal(mine, theirs[: bucket.rows]), bucket


def test_replays_give_the_references_tokens(parity, replaying):
    voice = parity.folder / "voice.wav"
    for _ in replaying.opening_with(1, voice, parity.text, Sampling.greedy()):
        pass
    tokens = [
        replaying.tick({1: frame})[1].tokens
        for frame in frames(read_audio(parity.folder / "user.wav"))[:60]
    ]
    begin = int(parity.expected["e2e/prompt_steps"])
    expected = parity.expected["e2e/tokens"][begin : begin + 60, :9]
    np.testing.assert_array_equal(np.array(tokens), expected)


def test_nothing_moves_in_memory_over_100_ticks(replaying, speech):
    replays, model = replaying._parts.all[0].replays, replaying._parts.all[0].model
    inputs = vars(replays._inputs).values()
    everything = [
        *model.tensors(),
        *(each for each in inputs if isinstance(each, torch.Tensor)),
        replays._tokens,
        replays._pcm,
    ]
    before = [each.data_ptr() for each in everything]
    replaying.open(0, PERSONAS[1])
    for index in range(100):
        replaying.tick({0: speech[0][index % COUNT]})
    after = [each.data_ptr() for each in model.tensors()]
    assert after == before[: len(after)]
    assert [each.data_ptr() for each in everything] == before


def test_a_caller_who_draws_from_more_is_served_without_a_recording(replaying, speech, monkeypatch):
    monkeypatch.setattr(graph.Replays, "__call__", None)
    wide = Persona(sampling=Sampling(seed=1, audio_top_k=0))
    replaying.open(0, wide)
    for frame in speech[0][:3]:
        answer = replaying.tick({0: frame})[0]
    assert answer.tokens is not None
    assert replaying.stage_s.keys() == {"encode", "lm", "depformer", "decode"}


@pytest.mark.logs_warnings
def test_recordings_that_differ_are_not_used(parity, speech, caplog):
    engine = load(parity, Forgetful(), rows=2)
    assert engine.describe()["graphs"] is False
    assert "replays differ from eager ticks in tokens of tick" in caplog.text
    engine.open(0, PERSONAS[0])
    assert engine.tick({0: speech[0][0]})[0].pcm is not None


@pytest.mark.logs_warnings
def test_work_outside_of_torch_is_found_out(parity, monkeypatch, caplog):
    """What a CPU's own functions do would be missing from a recording."""
    monkeypatch.delenv(machine.SWITCH)
    machine.kernels.cache_clear()
    if machine.kernels() is None:
        pytest.skip("no functions can be made for this processor")
    engine = load(parity, CpuRecorder(), rows=1)
    monkeypatch.undo()
    machine.kernels.cache_clear()
    assert engine.describe()["graphs"] is False
    assert "ticks run without graphs" in caplog.text


@pytest.mark.logs_warnings
def test_a_recording_that_fails_leaves_ticks_as_they_were(parity, caplog):
    class Broken:
        def record(self, work):
            raise RuntimeError("operation not permitted when stream is capturing")

    with caplog.at_level(logging.WARNING):
        engine = load(parity, Broken(), rows=1)
    assert engine.describe()["graphs"] is False
    assert "recording failed (operation not permitted" in caplog.text
