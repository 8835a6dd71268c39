"""Voices: found by name only, read without running anything, refused in words."""

from __future__ import annotations

import io
import pickle
import tarfile
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from personaplex_server.engines import prompts
from personaplex_server.engines.base import EngineError, Persona
from personaplex_server.engines.personaplex import PersonaPlexEngine
from personaplex_server.model.audio import write_wav
from personaplex_server.model.rehearsal import spoken_clip
from personaplex_server.model.voices import BUNDLED, VoiceError, VoiceLibrary, read_embeddings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "voices").mkdir()
    for name in ("NATF2.pt", "anna.wav", "bert.pt", "bert.wav", ".hidden.wav", "notes.txt"):
        (tmp_path / "voices" / name).write_bytes(b"x")
    (tmp_path / "secret.wav").write_bytes(b"x")
    return tmp_path


def test_names_are_sorted_voice_files(folder):
    library = VoiceLibrary(folder)
    assert library.names() == ["NATF2.pt", "anna.wav", "bert.pt", "bert.wav"]
    (folder / "voices" / "carl.WAV").write_bytes(b"x")
    assert "carl.WAV" in library.names()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("anna.wav", "anna.wav"),
        ("anna", "anna.wav"),
        ("bert", "bert.pt"),
        ("bert.wav", "bert.wav"),
        ("anna.pt", "anna.wav"),
        (None, "NATF2.pt"),
        ("NATF2", "NATF2.pt"),
    ],
)
def test_found(folder, asked, found):
    assert VoiceLibrary(folder).find(asked) == folder / "voices" / found


@pytest.mark.parametrize(
    "asked",
    ["../secret.wav", "..", "../voices/anna.wav", "/etc/passwd", "voices/anna.wav", "a\\anna.wav",
     "anna.wav\0", "..anna.wav"],
)  # fmt: skip
def test_paths_are_refused(folder, asked):
    with pytest.raises(VoiceError, match="not by a path"):
        VoiceLibrary(folder).find(asked)


@pytest.mark.parametrize(
    "asked", ["nobody", "notes.txt", ".hidden.wav", "", "secret.wav", "NATF9.pt"]
)
def test_unknown_names_are_told_the_known(folder, asked):
    with pytest.raises(VoiceError, match=r"anna\.wav, bert\.pt"):
        VoiceLibrary(folder).find(asked)


@pytest.mark.parametrize("asked", ["NATM0.pt", "VARF4", "VARM4.pt"])
def test_bundled_voices_that_are_absent_become_the_default(folder, asked, caplog):
    assert VoiceLibrary(folder).find(asked) == folder / "voices" / "NATF2.pt"
    assert asked in caplog.text


def test_eighteen_voices_are_bundled():
    assert len(set(BUNDLED)) == 18
    assert {"NATF0", "NATF3", "NATM3", "VARF4", "VARM4"} <= set(BUNDLED)


def test_defaults(tmp_path, caplog):
    library = VoiceLibrary(tmp_path)
    assert library.default() is None
    assert library.find(None) is None
    assert library.find("NATF0.pt") is None
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "zoe.wav").write_bytes(b"x")
    (tmp_path / "voices" / "bob.wav").write_bytes(b"x")
    assert library.default() == "bob.wav"


def test_a_further_folder_wins(folder, tmp_path):
    extra = tmp_path / "mine"
    extra.mkdir()
    (extra / "anna.wav").write_bytes(b"y")
    (extra / "zed.pt").write_bytes(b"y")
    library = VoiceLibrary(folder, extra)
    assert library.find("anna") == extra / "anna.wav"
    assert library.find("zed") == extra / "zed.pt"
    assert library.find("bert") == folder / "voices" / "bert.pt"


