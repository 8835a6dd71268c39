"""The `offline` command: a file in; sound, words and tokens out."""

from __future__ import annotations

import argparse
import json
import wave

import numpy as np
import pytest

from personaplex_server import offline
from personaplex_server.model.audio import write_wav


def run(*arguments):
    parser = argparse.ArgumentParser()
    offline.add_arguments(parser)
    return offline.run(parser.parse_args([str(each) for each in arguments]))


@pytest.fixture
def usual(parity, tmp_path):
    return [
        "--checkpoint", parity.checkpoint, "--input-wav", parity.folder / "user.wav",
        "--output-wav", tmp_path / "out.wav", "--tokens-out", tmp_path / "out.npz",
        "--output-text", tmp_path / "out.json", "--device", "cpu", "--greedy",
    ]  # fmt: skip


def tokens(folder):
    return np.load(folder / "out.npz")["tokens"]


def samples(folder):
    with wave.open(str(folder / "out.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        return np.frombuffer(file.readframes(1 << 30), "<i2") / 32767


def test_voice_and_role_as_the_reference_does(usual, parity, tmp_path):
    voice = parity.folder / "voice.wav"
    assert run(*usual, "--voice-prompt", voice, "--text-prompt", parity.text) == 0
    steps = int(parity.expected["e2e/prompt_steps"])
    expected = parity.expected["e2e/tokens"][steps:, :9]
    np.testing.assert_array_equal(tokens(tmp_path), expected)
    np.testing.assert_allclose(samples(tmp_path), parity.expected["e2e/pcm_out"], atol=1e-4)
    said = json.loads((tmp_path / "out.json").read_text())
    assert len(said) == len(expected)
    assert [each == "PAD" for each in said] == [token == 3 for token in expected[:, 0]]
    assert [each == "EPAD" for each in said] == [token == 0 for token in expected[:, 0]]
    assert all("\u2581" not in each for each in said)


def test_a_voice_of_the_model_by_its_name(usual, tmp_path, parity):
    assert run(*usual, "--voice-prompt", "TINYF0.pt") == 0
    by_name = tokens(tmp_path)
    assert run(*usual, "--voice-prompt", parity.checkpoint / "voices" / "TINYF0.pt") == 0
    np.testing.assert_array_equal(tokens(tmp_path), by_name)


def test_no_prompt_answers_from_the_third_frame(usual, parity, tmp_path):
    assert run(*usual) == 0
    got = tokens(tmp_path)
    assert (got[:2] == -1).all()
    assert (got[2:] >= 0).all()
    assert not samples(tmp_path)[: 2 * 1920].any()
    assert samples(tmp_path)[2 * 1920 :].any()
    assert len(json.loads((tmp_path / "out.json").read_text())) == len(got) == 150


@pytest.mark.parametrize("length", [1, 1920, 5000, 9600])
def test_the_answer_is_as_long_as_the_question(usual, tmp_path, length):
    write_wav(tmp_path / "in.wav", np.zeros(length, np.float32))
    usual[3] = tmp_path / "in.wav"
    assert run(*usual, "--text-prompt", "Short.") == 0
    assert len(samples(tmp_path)) == length
    assert len(tokens(tmp_path)) == -(-length // 1920)


def test_another_rate(usual, tmp_path):
    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(bytes(4 * 22_050))
    usual[3] = tmp_path / "in.wav"
    assert run(*usual) == 0
    assert len(samples(tmp_path)) == 12_000


def test_seeds_and_the_references_spellings(usual, tmp_path):
    usual.remove("--greedy")
    options = ["--temp-text", 0.9, "--topk-text", 30, "--temp-audio", 1.0, "--topk-audio", 100]
    answers = []
    for seed in (1, 1, 2):
        assert run(*usual, *options, "--seed", seed) == 0
        answers.append(tokens(tmp_path))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert (answers[0] != answers[2]).any()


def test_own_spellings_of_greedy(usual, tmp_path):
    assert run(*usual) == 0
    expected = tokens(tmp_path)
    usual.remove("--greedy")
    assert run(*usual, "--text-temperature", 0, "--audio-temperature", 0, "--text-top-k", 3,
               "--audio-top-k", 3) == 0  # fmt: skip
    np.testing.assert_array_equal(tokens(tmp_path), expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--checkpoint", "nowhere"], "nowhere does not exist"),
        (["--input-wav", "nowhere.wav"], "does not exist"),
        (["--input-wav", __file__], "not a WAV file"),
        (["--output-wav", "no/such/folder/out.wav"], "folder"),
        (["--tokens-out", "no/such/folder/out.npz"], "folder"),
        (["--voice-prompt", "nobody.pt"], "TINYF0.pt"),
        (["--voice-prompt", "/no/such/voice.wav"], "/no/such/voice.wav does not exist"),
        (["--voice-prompt", __file__], "not a WAV file"),
        (["--device", "abacus"], "choose auto, cpu or cuda"),
    ],
)
def test_mistakes_are_told_in_a_sentence(usual, change, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(*usual, *change) == 1
    told = capsys.readouterr().err.strip()
    assert said in told
    assert told.endswith(".")
    assert "\n" not in told


def test_values_out_of_range_are_told(usual, capsys):
    usual.remove("--greedy")
    assert run(*usual, "--text-temperature", -1) == 1
    assert "temperature" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_told(usual, capsys, tmp_path):
    (tmp_path / "out.wav").mkdir()
    assert run(*usual) == 1
    assert "cannot be written" in capsys.readouterr().err
