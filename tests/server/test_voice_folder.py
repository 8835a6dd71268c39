"""Voices that callers bring: what is taken, what is refused, and that nothing is touched outside the folder."""

from __future__ import annotations

import io
import wave

import httpx
import numpy as np
import pytest

from personaplex_server import voices
from personaplex_server.model.voices import VoiceLibrary
from personaplex_server.voices import VoiceFolder

TOKEN = "correct-horse-battery"


def wav(seconds: float = 2.0, level: float = 0.3, rate: int = 24_000) -> bytes:
    samples = level * np.sin(2 * np.pi * 220 * np.arange(round(seconds * rate)) / rate)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((samples * 32_767).astype("<i2").tobytes())
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "voices"


@pytest.fixture
def bring(serve, scripted, folder):
    """Bring a voice to a server whose engine lists the folder."""
    library = VoiceLibrary(folder.parent / "model", folder)

    class Listing(scripted):
        def voices(self):
            return [*super().voices(), *library.names()]

    server = serve(Listing(), token=TOKEN, also={"voices": VoiceFolder(folder)})

    def post(name: str | None, content: bytes, token: str = TOKEN) -> httpx.Response:
        with httpx.Client(trust_env=False) as client:
            return client.post(
                f"{server.url}/api/voices",
                params={} if name is None else {"name": name},
                content=content,
                headers={"Authorization": f"Bearer {token}"},
            )

    post.server = server
    return post


def test_a_voice_is_listed_and_spoken_with_at_once(bring, dial, folder):
    answer = bring("My voice-1", wav(rate=44_100))
    assert (answer.status_code, answer.json()) == (
        201,
        {"name": "My voice-1.wav", "label": "My voice-1"},
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    listed = bring.server.get("/api/voices", headers=headers).json()["voices"]
    assert {"name": "My voice-1.wav", "label": "My voice-1"} in listed
    dial(f"{bring.server.chat}?token={TOKEN}&voice_prompt=My%20voice-1.wav").handshake()
    assert [path.name for path in folder.iterdir()] == ["My voice-1.wav"]


def _post(server, name: str, token: str | None = None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with httpx.Client(trust_env=False) as client:
        return client.post(
            f"{server.url}/api/voices", params={"name": name}, content=wav(), headers=headers
        ).status_code


def test_a_token_for_voices_is_asked_for_where_calls_need_none(serve, scripted, folder):
    also = {"voices": VoiceFolder(folder), "voices_token": "opens-voices-alone"}
    server = serve(scripted(), also=also)
    assert _post(server, "one") == 401
    assert _post(server, "two", "something-else") == 401
    # A page of another site can write an address, and no header.
    with httpx.Client(trust_env=False) as client:
        asked = {"name": "three", "token": "opens-voices-alone"}
        answer = client.post(f"{server.url}/api/voices", params=asked, content=wav())
    assert answer.status_code == 401
    assert not folder.exists()
    assert _post(server, "four", "opens-voices-alone") == 201
    assert [path.name for path in folder.iterdir()] == ["four.wav"]


def test_a_token_for_voices_opens_no_call_and_no_other_route(serve, scripted, folder, dial):
    also = {"voices": VoiceFolder(folder), "voices_token": "opens-voices-alone"}
    server = serve(scripted(), token=TOKEN, also=also)
    headers = {"Authorization": "Bearer opens-voices-alone"}
    for path in ("/health", "/api/status", "/metrics", "/api/voices"):
        assert server.get(path, headers=headers).status_code == 401, path
    assert dial(f"{server.chat}?token=opens-voices-alone").closed()[0] == 1008
    assert dial(server.chat, additional_headers=headers).closed()[0] == 1008
    assert _post(server, "one", "opens-voices-alone") == 201
    assert _post(server, "two", TOKEN) == 201
    assert _post(server, "three") == 401


def test_a_server_without_a_folder_takes_no_voice_for_any_token(serve, scripted):
    server = serve(scripted(), also={"voices_token": "opens-voices-alone"})
    assert _post(server, "one", "opens-voices-alone") == 403


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "a\\b",
        ".hidden",
        "a\0b",
        "a.pt",
        "a" * 65,
        "é",
        "a ",
        "CON",
    ],
)
def test_names_that_are_none_are_refused(bring, name, folder):
    answer = bring(name, wav())
    assert answer.status_code == 422
    assert "Name the voice" in answer.json()["error"]
    assert not folder.exists()


@pytest.mark.parametrize("name", ["anna", "ANNA.wav", "bert", "NATF2", "natf0.wav"])
def test_no_voice_is_replaced(bring, name):
    answer = bring(name, wav())
    assert answer.status_code == 409
    assert "Choose another name" in answer.json()["error"]


def test_the_second_of_a_name_is_refused(bring, folder):
    assert bring("carla", wav(2.0)).status_code == 201
    kept = (folder / "carla.wav").read_bytes()
    assert bring("Carla.WAV", wav(3.0)).status_code == 409
    assert (folder / "carla.wav").read_bytes() == kept


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a WAV"),
        (b"cos\nsystem\n(S'touch owned'\ntR.", "not a WAV"),
        (wav()[:30], "damaged"),
        (wav(0.5), "0.5 seconds"),
        (wav(31), "31.0 seconds"),
        (wav(level=0.0), "silent"),
    ],
    ids=["empty", "pickle", "cut", "short", "long", "silent"],
)
def test_what_cannot_be_a_voice_is_refused_and_leaves_nothing(bring, content, words, folder):
    answer = bring("dora", content)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert list(folder.iterdir()) == []


def test_a_file_too_large_is_refused(bring, monkeypatch, folder):
    monkeypatch.setattr(voices, "LARGEST_BYTES", 1 << 16)
    answer = bring("dora", wav())
    assert answer.status_code == 413
    assert not folder.exists()


def test_a_full_folder_is_told(bring, monkeypatch):
    monkeypatch.setattr(voices, "MOST_VOICES", 1)
    assert bring("dora", wav()).status_code == 201
    assert bring("emma", wav()).status_code == 507


def test_a_folder_that_cannot_be_written_is_told(bring, folder):
    folder.write_text("not a folder")
    answer = bring("dora", wav())
    assert answer.status_code == 500
    assert "could not be written" in answer.json()["error"]


def test_the_token_is_needed(bring):
    assert bring("dora", wav(), token="wrong-horse").status_code == 401


def test_an_open_server_takes_no_voices(serve, scripted, folder):
    server = serve(scripted(), also={"voices": VoiceFolder(folder)})
    answer = httpx.post(f"{server.url}/api/voices?name=dora", content=wav(), trust_env=False)
    assert answer.status_code == 403
    assert "--token-file" in answer.json()["error"]


def test_a_server_without_a_folder_takes_no_voices(serve, scripted):
    server = serve(scripted(), token=TOKEN)
    answer = httpx.post(
        f"{server.url}/api/voices?name=dora&token={TOKEN}", content=wav(), trust_env=False
    )
    assert answer.status_code == 403
    assert "--voices" in answer.json()["error"]
