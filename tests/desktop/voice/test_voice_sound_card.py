"""Real sound through PortAudio and PulseAudio with a null sink; run with -m sound."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from peers import pulse

pytestmark = [
    pytest.mark.sound,
    pytest.mark.skipif(not pulse.is_there(), reason="wants PulseAudio (pulseaudio-utils)"),
]

CHECK = """
import json, threading, time, subprocess
from personadesk.voice.devices import PortAudio, list_devices
from personadesk.voice.sound_check import Phase, SoundCheck
import numpy as np
at = np.arange(24000 * 4) / 24000
tone = (8000 * np.sin(2 * np.pi * 440 * at)).astype("<i2").tobytes()
player = subprocess.Popen(["pacat", "--rate=24000", "--channels=1", "--format=s16le"], stdin=subprocess.PIPE)
threading.Thread(target=lambda: player.stdin.write(tone), daemon=True).start()
time.sleep(0.5)
check = SoundCheck(PortAudio(), seconds=1.5)
check.start()
check.join(20)
view = check.view()
seen = np.abs(np.fft.rfft(check.pcm)).argmax() * check.rate / len(check.pcm)
player.kill()
found = list_devices(look_again=True)
print(json.dumps({"phase": view.phase, "hold": view.hold, "hertz": seen,
                  "inputs": [d.name for d in found.inputs], "outputs": [d.name for d in found.outputs]}))
"""

UNPLUG = """
import json, sys, time
from personadesk.voice.devices import PortAudio, list_devices
from personadesk.voice.talk import TalkSession, TalkState
talk = TalkSession(sys.argv[1], backend=PortAudio())
talk.start()
def until(fits, seconds=20):
    end = time.monotonic() + seconds
    while not fits(view := talk.snapshot()):
        if time.monotonic() > end:
            raise SystemExit(f"never: {view.state} {view.reason} {view.notice} {view.frames}")
        time.sleep(0.05)
    return view
before = until(lambda v: v.frames > 15 and v.speaker)
while_open = [d.name for d in list_devices(look_again=True).inputs]
print("talking", flush=True)
sys.stdin.readline()
gone = until(lambda v: bool(v.notice))
after = until(lambda v: v.frames > gone.frames + 10)
talk.hang_up()
print(json.dumps({"joined": talk.join(10), "state": after.state, "notice": str(gone.notice),
                  "while_open": while_open, "microphone_ms": before.lag.of("microphone").ms}))
"""


def test_what_is_played_is_recorded_and_played_back() -> None:
    with pulse.server() as (environment, _):
        done = subprocess.run(
            [sys.executable, "-c", CHECK], env=environment, stdout=subprocess.PIPE, timeout=60
        )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["phase"] == "done"
    assert told["hold"] == pytest.approx(0.244, abs=0.05)
    assert told["hertz"] == pytest.approx(440, abs=3)
    assert "pulse" in told["inputs"]
    assert "pulse" in told["outputs"]


async def test_a_sound_system_that_dies_in_mid_call_leaves_the_call_alive(fake_voice: Any) -> None:
    voice = await fake_voice()
    with pulse.server() as (environment, process):
        talking = subprocess.Popen(
            [sys.executable, "-c", UNPLUG, voice.url],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert talking.stdout is not None
        assert talking.stdin is not None
        assert talking.stdout.readline() == "talking\n"
        process.kill()
        out, _ = talking.communicate("\n", timeout=90)
    told = json.loads(out.splitlines()[-1])
    assert told["state"] == "in-call"
    assert told["joined"] is True
    assert "until there is" in told["notice"] or "gives no sound" in told["notice"]
    assert "pulse" in told["while_open"]
