"""What a conversation costs and adds: lateness of our packets beside a busy window, processor, and sound card to wire.

    python packaging/bootstrap.py bench voice [--seconds N] [--no-sound]

The voice is a process of its own on loopback. First calls with pretended sound cards, calm (for the processor) and
beside a main thread that is kept busy (for the lateness); the best turn counts, since other programs only add. Then,
where PulseAudio is installed, a call through a null sink whose monitor is the microphone: the voice says a click now
and then and measures how long it takes until it hears it again; what the packet itself lasts is taken off, Opus' own
look-ahead is not. A table goes to stderr, one JSON object is the last line on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "desktop"), str(ROOT / "server"), str(ROOT / "tests")]

from peers import pulse  # noqa: E402
from personadesk.hosts import local  # noqa: E402
from personadesk.voice.figures import Stage  # noqa: E402
from personaplex_server import protocol  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from personadesk.voice.talk import TalkSession, TalkSnapshot

LIMITS = {
    "capture_to_wire_ms": 40.0,
    "wire_to_speaker_ms": 60.0,
    "loop_ms": 100.0,
    "sent_late_p99_busy_ms": 10.0,
    "cpu_percent": 15.0,
}
CLICK_EVERY = 13
"""Frames; not a divisor of a second, so that clicks meet packets at every place."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--no-sound", action="store_true", help="leave PulseAudio alone")
    parser.add_argument("--role", choices=("voice", "sound"), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "voice":
        asyncio.run(_voice(options.port))
        return 0
    if options.role == "sound":
        print(json.dumps(_through_sound(options.port, options.seconds)))
        return 0
    result: dict[str, Any] = {}
    port = local.pick_port()
    with _voice_process(port) as voice:
        turns = [_call(port, options.seconds) for _ in range(options.turns)]
        result |= min(turns, key=lambda turn: turn["sent_late_p99_busy_ms"])
        if not options.no_sound and pulse.is_there():
            _heard_clicks(voice)
            with pulse.server() as (environment, _):
                result |= _sound_process(port, options.seconds, environment)
                loops = _heard_clicks(voice)
                result["loop_ms"] = round(statistics.median(loops), 1) if loops else None
                result["loops"] = len(loops)
    over = [
        k for k, most in LIMITS.items() if (value := result.get(k)) is not None and value > most
    ]
    for key, value in result.items():
        limit = f"  (limit {LIMITS[key]:g})" if key in LIMITS else ""
        print(f"{key:28} {value}{limit}", file=sys.stderr)
    print(json.dumps(result | {"over": over, "within": not over}), flush=True)
    return 1 if over else 0


# -- the calls ------------------------------------------------------------------------------------------------


def _call(port: int, seconds: float) -> dict[str, Any]:
    """Call with pretended sound cards: once calm, once beside a busy main thread."""
    from peers.pretend_audio import PretendDevices

    talk = _talk(port, PretendDevices())
    began, cpu = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    spent = 100.0 * (time.process_time() - cpu) / (time.perf_counter() - began)
    calm = _hang_up(talk)
    busy_talk = _talk(port, PretendDevices())
    end = time.perf_counter() + seconds
    rows = [random.random() for _ in range(20_000)]
    stalls = 0
    while time.perf_counter() < end:
        # As a window does that sorts a table: a stretch of work that holds the interpreter, then a breath.
        sorted(rows, key=lambda row: -row)
        stalls += 1
        time.sleep(0.002)
    busy = _hang_up(busy_talk)
    return {
        "sent_late_p99_calm_ms": calm.counts.sent_late_p99_ms,
        "sent_late_p99_busy_ms": busy.counts.sent_late_p99_ms,
        "busy_stretches": stalls,
        "cpu_percent": round(spent, 1),
        "frames": calm.frames + busy.frames,
        "ran_dry_calm": calm.buffer.underruns,
        "ran_dry_busy": busy.buffer.underruns,
    }


def _through_sound(port: int, seconds: float) -> dict[str, Any]:
    """Call through PortAudio's default devices; the figures are the sound card's and our own."""
    from personadesk.voice.devices import PortAudio

    talk = _talk(port, PortAudio())
    up, down, stages = [], [], dict[Stage, list[float]]()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(0.25)
        known = {stage.stage: stage.ms for stage in talk.snapshot().lag.stages}
        for stage, ms in known.items():
            if ms is not None:
                stages.setdefault(stage, []).append(ms)
        microphone, encode = known[Stage.MICROPHONE], known[Stage.ENCODE]
        buffer, playback = known[Stage.JITTER_BUFFER], known[Stage.PLAYBACK]
        if None not in (microphone, encode, buffer, playback):
            up.append(microphone + encode - 1000.0 * protocol.FRAME_SECONDS)
            down.append(buffer + playback)
    view = _hang_up(talk)
    return {
        "capture_to_wire_ms": round(statistics.median(up), 1) if up else None,
        "wire_to_speaker_ms": round(statistics.median(down), 1) if down else None,
        "stages_ms": {str(s): round(statistics.median(ms), 1) for s, ms in stages.items()},
        "sound_notice": str(view.notice),
        "sound_ran_dry": view.buffer.underruns,
        "sound_frames": view.frames,
    }


def _talk(port: int, backend: Any) -> TalkSession:
    from personadesk.voice.talk import TalkSession, TalkState

    talk = TalkSession(f"ws://127.0.0.1:{port}", backend=backend)
    talk.start()
    end = time.perf_counter() + 20.0
    while (view := talk.snapshot()).state is not TalkState.IN_CALL:
        if view.state is TalkState.FAILED or time.perf_counter() > end:
            raise SystemExit(f"no call: {view.reason} {view.details}")
        time.sleep(0.02)
    return talk


def _hang_up(talk: TalkSession) -> TalkSnapshot:
    view = talk.snapshot()
    talk.hang_up()
    if not talk.join(10):
        raise SystemExit("the call did not end")
    return view


# -- the voice ------------------------------------------------------------------------------------------------


async def _voice(port: int) -> None:
    """Answer each frame with silence, every so often with a click; tell on stdout how long each took to come back."""
    import numpy as np
    from websockets.asyncio.server import ServerConnection, serve

    from personadesk.voice.opus import OpusDecoder, OpusEncoder

    click = np.zeros(protocol.FRAME_SAMPLES, np.float32)
    at = np.arange(480)
    click[:480] = 0.8 * np.sin(2 * np.pi * 1000 * at / protocol.SAMPLE_RATE)
    silence = np.zeros_like(click)

    async def answer(socket: ServerConnection) -> None:
        decoder, encoder = OpusDecoder(), OpusEncoder()
        frames, waiting, said = 0, 0, None
        await socket.send(protocol.handshake())
        async for data in socket:
            now = time.perf_counter()
            assert isinstance(data, bytes)
            pcm = decoder.decode(protocol.decode(data).payload)
            loud = np.flatnonzero(np.abs(pcm) > 0.15)
            if said is not None and loud.size and now - said > 0.01:
                rest = (len(pcm) - int(loud[0])) / protocol.SAMPLE_RATE
                print(f"click {1000.0 * (now - said - rest):.2f}", flush=True)
                said = None
            waiting += len(pcm)
            while waiting >= protocol.FRAME_SAMPLES:
                waiting -= protocol.FRAME_SAMPLES
                frames += 1
                clicks = frames % CLICK_EVERY == 0
                pages = encoder.encode(click if clicks else silence)
                if clicks:
                    said = time.perf_counter()
                await socket.send(protocol.audio(pages))
                if frames % 10 == 0:
                    told = {
                        "tick_ms": 1.0, "lag_ms": 1.0, "queue": 0, "dropped": 0,
                        "frame": frames - 1, "at_ms": 1000.0 * time.perf_counter(),
                    }  # fmt: skip
                    await socket.send(protocol.metadata(told))

    async with serve(answer, "127.0.0.1", port, compression=None):
        print("ready", flush=True)
        await asyncio.Event().wait()


@contextmanager
def _voice_process(port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--role", "voice", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the voice did not start")
        os.set_blocking(process.stdout.fileno(), False)
        yield process
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def _heard_clicks(voice: subprocess.Popen[str]) -> list[float]:
    """Return what the voice has told since the last time."""
    assert voice.stdout is not None
    told = os.read(voice.stdout.fileno(), 1 << 16) if _has_words(voice.stdout.fileno()) else b""
    return [float(line.split()[1]) for line in told.decode().splitlines() if line[:6] == "click "]


def _has_words(fileno: int) -> bool:
    import select

    return bool(select.select([fileno], [], [], 0)[0])


# -- the sound card -------------------------------------------------------------------------------------------


def _sound_process(port: int, seconds: float, environment: dict[str, str]) -> dict[str, Any]:
    command = [
        sys.executable, __file__, "--role", "sound", "--port", str(port), "--seconds", str(seconds),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    raise SystemExit(main())
