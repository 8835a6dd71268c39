"""Calls that are kept: what is written while they go on, and what is left when the program is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from personadesk.domain.errors import BadRequest
from personadesk.voice import sessions as kept_calls
from personadesk.voice.recorder import EVENTS, Form, Recorder
from personadesk.voice.sessions import Ending, Sessions

RATE = 24_000


def tone(seconds: float, level: float, hertz: float = 440.0) -> np.ndarray:
    at = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * at)).astype(np.float32)


def keep(root: Path, form: Form = Form.WAV, line: str = "front desk", **more: str):
    return Sessions(root).begin(line, "ws://127.0.0.1:8998/api/chat?x=1", form, **more)


def speak(recorder: Recorder, frames: int = 25) -> None:
    """You speak from the beginning, the voice a second later."""
    for n in range(frames):
        recorder.you(n * 0.08, tone(0.08, 0.2))
        if n * 0.08 >= 1.0:
            recorder.voice(n * 0.08, tone(0.08, 0.4))
        if n % 12 == 0:
            recorder.event(n * 0.08, "words", text=" hello there")


@pytest.mark.parametrize("form", list(Form))
def test_both_sides_are_kept_on_one_time_axis(tmp_path: Path, form: Form) -> None:
    recorder = keep(tmp_path, form)
    speak(recorder)
    assert recorder.close()
    kept = Sessions(tmp_path).finish(recorder.folder)
    assert kept.ending is Ending.WHOLE
    assert kept.seconds == pytest.approx(2.0, abs=0.1)
    both = kept_calls.sound(recorder.folder)
    assert both.shape[1] == 2
    assert np.abs(both[: RATE // 2, 1]).max() < 0.02, "the voice was silent at first"
    assert np.abs(both[: RATE // 2, 0]).max() == pytest.approx(0.2, abs=0.05)
    assert np.abs(both[round(1.3 * RATE) :, 1]).max() == pytest.approx(0.4, abs=0.08)
    assert kept.words == "hello there hello there hello there"
    assert kept.size > 1000
    assert (recorder.folder.stat().st_mode & 0o077) == 0


def test_a_wav_is_one_that_every_player_knows(tmp_path: Path) -> None:
    recorder = keep(tmp_path)
    speak(recorder)
    recorder.close()
    with wave.open(str(recorder.folder / "call.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, RATE, 2)
        assert file.getnframes() == 25 * 1920


def test_the_transcript_is_there_as_json_and_as_subtitles(tmp_path: Path) -> None:
    recorder = keep(tmp_path)
    recorder.voice(0.0, np.zeros(5 * RATE, np.float32))
    recorder.event(0.5, "words", text=" Good")
    recorder.event(0.7, "words", text=" day.")
    recorder.event(1.5, "spoke", seconds=2.0)
    recorder.event(4.0, "words", text=" Yes?")
    recorder.close()
    Sessions(tmp_path).finish(recorder.folder)
    told = json.loads((recorder.folder / "transcript.json").read_text())
    assert told == [
        {"start": 0.5, "end": 1.2, "who": "voice", "text": "Good day."},
        {"start": 1.5, "end": 3.5, "who": "you", "text": "spoke for 2.0 s"},
        {"start": 4.0, "end": 4.5, "who": "voice", "text": "Yes?"},
    ]
    assert (recorder.folder / "transcript.srt").read_text().startswith(
        "1\n00:00:00,500 --> 00:00:01,200\nVoice: Good day.\n\n2\n"
    )  # fmt: skip


@pytest.mark.parametrize("form", list(Form))
def test_a_killed_program_leaves_a_readable_call(tmp_path: Path, form: Form) -> None:
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_voice_sessions import keep, speak, Form
recorder = keep(Path({str(tmp_path)!r}), Form({str(form)!r}))
speak(recorder, 100)
while recorder.keeping().seconds < 7.9: time.sleep(0.02)
print("written", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    process.kill()
    process.wait()
    process.stdout.close()
    [folder] = tmp_path.iterdir()
    with (folder / EVENTS).open("ab") as file:
        file.write(b'{"at": 7.0, "what": "wo')
    long_ago = time.time() - 3600
    for file_there in folder.iterdir():
        os.utime(file_there, (long_ago, long_ago))
    [kept] = Sessions(tmp_path).all()
    assert kept.ending is Ending.CUT_OFF
    assert kept.seconds == pytest.approx(8.0, abs=0.2)
    assert kept.words.startswith("hello there")
    assert np.abs(kept_calls.sound(folder)[5 * RATE :, 1]).max() > 0.3
    if form is Form.WAV:
        with wave.open(str(folder / "call.wav")) as whole:
            assert whole.getnframes() / RATE == kept.seconds


def test_a_call_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    recorder = keep(tmp_path)
    speak(recorder)
    [kept] = Sessions(tmp_path).all()
    assert kept.ending is Ending.WRITING
    with pytest.raises(BadRequest, match="still being recorded"):
        Sessions(tmp_path).delete(recorder.folder.name)
    recorder.close()


def test_calls_are_found_noted_and_deleted(tmp_path: Path) -> None:
    calls = Sessions(tmp_path)
    names = []
    for number, line in enumerate(("front desk", "night shift", "front desk")):
        recorder = calls.begin(line, "ws://h", Form.WAV, now=1e9 + number, persona="Noor")
        speak(recorder)
        recorder.close()
        calls.finish(recorder.folder)
        names.append(recorder.folder.name)
    assert [kept.folder.name for kept in calls.all()] == names[::-1]
    calls.note(names[1], "The one with the ECHO.")
    assert [kept.folder.name for kept in calls.search("echo hello")] == [names[1]]
    assert len(calls.search("front noor")) == 2
    assert calls.search("nobody said this") == ()
    assert calls.size() == sum(kept.size for kept in calls.all()) > 3 * 100_000
    calls.delete(names[1])
    assert [kept.folder.name for kept in calls.all()] == [names[2], names[0]]
    with pytest.raises(BadRequest, match="no kept call"):
        calls.get(names[1])


def test_two_calls_of_one_second_have_a_folder_each(tmp_path: Path) -> None:
    calls = Sessions(tmp_path)
    both = [calls.begin("a/../b", "ws://h", Form.WAV, now=1e9) for _ in range(2)]
    assert {recorder.folder.parent for recorder in both} == {tmp_path}
    assert len({recorder.folder for recorder in both}) == 2
    for recorder in both:
        recorder.close()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BadRequest, match="cannot be kept in"):
        keep(tmp_path / "file")


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.logs_warnings
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="wants a full disk")
def test_a_full_disk_stops_the_recording_and_says_so(tmp_path: Path) -> None:
    recorder = keep(tmp_path)
    (tmp_path / "aside").mkdir()
    recorder.event(0.0, "began")
    until(recorder._queue.empty)
    # In one step: the recorder's thread may be writing.
    was, recorder._events = recorder._events, open("/dev/full", "ab", buffering=0)  # noqa: SIM115 - it closes it
    recorder.event(0.1, "words", text="lost")
    until(lambda: bool(recorder.keeping().fault))
    was.close()
    assert "The recording stopped: No space left" in str(recorder.keeping().fault)
    assert not recorder.keeping().on
    recorder.you(0.2, tone(0.08, 0.2))
    assert not recorder.close()


@pytest.mark.logs_warnings
def test_a_folder_that_somebody_spoilt_hides_no_other(tmp_path: Path) -> None:
    recorder = keep(tmp_path)
    recorder.close()
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "session.json").write_text("{")
    (tmp_path / "not one").mkdir()
    assert [kept.folder for kept in Sessions(tmp_path).all()] == [recorder.folder]
