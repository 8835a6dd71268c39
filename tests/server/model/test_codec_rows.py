"""Rows of one codec: masked, late and reset ones hear and say what an undisturbed one does."""

from __future__ import annotations

import numpy as np
import torch

from personaplex_server.model.audio import frames, read_audio

COUNT = 30


def disturbed(codec, inputs, step, make, out):
    """Feed row 1 of 3 `inputs` with pauses and after an earlier life; the others get noise."""
    side = make(3)
    noise = torch.from_numpy(
        np.random.default_rng(2).permutation(inputs.reshape(-1)).reshape(inputs.shape)
    )
    inputs = torch.from_numpy(inputs)

    def tick(rows, active):
        mask = None if all(active) else torch.tensor(active)
        got = step(rows, side, mask, prefix=side.prefix(3))
        side.advance(3, active)
        return got[1]

    for index in range(7):
        tick(torch.stack([noise[index], noise[-1 - index], inputs[index]]), [True, True, index > 3])
    side.reset(1)
    got = []
    for moment in range(3 * COUNT):
        if len(got) == len(inputs):
            break
        here = bool(moment % 3)
        row = inputs[len(got)] if here else noise[moment % COUNT]
        answer = tick(
            torch.stack([noise[moment % COUNT], row, noise[(3 * moment) % COUNT]]),
            [moment % 5 > 0, here, True],
        )
        if here:
            got.append(answer.numpy())
    return out(got)


def test_encoding(parity, parity_model, encode):
    codec = parity_model.codec
    sound = frames(read_audio(parity.folder / "user.wav"))[:COUNT]
    got = disturbed(codec, sound, codec.encode, codec.encoding, np.array)
    np.testing.assert_array_equal(got, encode(codec, sound))


def test_decoding(parity, parity_model, decode):
    codec = parity_model.codec
    codes = parity.expected["mimi/codes"].T[:COUNT].astype(np.int64)
    got = disturbed(codec, codes, codec.decode, codec.decoding, np.concatenate)
    np.testing.assert_allclose(got, decode(codec, codes), atol=1e-5)


def test_moved_rows_go_on(parity, parity_model, encode):
    codec = parity_model.codec
    sound = frames(read_audio(parity.folder / "user.wav"))[:COUNT]
    side, got = codec.encoding(3), []
    for index, frame in enumerate(sound):
        if index == 12:
            side.move(2, 0)
        row = 2 if index < 12 else 0
        pcm = np.zeros((3, 1920), np.float32)
        pcm[row] = frame
        got.append(
            codec.encode(torch.from_numpy(pcm), side, None, prefix=side.prefix(3))[row].numpy()
        )
        side.advance(3, None)
    np.testing.assert_array_equal(got, encode(codec, sound))


def test_state_stays_in_place(parity, parity_model):
    codec = parity_model.codec
    side = codec.encoding(2)
    tensors = [*side.stream.past, side.stream.first, side.attention.memory, side.attention.position]
    places = [each.data_ptr() for each in tensors]
    for index in range(20):
        codec.encode(torch.zeros(2, 1920), side, None, prefix=side.prefix(2))
        side.advance(2, None)
        assert side.frames == [index + 1] * 2
    after = [*side.stream.past, side.stream.first, side.attention.memory, side.attention.position]
    assert [each.data_ptr() for each in after] == places
