"""Devices of a conversation that vanish, come back and are changed, and when the microphone is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peers.pretend_audio import PretendDevices
from personadesk.voice import sessions as kept_calls
from personadesk.voice.figures import Stage, Talk
from personadesk.voice.sessions import Ending, Sessions
from personadesk.voice.sound_check import CheckView, Phase, SoundCheck, judge
from personadesk.voice.talk import CLIP, NO_SPEAKER, TalkSession, TalkState
from personadesk.voice.talk_view import TalkSnapshot

StartVoice = Callable[..., Awaitable[Any]]
Begin = Callable[..., TalkSession]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begin conversations that are over after the test; a silent microphone is noticed soon."""
    monkeypatch.setattr("personadesk.voice.talk_audio.NO_SOUND_SECONDS", 0.4)
    begun: list[TalkSession] = []

    def begin(url: str, **options: Any) -> TalkSession:
        session = TalkSession(url, **options)
        session.start()
        begun.append(session)
        return session

    yield begin
    for session in begun:
        session.hang_up()
        assert session.join(10)


async def until(session: TalkSession, fits: Callable[[TalkSnapshot], bool]) -> TalkSnapshot:
    async with asyncio.timeout(10):
        while not fits(view := session.snapshot()):
            await asyncio.sleep(0.02)
    return view


async def test_a_headset_that_is_pulled_out_gives_way_to_the_default(
    fake_voice: StartVoice, call: Begin
) -> None:
    voice, devices = await fake_voice(), PretendDevices()
    devices.plug(("Built-in", "Headset"), ("Built-in", "Headset"))
    session = call(voice.url, backend=devices, source="Headset", sink="Headset")
    before = await until(session, lambda v: v.frames >= 5)
    assert not before.notice
    devices.plug(("Built-in",), ("Built-in",))
    view = await until(session, lambda v: "default" in str(v.notice))
    assert view.state is TalkState.IN_CALL
    assert "is gone" in str(view.notice) or "gives no sound" in str(view.notice)
    view = await until(
        session, lambda v: v.frames > view.frames + 5 and v.mic_level_dbfs > -20 and v.speaker
    )
    assert view.sound.microphone == view.sound.loudspeaker == ""