def archive(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("voices/link.pt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)


def test_an_archive_of_voices_is_unpacked(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    archive(
        model / "voices.tgz",
        {
            "voices/NATF2.pt": b"a",
            "../../evil.pt": b"b",
            "voices/run.sh": b"c",
            "voices/.x.pt": b"d",
        },
    )
    assert VoiceLibrary(model).names() == ["NATF2.pt", "evil.pt"]
    assert not (tmp_path / "evil.pt").exists()
    assert sorted(each.name for each in model.iterdir()) == ["voices", "voices.tgz"]


def test_a_broken_archive_leaves_a_model_without_voices(tmp_path, caplog):
    archive(tmp_path / "voices.tgz", {"voices/NATF2.pt": bytes(100_000)})
    (tmp_path / "voices.tgz").write_bytes((tmp_path / "voices.tgz").read_bytes()[:60])
    assert VoiceLibrary(tmp_path).names() == []
    assert "unpacked" in caplog.text
    assert [each.name for each in tmp_path.iterdir()] == ["voices.tgz"]


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def good(parity):
    return torch.load(parity.checkpoint / "voices" / "TINYF0.pt", weights_only=True)


def refused(path, parity_model):
    with pytest.raises(VoiceError) as caught:
        read_embeddings(path, parity_model.config.lm)
    assert path.name in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("wrapped", [True, False], ids=["archive", "plain pickle"])
def test_a_pickle_bomb_does_not_go_off(tmp_path, parity, parity_model, wrapped):
    path, mark = tmp_path / "voice.pt", tmp_path / "mark"
    if wrapped:
        torch.save(good(parity) | {"extra": Bomb(str(mark))}, path)
    else:
        path.write_bytes(pickle.dumps({"embeddings": Bomb(str(mark))}))
    refused(path, parity_model)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"\0" * 50, b"\x80\x02}."])
def test_other_files_are_no_voices(tmp_path, parity_model, content):
    (tmp_path / "voice.pt").write_bytes(content)
    refused(tmp_path / "voice.pt", parity_model)


def test_a_truncated_voice(tmp_path, parity, parity_model):
    whole = (parity.checkpoint / "voices" / "TINYF0.pt").read_bytes()
    (tmp_path / "voice.pt").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "voice.pt", parity_model)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("cache"),
        lambda v: v.pop("embeddings"),
        lambda v: v.update(embeddings=[1, 2]),
        lambda v: v.update(embeddings=v["embeddings"][..., :32]),
        lambda v: v.update(embeddings=v["embeddings"][:0]),
        lambda v: v.update(embeddings=v["embeddings"].squeeze()),
        lambda v: v.update(embeddings=v["embeddings"].long()),
        lambda v: v["embeddings"].fill_(float("nan")),
        lambda v: v.update(cache=v["cache"][:, :, :3]),
        lambda v: v.update(cache=v["cache"][:, :9]),
        lambda v: v.update(cache=v["cache"].float()),
        lambda v: v["cache"].fill_(5000),
        lambda v: v["cache"].fill_(-7),
    ],
)
def test_voices_of_another_model(tmp_path, parity, parity_model, change):
    voice = good(parity)
    with torch.inference_mode(False):
        voice = {key: value.clone() for key, value in voice.items()}
    change(voice)
    torch.save(voice, tmp_path / "voice.pt")
    refused(tmp_path / "voice.pt", parity_model)


@pytest.fixture(scope="module")
def engine(parity, tmp_path_factory):
    voices = tmp_path_factory.mktemp("voices")
    clip = spoken_clip(130.0, 0.7)
    write_wav(voices / "short-enough.wav", clip[: int(0.4 * 24000)])
    write_wav(voices / "too-short.wav", clip[: int(0.4 * 24000) - 1])
    write_wav(voices / "whole-frames.wav", clip[: 1920 * 7])
    write_wav(voices / "silent.wav", np.zeros(24000, np.float32))
    (voices / "empty.wav").write_bytes(b"")
    with wave.open(str(voices / "stereo-44k.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(1).integers(-9000, 9000, 88200, np.int16).tobytes())
    return PersonaPlexEngine.load(parity.checkpoint, device="cpu", voices_dir=voices)


@pytest.mark.parametrize(
    ("voice", "steps"),
    [
        ("short-enough.wav", 5),
        ("whole-frames", 7),
        ("stereo-44k", 13),
        ("TINYF0.pt", 30),
        (None, 30),
    ],
)
def test_clips_take_one_call_a_frame(engine, voice, steps):
    engine.open(0, Persona(voice=voice))
    assert engine._parts.all[0].open[0].call == steps + 12
    engine.close(0)


@pytest.mark.parametrize(
    ("voice", "said"),
    [
        ("too-short.wav", "shorter than 0.4 seconds"),
        ("silent.wav", "silent"),
        ("empty.wav", "not a WAV file"),
        ("../config.json", "not by a path"),
        ("nobody", "There is no voice"),
    ],
)
def test_unusable_voices_leave_the_row_free(engine, voice, said):
    with pytest.raises(EngineError, match=said):
        engine.open(0, Persona(voice=voice))
    engine.open(0, Persona())
    engine.close(0)


def test_heard_voices_are_kept_within_bounds(engine, monkeypatch):
    monkeypatch.setattr(prompts, "_VOICES_KEPT", 2)
    engine._prompts._voices.clear()
    engine._prompts.kept.clear()
    for voice in ("short-enough.wav", "stereo-44k.wav", "short-enough.wav", "TINYF0.pt"):
        # A role of its own each time, so that the voice is asked for and not the kept prompt.
        engine.open(0, Persona(voice=voice, text=str(len(engine._prompts.kept))))
        engine.close(0)
    assert [Path(file).name for file, *_ in engine._prompts._voices] == [
        "short-enough.wav",
        "TINYF0.pt",
    ]


def test_a_voice_that_changes_on_disk_is_heard_again(engine):
    engine.open(0, Persona(voice="whole-frames.wav"))
    engine.close(0)
    write_wav(engine.library.find("whole-frames"), spoken_clip(220.0, 0.8))
    engine.open(0, Persona(voice="whole-frames.wav"))
    assert engine._parts.all[0].open[0].call == 10 + 12
    engine.close(0)
