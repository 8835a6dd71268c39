"""The rehearsal model: made in one piece, made once, and good enough for a rehearsal."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import safetensors.torch

from personaplex_server import checkpoint
from personaplex_server.checkpoint import FolderTakenError, make_rehearsal
from personaplex_server.engines.base import Persona, Sampling
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import read_audio
from personaplex_server.model.weights import CODEC_FILE, LM_FILE, TEXT_FILE


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "deep" / "rehearsal"
    assert make_rehearsal(folder)
    return folder


@pytest.fixture(scope="module")
def engine(made):
    return PersonaPlexEngine.load(made, device="cpu")


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(*arguments):
    parser = argparse.ArgumentParser()
    checkpoint.add_arguments(parser)
    return checkpoint.run(parser.parse_args([str(each) for each in arguments]))


def test_laid_out_as_the_model_repository(made):
    files = content(made)
    assert sorted(files) == sorted(
        ["config.json", LM_FILE, CODEC_FILE, TEXT_FILE, "voices/rehearsal-high.pt",
         "voices/rehearsal-low.wav"]
    )  # fmt: skip
    assert sum(len(each) for each in files.values()) < 40 << 20
    assert json.loads(files["config.json"])["rehearsal"] is True
    assert [each.name for each in made.parent.iterdir()] == ["rehearsal"]


def test_the_engine_says_that_it_is_a_rehearsal(engine):
    facts = engine.describe()
    assert facts["rehearsal"] is True
    assert facts["model"] == "rehearsal"
    assert engine.voices() == ["rehearsal-high.pt", "rehearsal-low.wav"]


@pytest.mark.parametrize("voice", ["rehearsal-high.pt", "rehearsal-low.wav", "NATF0.pt"])
def test_it_babbles_audibly_and_says_words(engine, parity, voice):
    engine.open(0, Persona(voice=voice, text="Be nice.", sampling=Sampling(seed=4)))
    sound = read_audio(parity.folder / "user.wav").reshape(-1, 1920)[:100]
    answers = [engine.tick({0: frame})[0] for frame in sound]
    engine.close(0)
    pcm = np.concatenate([each.pcm for each in answers])
    loudness = 20 * np.log10(np.sqrt(np.square(pcm.reshape(-1, 480)).mean(1)))
    assert -30 < loudness.mean() < -15
    assert loudness.min() > -45
    assert np.abs(pcm).max() < 1.0
    words = "".join(each.text for each in answers).split()
    assert 3 < len(words) < 60
    assert all(word.isalpha() and word.isascii() for word in words)


def test_same_seed_same_model(made, tmp_path):
    make_rehearsal(tmp_path / "again")
    assert content(tmp_path / "again") == content(made)
    make_rehearsal(tmp_path / "other", seed=8)
    assert content(tmp_path / "other")[LM_FILE] != content(made)[LM_FILE]


def test_a_whole_one_is_left_alone(made, capsys):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert run(made, "--preset", "rehearsal") == 0
    assert "there already" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


@pytest.mark.parametrize("harm", ["cut", "remove", "other seed"])
def test_anything_less_is_made_anew(tmp_path, made, harm, capsys):
    folder = tmp_path / "rehearsal"
    make_rehearsal(folder, seed=8 if harm == "other seed" else checkpoint.DEFAULT_SEED)
    if harm == "cut":
        (folder / LM_FILE).write_bytes(b"short")
    elif harm == "remove":
        (folder / "voices" / "rehearsal-low.wav").unlink()
    assert run(folder, "--preset", "rehearsal") == 0
    assert "made" in capsys.readouterr().out
    assert content(folder) == content(made)
    assert [each.name for each in tmp_path.iterdir() if "personadesk" not in each.name] == [
        "rehearsal"
    ]


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "empty").mkdir()
    assert make_rehearsal(tmp_path / "empty")


def test_a_folder_of_something_else_is_not_touched(tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    assert run(folder, "--preset", "rehearsal") == 1
    assert "name an empty or new folder" in capsys.readouterr().err
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(FolderTakenError):
        make_rehearsal(tmp_path / "file")
    assert content(folder) == {"cat.jpg": b"cat"}


def test_the_folder_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("rehearsal", "--preset", "rehearsal") == 0
    assert (tmp_path / "rehearsal" / LM_FILE).is_file()


def test_no_room(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"x")
    assert run(tmp_path / "file" / "rehearsal", "--preset", "rehearsal") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch, capsys):
    def save(tensors, path):
        path.write_bytes(b"torn")
        words = "Error while serializing: I/O error: No space left on device (os error 28)"
        raise safetensors.SafetensorError(words)

    monkeypatch.setattr(safetensors.torch, "save_file", save)
    options = argparse.Namespace(folder=tmp_path / "model", preset="rehearsal", seed=7)
    assert checkpoint.run(options) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