async def test_with_everything_pulled_out_the_call_goes_on_in_silence_until_something_is_there(
    fake_voice: StartVoice, call: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personadesk.voice.talk_audio._LOOK_AGAIN_SECONDS", 0.2)
    voice, devices = await fake_voice(), PretendDevices()
    session = call(voice.url, backend=devices)
    await until(session, lambda v: v.frames >= 3)
    devices.plug((), ())
    view = await until(session, lambda v: "until there is a loudspeaker" in str(v.notice))
    assert "Silence is sent until there is a microphone again." in str(view.notice)
    silent = await until(session, lambda v: v.frames > view.frames + 8)
    assert silent.state is TalkState.IN_CALL
    assert silent.mic_level_dbfs == -96.0
    assert not silent.speaker
    devices.plug(("Other",), ("Other",))
    await until(session, lambda v: v.speaker and v.mic_level_dbfs > -20)


async def test_devices_are_changed_in_the_middle_of_a_call(
    fake_voice: StartVoice, call: Begin
) -> None:
    voice, devices = await fake_voice(), PretendDevices()
    devices.plug(("Headset", "Desk"), ("Headset", "Desk"))
    session = call(voice.url, backend=devices)
    before = await until(session, lambda v: v.frames >= 3)
    session.change_devices("Desk", NO_SPEAKER)
    view = await until(session, lambda v: v.sound.microphone == "Desk" and not v.speaker)
    after = await until(session, lambda v: v.frames >= view.frames + 5)
    assert after.mic_level_dbfs > -20
    assert not after.notice
    assert after.counts.received >= before.counts.received
    assert [s.name for s in devices.streams if not s.closed.is_set()] == ["Desk"]


async def test_a_slow_loudspeaker_is_the_one_that_is_named(
    fake_voice: StartVoice, call: Begin, metadata_message: Callable[..., bytes]
) -> None:
    told = {n: [metadata_message(lag_ms=25.0, tick_ms=12.0, frame=n - 1, dropped=0)]
            for n in range(1, 200, 5)}  # fmt: skip
    voice = await fake_voice(extra=told)
    session = call(voice.url, backend=PretendDevices(latency=0.3))
    view = await until(session, lambda v: v.lag.culprit is not None)
    assert view.lag.of(Stage.PLAYBACK).ms == pytest.approx(300)
    assert view.lag.culprit in {Stage.PLAYBACK, Stage.MICROPHONE}, "both of this headset are slow"


async def test_push_to_talk_sends_only_while_the_key_is_held(
    fake_voice: StartVoice, call: Begin
) -> None:
    voice = await fake_voice()
    session = call(voice.url, backend=PretendDevices(), mode=Talk.PUSH)
    view = await until(session, lambda v: v.frames >= 5)
    assert not view.sound.sending
    assert np.abs(voice.samples).max() < 0.02
    session.hold(True)
    await until(session, lambda v: v.sound.sending and v.mic_level_dbfs > -20)
    session.hold(False)
    view = await until(session, lambda v: not v.sound.sending and v.mic_level_dbfs == -96.0)
    await until(session, lambda v: v.frames > view.frames + 3)


async def test_half_duplex_shuts_the_microphone_while_the_voice_speaks(
    fake_voice: StartVoice, call: Begin
) -> None:
    loud, quiet = await fake_voice(), await fake_voice(level=0.0)
    speaks = call(loud.url, backend=PretendDevices(), mode=Talk.HALF_DUPLEX)
    await until(speaks, lambda v: v.frames > 10 and v.mic_level_dbfs == -96.0)
    listens = call(quiet.url, backend=PretendDevices(), mode=Talk.HALF_DUPLEX)
    await until(listens, lambda v: v.frames > 10 and v.mic_level_dbfs > -20)
    speaks.set_mode(Talk.OPEN)
    await until(speaks, lambda v: v.mic_level_dbfs > -20)


async def test_volume_and_peak_hold(fake_voice: StartVoice, call: Begin) -> None:
    voice, devices = await fake_voice(), PretendDevices(level=1.0)
    session = call(voice.url, backend=devices, volume=0.5)
    view = await until(session, lambda v: v.frames >= 12)
    assert view.sound.volume == 0.5
    assert view.sound.speaker_hold == pytest.approx(0.3, abs=0.05)
    assert view.sound.clipping
    played = np.concatenate(devices.played[-20:])
    assert np.abs(played).max() == pytest.approx(0.15, abs=0.03)


async def test_a_clip_in_and_a_file_out_need_no_sound_device(
    fake_voice: StartVoice, call: Begin, tmp_path: Path
) -> None:
    voice = await fake_voice()
    session = call(voice.url, source=CLIP, sink=NO_SPEAKER)
    await until(session, lambda v: v.state is TalkState.IN_CALL)
    session.record(Sessions(tmp_path), "front desk", persona="Noor")
    await until(session, lambda v: v.keeping.seconds > 1.0)
    session.hang_up()
    assert await asyncio.to_thread(session.join, 10)
    [kept] = Sessions(tmp_path).all()
    assert (kept.ending, kept.line, kept.persona) == (Ending.WHOLE, "front desk", "Noor")
    assert not session.snapshot().keeping.on
    both = kept_calls.sound(kept.folder)
    assert np.abs(both[:, 0]).max() > 0.1, "the question"
    assert np.abs(both[:, 1]).max() > 0.2, "the voice"


async def test_recording_ends_when_asked_and_the_call_goes_on(
    fake_voice: StartVoice, call: Begin, tmp_path: Path
) -> None:
    voice = await fake_voice()
    session = call(voice.url, source=CLIP, sink=NO_SPEAKER)
    await until(session, lambda v: v.state is TalkState.IN_CALL)
    session.record(Sessions(tmp_path), "desk", opus=True)
    await until(session, lambda v: v.keeping.seconds > 0.5)
    session.stop_recording()
    view = await until(session, lambda v: not v.keeping.on)
    assert view.state is TalkState.IN_CALL
    [kept] = await asyncio.to_thread(Sessions(tmp_path).all)
    assert kept.form == "opus"


async def test_a_recording_that_cannot_begin_says_so(
    fake_voice: StartVoice, call: Begin, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    voice = await fake_voice()
    session = call(voice.url, source=CLIP, sink=NO_SPEAKER)
    await until(session, lambda v: v.state is TalkState.IN_CALL)
    session.record(Sessions(tmp_path / "file"), "desk")
    view = await until(session, lambda v: bool(v.keeping.fault))
    assert "cannot be kept" in str(view.keeping.fault)
    assert view.state is TalkState.IN_CALL


async def checked(check: SoundCheck) -> list[CheckView]:
    check.start()
    seen = [check.view()]
    async with asyncio.timeout(10):
        while seen[-1].phase not in {Phase.DONE, Phase.FAILED}:
            await asyncio.sleep(0.01)
            if (view := check.view()) != seen[-1]:
                seen.append(view)
    assert await asyncio.to_thread(check.join, 10)
    return seen


async def test_a_check_records_you_and_plays_it_back() -> None:
    devices = PretendDevices(rate=44_100)
    seen = await checked(SoundCheck(devices, seconds=0.7))
    assert {Phase.RECORDING, Phase.PLAYING, Phase.DONE} <= {view.phase for view in seen}
    assert seen[-1].good
    assert str(seen[-1].verdict) == "The microphone is fine."
    assert max(view.level_dbfs for view in seen) > -20
    assert seen[-1].hold == pytest.approx(0.3, abs=0.03)
    assert np.abs(np.concatenate(devices.played)).max() == pytest.approx(0.3, abs=0.03)
    assert all(stream.closed.is_set() for stream in devices.streams)


async def test_a_check_without_a_microphone_says_so() -> None:
    seen = await checked(SoundCheck(PretendDevices(inputs=False), seconds=0.2))
    assert seen[-1].phase is Phase.FAILED
    assert seen[-1].verdict


@pytest.mark.parametrize(
    ("level", "words"),
    [(0.0, "Nothing was heard."), (0.01, "hard to hear"), (3.0, "too loud"), (0.3, "is fine")],
)
def test_what_a_microphone_gave_is_judged(level: float, words: str) -> None:
    at = np.arange(24_000) / 24_000
    pcm = np.clip(level * np.sin(2 * np.pi * 200 * at), -1, 1).astype(np.float32)
    verdict, advice, good = judge(pcm, 24_000)
    assert words in str(verdict)
    assert good == (not advice)
