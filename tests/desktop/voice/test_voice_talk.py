"""A conversation with devices that are only pretended; what is real is the call."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from peers.pretend_audio import PretendDevices, PretendStream
from personadesk.voice import talk as talking
from personadesk.voice.devices import Devices, list_devices
from personadesk.voice.figures import Place
from personadesk.voice.talk import CLIP, NO_SPEAKER, TalkSession, TalkState
from personaplex_server import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from personadesk.voice.ring import Ring
    from personadesk.voice.talk import TalkSnapshot

StartVoice = "Callable[..., Awaitable[Any]]"


@pytest.fixture
def call() -> Iterator[Callable[..., TalkSession]]:
    """Begin conversations that are over after the test."""
    begun: list[TalkSession] = []

    def begin(url: str, **options: Any) -> TalkSession:
        options.setdefault("backend", PretendDevices())
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


@pytest.mark.parametrize("rate", [24_000, 48_000, 44_100])
async def test_you_are_heard_and_you_hear(
    fake_voice: StartVoice, call: Callable[..., TalkSession], rate: int
) -> None:
    voice, devices = await fake_voice(), PretendDevices(rate=rate)
    session = call(voice.url, backend=devices)
    view = await until(session, lambda v: v.frames >= 12)
    assert view.state is TalkState.IN_CALL
    assert view.speaker is True
    assert view.mic_level_dbfs == pytest.approx(-13.5, abs=2)
    assert view.speaker_level_dbfs == pytest.approx(-13.5, abs=2)
    assert max(view.you_wave) == pytest.approx(0.3, abs=0.05)
    assert max(view.voice_wave) == pytest.approx(0.3, abs=0.1)
    assert len(view.you_wave) == len(view.voice_wave) == 300
    session.hang_up()
    assert await asyncio.to_thread(session.join, 10)
    ended = session.snapshot()
    assert ended.state is TalkState.ENDED
    assert not ended.reason
    assert all(stream.closed.is_set() for stream in devices.streams)
    sound = np.concatenate(devices.played)
    spectrum = np.abs(np.fft.rfft(sound))
    heard = spectrum.argmax() * rate / len(sound)
    assert heard == pytest.approx(440, abs=10), "the voice's tone, at the right pitch"
    said = voice.samples
    assert np.abs(np.fft.rfft(said)).argmax() * 24_000 / len(said) == pytest.approx(440, abs=10)


async def test_mute_sends_silence_and_keeps_the_call(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice = await fake_voice()
    session = call(voice.url)
    await until(session, lambda v: v.frames >= 3)
    session.mute(True)
    view = await until(session, lambda v: v.mic_level_dbfs == -96.0)
    assert view.muted is True
    before = len(voice.samples)
    await until(session, lambda v: v.frames >= view.frames + 8)
    silence = voice.samples[before + 4800 :]
    assert len(silence) > 4800
    assert np.abs(silence).max() < 0.02
    session.mute(False)
    await until(session, lambda v: v.mic_level_dbfs > -20)


async def test_without_devices_the_clip_is_spoken_and_the_voice_shown(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice = await fake_voice()
    session = call(voice.url, backend=PretendDevices(inputs=False, outputs=False))
    view = await until(session, lambda v: v.frames >= 10)
    assert str(view.notice) == "No microphone found, so the built-in clip is spoken."
    assert view.source == CLIP
    assert view.speaker is False
    assert view.speaker_level_dbfs > -20
    assert np.abs(voice.samples).max() > 0.1


async def test_the_clip_can_be_spoken_again_in_the_middle(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice = await fake_voice()
    session = call(voice.url, backend=PretendDevices(level=0.0))
    await until(session, lambda v: v.frames >= 2)
    assert np.abs(voice.samples).max() < 0.01
    session.say_clip()
    await until(session, lambda v: v.mic_level_dbfs > -40)


async def test_a_clip_that_is_none_is_told_and_the_call_goes_on(
    fake_voice: StartVoice, call: Callable[..., TalkSession], tmp_path: Any
) -> None:
    voice = await fake_voice()
    session = call(voice.url)
    await until(session, lambda v: v.state is TalkState.IN_CALL)
    session.say_clip(tmp_path / "none.wav")
    view = await until(session, lambda v: bool(v.notice))
    assert "There is no file" in str(view.notice)
    assert view.state is TalkState.IN_CALL


async def test_what_the_voice_writes_and_tells_is_shown(
    fake_voice: StartVoice, call: Callable[..., TalkSession], metadata_message: Callable[..., bytes]
) -> None:
    extra = {
        1: [
            protocol.text(" Good"),
            protocol.text(" day."),
            metadata_message(lag_ms=25.0, tick_ms=12.0, frame=1, dropped=0),
        ]
    }
    voice = await fake_voice(extra=extra)
    view = await until(call(voice.url), lambda v: bool(v.transcript) and v.lag_ms is not None)
    assert (view.transcript[0].who, view.transcript[0].text) == ("voice", "Good day.")
    assert view.lag_ms is not None
    assert 65 <= view.lag_ms < 1000


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ({"cut_at": 4}, "The line went dead."),
        ({"close_at": (4, 1011, "", "The model failed.")}, "The model failed."),
        ({"close_at": (-1, 1013, "", "Somebody is talking.")}, "Somebody is talking."),
        ({"handshake": False}, "was not ready within"),
    ],
)
async def test_a_call_that_breaks_says_why(
    fake_voice: StartVoice, call: Callable[..., TalkSession], script: dict[str, Any], words: str
) -> None:
    voice, devices = await fake_voice(**script), PretendDevices()
    session = call(voice.url, backend=devices, handshake_timeout=0.5)
    view = await until(session, lambda v: v.state is TalkState.FAILED)
    assert words in str(view.reason)
    assert await asyncio.to_thread(session.join, 10)
    assert all(stream.closed.is_set() for stream in devices.streams)
    assert session.snapshot().seconds == view.seconds, "its clock stands still"


async def test_a_server_that_ends_the_call_politely_has_not_failed(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice = await fake_voice(close_at=(4, 1000, "", ""))
    view = await until(call(voice.url), lambda v: v.state is TalkState.ENDED)
    assert str(view.reason) == "The server ended the call."


async def test_nobody_there_is_said_so(call: Callable[..., TalkSession]) -> None:
    view = await until(call("ws://127.0.0.1:9"), lambda v: v.state is TalkState.FAILED)
    assert str(view.reason) == "Nothing listens at 127.0.0.1:9."
    assert view.next


async def test_a_microphone_that_cannot_be_opened_fails_the_call(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice = await fake_voice()
    view = await until(call(voice.url, source="Gone"), lambda v: v.state is TalkState.FAILED)
    assert str(view.reason) == "The microphone Gone cannot be opened."


async def test_a_loudspeaker_that_cannot_be_opened_leaves_a_call_to_see(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice = await fake_voice()
    session = call(voice.url, backend=PretendDevices(broken_output=True))
    view = await until(session, lambda v: v.frames >= 3)
    assert str(view.notice) == "The loudspeaker cannot be opened."
    assert view.speaker is False


async def test_a_microphone_that_gives_nothing_is_replaced_and_said_so(
    fake_voice: StartVoice, call: Callable[..., TalkSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personadesk.voice.talk_audio.NO_SOUND_SECONDS", 0.3)
    voice = await fake_voice()
    devices = PretendDevices(dead=True)
    session = call(voice.url, backend=devices)
    view = await until(session, lambda v: bool(v.notice))
    assert "The microphone gives no sound any more." in str(view.notice)
    frames = view.frames
    view = await until(session, lambda v: v.frames >= frames + 5)
    assert view.state is TalkState.IN_CALL, "the voice's clock goes on"
    assert devices.refreshed >= 1


async def test_a_voice_that_falls_silent_for_good_is_given_up(
    fake_voice: StartVoice, call: Callable[..., TalkSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking, "_DEAD_SECONDS", 0.4)
    voice = await fake_voice(mute_from=3)
    view = await until(call(voice.url), lambda v: v.state is TalkState.FAILED)
    assert "fell silent" in str(view.reason)


async def test_hanging_up_while_it_prepares_ends_at_once(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice = await fake_voice(handshake=False)
    session = call(voice.url)
    await until(session, lambda v: v.state is TalkState.PREPARING)
    session.hang_up()
    view = await until(session, lambda v: v.state is TalkState.ENDED)
    assert not view.reason
    assert view.seconds == 0.0


async def test_our_own_mistakes_are_told_and_logged(
    fake_voice: StartVoice, call: Callable[..., TalkSession], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(PretendDevices):
        def devices(self) -> Devices:
            raise ZeroDivisionError("ours")

    voice = await fake_voice()
    view = await until(call(voice.url, backend=Broken()), lambda v: v.state is TalkState.FAILED)
    assert "PersonaDesk itself failed" in str(view.reason)
    assert "ours" in view.details
    assert "the conversation broke" in caplog.text


async def test_nothing_is_opened_when_clip_and_no_speaker_are_asked(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    voice, devices = await fake_voice(), PretendDevices()
    session = call(
        voice.url, backend=devices, source=CLIP, sink=NO_SPEAKER, query={"engine": "echo"}
    )
    view = await until(session, lambda v: v.frames >= 3)
    assert devices.streams == []
    assert not view.notice
    assert "engine=echo" in voice.requests[0]


def test_listing_devices_never_raises_and_explains_what_is_missing() -> None:
    found = list_devices(look_again=True)
    if not (found.inputs and found.outputs):
        assert found.reason


async def test_a_microphone_that_opens_after_hanging_up_is_closed_again(
    fake_voice: StartVoice, call: Callable[..., TalkSession]
) -> None:
    opening, go_on = threading.Event(), threading.Event()

    class SlowDevices(PretendDevices):
        def open_input(
            self, name: str | None, make_ring: Callable[[int], Ring]
        ) -> tuple[PretendStream, Ring]:
            opening.set()
            assert go_on.wait(10)
            return super().open_input(name, make_ring)

    devices = SlowDevices()
    voice = await fake_voice()
    session = call(voice.url, backend=devices)
    assert await asyncio.to_thread(opening.wait, 10)
    session.hang_up()
    await asyncio.sleep(0.1)
    go_on.set()
    assert await asyncio.to_thread(session.join, 10)
    assert devices.streams
    assert all(stream.closed.is_set() for stream in devices.streams)


async def test_a_place_in_line_is_told_until_the_call_begins(
    fake_voice: StartVoice, call: Callable[..., TalkSession], metadata_message: Callable[..., bytes]
) -> None:
    places = [
        metadata_message(position=2, waiting=2, waited_s=1.0, max_wait_s=60.0),
        metadata_message(position="?"),
    ]
    voice = await fake_voice(before_handshake=places, handshake_after=0.5)
    session = call(voice.url)
    view = await until(session, lambda v: v.place is not None)
    assert view.state is TalkState.PREPARING
    assert view.place == Place(2, 2, 59.0)
    assert (await until(session, lambda v: v.state is TalkState.IN_CALL)).place is None
