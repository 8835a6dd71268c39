"""Microphones and loudspeakers of this computer, and the streams to and from them.

Computers without any are normal (servers, tests); then the lists are empty and a sentence says why.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from personadesk.domain.errors import BadRequest, PersonaDeskError
from personadesk.domain.text import NOTHING, T, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from personadesk.voice.jitter import JitterBuffer
    from personadesk.voice.ring import Ring

_WANTED_RATE: Final = 24_000
_OUTPUT_LATENCY: Final = 0.03
_INPUT_LATENCY: Final = 0.02
_MOST_LATENCY: Final = 2.0
_CHILD_SECONDS: Final = 10.0

log = logging.getLogger(__name__)

_open_streams = 0
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone or a loudspeaker.

    Attributes:
        name: As the system calls it; also how it is chosen.
        is_default: Whether the system would take it.
    """

    name: str
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Devices:
    """What there is.

    Attributes:
        inputs: Microphones, the default first.
        outputs: Loudspeakers, the default first.
        reason: Why a list is empty, as a sentence.
    """

    inputs: tuple[Device, ...] = ()
    outputs: tuple[Device, ...] = ()
    reason: Text = NOTHING


class Stream(Protocol):
    """An open device."""

    @property
    def rate(self) -> int:
        """Samples per second it runs at."""

    @property
    def latency(self) -> float:
        """Seconds between the converter and our callback, now, as the sound card tells it."""

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that was unplugged stops."""

    def close(self) -> None:
        """Let go of the device; may take a moment."""


class AudioBackend(Protocol):
    """Where sound comes from and goes to; a test puts its own here."""

    def devices(self) -> Devices:
        """Return what there is."""

    def refresh(self) -> None:
        """Notice what was plugged in or out since; done only while no device is open."""

    def open_input(self, name: str | None, make_ring: Callable[[int], Ring]) -> tuple[Stream, Ring]:
        """Open a microphone (None: the default) into the ring that `make_ring` returns for its rate."""

    def open_output(
        self, name: str | None, make_buffer: Callable[[int], JitterBuffer]
    ) -> tuple[Stream, JitterBuffer]:
        """Open a loudspeaker (None: the default) that plays from the buffer `make_buffer` returns for its rate."""


def list_devices(*, look_again: bool = False) -> Devices:
    """Return the microphones and loudspeakers of this computer; never raises.

    Args:
        look_again: Notice what was plugged in or out since. The library below has to begin anew for that, so
            while a device is open a process of its own looks.
    """
    backend = PortAudio()
    if look_again and _open_streams:
        return _listed_by_child() or backend.devices()
    if look_again:
        backend.refresh()
    return backend.devices()


class PortAudio:
    """The sound cards of this computer."""

    def refresh(self) -> None:
        """Notice what was plugged in or out since; does nothing while a device is open."""
        try:
            sound = _library()
        except OSError:
            return  # `devices` tells why there is nothing
        with _guard:
            if not _open_streams:
                try:
                    sound._terminate()
                    sound._initialize()
                except sound.PortAudioError as error:
                    log.info("the sound system did not begin anew: %s", error)

    def devices(self) -> Devices:
        """Return what there is, with the reason where there is nothing."""
        try:
            sound = _library()
        except OSError:
            return Devices(
                reason=T(
                    "The sound library PortAudio is missing; on Debian it is the package libportaudio2."
                )
            )
        try:
            with _guard:
                found = sound.query_devices()
                default_in, default_out = sound.default.device
        except sound.PortAudioError as error:
            return Devices(reason=T("The sound system doesn't answer: {error}.", error=str(error)))
        inputs = _named(found, "max_input_channels", default_in)
        outputs = _named(found, "max_output_channels", default_out)
        return Devices(inputs, outputs, _reason(inputs, outputs))

    def open_input(self, name: str | None, make_ring: Callable[[int], Ring]) -> tuple[Stream, Ring]:
        """Open a microphone.

        Raises:
            BadRequest: It cannot be opened.
        """
        rings: list[Ring] = []
        timing = _Timing()

        def heard(data: NDArray[np.float32], frames: int, now: Any, _status: object) -> None:
            rings[0].write(data[:, 0])
            # Of the last sample of the block: the time that the block itself lasts is nobody's fault.
            timing.note(now.currentTime - now.inputBufferAdcTime - frames / timing.rate)

        def begin(rate: int) -> None:
            rings[:] = [make_ring(rate)]

        stream = _open(
            "InputStream", name, "max_input_channels", _INPUT_LATENCY, heard, begin, timing
        )
        return stream, rings[0]

    def open_output(
        self, name: str | None, make_buffer: Callable[[int], JitterBuffer]
    ) -> tuple[Stream, JitterBuffer]:
        """Open a loudspeaker.

        Raises:
            BadRequest: It cannot be opened.
        """
        buffers: list[JitterBuffer] = []
        timing = _Timing()

        def wanted(data: NDArray[np.float32], frames: int, now: Any, _status: object) -> None:
            data[:, 0] = buffers[0].pull(frames)
            timing.note(now.outputBufferDacTime - now.currentTime)

        def begin(rate: int) -> None:
            buffers[:] = [make_buffer(rate)]

        stream = _open(
            "OutputStream", name, "max_output_channels", _OUTPUT_LATENCY, wanted, begin, timing
        )
        return stream, buffers[0]


class _Timing:
    """What the callbacks of one stream tell of its lateness."""

    def __init__(self) -> None:
        self.rate = _WANTED_RATE
        self.seconds: float | None = None

    def note(self, seconds: float) -> None:
        # Some sound systems tell nothing, or the time of another clock.
        if 0.0 < seconds < _MOST_LATENCY:
            before = self.seconds
            self.seconds = seconds if before is None else before + 0.1 * (seconds - before)


class _OpenStream:
    def __init__(self, stream: Any, timing: _Timing) -> None:
        self._stream = stream
        self._timing = timing
        self.rate = timing.rate
        self._told = float(stream.latency)

    @property
    def latency(self) -> float:
        return self._told if self._timing.seconds is None else self._timing.seconds

    @property
    def alive(self) -> bool:
        stream = self._stream
        return stream is not None and bool(stream.active)

    def close(self) -> None:
        if self._stream is None:
            return
        stream, self._stream = self._stream, None
        try:
            stream.abort(ignore_errors=True)
            stream.close(ignore_errors=True)
        finally:
            _count(-1)


def _count(change: int) -> None:
    """Count an open device, from before it is opened until after it is closed: so long nothing may begin anew."""
    global _open_streams
    with _guard:
        _open_streams += change


def _open(
    kind: str,
    name: str | None,
    channels: str,
    latency: float,
    callback: Callable[..., None],
    begin: Callable[[int], None],
    timing: _Timing,
) -> _OpenStream:
    sound = _library_or_fault()
    microphone = kind == "InputStream"
    opened, error = None, ""
    _count(1)
    try:
        index = _index(sound, name, channels)
        facts = sound.query_devices(index, "input" if microphone else "output")
        for rate in dict.fromkeys((_WANTED_RATE, round(facts["default_samplerate"]))):
            begin(rate)
            timing.rate = rate
            wanted = {
                "samplerate": rate, "device": index, "channels": 1, "dtype": "float32",
                "latency": latency, "callback": callback,
            }  # fmt: skip
            opened, error = _started(sound, kind, wanted)
            if opened is not None:
                return _OpenStream(opened, timing)
    except (sound.PortAudioError, ValueError) as refused:
        error = str(refused)
    finally:
        if opened is None:
            _count(-1)
    what = (
        T("The microphone {name} cannot be opened.", name=name or "—")
        if microphone
        else T("The loudspeaker {name} cannot be opened.", name=name or "—")
    )
    if name is None:
        what = (
            T("The microphone cannot be opened.")
            if microphone
            else T("The loudspeaker cannot be opened.")
        )
    raise BadRequest(
        what,
        T(
            "Close programs that use it, see whether this program may use it, or choose another one."
        ),
        cause="sound",
        details=error,
    )


def _started(sound: Any, kind: str, wanted: dict[str, Any]) -> tuple[Any, str]:
    """Return a running stream, or None and why it was refused."""
    try:
        stream = getattr(sound, kind)(**wanted)
    except sound.PortAudioError as refused:
        return None, str(refused)
    try:
        stream.start()
    except sound.PortAudioError as refused:
        stream.close(ignore_errors=True)
        return None, str(refused)
    return stream, ""


def _index(sound: Any, name: str | None, channels: str) -> int | None:
    if name is None:
        return None
    for number, facts in enumerate(sound.query_devices()):
        if facts["name"] == name and facts[channels]:
            return number
    raise ValueError(f"no device named {name}")


def _named(found: Any, channels: str, default: int) -> tuple[Device, ...]:
    """Return each name once: the same device appears under every sound system of Windows."""
    names: dict[str, bool] = {}
    for number, facts in enumerate(found):
        if facts[channels]:
            names[facts["name"]] = names.get(facts["name"], False) or number == default
    devices = [Device(name, is_default) for name, is_default in names.items()]
    return tuple(sorted(devices, key=lambda device: not device.is_default))


def _listed_by_child() -> Devices | None:
    """Let a fresh process look, which sees what is there now; None when it does not answer."""
    import json
    import subprocess
    import sys

    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "personadesk", "audio-devices", "--json"],
            capture_output=True, timeout=_CHILD_SECONDS, check=True,
        )  # fmt: skip
        told = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log.info("the sound devices could not be listed anew: %s", error)
        return None
    lists = (
        tuple(Device(each["name"], each["is_default"]) for each in told[key])
        for key in ("inputs", "outputs")
    )
    inputs, outputs = lists
    return Devices(inputs, outputs, _reason(inputs, outputs))


def _reason(inputs: tuple[Device, ...], outputs: tuple[Device, ...]) -> Text:
    if not inputs:
        return T("No microphone found. Use the built-in clip, or plug one in and press Look again.")
    if not outputs:
        return T("No loudspeaker found. You will see the voice, but not hear it.")
    return NOTHING


def _library() -> Any:
    import sounddevice

    return sounddevice


def _library_or_fault() -> Any:
    try:
        return _library()
    except OSError as error:
        raise _no_library(error) from error


def _no_library(error: OSError) -> PersonaDeskError:
    return BadRequest(
        T("The sound library PortAudio is missing."),
        T("Install it (on Debian: libportaudio2), or use the built-in clip."),
        cause="sound",
        details=str(error),
    )
